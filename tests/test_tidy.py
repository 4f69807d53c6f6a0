"""The search index is merged when its pieces have grown, a step in a transaction."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from aggregator.query import parse
from aggregator.store import search, tidy
from aggregator.store.archive import Archive
from aggregator.store.schema import article

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = "港城地铁环线今天铺通最后一段轨道柳镇小麦丰收农户忙着晾晒入库甲烷减排合作声明发布"


def _enter(archive: Archive, numbers: range) -> None:
    """One transaction of made-up articles: all 40 pieces of the same words, in another order each."""
    texts = {
        n: "，".join("".join(pair) for pair in itertools.permutations(WORDS[n % 30 : n % 30 + 9], 3)) for n in numbers
    }
    with archive.writing() as connection:
        rows = [
            {
                "docid": n + 1, "feed": "f", "outlet": "o", "content_key": str(n), "first_seen": NOW, "title": f"第 {n} 篇",
                "text": text, "html": b"", "categories": [], "extra": {},
            }
            for n, text in texts.items()
        ]  # fmt: skip
        connection.execute(sa.insert(article), rows)
        search.index(connection, [(row["docid"], row["title"], row["text"]) for row in rows])


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An index in several pieces, the largest of which is smaller than the others together."""
    found = Archive.open(str(tmp_path / "archive.db"), write=True)
    for start in range(0, 240, 80):
        _enter(found, range(start, start + 80))
    yield found
    found.close()


def _found(archive: Archive, query: str) -> list[int]:
    with archive.reading() as connection:
        return [hit.id for hit in search.hits(connection, search.find(connection, parse(query, NOW), limit=500).ids)]


def _pieces(archive: Archive) -> list[int]:
    with archive.reading() as connection:
        return tidy.pieces(connection)


def test_merging_makes_one_piece_that_finds_the_same(archive: Archive) -> None:
    """Pieces become one, smaller than they were together; queries give what they gave, and nothing is left to do."""
    before, found = _pieces(archive), _found(archive, "环线")
    assert len(before) > 1
    assert tidy.tidy(archive.writing, least=1) > 1
    after = _pieces(archive)
    assert len(after) == 1
    assert after[0] < sum(before)
    assert found
    assert _found(archive, "环线") == found
    with archive.reading() as connection:
        assert search.verify(connection) == []
    assert tidy.tidy(archive.writing, least=1) == 0


def test_merging_that_was_stopped_goes_on(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is kept, articles are entered between two, and the next call merges the rest."""
    monkeypatch.setattr(tidy, "STEP", 1)
    turns = iter((False, True))
    assert tidy.tidy(archive.writing, lambda: next(turns), least=1) == 1
    _enter(archive, range(240, 260))
    with archive.reading() as connection:
        assert search.verify(connection) == []
    monkeypatch.setattr(tidy, "STEP", 500)
    assert tidy.tidy(archive.writing, least=1) > 0
    assert len(_pieces(archive)) == 1
    with archive.reading() as connection:
        assert search.verify(connection) == []


def test_a_small_index_is_left_alone(archive: Archive) -> None:
    """Below the least number of pages merging is not worth a transaction."""
    before = _pieces(archive)
    assert tidy.tidy(archive.writing) == 0
    assert _pieces(archive) == before
