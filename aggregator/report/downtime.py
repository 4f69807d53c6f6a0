"""How long feeds were down: overlapping times count once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from aggregator.report.values import NOTHING, Down, Period


def within(downs: Iterable[Down], period: Period) -> timedelta:
    """The time of a period in which at least one of these was down."""
    clipped = sorted(span for one in downs if (span := _clipped(one, period)))
    total, reached = NOTHING, period.since
    for since, until in clipped:
        total += max(until - max(since, reached), NOTHING)
        reached = max(reached, until)
    return total


def feeds_down(downs: Iterable[Down], period: Period) -> tuple[str, ...]:
    """The feeds that were down at some time of the period, by name."""
    return tuple(sorted({one.feed for one in downs if _clipped(one, period)}))


def _clipped(down: Down, period: Period) -> tuple[datetime, datetime] | None:
    since, until = max(down.since, period.since), min(down.until or period.until, period.until)
    return (since, until) if since < until else None


def said(time: timedelta) -> str:
    """A duration as people say it, in the two largest units.

    >>> said(timedelta(hours=50))
    '2 d 2 h'
    """
    minutes = int(time.total_seconds() // 60)
    units = [(minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min")]
    shown = [f"{number} {unit}" for number, unit in units if number]
    return " ".join(shown[:2]) or ("0" if not time else "1 min")
