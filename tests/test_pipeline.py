"""Polling from top to bottom, with functions as servers and a real archive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aggregator import pipeline, relate
from aggregator.errors import FetchError
from aggregator.model import (
    Article,
    ClauseId,
    ClauseTag,
    Document,
    Evidence,
    Feed,
    Fetched,
    PollReport,
    PollStatus,
    Relation,
    Tags,
    Validators,
)
from aggregator.parse import parse_feed
from aggregator.store import articles, feeds, maintenance, stories, tags, unrelated
from aggregator.store.archive import Archive
from aggregator.store.schema import article as table

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
ITEM = (
    "<item><guid>{g}</guid><link>https://o.example/{g}</link><title>{t}</title><description>{d}</description></item>"
)


def feed(name: str = "one") -> Feed:
    """A feed of one outlet."""
    return Feed(name, (f"https://{name}.example/feed",), name, "某社", ("新闻",))


def document(*items: tuple[str, str, str]) -> bytes:
    """An RSS document of (guid, title, body)."""
    body = "".join(ITEM.format(g=g, t=t, d=d) for g, t, d in items)
    return f"<rss version='2.0'><channel><title>x</title>{body}</channel></rss>".encode()


REFUSE = {
    "sqlite": [
        "CREATE TRIGGER refuse BEFORE INSERT ON article WHEN NEW.feed = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END"
    ],
    "postgresql": ["ALTER TABLE article ADD CONSTRAINT refuse CHECK (feed <> 'bad')"],
}


class Newsroom:
    """What the servers answer: a body per feed, or an error; and a clock."""

    def __init__(self, archive: Archive) -> None:
        self.answers: dict[str, bytes | Exception | Callable[[Validators], Fetched]] = {}
        self.now = START
        self.asked: list[tuple[str, Validators]] = []
        self.parts = pipeline.Parts(
            archive, self.fetch, self.parse, lambda _article: Tags(), lambda: self.now, workers=3
        )

    def fetch(self, feed: Feed, url: str, validators: Validators, now: datetime) -> Fetched:
        """One answer."""
        self.asked.append((url, validators))
        answer = self.answers[feed.id]
        if isinstance(answer, Exception):
            raise answer
        return answer(validators) if callable(answer) else Fetched(url, 200, answer, "application/rss+xml")

    @staticmethod
    def parse(fetched: Fetched, feed: Feed, now: datetime) -> Document:
        """As in a child, but here."""
        return parse_feed(fetched.body, content_type=fetched.content_type, url=fetched.url, timezone="UTC", now=now)

    def poll(self, *which: Feed) -> dict[str, PollReport]:
        """One round."""
        return {report.feed: report for report in pipeline.poll(which or (feed(),), self.parts)}


@pytest.fixture
def archive(archive_url: str) -> Archive:
    """An empty archive."""
    return Archive.open(archive_url, write=True)


@pytest.fixture
def room(archive: Archive) -> Newsroom:
    """A newsroom over it."""
    return Newsroom(archive)


def stored(archive: Archive) -> list[Article]:
    """Everything in the archive."""
    with archive.reading() as connection:
        return list(articles.every(connection))


def test_new_then_unchanged(room: Newsroom, archive: Archive) -> None:
    """The same bytes a second time store nothing and are not even parsed."""
    room.answers["one"] = document(("1", "甲", "<p>正文一。</p>"), ("2", "乙", "<p>正文二。</p>"))
    first = room.poll()["one"]
    assert (first.status, first.new, first.unchanged) == (PollStatus.OK, 2, 0)
    assert room.poll()["one"].status is PollStatus.UNCHANGED
    assert len(stored(archive)) == 2


def test_a_changed_entry_is_a_revision_and_the_old_text_stays(room: Newsroom, archive: Archive) -> None:
    """The article keeps its id and first-seen time; its former text can be read."""
    room.answers["one"] = document(("1", "甲", "<p>原来的话。</p>"))
    room.poll()
    [before] = stored(archive)
    room.now += timedelta(hours=1)
    room.answers["one"] = document(("1", "甲", "<p>改过的话。</p>"))
    report = room.poll()["one"]
    [after] = stored(archive)
    assert (report.new, report.revised) == (0, 1)
    assert (after.id, after.first_seen, after.revision, after.text) == (before.id, before.first_seen, 2, "改过的话。")
    with archive.reading() as connection:
        assert [old.text for old in articles.history(connection, after.id)] == ["原来的话。"]


def test_two_entries_with_one_guid_are_two_revisions_oldest_first(room: Newsroom, archive: Archive) -> None:
    """A document lists newest first: the last one is the first version."""
    room.answers["one"] = document(("1", "甲", "<p>第二版。</p>"), ("1", "甲", "<p>第一版。</p>"))
    report = room.poll()["one"]
    assert (report.new, report.revised) == (1, 1)
    assert stored(archive)[0].text == "第二版。"


def test_a_failing_feed_stops_no_other(room: Newsroom, archive: Archive) -> None:
    """One refuses, one sends a page, one makes our code fail; the good neighbour is stored."""
    room.answers = {
        "down": FetchError("down.example refused the connection.", "connect"),
        "page": b"<!doctype html><html><body>hello</body></html>",
        "odd": RuntimeError("nobody expected this"),
        "good": document(("1", "甲", "<p>好消息。</p>")),
    }
    reports = room.poll(*map(feed, room.answers))
    assert {name: report.status.value for name, report in reports.items()} == {
        "down": "failed",
        "page": "failed",
        "odd": "failed",
        "good": "ok",
    }
    assert "refused" in (reports["down"].error or "")
    assert len(stored(archive)) == 1


def test_what_comes_together_is_stored_together(room: Newsroom, archive: Archive) -> None:
    """Twelve feeds that answer at one moment take a few transactions, and a slow one holds up none of them."""
    names = [f"feed{number}" for number in range(12)]
    everybody, stored_first = threading.Barrier(12), threading.Event()

    def at_once(_seen: Validators) -> Fetched:
        everybody.wait(60)
        return Fetched("https://one.example/feed", 200, document(("1", "甲", "正文")), "application/rss+xml")

    def slow(_seen: Validators) -> Fetched:
        assert stored_first.wait(60)
        return Fetched("https://slow.example/feed", 200, document(("2", "乙", "后到")), "application/rss+xml")

    room.answers = dict.fromkeys(names, at_once) | {"slow": slow}
    groups = []

    def counted(group: list[pipeline.Brought], parts: pipeline.Parts) -> list[PollReport]:
        groups.append(len(group))
        if sum(groups) == 12:
            stored_first.set()
        return pipeline.take_in(group, parts)

    parts = replace(room.parts, workers=13)
    reports = list(pipeline.poll([feed(name) for name in (*names, "slow")], parts, store=counted))
    assert [report.status for report in reports] == [PollStatus.OK] * 13
    assert len(groups) <= 6


def test_validators_come_back_as_they_were_given(room: Newsroom, archive: Archive) -> None:
    """ETag and Last-Modified byte for byte; a 304 keeps them and counts as success."""
    given = Validators('W/"ab c"', "Sat, 21 Nov 2026 11:00:00 GMT")
    room.answers["one"] = lambda seen: (
        Fetched("https://one.example/feed", 304, b"")
        if seen == given
        else Fetched("https://one.example/feed", 200, document(("1", "甲", "正文")), None, given)
    )
    assert [room.poll()["one"].status.value for _ in range(3)] == ["ok", "unchanged", "unchanged"]
    assert [seen for _url, seen in room.asked] == [Validators(), given, given]


def test_failures_are_counted_and_forgotten(room: Newsroom, archive: Archive) -> None:
    """An outage begins at the first failure and ends at the next success."""
    for hour in range(2):
        room.now = START + timedelta(hours=hour)
        room.answers["one"] = FetchError("one.example answers 503.", "http")
        room.poll()
    with archive.reading() as connection:
        state = feeds.states(connection)["one"]
        assert (state.failures, state.failing_since) == (2, START)
    room.now = START + timedelta(hours=2)
    room.answers["one"] = document(("1", "甲", "正文"))
    room.poll()
    with archive.reading() as connection:
        state = feeds.states(connection)["one"]
        assert (state.failures, state.failing_since, state.last_error) == (0, None, None)
        [outage] = feeds.down_between(connection, START, room.now + timedelta(hours=1))
    assert (outage["since"], outage["until"], outage["kind"]) == (START, room.now, "http")


def test_an_interrupted_round_asks_again(room: Newsroom, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Validators are stored with the articles or not at all."""
    room.answers["one"] = document(("1", "甲", "正文"))

    def broken(*_arguments: object) -> frozenset[int]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(relate, "relate", broken)
        with pytest.raises(KeyboardInterrupt):
            room.poll()
    with archive.reading() as connection:
        assert feeds.states(connection) == {}
    assert room.poll()["one"].new == 1


