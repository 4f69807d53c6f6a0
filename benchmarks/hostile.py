"""The hostile corpus through the path each part belongs to.

    python benchmarks/hostile.py            prints `N inputs, 0 crashes, 0 hangs, 0 silent losses`
    python benchmarks/hostile.py --class xml --class redos      these alone

A line for each class: inputs, seconds, the slowest input. Feeds go through the parser's child and into an archive, the
large and the compressed ones through the fetcher before, pages through the reader of full texts too, rows of titles and
of hostile HTML as entries between two good ones (titles into a mail besides), dates through the reader of dates,
feeds.yaml and OPML through the settings, queries through search, addresses through mail and the guard. A crash is an error that is not one of ours, a hang more than SLOW seconds of CPU, a silent loss a readable neighbour (`CANARY-OK`) of a bad entry that is not stored although the document was
accepted. Each of these, and more than MEMORY MB in use by the daemon, makes the exit status 1. The behaviours of the
chaos server have their own run: `pytest tests/test_chaos.py`.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from aggregator import log, mail, memory, opml, pipeline, settings
from aggregator.app import App
from aggregator.daemon import Daemon
from aggregator.errors import AggregatorError
from aggregator.fetch import Fetcher, NetworkPolicy, guard
from aggregator.model import Feed, Fetched, PollStatus
from aggregator.parse.dates import parse_date
from aggregator.parser_pool import ParserPool
from aggregator.query import parse
from aggregator.store import articles, maintenance, search
from aggregator.store.archive import Archive

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("AGGREGATOR_SHARED", ROOT.parent / "shared"))
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SLOW, WAITING = 60.0, 5
"""Seconds of CPU for one input, and so many times that where the machine does other things or nobody answers."""
MEMORY = 256
"""MB that the daemon may have at the most."""
DOCUMENTS = ("xml", "dates", "identity", "encoding", "redos", "notfeed", "html", "titles", "xss")
FETCHED = ("big", "bombs")
CLASSES = (*DOCUMENTS, *FETCHED, "config", "search", "mail", "urls")
CODINGS = {
    "gzip_gzip": "gzip, gzip",
    "gzip": "gzip",
    "deflate": "deflate",
    "rawdeflate": "deflate",
    "br": "br",
    "zstd": "zstd",
}


@dataclass
class Count:
    """What was seen."""

    inputs: int = 0
    slowest: tuple[float, str] = (0.0, "-")
    crashes: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    def run(self, name: str, work: Callable[[], object]) -> None:
        """One input: ours may refuse it, nothing else may happen."""
        self.inputs += 1
        began, busy = time.monotonic(), time.process_time()
        try:
            work()
        except AggregatorError as error:
            if not str(error).strip():
                self.losses.append(f"{name}: refused without a word")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            self.crashes.append(f"{name}: {type(error).__name__}: {error}"[:200])
        took = time.monotonic() - began
        self.slowest = max(self.slowest, (took, name))
        if time.process_time() - busy > SLOW or took > WAITING * SLOW:
            self.hangs.append(name)


def one_class(kind: str, corpus: Path, daemon: Daemon, pool: ParserPool, count: Count) -> None:
    """Every input of one class."""
    files = [path for path in sorted((corpus / kind).rglob("*")) if path.is_file()]
    for path in files:
        name = str(path.relative_to(corpus))
        if path.suffix in {".yaml", ".opml"}:
            count.run(name, lambda path=path: configured(path))
        elif kind in FETCHED:
            count.run(name, lambda path=path, name=name: document(fetched(path), name, daemon, count))
        elif kind in DOCUMENTS:
            count.run(name, lambda path=path, name=name: document(path.read_bytes(), name, daemon, count))
        if kind == "html":
            count.run(
                f"{name} as a page", lambda path=path, name=name: pool.page(path.read_bytes(), {"url": url_of(name)})
            )
    if kind in {"dates", "titles", "xss"}:
        rows(kind, corpus, daemon, count)
    if kind in {"search", "mail", "urls"}:
        tables(kind, corpus, daemon.parts.archive, count)


def url_of(name: str) -> str:
    """The address of an input."""
    return f"https://hostile.example/{name}"


def configured(path: Path) -> None:
    """feeds.yaml or OPML."""
    if path.suffix == ".opml":
        opml.read_opml(path.read_bytes())
    else:
        settings.load(path, {})


class Pieces(httpx.SyncByteStream):
    """A file as it comes over the network."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        """64 kB at a time."""
        with self._path.open("rb") as file:
            while piece := file.read(1 << 16):
                yield piece


def fetched(path: Path) -> bytes:
    """The body after the fetcher's limits and decompression; the coding is told by the file's name."""
    coding = next((said for start, said in CODINGS.items() if path.name.startswith(start)), "")
    headers = {"Content-Encoding": coding} if path.suffix == ".bin" else {}
    answer = httpx.MockTransport(lambda _request: httpx.Response(200, headers=headers, stream=Pieces(path)))
    with Fetcher(NetworkPolicy(pause=timedelta(0)), answer) as fetcher:
        return fetcher.fetch(url_of(path.name), timeout=timedelta(seconds=60), max_size=10_000_000, now=NOW).body


def rows(kind: str, corpus: Path, daemon: Daemon, count: Count) -> None:
    """Dates one by one; titles and hostile HTML each as an entry between two good ones, titles in a mail besides."""
    named = "vectors" if kind == "xss" else kind
    for row in json.loads((corpus / kind / f"{named}.json").read_text()):
        name, said = f"{kind} row {row['id']}", row.get("raw", row.get("html", ""))
        if kind == "dates":
            count.run(name, lambda said=said: parse_date(said, "Asia/Shanghai", NOW))
            continue
        count.run(name, lambda said=said, name=name: document(between(said), name, daemon, count))
        if kind == "titles":
            count.run(f"{name} as a subject", lambda said=said: mail.build(letter(said)))


def between(said: str) -> bytes:
    """A feed with this as title and text of its second entry."""
    text = html.escape(said)
    entries = ("CANARY-OK-1", "one"), (text, text), ("CANARY-OK-2", "two")
    items = "".join(
        f"<item><title>{title}</title><link>https://hostile.example/{number}</link><description>{words}</description></item>"
        for number, (title, words) in enumerate(entries)
    )
    return f'<rss version="2.0"><channel><title>t</title>{items}</channel></rss>'.encode("utf-8", "surrogatepass")


def letter(said: str) -> mail.Letter:
    """A mail with this as its subject and contents."""
    return mail.Letter("desk@example.org", "reader@example.org", said, said, html.escape(said), "<1@example.org>", NOW)


def daemon_on(archive: Archive, pool: ParserPool, feeds: Path) -> Daemon:
    """The daemon with its own parser, tagger and relations; the clock stands still."""
    app = App(str(archive.path), str(feeds), environ={})
    parts = pipeline.Parts(
        archive,
        lambda _feed, url, _validators, _now: Fetched(url, 304, b""),
        lambda fetched, _feed, at: pool.parse(
            fetched.body, content_type=None, url=fetched.url, timezone="UTC", now=at
        ),
        app.tagging(),
        lambda: NOW,
    )
    return Daemon(app, parts, [])


def document(body: bytes, name: str, daemon: Daemon, count: Count) -> None:
    """One poll of one feed by the daemon."""
    archive = daemon.parts.archive
    daemon.feeds, daemon.first = [Feed(name, (f"https://hostile.example/{name}",), name, name)], True
    daemon.parts = replace(daemon.parts, fetch=lambda _feed, url, _validators, _now: Fetched(url, 200, body, None))
    [report] = daemon.tick()
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


def peak() -> int:
    """The most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def whole(archive: Archive, count: Count) -> None:
    """What is stored is sound."""
    count.losses += maintenance.check(archive, lambda _line: None)


