"""The 29 poll sequences of the shared generator, through the whole pipeline into a real archive: exact counts."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aggregator import pipeline
from aggregator.model import Feed, Fetched, Tags
from aggregator.parse import parse_feed
from aggregator.store import articles, feeds
from aggregator.store.archive import Archive
from aggregator.verdict import verdict

NOW = datetime(2025, 1, 6, 12, tzinfo=UTC)  # the day after the documents

# sequence: articles in the archive after its last poll. Where a row leaves a choice the one taken is said beside it.
EXPECTED = {
    "backdated": 2,
    "content_has_clock": 1,
    "date_moves": 1,
    "dup_in_one_document": 1,
    "feed_emptied": 2,
    "feed_replaced": 2,
    "future_dated": 2,
    "guid_1MB": 1,
    "guid_and_query_change": 5,
    "guid_blank": 5,
    "guid_case": 2,
    "guid_changes": 5,
    "guid_empty": 5,
    "guid_host_change": 1,  # preferred: the text is the same
    "guid_http_https": 1,
    "guid_link_missing": 5,
    "guid_missing": 5,
    "guid_reused": 2,  # both are kept
    "guid_same_for_all": 5,
    "item_100_per_poll": 300,
    "lastbuilddate_clock": 1,
    "link_same_for_all": 5,
    "nfc_nfd": 1,  # preferred
    "nothing_but_description": 5,
    "reappears": 2,
    "same_guid_two_feeds_A": 2,
    "same_guid_two_feeds_B": 2,
    "title_corrected": 1,
    "trailing_slash": 1,
}


@pytest.fixture(scope="session")
def sequences(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated documents, a folder a sequence."""
    folder = tmp_path_factory.mktemp("hostile")
    subprocess.run(
        [sys.executable, str(shared / "chaos" / "gen_hostile.py"), str(folder)], check=True, capture_output=True
    )
    return folder / "identity"


class Polls:
    """One archive, and documents polled into it an hour apart."""

    def __init__(self, place: str) -> None:
        self.archive = Archive.open(place, write=True)
        self.hours = 0
        self.reports: list = []

    def poll(self, name: str, body: bytes) -> None:
        """One turn of one feed."""
        feed = Feed(name, (f"https://{name.replace('_', '-')}.example/feed",), name, name)
        now = NOW + timedelta(hours=self.hours)
        self.hours += 1

        def fetch(_feed, url, _validators, _now):
            return Fetched(url, 200, body, "application/rss+xml")

        def parse(fetched, _feed, at):
            return parse_feed(fetched.body, content_type=fetched.content_type, url=fetched.url, timezone="UTC", now=at)

        parts = pipeline.Parts(self.archive, fetch, parse, lambda _article: Tags(), lambda: now)
        self.reports += pipeline.poll([feed], parts, force=True)

    def stored(self) -> list:
        """Every article."""
        with self.archive.reading() as connection:
            return list(articles.every(connection))


def test_the_table_is_complete(sequences: Path) -> None:
    """29 sequences, each with its count."""
    assert {folder.name for folder in sequences.iterdir()} == set(EXPECTED)
    assert len(EXPECTED) == 29


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_sequence_ends_with_its_count(name: str, sequences: Path, archive_url: str) -> None:
    """After the last poll, and after the same documents once more, the archive holds exactly so many articles."""
    polls = Polls(archive_url)
    documents = sorted((sequences / name).iterdir())
    for path in documents:
        polls.poll(name, path.read_bytes())
    assert len(polls.stored()) == EXPECTED[name]
    polls.poll(name, documents[-1].read_bytes())
    assert len(polls.stored()) == EXPECTED[name]
    assert not [report for report in polls.reports if report.error]
    assert sum(report.new for report in polls.reports) == EXPECTED[name]


def test_guids_belong_to_their_feed(sequences: Path, archive_url: str) -> None:
    """Two feeds that use the same GUIDs for other articles have four between them."""
    polls = Polls(archive_url)
    for name in ("same_guid_two_feeds_A", "same_guid_two_feeds_B"):
        polls.poll(name, (sequences / name / "v1.xml").read_bytes())
    assert len(polls.stored()) == 4


def test_a_clock_in_the_text_is_not_revised_for_ever(archive_url: str) -> None:
    """A text that changes at each poll in its digits alone stops being revised after two dozen."""
    polls = Polls(archive_url)
    for minute in range(60):
        item = f"<item><guid>1</guid><title>t</title><description>served at 12:{minute:02}</description></item>"
        polls.poll("clock", f"<rss version='2.0'><channel>{item}</channel></rss>".encode())
    [article] = polls.stored()
    assert article.revision <= 25


def test_a_window_that_slides_completely_is_said(sequences: Path, archive_url: str) -> None:
    """When every entry is new each time, the operator learns that some were probably missed."""
    polls = Polls(archive_url)
    for path in sorted((sequences / "item_100_per_poll").iterdir()):
        polls.poll("item_100_per_poll", path.read_bytes())
    feed = Feed("item_100_per_poll", ("https://x.example/",), "x", "x")
    with polls.archive.reading() as connection:
        state = feeds.states(connection)[feed.id]
    assert verdict(feed, state, NOW + timedelta(hours=polls.hours)).standing == "overrun"
