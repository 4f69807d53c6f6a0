"""Schedules: what they say, when they are due, and what changes of the clock do to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.errors import UsageError
from aggregator.schedule import last_until, next_after, read

SHANGHAI, BERLIN, NEW_YORK, APIA, LORD_HOWE = (
    "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe",
)  # fmt: skip


def at(text, zone):
    """A local time as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "expected"),
    [
        ("daily 08:00", SHANGHAI, "2026-11-20T07:59", "2026-11-20T08:00"),
        ("daily 08:00", SHANGHAI, "2026-11-20T08:00", "2026-11-21T08:00"),
        ("weekdays 07:30", SHANGHAI, "2026-11-20T08:00", "2026-11-23T07:30"),
        ("weekly mon 08:00", BERLIN, "2026-11-17T00:00", "2026-11-23T08:00"),
        ("weekly Monday 8:00", BERLIN, "2026-11-17T00:00", "2026-11-23T08:00"),
        ("weekly mon,thu 08:00", BERLIN, "2026-11-17T00:00", "2026-11-19T08:00"),
        ("30 7 * * mon-fri", SHANGHAI, "2026-11-20T08:00", "2026-11-23T07:30"),
        ("0 6,18 * * *", SHANGHAI, "2026-11-20T08:00", "2026-11-20T18:00"),
        ("*/20 9-10 * * *", SHANGHAI, "2026-11-20T09:41", "2026-11-20T10:00"),
        ("0 8 1 * *", BERLIN, "2026-11-20T08:00", "2026-12-01T08:00"),
        ("0 8 1 * sun", BERLIN, "2026-11-23T08:00", "2026-11-29T08:00"),
        ("0 8 * * 7", BERLIN, "2026-11-23T08:00", "2026-11-29T08:00"),
        ("0 8 29 feb *", BERLIN, "2026-11-23T08:00", "2028-02-29T08:00"),
        ("0 8 29 2 *", BERLIN, "2096-03-01T08:00", "2104-02-29T08:00"),
        # The hour from 02:00 to 03:00 does not exist: the offset before the gap counts, so 02:30 is 03:30.
        ("daily 02:30", BERLIN, "2026-03-28T12:00", "2026-03-29T03:30"),
        ("daily 02:30", BERLIN, "2026-03-29T04:00", "2026-03-30T02:30"),
        ("daily 02:30", NEW_YORK, "2026-03-07T12:00", "2026-03-08T03:30"),
        ("daily 02:15", LORD_HOWE, "2026-10-03T12:00", "2026-10-04T02:45"),
        # A whole day that does not exist: 30 December 2011 in Samoa.
        ("daily 08:00", APIA, "2011-12-29T09:00", "2011-12-31T08:00"),
    ],
)
def test_next(schedule, zone, after, expected):
    """The next time a schedule is due, in local time."""
    assert next_after(read(schedule), zone, at(after, zone)) == at(expected, zone)


def test_hour_that_comes_twice_counts_once():
    """When the clock goes back over the hour, the digest leaves the first time only."""
    plan = read("daily 02:30")
    first = next_after(plan, BERLIN, datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert next_after(plan, BERLIN, first) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "daily", "daily 25:00", "daily 8", "weekly 08:00", "weekly someday 08:00", "* * * *", "60 * * * *", "5-1 * * * *",
     "*/0 * * * *", "a b c d e", "0 8 0 * *", "1,, * * * *", "hourly", "٣ * * * *", "x" * 5000],
)  # fmt: skip
def test_what_is_no_schedule_is_said(text):
    """A schedule that cannot be read is answered with how to write one."""
    with pytest.raises(UsageError, match=r"is no schedule; write 'daily 08:00'"):
        read(text)


def test_day_that_never_comes_is_said():
    """30 February is answered, not looked for without end."""
    with pytest.raises(UsageError, match="names no day that exists"):
        next_after(read("0 8 30 feb *"), "UTC", datetime(2026, 1, 1, tzinfo=UTC))


schedules = st.one_of(
    st.builds("daily {:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59)),
    st.builds("weekly {} {:02}:00".format, st.sampled_from(["mon", "sun", "fri"]), st.integers(0, 23)),
    st.builds(
        "{} {} * * {}".format, st.integers(0, 59), st.integers(0, 23), st.sampled_from(["*", "1-5", "0", "sat"])
    ),
)
instants = st.integers(946_684_800, 2_208_988_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
zones = st.sampled_from([SHANGHAI, BERLIN, NEW_YORK, APIA, LORD_HOWE, "UTC", "Africa/Casablanca"])


@given(schedules, zones, instants)
def test_next_and_last_fit_together(text, zone, instant):
    """Nothing is due between two neighbours, and going forward and back ends where it started."""
    plan = read(text)
    following = next_after(plan, zone, instant)
    assert following > instant
    assert last_until(plan, zone, following) == following
    assert last_until(plan, zone, following - timedelta(microseconds=1)) <= instant
    assert following - instant <= timedelta(days=9)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    """No text makes reading a schedule fail in another way."""
    try:
        plan = read(text)
        next_after(plan, "UTC", datetime(2026, 1, 1, tzinfo=UTC))
    except UsageError:
        pass
