"""What one article and one poll cost on PostgreSQL, and a simulation of the scheduler from that.

    python benchmarks/scale.py [--articles 1000] [--rows 100000]

Measured, in CPU milliseconds of the worker and of PostgreSQL together: admitting a new article (decide, store, index,
tag, relate; twenty a feed, a transaction each), the state of a poll that brought nothing, and a tick's look at what is
due among so many feeds. Simulated: feeds come due at their intervals, a third of them on hosts with fifty feeds each; fetches
take half a second on average and are as many at once as there are threads; what they bring is taken in one after the other.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aggregator import catalogue, pipeline, turn
from aggregator.model import Article, Feed, FeedState, PollStatus
from aggregator.store import feeds as feed_store
from aggregator.store.archive import Archive
from aggregator.tag import Tagger
from benchmarks.moving import texts
from benchmarks.workers import cpu
from tests.postgres import MISSING, Server, start

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PER_FEED = 20


@dataclass(frozen=True)
class Cost:
    """Milliseconds: a new article, a poll that brought nothing, a look at what is due."""

    article: float
    poll: float
    tick: float


def measure(archive: Archive, server: Server, count: int, rows: int, seed: int = 4) -> Cost:
    """The three costs, by CPU."""
    tagger = Tagger(catalogue.load(()))
    parts = pipeline.Parts(
        archive, None, None, lambda one: tagger.tags(one.title, one.text, one.published), lambda: NOW
    )
    tagger.tags("warm", "up", None)
    brought = []
    for n, (title, text) in enumerate(texts(count, seed)):
        feed = Feed(f"n{n // PER_FEED}", (f"https://h{n // PER_FEED}.example/",), "F", f"O{n // PER_FEED % 200}")
        one = Article(
            title=title, html=f"<p>{text}</p>", text=text, feed=feed.id, outlet=feed.outlet, guid=f"{seed}-{n}",
            published=NOW - timedelta(minutes=n),
        )  # fmt: skip
        if n % PER_FEED == 0:
            brought.append((feed, []))
        brought[-1][1].append(one)
    outcome = turn.Outcome(PollStatus.OK, body_sha256="x")
    full = [pipeline.Brought(feed, FeedState(feed.id), outcome, tuple(found)) for feed, found in brought]
    empty = [pipeline.Brought(feed, FeedState(feed.id), turn.Outcome(PollStatus.UNCHANGED)) for feed, _ in brought]
    pipeline.take_in(full[:1], parts)
    article = _spent(server, lambda: [pipeline.take_in([one], parts) for one in full[1:]]) / (count - PER_FEED)
    poll = _spent(server, lambda: [pipeline.take_in([one], parts) for one in empty * 4]) / (4 * len(empty))
    with archive.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO feed(id, next_due, last_poll) SELECT 'x' || n, %s::timestamptz + n * interval '1 second', %s"
            " FROM generate_series(1, %s) n ON CONFLICT DO NOTHING",
            (NOW, NOW, rows),
        )
    tick = _spent(server, lambda: _look(archive)) / 3
    return Cost(article * 1000, poll * 1000, tick * 1000)


def _look(archive: Archive) -> None:
    for _ in range(3):
        with archive.reading() as connection:
            feed_store.waiting(connection, NOW + timedelta(seconds=5))


def _spent(server: Server, work) -> float:
    before = time.process_time() + cpu(server)
    work()
    return time.process_time() + cpu(server) - before


def simulate(
    count: int, hours: float, new: float, threads: int, cost: Cost, seed: int = 1
) -> tuple[float, float, float, float]:
    """One hour with so many feeds, polled every `hours`, that bring `new` articles each day.

    Gives polls a second, the writer's share of the hour, and the median and 99th percentile of the seconds from being
    due to being in the archive.
    """
    chance = random.Random(seed)
    due = sorted(chance.uniform(0, 3600) for _ in range(int(count / hours)))
    free = [0.0] * threads
    hosts: dict[int, float] = defaultdict(float)
    arrivals = []
    for at in due:
        host = -chance.randrange(max(count // 50, 1)) if chance.random() < 0.3 else chance.randrange(count)
        begin = max(at, hosts[host], heapq.heappop(free))
        end = begin + min(chance.lognormvariate(-1.0, 0.8), 20)
        hosts[host] = end + 1.0
        heapq.heappush(free, end)
        arrivals.append((end, at))
    arrivals.sort()
    clock = busy = 0.0
    lags = []
    mean = new * hours / 24
    for end, at in arrivals:
        found = sum(1 for _ in range(3) if chance.random() < mean / 3)
        work = (cost.poll + found * cost.article) / 1000
        clock = max(clock, end) + work
        busy += work
        lags.append(clock - at)
    lags.sort()
    return len(due) / 3600, busy / 3600, lags[len(lags) // 2], lags[int(len(lags) * 0.99)]


def main() -> None:
    """Measure, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    server = start()
    if server is None:
        sys.exit(MISSING)
    with closing(Archive.open(server.database(), write=True)) as archive:
        cost = measure(archive, server, options.articles, options.rows)
    server.stop()
    print(f"new article {cost.article:.1f} ms, poll without news {cost.poll:.1f} ms,", end=" ")
    print(f"a look at {options.rows:,} feeds {cost.tick:.0f} ms")
    print("| feeds | threads | polls/s | writer busy | median lag | 99 % lag |\n|---|---|---|---|---|---|")
    for count, threads in ((1_000, 8), (10_000, 8), (30_000, 16), (100_000, 64), (300_000, 192), (1_000_000, 640)):
        polls, busy, median, late = simulate(count, 1.0, 6.0, threads, cost)
        print(f"| {count:,} | {threads} | {polls:.0f} | {busy:.0%} | {median:.1f} s | {late:.0f} s |")


if __name__ == "__main__":
    main()
