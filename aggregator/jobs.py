"""Jobs that never overlap with themselves, and that are cut when they hang.

    runner = Runner(Job("poll", work, every=5, limit=600))
    runner()            one turn: runs the work in a thread of its own and waits for it
    runner.late(now)    why the daemon should not call itself alive, or None

A turn that is over its limit is cut: it is told to stop, what its database connection is busy with is interrupted, and
`Cut` is raised inside it. The next turn then comes as if nothing had been. Only what hangs inside a C call for longer
than that stays; no turn is started beside it, and `late` says so, so that the watchdog starts the whole daemon anew.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

TO_END = 30.0
"""Seconds that a job which was cut has to end."""

LONGEST_PAUSE = 600.0
"""Seconds: the longest pause after failures. It doubles from the job's own interval, so that a disk that is full or a
database that is damaged is not asked, and feeds are not fetched in vain, every few seconds."""


class Cut(BaseException):
    """Raised inside a job that is over its time; no `except Exception` holds it up."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to do, every so many seconds, within so many seconds. `work` is given a function that says when to stop."""

    name: str
    work: Callable[[Callable[[], bool]], object]
    every: float
    limit: float


@dataclass
class Runner:
    """One job's turns. `failed` is told what a turn raised, `ended_well` how many seconds one took that did not;
    `interrupt` ends what the database is busy with.
    """

    job: Job
    failed: Callable[[Job, BaseException], None] = field(default=lambda _job, _error: None)
    interrupt: Callable[[], None] = field(default=lambda: None)
    clock: Callable[[], float] = time.monotonic
    stopping: Callable[[], bool] = field(default=lambda: False)
    ended_well: Callable[[Job, float], None] = field(default=lambda _job, _seconds: None)
    began: float | None = None
    ended: float = 0.0
    failures: int = 0
    cuts: int = 0
    turns: int = 0
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.ended = self.clock()
        self._gate = threading.Lock()

    def __call__(self) -> None:
        """One turn, unless one is under way or the pause after failures has not passed."""
        if not self._gate.acquire(blocking=False):
            return
        try:
            if self.stopping() or self.is_busy() or self.clock() < self.ended + self.pause:
                return
            self._turn()
        finally:
            self._gate.release()

    @property
    def pause(self) -> float:
        """Seconds after the last turn before the next may begin: none, or longer the more turns failed in a row."""
        return min(self.job.every * 2 ** min(self.failures, 20), LONGEST_PAUSE) if self.failures else 0.0

    def is_busy(self) -> bool:
        """Whether a turn is under way."""
        return self._thread is not None and self._thread.is_alive()

    def late(self) -> str | None:
        """A sentence when a turn would not end although it was cut, or when no turn has come for far too long."""
        now = self.clock()
        began = self.began
        if began is not None:
            over = now - began - self.job.limit - TO_END
            return f"{self.job.name} hangs for {now - began:.0f} s and cannot be cut" if over > 0 else None
        waited = now - self.ended
        usual = self.job.every + self.pause
        return f"{self.job.name} did not run for {waited:.0f} s" if waited > 2 * usual + 2 * TO_END else None

    def wait(self, seconds: float) -> bool:
        """Give a turn under way some time, when told to stop; whether none is left. No other one begins after it."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return not self.is_busy()

    def _turn(self) -> None:
        over = threading.Event()
        thread = threading.Thread(target=self._work, args=(over,), name=f"job {self.job.name}", daemon=True)
        self.began, self._thread = self.clock(), thread
        thread.start()
        thread.join(self.job.limit)
        if thread.is_alive():
            self._cut(thread, over)

    def _work(self, over: threading.Event) -> None:
        try:
            self.job.work(lambda: over.is_set() or self.stopping())
        except Cut as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - the daemon outlives any one turn
            self._fail(error)
        else:
            self.failures = 0
            self.ended_well(self.job, self.clock() - (self.began or 0.0))
        finally:
            self.turns += 1
            self.ended, self.began = self.clock(), None

    def _fail(self, error: BaseException) -> None:
        self.failures += 1
        self.failed(self.job, error)

    def _cut(self, thread: threading.Thread, over: threading.Event) -> None:
        """End a turn; asked more than once, since a C call has to return before Python can raise."""
        self.cuts += 1
        over.set()
        deadline = self.clock() + TO_END
        thread.join(1.0)  # most jobs look at `stopped` between two steps
        while thread.is_alive() and self.clock() < deadline:
            self.interrupt()
            _raise_in(thread, Cut)
            thread.join(1.0)


def _raise_in(thread: threading.Thread, error: type[BaseException]) -> None:
    """Raise in another thread, at its next step in Python (PyThreadState_SetAsyncExc, which takes a class)."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(error))
