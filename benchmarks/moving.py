"""Copy an archive of many articles from SQLite to PostgreSQL and back; then ask both the same, newest first.

    python benchmarks/moving.py [--articles 100000]

The texts are made of the words of this file's own little lexicon. `aggregator archive copy` runs as a process; the one
to PostgreSQL is killed about half-way and given again. Printed: seconds, articles per second and the most memory of
each, whether the checksums of all tables are equal, sizes, for some queries the CPU of a newest-first page on both, and
what a new article and a poll without news cost on PostgreSQL at that size (`benchmarks/scale.py`).
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aggregator.model import Article
from aggregator.query import parse
from aggregator.store import articles, search
from aggregator.store.archive import Archive
from tests.postgres import MISSING, Server, start

PAGES = 50
ROOT = Path(__file__).resolve().parent.parent
NOW = datetime(2026, 11, 21, tzinfo=UTC)
ZH = [
    "气候",
    "变化",
    "甲烷",
    "排放",
    "合作",
    "协议",
    "会谈",
    "代表团",
    "森林",
    "能源",
    "煤炭",
    "电力",
    "市场",
    "政策",
    "数据",
    "报告",
    "专家",
    "研究",
    "城市",
    "海洋",
    "北京",
    "华盛顿",
    "双方",
    "宣布",
    "声明",
    "目标",
]
EN = [
    "methane",
    "climate",
    "talks",
    "pledge",
    "forest",
    "energy",
    "coal",
    "power",
    "market",
    "policy",
    "data",
    "report",
    "experts",
    "study",
    "city",
    "ocean",
    "statement",
    "goal",
]
QUERIES = ("甲烷", "气候变化", "methane", "能源 市场", "thane", "代表团合作")


def texts(count: int, seed: int = 3) -> list[tuple[str, str]]:
    """Titles and texts of about 600 characters, a third of them English."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        words, gap = (EN, " ") if number % 3 == 0 else (ZH, "")
        body = "\n".join(gap.join(chance.choices(words, k=24)) + f" {number % 997}." for _ in range(9))
        found.append((gap.join(chance.choices(words, k=6)), body))
    return found


def fill(archive: Archive, count: int) -> None:
    """Store that many articles, ten minutes apart."""
    every = texts(count)
    for begin in range(0, count, 5000):
        with archive.writing() as connection:
            waiting = articles.Texts()
            batch = [
                (
                    Article(
                        title=title, html=f"<p>{text}</p>", text=text, feed=f"f{n % 500}", outlet=f"O{n % 200}",
                        guid=str(n), url=f"https://o.example/{n}", lang="en" if n % 3 == 0 else "zh",
                        published=NOW - timedelta(minutes=10 * (count - n)),
                    ),
                    f"{n:032x}",
                )
                for n, (title, text) in enumerate(every[begin : begin + 5000], begin)
            ]  # fmt: skip
            articles.add(connection, batch, NOW, waiting)
            waiting.write(connection)


def main() -> None:
    """Fill, copy, copy back, compare, ask, grow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=int, default=100_000)
    count = parser.parse_args().articles
    server = start()
    if server is None:
        sys.exit(MISSING)
    try:
        with tempfile.TemporaryDirectory() as name:
            _measure(count, server, Path(name))
    finally:
        server.stop()


def _measure(count: int, server: Server, folder: Path) -> None:
    from benchmarks.scale import PER_FEED, measure

    one, other, back = str(folder / "a.db"), server.empty(), str(folder / "b.db")
    with closing(Archive.open(one, write=True)) as first:
        began = time.monotonic()
        fill(first, count)
        print(
            f"{count:,} articles stored in {time.monotonic() - began:.0f} s, {first.size() / 1e6:.0f} MB", flush=True
        )
    _copied("SQLite to PostgreSQL, killed on the way", count, one, other, until=count // 2)
    there = _copied("SQLite to PostgreSQL, the rest", count, one, other)
    again = _copied("PostgreSQL to SQLite", count, other, back)
    print(f"checksums of {len(there)} tables: {'equal' if there and there == again else 'DIFFERENT'}", flush=True)
    with closing(Archive.open(one)) as first, closing(Archive.open(other, write=True)) as second:
        print(f"PostgreSQL holds {second.size() / 1e6:.0f} MB")
        for query in QUERIES:
            _ask(server, query, first, second)
        cost = measure(second, server, 10 * PER_FEED, 1)
        print(f"with {count:,} articles: a new one {cost.article:.1f} ms, a poll without news {cost.poll:.2f} ms")


def _copied(what: str, count: int, source: str, target: str, until: int | None = None) -> list[str]:
    """One `archive copy`, killed when so many articles are over, if any; its lines of checksums."""
    command = [sys.executable, "-m", "aggregator", "archive", "copy", source, target]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    said, done, memory = "", count, 0
    for line in process.stderr:
        memory = max(memory, _memory(process.pid))
        if reached := re.match(r"article: ([0-9,]+) rows", line):
            said, done = line.strip(), int(reached[1].replace(",", ""))
            if until is not None and done >= until:
                process.kill()
                break
    lines = process.stdout.read().splitlines()
    process.wait()
    took = time.monotonic() - began
    rate = done / took
    print(f"{what}: {took:.0f} s, {rate:.0f} articles/s, {memory} MB at most ({said})", flush=True)
    return lines


def _memory(pid: int) -> int:
    """The most megabytes that a process has held so far; 0 when it is over."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) // 1024 if found else 0


def _ask(server: Server, query: str, *archives: Archive) -> None:
    """A page on each; the articles must be the same."""
    (one, ids), (other, same) = (page(server, query, archive) for archive in archives)
    print(f"{query}: SQLite {one:.1f} ms, PostgreSQL {other:.1f} ms, {'same' if ids == same else 'DIFFERENT'}")


def page(server: Server, query: str, archive: Archive) -> tuple[float, tuple[int, ...]]:
    """Milliseconds of CPU for the newest twenty, PostgreSQL's included, over PAGES times; and their ids."""
    from benchmarks.workers import cpu

    tree = parse(query, NOW)
    with archive.reading() as connection:
        search.find(connection, tree, limit=20, count=False)
        before = time.process_time() + cpu(server)
        for _ in range(PAGES):
            found = search.find(connection, tree, limit=20, count=False)
        spent = time.process_time() + cpu(server) - before
    return spent / PAGES * 1000, tuple(found.ids)


if __name__ == "__main__":
    main()
