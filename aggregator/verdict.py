"""What to think of a feed, in a word and a sentence, from what the archive remembers of it: pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from aggregator.addresses import masked
from aggregator.model import Feed, FeedState

QUIET_TIMES = 14
"""A feed is frozen after so many times its own mean gap without anything new (chance of it for a feed whose entries
come at random: one in a million)."""

QUIET_AT_LEAST = timedelta(days=7)
"""And never before so long: holidays are no fault (the longest, Spring Festival, lasts eight days)."""


class Standing(StrEnum):
    """How a feed stands; scripts read these words."""

    FINE = "fine"
    UNTRIED = "untried"
    NEEDS = "needs"
    GONE = "gone"
    CHALLENGE = "challenge"
    FAILING = "failing"
    EMPTY = "empty"
    FROZEN = "frozen"
    OVERRUN = "overrun"
    MOVED = "moved"
    SWITCHED = "switched"
    UNDATED = "undated"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A word for scripts and a sentence for people; the sentence never holds a secret."""

    standing: Standing
    text: str


def verdict(feed: Feed, state: FeedState | None, now: datetime) -> Verdict:
    """The most serious thing that is to be said of a feed."""
    if not feed.urls:
        return Verdict(Standing.NEEDS, feed.needs or "has no address")
    if state is None or state.last_poll is None:
        return Verdict(Standing.UNTRIED, "never asked so far")
    found = (
        _gone(feed, state)
        or _failing(state)
        or _frozen(state, now)
        or _overrun(state, now)
        or _elsewhere(state)
        or _undated(state)
    )
    return found or Verdict(Standing.FINE, "fine")


def _gone(feed: Feed, state: FeedState) -> Verdict | None:
    if not state.retired(feed.urls):
        return None
    since = f" since {state.failing_since:%Y-%m-%d}" if state.failing_since else ""
    return Verdict(Standing.GONE, f"gone{since} (410) and no longer asked; give it another URL or remove it")


def _failing(state: FeedState) -> Verdict | None:
    if not state.failing_since:
        return None
    times = f"{state.failures} times" if state.failures > 1 else "once"
    why = (state.last_error or "for an unknown reason").rstrip(".")
    if state.extra.get("kind") == "challenge":
        text = (
            f"shows a challenge page instead of the feed since {state.failing_since:%Y-%m-%d %H:%M} ({times}): {why}"
        )
        return Verdict(Standing.CHALLENGE, text)
    return Verdict(Standing.FAILING, f"failing since {state.failing_since:%Y-%m-%d %H:%M} ({times}): {why}")


def rhythm(state: FeedState) -> timedelta | None:
    """The mean time between two entries, from what was seen to arrive, else from the dates in the document."""
    news, hours, gap = state.extra.get("news", 0), state.extra.get("hours", 0), state.extra.get("gap")
    # Three arrivals are the least that make a rhythm; before that the document's own dates know better.
    if news >= 3:  # noqa: PLR2004
        return timedelta(hours=hours / news)
    return timedelta(seconds=gap) if gap is not None else None


def _frozen(state: FeedState, now: datetime) -> Verdict | None:
    if state.extra.get("window") == 0:
        return Verdict(Standing.EMPTY, "answers properly, with no entries at all")
    newest = state.extra.get("newest")
    last = datetime.fromisoformat(newest) if newest else state.last_new
    if last is None or now - last < QUIET_AT_LEAST:
        return None
    gap = rhythm(state)
    if gap is None or now - last < QUIET_TIMES * gap:
        return None
    text = f"frozen: answers, but the newest entry is from {last:%Y-%m-%d}; before, one came {_each(gap)}"
    return Verdict(Standing.FROZEN, text)


def _each(gap: timedelta) -> str:
    """How often, in the unit that fits."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        number = round(gap.total_seconds() / size)
        if number > 1 or (number == 1 and gap.total_seconds() >= size):
            return f"every {number} {unit}s" if number > 1 else f"every {unit}"
    return "every minute"


def _overrun(state: FeedState, now: datetime) -> Verdict | None:
    overrun = state.extra.get("overrun")
    if not overrun or now - datetime.fromisoformat(overrun["at"]) > QUIET_AT_LEAST:
        return None
    missed = f"about {overrun['missed']} were" if overrun["missed"] else "some were"
    when = datetime.fromisoformat(overrun["at"])
    text = (
        f"overrun on {when:%Y-%m-%d %H:%M}: every entry was new, {missed} probably missed; it is asked more often now"
    )
    return Verdict(Standing.OVERRUN, text)


def _elsewhere(state: FeedState) -> Verdict | None:
    moved, active = state.extra.get("moved") or {}, state.extra.get("active")
    if moved.get("settled"):
        return Verdict(Standing.MOVED, f"moved for good to {masked(moved['to'])}; write that into feeds.yaml")
    if active:
        since = datetime.fromisoformat(active["since"])
        text = f"read from {masked(active['url'])} since {since:%Y-%m-%d %H:%M}, because the addresses before it fail"
        return Verdict(Standing.SWITCHED, text)
    return None


def _undated(state: FeedState) -> Verdict | None:
    entries = state.extra.get("window", 0)
    if entries and state.extra.get("dated") == 0:
        return Verdict(
            Standing.UNDATED, f"none of its {entries} entries has a date; they count from when they were first seen"
        )
    return None
