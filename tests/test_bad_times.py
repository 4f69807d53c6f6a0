"""Bad times for the archive and the clock: a lock, a full disk, jumps, and the daemon through all of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest
import sqlalchemy as sa

from aggregator import clockwork, pipeline, turn
from aggregator.app import App, now
from aggregator.daemon import Daemon
from aggregator.errors import ArchiveFull, FetchError
from aggregator.jobs import Job, Runner
from aggregator.model import Document, Feed, FeedState, Fetched, Tags, Validators
from aggregator.parse import parse_feed
from aggregator.query import parse
from aggregator.store import feeds as feed_store
from aggregator.store import search
from aggregator.store.archive import Archive
from aggregator.store.schema import article

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
FEED = Feed("front", ("https://one.example/feed",), "头版", "港城日报")


class Press:
    """One feed that brings a new entry at each request, and a clock that can be set."""

    def __init__(self, archive: str, folder: Path) -> None:
        (folder / "feeds.yaml").write_text("feeds: []\n")
        self.archive = Archive.open(archive, write=True)
        self.now = START
        self.shown = 0
        self.size = 100
        self.broken: Exception | None = None
        app = App(archive, str(folder / "feeds.yaml"), environ={})
        parts = pipeline.Parts(self.archive, self.fetch, self.parse, lambda _: Tags(), lambda: self.now)
        self.daemon = Daemon(app, parts, [FEED])

    def fetch(self, feed: Feed, url: str, _validators: Validators, now: datetime) -> Fetched:
        """Everything so far."""
        if self.broken:
            raise self.broken
        self.shown += 1
        items = "".join(
            f"<item><guid>{n}</guid><title>第{n}篇</title><link>https://one.example/{n}</link>"
            f"<description>{chr(0x4E00 + n) * self.size}</description></item>"
            for n in range(self.shown, 0, -1)
        )
        return Fetched(url, 200, f"<rss version='2.0'><channel>{items}</channel></rss>".encode())

    @staticmethod
    def parse(fetched: Fetched, feed: Feed, now: datetime) -> Document:
        """As in a child."""
        return parse_feed(fetched.body, content_type=None, url=fetched.url, timezone="UTC", now=now)

    def articles(self) -> int:
        """How many are stored."""
        with self.archive.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(article))

    def state(self) -> FeedState:
        """What is remembered of the feed."""
        with self.archive.reading() as connection:
            return feed_store.states(connection)["front"]


@pytest.fixture
def press(tmp_path: Path, archive_url: str) -> Press:
    """A press over an empty archive."""
    return Press(archive_url, tmp_path)


def test_a_lock_held_for_half_a_minute_is_waited_for(press: Press) -> None:
    """Another process keeps the archive locked for 30 s (PostgreSQL: 5): the poll waits, stores, and loses nothing."""
    code = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); time.sleep(30); c.execute('ROLLBACK')"
        if press.archive.path
        else "import sys, time; from aggregator.store.archive import Archive\n"
        "with Archive.open(sys.argv[1]).writing(): print('locked', flush=True); time.sleep(5)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, press.daemon.app.url], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        [report] = press.daemon.tick()
        assert (report.new, press.articles()) == (1, 1)
        assert other.wait() == 0


@pytest.mark.databases("sqlite")  # PostgreSQL says it in one place: tests/test_workers.py
def test_a_full_disk_stops_polling_and_nothing_else(press: Press) -> None:
    """SQLite says FULL: nothing is lost or half stored, searches are answered, and with room it goes on."""
    press.daemon.tick()
    pages = press.archive.path and press.archive.path.stat().st_size // 4096
    limit = [pages]
    sa.event.listen(
        press.archive._engine, "checkout", lambda raw, *_: raw.execute(f"PRAGMA max_page_count={limit[0]}").close()
    )
    press.size, press.now = 200_000, START + timedelta(hours=2)
    runner = Runner(Job("poll", press.daemon.tick, 0, 60), press.daemon.failed)
    runner()
    assert press.daemon.paused is not None
    assert "the disk of" in press.daemon.paused
    assert press.articles() == 1
    with press.archive.reading() as connection:
        assert search.find(connection, parse("第1篇", START)).total == 1
    assert [trouble.key for trouble in press.daemon.look().begun] == ["disk-full"]
    limit[0] = 10_000_000
    press.archive._engine.dispose()
    press.now += timedelta(hours=2)
    press.daemon.tick()
    assert press.daemon.paused is None
    assert press.articles() == press.shown


@pytest.mark.databases("sqlite")  # as above
def test_a_full_disk_is_named(press: Press) -> None:
    """The error says which archive and what to do."""

    def fill() -> None:
        with press.archive.writing() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=1")
            rows = [{"k": str(number), "s": "x" * 5000} for number in range(2000)]
            connection.execute(sa.text("INSERT INTO alarm VALUES(:k, :s, 'x')"), rows)

    with pytest.raises(ArchiveFull, match=r"archive\.db is full; nothing was written, make room"):
        fill()


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(days=1), timedelta(days=-3650), timedelta(days=3650)])
def test_a_clock_that_jumps_neither_floods_nor_silences(press: Press, jump: timedelta) -> None:
    """Half an hour after the jump each feed has been asked again, once; and so on when the clock is right again."""
    press.daemon.tick()
    for right in (START + jump, START + timedelta(hours=1)):
        asked = press.shown
        for minute in range(0, 40, 5):
            press.now = right + timedelta(minutes=minute)
            press.daemon.tick()
        assert 1 <= press.shown - asked <= 3
    assert press.articles() == press.shown


def test_jobs_after_a_jump_over_decades() -> None:
    """A job that was due in 1970 has a turn at once, not one for each that was missed, and can be stopped."""
    turns: list[float] = []
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)
    jobs = clockwork.scheduler([("poll", 60.0, lambda: turns.append(time.monotonic()))], long_ago)
    jobs.start()
    for _ in range(300):
        if turns:
            break
        time.sleep(0.1)
    [job] = jobs.get_jobs()
    jobs.shutdown()
    assert len(turns) == 1
    assert timedelta(seconds=-60) < job.next_run_time - now() <= timedelta(seconds=60)


def test_retry_after_noted_by_a_wrong_clock_is_no_sentence_for_life(press: Press) -> None:
    """Noted in 2036, it holds up nothing in 2026."""
    press.now = START + timedelta(days=3650)
    press.broken = FetchError("one.example is busy.", "http", code=429, retry_after=timedelta(hours=2))
    press.daemon.tick()
    press.now, press.broken = START, None
    press.daemon.tick()
    assert press.articles() == 1


def test_a_day_asleep_is_one_poll(press: Press) -> None:
    """After a suspend everything overdue is due once."""
    press.daemon.tick()
    press.now += timedelta(days=1)
    press.daemon.tick()
    press.daemon.tick()
    assert press.shown == 2


def test_due_times_far_ahead_mean_a_clock_that_was_set_back() -> None:
    """A last poll in the future says nothing about when to ask again."""
    state = FeedState("front", last_poll=START + timedelta(days=9), next_due=START + timedelta(days=9, minutes=30))
    assert turn.due([FEED], {"front": state}, START) == [FEED]
    soon = replace(state, last_poll=START, next_due=START + timedelta(minutes=30))
    assert turn.due([FEED], {"front": soon}, START) == []


def test_one_feed_that_cannot_be_filed_stops_no_other(press: Press) -> None:
    """A step after storing fails for one text: that feed is failed and said, its neighbour is stored."""
    other = replace(FEED, id="other", outlet="晨报", urls=("https://two.example/feed",))

    def tag(found) -> Tags:
        if found.feed == "front":
            raise ZeroDivisionError("odd")
        return Tags()

    press.daemon.parts = replace(press.daemon.parts, tag=tag)
    press.daemon.feeds = [FEED, other]
    reports = {report.feed: report for report in press.daemon.tick()}
    assert reports["front"].kind == "defect"
    assert reports["other"].new
    assert "ZeroDivisionError" in (press.state().last_error or "")


def test_it_says_how_it_is(start_daemon, newsroom, tmp_path: Path) -> None:
    """/healthz and /metrics answer where feeds.yaml asks for them, and nothing listens otherwise."""
    feeds = newsroom.feeds_yaml(tmp_path)
    port = 18_000 + hash(str(tmp_path)) % 20_000
    feeds.write_text(f"listen: 127.0.0.1:{port}\n" + feeds.read_text())
    daemon = start_daemon(feeds)
    daemon.wait_for(lambda: daemon.articles() == 5)

    def ask(path: str) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()

    status, body = ask("/healthz")
    assert (status, json.loads(body)["status"], json.loads(body)["articles"]) == (200, "ok", 5)
    status, body = ask("/metrics")
    assert status == 200
    assert b'aggregator_entries_total{outcome="new"} 5.0' in body
    assert daemon.end() == 0


def test_the_watchdog_is_told_while_jobs_make_progress(start_daemon, newsroom, tmp_path: Path) -> None:
    """WATCHDOG=1 comes at least three times as often as systemd wants it."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(60)
        daemon = start_daemon(
            newsroom.feeds_yaml(tmp_path), NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="900000"
        )
        assert notify.recv(100) == b"READY=1"
        assert [notify.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        assert daemon.end() == 0


@pytest.mark.databases("sqlite")  # PostgreSQL has none
def test_every_connection_has_its_pragmas(press: Press) -> None:
    """In any thread: foreign keys, WAL and a time-out."""
    with press.archive.reading() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("foreign_keys", "journal_mode", "busy_timeout")
        ]
    assert found == [1, "wal", 60_000]
