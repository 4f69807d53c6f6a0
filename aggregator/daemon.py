"""What runs when: APScheduler calls a few jobs, each of which asks the archive what is due.

    poll       every TICK: the feeds that are due now (at start: all of them); not while the disk is full
    deliver    every TICK, beside it: the digests whose hour has come are written, and what waits is sent
    alerts     every ALERTS: what the operator should be told, once for each trouble
    tidy       every TIDY: the search index is merged where its pieces have grown (SQLite)
    SIGTERM    the transaction in hand is committed, fetches under way are dropped, exit 0 within 10 s
    SIGHUP     feeds.yaml is read again; with a mistake in it the old one stays in force, and that is said

Due times live in the archive and never in a job store, so that a clock that jumps, a suspend or a restart neither
floods nor silences anything: whatever is overdue is due once (`clockwork`).

The main thread only watches: it tells systemd's watchdog that all is well while jobs make progress, and starts the
whole program anew in its own place when a job hangs and cannot be cut.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from aggregator import (
    alerts,
    delivery,
    ending,
    health,
    listener,
    log,
    memory,
    notify,
    opt_out,
    pipeline,
    telling,
    turn,
)
from aggregator.app import App
from aggregator.errors import AggregatorError, ArchiveBusy, ArchiveFull, UsageError
from aggregator.jobs import Job, Runner
from aggregator.letters import Desk
from aggregator.metrics import Metrics, Reading
from aggregator.model import Feed, PollReport, PollStatus
from aggregator.store import alarms, tidy
from aggregator.store import feeds as feed_store
from aggregator.store.census import census

TICK = 5.0
"""Seconds between two looks at what is due: the delay this adds to an interval of minutes is not felt."""

DELIVERY = 7200.0
"""Seconds that one round of digests may take: a server may keep each mail for ten minutes (RFC 5321 4.5.3.2.6)."""

ALERTS = 300.0
"""Seconds between two looks at what the operator should know."""

TIDY = 3600.0
"""Seconds between two looks at the pieces of the search index."""

BETWEEN = 0.05
"""Seconds between two steps of merging, in which another writer's turn comes."""

GRACE = 8.0
"""Seconds that jobs have to end after SIGTERM; with start-up of the exit itself it stays under ten."""

WATCH = 2.0
"""Seconds between two looks of the main thread."""


