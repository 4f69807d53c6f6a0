"""Jobs: never two turns of one at a time, an end to every turn, and pauses after failures."""

from __future__ import annotations

import threading
import time

import pytest

from aggregator import jobs
from aggregator.jobs import Cut, Job, Runner


def test_a_hanging_job_is_cut_and_the_next_turn_runs() -> None:
    """A loop in Python that never looks up is ended inside; the turn after it is an ordinary one."""
    seen, told = [], []

    def work(stopped) -> None:
        seen.append("turn")
        while len(seen) == 1:
            time.sleep(0.01)

    runner = Runner(Job("poll", work, every=0, limit=0.1), lambda job, error: told.append((job.name, type(error))))
    runner()
    assert (told, runner.cuts, runner.is_busy()) == ([("poll", Cut)], 1, False)
    runner()
    assert (len(seen), runner.failures, runner.late()) == (2, 0, None)


def test_a_job_that_looks_up_is_told_to_stop() -> None:
    """Most jobs ask `stopped` between two steps: no exception is needed."""
    told = []

    def work(stopped) -> None:
        while not stopped():
            time.sleep(0.01)

    runner = Runner(Job("poll", work, every=0, limit=0.1), lambda _job, error: told.append(error))
    runner()
    assert (told, runner.cuts, runner.failures) == ([], 1, 0)


def test_what_the_database_is_busy_with_is_interrupted() -> None:
    """A statement that runs in C is ended by the connection's own interrupt."""
    busy, told = threading.Event(), []

    def work(stopped) -> None:
        busy.wait(60)
        raise OSError("interrupted")

    runner = Runner(
        Job("poll", work, every=0, limit=0.1), lambda _job, error: told.append(type(error)), interrupt=busy.set
    )
    runner()
    assert told in ([OSError], [Cut])
    assert not runner.is_busy()


def test_a_turn_under_way_is_never_doubled() -> None:
    """Whoever calls while a turn runs comes back at once."""
    go, turns = threading.Event(), []

    def work(stopped) -> None:
        turns.append(1)
        go.wait(30)

    runner = Runner(Job("poll", work, every=0, limit=60))
    first = threading.Thread(target=runner)
    first.start()
    while not turns:
        time.sleep(0.001)
    runner()
    go.set()
    first.join()
    assert turns == [1]


def test_what_cannot_be_cut_is_said_and_not_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that does not come back keeps its turn; `late` then says why the daemon is not well."""
    monkeypatch.setattr(jobs, "TO_END", 0.2)
    end, turns = threading.Event(), []

    def work(stopped) -> None:
        turns.append(1)
        end.wait()

    now = [0.0]
    runner = Runner(Job("poll", work, every=1, limit=0.05), clock=lambda: now[0])
    cutting = threading.Thread(target=runner)
    cutting.start()
    while not runner.cuts:
        time.sleep(0.001)
    now[0] = 1000.0
    assert "poll hangs for 1000 s" in (runner.late() or "")
    cutting.join()
    runner()
    assert turns == [1]
    end.set()


def test_failures_make_longer_pauses_up_to_a_limit() -> None:
    """5, 10, 20 … seconds and never more than ten minutes; one success ends them."""
    now, broken = [0.0], [True]

    def work(stopped) -> None:
        if broken[0]:
            raise OSError("no")

    runner = Runner(Job("poll", work, every=5, limit=60), clock=lambda: now[0])
    pauses = []
    for _ in range(10):
        now[0] += runner.pause
        runner()
        pauses.append(runner.pause)
    assert pauses[:4] == [10, 20, 40, 80]
    assert pauses[-1] == jobs.LONGEST_PAUSE
    runner()
    assert runner.turns == 10, "a turn within the pause is not taken"
    now[0] += runner.pause
    broken[0] = False
    runner()
    assert runner.pause == 0


def test_a_job_that_nobody_calls_is_late() -> None:
    """Were the scheduler dead, the watchdog would not be told that all is well."""
    now = [0.0]
    runner = Runner(Job("poll", lambda _stopped: None, every=5, limit=60), clock=lambda: now[0])
    now[0] = 60
    assert runner.late() is None
    now[0] = 90
    assert "did not run for 90 s" in (runner.late() or "")
