"""Search at size: how large the index is, how fast it is built and asked, and a fuzz run.

    python benchmarks/search.py speed --docs corpus.jsonl [--count 100000] [--archive file.db] [--step 86]
    python benchmarks/search.py fuzz --docs corpus.jsonl [--queries 20000]

`corpus.jsonl` has one {"title", "text"} a line (`shared/bench/workload.py docs -n 100000 > corpus.jsonl`); a file
that is too short is read again. `--step` is the mean number of seconds between two articles: 86 is 1,000 a day.
An archive that exists is asked as it is. Latencies are milliseconds of CPU in process, best of three, 30 queries of each kind drawn from
the texts; `page` is the newest 20, `count` the page and the number of all matches, `rank` the best 20 of the newest
5,000.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import quantiles

import sqlalchemy as sa

from aggregator import terms
from aggregator.errors import QueryError
from aggregator.query import parse
from aggregator.store import lookup, search
from aggregator.store.archive import Archive
from aggregator.store.docids import Docids
from aggregator.store.schema import article

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
SINCE = datetime(2021, 1, 1, tzinfo=UTC)
TABLES = "name LIKE 'article_fts%' OR name LIKE 'article_word%' OR name LIKE '%autoindex_article_word%' OR name IN ('article_slot', 'article_traditional')"


def documents(path: Path) -> Iterator[tuple[str, str]]:
    """Titles and texts without end."""
    while True:
        with path.open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                yield row["title"], row["text"]


def build(archive: Archive, path: Path, count: int, step: float) -> int:
    """Fill an archive; bytes of text. Prints documents per CPU second of the index alone."""
    chance, when, size, spent = random.Random(1), SINCE, 0, 0.0
    source = islice(documents(path), count)
    while batch := list(islice(source, 500)):
        dates = []
        for _doc in batch:
            when += timedelta(seconds=chance.expovariate(1 / step))
            dates.append(when)
        with archive.writing() as connection:
            docids = Docids(connection).allocate([int((date - EPOCH).total_seconds()) for date in dates])
            rows = [
                {
                    "docid": docid, "feed": f"f{docid % 20}", "outlet": f"外电{docid % 20}", "lang": "zh", "content_key": "",
                    "first_seen": date, "published": date, "title": title, "text": text, "html": b"", "categories": [], "extra": {},
                }
                for docid, date, (title, text) in zip(docids, dates, batch, strict=True)
            ]  # fmt: skip
            connection.execute(sa.insert(article), rows)
            start = time.process_time()
            search.index(connection, [(row["docid"], row["title"], row["text"]) for row in rows])
            spent += time.process_time() - start
        size += sum(len((title + text).encode()) for title, text in batch)
    print(f"{count:,} articles, {size / 1e6:,.0f} MB of text, indexed at {count / spent:,.0f} documents/CPU-s")
    return size


def index_size(archive: Archive) -> int:
    """Bytes of the pages of the index and everything that belongs to it."""
    with archive.reading() as connection:
        return int(connection.exec_driver_sql(f"SELECT sum(pgsize) FROM dbstat WHERE {TABLES}").scalar_one())


def kinds(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Queries drawn from articles spread over the archive."""
    chance = random.Random(7)
    last = connection.execute("SELECT max(docid) FROM article").fetchone()[0]
    first = connection.execute("SELECT min(docid) FROM article").fetchone()[0]

    def run(length: int) -> str:
        while True:
            at = chance.randrange(first, last)
            sql = "SELECT title, text FROM article WHERE docid >= ? ORDER BY docid LIMIT 1"
            found = [
                piece
                for piece in re.findall("[\u4e00-\u9fff]+", terms.document(*connection.execute(sql, (at,)).fetchone()))
                if len(piece) >= length
            ]
            if found:
                piece = chance.choice(found)
                start = chance.randrange(len(piece) - length + 1)
                return piece[start : start + length]

    def across(length: int) -> str:
        """A piece of a text on both sides of a comma or full stop, as a phrase."""
        sql = "SELECT title, text FROM article WHERE docid >= ? ORDER BY docid LIMIT 1"
        while True:
            text = terms.document(*connection.execute(sql, (chance.randrange(first, last),)).fetchone())
            if found := re.findall(f"[\u4e00-\u9fff]{{{length}}}[，。、][\u4e00-\u9fff]{{{length}}}", text):
                return f'"{chance.choice(found)}"'

    makers: dict[str, Callable[[], str]] = {
        "1 character": lambda: run(1),
        "2 characters": lambda: run(2),
        "3 characters": lambda: run(3),
        "4 characters": lambda: run(4),
        "8 characters": lambda: run(8),
        "phrase 2，2": lambda: across(2),
        "phrase 4，4": lambda: across(4),
        "2 AND 2": lambda: f"{run(2)} {run(2)}",
        "2 OR 2": lambda: f"{run(2)} OR {run(2)}",
        "2 NOT 2": lambda: f"{run(2)} -{run(2)}",
        "title:2": lambda: f"title:{run(2)}",
        "outlet: 2": lambda: f"outlet:外电3 {run(2)}",
        "lang: 2": lambda: f"lang:zh {run(2)}",
        "since: 2": lambda: f"since:2021-02 {run(2)}",
        "until: 2": lambda: f"until:2021-02 {run(2)}",
        "number": lambda: str(chance.randrange(1, 900)),
    }
    return {kind: [make() for _number in range(30)] for kind, make in makers.items()}


