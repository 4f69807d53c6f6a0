"""The hostile corpus through the path each part belongs to.

    python benchmarks/hostile.py            prints `N inputs, 0 crashes, 0 hangs, 0 silent losses`

Feeds and pages go through the parser's child and into an archive, feeds.yaml and OPML through the settings, queries
through search, addresses through mail and the guard. A crash is an error that is not one of ours, a hang more than
SLOW seconds, a silent loss a readable neighbour (`CANARY-OK`) of a bad entry that is not stored although the document
was accepted. The behaviours of the chaos server have their own run: `pytest tests/test_chaos.py`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from aggregator import mail, opml, pipeline, settings
from aggregator.errors import AggregatorError
from aggregator.fetch import guard
from aggregator.model import Feed, Fetched, PollStatus, Tags
from aggregator.parser_pool import ParserPool
from aggregator.query import parse
from aggregator.store import articles, maintenance, search
from aggregator.store.archive import Archive

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("AGGREGATOR_SHARED", ROOT.parent / "shared"))
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SLOW = 60.0
DOCUMENTS = ("xml", "dates", "identity", "encoding", "redos", "notfeed", "html", "titles", "xss")


@dataclass
class Count:
    """What was seen."""

    inputs: int = 0
    crashes: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    def run(self, name: str, work: Callable[[], object]) -> None:
        """One input: ours may refuse it, nothing else may happen."""
        self.inputs += 1
        began = time.monotonic()
        try:
            work()
        except AggregatorError as error:
            if not str(error).strip():
                self.losses.append(f"{name}: refused without a word")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            self.crashes.append(f"{name}: {type(error).__name__}: {error}"[:200])
        if time.monotonic() - began > SLOW:
            self.hangs.append(name)


def documents(corpus: Path, folder: Path, count: Count) -> None:
    """Every file as the answer of a feed, stored where it can be read."""
    archive = Archive.open(str(folder / "archive.db"), write=True)
    with ParserPool() as pool:
        for path in (file for kind in DOCUMENTS for file in sorted((corpus / kind).rglob("*")) if file.is_file()):
            name = str(path.relative_to(corpus))
            count.run(name, lambda path=path, name=name: document(path.read_bytes(), name, archive, pool, count))
    count.run("the archive afterwards", lambda: whole(archive, count))
    archive.close()


def document(body: bytes, name: str, archive: Archive, pool: ParserPool, count: Count) -> None:
    """One poll of one feed."""
    feed = Feed(name, (f"https://hostile.example/{name}",), name, name)
    parts = pipeline.Parts(
        archive,
        lambda _feed, url, _validators, _now: Fetched(url, 200, body, None),
        lambda fetched, _feed, at: pool.parse(
            fetched.body, content_type=None, url=fetched.url, timezone="UTC", now=at
        ),
        lambda _article: Tags(),
        lambda: NOW,
    )
    [report] = pipeline.poll([feed], parts)
    if report.kind in ("defect", "store"):
        count.crashes.append(f"{name}: {report.error}")
    if report.status is PollStatus.FAILED and not report.error:
        count.losses.append(f"{name}: failed without a word")
    if report.status is PollStatus.OK:
        with archive.reading() as connection:
            table = articles.table
            stored = set(
                connection.scalars(table.select().where(table.c.feed == name).with_only_columns(table.c.title))
            )
        for wanted in ("CANARY-OK-1", "CANARY-OK-2"):
            if f"<title>{wanted}</title>".encode() in body and wanted not in stored and not report.notes:
                count.losses.append(f"{name}: {wanted} is not stored, and no note says so")


def whole(archive: Archive, count: Count) -> None:
    """What is stored is sound."""
    count.losses += maintenance.check(archive, lambda _line: None)


def configuration(corpus: Path, count: Count) -> None:
    """feeds.yaml and OPML files."""
    for path in sorted((corpus / "config").iterdir()):
        data = path.read_bytes()
        if path.suffix == ".opml":
            count.run(path.name, lambda data=data: opml.read_opml(data))
        else:
            count.run(path.name, lambda path=path: settings.load(path, {}))


def tables(corpus: Path, folder: Path, count: Count) -> None:
    """Queries, mail addresses and URLs, one by one."""
    archive = Archive.open(str(folder / "archive.db"))
    with archive.reading() as connection:
        for text in texts(json.loads((corpus / "search" / "queries.json").read_text())):
            count.run(f"query {text!r}", lambda text=text: search.find(connection, parse(text, NOW)))
    for text in texts(json.loads((corpus / "mail" / "addresses.json").read_text())):
        count.run(f"address {text!r}", lambda text=text: mail.address(text))
    for line in (corpus / "urls" / "ssrf.tsv").read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        url = json.loads(line.split("\t")[1])
        count.run(f"URL {url!r}", lambda url=url: guard.check_url(url))
    archive.close()


def texts(data: object) -> Iterator[str]:
    """The inputs of a table: its strings, or the first string of each row."""
    for row in data if isinstance(data, list) else list(data.values()):
        if isinstance(row, str):
            yield row
        elif isinstance(row, (list, dict)):
            named = row if isinstance(row, dict) else {"q": row[0] if row else ""}
            yield str(named.get("q", named.get("addr", "")))


def main() -> None:
    """Run; exit status 1 when anything was found."""
    count = Count()
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder, corpus = Path(name), Path(name) / "corpus"
        generator = SHARED / "chaos" / "gen_hostile.py"
        subprocess.run([sys.executable, str(generator), str(corpus)], check=True, stdout=subprocess.DEVNULL)
        documents(corpus, folder, count)
        configuration(corpus, count)
        tables(corpus, folder, count)
    found = f"{len(count.crashes)} crashes, {len(count.hangs)} hangs, {len(count.losses)} silent losses"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{count.inputs} inputs, {found}; at most {peak} MB")
    for line in (*count.crashes, *count.hangs, *count.losses):
        print(f"  {line}")
    sys.exit(1 if count.crashes or count.hangs or count.losses else 0)


if __name__ == "__main__":
    main()
