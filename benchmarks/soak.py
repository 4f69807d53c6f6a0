"""A day in the life of the daemon: 500 feeds, 24 hours, the clock as a parameter.

    python benchmarks/soak.py                      some minutes
    python benchmarks/soak.py --feeds 50 --hours 4

Drives `Daemon.tick` minute by minute with the real archive, parser children, tagger and relations; only the network is
a function. Prints memory and open handles by the hour, and whether any feed was asked late. The promise: memory after
6 h and after 24 h within 5 %, handles constant, nothing late.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from aggregator import log
from aggregator.app import App
from aggregator.daemon import Daemon
from aggregator.errors import FetchError
from aggregator.model import Feed, Fetched, Validators
from aggregator.parser_pool import ParserPool
from aggregator.pipeline import Parts
from aggregator.store import feeds as feed_store
from aggregator.store.archive import Archive

START = datetime(2026, 11, 21, tzinfo=UTC)
STEP = timedelta(minutes=1)
_CHOICE = random.Random(7)
WORDS = ["".join(map(chr, _CHOICE.choices(range(0x4E00, 0x8000), k=2))) for _ in range(4000)]
"""Many words, as a language has: with few, every text would be about everything."""


class Press:
    """What the servers answer: each feed brings a new entry every few hours, and one in fifty is down."""

    def __init__(self, feeds: int) -> None:
        self.feeds = [
            Feed(f"feed-{n:03}", (f"https://o{n:03}.example/feed",), f"源{n:03}", f"社{n // 3:03}", ("新闻",))
            for n in range(feeds)
        ]
        self.asked = 0

    def fetch(self, feed: Feed, url: str, validators: Validators, now: datetime) -> Fetched:
        """One answer."""
        self.asked += 1
        number = int(feed.id[5:])
        if number % 50 == 7 and random.Random(f"{feed.id}{now:%d%H}").random() < 0.3:
            raise FetchError(f"{feed.id} answers 503.", "http")
        hours = 2 + number % 7
        last = int((now - START).total_seconds() // 3600 + 100) // hours
        tag = f'"{last}"'
        if validators.etag == tag:
            return Fetched(url, 304, b"", None, validators)
        items = "".join(self.item(number, at, hours) for at in range(last, last - 15, -1))
        body = f"<rss version='2.0'><channel><title>{feed.title}</title>{items}</channel></rss>".encode()
        return Fetched(url, 200, body, "application/rss+xml", Validators(tag))

    @staticmethod
    def item(number: int, at: int, hours: int) -> str:
        """An entry that is the same whenever it is asked for."""
        chance = random.Random(f"{number}/{at}")
        when = START + timedelta(hours=at * hours - 100, minutes=chance.randrange(60))
        title = "".join(chance.choices(WORDS, k=5))
        text = "".join(f"<p>{''.join(chance.choices(WORDS, k=30))}。</p>" for _ in range(8))
        return (
            f"<item><guid>{number}-{at}</guid><title>{title}</title><pubDate>{format_datetime(when)}</pubDate>"
            f"<link>https://o{number:03}.example/{at}.html</link><description><![CDATA[{text}]]></description></item>"
        )


def memory() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def handles(pool: ParserPool) -> int:
    """Open files, sockets and pipes, less the two pipes of each parser: a busy machine has a second one now and then."""
    return len(list(Path("/proc/self/fd").iterdir())) - 2 * len(pool._idle)  # noqa: SLF001 - nothing else needs to know


def soak(feeds: int, hours: int, folder: Path) -> dict[str, object]:
    """Drive the ticks; what was measured, by the hour."""
    press, now = Press(feeds), [START]
    path = folder / "feeds.yaml"
    path.write_text("feeds: []\n")
    app = App(str(folder / "archive.db"), str(path), environ={})
    archive = Archive.open(app.url, write=True)
    with ParserPool() as pool:

        def parse(fetched, _feed, at):
            return pool.parse(fetched.body, content_type=fetched.content_type, url=fetched.url, timezone="UTC", now=at)

        parts = Parts(archive, press.fetch, parse, app.tagging(), lambda: now[0], workers=8)
        daemon = Daemon(app, parts, press.feeds)
        rows, worst, began = [], timedelta(0), time.monotonic()
        for minute in range(hours * 60 + 1):
            now[0] = START + minute * STEP
            worst = max(worst, lateness(daemon, now[0]))
            daemon.tick()
            daemon.look()
            if minute % 60 == 0 and minute:
                daemon.metrics.text()
                rows.append({"hour": minute // 60, "mb": round(memory() / 1e6, 1), "handles": handles(pool)})
                print(json.dumps(rows[-1]), flush=True)
    with archive.reading() as connection:
        articles = connection.exec_driver_sql("SELECT count(*) FROM article").scalar()
    archive.close()
    return summary(rows) | {
        "polls": press.asked, "articles": articles, "latest_s": worst.total_seconds(),
        "seconds": round(time.monotonic() - began),
    }  # fmt: skip


def lateness(daemon: Daemon, now: datetime) -> timedelta:
    """How long the feed that waits longest has been due."""
    with daemon.parts.archive.reading() as connection:
        due = [state.next_due for state in feed_store.states(connection).values() if state.next_due]
    return max((now - moment for moment in due if moment <= now), default=timedelta(0))


def summary(rows: list[dict[str, float]]) -> dict[str, object]:
    """A quarter of the time against the whole."""
    quarter, end = rows[max(len(rows) // 4 - 1, 0)], rows[-1]
    growth = end["mb"] / quarter["mb"] - 1
    settled = {row["handles"] for row in rows[len(rows) // 4 :]}
    return {"mb_quarter": quarter["mb"], "mb_end": end["mb"], "growth": round(growth, 4), "handles": sorted(settled)}


def main() -> None:
    """Run; exit status 1 when the promise is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--feeds", type=int, default=500)
    parser.add_argument("--hours", type=int, default=24)
    asked = parser.parse_args()
    log.configure("json")
    log.info = log.warning = lambda *_a, **_k: None  # a day of lines says nothing here
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        found = soak(asked.feeds, asked.hours, Path(folder))
    print(json.dumps(found))
    well = abs(found["growth"]) <= 0.05 and len(found["handles"]) == 1 and found["latest_s"] < STEP.total_seconds()
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
