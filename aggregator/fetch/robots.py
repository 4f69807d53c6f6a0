"""robots.txt (RFC 9309), asked before an article's page is: per host, kept for a day. protego reads it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from protego import Protego

from aggregator.errors import FetchError
from aggregator.model import Fetched

AGENT = "aggregator"
"""The product token that robots.txt may name."""

KEPT = timedelta(days=1)
"""RFC 9309 2.4: not longer than a day."""

RETRY = timedelta(hours=1)
"""After a robots.txt that could not be had."""

MAX_SIZE = 512_000
"""RFC 9309 2.5: at least 500 KiB are to be read; more is no rule of a news site."""


class Robots:
    """What hosts permit; thread-safe. `get` fetches a robots.txt under the guard and raises FetchError."""

    def __init__(self, get: Callable[[str, datetime], Fetched]) -> None:
        self._get = get
        self._known: dict[str, tuple[Protego | None, datetime]] = {}
        self._lock = threading.Lock()

    def check(self, url: str, now: datetime) -> None:
        """Raise FetchError, kind `robots`, where the host does not permit the URL or cannot say so.

        No robots.txt (a 4xx) permits everything; one that cannot be had (5xx, no connection) nothing, for an hour
        (RFC 9309 2.3.1.3 and 2.3.1.4).
        """
        parts = urlsplit(url)
        place = f"{parts.scheme}://{parts.netloc}"
        rules = self._rules(place, now)
        if rules is None:
            raise FetchError(
                f"{parts.hostname} does not say what robots may read (no robots.txt to be had).", "robots"
            )
        if not rules.can_fetch(url, AGENT):
            raise FetchError(f"{parts.hostname} does not want this page read by robots (robots.txt).", "robots")

    def _rules(self, place: str, now: datetime) -> Protego | None:
        known = self._known.get(place)
        if known and now < known[1]:
            return known[0]
        with self._lock:  # one at a time: a second thread finds what the first one brought
            known = self._known.get(place)
            if known is None or now >= known[1]:
                known = self._known[place] = self._asked(place, now)
        return known[0]

    def _asked(self, place: str, now: datetime) -> tuple[Protego | None, datetime]:
        try:
            found = self._get(f"{place}/robots.txt", now)
        except FetchError as error:
            if error.code is not None and 400 <= error.code < 500 and error.kind != "throttled":  # noqa: PLR2004 - 4xx
                return Protego.parse(""), now + KEPT
            return None, now + RETRY
        return Protego.parse(found.body.decode("utf-8", "replace")), now + KEPT
