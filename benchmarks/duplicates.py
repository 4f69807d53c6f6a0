"""How well and how fast reprints and stories are told.

    python benchmarks/duplicates.py gold ../shared                 the labelled pairs, on corpus/posts
    python benchmarks/duplicates.py own ../shared                  our own labelled pairs (duplicates_labels.jsonl)
    python benchmarks/duplicates.py workload ../shared --docs 100000 --lang zh [--bulletin-frac 0.1]
    python benchmarks/duplicates.py speed ../shared --docs 100000  the same, of which one looks at the speed

`gold` imports the posts into a new archive and asks score_duplicates.py. `workload` and `speed` run identity, reprints
and stories as `pipeline` does, in transactions of 500 articles, on the synthetic articles of bench/workload.py; only
what they themselves cost is counted: not the making of the texts, nor the rows of articles and the search index, which
others measure. Precision counts articles said to be reprints, recall the labelled ones put into the original's group.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from aggregator.dedup import identity
from aggregator.model import Article, ArticleId
from aggregator.relate import relate
from aggregator.store import articles
from aggregator.store.archive import Archive
from aggregator.store.known import Names, look_up
from aggregator.store.schema import article as table
from aggregator.store.schema import packed, place

BATCH = 500
START = datetime(2025, 1, 1, tzinfo=UTC)
LABELS = Path(__file__).with_name("duplicates_labels.jsonl")


def main() -> None:
    """Read the command line and run one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["gold", "own", "workload", "speed"])
    parser.add_argument("shared", type=Path)
    parser.add_argument("--docs", type=int, default=10_000)
    parser.add_argument("--lang", choices=["zh", "en"], default="zh")
    parser.add_argument("--bulletin-frac", type=float, default=0.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.what in ("gold", "own"):
            labelled(given.shared, Path(folder), given.what)
        else:
            synthetic(given, Path(folder))


# --- labelled pairs -----------------------------------------------------------------------------------------------


def labelled(shared: Path, folder: Path, which: str) -> None:
    """Import the posts, export them, and score the labelled pairs."""
    command = [sys.executable, "-m", "aggregator", "--archive", str(folder / "a.db")]
    subprocess.run([*command, "import", str(shared / "corpus/posts")], check=True, capture_output=True)
    exported = subprocess.run(
        [*command, "export", "--format", "jsonl", "--out", "-"], check=True, capture_output=True
    ).stdout
    pairs = shared / "gold/duplicates/dev.jsonl"
    if which == "own":
        pairs = folder / "own.jsonl"
        pairs.write_text("".join(own_pairs(shared)), encoding="utf-8")
    score = [sys.executable, str(shared / "gold/score_duplicates.py"), str(pairs)]
    subprocess.run(score, check=True, input=exported)


def own_pairs(shared: Path) -> Iterator[str]:
    """Our labels name posts by the SHA-256 of their bytes; other people's titles stay out of the repository."""
    names = {
        hashlib.sha256(path.read_bytes()).hexdigest()[:16]: path.name
        for path in (shared / "corpus/posts").rglob("*.md")
    }
    for line in LABELS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["a"] in names and row["b"] in names:
            yield json.dumps(row | {"a": names[row["a"]], "b": names[row["b"]]}) + "\n"


# --- synthetic articles -------------------------------------------------------------------------------------------


@dataclass
class Spent:
    """CPU seconds by step, and what the last tenth of the articles took."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def total(self) -> float:
        """Seconds of all parts."""
        return sum(self.seconds.values())


def synthetic(given: argparse.Namespace, folder: Path) -> None:
    """Polls the synthetic corpus through relate, and counts what was told right."""
    sys.path.insert(0, str(given.shared / "bench"))
    import workload

    archive = Archive.open(str(folder / "a.db"), write=True)
    spent, labels, done = Spent(), [], 0
    made = workload.docs(given.docs, given.lang, bulletin_frac=given.bulletin_frac)
    print(f"{given.lang}, {given.docs} articles, bulletins {given.bulletin_frac}")
    print("| articles | CPU µs an article: identity | relate | all | articles/CPU-s | MB resident |")
    before = 0.0
    step = max(given.docs // 10 // BATCH, 1) * BATCH
    while done < given.docs:
        batch = [_article(row) for row in islice(made, BATCH)]
        labels += [(row["dup_of"], row["kind"]) for _, row in batch]
        admit(archive, [value for value, _ in reversed(batch)], spent)
        done += len(batch)
        if done % step == 0:
            _row(done, step, spent, before)
            before = spent.total()
    print({name: f"{seconds / done * 1e6:.0f} µs" for name, seconds in spent.seconds.items()})
    print(f"all: {done / spent.total():.0f} articles/CPU-s")
    print(f"archive {(folder / 'a.db').stat().st_size / done / 1000:.1f} KB an article, texts included")
    quality(archive, labels)


def _row(done: int, step: int, spent: Spent, before: float) -> None:
    last = (spent.total() - before) / step
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    print(
        f"| {done} | {spent.seconds['identity'] / done * 1e6:.0f} (mean) | {spent.seconds['relate'] / done * 1e6:.0f} (mean) | {last * 1e6:.0f} (this tenth) | {1 / last:.0f} | {resident:.0f} |",
        flush=True,
    )


def _article(row: dict) -> tuple[Article, dict]:
    link = f"https://site{row['id'] % 97}.example/a/{row['id']}?utm_source=rss"
    value = Article(
        title=row["title"],
        html="",
        text=row["text"],
        feed="f",
        outlet="o",
        guid=f"urn:{row['id']}",
        link=link,
        published=START + timedelta(seconds=7 * row["id"]),
        lang=row["lang"],
    )
    return value, row


def admit(archive: Archive, batch: list[Article], spent: Spent) -> None:
    """As `pipeline.admit`, with the clock around what is measured."""
    now = START + timedelta(days=3650)
    with archive.writing() as connection:
        started = time.process_time()
        arrived = [_with_address(one) for one in batch]
        wanted = identity.wanted_of(arrived)
        names = Names("f", wanted.guids, wanted.urls, wanted.keys)
        known = look_up(connection, [names]).of(names)
        decisions = identity.decide(arrived, known, lambda of: articles.text_of(connection, of), names.keys)
        spent.seconds["identity"] += time.process_time() - started
        stored = _store(connection, [(arrived[one.index], one.key) for one in decisions], now)
        started = time.process_time()
        relate(connection, stored, now)
        spent.seconds["relate"] += time.process_time() - started


def _with_address(one: Article) -> Article:
    from dataclasses import replace

    return replace(one, url=identity.canonical_url(one.link))


def _store(connection: sa.Connection, fresh: list[tuple[Article, str]], now: datetime) -> list[Article]:
    """The rows of articles, without the search index."""
    from dataclasses import replace

    last = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
    stored = [replace(value, id=ArticleId(last + at), first_seen=now) for at, (value, _) in enumerate(fresh, 1)]
    rows = [
        {
            name: getattr(one, name)
            for name in (
                "id",
                "feed",
                "outlet",
                "guid",
                "url",
                "link",
                "lang",
                "published",
                "first_seen",
                "title",
                "text",
            )
        }
        | {"html": packed(one.html, one.text), "docid": one.id, "content_key": key, "categories": [], "extra": {}}
        for one, (_, key) in zip(stored, fresh, strict=True)
    ]
    connection.execute(sa.insert(table), rows)
    return stored


def quality(archive: Archive, labels: list[tuple[int | None, str]]) -> None:
    """Articles of the workload have ids one higher than their numbers."""
    with archive.reading() as connection:
        of = dict(connection.execute(sa.select(place.c.article_id, place.c.reprint_of)).fetchall())

    def root(number: int) -> int:
        while labels[number][0] is not None:
            number = labels[number][0]
        return number

    def group(identity_: int) -> int:
        return of.get(identity_) or identity_

    said = [identity_ for identity_, original in of.items() if original is not None]
    right = sum(1 for one in said if root(one - 1) == root(of[one] - 1))
    kinds: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for number, (dup_of, kind) in enumerate(labels):
        if dup_of is not None:
            kinds[kind][0] += group(number + 1) == group(root(number) + 1)
            kinds[kind][1] += 1
    hit, true = (sum(column) for column in zip(*kinds.values(), strict=True))
    print(
        f"reprints: precision {right / max(len(said), 1):.4f} recall {hit / max(true, 1):.4f}",
        {kind: round(a / b, 4) for kind, (a, b) in sorted(kinds.items())},
    )


if __name__ == "__main__":
    main()
