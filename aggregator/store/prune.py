"""Remove old articles when told to, and remember that they were there.

Kept whatever their age: what the tagger or an analyst found something in, and the originals of reprints that stay.
What goes leaves a tombstone: the names it went by, none of its words.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from aggregator.store import relations, search
from aggregator.store.schema import article, article_agreement, clause_tag, clause_verdict, place, story, tombstone

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


def chosen(connection: sa.Connection, wish: Wish) -> list[int]:
    """The ids of at most BATCH articles to go next, oldest first; empty when none is left."""
    return list(
        connection.scalars(sa.select(article.c.id).where(_condition(wish)).order_by(article.c.id).limit(BATCH))
    )


def remove(connection: sa.Connection, ids: Sequence[int], now: datetime) -> set[int]:
    """Remove these articles and what was derived from them; the ids of the articles that stood in a story with them.

    Those have to be placed anew (`relate.settle`), in the same transaction.
    """
    rows = connection.execute(sa.select(article).where(article.c.id.in_(ids))).mappings().all()
    names = ("feed", "outlet", "guid", "url", "content_key")
    connection.execute(sa.insert(tombstone), [{name: row[name] for name in names} | {"removed": now} for row in rows])
    search.unindex(connection, [(row["docid"], row["title"], row["text"]) for row in rows])
    stories = {story for story, _original in relations.placed(connection, ids).values() if story is not None}
    beside = set[int]().union(*relations.in_stories(connection, stories).values())
    relations.forget(connection, list(relations.traces(connection, ids).values()))
    connection.execute(sa.delete(article).where(article.c.id.in_(ids)))  # what refers to them goes by cascade
    _shrink(connection, stories)
    return beside - set(ids)


def _shrink(connection: sa.Connection, stories: Collection[int]) -> None:
    """A story none of whose articles is left goes; the others are described anew when their articles are placed."""
    empty = ~sa.exists().where(place.c.story_id == story.c.id)
    connection.execute(sa.delete(story).where(story.c.id.in_(stories), empty))


def _condition(wish: Wish) -> sa.ColumnElement[bool]:
    places = [article.c.outlet.in_(wish.outlets)] if wish.outlets else []
    copy = article.alias("copy")
    stays = sa.or_(copy.c.first_seen >= wish.before, *(_found(table, copy) for table in _FINDINGS))
    copied = sa.exists().where(place.c.reprint_of == article.c.id, copy.c.id == place.c.article_id, stays)
    found = [_found(table, article) for table in _FINDINGS]
    return sa.and_(article.c.first_seen < wish.before, *places, *(sa.not_(one) for one in (*found, copied)))


def _found(table: sa.Table, of: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.exists().where(table.c.article_id == of.c.id)


_FINDINGS = (clause_tag, article_agreement, clause_verdict)
