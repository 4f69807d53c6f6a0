"""How long to wait: what servers ask for, back-off, and the rhythm of a feed. Every clock is a parameter."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator import polite
from aggregator.model import Feed, FeedState

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
FEED = Feed("f", ("https://news.example/feed",), "F", "F")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        (" 7 ", 7),
        ("999999999999", 86400),
        ("9" * 500, 86400),
        ("Mon, 05 Jan 2026 08:10:00 GMT", 600),
        ("Monday, 05-Jan-26 08:10:00 GMT", 600),
        ("Mon, 05 Jan 2026 07:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
        ("-5", None),
        ("1.5", None),
        ("5, 10", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("٣", None),
        ("Mon, 05 Jan 20266 08:10:00 GMT", None),
    ],
)
def test_retry_after(value, seconds):
    """Seconds and HTTP dates are obeyed between nothing and a day; what cannot be read is as if it were missing."""
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert polite.retry_after(value, NOW) == expected


@given(st.text(max_size=60))
def test_retry_after_never_raises(text):
    """Whatever a server writes, the answer is a wait within bounds or none."""
    wait = polite.retry_after(text, NOW)
    assert wait is None or timedelta(0) <= wait <= timedelta(days=1)


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001 - made aware below
def test_http_dates_are_read(moment):
    """Every date that Python writes as an HTTP date is read as the same instant."""
    moment = moment.replace(tzinfo=UTC, microsecond=0)
    assert polite.http_date(format_datetime(moment, usegmt=True)) == moment


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("max-age=3600", 3600),
        ("public, Max-Age = 60", 60),
        ('max-age="5"', 5),
        ("s-maxage=9", None),
        ("max-age=99999999999", 7 * 86400),
        ("no-cache, max-age=60", None),
        ("no-store,max-age=60", None),
        ("max-age=-1", None),
        ("", None),
        (None, None),
    ],
)
def test_max_age(value, seconds):
    """`max-age` counts, up to a week, unless the answer must not be kept at all."""
    assert polite.max_age(value) == (None if seconds is None else timedelta(seconds=seconds))


@given(st.integers(1, 500), st.text(max_size=9), st.integers(5, 1440))
def test_backoff_is_bounded(failures, name, minutes):
    """However often a feed failed, it is asked again within its bounds: never at once, never for ever not."""
    feed = replace(FEED, id=name, interval=timedelta(minutes=minutes))
    wait = polite.backoff(feed, FeedState(name), failures)
    assert feed.min_interval <= wait <= feed.max_interval


def test_backoff_doubles_and_spreads():
    """Each failure about doubles the wait; feeds that failed together come back apart."""
    waits = [polite.backoff(FEED, FeedState("f"), n) / FEED.interval for n in (1, 2, 3, 4)]
    assert all(0.75 * 2**n <= wait <= 1.25 * 2**n for n, wait in enumerate(waits))
    together = {polite.backoff(replace(FEED, id=str(n)), FeedState(str(n)), 3) for n in range(20)}
    assert len(together) == 20


# --- rhythm ---------------------------------------------------------------------------------------------------------


def after_polls(new: int, known: int, hours: float, times: int, feed: Feed = FEED) -> dict:
    """What is remembered after polls that each saw the same."""
    extra: dict = {}
    state, now = FeedState("f"), NOW
    for number in range(times + 1):
        seen = polite.Seen(new if number else new + known, known if number else 0, changed=True)
        polite.learn(extra, state, seen, now)
        state = replace(state, last_success=now, interval=timedelta(hours=hours))
        now += timedelta(hours=hours)
    return extra


def test_a_feed_at_rest_is_asked_less_and_less():
    """Without anything new the interval grows to `max_interval`, and not beyond."""
    waits = [polite.next_interval(FEED, after_polls(0, 20, 0.5, times)) for times in (0, 10, 100, 700)]
    assert waits[0] == FEED.interval
    assert waits == sorted(waits)
    assert timedelta(hours=6) < waits[-1] <= FEED.max_interval


def test_a_busy_feed_is_asked_before_its_document_overruns():
    """With half of a document new each time, the wait shrinks below the usual, but not below `min_interval`."""
    busy = polite.next_interval(FEED, after_polls(10, 10, 0.5, 10))
    flooded = polite.next_interval(FEED, after_polls(200, 0, 0.5, 10))
    assert FEED.min_interval <= flooded < busy < FEED.interval


def test_the_interval_follows_the_square_root_of_the_rate():
    """A feed that publishes a hundredth as often is asked about a tenth as often."""
    often = polite.next_interval(FEED, after_polls(2, 98, 1, 300))
    seldom = polite.next_interval(replace(FEED, max_interval=timedelta(days=9)), after_polls(1, 99, 50, 300))
    assert 7 < seldom / often < 14


@given(st.integers(0, 300), st.integers(0, 300), st.floats(-50, 500), st.integers(0, 30))
def test_the_interval_stays_within_bounds(new, known, hours, times):
    """Whatever was seen, clocks set back included, the interval is one that feeds.yaml permits."""
    wait = polite.next_interval(FEED, after_polls(new, known, hours, times))
    assert FEED.min_interval <= wait <= FEED.max_interval


def test_the_window_of_a_document():
    """Entries without a date and from the future do not make the span; the gap is its mean step."""
    dates = [NOW - timedelta(hours=2 * n) for n in range(5)]
    found = polite.window([*dates, None, NOW + timedelta(days=900)], NOW)
    assert (found.entries, found.dated, found.oldest, found.newest) == (7, 6, dates[-1], dates[0])
    assert polite.window([None] * 3, NOW).gap is None


def test_an_overrun_says_about_how_many_were_missed():
    """With every entry new, the hole between the last known date and the oldest shown one is counted in steps."""
    extra = after_polls(2, 18, 0.5, 4) | {"newest": (NOW + timedelta(hours=2)).isoformat()}
    start = NOW + timedelta(hours=5)
    shown = polite.window([start + timedelta(minutes=6 * n) for n in range(20)], start + timedelta(hours=3))
    state = FeedState("f", last_success=NOW + timedelta(hours=2), interval=timedelta(minutes=30))
    polite.learn(extra, state, polite.Seen(20, 0, changed=True, window=shown), NOW + timedelta(hours=7))
    assert 28 <= extra["overrun"]["missed"] <= 32
