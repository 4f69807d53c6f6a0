"""What the operator is told: the right troubles, each once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aggregator import alerts
from aggregator.alerts import Condition, Trouble
from aggregator.model import Feed, FeedState
from aggregator.store import alarms
from aggregator.store.archive import Archive

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TWO = [
    Feed("front", ("https://a.example/1",), "头版", "港城日报"),
    Feed("world", ("https://a.example/2",), "国际", "港城日报"),
]


def down(feed: str, hours: float) -> FeedState:
    """A feed that has failed for so many hours."""
    since = NOW - timedelta(hours=hours)
    return FeedState(feed, failures=3, failing_since=since, last_error="a.example answers 503.")


def keys(condition: Condition, *said: str) -> list[str]:
    """What is wrong."""
    return [trouble.key for trouble in alerts.troubles(condition, NOW, said)]


def test_an_outlet_is_down_when_all_its_feeds_are_and_long_enough() -> None:
    """One of two, or both for an hour, is nothing to tell."""
    one = {"front": down("front", 48), "world": FeedState("world")}
    fresh = {"front": down("front", 48), "world": down("world", 1)}
    both = {"front": down("front", 48), "world": down("world", 13)}
    assert [keys(Condition(TWO, states)) for states in (one, fresh, both)] == [[], [], ["outlet:港城日报"]]
    [trouble] = alerts.troubles(Condition(TWO, both), NOW)
    assert trouble.sentence == "港城日报 is down since 2026-11-20 23:00 UTC: a.example answers 503."
    assert "feeds check front" in trouble.advice


def test_a_feed_without_an_address_is_no_trouble() -> None:
    """It waits for an RSSHub instance; nothing is down."""
    assert keys(Condition([Feed("x", (), "x", "x", needs="needs an RSSHub instance")], {})) == []


def test_a_disk_near_the_line_is_told_once() -> None:
    """It has to get clearly better before it may be told again."""
    assert keys(Condition(free=999_000_000)) == ["disk-low"]
    assert keys(Condition(free=1_050_000_000)) == []
    assert keys(Condition(free=1_050_000_000), "disk-low") == ["disk-low"]
    assert keys(Condition(free=0, paused="the disk is full")) == ["disk-full"]


def test_digests_that_fail_are_one_trouble() -> None:
    """However many there are, one mail names some of them."""
    [trouble] = alerts.troubles(Condition(digests=[(f"r{n}@example.org", "550 no such user") for n in range(9)]), NOW)
    assert trouble.sentence.startswith("9 digests do not arrive (r0@example.org, ")
    assert "…" in trouble.sentence


def test_each_trouble_is_told_once_and_again_when_it_comes_back() -> None:
    """What was told is left alone while it lasts and forgotten when it is over."""
    low = Trouble("disk-low", "Little room.", "Make room.")
    assert alerts.news([low], []).begun == (low,)
    assert alerts.news([low], ["disk-low"]).begun == ()
    assert alerts.news([], ["disk-low"]).over == ("disk-low",)
    subject, text = alerts.letter([low, low], "a.db")
    assert subject == "2 troubles: Little room."
    assert "Make room." in text


def test_what_was_told_outlives_the_daemon(archive_url: str) -> None:
    """The archive remembers, so that a restart tells nothing twice."""
    archive = Archive.open(archive_url, write=True)
    with archive.writing() as connection:
        alarms.tell(connection, [("disk-low", "Little room."), ("digests", "No mail.")], NOW)
        alarms.tell(connection, [("disk-low", "Little room.")], NOW)
        alarms.forget(connection, ["digests"])
    with archive.reading() as connection:
        assert alarms.told(connection) == {"disk-low": NOW}
