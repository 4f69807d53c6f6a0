"""SIGTERM, Ctrl-C and SIGHUP from the first moment on, whatever the main thread is doing.

    listen()        from now on: SIGTERM and Ctrl-C break off the start (`Told` is raised in the main thread)
    hand_over()     the daemon is up: they call its `stop`, SIGHUP its `reload`; a second Ctrl-C waits for nothing
    is_told()       whether one of them has come

Python calls its own handlers only between two steps of the main thread, and that may wait a minute in a C call for an
archive that another process has locked. So the signals also wake a thread of their own (signal.set_wakeup_fd), which
tells the daemon, and which ends the process when nothing else has: what was not committed is rolled back.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

INTERRUPTED = 130
"""As a shell says it of Ctrl-C: 128 and the signal's number."""

START = 2.0
"""Seconds that a start has to break off by itself."""

LAST = 9.5
"""Seconds after which a process that was told to stop ends, come what may; ten are promised."""

_CUT = b"aggregator: stopped at once; what was not committed is rolled back\n"
_STOPS = (signal.SIGINT, signal.SIGTERM)
_RELOAD = getattr(signal, "SIGHUP", None)


class Told(KeyboardInterrupt):
    """The start was broken off; a KeyboardInterrupt, because libraries know how to clean up after that."""


class _Ending:
    """What is to be called, and what has come; one for the process, as signals are."""

    def __init__(self) -> None:
        self.listening = False
        self.told = threading.Event()
        self.again = threading.Event()
        self.stop: Callable[[], None] | None = None
        self.reload: Callable[[], None] | None = None


_state = _Ending()


def listen() -> None:
    """Break the start off on SIGTERM and Ctrl-C; SIGHUP is kept for later. Asked again, it does nothing."""
    if _state.listening:
        return
    _state.listening = True
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(reading,), name="ending", daemon=True).start()
    if _RELOAD is not None:
        signal.signal(_RELOAD, _nothing)
    for number in _STOPS:
        signal.signal(number, _break_off)


def forget() -> None:
    """Signals mean again what they meant: this process is no daemon."""
    if not _state.listening:
        return
    _state.listening = False
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if _RELOAD is not None:
        signal.signal(_RELOAD, signal.SIG_DFL)


def is_told() -> bool:
    """Whether the process was told to stop."""
    return _state.told.is_set()


def status(error: BaseException) -> int:
    """The exit status of a process that one of our signals, or else Ctrl-C, broke off before it did anything.

    The first is said. Raises `error` when it came of neither.
    """
    if _state.told.is_set():
        os.write(2, b"aggregator: stopped before it had started\n")
        return 0
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    raise error


def came_of_ctrl_c(error: BaseException) -> bool:
    """Whether this is a KeyboardInterrupt, or what a library made of one while it cleaned up."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, KeyboardInterrupt):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False


def hand_over(stop: Callable[[], None], reload: Callable[[], None]) -> None:
    """The start is over: call these, from another thread than the main one, also for what came meanwhile."""
    listen()
    _state.stop, _state.reload = stop, reload
    for number in _STOPS:
        signal.signal(number, _noted)
    if _state.told.is_set():
        stop()
    if _state.again.is_set():
        _aside(reload)


def _wait(reading: int) -> None:
    """The thread that every signal wakes; the first of those that stop starts the countdown."""
    is_first = True
    while byte := os.read(reading, 1):
        if byte[0] in _STOPS and is_first:
            is_first = False
            _state.told.set()
            threading.Thread(target=_end_after, args=(LAST if _state.stop else START,), daemon=True).start()
            if _state.stop is not None:
                _state.stop()
        elif byte[0] == _RELOAD:
            _state.again.set()
            if _state.reload is not None:
                _aside(_state.reload)


def _aside(reload: Callable[[], None]) -> None:
    threading.Thread(target=reload, name="reload", daemon=True).start()


def _end_after(seconds: float) -> None:
    time.sleep(seconds)
    if os.environ.get("AGGREGATOR_DEBUG"):  # say where it hangs
        import faulthandler

        faulthandler.dump_traceback(all_threads=True)
    with suppress(OSError):
        os.write(2, _CUT)
    os._exit(0)


def _break_off(number: int, frame: FrameType | None) -> None:
    _state.told.set()
    _noted(number, frame)
    raise Told


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The thread does the rest. Another SIGTERM changes nothing, another Ctrl-C waits for nothing."""
    signal.signal(signal.SIGTERM, _nothing)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """A handler must be there for the thread to be woken."""
