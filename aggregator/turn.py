"""A feed's turn: what asking it came to, and what is remembered of it afterwards. Pure.

`polite` decides how long to wait; this module keeps the books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aggregator.errors import FeedError
from aggregator.model import Feed, FeedState, Fetched, PollReport, PollStatus, Validators


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended, before anything is stored. `url` is the address that answered."""

    status: PollStatus
    url: str | None = None
    fetched: Fetched | None = None
    body_sha256: str | None = None
    ttl: timedelta | None = None
    error: str | None = None
    kind: str | None = None
    retry_after: timedelta | None = None
    notes: tuple[str, ...] = ()


def failure(error: FeedError) -> Outcome:
    """A turn that brought nothing, and why."""
    gone = error.kind == "gone"
    status = PollStatus.GONE if gone else PollStatus.FAILED
    wait = getattr(error, "retry_after", None)
    if error.kind == "wait":
        return Outcome(PollStatus.SKIPPED, error=str(error), kind=error.kind, retry_after=wait)
    return Outcome(status, error=str(error), kind=error.kind, retry_after=wait)


def must_wait(state: FeedState, now: datetime) -> str | None:
    """A sentence when the server told us to wait (Retry-After), else None."""
    if state.not_before and now < state.not_before:
        return f"told to wait until {state.not_before:%Y-%m-%d %H:%M} UTC"
    return None


def addresses(feed: Feed, state: FeedState) -> Sequence[str]:
    """The addresses to try, the one that answered last first where it is still among them."""
    return feed.urls


def validators_for(url: str, state: FeedState) -> Validators:
    """What to ask with: validators belong to the address that gave them."""
    return state.validators if state.extra.get("url") in (None, url) else Validators()


def due(feeds: Sequence[Feed], states: Mapping[str, FeedState], now: datetime) -> list[Feed]:
    """The feeds whose time has come: never polled, or due, or due so far ahead that the clock must have jumped."""
    chosen = []
    for feed in feeds:
        state = states.get(feed.id)
        if not feed.urls or (state and state.gone):
            continue
        if state is None or state.next_due is None or state.next_due <= now or _jumped(feed, state, now):
            chosen.append(feed)
    return chosen


def _jumped(feed: Feed, state: FeedState, now: datetime) -> bool:
    """A last poll in the future: the clock was set back, and due times mean nothing."""
    return state.last_poll is not None and state.last_poll > now + feed.interval


def after(feed: Feed, state: FeedState, outcome: Outcome, report: PollReport, now: datetime) -> FeedState:
    """The state to remember: validators, the next due time, failures in a row."""
    if report.status in (PollStatus.FAILED, PollStatus.GONE):
        return replace(
            state,
            last_poll=now,
            failures=state.failures + 1,
            failing_since=state.failing_since or now,
            last_error=report.error,
            gone=state.gone or report.status is PollStatus.GONE,
            next_due=now + max(feed.interval, outcome.retry_after or timedelta(0)),
            not_before=now + outcome.retry_after if outcome.retry_after else None,
        )
    fetched = outcome.fetched
    validators = fetched.validators if fetched and (fetched.validators != Validators()) else state.validators
    if fetched and fetched.status != 304:  # noqa: PLR2004 - Not Modified: the old validators still hold
        validators = fetched.validators
    return replace(
        state,
        validators=validators,
        body_sha256=outcome.body_sha256 or state.body_sha256,
        last_poll=now,
        last_success=now,
        last_new=now if report.new else state.last_new,
        failures=0,
        failing_since=None,
        last_error=None,
        next_due=now + feed.interval,
        not_before=None,
        extra={**state.extra, "url": outcome.url},
    )