def test_what_the_archive_refuses_fails_its_feed_only(room: Newsroom, archive: Archive) -> None:
    """A row that the database rejects is rolled back with its feed's savepoint; neighbours are committed."""
    with archive.writing() as connection:
        for statement in REFUSE[archive.dialect]:
            connection.exec_driver_sql(statement)
    room.answers = {"bad": document(("1", "甲", "一")), "good": document(("2", "乙", "二"))}
    reports = room.poll(feed("bad"), feed("good"))
    assert (reports["bad"].status.value, reports["bad"].kind, reports["good"].new) == ("failed", "store", 1)


def test_a_feed_without_an_instance_is_skipped(room: Newsroom) -> None:
    """`rsshub://` without an instance is no failure."""
    lonely = replace(feed(), urls=(), needs="needs an RSSHub instance")
    report = room.poll(lonely)["one"]
    assert (report.status, report.error) == (PollStatus.SKIPPED, "needs an RSSHub instance")


def test_newest_first_is_by_publication(room: Newsroom, archive: Archive) -> None:
    """The order of the index follows the outlet's dates; a date from the future counts as first seen."""
    item = "<item><guid>{0}</guid><title>{0}</title><pubDate>{1}</pubDate><description>x</description></item>"
    rows = [("old", "Sat, 21 Nov 2020 10:00:00 GMT"), ("new", "Sat, 21 Nov 2026 10:00:00 GMT"), ("undated", "soon")]
    room.answers["one"] = (
        "<rss version='2.0'><channel>" + "".join(item.format(*row) for row in rows) + "</channel></rss>"
    ).encode()
    room.poll()
    with archive.reading() as connection:
        order = [title for (title,) in connection.execute(sa.select(table.c.title).order_by(table.c.docid.desc()))]
    assert order == ["undated", "new", "old"]
    assert next(one for one in stored(archive) if one.title == "undated").date_note == "soon"


