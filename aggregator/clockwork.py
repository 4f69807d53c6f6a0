"""When the daemon's jobs run, whatever the clock does: APScheduler (its owner) with a trigger of our own.

    scheduler(jobs, now)        not started yet: each job is due at once, then every so many seconds
    after_jump(scheduler, ...)  a clock that jumped makes every job due, which a clock set back would hold up

APScheduler lists every time that a job has missed before it runs it once, with its lock held: a small computer that
starts in 1970 and is told the year 2036 would count 400 million of them, unable to do anything else or to stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from aggregator import log

JUMP = 30.0
"""Seconds by which the clock may run ahead of or behind the time that passed before it counts as having jumped."""


class Every(BaseTrigger):  # type: ignore[misc]
    """Every so many seconds; what was missed is one time, and the next comes after now."""

    def __init__(self, seconds: float) -> None:
        self._interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """The time after the previous one, or after now where that has passed."""
        following = previous + self._interval if previous else now
        return following if following > now else now + self._interval


def scheduler(jobs: Iterable[tuple[str, float, Callable[[], object]]], now: datetime) -> BackgroundScheduler:
    """A scheduler of these jobs: name, seconds between two turns, what to call in a thread of its own.

    Misfires are coalesced and never dropped (APScheduler's own grace is one second).
    """
    found = BackgroundScheduler(
        timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    )
    for name, every, work in jobs:
        found.add_job(work, Every(every), id=name, next_run_time=now)
    return found


def offset(now: datetime) -> float:
    """How far the clock is from the time that has passed."""
    return now.timestamp() - time.monotonic()


def after_jump(before: float, now: datetime, jobs: BackgroundScheduler) -> float:
    """The new offset; when the clock jumped, every job is due now."""
    found = offset(now)
    if abs(found - before) < JUMP:
        return before + (found - before) / 2  # a clock that drifts or is slewed is followed
    log.warning("the clock jumped", by=str(timedelta(seconds=round(found - before))))
    for job in jobs.get_jobs():
        with suppress(LookupError):
            jobs.modify_job(job.id, next_run_time=now)
    return found
