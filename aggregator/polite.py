"""When a feed is asked again: pure decisions over what its server said and how often it really publishes.

    asked ── Outcome ── after() ── FeedState with the next due time ── due() ── asked again

Nothing here touches the network, the archive or the clock. What a feed looks like to its operator is in `verdict`.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from aggregator.errors import FeedError
from aggregator.model import Feed, FeedState, Fetched, PollReport, PollStatus, Validators

MAX_WAIT = timedelta(days=1)
"""The longest a `Retry-After` is obeyed: a server that says "in 30 years" is asked again tomorrow."""

MAX_FRESH = timedelta(days=7)
"""The longest a `max-age` counts; the feed's own `max_interval` bounds it further."""

SETTLED_AFTER = timedelta(days=1)
SETTLED_POLLS = 3
"""A 301 or 308 counts once it was seen on so many polls over at least so long: captive portals answer 301 too."""

FULL_EVERY = timedelta(days=7)
"""Validators are left out when nothing but 304 came for so long: a server that says 304 for ever is found out."""

MEMORY = timedelta(days=14)
"""How far back the rhythm of a feed reaches: what was seen then counts 1/e."""

SIGMAS = 3.0
"""The interval leaves room in the document for what a busy hour brings plus so many standard deviations (Poisson)."""

DAY_AND_NIGHT = 2.0
"""A newsroom's busy hours bring about twice its mean; taken for granted until busier ones have been seen. In the
first day, when its nights and days are not known, half as much again."""

PEAK_MEMORY = timedelta(days=4)
"""How long the busiest hours are kept in mind: over a weekend, and not for ever after one flood."""

PER_TURN = 3.0
"""New entries per `interval` at which a feed is asked just that often; rarer ones are asked less (`next_interval`)."""

STEADY = 3
"""After so many polls in a row that only another address answered, that one is asked first."""

RETRY_FIRST = 8
"""And every so many polls the order of feeds.yaml is tried again."""


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


# --- what a turn came to --------------------------------------------------------------------------------------------


class Dated(Protocol):
    """What is read of an entry or article."""

    @property
    def published(self) -> datetime | None:
        """When its outlet says it appeared."""


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