def test_a_verdict_outlives_a_revision(room: Newsroom, archive: Archive) -> None:
    """A tag that an analyst rejected does not come back with the outlet's next version."""
    tag = ClauseTag(ClauseId("sunnylands-2023/10"), Relation.DISCUSSES, 0.9, (Evidence("text", 0, 2, "正文"),))
    room.parts = replace(room.parts, tag=lambda _article: Tags(("sunnylands-2023",), (tag,)))
    room.answers["one"] = document(("1", "甲", "正文一。"), ("2", "乙", "正文二。"))
    room.poll()
    first = stored(archive)[0]
    with archive.writing() as connection:
        tags.judge(connection, first.id, tag.clause, "reject", "only the lead names it", None, START)
    room.answers["one"] = document(("1", "甲", "正文三。"), ("2", "乙", "正文四。"))
    assert room.poll()["one"].revised == 2
    with archive.reading() as connection:
        found = tags.of(connection, [one.id for one in stored(archive)])
    assert {identity: len(one.clauses) for identity, one in found.items()}.get(first.id, 0) == 0
    assert sum(len(one.clauses) for one in found.values()) == 1


# --- many at once -----------------------------------------------------------------------------------------------

COPIED = (
    "<p>两国代表团周三在港口城市青石举行第三轮会谈，讨论煤矿瓦斯的监测办法。</p>"
    "<p>会谈持续了六个小时，双方交换了各自的排放清单，并同意在明年春天以前核对数据。</p>"
    "<p>代表团团长韩立本说，清单的差别主要来自统计口径，而不是来自测量本身，专家组会先统一口径。</p>"
    "<p>会后发表的新闻稿没有提到资金问题，只说下一轮会谈将在秋天举行，地点另行通知。</p>"
)