@dataclass
class Daemon:
    """The running daemon: its feeds, its parts, what it counts, and whether it has been told to stop."""

    app: App
    parts: pipeline.Parts
    feeds: Sequence[Feed]
    stop: threading.Event = field(default_factory=threading.Event)
    first: bool = True
    desk: Desk | None = None
    cut_delivery: Callable[[], bool] = field(default=lambda: False)
    paused: str | None = None
    fresh: App | None = None
    said: set[str] = field(default_factory=set)
    down: dict[str, str | None] = field(default_factory=dict)
    held: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.reading)

    # --- polling

    def tick(self, stopped: Callable[[], bool] = lambda: False) -> list[PollReport]:
        """Poll what is due; at the first tick, everything. Nothing while the disk is full."""
        self.renew()
        if not self.may_write():
            return []
        reports = []
        which = list(self.feeds) if self.first else self.due()
        parts = replace(self.parts, stopped=lambda: stopped() or self.stop.is_set())
        for report in pipeline.poll(which, parts):
            reports.append(report)
            self.metrics.count(report)
            self.tell(report)
        self.first = False
        if sum(report.new + report.revised for report in reports) > pipeline.TEXTS // 2:
            memory.give_back()
        return reports

    def due(self) -> list[Feed]:
        """The feeds whose time has come, by the archive."""
        now = self.parts.clock()
        with self.parts.archive.reading() as connection:
            waiting = feed_store.waiting(connection, now)
            asked = [feed for feed in self.feeds if feed.id not in waiting]
            states = feed_store.states(connection, [feed.id for feed in asked] if waiting else None)
        return turn.due(asked, states, now)

    def deliver(self, stopped: Callable[[], bool] = lambda: False) -> delivery.Delivered:
        """Write and send the digests that are due; a slow mail server holds no feed back."""
        if self.paused is not None:
            return delivery.Delivered()
        self.cut_delivery = stopped
        desk = self.mailing()
        done = delivery.deliver(desk, desk.clock())
        for note in (*done.mended, *done.notes):
            log.warning("mail", note=note)
        if done.written or done.outcomes:
            log.info("digests", written=done.written, sent=done.count("sent"), tried=len(done.outcomes))
        return done

    def mailing(self) -> Desk:
        """What sending needs, made when first asked for and again after feeds.yaml was read anew."""
        if self.desk is None:
            self.desk = self.app.desk(self.parts.archive, lambda: self.cut_delivery() or self.stop.is_set())
        return self.desk

    def may_write(self) -> bool:
        """Whether the disk has room; says so once when that changes."""
        if self.paused is None or not self.parts.archive.has_room():
            return self.paused is None
        log.info("polling goes on: there is room on the disk again", archive=self.parts.archive.name)
        self.pause(None)
        return True

    def pause(self, why: str | None) -> None:
        """Stand still for a reason, or go on."""
        self.paused = why
        self.metrics.paused.set(why is not None)

    def tell(self, report: PollReport) -> None:
        """One line for each poll that matters: something new, a feed that fails for the first time or otherwise, and
        one that is back.
        """
        if report.status in (PollStatus.FAILED, PollStatus.GONE):
            if self.down.get(report.feed, "") != report.kind:
                log.warning("poll failed", feed=report.feed, kind=report.kind, error=report.error)
            self.down[report.feed] = report.kind
            return
        if report.status is not PollStatus.SKIPPED and report.feed in self.down:
            del self.down[report.feed]
            log.info("feed is back", feed=report.feed)
        if report.new or report.revised:
            log.info("polled", feed=report.feed, new=report.new, revised=report.revised, reprints=report.reprints)

    # --- feeds.yaml

    def reload(self) -> None:
        """Read feeds.yaml again; a mistake keeps the old one in force. The next tick goes by the new one."""
        fresh = App(self.app.archive_url, str(self.app.feeds_path), self.app.log_format, self.app.environ)
        try:
            feeds = fresh.settings.feeds
            fresh.tagging()
        except AggregatorError as error:
            log.warning("feeds.yaml not reloaded, the old one stays in force", error=str(error))
            return
        self.fresh = fresh
        log.info("feeds.yaml reloaded", feeds=len(feeds))
        if fresh.settings.listen != self.app.settings.listen:
            log.info("listen: was changed; that takes effect when the daemon is started anew")

    def renew(self) -> None:
        """Take over what was reloaded; called between two polls, when nobody uses the old parts."""
        fresh, self.fresh = self.fresh, None
        if fresh is None:
            return
        held = ExitStack()
        self.parts = held.enter_context(fresh.parts(self.parts.archive))
        self.app, self.feeds, self.desk = fresh, fresh.settings.feeds, None
        self.held.close()
        self.held = held
        del fresh
        memory.give_back()

    # --- keeping house

    def tidy(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Merge the search index where that is due, with a pause after each step in which a poll may write."""
        if self.paused is not None:
            return 0
        steps = tidy.tidy(self.parts.archive.writing, lambda: stopped() or self.stop.wait(BETWEEN))
        if steps:
            log.info("search index merged", steps=steps)
        return steps

    # --- how it is

    def reading(self) -> Reading:
        """One look at the archive for the metrics."""
        archive, now = self.parts.archive, self.parts.clock()
        with archive.reading() as connection:
            numbers = census(connection, now)
        return Reading(numbers, archive.size(), archive.free(), now)

    def look(self, _stopped: Callable[[], bool] = lambda: False) -> alerts.News:
        """Find what the operator has not been told of, tell it, and forget what is over."""
        archive, now = self.parts.archive, self.parts.clock()
        with archive.reading() as connection:
            told = self.said | alarms.told(connection).keys()
            states, digests = feed_store.states(connection), alarms.failing_digests(connection, now)
        condition = alerts.Condition(self.feeds, states, archive.free(), self.paused, digests)
        news = alerts.news(alerts.troubles(condition, now, told), told)
        for trouble in news.begun:
            log.warning("trouble", sentence=trouble.sentence, advice=trouble.advice)
        self.pass_on(news, now)
        return news

    def pass_on(self, news: alerts.News, now: datetime) -> None:
        """Note what was told, and mail it to the operator who wants alerts; without the archive while it is full."""
        desk = self.mailing() if self.app.settings.mail.alerts else None
        self.said = (self.said | {trouble.key for trouble in news.begun}).difference(news.over)
        if self.paused is not None:
            if desk is not None and news.begun and (why := telling.at_once(desk, news.begun, now)):
                log.warning("the operator could not be told", error=why)
        elif news.begun or news.over:
            with self.parts.archive.writing() as connection:
                telling.note(connection, desk, news, now)

    def failed(self, job: Job, error: BaseException) -> None:
        """What a job's turn raised, in the log; a full disk makes polling stand still."""
        self.metrics.jobs.labels(job.name, type(error).__name__).inc()
        if isinstance(error, ArchiveFull):
            if self.paused is None:
                log.error("the disk is full: polling stands still, searching goes on", error=str(error))
            self.pause(str(error))
        elif isinstance(error, ArchiveBusy):
            log.warning("archive busy, trying again", job=job.name, error=str(error))
        else:
            log.error("job failed", job=job.name, error=f"{type(error).__name__}: {error}".rstrip(": "))


def run(app: App) -> None:
    """Run until SIGTERM or SIGINT; raises ArchiveBusy when another daemon works on the archive."""
    log.configure(app.log_format)
    memory.frugal()
    settings = app.settings
    with ExitStack() as stack:
        archive = stack.enter_context(app.opened())
        stack.enter_context(archive.lock("a daemon"))
        archive.be_frugal()
        held = ExitStack()
        daemon = Daemon(app, held.enter_context(app.parts(archive)), settings.feeds, held=held)
        stack.callback(lambda: daemon.held.close())  # noqa: PLW0108 - `held` is another one after a reload
        runners = _runners(daemon)
        memory.give_back()  # what reading the agreements took
        daemon.metrics.started.set_to_current_time()
        stack.enter_context(listener.listening(settings.listen, routes(daemon, runners)))
        ending.hand_over(daemon.stop.set, daemon.reload)
        say_start(daemon)
        scheduler = _scheduler(daemon, runners)
        scheduler.start()
        notify.tell("READY=1")
        _watch(daemon, runners, scheduler)
        notify.tell("STOPPING=1")
        log.info("stopping")
        _shut(scheduler, runners)
    log.info("stopped")


def jobs(daemon: Daemon) -> list[Job]:
    """What the daemon does; on PostgreSQL all but `poll` are jobs of the workers as they stand here."""
    return [
        Job("poll", daemon.tick, TICK, poll_limit(daemon.feeds, daemon.parts.workers)),
        Job("deliver", daemon.deliver, TICK, DELIVERY),
        Job("alerts", daemon.look, ALERTS, 120),
        *([Job("tidy", daemon.tidy, TIDY, 600)] if daemon.parts.archive.path else []),
    ]


def poll_limit(feeds: Sequence[Feed], workers: int) -> float:
    """Seconds within which a round over all feeds ends even if every server is as slow as it may be, twice."""
    slowest = sum(feed.timeout.total_seconds() * max(len(feed.urls), 1) for feed in feeds)
    return 600 + 2 * slowest / max(workers, 1)


def _runners(daemon: Daemon) -> list[Runner]:
    interrupt = daemon.parts.archive.interrupt
    return [
        Runner(job, daemon.failed, interrupt, stopping=daemon.stop.is_set, ended_well=daemon.metrics.turn)
        for job in jobs(daemon)
    ]


def _scheduler(daemon: Daemon, runners: Sequence[Runner]) -> Any:
    from aggregator import clockwork  # not for a worker, which has a queue instead

    return clockwork.scheduler([(one.job.name, one.job.every, one) for one in runners], daemon.parts.clock())


def _watch(daemon: Daemon, runners: Sequence[Runner], scheduler: Any) -> None:
    """Until told to stop: look whether jobs make progress and whether the clock jumped."""
    every = notify.watchdog()
    wait = min(WATCH, every / 3) if every else WATCH
    from aggregator import clockwork

    offset = clockwork.offset(daemon.parts.clock())
    while not daemon.stop.wait(wait):
        now = daemon.parts.clock()
        offset = clockwork.after_jump(offset, now, scheduler)
        late = next((sentence for runner in runners if (sentence := runner.late())), None)
        if late is None:
            notify.tell("WATCHDOG=1")
        else:
            _start_anew(late)


def _start_anew(why: str) -> None:
    """Replace this process by a new one: what hangs goes with the old one, SQLite takes its transaction back."""
    log.error("starting anew", why=why)
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - the very command line that started this process


def _shut(scheduler: Any, runners: Sequence[Runner]) -> None:
    """Let the running job commit; after GRACE give up on it (SQLite rolls its transaction back)."""
    deadline = time.monotonic() + GRACE
    closing = threading.Thread(target=lambda: scheduler.shutdown(wait=False), daemon=True)
    closing.start()
    closing.join(1)
    for runner in runners:
        runner.wait(max(deadline - time.monotonic(), 0))


def routes(daemon: Daemon, runners: Sequence[Runner]) -> listener.Routes:
    """What the listener answers. More is added here: a method, a path, a function from Request to Response."""

    def healthz(_asked: listener.Request) -> listener.Response:
        late = [sentence for runner in runners if (sentence := runner.late())]
        found = health.health(daemon.reading, daemon.paused, late)
        return listener.Response(found.status, found.body, "application/json")

    def metrics(_asked: listener.Request) -> listener.Response:
        from aggregator.metrics import CONTENT_TYPE

        return listener.Response(200, daemon.metrics.text(), CONTENT_TYPE)

    def links(asked: listener.Request) -> listener.Response:
        """The pages behind a mail's links."""
        desk = daemon.mailing()
        answer = opt_out.respond(desk, asked.method, asked.path, desk.clock())
        if answer is None:
            return listener.Response(404)
        kind = answer.headers.get("Content-Type", "text/html; charset=utf-8")
        others = {name: value for name, value in answer.headers.items() if name != "Content-Type"}
        return listener.Response(answer.status, answer.body.encode(), kind, others)

    def atom(asked: listener.Request) -> listener.Response:
        """`/atom?q=…`: any search or clause as an Atom feed."""
        from aggregator import publishing

        base = (daemon.app.settings.public_url or "").rstrip("/")
        link = f"{base}/atom?{urlencode(asked.query)}" if base else ""
        try:
            with daemon.parts.archive.reading() as connection:
                data = publishing.served_atom(connection, asked.query, link, daemon.parts.clock())
        except UsageError as error:
            return listener.Response(400, f"{error}\n".encode())
        return listener.Response(200, data, "application/atom+xml; charset=utf-8")

    pages = {
        (method, f"/{name}/*"): links for method in ("GET", "POST") for name in ("unsubscribe", "confirm", "digest")
    }
    return {("GET", "/healthz"): healthz, ("GET", "/metrics"): metrics, ("GET", "/atom"): atom, **pages}


def say_start(daemon: Daemon) -> None:
    """The first lines of the log."""
    needing = [feed.id for feed in daemon.feeds if not feed.urls]
    log.info("started", archive=daemon.parts.archive.name, feeds=len(daemon.feeds), pid=os.getpid())
    if needing:
        log.info("feeds that need an RSSHub instance (network.rsshub in feeds.yaml)", feeds=", ".join(needing))
