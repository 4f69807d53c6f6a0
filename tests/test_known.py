"""What a group of feeds is looked up by, against each feed asking by itself."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator import pipeline, turn
from aggregator.model import Article, Feed, FeedState, PollStatus, Tags
from aggregator.pipeline import Brought
from aggregator.store import prune
from aggregator.store.archive import Archive
from aggregator.store.known import Names, look_up
from aggregator.store.schema import article as table
from aggregator.store.schema import revision

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

ENTRY = st.tuples(st.sampled_from("abc"), st.sampled_from("123"), st.sampled_from(["Rain", "Rain again", "Sun"]))
POLLS = st.lists(st.lists(ENTRY, min_size=1, max_size=3), min_size=2, max_size=6)


def brought(number: int, entries: list[tuple[str, str, str]]) -> Brought:
    """What one of three feeds of one outlet says: GUIDs, addresses and texts come up again in the others."""
    name = f"f{number % 3}"
    articles = tuple(
        Article(
            title, f"<p>{title}</p>\n", f"{title} fell. " * 3, name, "Outlet",
            guid=guid, link=f"https://o.example/{page}", url=f"https://o.example/{page}", published=NOW + timedelta(minutes=number),
        )
        for guid, page, title in entries
    )  # fmt: skip
    return Brought(Feed(name, (), name, "Outlet"), FeedState(name), turn.Outcome(PollStatus.OK), articles)


def kept(archive: Archive) -> list[tuple[object, ...]]:
    """Articles and their older texts."""
    with archive.reading() as connection:
        columns = [table.c[name] for name in ("id", "feed", "guid", "url", "title", "revision")]
        now = [tuple(row) for row in connection.execute(sa.select(*columns).order_by(table.c.id))]
        old = sa.select(revision.c.article_id, revision.c.number, revision.c.title).order_by(*revision.primary_key)
        return now + [tuple(row) for row in connection.execute(old)]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive without articles, to be copied: making one runs the migrations."""
    path = tmp_path_factory.mktemp("empty") / "a.db"
    Archive.open(str(path), write=True).close()
    return path


@given(documents=POLLS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_group_ends_as_its_feeds_one_by_one(tmp_path: Path, empty: Path, documents) -> None:
    """One transaction for all feeds, looked up once, stores what a transaction for each would."""
    found = []
    for together in (True, False):
        path = tmp_path / f"{uuid4()}.db"
        shutil.copy(empty, path)
        archive = Archive.open(str(path), write=True)
        parts = pipeline.Parts(archive, None, None, lambda _article: Tags(), lambda: NOW)
        every = [brought(number, entries) for number, entries in enumerate(documents)]
        for group in [every] if together else [[one] for one in every]:
            pipeline.take_in(group, parts)
        found.append(kept(archive))
        archive.close()
    assert found[0] == found[1]


def test_what_was_removed_is_known_under_all_its_names(tmp_path: Path) -> None:
    """A tombstone answers to GUID, address and content key, with an id below 0, after what is stored."""
    archive = Archive.open(str(tmp_path / "a.db"), write=True)
    parts = pipeline.Parts(archive, None, None, lambda _article: Tags(), lambda: NOW)
    pipeline.take_in([brought(0, [("a", "1", "Rain"), ("b", "2", "Sun")])], parts)
    with archive.writing() as connection:
        prune.remove(connection, [2], NOW)  # documents list the newest first
        key = connection.exec_driver_sql("SELECT content_key FROM tombstone").scalar()
        other = Names("f0", (), (), ())
        for names in (
            Names("f0", ("a",), (), ()),
            Names("f9", (), ("https://o.example/1",), ()),
            Names("f9", (), (), (key,)),
        ):
            assert [one.id for one in look_up(connection, [names, other]).of(names)] == [-1]
        both = Names("f0", ("a", "b"), (), ())
        assert [one.id for one in look_up(connection, [both]).of(both)] == [1, -1]
        assert look_up(connection, [Names("f9", ("a", "b"), (), ())]).of(Names("f9", ("a", "b"), (), ())) == []
    archive.close()
