"""A worker on a PostgreSQL archive: as many as there are share the work through Procrastinate's queue.

    tick       every TICK, by one worker: what is due in the archive becomes jobs, one for each host
    poll       one host's due feeds: `pipeline.poll`, as the embedded daemon calls it; never two for one host
    others     the daemon's other jobs, each on one worker at a time
    recover    every RECOVER: the jobs of a worker that died are put back (its heart has not beaten for STALLED seconds)

Due times live in the archive and never in the queue: a job that is lost, or put in twice, changes nothing, because
`poll` asks again what is due. What a killed worker had not committed is still due. A worker alone does everything.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import procrastinate
from procrastinate import exceptions
from procrastinate.jobs import Status
from procrastinate.types import JSONValue

from aggregator import daemon as embedded
from aggregator import ending, listener, log, memory, notify, pipeline, turn
from aggregator.app import App
from aggregator.daemon import GRACE, WATCH, Daemon
from aggregator.errors import AggregatorError, ArchiveBusy, ArchiveVersion
from aggregator.jobs import Job
from aggregator.model import Feed
from aggregator.store import feeds as feed_store

TICK = 5
RECOVER = 5
HEARTBEAT = 3
"""Seconds between two signs of life of a worker."""
STALLED = 20
"""Seconds without one after which its jobs are taken up by others; with RECOVER and TICK about half a minute passes.
One that was only slow does no harm: what two workers do at the same time is decided by the archive's locks."""
SHARDS = 4
"""Jobs for a host without limits (an RSSHub instance, the operator's own): its feeds may be polled side by side."""
UNNOTED = "03.04.00_50_post_add_retry_failed_job_procedure"
"""How far a queue is that says nothing about it: that of Procrastinate 3.5, the oldest this program works with."""
AGAIN = 3.0
"""Seconds before a worker that lost the database tries again."""
LATE = 5.0
"""Seconds after the database is back in which connections of before may still be complained of."""


