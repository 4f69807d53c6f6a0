"""Polls every behaviour of the chaos server several times, with the real parts, and prints what became of each.

    python tests/chaos.py CHAOS-FOLDER WORK-FOLDER ARCHIVE…    (the shim of CHAOS-FOLDER on PYTHONPATH, FAKENET set)

The first archive is polled by all feeds; each sequence has one of the others.

A script of its own because the shim has to be there before Python starts, and so that its memory can be measured.
"""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import time
import urllib.parse
import zlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aggregator import pipeline
from aggregator.fetch import Fetcher, NetworkPolicy
from aggregator.model import Feed, Tags
from aggregator.parser_pool import ParserPool
from aggregator.store import feeds as feed_store
from aggregator.store.archive import Archive

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
TIMEOUT = 3.0
# One round is one poll of every feed. The second comes before any Retry-After has passed, the last ones on later
# days, so that permanent redirects can settle; six reach the end of every sequence.
ROUNDS = tuple(
    START + gone for gone in (timedelta(0), timedelta(minutes=1), *(timedelta(hours=9 * n) for n in range(1, 6)))
)
SLOW = ("slow", "endless", "bomb", "big")
"""Behaviours that cost time or memory and show all they have in the first round."""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bombs(folder: Path) -> None:
    """1 GiB of blanks in a feed, in each encoding, from one MiB that is repeated inside the compressed stream."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, bits in (("gzip", 31), ("deflate", 15), ("rawdeflate", -15)):
        engine = zlib.compressobj(9, zlib.DEFLATED, bits)
        head = engine.compress(b"<rss><channel><title>") + engine.flush(zlib.Z_FULL_FLUSH)
        piece = engine.compress(b" " * (1 << 20)) + engine.flush(zlib.Z_FULL_FLUSH)
        (folder / f"{name}_1GB.bin").write_bytes(head + piece * 1024)
    packed = (folder / "gzip_1GB.bin").read_bytes()
    for name in ("gzip_gzip_1GB.bin", "gzip_x20.bin", "br_1GB.bin", "zstd_1GB.bin"):
        (folder / name).write_bytes(zlib.compress(packed, 9, 31))


def peak() -> int:
    """The most memory this process has held so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Server:
    """The chaos server as a child."""

    def __init__(self, chaos: Path, corpus: Path) -> None:
        self.port, self.canary = free_port(), free_port()
        command = [
            sys.executable,
            str(chaos / "chaos_server.py"),
            "--port",
            str(self.port),
            "--canary-port",
            str(self.canary),
        ]
        self.process = subprocess.Popen(
            [*command, "--corpus", str(corpus), "--max-seconds", "60"], stdout=subprocess.PIPE
        )
        assert b"ready" in self.process.stdout.readline()
        self.fetcher = Fetcher(NetworkPolicy(allow=frozenset({f"127.0.0.1:{self.port}"})))

    def ask(self, path: str) -> dict:
        """One of its own reports."""
        url = f"http://127.0.0.1:{self.port}{path}"
        return json.loads(self.fetcher.fetch(url, timeout=timedelta(seconds=30), max_size=10**8, now=START).body)

    def close(self) -> None:
        """End it."""
        self.fetcher.close()
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


