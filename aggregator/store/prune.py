"""Remove old articles when told to, and remember that they were there.

Kept whatever their age: what the tagger or an analyst found something in, and the originals of reprints that stay.
What goes leaves a tombstone: the names it went by, none of its words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from aggregator.model import ArticleId
from aggregator.store import search
from aggregator.store.articles import Known
from aggregator.store.schema import article, article_agreement, clause_tag, clause_verdict, metadata, tombstone

BATCH = 500
"""Articles in one transaction: a daemon beside it waits for a fraction of a second."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What may go: articles first seen before an instant, of these outlets only where some are named."""

    before: datetime
    outlets: tuple[str, ...] = ()


def count(connection: sa.Connection, wish: Wish) -> int:
    """How many articles would go."""
    return connection.scalar(sa.select(sa.func.count()).select_from(article).where(_condition(wish))) or 0


def remove(connection: sa.Connection, wish: Wish, now: datetime) -> int:
    """Remove at most BATCH articles in this transaction; how many, 0 when none is left."""
    query = sa.select(article).where(_condition(wish)).order_by(article.c.id).limit(BATCH)
    rows = connection.execute(query).mappings().all()
    if not rows:
        return 0
    names = ("feed", "outlet", "guid", "url", "content_key")
    connection.execute(sa.insert(tombstone), [{name: row[name] for name in names} | {"removed": now} for row in rows])
    if connection.dialect.name == "sqlite":
        search.unindex(connection, [(row["docid"], row["title"], row["text"]) for row in rows])
    ids = [row["id"] for row in rows]
    for table in metadata.sorted_tables:
        if table.name not in _LEDGERS and "article_id" in table.c:
            connection.execute(sa.delete(table).where(table.c.article_id.in_(ids)))
    connection.execute(sa.delete(article).where(article.c.id.in_(ids)))
    return len(rows)


_LEDGERS = ("digest_article",)
"""What was said in mails stays as it was said."""


def _condition(wish: Wish) -> sa.ColumnElement[bool]:
    found_in = [sa.exists().where(table.c.article_id == article.c.id) for table in _FINDINGS]
    kept = [~found for found in found_in]
    if "reprint" in metadata.tables:
        reprint = metadata.tables["reprint"]
        kept.append(~sa.exists().where(reprint.c.original == article.c.id))
    places = [article.c.outlet.in_(wish.outlets)] if wish.outlets else []
    return sa.and_(article.c.first_seen < wish.before, *places, *kept)


_FINDINGS = (clause_tag, article_agreement, clause_verdict)


# --- what is remembered of them -----------------------------------------------------------------------------------


def known(
    connection: sa.Connection, feed: str, guids: Sequence[str], urls: Sequence[str], keys: Sequence[str]
) -> list[Known]:
    """Removed articles that share a name with an arrival, as `articles.known` gives stored ones; their ids are below 0."""
    found: dict[int, Known] = {}
    for names in (
        _rows(connection, tombstone.c.guid, guids, tombstone.c.feed == feed),
        _rows(connection, tombstone.c.url, urls),
        _rows(connection, tombstone.c.content_key, keys),
    ):
        for row in names:
            found[row["id"]] = Known(
                ArticleId(-row["id"]), row["feed"], row["outlet"], row["guid"], row["url"], "", row["content_key"], 1
            )
    return [found[key] for key in sorted(found)]


def _rows(
    connection: sa.Connection, column: sa.Column[str], values: Sequence[str], *also: sa.ColumnElement[bool]
) -> Iterable[sa.RowMapping]:
    for start in range(0, len(values), BATCH):
        condition = sa.and_(column.in_(values[start : start + BATCH]), *also)
        yield from connection.execute(sa.select(tombstone).where(condition)).mappings()
