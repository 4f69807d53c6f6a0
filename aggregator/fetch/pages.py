"""Article pages: like feeds, under the same guard and pace, but smaller, and only where robots.txt permits it."""

from __future__ import annotations

from datetime import datetime, timedelta

from aggregator.fetch.client import PAGE_TYPES, Fetcher
from aggregator.fetch.robots import MAX_SIZE, Robots
from aggregator.model import Fetched

MAX_PAGE = 3_000_000
"""Bytes of HTML; the largest article pages of the outlets at hand have some 600 kB."""


class Pages:
    """GETs of pages through a Fetcher; thread-safe."""

    def __init__(self, fetcher: Fetcher, timeout: timedelta = timedelta(seconds=20)) -> None:
        self._fetcher = fetcher
        self._timeout = timeout
        self._robots = Robots(self._rules)

    def get(self, url: str, now: datetime) -> Fetched:
        """The page; raises FetchError, kind `robots` where it is not to be read."""
        self._robots.check(url, now)
        return self._fetcher.fetch(url, timeout=self._timeout, max_size=MAX_PAGE, now=now, accept=PAGE_TYPES)

    def _rules(self, url: str, now: datetime) -> Fetched:
        return self._fetcher.fetch(
            url, timeout=self._timeout, max_size=MAX_SIZE, now=now, accept="text/plain, */*;q=0.5"
        )
