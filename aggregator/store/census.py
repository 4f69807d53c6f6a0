"""A few numbers of the whole archive, cheap enough to be asked every minute."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa

from aggregator.store.schema import article, clause_tag, feed, metadata


@dataclass(frozen=True, slots=True)
class Census:
    """`newest` is when the newest article of each outlet was first seen, `tags` counts by relation, `digests` by
    state, `due` counts feeds whose time has come, `failing` those that are down.
    """

    articles: int = 0
    newest: dict[str, datetime] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)
    digests: dict[str, int] = field(default_factory=dict)
    due: int = 0
    failing: int = 0
    last_success: datetime | None = None


def census(connection: sa.Connection, now: datetime) -> Census:
    """Count."""
    return Census(
        articles=connection.scalar(sa.select(sa.func.count()).select_from(article)) or 0,
        newest=newest_by_outlet(connection),
        tags=_by(connection, clause_tag.c.relation),
        digests=_by(connection, metadata.tables["digest"].c.state) if "digest" in metadata.tables else {},
        due=_feeds(connection, sa.and_(feed.c.next_due <= now, ~feed.c.gone)),
        failing=_feeds(connection, feed.c.failing_since.is_not(None)),
        last_success=connection.scalar(sa.select(sa.func.max(feed.c.last_success, type_=feed.c.last_success.type))),
    )


def newest_by_outlet(connection: sa.Connection) -> dict[str, datetime]:
    """When the newest article of each outlet was first seen: one step in the index on (outlet, docid) for each.

    Newest by its own date; a document with wrong dates shows in `first_seen`, which is ours.
    """
    found: dict[str, datetime] = {}
    outlet: str | None = None
    while True:
        later = article.c.outlet > outlet if outlet is not None else sa.true()
        outlet = connection.scalar(sa.select(sa.func.min(article.c.outlet)).where(later))
        if outlet is None:
            return found
        newest = sa.select(article.c.first_seen).where(article.c.outlet == outlet)
        seen = connection.scalar(newest.order_by(article.c.docid.desc()).limit(1))
        if seen is not None:
            found[outlet] = seen.astimezone(UTC)


def _by(connection: sa.Connection, column: sa.Column[str]) -> dict[str, int]:
    query = sa.select(column, sa.func.count()).group_by(column)
    return {str(name): int(count) for name, count in connection.execute(query)}


def _feeds(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(feed).where(condition)) or 0
