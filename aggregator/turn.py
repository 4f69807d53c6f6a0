"""A feed's turn: what asking it came to, and what is remembered of it afterwards. Pure.

    skipped() or asked at addresses() with validators_for() ── Outcome ── after() ── FeedState ── due() ── asked again

`polite` decides how long to wait; this module keeps the books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from aggregator import polite
from aggregator.errors import FeedError
from aggregator.model import Feed, FeedState, Fetched, PollReport, PollStatus, Validators

SETTLED_AFTER = timedelta(days=1)
SETTLED_POLLS = 3
"""A 301 or 308 counts once it was seen on so many polls over at least so long: captive portals answer 301 too."""

FULL_EVERY = timedelta(days=7)
"""Validators are left out when nothing but 304 came for so long: a server that says 304 for ever is found out."""

STEADY = 3
"""After so many polls in a row that only another address answered, that one is asked first."""

RETRY_FIRST = 8
"""And every so many polls the order of feeds.yaml is tried again."""


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
    window: polite.Window | None = None
    items: Mapping[str, Any] | None = None


def failure(error: FeedError) -> Outcome:
    """The outcome of a feed that could not be read: failed, gone (410), or told to wait."""
    status = {"gone": PollStatus.GONE, "wait": PollStatus.SKIPPED}.get(error.kind, PollStatus.FAILED)
    code, wait = getattr(error, "code", None), getattr(error, "retry_after", None)
    return Outcome(status, error=str(error), kind=error.kind, code=code, retry_after=wait)


def telling(errors: Sequence[FeedError]) -> FeedError:
    """The error to report of a feed all of whose addresses failed: gone only when every one is gone."""
    return next((error for error in errors if error.kind != "gone"), errors[0])


# --- before asking --------------------------------------------------------------------------------------------------


def due(feeds: Sequence[Feed], states: Mapping[str, FeedState], now: datetime) -> list[Feed]:
    """The feeds whose time has come: never polled, or due, or due so far ahead that the clock must have jumped."""
    return [feed for feed in feeds if feed.urls and _is_due(feed, states.get(feed.id), now)]


def _is_due(feed: Feed, state: FeedState | None, now: datetime) -> bool:
    if state is None:
        return True
    if state.retired(feed.urls):
        return False
    # A last poll in the future: the clock was set back, and due times mean nothing.
    jumped = state.last_poll is not None and state.last_poll > now + feed.interval
    return jumped or state.next_due is None or state.next_due <= now


def interleaved(feeds: Sequence[Feed]) -> list[Feed]:
    """The feeds in an order in which one host comes up as rarely in a row as can be.

    A worker that waits for its host's pause does nothing else; with hosts taking turns few have to.
    """
    turns: dict[str, int] = {}
    order: list[tuple[int, int]] = []
    for position, feed in enumerate(feeds):
        host = feed.urls[0].split("/", 3)[2].rpartition("@")[2] if feed.urls and "//" in feed.urls[0] else ""
        turns[host] = turns.get(host, -1) + 1
        order.append((turns[host], position))
    return [feeds[position] for _turn, position in sorted(order)]


def must_wait(state: FeedState, now: datetime) -> str | None:
    """Why a feed is not asked even by hand: its server said when to come back (Retry-After). None when it is.

    A time further off than any that is ever promised was noted by a clock that has been set back since.
    """
    if state.not_before and now < state.not_before <= now + polite.MAX_WAIT:
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
    told = must_wait(state, now)
    return Outcome(PollStatus.SKIPPED, error=told, kind="wait") if told else None


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
    full = polite.instant(extra.get("full"))
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
    wait = polite.backoff(feed, state, failures)
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


def _after_success(feed: Feed, state: FeedState, outcome: Outcome, report: PollReport, now: datetime) -> FeedState:
    fetched = outcome.fetched or Fetched(outcome.url, 200, b"")
    extra = _learned(feed, state, outcome, report, now)
    interval = polite.next_interval(feed, extra)
    asked = [wait for wait in (timedelta(seconds=extra.get("ttl", 0)), fetched.max_age) if wait]
    safe = polite.safe_wait(feed, extra)
    # Up to a twentieth early, so that feeds that were asked together drift apart; never before what the server wishes.
    wait = max(interval * (0.95 + 0.05 * polite.unit(feed.id, int(now.timestamp()))), feed.min_interval)
    wait = max(wait, *(min(wish, feed.max_interval, safe) for wish in asked), timedelta(0))
    not_before = now + fetched.retry_after if fetched.retry_after else None
    return replace(
        state,
        validators=_validators(state, fetched),
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


def _validators(state: FeedState, fetched: Fetched) -> Validators:
    """What the answer gave; a 304 that repeats none leaves those it was asked with in force (RFC 9110 15.4.5)."""
    if fetched.status == 304 and fetched.validators == Validators():  # noqa: PLR2004 - Not Modified
        return state.validators
    return fetched.validators


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
    seen = polite.Seen(report.new, report.unchanged + report.revised, changed, outcome.window)
    polite.learn(extra, state, seen, now)
    if changed:
        extra.pop("items", None)
        extra |= {"items": outcome.items} if outcome.items else {}
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
