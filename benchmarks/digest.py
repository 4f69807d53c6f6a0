"""Compose digests for many subscribers with different wishes over a large archive; time, memory and statements.

    python benchmarks/digest.py [--subscribers 1000] [--articles 100000] [--period 500] [--table]

`--table` also halves each of the three, to show what the time grows with. Nothing is sent; the archive is thrown away.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from aggregator import catalogue, delivery, digest
from aggregator.digest.values import Names
from aggregator.letters import Desk
from aggregator.store import schema, subscribers
from aggregator.store.archive import Archive
from aggregator.store.docids import SLOT
from aggregator.store.subscribers import Subscriber, Wants

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
WORDS = [
    "甲烷",
    "气候",
    "合作",
    "methane",
    "climate",
    "forest",
    "coal",
    "finance",
    "summit",
    "adaptation",
    "carbon",
    "talks",
]
OUTLETS = [f"Outlet {number}" for number in range(40)]


def fill(path: str, articles: int, period: int, clauses: list[str]) -> None:
    """An archive of three years; the newest `period` articles arrived in the last day. A fifth carries tags.

    Runs in a process of its own, so that its memory is not measured.
    """
    archive = Archive.open(path, write=True)
    chance = random.Random(1)
    rows, tags = [], []
    for number in range(1, articles + 1):
        fresh = number > articles - period
        seen = NOW - (
            timedelta(seconds=(articles - number + 1) * (86000 // period))
            if fresh
            else timedelta(minutes=1440 + (articles - number) * 15)
        )
        words = chance.choices(WORDS, k=8)
        text = " ".join(chance.choices(WORDS, k=300))
        rows.append(
            {
                "id": number,
                "docid": int((seen - datetime(2000, 1, 1, tzinfo=UTC)).total_seconds()) // SLOT,
                "feed": "f",
                "outlet": chance.choice(OUTLETS),
                "url": f"https://example.org/{number}",
                "content_key": str(number),
                "lang": chance.choice(["zh", "en"]),
                "published": seen,
                "first_seen": seen,
                "categories": [],
                "extra": {},
                "title": " ".join(words),
                "text": text,
                "html": b"",
            }
        )
        if chance.random() < 0.2:
            evidence = [{"field": "text", "start": 0, "end": 120, "quote": text[:120], "rule": "r", "words": [[0, 2]]}]
            tags += [
                {
                    "article_id": number,
                    "clause": clause,
                    "agreement": clause.rpartition("/")[0],
                    "relation": "discusses",
                    "score": 0.9,
                    "catalogue": "1",
                    "evidence": evidence,
                }
                for clause in chance.sample(clauses, 3)
            ]
    with archive.writing() as connection:
        for table, every in ((schema.article, rows), (schema.clause_tag, tags)):
            for start in range(0, len(every), 5000):
                connection.execute(sa.insert(table), every[start : start + 5000])


def wishes(number: int, clauses: list[str]) -> Wants:
    """Every subscriber wants something else."""
    chance = random.Random(number)
    kind = number % 5
    return Wants(
        agreements=(chance.choice(clauses).rpartition("/")[0],) if kind == 0 else (),
        clauses=tuple(chance.sample(clauses, 4)) if kind == 1 else (),
        outlets=tuple(chance.sample(OUTLETS, 6)) if kind == 2 else (),
        lang=chance.choice(["zh", "en"]) if kind == 3 else None,
        query=f"{chance.choice(WORDS)} -{chance.choice(WORDS)}x" if kind in (3, 4) else "",
    )


def measure(count: int, articles: int, period: int) -> tuple[float, float, int]:
    """Seconds, seconds of CPU and mails for composing and writing down everybody's digest."""
    known = catalogue.load()
    names = Names(
        {one.id: one.name for one in known.agreements},
        {c.id: c.title for one in known.agreements for c in one.clauses},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "archive.db")
        filling = multiprocessing.get_context("spawn").Process(
            target=fill, args=(path, articles, period, list(names.clauses))
        )
        filling.start()
        filling.join()
        archive = Archive.open(path, write=True)
        desk = Desk(archive, digest.Renderer(), "desk@example.org", lambda: NOW, names=names, catalogue="1")
        yesterday = NOW - timedelta(days=1)
        with archive.writing() as connection:
            for number in range(count):
                subscribers.add(
                    connection,
                    Subscriber(
                        0,
                        f"r{number}@example.org",
                        "daily 08:00",
                        "UTC",
                        "zh" if number % 2 else "en",
                        wishes(number, list(names.clauses)),
                        False,
                        "active",
                        "",
                        "",
                        yesterday,
                        yesterday,
                        yesterday,
                        articles - period,
                    ),
                )
        # The records of clauses are kept up to date day by day; they are not part of one morning's work.
        with archive.writing() as connection:
            from aggregator.store import period as periods

            periods.records(connection, articles - period, "1")
        wall, cpu = time.perf_counter(), time.process_time()
        written = delivery.write_due(desk, NOW).written
        spent = time.perf_counter() - wall, time.process_time() - cpu
        archive.close()
    return *spent, written


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--articles", type=int, default=100_000)
    parser.add_argument("--period", type=int, default=500)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    base = (given.subscribers, given.articles, given.period)
    cases = [base]
    if given.table:
        cases += [(base[0] // 2, *base[1:]), (base[0], base[1] // 4, base[2]), (*base[:2], base[2] // 2)]
    print("subscribers  articles  period   seconds  CPU  mails  ms a mail  peak MB")
    for case in cases:
        wall, cpu, written = measure(*case)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{case[0]:11} {case[1]:9} {case[2]:7} {wall:9.1f} {cpu:4.1f} {written:6} {1000 * wall / max(written, 1):10.1f} {peak:8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