def p95(connection: sqlite3.Connection, queries: list[str], **options: bool) -> tuple[float, float]:
    """Median and 95th percentile of the best of three, in milliseconds of CPU: the pages asked for are in memory by then."""
    spent = []
    for query in queries:
        tree = parse(query, NOW)
        best = float("inf")
        for _round in range(3):
            start = time.process_time()
            lookup.find(connection, tree, **options)
            best = min(best, time.process_time() - start)
        spent.append(best * 1000)
    marks = quantiles(spent, n=20)
    return marks[9], marks[18]


def speed(options: argparse.Namespace) -> None:
    """The table of latencies and sizes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(options.archive or f"{folder}/archive.db")
        fresh = not path.exists()
        archive = Archive.open(str(path), write=fresh)
        if fresh:
            text = build(archive, options.docs, options.count, options.step)
            print(f"index {index_size(archive) / text:.3f} of the text", end=", ")
            with archive.writing() as connection:
                search.optimize(connection)
            print(f"after optimizing {index_size(archive) / text:.3f}")
        archive.close()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA cache_size=-65536")
            print("| query | page p50 / p95 ms | count p50 / p95 | rank p50 / p95 |\n| --- | --- | --- | --- |")
            for kind, queries in kinds(connection).items():
                cells = [
                    p95(connection, queries, **choice)
                    for choice in ({"count": False}, {"count": True}, {"count": False, "rank": True})
                ]
                print(
                    f"| {kind} | " + " | ".join(f"{half:.2f} / {most:.2f}" for half, most in cells) + " |", flush=True
                )


def fuzz(options: argparse.Namespace) -> None:
    """Queries made of the language's own signs and pieces of texts: results or a QueryError, nothing else."""
    chance = random.Random(options.seed)
    docs = list(islice(documents(options.docs), 300))
    signs = [
        *"\"()-:*^'%_{}[]+~\\/,;.!?",
        "OR",
        "AND",
        "NOT",
        "NEAR(",
        "title:",
        "outlet:",
        "clause:",
        "story:1",
        "saved:",
        "saved:x",
        "since:7d",
        "until:",
        "--",
        "\x00",
        "\ud800",
        "\u202e",
        "😀",
        "é",
        "rowid:",
        "article_fts",
        "\u3000",
        "\n",
    ]
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive.open(f"{folder}/fuzz.db", write=True)
        with archive.writing() as connection:
            docids = Docids(connection).allocate([700_000_000] * len(docs))
            rows = [
                {
                    "docid": docid,
                    "feed": "f",
                    "outlet": "o",
                    "content_key": "",
                    "first_seen": NOW,
                    "title": title,
                    "text": text,
                    "html": b"",
                    "categories": [],
                    "extra": {},
                }
                for docid, (title, text) in zip(docids, docs, strict=True)
            ]
            connection.execute(sa.insert(article), rows)
            search.index(connection, [(row["docid"], row["title"], row["text"]) for row in rows])
        with archive.reading() as connection:
            for _number in range(options.queries):
                query = "".join(_part(chance, docs, signs) for _part_number in range(chance.randrange(1, 9)))
                try:
                    search.find(connection, parse(query, NOW), rank=chance.random() < 0.2)
                except QueryError:
                    refused += 1
            print(
                f"{options.queries:,} queries: {options.queries - refused:,} gave results, {refused:,} a QueryError, none anything else"
            )
            print(f"index afterwards: {search.verify(connection) or 'sound'}")
        archive.close()


def _part(chance: random.Random, docs: list[tuple[str, str]], signs: list[str]) -> str:
    if chance.random() < 0.45:
        return chance.choice(signs) + chance.choice(("", " "))
    text = chance.choice(docs)[1]
    at = chance.randrange(len(text))
    return text[at : at + chance.randrange(1, 7)] + chance.choice(("", " "))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("speed", speed), ("fuzz", fuzz)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--docs", type=Path, required=True)
        command.add_argument("--count", type=int, default=100_000)
        command.add_argument("--archive")
        command.add_argument("--step", type=float, default=86.0)
        command.add_argument("--queries", type=int, default=20_000)
        command.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
