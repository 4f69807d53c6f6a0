"""Coverage-guided fuzzing (atheris) of what reads other people's bytes: each target so many seconds.

    pip install atheris
    python benchmarks/fuzz.py                      five minutes each
    python benchmarks/fuzz.py query parse --seconds 60

A target may raise only what it documents; anything else, and anything that takes longer than ten seconds, is a
finding: atheris writes the input to a file `crash-…` in the working folder, and it becomes a test.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def parse(data: bytes) -> None:
    """Feed documents to entries, and entries to articles."""
    from aggregator import normalize
    from aggregator.errors import ParseError
    from aggregator.model import Feed
    from aggregator.parse import parse_feed

    feed = Feed("f", ("https://a.example/",), "t", "o")
    try:
        found = parse_feed(data, content_type=None, url="https://a.example/", timezone="UTC", now=NOW)
    except ParseError:
        return
    for entry in found.entries:
        normalize.article(entry, feed)


def dialects(data: bytes) -> None:
    """Article files: read, and where that works, written and read again."""
    from aggregator import dialects as known
    from aggregator.errors import DialectError

    try:
        known.read(data, "a.md")
    except DialectError:
        return


def query(data: bytes) -> None:
    """Queries."""
    from aggregator.errors import QueryError
    from aggregator.query import parse as read

    try:
        read(data.decode("utf-8", "replace"), NOW)
    except QueryError:
        return


def tagger(data: bytes) -> None:
    """Texts: every piece of evidence is where it says it is."""
    text = data.decode("utf-8", "replace")
    for clause in _tagger().tags(text[:50], text, NOW).clauses:
        for one in clause.evidence:
            source = text if one.field == "text" else text[:50]
            if source[one.start : one.end] != one.quote:
                raise AssertionError(clause.clause)


_TAGGER = []


def _tagger():
    if not _TAGGER:
        from aggregator import catalogue
        from aggregator.tag import Tagger

        _TAGGER.append(Tagger(catalogue.load(())))
    return _TAGGER[0]


TARGETS: dict[str, Callable[[bytes], None]] = {"parse": parse, "dialects": dialects, "query": query, "tagger": tagger}


def fuzz(name: str, seconds: int) -> None:
    """One target in this process; ends by itself."""
    import atheris

    with atheris.instrument_imports(include=["aggregator", "feedparser"]):
        for seed in (
            b"<rss version='2.0'><channel><item><title>a</title></item></channel></rss>",
            "甲烷 AND -煤".encode(),
        ):
            TARGETS[name](seed)  # everything is imported here, instrumented
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048"], TARGETS[name])
    atheris.Fuzz()


def main() -> None:
    """Each target in a process of its own; exit status 1 when one has a finding."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", nargs="*", choices=[*TARGETS, []], default=[])
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        fuzz(asked.target[0], asked.seconds)
    bad = []
    for name in asked.target or TARGETS:
        command = [sys.executable, __file__, name, "--here", "--seconds", str(asked.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        last = [line for line in done.stderr.splitlines() if "DONE" in line or "Done" in line or "Error" in line][-2:]
        print(name, "well" if done.returncode == 0 else f"FINDING ({done.returncode})", *last, sep="  ", flush=True)
        if done.returncode:
            bad.append(name)
            print(done.stderr[-2000:], file=sys.stderr)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