def full(room: Newsroom, monkeypatch: pytest.MonkeyPatch, number: int = 6) -> list[Feed]:
    """Feeds that bring one text under two titles each, of which two fill a transaction."""
    monkeypatch.setattr(pipeline, "TEXTS", 3)
    which = [feed(f"f{at}") for at in range(number)]
    for at, one in enumerate(which):
        room.answers[one.id] = document((f"{at}a", f"甲{at}", COPIED), (f"{at}b", f"乙{at}", COPIED))
    return which


def waiting(archive: Archive) -> list[int]:
    """The articles that were not compared yet."""
    with archive.reading() as connection:
        return unrelated.in_time(connection)


def voices(archive: Archive) -> list[tuple[int, int]]:
    """Of each story the articles and the copies among them."""
    with archive.reading() as connection:
        return [(len(one.articles), one.copies) for one in stories.listed(connection)]


def test_what_many_feeds_bring_is_compared_when_all_is_there(
    room: Newsroom, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full groups are stored first and compared afterwards; the reports count the reprints all the same."""
    related: list[int] = []
    real = relate.relate
    monkeypatch.setattr(relate, "relate", lambda c, some, now: related.append(len(some)) or real(c, some, now))
    reports = room.poll(*full(room, monkeypatch))
    assert related == [12]
    assert sum(report.new for report in reports.values()) == 12
    assert sum(report.reprints for report in reports.values()) == 11
    assert (waiting(archive), voices(archive)) == ([], [(12, 11)])


def test_a_poll_cut_short_is_made_good_by_the_next(
    room: Newsroom, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored and not compared, as after a kill, is compared by the next poll, though that brings nothing."""
    which = full(room, monkeypatch)
    parts = room.parts

    def stopped() -> bool:
        return bool(waiting(archive))

    room.parts = replace(parts, stopped=stopped)
    room.poll(*which)
    assert waiting(archive)
    room.parts = parts
    room.poll(*which)
    assert waiting(archive) == []
    assert voices(archive) == [(len(stored(archive)), len(stored(archive)) - 1)]


def test_a_text_that_cannot_be_compared_holds_up_no_other(
    room: Newsroom, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are compared; that one counts as never compared, and nothing waits for ever."""
    real = relate.relate

    def refusing(connection: sa.Connection, some: list[Article], now: datetime) -> frozenset[int]:
        if any(article.title == "乙2" for article in some):
            raise ValueError("a defect")
        return real(connection, some, now)

    monkeypatch.setattr(relate, "relate", refusing)
    reports = room.poll(*full(room, monkeypatch))
    assert {report.status for report in reports.values()} == {PollStatus.OK}
    assert (waiting(archive), voices(archive)) == ([], [(11, 10)])
    assert maintenance.check(archive, lambda _line: None) == [
        "stories: 1 articles were never compared with the others; `aggregator archive check --repair` rebuilds them"
    ]
