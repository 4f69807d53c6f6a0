"""Copy an archive of many articles from SQLite to PostgreSQL and back; then ask both the same, newest first.

    python benchmarks/moving.py [--articles 100000]

The texts are made of the words of this file's own little lexicon. Printed: seconds and articles per second both ways,
whether the checksums of all tables are equal, sizes, and for some queries the median of newest-first pages on both.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aggregator.model import Article
from aggregator.query import parse
from aggregator.store import articles, search, transfer
from aggregator.store.archive import Archive
from tests.postgres import MISSING, start

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


def texts(count: int) -> list[tuple[str, str]]:
    """Titles and texts of about 600 characters, a third of them English."""
    chance = random.Random(3)
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
    """Fill, copy, copy back, compare, ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=int, default=100_000)
    count = parser.parse_args().articles
    server = start()
    if server is None:
        sys.exit(MISSING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(Archive.open(str(folder / "a.db"), write=True)) as first:
            began = time.monotonic()
            fill(first, count)
            print(f"{count:,} articles stored in {time.monotonic() - began:.0f} s, {first.size() / 1e6:.0f} MB")
            with (
                closing(Archive.target(server.empty())) as second,
                closing(Archive.target(str(folder / "b.db"))) as third,
            ):
                there = _timed("SQLite to PostgreSQL", count, first, second)
                back = _timed("PostgreSQL to SQLite", count, second, third)
                print(f"PostgreSQL holds {second.size() / 1e6:.0f} MB, the copy back {third.size() / 1e6:.0f} MB")
                print(f"checksums of {len(there)} tables: {'equal' if there == back else 'DIFFERENT'}")
                for query in QUERIES:
                    _ask(query, first, second)
    server.stop()


def _timed(what: str, count: int, source: Archive, target: Archive) -> dict[str, transfer.Sum]:
    began = time.monotonic()
    found = transfer.copy(source, target, lambda _line: None)
    took = time.monotonic() - began
    print(f"{what}: {took:.0f} s, {count / took:.0f} articles/s", flush=True)
    return found


def _ask(query: str, *archives: Archive) -> None:
    """The median of seven pages on each, in milliseconds; both must give the same articles."""
    tree, answers, cells = parse(query, NOW), [], []
    for archive in archives:
        took = []
        for _ in range(7):
            with archive.reading() as connection:
                began = time.perf_counter()
                found = search.find(connection, tree, limit=20, count=False)
                took.append(time.perf_counter() - began)
        answers.append(found.ids)
        cells.append(f"{statistics.median(took) * 1000:.1f} ms")
    print(f"{query}: SQLite {cells[0]}, PostgreSQL {cells[1]}, {'same' if answers[0] == answers[1] else 'DIFFERENT'}")


if __name__ == "__main__":
    main()
