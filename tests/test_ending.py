"""SIGTERM, Ctrl-C and SIGHUP at any time, above all while the daemon or a worker starts."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from aggregator.store.archive import Archive


def hears(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


@pytest.fixture
def starting(start_daemon):
    """Start a daemon and wait until it hears SIGTERM, which is before it has imported anything."""

    def start(feeds: Path, **environ: str):
        daemon = start_daemon(feeds, **environ)
        daemon.wait_for(lambda: hears(daemon.process.pid, signal.SIGTERM))
        return daemon

    return start


@pytest.mark.parametrize(("number", "after"), [(signal.SIGTERM, 0), (signal.SIGINT, 0.1), (signal.SIGTERM, 0.3)])
def test_told_while_it_starts(starting, newsroom, tmp_path: Path, number: int, after: float) -> None:
    """It ends with status 0 and says so, whatever it was importing, and can be started again."""
    feeds = newsroom.feeds_yaml(tmp_path)
    daemon = starting(feeds)
    time.sleep(after)
    daemon.process.send_signal(number)
    assert daemon.process.wait(timeout=20) == 0
    assert daemon.says("stopped")
    assert "Traceback" not in daemon.log.read_text()


def test_told_while_it_waits_for_a_file(starting, tmp_path: Path) -> None:
    """A start that hangs outside Python's own code is broken off, and said."""
    feeds = tmp_path / "feeds.fifo"
    os.mkfifo(feeds)
    daemon = starting(feeds)
    assert daemon.end() == 0
    assert daemon.says("stopped")


@pytest.mark.databases("sqlite")
def test_told_while_another_has_the_archive(starting, newsroom, tmp_path: Path, archive_url: str) -> None:
    """A start that waits inside SQLite for another process's lock does not keep the promise waiting."""
    feeds = newsroom.feeds_yaml(tmp_path)
    with closing(sqlite3.connect(archive_url, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN EXCLUSIVE")
        daemon = starting(feeds)
        daemon.wait_for(lambda: Path(f"{archive_url}.lock").exists())
        assert daemon.end() == 0
        assert daemon.says("stopped")
    again = starting(feeds)
    again.wait_for(lambda: again.articles() == 5)
    assert again.end() == 0
    assert not list(tmp_path.glob("*.writing"))


def test_reloading_while_it_starts(starting, newsroom, tmp_path: Path) -> None:
    """SIGHUP does not end a daemon that starts: feeds.yaml is read again when it is up."""
    daemon = starting(newsroom.feeds_yaml(tmp_path))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for(lambda: daemon.says("feeds.yaml reloaded"))
    assert daemon.end() == 0


@pytest.mark.databases("sqlite")
def test_a_second_ctrl_c_waits_for_nothing(starting, newsroom, tmp_path: Path, archive_url: str) -> None:
    """The first lets a job that waits for the archive have its time; the second ends at once, with nothing lost."""
    daemon = starting(newsroom.feeds_yaml(tmp_path))
    daemon.wait_for(lambda: daemon.articles() == 5)
    daemon.process.send_signal(signal.SIGINT)
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.process.wait(timeout=20) == 0
    with closing(Archive.open(archive_url)):
        assert daemon.says("stopped")
