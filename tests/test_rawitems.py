"""Which items of a document are new, judged on their bytes; and that leaving old ones out changes nothing."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator import pipeline, rawitems
from aggregator.model import Feed, Fetched, Tags
from aggregator.parse import parse_feed
from aggregator.store import articles
from aggregator.store.archive import Archive

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HEAD = b"<?xml version='1.0'?><rss version='2.0'><channel><title>t</title><lastBuildDate>%d</lastBuildDate>"
TAIL = b"</channel></rss>"


def item(guid: str, words: str = "x") -> bytes:
    """One RSS item."""
    return f"<item><guid>{guid}</guid><link>https://o.example/{guid}</link><title>{guid}</title><description>{words}</description></item>".encode()


def test_the_clock_in_a_head_does_not_matter() -> None:
    """Another lastBuildDate is the same frame; another title is not."""
    one, two = (rawitems.split(HEAD % n + item("a") + TAIL) for n in (1, 2))
    other = rawitems.split((HEAD % 1).replace(b"<title>t", b"<title>u") + item("a") + TAIL)
    assert one
    assert two
    assert other
    assert one.frame == two.frame != other.frame


@pytest.mark.parametrize(
    "body",
    [
        HEAD % 1 + TAIL,
        b"not a feed",
        HEAD % 1 + item("a") + b"words" + item("b") + TAIL,
        HEAD % 1 + item("a") + item("a") + TAIL,
        HEAD % 1 + b"<item><title>nameless</title></item>" + TAIL,
        (HEAD % 1 + item("a") + TAIL).decode().encode("utf-16"),
        HEAD % 1 + b"<item><guid>a</guid><description><![CDATA[ </item> ]]></description></item>" + item("b") + TAIL,
    ],
)
def test_doubt_means_the_whole_document(body: bytes) -> None:
    """Words between items, shared or absent names, other encodings and a cut inside CDATA are not cut at all."""
    assert rawitems.split(body) is None


def test_atom_links_are_names() -> None:
    """`<link href>` and `<id>` tell Atom entries apart."""
    body = b"<feed><entry><id>1</id><link href='https://o.example/1'/></entry>\n<entry><id>2</id></entry></feed>"
    found = rawitems.split(body)
    assert found is not None
    assert len(found.items) == 2
    assert found.only([1]) == b"<feed><entry><id>2</id></entry></feed>"


@given(st.binary(max_size=400))
def test_any_bytes_can_be_cut(body: bytes) -> None:
    """Whatever comes, the pieces hold every byte but the white space between items."""
    found = rawitems.split(body)
    if found is not None:
        assert b"".join(found.only(range(len(found.items))).split()) == b"".join(body.split())


def _poll_all(
    place: str, bodies: list[bytes], *, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> tuple[list, set, int]:
    """The reports and the archive after polling these documents in turn; how many entries were parsed."""
    archive = Archive.open(place, write=True)
    feed = Feed("f", ("https://o.example/feed",), "f", "某社")
    parsed = 0
    state = {"at": 0}

    def fetch(_feed, url, _validators, _now):
        return Fetched(url, 200, bodies[state["at"]], "application/rss+xml")

    def parse(fetched, _feed, now):
        nonlocal parsed
        document = parse_feed(
            fetched.body, content_type=fetched.content_type, url=fetched.url, timezone="UTC", now=now
        )
        parsed += len(document.entries)
        return document

    reports = []
    with monkeypatch.context() as patch:
        if whole:
            patch.setattr(rawitems, "split", lambda _body: None)
        for at in range(len(bodies)):
            state["at"] = at
            moment = NOW + timedelta(hours=at)
            parts = pipeline.Parts(archive, fetch, parse, lambda _article: Tags(), lambda moment=moment: moment)
            [report] = pipeline.poll([feed], parts, force=True)
            reports.append((report.new, report.revised, report.unchanged))
    with archive.reading() as connection:
        stored = {(one.guid, one.title, one.text, one.revision) for one in articles.every(connection)}
    return reports, stored, parsed


def test_leaving_old_items_out_changes_nothing(place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty polls of a feed whose window moves and whose entries change: the same reports and archive, a tenth parsed."""
    dice = random.Random(7)
    versions = dict.fromkeys(range(60), 0)
    bodies = []
    for poll in range(40):
        if dice.random() < 0.3:
            versions[dice.randrange(poll, poll + 20)] += 1
        window = range(poll + 19, poll - 1, -1)
        bodies.append(HEAD % poll + b"\n".join(item(str(n), f"body {n} version {versions[n]}") for n in window) + TAIL)
    whole = _poll_all(place("whole"), bodies, whole=True, monkeypatch=monkeypatch)
    cut = _poll_all(place("cut"), bodies, whole=False, monkeypatch=monkeypatch)
    assert whole[:2] == cut[:2]
    assert cut[2] * 8 < whole[2]
