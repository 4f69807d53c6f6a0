"""How long to wait: pure decisions over what a server said and how often its feed really publishes.

`turn` keeps the books with these, `verdict` says in words what they come to.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from aggregator.model import Feed, FeedState

MAX_WAIT = timedelta(days=1)
"""The longest a `Retry-After` is obeyed: a server that says "in 30 years" is asked again tomorrow."""

MAX_FRESH = timedelta(days=7)
"""The longest a `max-age` counts; the feed's own `max_interval` bounds it further."""

MEMORY = timedelta(days=14)
"""How far back the rhythm of a feed reaches: what was seen then counts 1/e."""

SIGMAS = 4.0
"""The interval leaves room in the document for what a busy hour brings plus so many standard deviations (Poisson)."""

DAY_AND_NIGHT = 2.0
"""A newsroom's busy hours bring about twice its mean; taken for granted until busier ones have been seen. In the
first day, when its nights and days are not known, half as much again."""

PEAK_MEMORY = timedelta(days=4)
"""How long the busiest hours are kept in mind: over a weekend, and not for ever after one flood."""

PER_TURN = 4.0
"""New entries per `interval` at which a feed is asked just that often; rarer ones are asked less (`next_interval`)."""


# --- what a server said ---------------------------------------------------------------------------------------------


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long `Retry-After` (RFC 9110 10.2.3, seconds or an HTTP date) asks to wait, from 0 to a day.

    None where it is absent or unreadable (negative, fractions, words).
    """
    text = (value or "").strip()
    if re.fullmatch(r"\d+", text, re.ASCII):
        return min(timedelta(seconds=min(int(text[:12]), 10**9)), MAX_WAIT)
    when = http_date(text)
    return min(max(when - now, timedelta(0)), MAX_WAIT) if when else None


def http_date(text: str) -> datetime | None:
    """An aware instant from an HTTP date, None where it is none."""
    if not re.match(r"[A-Z][a-z]{2,8},? ", text):
        return None
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.tzinfo else None


def max_age(cache_control: str | None) -> timedelta | None:
    """`max-age` of Cache-Control (RFC 9111 5.2.2.1), at most a week; None with `no-cache`, `no-store` or none."""
    text = (cache_control or "").lower()
    found = re.search(r"(?:^|[\s,])max-age\s*=\s*\"?(\d+)", text, re.ASCII)
    if not found or re.search(r"no-(?:cache|store)", text):
        return None
    return min(timedelta(seconds=min(int(found.group(1)[:12]), 10**9)), MAX_FRESH)


# --- how long to wait ---


def backoff(feed: Feed, state: FeedState, failures: int) -> timedelta:
    """The wait after so many failures in a row: doubling from the feed's interval, at most `max_interval`.

    The jitter (a quarter more or less) comes from the feed's name and the count, so that feeds that failed together
    do not come back together, and a test knows what to expect.
    """
    doubled = (state.interval or feed.interval) * int(2 ** min(failures - 1, 20))
    wait = min(doubled, feed.max_interval) * (0.75 + 0.5 * unit(feed.id, failures))
    return min(max(wait, feed.min_interval), max(feed.max_interval, feed.interval))


# --- the rhythm of a feed ---


@dataclass(frozen=True, slots=True)
class Window:
    """The entries of one document: how many, how many with a date, and the oldest and newest date not in the future."""

    entries: int
    dated: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None

    @property
    def gap(self) -> timedelta | None:
        """The mean time between two entries; None with fewer than three dates."""
        if self.oldest is None or self.newest is None or self.dated < 3:  # noqa: PLR2004 - two dates are no rhythm
            return None
        return (self.newest - self.oldest) / (self.dated - 1)


def window(published: Iterable[datetime | None], now: datetime) -> Window:
    """What the dates of a document's entries say about its rhythm."""
    everything = list(published)
    dates = sorted(date for date in everything if date and date <= now)
    dated = sum(date is not None for date in everything)
    return Window(len(everything), dated, dates[0] if dates else None, dates[-1] if dates else None)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a successful poll saw: entries that were new and known; `changed` is False for a 304 or the same bytes."""

    new: int
    known: int
    changed: bool
    window: Window | None = None


def learn(extra: dict[str, Any], state: FeedState, seen: Seen, now: datetime) -> None:
    """Take what a successful poll saw into `extra`: new entries per hour over the last weeks, the peak, an overrun.

    The share of entries already known between two polls that came on time tells the rate (Media Cloud does the same
    to set its intervals); `extra` is `FeedState.extra`, changed in place.
    """
    known = seen.known
    if seen.changed:
        entries = seen.new + known
        extra["window"], extra["known"] = entries, round(known / entries, 3) if entries else None
    elif extra.get("window"):
        extra["known"] = 1.0
    if state.last_success is None or now <= state.last_success:
        return  # the clock was set back: how long it really was, nobody knows
    hours = (now - state.last_success).total_seconds() / 3600
    planned = (state.interval or timedelta(hours=1)).total_seconds() / 3600
    on_time = hours <= 2 * planned + 0.1
    overrun = seen.new > 2 and known == 0  # noqa: PLR2004 - a document of one or two entries says nothing
    if overrun:
        extra["overrun"] = {"at": now.isoformat(), "missed": _missed(extra, seen, hours)}
    elif "overrun" in extra and now - datetime.fromisoformat(extra["overrun"]["at"]) > MEMORY:
        del extra["overrun"]
    if overrun and not on_time:
        return  # after a long silence everything is new; that says nothing about the usual rhythm
    fade, fade_peak = (math.exp(-hours / (memory.total_seconds() / 3600)) for memory in (MEMORY, PEAK_MEMORY))
    extra["news"] = round(extra.get("news", 0.0) * fade + seen.new, 4)
    extra["hours"] = round(extra.get("hours", 0.0) * fade + hours, 4)
    # The fullest of many polls was full by chance too: half of `SIGMAS` is taken off, nothing after an overrun.
    usual = 1.5 * seen.new if overrun else seen.new - SIGMAS / 2 * math.sqrt(seen.new)
    extra["peak"] = round(max(extra.get("peak", 0.0) * fade_peak, usual / max(hours, 1 / 60)), 4)


def _missed(extra: dict[str, Any], seen: Seen, hours: float) -> int:
    """About how many entries came and went between two polls, from the dates, else from the usual rate."""
    newest, found = instant(extra.get("newest")), seen.window
    if found and found.gap and newest and found.oldest and found.oldest > newest:
        return max(round((found.oldest - newest) / max(found.gap, timedelta(seconds=1))) - 1, 0)
    usual = extra.get("news", 0.0) / extra["hours"] if extra.get("hours") else 0.0
    return max(round(usual * hours) - seen.new, 0)


def next_interval(feed: Feed, extra: dict[str, Any]) -> timedelta:
    """How long until a feed of this rhythm is asked again, between `min_interval` and `max_interval`.

    With a given number of requests the mean delay over all articles is least when each feed is asked in proportion
    to the square root of its rate (minimise the sum of rate times interval under a fixed sum of 1/interval). A feed
    that brings `PER_TURN` entries per `interval` is asked at just that; a busier one not more often, unless its
    document would overrun. Before anything is known the rate is taken to be just that.
    """
    usual = feed.interval.total_seconds() / 3600
    hours = usual * max(math.sqrt(PER_TURN / (_rate(feed, extra) * usual)), 1.0)
    wait = min(timedelta(hours=hours), safe_wait(feed, extra))
    return min(max(wait, feed.min_interval), max(feed.max_interval, feed.min_interval))


def _rate(feed: Feed, extra: dict[str, Any]) -> float:
    """New entries per hour, fading over `MEMORY`; `PER_TURN` per interval before anything is known."""
    usual = feed.interval.total_seconds() / 3600
    return float(extra.get("news", 0.0) + 1) / float(extra.get("hours", 0.0) + usual / PER_TURN)


def safe_wait(feed: Feed, extra: dict[str, Any]) -> timedelta:
    """The longest wait at which busy hours would not overrun the document: m + SIGMAS * sqrt(m) = its entries."""
    entries = extra.get("window", 0)
    if not entries:
        return feed.max_interval
    fits = ((math.sqrt(SIGMAS**2 + 4 * entries) - SIGMAS) / 2) ** 2
    contrast = DAY_AND_NIGHT * (1.5 if extra.get("hours", 0.0) < 24 else 1.0)  # noqa: PLR2004 - a day
    seen = extra.get("news", 0.0) / (extra.get("hours", 0.0) + feed.interval.total_seconds() / 3600)
    busy = max(contrast * seen, extra.get("peak", 0.0))
    if not busy:
        return feed.max_interval
    return max(timedelta(hours=fits / busy), feed.min_interval)


def unit(name: str, number: int) -> float:
    """A number from 0 to 1 that is always the same for the same name and number."""
    return int.from_bytes(hashlib.sha256(f"{name}/{number}".encode()).digest()[:4], "big") / 0xFFFFFFFF


def instant(text: Any) -> datetime | None:
    """An instant as `extra` holds it."""
    return datetime.fromisoformat(text) if isinstance(text, str) else None