def tables(kind: str, corpus: Path, archive: Archive, count: Count) -> None:
    """Queries, mail addresses and URLs, one by one."""
    if kind == "search":
        with archive.reading() as connection:
            for text in texts(json.loads((corpus / "search" / "queries.json").read_text())):
                count.run(f"query {text!r}", lambda text=text: search.find(connection, parse(text, NOW)))
    elif kind == "mail":
        for text in texts(json.loads((corpus / "mail" / "addresses.json").read_text())):
            count.run(f"address {text!r}", lambda text=text: mail.address(text))
    else:
        for line in (corpus / "urls" / "ssrf.tsv").read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
            url = json.loads(line.split("\t")[1])
            count.run(f"URL {url!r}", lambda url=url: guard.check_url(url))


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
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    memory.frugal()  # as the daemon does
    log.configure("json")
    log.info = log.warning = lambda *_a, **_k: None
    options.add_argument("--class", dest="classes", action="append", choices=CLASSES, default=[])
    asked = options.parse_args().classes or CLASSES
    count = Count()
    with tempfile.TemporaryDirectory(prefix="hostile-") as name, ParserPool() as pool:
        corpus = Path(name) / "corpus"
        generator = [sys.executable, str(SHARED / "chaos" / "gen_hostile.py"), str(corpus)]
        large = ["--big"] if set(asked) & set(FETCHED) else []
        subprocess.run([*generator, *large], check=True, stdout=subprocess.DEVNULL)
        archive = Archive.open(f"{name}/archive.db", write=True)
        archive.be_frugal()
        feeds = Path(name) / "feeds.yaml"
        feeds.write_text("feeds: []\n")
        daemon = daemon_on(archive, pool, feeds)
        memory.give_back()
        for kind in asked:
            before, began, count.slowest = count.inputs, time.monotonic(), (0.0, "-")
            one_class(kind, corpus, daemon, pool, count)
            took = time.monotonic() - began
            at_most = f"{peak()} MB so far"
            print(
                f"{kind}: {count.inputs - before} inputs, {took:.1f} s, slowest {count.slowest[0]:.1f} s {count.slowest[1]}, {at_most}"[
                    :150
                ],
                flush=True,
            )
        count.run("the archive afterwards", lambda: whole(archive, count))
        archive.close()
    found = f"{len(count.crashes)} crashes, {len(count.hangs)} hangs, {len(count.losses)} silent losses"
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"{count.inputs} inputs, {found}; at most {peak()} MB, a parser's child {child} MB")
    if peak() > MEMORY:
        count.losses.append(f"more than {MEMORY} MB were in use")
    for line in (*count.crashes, *count.hangs, *count.losses):
        print(f"  {line}")
    sys.exit(1 if count.crashes or count.hangs or count.losses else 0)


if __name__ == "__main__":
    main()
