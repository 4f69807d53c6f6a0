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
import gc
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from array import array
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


MARKS = [part * 10**power for power in range(3, 8) for part in (1, 2, 3, 4, 5, 6, 7, 8, 9)]
"""Numbers of articles at which a row of the table is printed."""


@dataclass
class Labels:
    """Which article each reprint is of and how it was made, by number; as small as a million of them must be."""

    of: array[int] = field(default_factory=lambda: array("q"))
    kind: array[int] = field(default_factory=lambda: array("b"))
    kinds: list[str] = field(default_factory=list)

    def add(self, row: dict) -> None:
        """The label of the next article."""
        if row["kind"] not in self.kinds:
            self.kinds.append(row["kind"])
        self.of.append(-1 if row["dup_of"] is None else row["dup_of"])
        self.kind.append(self.kinds.index(row["kind"]))

    def root(self, number: int) -> int:
        """The article that this one is a reprint of in the end, itself if of none."""
        while self.of[number] >= 0:
            number = self.of[number]
        return number


def synthetic(given: argparse.Namespace, folder: Path) -> None:
    """Polls the synthetic corpus through relate, and counts what was told right."""
    gc.set_threshold(50_000, 20, 20)  # as the command line does
    archive = Archive.open(str(folder / "a.db"), write=True)
    spent, labels, done, before = Spent(), Labels(), 0, (0, 0.0)
    print(f"{given.lang}, {given.docs} articles, bulletins {given.bulletin_frac}")
    print(
        "| articles | identity, µs each | relate, µs each | articles/CPU-s since the last row | MB resident | at most |"
    )
    for rows in _batches(given):
        batch = [_article(row) for row in rows]
        for row in rows:
            labels.add(row)
        admit(archive, list(reversed(batch)), spent)
        done += len(batch)
        if done in MARKS or done == given.docs:
            _row(done, spent, before)
            before = done, spent.total()
    print({name: f"{seconds / done * 1e6:.0f} µs" for name, seconds in spent.seconds.items()})
    print(f"all: {done / spent.total():.0f} articles/CPU-s")
    print(f"archive {(folder / 'a.db').stat().st_size / done / 1000:.1f} KB an article, texts included")
    quality(archive, labels)


def _batches(given: argparse.Namespace) -> Iterator[list[dict]]:
    """The workload's documents. Another process makes them, so that this one's memory is the program's."""
    command = [sys.executable, str(given.shared / "bench/workload.py"), "docs", "-n", str(given.docs)]
    command += ["--lang", given.lang, "--bulletin-frac", str(given.bulletin_frac)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as made:
        assert made.stdout is not None
        while lines := list(islice(made.stdout, BATCH)):
            yield [json.loads(line) for line in lines]


def _row(done: int, spent: Spent, before: tuple[int, float]) -> None:
    rate = (done - before[0]) / (spent.total() - before[1])
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    each = [spent.seconds[name] / done * 1e6 for name in ("identity", "relate")]
    print(f"| {done} | {each[0]:.0f} | {each[1]:.0f} | {rate:.0f} | {resident:.0f} | {most:.0f} |", flush=True)


def _article(row: dict) -> Article:
    link = f"https://site{row['id'] % 97}.example/a/{row['id']}?utm_source=rss"
    return Article(
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


def quality(archive: Archive, labels: Labels) -> None:
    """Articles of the workload have ids one higher than their numbers."""
    with archive.reading() as connection:
        of = dict(connection.execute(sa.select(place.c.article_id, place.c.reprint_of)).fetchall())

    def group(identity_: int) -> int:
        return of.get(identity_) or identity_

    said = [identity_ for identity_, original in of.items() if original is not None]
    right = sum(1 for one in said if labels.root(one - 1) == labels.root(of[one] - 1))
    kinds: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for number, dup_of in enumerate(labels.of):
        if dup_of >= 0:
            kind = kinds[labels.kinds[labels.kind[number]]]
            kind[0] += group(number + 1) == group(labels.root(number) + 1)
            kind[1] += 1
    hit, true = (sum(column) for column in zip(*kinds.values(), strict=True))
    print(
        f"reprints: precision {right / max(len(said), 1):.4f} recall {hit / max(true, 1):.4f}",
        {kind: round(a / b, 4) for kind, (a, b) in sorted(kinds.items())},
    )


if __name__ == "__main__":
    main()
