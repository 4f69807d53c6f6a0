"""What runs when: APScheduler calls a few jobs, each of which asks the archive what is due.

    deliver   every TICK, beside it: write the digests whose hour has come, and send what waits
    tick      every TICK: poll the feeds that are due now (at start: all of them)
    SIGTERM   the transaction in hand is committed, fetches under way are dropped, exit 0 within 10 s
    SIGHUP    feeds.yaml is read again; with a mistake in it the old one stays in force, and that is said

Due times live in the archive and never in a job store, so that a clock that jumps, a suspend or a restart neither
floods nor silences anything: whatever is overdue is due once. Misfires are coalesced and never dropped
(APScheduler's own grace is one second).
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

from aggregator import delivery, log, pipeline, turn
from aggregator.app import App
from aggregator.errors import AggregatorError, ArchiveBusy
from aggregator.letters import Desk
from aggregator.model import Feed, PollReport, PollStatus
from aggregator.store import feeds as feed_store

TICK = 5.0
"""Seconds between two looks at what is due: the delay this adds to an interval of minutes is not felt."""

GRACE = 8.0
"""Seconds that jobs have to end after SIGTERM; with start-up of the exit itself it stays under ten."""


@dataclass
class Daemon:
    """The running daemon: its feeds, its parts, and whether it has been told to stop."""

    app: App
    parts: pipeline.Parts
    feeds: Sequence[Feed]
    stop: threading.Event = field(default_factory=threading.Event)
    first: bool = True
    desk: Desk | None = None

    def tick(self) -> list[PollReport]:
        """Poll what is due; at the first tick, everything."""
        reports = []
        which = list(self.feeds) if self.first else self.due()
        self.first = False
        parts = replace(self.parts, stopped=self.stop.is_set)
        for report in pipeline.poll(which, parts):
            reports.append(report)
            self.tell(report)
        return reports

    def tell(self, report: PollReport) -> None:
        """One line for each poll that matters."""
        _tell(report)

    def notify(self, message: str) -> None:
        """Tell systemd."""
        _notify(message)

    def due(self) -> list[Feed]:
        """The feeds whose time has come, by the archive."""
        now = self.parts.clock()
        with self.parts.archive.reading() as connection:
            waiting = feed_store.waiting(connection, now)
            asked = [feed for feed in self.feeds if feed.id not in waiting]
            states = feed_store.states(connection, [feed.id for feed in asked] if waiting else None)
        return turn.due(asked, states, now)

    def deliver(self) -> delivery.Delivered:
        """Write and send the digests that are due; a slow mail server holds no feed back."""
        desk = self.desk or self.app.desk(self.parts.archive, self.stop.is_set)
        self.desk = desk
        done = delivery.deliver(desk, desk.clock())
        for note in done.notes:
            log.warning("mail", note=note)
        if done.written or done.outcomes:
            log.info("digests", written=done.written, sent=done.count("sent"), tried=len(done.outcomes))
        return done

    def reload(self) -> None:
        """Read feeds.yaml again; a mistake keeps the old one in force."""
        try:
            app = App(self.app.archive_url, str(self.app.feeds_path), self.app.log_format, self.app.environ)
            fresh, desk = app.settings, app.desk(self.parts.archive, self.stop.is_set)
        except AggregatorError as error:
            log.warning("feeds.yaml not reloaded, the old one stays in force", error=str(error))
            return
        self.app, self.feeds, self.desk = app, fresh.feeds, desk
        log.info("feeds.yaml reloaded", feeds=len(self.feeds))


def run(app: App) -> None:
    """Run until SIGTERM or SIGINT; raises ArchiveBusy when another daemon works on the archive."""
    log.configure(app.log_format)
    settings = app.settings
    with app.parts() as parts, parts.archive.lock("a daemon"):
        daemon = Daemon(app, parts, settings.feeds)
        _on_signals(daemon)
        say_start(daemon)
        scheduler = _scheduler(daemon)
        scheduler.start()
        _notify("READY=1")
        daemon.stop.wait()
        _notify("STOPPING=1")
        log.info("stopping")
        _shut(scheduler)
    log.info("stopped")


def _scheduler(daemon: Daemon) -> Any:
    from apscheduler.schedulers.background import BackgroundScheduler

    scheduler = BackgroundScheduler(
        timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    )
    scheduler.add_job(_guarded(daemon.tick), "interval", seconds=TICK, id="tick", next_run_time=daemon.parts.clock())
    scheduler.add_job(
        _guarded(daemon.deliver), "interval", seconds=TICK, id="deliver", next_run_time=daemon.parts.clock()
    )
    scheduler.add_job(lambda: _notify("WATCHDOG=1"), "interval", seconds=20, id="watchdog")
    return scheduler


def other_jobs(daemon: Daemon) -> dict[str, tuple[Callable[[], Any], int]]:
    """What is done beside polling, with the seconds between two times."""
    return {"deliver": (daemon.deliver, int(TICK))}


def _guarded(job: Callable[[], Any]) -> Callable[[], None]:
    """A job that fails is said and tried again at its next turn."""

    def run_job() -> None:
        try:
            job()
        except ArchiveBusy as error:
            log.warning("archive busy, trying again", error=str(error))
        except Exception as error:  # noqa: BLE001 - the daemon outlives any one turn
            log.error("job failed", job=getattr(job, "__name__", str(job)), error=f"{type(error).__name__}: {error}")

    return run_job


def _shut(scheduler: Any) -> None:
    """Let the running job commit; after GRACE give up on it (SQLite rolls its transaction back)."""
    ending = threading.Thread(target=lambda: scheduler.shutdown(wait=True), daemon=True)
    ending.start()
    ending.join(GRACE)


def _on_signals(daemon: Daemon) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        daemon.stop.set()

    def reload(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=daemon.reload, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, reload)


def say_start(daemon: Daemon) -> None:
    needing = [feed.id for feed in daemon.feeds if not feed.urls]
    log.info("started", archive=daemon.parts.archive.name, feeds=len(daemon.feeds), pid=os.getpid())
    if needing:
        log.info("feeds that need an RSSHub instance (network.rsshub in feeds.yaml)", feeds=", ".join(needing))


def _tell(report: PollReport) -> None:
    if report.status in (PollStatus.FAILED, PollStatus.GONE):
        log.warning("poll failed", feed=report.feed, kind=report.kind, error=report.error)
    elif report.new or report.revised:
        log.info("polled", feed=report.feed, new=report.new, revised=report.revised, reprints=report.reprints)


def _notify(message: str) -> None:
    """Tell systemd (sd_notify(3)): one datagram to $NOTIFY_SOCKET; nothing where there is none."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.connect("\0" + address[1:] if address.startswith("@") else address)
        link.send(message.encode())