@dataclass
class Worker:
    """One worker: the daemon's parts, and the queue."""

    daemon: Daemon
    queue: procrastinate.App
    concurrency: int
    held: ExitStack = field(default_factory=ExitStack)
    together: pipeline.Together = field(default_factory=pipeline.Together)
    listening: bool | None = None
    away: bool = False
    back: float = -math.inf

    # --- what is done

    def poll(self, names: Iterable[str]) -> None:
        """Poll those of these feeds that are still due."""
        by_id = {feed.id: feed for feed in self.daemon.feeds}
        which = [by_id[name] for name in names if name in by_id]
        parts = self.daemon.parts
        with parts.archive.reading() as connection:
            states = feed_store.states(connection, [feed.id for feed in which])
        due = turn.due(which, states, parts.clock())
        parts = replace(parts, stopped=self.daemon.stop.is_set, workers=min(parts.workers, max(len(due), 1)))
        for report in pipeline.poll(due, parts, store=self.together) if due else ():
            self.daemon.metrics.count(report)
            self.daemon.tell(report)

    def due(self) -> dict[str, list[str]]:
        """The feeds that are due now, by the lock under which they are polled."""
        network = self.daemon.app.settings.network
        own = frozenset() if network.pause_all else network.allow  # as the fetcher sees it
        free = frozenset(own) | {urlsplit(instance).netloc for instance in network.rsshub}
        found: dict[str, list[str]] = defaultdict(list)
        for feed in self.daemon.due():
            found[lock_of(feed, free)].append(feed.id)
        return found

    async def tick(self) -> None:
        """Put in a job for each host that has something due and none in hand."""
        self.renew()
        wanted = await asyncio.to_thread(self.due)
        if not wanted:
            return
        taken = {
            row["lock"]
            for row in await self.queue.connector.execute_query_all_async(
                "SELECT lock FROM procrastinate_jobs WHERE task_name = 'poll' AND status IN ('todo', 'doing')"
            )
        }
        task = self.queue.tasks["poll"]
        jobs = [
            task.configure(lock=lock, queueing_lock=lock, task_kwargs={"feeds": list[JSONValue](names)})
            for lock, names in wanted.items()
            if lock not in taken
        ]
        for job in jobs:
            try:
                await job.defer_async()
            except exceptions.AlreadyEnqueued:
                continue

    def renew(self) -> None:
        """Take over what was reloaded from feeds.yaml; polls under way keep the old parts, which end with the worker."""
        daemon = self.daemon
        fresh, daemon.fresh = daemon.fresh, None
        if fresh is not None:
            daemon.parts = self.held.enter_context(fresh.parts(daemon.parts.archive))
            daemon.app, daemon.feeds, daemon.desk = fresh, fresh.settings.feeds, None

    def listen(self) -> None:
        """Serve health, metrics, Atom and unsubscribing where `listen:` asks for it, one worker a host.

        Asked again and again: when the one that serves ends, another takes over. Raises AggregatorError where the
        address cannot be listened on at all.
        """
        where = self.daemon.app.settings.listen
        if where is None or self.listening:
            return
        try:
            self.held.enter_context(listener.listening(where, embedded.routes(self.daemon, ())))
        except AggregatorError as error:
            if self.listening is None and getattr(error.__cause__, "errno", None) != errno.EADDRINUSE:
                raise
            if self.listening is None:
                log.info(
                    "another program listens there; this worker does when it ends", listen=f"{where[0]}:{where[1]}"
                )
            self.listening = False
            return
        if self.listening is False:
            log.info("this worker listens now", listen=f"{where[0]}:{where[1]}")
        self.listening = True

    def lost(self, why: str) -> None:
        """The database is not there: said once, until it is back. What is complained of just then is of before."""
        if not self.away and time.monotonic() > self.back + LATE:
            self.away = True
            log.warning("the database is not there, trying again", error=" ".join(why.split()))

    def look(self) -> None:
        """Say when a database that was away is back."""
        if not self.away:
            return
        try:
            with self.daemon.parts.archive.reading() as connection:
                connection.exec_driver_sql("SELECT 1")
        except Exception:  # noqa: BLE001 - whatever psycopg raises while its server is gone
            return
        self.away, self.back = False, time.monotonic()
        log.info("the database is back")

    async def recover(self) -> None:
        """Put back the jobs of workers that died; one that is in the queue again already is dropped."""
        manager = self.queue.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED):
            try:
                await manager.retry_job(job)
            except exceptions.UniqueViolation:
                await manager.finish_job(job, status=Status.FAILED, delete_job=True)
            log.warning("taken up from a worker that died", job=job.task_name, lock=job.lock)
        await manager.prune_stalled_workers(STALLED + HEARTBEAT)

    # --- how it is called

    def register(self, others: Iterable[Job]) -> None:
        """Tell the queue what there is to do; each of `others` is done by one worker at a time."""
        every = self.queue.periodic

        def poll(feeds: Sequence[str]) -> None:
            self._guarded("poll", lambda: self.poll(feeds))

        async def tick(timestamp: int) -> None:  # noqa: ARG001 - Procrastinate gives it
            await self._guarded_async("tick", self.tick)

        async def recover(timestamp: int) -> None:  # noqa: ARG001 - as above
            await self._guarded_async("recover", self.recover)

        self.queue.task(name="poll")(poll)
        every(cron=_cron(TICK))(self.queue.task(name="tick", lock="tick", queueing_lock="tick", priority=10)(tick))
        every(cron=_cron(RECOVER))(self.queue.task(name="recover", queueing_lock="recover", priority=20)(recover))
        for job in others:
            name = job.name
            every(cron=_cron(int(job.every)))(
                self.queue.task(name=name, lock=name, queueing_lock=name, priority=5)(self._other(job))
            )

    def _other(self, job: Job) -> Callable[[int], None]:
        def other(timestamp: int) -> None:  # noqa: ARG001 - as above
            self._guarded(job.name, lambda: job.work(self.daemon.stop.is_set))

        return other

    def _guarded(self, name: str, work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the worker outlives any one job
            self._failed(name, error)

    async def _guarded_async(self, name: str, work: Callable[[], Any]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - the worker outlives any one job
            self._failed(name, error)

    def _failed(self, name: str, error: Exception) -> None:
        if isinstance(error, ArchiveBusy):
            log.warning("archive busy, trying again", job=name, error=str(error))
        else:
            log.error("job failed", job=name, error=f"{type(error).__name__}: {error}")

    async def work(self, stopping: asyncio.Event) -> None:
        """Work until told to stop; when the database goes away, until it is back."""
        while not stopping.is_set():
            try:
                async with self.queue.open_async():
                    await self._until(stopping)
            except Exception as error:  # noqa: BLE001 - whatever psycopg raises when its server is gone
                self.lost(f"{type(error).__name__}: {error}")
            if not stopping.is_set():
                await asyncio.sleep(AGAIN)

    async def _until(self, stopping: asyncio.Event) -> None:
        working = asyncio.create_task(
            self.queue.run_worker_async(
                concurrency=self.concurrency,
                fetch_job_polling_interval=1.0,
                shutdown_graceful_timeout=GRACE,
                delete_jobs="always",
                install_signal_handlers=False,
                update_heartbeat_interval=HEARTBEAT,
                stalled_worker_timeout=STALLED,
            )
        )
        told = asyncio.create_task(stopping.wait())
        await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        working.cancel()
        await asyncio.wait({working})
        if not stopping.is_set() and (error := working.exception() if not working.cancelled() else None):
            raise error


def lock_of(feed: Feed, free: frozenset[str]) -> str:
    """Under which lock a feed is polled: its host, so that two workers never ask one host at the same time.

    >>> lock_of(Feed("a", ("https://News.example/a.xml",)), frozenset())
    'host:news.example'
    """
    host = urlsplit(feed.urls[0]).netloc.rpartition("@")[2].lower()
    return f"host:{host}#{zlib.crc32(feed.id.encode()) % SHARDS}" if host in free else f"host:{host}"


class _Heard(logging.Handler):
    """What the queue's pool of connections complains of, again and again, goes to one who says it once."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self.emit = lambda record: tell(record.getMessage())  # type: ignore[method-assign]


def run(app: App) -> None:
    """Work until SIGTERM or SIGINT, beside any number of others."""
    log.configure(app.log_format)
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
    pool = logging.getLogger("psycopg.pool")
    pool.propagate = False
    memory.frugal()
    with ExitStack() as stack:
        archive = stack.enter_context(app.opened())
        held = stack.enter_context(ExitStack())
        parts = held.enter_context(app.parts(archive))
        daemon = Daemon(app, parts, app.settings.feeds)
        worker = Worker(daemon, _queue(archive.conninfo), parts.workers, held)
        worker.register(job for job in embedded.jobs(daemon) if job.name != "poll")
        pool.addHandler(_Heard(worker.lost))
        with archive.waiting_lock("queue"):
            prepare(archive.conninfo)
        daemon.metrics.started.set_to_current_time()
        worker.listen()
        embedded.say_start(daemon)
        asyncio.run(_serve(worker, daemon))
    log.info("stopped")


async def _serve(worker: Worker, daemon: Daemon) -> None:
    loop = asyncio.get_running_loop()
    threads = ThreadPoolExecutor(max_workers=worker.concurrency + 4, thread_name_prefix="fetch-job")
    loop.set_default_executor(threads)
    stopping = asyncio.Event()

    def stop() -> None:
        daemon.stop.set()
        stopping.set()

    def told() -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(stop)

    ending.hand_over(told, daemon.reload)
    notify.tell("READY=1")
    working = asyncio.create_task(worker.work(stopping))
    every = notify.watchdog()
    wait = min(WATCH, every / 3) if every else WATCH
    while not working.done():
        notify.tell("WATCHDOG=1")
        worker.listen()
        looking = asyncio.create_task(asyncio.to_thread(worker.look))
        await asyncio.wait({working}, timeout=wait)
        await asyncio.wait({working, looking}, return_when=asyncio.FIRST_COMPLETED)
        if stopping.is_set():
            notify.tell("STOPPING=1")
            log.info("stopping")
            await asyncio.wait({working}, timeout=GRACE)
            break
    threads.shutdown(wait=False, cancel_futures=True)


def _queue(conninfo: str) -> procrastinate.App:
    connector = procrastinate.PsycopgConnector(
        conninfo=conninfo,
        kwargs={"application_name": "aggregator queue", "keepalives_idle": 10, "keepalives_interval": 5},
        min_size=1,
        max_size=6,
    )
    return procrastinate.App(connector=connector)


def prepare(conninfo: str) -> None:
    """Make the queue's tables where there are none; bring older ones up to date by Procrastinate's own migrations.

    Procrastinate does not note how far a queue's tables are, so that stands as a comment on one of them, written with
    each migration; a kill between two leaves a queue that the next worker takes further. Raises ArchiveVersion for the
    queue of a newer Procrastinate.
    """
    import psycopg
    from procrastinate.schema import SchemaManager

    steps = sorted(Path(SchemaManager.get_migrations_path()).glob("[0-9]*.sql"))
    with psycopg.connect(conninfo, autocommit=True) as connection:
        (there, note) = connection.execute(
            "SELECT to_regclass('procrastinate_jobs') IS NOT NULL,"
            " obj_description(to_regclass('procrastinate_jobs'), 'pg_class')"
        ).fetchone() or (False, None)
        stands = note or UNNOTED
        if not there:
            connection.execute(SchemaManager.get_schema() + _note(steps[-1].stem))
        elif stands > steps[-1].stem:
            raise ArchiveVersion(
                f"the task queue was made by a newer Procrastinate (up to {stands}; this one, {procrastinate.__version__},"
                f" knows {steps[-1].stem}); install the same version on every host of a worker"
            )
        for step in steps if there else ():
            if step.stem > stands:
                connection.execute(step.read_text(encoding="utf-8") + _note(step.stem))
                log.info("the task queue was upgraded", step=step.stem)


def _note(step: str) -> str:
    """Sent with the statements of a step, it is committed with them."""
    return f";\nCOMMENT ON TABLE procrastinate_jobs IS '{step}'"


def _cron(seconds: int) -> str:
    """Every so many seconds, in croniter's six fields; a minute or more becomes minutes."""
    minutes = timedelta(seconds=seconds) // timedelta(minutes=1)
    return f"*/{min(minutes, 59)} * * * * 0" if minutes else f"* * * * * */{seconds}"
