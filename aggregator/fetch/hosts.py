"""How hard one host is pressed: so many requests at once, with a pause between two; an RSSHub instance per route.

An RSSHub instance is one host with many unrelated upstreams, so a slow or throttled route says nothing about the
others (FreshRSS #7870). Hosts that the operator opened in `network.allow` are the operator's own and are not paced.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

from aggregator.polite import MAX_WAIT


class Place(Protocol):
    """What is read of a URL (httpx.URL has it)."""

    @property
    def scheme(self) -> str:
        """`http` or `https`."""

    @property
    def host(self) -> str:
        """Without brackets and port."""

    @property
    def port(self) -> int | None:
        """None where it is the scheme's own."""

    @property
    def path(self) -> str:
        """From the slash on, without the query."""


class _Lane:
    """The requests to one host: a slot for each that may run, and when the last one ended."""

    def __init__(self, slots: int) -> None:
        self.slots = threading.BoundedSemaphore(slots)
        self.lock = threading.Lock()
        self.next = 0.0


class HostLimits:
    """Turns per host; thread-safe. `clock` and `sleep` are the monotonic clock's, in seconds.

    `free` are `host:port` pairs without limits, `per_route` those of RSSHub instances (`host` alone: on any port).
    """

    def __init__(
        self,
        pause: timedelta,
        slots: int = 1,
        *,
        free: frozenset[str] = frozenset(),
        per_route: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pause = pause.total_seconds()
        self._slots = slots
        self._free = frozenset(_plain(pair) for pair in free)
        self._per_route = frozenset(_plain(pair) for pair in per_route)
        self._clock = clock
        self._sleep = sleep
        self._lanes: dict[str, _Lane] = {}
        self._holds: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def key(self, url: Place) -> str:
        """Whose limit a URL falls under: its `host:port`, with the path where routes are limited one by one."""
        pair = _pair(url)
        return f"{pair}{url.path}" if pair in self._free or self.is_rsshub(url) else pair

    def is_rsshub(self, url: Place) -> bool:
        """Whether the URL belongs to an RSSHub instance."""
        return not self._per_route.isdisjoint((_pair(url), url.host.lower()))

    def hold(self, url: Place, until: datetime) -> None:
        """Leave a host (or a route) alone until then: what a 429 asks for."""
        key = self.key(url)
        with self._lock:
            self._holds[key] = max(until, self._holds.get(key, until))

    def held(self, url: Place, now: datetime) -> timedelta | None:
        """How long the host still wants to be left alone; nothing longer than is ever promised (the clock jumped)."""
        until = self._holds.get(self.key(url)) if self._holds else None
        return until - now if until and timedelta(0) < until - now <= MAX_WAIT else None

    @contextmanager
    def turn(self, url: Place) -> Iterator[None]:
        """Wait for a slot and for the pause, then run."""
        if _pair(url) in self._free:
            yield
            return
        lane = self._lane(self.key(url))
        with lane.slots:
            with lane.lock:
                start = max(self._clock(), lane.next)
                lane.next = start + self._pause
            if (delay := start - self._clock()) > 0:
                self._sleep(delay)
            try:
                yield
            finally:
                with lane.lock:
                    lane.next = max(lane.next, self._clock() + self._pause)

    def _lane(self, key: str) -> _Lane:
        with self._lock:
            if key not in self._lanes:
                self._lanes[key] = _Lane(self._slots)
            return self._lanes[key]


def _plain(pair: str) -> str:
    return pair.lower().replace("[", "").replace("]", "")


def _pair(url: Place) -> str:
    return f"{url.host.lower().rstrip('.')}:{url.port or (443 if url.scheme == 'https' else 80)}"
