"""Articles that were stored without being compared with the others yet: where many come at once that is done afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from aggregator.model import Article
from aggregator.store import articles
from aggregator.store.schema import article, unrelated
from aggregator.store.statements import chunked

_PUT = sa.text("INSERT INTO unrelated (article_id) VALUES (:id) ON CONFLICT (article_id) DO NOTHING")


def put(connection: sa.Connection, ids: Iterable[int]) -> None:
    """These wait from now on; those that do already go on waiting."""
    rows = [{"id": one} for one in sorted(set(ids))]
    if rows:
        connection.execute(_PUT, rows)


def are_there(connection: sa.Connection) -> bool:
    """Whether any wait."""
    return connection.execute(sa.select(unrelated.c.article_id).limit(1)).first() is not None


def in_time(connection: sa.Connection) -> list[int]:
    """Those that wait, in the order in which they were published."""
    when = sa.func.coalesce(article.c.published, article.c.captured, article.c.first_seen)
    query = (
        sa.select(article.c.id).join(unrelated, unrelated.c.article_id == article.c.id).order_by(when, article.c.id)
    )
    return list(connection.execute(query).scalars())


def take(connection: sa.Connection, ids: Sequence[int]) -> list[Article]:
    """Those of these that still wait; from now on they do not."""
    found: list[int] = []
    for part in chunked(ids):
        here = unrelated.c.article_id.in_(part)
        found += connection.execute(sa.select(unrelated.c.article_id).where(here)).scalars()
        connection.execute(sa.delete(unrelated).where(here))
    return list(articles.fetch(connection, found))


def clear(connection: sa.Connection) -> None:
    """None wait any more."""
    connection.execute(sa.delete(unrelated))
