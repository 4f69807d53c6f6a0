"""When a subscriber's digest is due: schedules in words or as cron, in a time zone, through every change of the clock.

    daily 08:00        weekdays 07:30        weekly mon 08:00 (or mon,thu)        30 7 * * mon-fri

Local times are turned into instants as RFC 5545 3.3.5 says: a time that a change of the clock skips counts with the
offset before the gap (02:30 is then 03:30), one that comes twice counts the first time. Cron is the five fields of
POSIX crontab with names, ranges, steps and lists; where both day fields are restricted, either one is enough, and
Sunday is 0 or 7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from aggregator.errors import UsageError

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_FAR = 366 * 9
"""Days looked at: 29 February comes back after eight years at the latest (1896 to 1904, 2096 to 2104)."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The local times and days on which a digest leaves. `either` is cron's rule for two restricted day fields."""

    text: str
    times: tuple[time, ...]
    days: frozenset[int] = frozenset(range(1, 32))
    months: frozenset[int] = frozenset(range(1, 13))
    weekdays: frozenset[int] = frozenset(range(7))
    either: bool = False

    def on(self, day: date) -> bool:
        """Whether it falls on a date."""
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        chosen = (by_day or by_weekday) if self.either else (by_day and by_weekday)
        return chosen and day.month in self.months


def read(text: str) -> Schedule:
    """A schedule from its text; raises UsageError that says how to write one."""
    words = text.lower().split()
    normal = " ".join(words)
    match words:
        case ["daily", at]:
            return Schedule(normal, (_time(at, text),))
        case ["weekdays", at]:
            return Schedule(normal, (_time(at, text),), weekdays=frozenset(range(1, 6)))
        case ["weekly", days, at]:
            return Schedule(normal, (_time(at, text),), weekdays=_weekdays(days, text))
        case [_, _, _, _, _]:
            return _cron(words, normal)
    raise _wrong(text)


def next_after(schedule: Schedule, zone: str, instant: datetime) -> datetime:
    """The first time it is due after `instant`, in UTC; raises UsageError when it never comes (30 February)."""
    found = _nearest(schedule, ZoneInfo(zone), instant, 1)
    if found is None:
        raise UsageError(f"the schedule {schedule.text!r} names no day that exists; change its day or month")
    return found


def last_until(schedule: Schedule, zone: str, instant: datetime) -> datetime:
    """The last time it was due at or before `instant`, in UTC; raises UsageError when it never was."""
    found = _nearest(schedule, ZoneInfo(zone), instant, -1)
    if found is None:
        raise UsageError(f"the schedule {schedule.text!r} names no day that exists; change its day or month")
    return found


def _nearest(schedule: Schedule, zone: ZoneInfo, instant: datetime, step: int) -> datetime | None:
    """Look at local days from the one before (or after) `instant` on; a gap moves a time by less than two days."""
    day = instant.astimezone(zone).date() - timedelta(days=2 * step)
    for count in range(_FAR):
        try:
            dates = [day + timedelta(days=step * (count + more)) for more in range(3)]
        except OverflowError:
            return None
        if not schedule.on(dates[0]):
            continue
        slots = [slot for one in dates if schedule.on(one) for slot in _slots(schedule, zone, one)]
        fitting = [slot for slot in slots if (slot > instant if step > 0 else slot <= instant)]
        if fitting:
            return min(fitting) if step > 0 else max(fitting)
    return None


def _slots(schedule: Schedule, zone: ZoneInfo, day: date) -> Iterator[datetime]:
    for at in schedule.times:
        yield datetime.combine(day, at, zone).astimezone(UTC)


def _time(text: str, whole: str) -> time:
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text, re.ASCII)
    if not found:
        raise _wrong(whole)
    return time(int(found[1]), int(found[2]))


def _weekdays(text: str, whole: str) -> frozenset[int]:
    days = [day[:3] for day in re.split(r",", text) if day]
    if not days or any(day not in DAYS for day in days):
        raise _wrong(whole)
    return frozenset(DAYS.index(day) for day in days)


def _cron(words: list[str], text: str) -> Schedule:
    minutes, hours, days, months, weekdays = (
        _field(word, name, least, most, text) for word, (name, least, most) in zip(words, _FIELDS, strict=True)
    )
    times = tuple(time(hour, minute) for hour in sorted(hours) for minute in sorted(minutes))
    return Schedule(
        text,
        times,
        days,
        months,
        frozenset(day % 7 for day in weekdays),
        # POSIX crontab: a field that starts with an asterisk does not restrict.
        either=not words[2].startswith("*") and not words[4].startswith("*"),
    )


def _field(word: str, name: str, least: int, most: int, text: str) -> frozenset[int]:
    """The values of one cron field: lists of numbers, names, ranges and steps."""
    values: set[int] = set()
    for part in word.split(","):
        found = re.fullmatch(r"(\*|\w+(?:-\w+)?)(?:/(\d{1,2}))?", part, re.ASCII)
        if not found:
            raise _wrong(text)
        span, step = found[1], int(found[2] or 1)
        if span == "*":
            first, last = least, most
        else:
            start, _, end = span.partition("-")
            first = _value(start, name, text)
            last = _value(end, name, text) if end else (most if found[2] else first)
        if not least <= first <= last <= most or step < 1:
            raise _wrong(text)
        values.update(range(first, last + 1, step))
    return frozenset(values)


def _value(word: str, name: str, text: str) -> int:
    if name == "month" and word in MONTHS:
        return MONTHS.index(word) + 1
    if name == "weekday" and word in DAYS:
        return DAYS.index(word)
    if not re.fullmatch(r"\d{1,2}", word, re.ASCII):
        raise _wrong(text)
    return int(word)


def _wrong(text: str) -> UsageError:
    return UsageError(
        f"{text[:80]!r} is no schedule; write 'daily 08:00', 'weekdays 07:30', 'weekly mon 08:00' or the five fields of"
        " cron such as '30 7 * * mon-fri'"
    )