def window(entries: Iterable[Dated], now: datetime) -> Window:
    """What the entries of a document say about its rhythm."""
    everything = [entry.published for entry in entries]
    dates = sorted(date for date in everything if date and date <= now)
    dated = sum(date is not None for date in everything)
    return Window(len(everything), dated, dates[0] if dates else None, dates[-1] if dates else None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How asking a feed ended, before the archive knows what was new.

    `url` answered, `fetched` is the answer without its body, `ttl` what the document says about itself. After a
    failure `kind`, `code` and `retry_after` are the error's.
    """

    status: PollStatus
    url: str = ""
    fetched: Fetched | None = None
    body_sha256: str | None = None
    ttl: timedelta | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    kind: str | None = None
    code: int | None = None
    retry_after: timedelta | None = None
    window: Window | None = None


def failure(error: FeedError) -> Outcome:
    """The outcome of a feed that could not be read: failed, gone (410), or told to wait."""
    status = {"gone": PollStatus.GONE, "wait": PollStatus.SKIPPED}.get(error.kind, PollStatus.FAILED)
    code, wait = getattr(error, "code", None), getattr(error, "retry_after", None)
    return Outcome(status, error=str(error), kind=error.kind, code=code, retry_after=wait)


def telling(errors: Sequence[FeedError]) -> FeedError:
    """The error to report of a feed all of whose addresses failed: gone only when every one is gone."""
    return next((error for error in errors if error.kind != "gone"), errors[0])


# --- before asking --------------------------------------------------------------------------------------------------


def due(feed: Feed, state: FeedState, now: datetime) -> bool:
    """Whether the daemon asks a feed now."""
    if state.retired(feed.urls) or not feed.urls:
        return False
    return state.next_due is None or state.next_due <= now


def must_wait(state: FeedState, now: datetime) -> str | None:
    """Why a feed is not asked even by hand: its server said when to come back (Retry-After). None when it is."""
    if state.not_before and state.not_before > now:
        return (
            f"its server asked to be left alone until {state.not_before:%Y-%m-%d %H:%M:%S} UTC (--force asks anyway)"
        )
    return None


def skipped(feed: Feed, state: FeedState, now: datetime) -> Outcome | None:
    """The outcome of a feed that is not asked at all: no address, gone, or told to wait; None when it is asked."""
    if not feed.urls:
        return Outcome(PollStatus.SKIPPED, error=feed.needs or "it has no address", kind="needs")
    if state.retired(feed.urls):
        note = "it answered 410 (Gone) and is no longer asked; give it another URL or remove it"
        return Outcome(PollStatus.GONE, error=note, kind="gone")
    note_or_none = must_wait(state, now)
    return Outcome(PollStatus.SKIPPED, error=note_or_none, kind="wait") if note_or_none else None


def addresses(feed: Feed, state: FeedState) -> tuple[str, ...]:
    """The addresses of a feed in the order to try them.

    Where one has settled elsewhere (301, 308), its new place comes before it. Where the first ones have failed for
    several polls, the one that answers comes first, the others now and then.
    """
    moved = state.extra.get("moved") or {}
    urls: list[str] = []
    for url in feed.urls:
        urls += [moved["to"], url] if moved.get("settled") and moved.get("from") == url else [url]
    active = state.extra.get("active") or {}
    steady = active.get("polls", 0)
    if active.get("url") in urls and steady >= STEADY and steady % RETRY_FIRST:
        urls.sort(key=lambda url: url != active["url"])
    return tuple(dict.fromkeys(urls))


def validators_for(url: str, state: FeedState) -> Validators:
    """The validators to send to an address: those it gave itself, and none when only 304 came for a week."""
    extra = state.extra
    full = _instant(extra.get("full"))
    stale = full is not None and state.last_poll is not None and state.last_poll - full > FULL_EVERY
    return Validators() if stale or extra.get("from", url) != url else state.validators


# --- afterwards -----------------------------------------------------------------------------------------------------


def after(feed: Feed, state: FeedState, outcome: Outcome, report: PollReport, now: datetime) -> FeedState:
    """The feed's state after its turn, with the time it is due again; `report` counts what was new and known."""
    if outcome.status is PollStatus.SKIPPED:
        return state
    if outcome.status in (PollStatus.FAILED, PollStatus.GONE):
        return _after_failure(feed, state, outcome, now)
    return _after_success(feed, state, outcome, report, now)


def _after_failure(feed: Feed, state: FeedState, outcome: Outcome, now: datetime) -> FeedState:
    gone = outcome.status is PollStatus.GONE
    if gone and state.retired(feed.urls):
        return state
    failures = state.failures + 1
    wait = backoff(feed, state, failures)
    not_before = None
    if outcome.retry_after is not None:
        not_before = now + outcome.retry_after
        wait = max(wait, outcome.retry_after)
    extra = dict(state.extra) | {"kind": outcome.kind or "other"} | ({"gone_at": list(feed.urls)} if gone else {})
    return replace(
        state,
        next_due=None if gone else now + wait,
        not_before=not_before,
        last_poll=now,
        failures=failures,
        failing_since=state.failing_since or now,
        last_error=outcome.error,
        gone=gone,
        extra=extra,
    )


def backoff(feed: Feed, state: FeedState, failures: int) -> timedelta:
    """The wait after so many failures in a row: doubling from the feed's interval, at most `max_interval`.

    The jitter (a quarter more or less) comes from the feed's name and the count, so that feeds that failed together
    do not come back together, and a test knows what to expect.
    """
    doubled = (state.interval or feed.interval) * int(2 ** min(failures - 1, 20))
    wait = min(doubled, feed.max_interval) * (0.75 + 0.5 * _unit(feed.id, failures))
    return min(max(wait, feed.min_interval), max(feed.max_interval, feed.interval))


def _after_success(feed: Feed, state: FeedState, outcome: Outcome, report: PollReport, now: datetime) -> FeedState:
    fetched = outcome.fetched or Fetched(outcome.url, 200, b"")
    extra = _learned(feed, state, outcome, report, now)
    interval = next_interval(feed, extra)
    asked = [wait for wait in (outcome.ttl or _seconds(extra.get("ttl")), fetched.max_age) if wait]
    safe = _safe(feed, extra)
    wait = max(interval, *(min(wish, feed.max_interval, safe) for wish in asked), timedelta(0))
    wait = max(wait, feed.min_interval) * (1 + 0.1 * _unit(feed.id, int(now.timestamp())))
    not_before = now + fetched.retry_after if fetched.retry_after else None
    return replace(
        state,
        validators=fetched.validators,
        body_sha256=outcome.body_sha256 or state.body_sha256,
        next_due=max(now + wait, not_before or now),
        not_before=not_before,
        last_poll=now,
        last_success=now,
        last_new=now if report.new else state.last_new,
        failures=0,
        failing_since=None,
        last_error=None,
        interval=timedelta(seconds=round(interval.total_seconds())),
        gone=False,
        extra=extra,
    )


def _learned(feed: Feed, state: FeedState, outcome: Outcome, report: PollReport, now: datetime) -> dict[str, Any]:
    """What is kept in `extra`; every value can be written as JSON."""
    extra = {key: value for key, value in state.extra.items() if key not in ("kind", "gone_at", "note")}
    changed = outcome.status is PollStatus.OK
    if outcome.fetched is None or outcome.fetched.status != 304:  # noqa: PLR2004 - Not Modified
        extra["full"] = now.isoformat()
    extra["from"] = outcome.url
    if outcome.ttl:
        extra["ttl"] = outcome.ttl.total_seconds()
    _learn_place(feed, extra, outcome, now)
    _learn_rhythm(extra, state, outcome, report, now)
    if changed and (found := outcome.window):
        extra["dated"] = found.dated
        if found.newest:
            extra["newest"] = found.newest.isoformat()
        if found.gap is not None:
            extra["gap"] = found.gap.total_seconds()
    return extra


def _learn_place(feed: Feed, extra: dict[str, Any], outcome: Outcome, now: datetime) -> None:
    """Where the answer came from: a permanent redirect that may settle, an address that took over."""
    target = outcome.fetched.permanent_url if outcome.fetched else None
    moved = extra.get("moved") or {}
    if target and target != outcome.url:
        same = moved.get("to") == target and moved.get("from") == outcome.url
        since = moved["since"] if same else now.isoformat()
        seen = moved["seen"] + 1 if same else 1
        long = now - datetime.fromisoformat(since) >= SETTLED_AFTER
        settled = bool(same and moved.get("settled")) or (seen >= SETTLED_POLLS and long)
        extra["moved"] = {"from": outcome.url, "to": target, "since": since, "seen": seen, "settled": settled}
    elif moved.get("from") == outcome.url:
        del extra["moved"]  # it answers at the old place again
    _learn_active(feed, extra, outcome.url, now)


def _learn_active(feed: Feed, extra: dict[str, Any], url: str, now: datetime) -> None:
    moved = extra.get("moved") or {}
    first = feed.urls[0] if feed.urls else url
    if url in (first, "") or (url == moved.get("to") and moved.get("from") == first):
        extra.pop("active", None)
        return
    active = extra.get("active") or {}
    same = active.get("url") == url
    polls = active.get("polls", 0) + 1 if same else 1
    extra["active"] = {"url": url, "since": active["since"] if same else now.isoformat(), "polls": polls}


def _learn_rhythm(
    extra: dict[str, Any], state: FeedState, outcome: Outcome, report: PollReport, now: datetime
) -> None:
    """New entries per hour over the last weeks, the peak, and whether the document was overrun."""
    known = report.unchanged + report.revised
    entries = report.new + known
    first = state.last_success is None
    if outcome.status is PollStatus.OK and entries:
        extra["window"], extra["known"] = entries, round(known / entries, 3)
    elif outcome.status is PollStatus.OK:
        extra["window"] = 0
    if first or state.last_success is None:
        return
    hours = (now - state.last_success).total_seconds() / 3600
    planned = (state.interval or timedelta(hours=1)).total_seconds() / 3600
    on_time = hours <= 2 * planned + 0.1
    overrun = report.new > 2 and known == 0  # noqa: PLR2004 - a document of one or two entries says nothing
    if overrun:
        extra["overrun"] = {"at": now.isoformat(), "missed": _missed(extra, outcome.window, report, hours)}
    elif "overrun" in extra and now - datetime.fromisoformat(extra["overrun"]["at"]) > MEMORY:
        del extra["overrun"]
    if overrun and not on_time:
        return  # after a long silence everything is new; that says nothing about the usual rhythm
    fade, fade_peak = (math.exp(-hours / (memory.total_seconds() / 3600)) for memory in (MEMORY, PEAK_MEMORY))
    extra["news"] = round(extra.get("news", 0.0) * fade + report.new, 4)
    extra["hours"] = round(extra.get("hours", 0.0) * fade + hours, 4)
    # The fullest of many polls was full by chance too: half of `SIGMAS` is taken off, nothing after an overrun.
    usual = 1.5 * report.new if overrun else report.new - SIGMAS / 2 * math.sqrt(report.new)
    extra["peak"] = round(max(extra.get("peak", 0.0) * fade_peak, usual / max(hours, 1 / 60)), 4)


def _missed(extra: dict[str, Any], found: Window | None, report: PollReport, hours: float) -> int:
    """About how many entries came and went between two polls, from the dates, else from the usual rate."""
    newest = _instant(extra.get("newest"))
    if found and found.gap and newest and found.oldest and found.oldest > newest:
        return max(round((found.oldest - newest) / max(found.gap, timedelta(seconds=1))) - 1, 0)
    usual = extra.get("news", 0.0) / extra["hours"] if extra.get("hours") else 0.0
    return max(round(usual * hours) - report.new, 0)


def next_interval(feed: Feed, extra: dict[str, Any]) -> timedelta:
    """How long until a feed of this rhythm is asked again, between `min_interval` and `max_interval`.

    With a given number of requests the mean delay over all articles is least when each feed is asked in proportion
    to the square root of its rate (minimise the sum of rate times interval under a fixed sum of 1/interval). A feed
    that brings `PER_TURN` entries per `interval` is asked at just that; a busier one not more often, unless its
    document would overrun. Before anything is known the rate is taken to be just that.
    """
    usual = feed.interval.total_seconds() / 3600
    hours = usual * max(math.sqrt(PER_TURN / (_rate(feed, extra) * usual)), 1.0)
    wait = min(timedelta(hours=hours), _safe(feed, extra))
    return min(max(wait, feed.min_interval), max(feed.max_interval, feed.min_interval))


def _rate(feed: Feed, extra: dict[str, Any]) -> float:
    """New entries per hour, fading over `MEMORY`; `PER_TURN` per interval before anything is known."""
    usual = feed.interval.total_seconds() / 3600
    return float(extra.get("news", 0.0) + 1) / float(extra.get("hours", 0.0) + usual / PER_TURN)


def _safe(feed: Feed, extra: dict[str, Any]) -> timedelta:
    """The longest wait at which busy hours would not overrun the document: m + SIGMAS * sqrt(m) = its entries."""
    entries = extra.get("window", 0)
    if not entries:
        return feed.max_interval
    fits = ((math.sqrt(SIGMAS**2 + 4 * entries) - SIGMAS) / 2) ** 2
    contrast = DAY_AND_NIGHT * (1.5 if extra.get("hours", 0.0) < 24 else 1.0)  # noqa: PLR2004 - a day
    busy = max(contrast * _rate(feed, extra), extra.get("peak", 0.0))
    return max(timedelta(hours=fits / busy), feed.min_interval)


def _unit(name: str, number: int) -> float:
    """A number from 0 to 1 that is always the same for the same name and number."""
    return int.from_bytes(hashlib.sha256(f"{name}/{number}".encode()).digest()[:4], "big") / 0xFFFFFFFF


def _instant(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def _seconds(value: Any) -> timedelta | None:
    return timedelta(seconds=value) if isinstance(value, (int, float)) else None