class Run:
    """All rounds over one archive."""

    def __init__(self, server: Server, archive: str) -> None:
        self.now = START
        self.took: dict[str, float] = {}
        self.fetcher = Fetcher(NetworkPolicy(allow=frozenset({f"127.0.0.1:{server.port}"})))
        self.parser = ParserPool(cpu=5)
        self.parts = pipeline.Parts(
            Archive.open(archive, write=True), self.fetch, self.parse, lambda _: Tags(), lambda: self.now, workers=16
        )

    def fetch(self, feed, url, validators, now):
        """The real fetch, timed."""
        begin = time.monotonic()
        try:
            return self.fetcher.fetch(url, validators, timeout=feed.timeout, max_size=feed.max_size, now=now)
        finally:
            self.took[feed.id] = max(time.monotonic() - begin, self.took.get(feed.id, 0))

    def parse(self, fetched, feed, now):
        """The real parser in its child."""
        return self.parser.parse(
            fetched.body, content_type=fetched.content_type, url=fetched.url, timezone=feed.timezone, now=now
        )

    def poll(self, feeds: list[Feed], now: datetime) -> dict[str, dict]:
        """One round: reports and states by path."""
        return self.poll_with(self.parts, feeds, now)

    def poll_with(self, parts: pipeline.Parts, feeds: list[Feed], now: datetime) -> dict[str, dict]:
        """One round over an archive."""
        self.now = now
        reports = {report.feed: asdict(report) for report in pipeline.poll(feeds, parts)}
        with parts.archive.reading() as connection:
            for name, state in feed_store.states(connection).items():
                if name in reports:
                    reports[name]["state"] = asdict(state)
        return reports

    def sequences(self, feeds: list[Feed], places: Iterator[str]) -> dict[str, int]:
        """How many articles each sequence leaves in an archive of its own; the two feeds A and B share one."""
        groups: dict[str, list[Feed]] = {}
        for one in feeds:
            groups.setdefault(one.id.removesuffix("_A.xml").removesuffix("_B.xml"), []).append(one)
        counts = {}
        for name, those in groups.items():
            archive = Archive.open(next(places), write=True)
            reports = [self.poll_with(replace(self.parts, archive=archive), those, now) for now in ROUNDS]
            counts[name] = sum(report["new"] for reports_ in reports for report in reports_.values())
            archive.close()
        return counts

    def close(self) -> None:
        """Everything."""
        self.parser.close()
        self.fetcher.close()
        self.parts.archive.close()


def main() -> None:
    """Run and print one JSON object."""
    chaos, work = Path(sys.argv[1]), Path(sys.argv[2])
    corpus = work / "corpus"
    subprocess.run([sys.executable, str(chaos / "gen_hostile.py"), str(corpus)], check=True, stdout=subprocess.DEVNULL)
    bombs(corpus / "bombs")
    server = Server(chaos, corpus)
    run = Run(server, sys.argv[3])
    try:
        index = server.ask("/")["behaviours"]
        feeds = {tag: [] for tag in [behaviour["tag"] for behaviour in index]}
        for behaviour in index:
            path = behaviour["url"].split("/", 3)[3]
            feeds[behaviour["tag"]].append(feed(f"/{path}", behaviour["url"]))
        feeds["auth"].append(feed("/auth/basic+", f"http://user:pass@127.0.0.1:{server.port}/auth/basic"))
        counts = run.sequences(feeds.pop("seq"), iter(sys.argv[4:]))
        answer = rounds(run, feeds) | {"sequences": counts}
        answer["stats"] = server.ask("/_stats")
    finally:
        run.close()
        server.close()
    json.dump(answer, sys.stdout, default=str)


def feed(path: str, url: str) -> Feed:
    """A feed that is asked under a short time limit."""
    return Feed(urllib.parse.quote(path), (url,), path, "chaos", timeout=timedelta(seconds=TIMEOUT))


def rounds(run: Run, feeds: dict[str, list[Feed]]) -> dict:
    """What every round brought, how long fetching took, and how much memory the costly behaviours took."""
    cheap = [one for tag, those in feeds.items() if tag not in SLOW for one in those]
    costly = [one for tag in SLOW for one in feeds[tag]]
    reports = [run.poll(cheap, ROUNDS[0])]
    before = peak()
    reports[0] |= run.poll(costly, ROUNDS[0])
    grown = peak() - before
    reports += [run.poll(cheap, now) for now in ROUNDS[1:]]
    return {"rounds": reports, "took": run.took, "grown": grown}


if __name__ == "__main__":
    main()
