"""What an operator reads of a feed: one word, one sentence, for each way a feed can stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aggregator.model import Feed, FeedState
from aggregator.verdict import Standing, verdict

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
DAY = timedelta(days=1)
URLS = ("https://news.example/feed",)
FEED = Feed("f", URLS, "F", "F")


def state(
    *, failing: datetime | None = None, failures: int = 0, error: str | None = None, gone: bool = False, **extra
) -> FeedState:
    """A feed that was asked a minute ago."""
    usual = {"window": 20, "dated": 20, "newest": (NOW - timedelta(hours=2)).isoformat(), "gap": 3600.0}
    return FeedState(
        "f",
        last_poll=NOW - timedelta(minutes=1),
        last_success=NOW - timedelta(minutes=1),
        last_new=NOW - timedelta(hours=2),
        failing_since=failing,
        failures=failures,
        last_error=error,
        gone=gone,
        extra={key: value for key, value in (usual | extra).items() if value is not None},
    )


FOR_EACH = [
    (state(), Standing.FINE, "fine"),
    (None, Standing.UNTRIED, "never asked"),
    (FeedState("f"), Standing.UNTRIED, "never asked"),
    (state(gone=True, failing=NOW - DAY, gone_at=list(URLS)), Standing.GONE, "2026-01-04 (410)"),
    (
        state(failing=NOW - DAY, failures=7, error="news.example answered 503."),
        Standing.FAILING,
        "(7 times): news.example answered 503",
    ),
    (state(failing=NOW - DAY, failures=1, kind="challenge", error="x"), Standing.CHALLENGE, "challenge page"),
    # A feed of eight years ago that still answers, and one that was quick and stopped ten days ago.
    (
        state(newest="2018-09-23T00:00:00+00:00", gap=3000.0),
        Standing.FROZEN,
        "newest entry is from 2018-09-23; before, one came every 50 minutes",
    ),
    (state(newest=(NOW - 10 * DAY).isoformat(), news=50.0, hours=300.0), Standing.FROZEN, "every 6 hours"),
    (state(window=0, dated=None, newest=None, gap=None), Standing.EMPTY, "no entries"),
    (state(overrun={"at": (NOW - DAY).isoformat(), "missed": 30}), Standing.OVERRUN, "about 30 were probably missed"),
    (state(overrun={"at": (NOW - DAY).isoformat(), "missed": 0}), Standing.OVERRUN, "some were probably missed"),
    (
        state(
            moved={
                "from": URLS[0],
                "to": "https://u:hush@new.example/?key=hush",
                "since": NOW.isoformat(),
                "seen": 3,
                "settled": True,
            }
        ),
        Standing.MOVED,
        "https://new.example/",
    ),
    (
        state(active={"url": "https://mirror.example/feed", "since": NOW.isoformat(), "polls": 4}),
        Standing.SWITCHED,
        "mirror.example",
    ),
    (state(dated=0, newest=None, gap=None), Standing.UNDATED, "none of its 20 entries has a date"),
]


@pytest.mark.parametrize(("remembered", "standing", "words"), FOR_EACH)
def test_each_verdict(remembered, standing, words):
    """Every way a feed can stand has its word, and a sentence with the figures that show it."""
    found = verdict(FEED, remembered, NOW)
    assert found.standing is standing
    assert words in found.text
    assert "hush" not in found.text


def test_a_feed_that_waits_for_an_instance():
    """A route without an RSSHub instance is no failure."""
    needy = Feed("f", (), "F", "F", needs="needs an RSSHub instance")
    assert verdict(needy, None, NOW).standing is Standing.NEEDS


@pytest.mark.parametrize(
    "remembered",
    [
        state(newest=(NOW - 6 * DAY).isoformat(), gap=3600.0),  # a week of holidays
        state(newest=(NOW - 40 * DAY).isoformat(), gap=30 * 86400.0),  # a monthly
        state(
            moved={
                "from": URLS[0],
                "to": "https://new.example/",
                "since": NOW.isoformat(),
                "seen": 1,
                "settled": False,
            }
        ),
        state(overrun={"at": (NOW - 30 * DAY).isoformat(), "missed": 3}),
        state(gone=True, gone_at=["https://old.example/feed"]),
    ],
)
def test_what_is_no_reason_to_worry(remembered):
    """Holidays, a slow feed, one redirect, an old overrun, an address that was replaced: fine."""
    assert verdict(FEED, remembered, NOW).standing is Standing.FINE
