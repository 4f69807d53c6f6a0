"""Articles and their revisions: write them, find what is already there, read them back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from aggregator.model import Article, ArticleId
from aggregator.store import search
from aggregator.store.docids import SLOT, Docids
from aggregator.store.schema import article as table
from aggregator.store.schema import packed, unpacked
from aggregator.store.schema import revision as revisions

T = TypeVar("T")
_PLAIN = (
    "feed", "outlet", "guid", "url", "link", "lang", "published", "updated", "captured", "date_note", "author",
    "headimg", "origin", "dialect", "fulltext", "title", "text", "revision",
)  # fmt: skip
_OLD = (
    "title", "link", "author", "published", "updated", "captured", "origin", "headimg", "text",
)  # fmt: skip
_FUTURE = timedelta(hours=24)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_ADD = sa.insert(table)
CHUNK = 500
"""Values in one IN list; SQLite allows 32,766 parameters a statement, short lists keep its planner quick."""


@dataclass(slots=True)
class Texts:
    """What the search index must learn before the transaction ends: title and text by docid, and the docids given.

    Kept back because the index takes 500 texts at once at a third of the cost of 25 times 20.
    """

    waiting: dict[int, tuple[str, str]] = field(default_factory=dict)
    docids: Docids | None = None

    def replace(self, connection: sa.Connection, docid: int, old: tuple[str, str], new: tuple[str, str]) -> None:
        """Another text for a docid; what the index already holds of it is taken out at once."""
        if docid not in self.waiting:
            search.unindex(connection, [(docid, *old)])
        self.waiting[docid] = new

    def write(self, connection: sa.Connection) -> None:
        """Enter everything that waits, by docid: FTS5 writes out what it has whenever a lower one comes."""
        search.index(connection, [(docid, title, text) for docid, (title, text) in sorted(self.waiting.items())])
        self.waiting.clear()
        if self.docids is not None:
            self.docids.write()

    def places(self, connection: sa.Connection, values: Iterable[Article], now: datetime) -> list[int]:
        """Free docids for these new articles."""
        self.docids = self.docids or Docids(connection)
        return self.docids.allocate([_seconds(value, now) for value in values])

    def foresee(self, connection: sa.Connection, values: Iterable[Article], now: datetime) -> None:
        """Ask at once for the places that some of these articles may get."""
        self.docids = self.docids or Docids(connection)
        self.docids.ask(_seconds(value, now) // SLOT for value in values)


def add(
    connection: sa.Connection, articles: Sequence[tuple[Article, str]], now: datetime, texts: Texts
) -> list[Article]:
    """Store new articles, each with its content key; give them back with ids and `first_seen`.

    One statement for all of them; the caller writes `texts` to the search index in the same transaction.
    """
    if not articles:
        return []
    docids = texts.places(connection, [value for value, _key in articles], now)
    rows = [
        _row(value, key) | {"docid": docid, "first_seen": value.first_seen or now}
        for (value, key), docid in zip(articles, docids, strict=True)
    ]
    ids = _insert(connection, rows)
    texts.waiting.update({row["docid"]: (row["title"], row["text"]) for row in rows})
    return [_stored(value, identity, row) for (value, _key), row, identity in zip(articles, rows, ids, strict=True)]


def _insert(connection: sa.Connection, rows: list[dict[str, Any]]) -> list[ArticleId]:
    """Ids in the order of the rows: taken from the sequence of the table, which one writer owns at a time."""
    if connection.dialect.name == "sqlite":
        last = connection.exec_driver_sql("SELECT max(id) FROM article").scalar() or 0
        for number, row in enumerate(rows, 1):
            row["id"] = last + number
        connection.execute(_ADD, rows)
        return [row["id"] for row in rows]
    found = connection.execute(sa.insert(table).returning(table.c.id, sort_by_parameter_order=True), rows)
    return [ArticleId(identity) for (identity,) in found]


def revise(
    connection: sa.Connection, identity: ArticleId, value: Article, key: str, now: datetime, texts: Texts
) -> Article:
    """The outlet changed its article: keep the old text as a revision, the new one in its place."""
    before = connection.execute(sa.select(table).where(table.c.id == identity)).mappings().one()
    connection.execute(
        sa.insert(revisions).values(
            {name: before[name] for name in (*_OLD, "html", "content_key", "categories", "extra")}
            | {"article_id": identity, "number": before["revision"], "replaced_at": now}
        )
    )
    row = _row(value, key) | {"revision": before["revision"] + 1, "revised_at": now}
    for kept in ("feed", "outlet"):
        row[kept] = before[kept]
    row["published"] = value.published or before["published"]
    connection.execute(sa.update(table).where(table.c.id == identity).values(row))
    texts.replace(connection, before["docid"], (before["title"], before["text"]), (row["title"], row["text"]))
    return _stored(value, identity, row | {"first_seen": before["first_seen"]})


def get(connection: sa.Connection, identity: int) -> Article | None:
    """One article, or None."""
    return next(fetch(connection, [identity]), None)


def fetch(connection: sa.Connection, ids: Sequence[int]) -> Iterator[Article]:
    """The articles with these ids, in this order; unknown ids are passed over."""
    for part in _chunks(ids):
        rows = {row["id"]: row for row in connection.execute(sa.select(table).where(table.c.id.in_(part))).mappings()}
        yield from (_article(rows[identity]) for identity in part if identity in rows)


def text_of(connection: sa.Connection, identity: int) -> str:
    """The newest plain text of one article, empty for an unknown id."""
    return connection.scalar(sa.select(table.c.text).where(table.c.id == identity)) or ""


def history(connection: sa.Connection, identity: int) -> list[Article]:
    """The texts that were replaced, oldest first; the article itself is not among them."""
    now = get(connection, identity)
    if now is None:
        return []
    query = sa.select(revisions).where(revisions.c.article_id == identity).order_by(revisions.c.number)
    return [_older(now, row) for row in connection.execute(query).mappings()]


def every(connection: sa.Connection, condition: sa.ColumnElement[bool] | None = None) -> Iterator[Article]:
    """All articles in the order of their ids, read in chunks so that memory stays flat."""
    last = 0
    while True:
        query = sa.select(table).where(table.c.id > last).order_by(table.c.id).limit(CHUNK)
        if condition is not None:
            query = query.where(condition)
        rows = connection.execute(query).mappings().all()
        yield from map(_article, rows)
        if len(rows) < CHUNK:
            return
        last = rows[-1]["id"]


def _row(value: Article, key: str) -> dict[str, Any]:
    row = {name: getattr(value, name) for name in _PLAIN}
    return row | {
        "html": packed(value.html, value.text),
        "content_key": key,
        "categories": list(value.categories),
        "extra": dict(value.extra),
    }


def _article(row: Mapping[Any, Any]) -> Article:
    return Article(
        **{name: row[name] for name in (*_PLAIN, "first_seen", "extra", "id")},
        html=unpacked(row["html"], row["text"]),
        categories=tuple(row["categories"]),
    )


def _older(now: Article, row: Mapping[Any, Any]) -> Article:
    changed = {name: row[name] for name in (*_OLD, "extra")} | {"html": unpacked(row["html"], row["text"])}
    return replace(now, **changed, categories=tuple(row["categories"]), revision=row["number"])


def _stored(value: Article, identity: ArticleId, row: Mapping[str, Any]) -> Article:
    return replace(value, id=identity, first_seen=row["first_seen"], revision=row["revision"])


def _seconds(value: Article, now: datetime) -> int:
    """Where the article stands in newest-first order; a date from the future counts as first seen."""
    first_seen = value.first_seen or now
    when = value.published or value.captured or first_seen
    if when > now + _FUTURE:
        when = first_seen
    return max(int((when - _EPOCH).total_seconds()), 1)


def _chunks(values: Iterable[T]) -> Iterator[list[T]]:
    every_value = list(dict.fromkeys(values))
    for start in range(0, len(every_value), CHUNK):
        yield every_value[start : start + CHUNK]
