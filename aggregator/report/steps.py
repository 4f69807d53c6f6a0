"""The steps of time axes: days, weeks (from Monday), months and years, in UTC, named by their first day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile

from aggregator.report.values import Period

UNITS = ("day", "week", "month", "year")
MOST = 70
"""Steps on one axis: what a screen can tell apart."""
FULL = 4_000
"""Steps with nothing in them that a period may have: eleven years of days."""
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


def unit_for(period: Period) -> str:
    """The finest unit that keeps a period within MOST steps."""
    days = (period.until - period.since).days + 1
    return next((unit for unit in UNITS if days / _DAYS[unit] <= MOST), "year")


def start_of(when: datetime, unit: str) -> str:
    """The first day of the step that an instant falls in, as the archive's statements write it.

    >>> start_of(datetime(2023, 11, 15, tzinfo=UTC), "week")
    '2023-11-13'
    """
    day = when.astimezone(UTC).date()
    return _first(day, unit).isoformat()


def steps(period: Period, unit: str, filled: Iterable[str] = (), most: int = FULL) -> list[str]:
    """The first days of all steps of a period, in order.

    A period of more than `most` steps has the newest of them and, before those, the steps that are `filled`.
    """
    last = period.until - timedelta(microseconds=1)
    first = start_of(period.since, unit)
    back = _back(_first(last.astimezone(UTC).date(), unit), unit)
    found = list(takewhile(lambda day: day >= first, islice(back, most)))
    return sorted({*found, *(day for day in filled if first <= day <= found[0])})


def span(start: str, unit: str) -> Period:
    """The period of a step."""
    day = date.fromisoformat(start)
    return Period(_midnight(day), _midnight(_next(day, unit)))


def label(start: str, unit: str) -> str:
    """A step as people name it.

    >>> label("2023-11-13", "week"), label("2023-11-01", "month")
    ('2023-W46', '2023-11')
    """
    if unit == "week":
        year, week, _day = date.fromisoformat(start).isocalendar()
        return f"{year}-W{week:02}"
    return {"month": start[:7], "year": start[:4]}.get(unit, start)


def _back(day: date, unit: str) -> Iterator[str]:
    while True:
        yield day.isoformat()
        if day.year <= 1:
            return
        day = _first(day - timedelta(days=1), unit)


def _first(day: date, unit: str) -> date:
    if unit == "week":
        return day - timedelta(days=min(day.weekday(), day.toordinal() - 1))
    if unit == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if unit == "year" else day


def _next(day: date, unit: str) -> date:
    if unit == "month":
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day.replace(year=day.year + 1) if unit == "year" else day + timedelta(days=_DAYS[unit])


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
