"""What the archive holds under any name that arrivals have, asked once for a whole group of feeds.

    lookup = look_up(connection, [Names(feed, guids, urls, keys), ...])
    lookup.of(names)                what identity needs to decide for one feed
    lookup.changed(article)         something was stored since: where it matters, `of` asks the archive again

Articles that `archive prune` removed are known by their tombstones; their ids are below 0.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aggregator.model import Article, ArticleId
from aggregator.store.schema import article, revision, tombstone

CHUNK = 500
"""Values in one IN list on PostgreSQL; SQLite gets any number of them as one JSON text."""


@dataclass(frozen=True, slots=True)
class Names:
    """Under what a feed's arrivals may be known: GUIDs in this feed, canonical addresses, content keys (of each)."""

    feed: str
    guids: tuple[str, ...]
    urls: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What identity needs of a stored article, and of its older texts."""

    id: ArticleId
    feed: str
    outlet: str
    guid: str | None
    url: str | None
    title: str
    content_key: str
    revision: int
    dated: datetime | None = None
    old_keys: frozenset[str] = frozenset()


class Lookup:
    """What was found for a group of feeds, and what has been stored in this transaction since."""

    def __init__(self, connection: sa.Connection, found: Iterable[Known]) -> None:
        self._connection = connection
        self._by_guid: dict[tuple[str, str], list[Known]] = defaultdict(list)
        self._by_url: dict[str, list[Known]] = defaultdict(list)
        self._by_key: dict[str, list[Known]] = defaultdict(list)
        self._changed: set[int] = set()
        self._written: set[tuple[str, str | None]] = set()
        for one in found:
            self._by_guid[one.feed, one.guid or ""].append(one)
            self._by_url[one.url or ""].append(one)
            for key in {one.content_key, *one.old_keys}:
                self._by_key[key].append(one)

    def changed(self, stored: Article, key: str) -> None:
        """An article was stored, as new or with another text, under this content key."""
        self._changed.add(stored.id)
        self._written |= {("guid", stored.guid), ("url", stored.url), ("key", key)}

    def of(self, names: Names) -> list[Known]:
        """What is known under these names, removed articles last, by id; they must be among those looked up."""
        hits = [
            *(one for guid in names.guids for one in self._by_guid.get((names.feed, guid), ())),
            *(one for url in names.urls for one in self._by_url.get(url, ())),
            *(one for key in names.keys for one in self._by_key.get(key, ())),
        ]
        found = {one.id: one for one in hits}
        if self._written and (self._changed & found.keys() or self._touches(names)):
            return look_up(self._connection, [names]).of(names)
        return sorted(found.values(), key=lambda one: (one.id < 0, abs(one.id)))

    def _touches(self, names: Names) -> bool:
        kinds = (("guid", names.guids), ("url", names.urls), ("key", names.keys))
        return any((kind, value) in self._written for kind, values in kinds for value in values)


def look_up(connection: sa.Connection, group: Sequence[Names]) -> Lookup:
    """Everything the archive knows under any of these names."""
    guids = list(dict.fromkeys((names.feed, guid) for names in group for guid in names.guids))
    urls = list(dict.fromkeys(url for names in group for url in names.urls))
    keys = list(dict.fromkeys(key for names in group for key in names.keys))
    if not (guids or urls or keys):
        return Lookup(connection, ())
    return Lookup(connection, [*_stored(connection, guids, urls, keys), *_removed(connection, guids, urls, keys)])


_DATED = sa.func.coalesce(article.c.updated, article.c.published, type_=article.c.updated.type).label("dated")
_STORED = sa.select(
    *(article.c[name] for name in ("id", "feed", "outlet", "guid", "url", "title", "content_key", "revision")), _DATED
)
_REPLACED = sa.select(revision.c.article_id, revision.c.content_key)
_REMOVED = sa.select(*(tombstone.c[name] for name in ("id", "feed", "outlet", "guid", "url", "content_key")))


def _stored(
    connection: sa.Connection, guids: Sequence[tuple[str, str]], urls: Sequence[str], keys: Sequence[str]
) -> list[Known]:
    replaced = {row.article_id for row in _rows(connection, _REPLACED, (revision.c.content_key,), keys)}
    rows = {
        row.id: row
        for columns, values in (
            ((article.c.feed, article.c.guid), guids),
            ((article.c.url,), urls),
            ((article.c.content_key,), keys),
            ((article.c.id,), replaced),
        )
        for row in _rows(connection, _STORED, columns, values)
    }
    older: dict[int, set[str]] = defaultdict(set)
    several = [row.id for row in rows.values() if row.revision > 1]
    for row in _rows(connection, _REPLACED, (revision.c.article_id,), several):
        older[row.article_id].add(row.content_key)
    return [Known(**row._mapping, old_keys=frozenset(older.get(row.id, ()))) for row in rows.values()]  # noqa: SLF001 - SQLAlchemy's public name


def _removed(
    connection: sa.Connection, guids: Sequence[tuple[str, str]], urls: Sequence[str], keys: Sequence[str]
) -> list[Known]:
    if connection.execute(sa.select(tombstone.c.id).limit(1)).first() is None:  # most archives keep everything
        return []
    rows = {
        row.id: row
        for columns, values in (
            ((tombstone.c.feed, tombstone.c.guid), guids),
            ((tombstone.c.url,), urls),
            ((tombstone.c.content_key,), keys),
        )
        for row in _rows(connection, _REMOVED, columns, values)
    }
    return [
        Known(ArticleId(-row.id), row.feed, row.outlet, row.guid, row.url, "", row.content_key, 1)
        for row in rows.values()
    ]


def _rows(
    connection: sa.Connection,
    selected: sa.Select[Any],
    columns: tuple[sa.Column[Any], ...],
    values: Collection[Any],
) -> Iterator[sa.Row[Any]]:
    """The rows of which the columns hold one of these values (tuples where there are several columns)."""
    of = sa.tuple_(*columns) if len(columns) > 1 else columns[0]
    every = list(values)
    if connection.dialect.name != "sqlite":
        for start in range(0, len(every), CHUNK):
            yield from connection.execute(selected.where(of.in_(every[start : start + CHUNK])))
    elif every:
        each = sa.func.json_each(sa.bindparam("among", type_=sa.Text)).table_valued("value")
        # Rows of values out of a VALUES list would make SQLite read the whole index; out of a subquery it looks up.
        parts = [each.c.value.op("->>")(sa.literal_column(str(place))) for place in range(len(columns))]
        wanted = sa.select(*parts) if len(columns) > 1 else sa.select(each.c.value)
        yield from connection.execute(selected.where(of.in_(wanted)), {"among": json.dumps(every)})
