"""What an operator should be told, once for each trouble: pure.

    troubles(...)                  what is wrong now, each under a key that stays the same while it lasts
    news(troubles, said)           which of them nobody has been told of, and which are over

A trouble that ends is forgotten, so that its return is told again. An outlet is down only when every one of its feeds
has failed for DOWN_AFTER: one address of several, or an hour of maintenance, is nothing to get up for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aggregator.model import Feed, FeedState

DOWN_AFTER = timedelta(hours=12)
"""An outlet's feeds fail for so long: half a day is past any maintenance, and a morning's digest is already poorer."""

LOW = 1_000_000_000
"""Bytes free below which an operator is told: some months of the default feeds."""

ENOUGH = 1.2
"""A disk is out of trouble with so many times LOW free, so that a value near the line is told once and not daily."""

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong: a key that lasts as long as it does, a line, and what to do."""

    key: str
    sentence: str
    advice: str


@dataclass(frozen=True, slots=True)
class Condition:
    """What troubles are read from. `free` is bytes on the archive's disk, None where there is no such disk; `paused`
    says why polling stands still; `digests` are (subscriber, error) of mails given up or long overdue.
    """

    feeds: Sequence[Feed] = ()
    states: Mapping[str, FeedState] | None = None
    free: int | None = None
    paused: str | None = None
    digests: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class News:
    """Troubles to tell, and the keys of those that are over."""

    begun: tuple[Trouble, ...]
    over: tuple[str, ...]


def troubles(condition: Condition, now: datetime, said: Iterable[str] = ()) -> list[Trouble]:
    """Everything that is wrong now; `said` are the keys told before, which decide only near a limit."""
    return [
        *_disk(condition, frozenset(said)),
        *_outlets(condition.feeds, condition.states or {}, now),
        *_digests(condition.digests),
    ]


def news(found: Sequence[Trouble], said: Iterable[str]) -> News:
    """What to tell of the troubles found, after these keys were told before."""
    before, now = frozenset(said), {trouble.key for trouble in found}
    return News(tuple(trouble for trouble in found if trouble.key not in before), tuple(sorted(before - now)))


def letter(begun: Sequence[Trouble], name: str) -> tuple[str, str]:
    """Subject and text of the mail to the operator of the archive `name`."""
    first = begun[0].sentence
    subject = first if len(begun) == 1 else f"{len(begun)} troubles: {first}"
    lines = [f"{trouble.sentence}\n  {trouble.advice}" for trouble in begun]
    end = f"Said once for each; `aggregator doctor` shows how it stands now. Archive: {name}"
    return subject, "\n\n".join([*lines, end]) + "\n"


def _disk(condition: Condition, said: frozenset[str]) -> list[Trouble]:
    if condition.paused:
        advice = "Make room; polling goes on by itself, and what the feeds still show is fetched then."
        return [Trouble("disk-full", condition.paused, advice)]
    if condition.free is None:
        return []
    line = LOW * ENOUGH if "disk-low" in said else LOW
    if condition.free >= line:
        return []
    advice = "Make room before it is full: polling stops then. `aggregator archive prune` removes old articles."
    return [Trouble("disk-low", f"The archive's disk has {condition.free / 1e6:,.0f} MB left.", advice)]


def _outlets(feeds: Sequence[Feed], states: Mapping[str, FeedState], now: datetime) -> list[Trouble]:
    by_outlet: dict[str, list[Feed]] = defaultdict(list)
    for feed in feeds:
        if feed.urls:
            by_outlet[feed.outlet].append(feed)
    return [
        found for outlet, members in by_outlet.items() if (found := _outlet(outlet, members, states, now)) is not None
    ]


def _outlet(outlet: str, feeds: Sequence[Feed], states: Mapping[str, FeedState], now: datetime) -> Trouble | None:
    """Down when every feed of it is, and the last one long enough."""
    since = [states[feed.id].failing_since if feed.id in states else None for feed in feeds]
    started = [moment for moment in since if moment is not None]
    if len(started) < len(feeds) or now - max(started) < DOWN_AFTER:
        return None
    names = ", ".join(feed.id for feed in feeds[:MOST_NAMED]) + (" …" if len(feeds) > MOST_NAMED else "")
    why = (states[feeds[0].id].last_error or "for an unknown reason").rstrip(".")
    sentence = f"{outlet} is down since {max(started):%Y-%m-%d %H:%M} UTC: {why}."
    advice = f"`aggregator feeds check {feeds[0].id}` tries it now; mend or remove {names} in feeds.yaml."
    return Trouble(f"outlet:{outlet}", sentence, advice)


def _digests(failed: Sequence[tuple[str, str]]) -> list[Trouble]:
    if not failed:
        return []
    who = ", ".join(address for address, _error in failed[:MOST_NAMED]) + (" …" if len(failed) > MOST_NAMED else "")
    number = "a digest does" if len(failed) == 1 else f"{len(failed)} digests do"
    advice = "`aggregator digest history` lists them; `aggregator doctor` tries the mail server."
    return [Trouble("digests", f"{number.capitalize()} not arrive ({who}): {failed[0][1].rstrip('.')}.", advice)]
