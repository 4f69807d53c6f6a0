"""What a period brought: the articles that arrived or were edited in it, and how much each clause was covered.

Articles are taken by their ids, which the archive gives in the order of arrival: neither a wrong date in a feed nor a
jump of the clock can hide one or show it twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from aggregator.store import outbox, subscribers
from aggregator.store.docids import SLOT
from aggregator.store.schema import article, clause_record, clause_tag, clause_verdict, feed

WEEKS = 8
CHUNK = 500
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_COLUMNS = [
    article.c[name]
    for name in ("id", "title", "text", "outlet", "feed", "lang", "link", "url", "published", "first_seen", "headimg")
]
_WHEN = sa.func.coalesce(article.c.published, article.c.first_seen, type_=article.c.first_seen.type)

_DISCUSSES = sa.and_(
    clause_tag.c.relation == "discusses",
    ~sa.exists().where(
        clause_verdict.c.article_id == clause_tag.c.article_id,
        clause_verdict.c.clause == clause_tag.c.clause,
        clause_verdict.c.verdict == "reject",
    ),
)
"""A tag counts unless it is only topical, or an analyst rejected it."""


@dataclass(frozen=True, slots=True)
class Record:
    """A clause's coverage so far: the first article on it, when the last was published, the longest silence."""

    clause: str
    first_id: int
    last: datetime
    longest: timedelta
    articles: int


def newest_id(connection: sa.Connection) -> int:
    """The id of the article that arrived last, 0 in an empty archive."""
    return connection.scalar(sa.select(sa.func.max(article.c.id))) or 0


def arrived(connection: sa.Connection, after: int, upto: int) -> Iterator[Mapping[str, Any]]:
    """The articles with ids above `after` and not above `upto`, in order, without their HTML."""
    while True:
        query = (
            sa.select(*_COLUMNS).where(article.c.id > after, article.c.id <= upto).order_by(article.c.id).limit(CHUNK)
        )
        rows = [dict(row) for row in connection.execute(query).mappings()]
        yield from rows
        if len(rows) < CHUNK:
            return
        after = rows[-1]["id"]


def chosen(connection: sa.Connection, ids: Iterable[int]) -> Iterator[Mapping[str, Any]]:
    """The articles with these ids, as `arrived` gives them."""
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), CHUNK):
        query = sa.select(*_COLUMNS).where(article.c.id.in_(wanted[start : start + CHUNK])).order_by(article.c.id)
        yield from (dict(row) for row in connection.execute(query).mappings())


def between(connection: sa.Connection, since: datetime, until: datetime) -> list[int]:
    """The ids of the articles that arrived or were published between two instants, for looking back."""
    seen = sa.and_(article.c.first_seen >= since, article.c.first_seen < until)
    dated = sa.and_(article.c.published >= since, article.c.published < until)
    return list(connection.scalars(sa.select(article.c.id).where(sa.or_(seen, dated)).order_by(article.c.id)))


def revised(connection: sa.Connection, since: datetime) -> list[Mapping[str, Any]]:
    """The articles that their outlet changed at `since` or later, with `revised_at`."""
    query = sa.select(*_COLUMNS, article.c.revised_at).where(article.c.revised_at >= since).order_by(article.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def rejected(connection: sa.Connection) -> frozenset[tuple[int, str]]:
    """The article and clause of every tag that an analyst rejected."""
    query = sa.select(clause_verdict.c.article_id, clause_verdict.c.clause).where(clause_verdict.c.verdict == "reject")
    return frozenset((row[0], row[1]) for row in connection.execute(query))


def feed_titles(connection: sa.Connection) -> dict[str, tuple[str, str]]:
    """Title and outlet of each feed."""
    query = sa.select(feed.c.id, feed.c.title, feed.c.outlet)
    return {row[0]: (row[1] or row[2] or row[0], row[2]) for row in connection.execute(query)}


def weeks(connection: sa.Connection, until: datetime) -> dict[str, list[int]]:
    """Articles on each clause in each of the eight weeks before `until`, the last week last.

    An article counts when it was published, or when it arrived if it was published long before. Docids are in the
    order of dates and ids in that of arrival, so only the articles of the eight weeks are read.
    """
    start = until - timedelta(weeks=WEEKS)
    low = max(int((start - _EPOCH).total_seconds()) // SLOT, 0)
    recent = sa.union(
        sa.select(article.c.id).where(article.c.docid >= low),
        sa.select(article.c.id).where(article.c.id > subscribers.last_before(connection, start)),
    ).subquery()
    query = (
        sa.select(clause_tag.c.clause, article.c.published, article.c.first_seen)
        .select_from(recent)
        .join(article, article.c.id == recent.c.id)
        .join(clause_tag, clause_tag.c.article_id == article.c.id)
        .where(_DISCUSSES)
    )
    counts: dict[str, list[int]] = {}
    for clause, published, first_seen in connection.execute(query):
        when = published if published and start <= published < until else first_seen
        if start <= when < until:
            counts.setdefault(clause, [0] * WEEKS)[(when - start) // timedelta(weeks=1)] += 1
    return counts


def records(connection: sa.Connection, upto: int, catalogue: str) -> dict[str, Record]:
    """The record of every clause, brought up to an article first; made anew when the catalogue has changed.

    An article that arrives late may shorten a silence that counts already: then a later silence is said too late
    rather than too early.
    """
    marker = outbox.remembered(connection, "records") or {}
    known = {} if marker.get("catalogue") != catalogue else _known(connection)
    after = marker.get("upto", 0) if known else 0
    if marker.get("catalogue") == catalogue and after >= upto:
        return known
    fresh = _folded(known, _covered(connection, after, upto))
    _store(connection, known, fresh, anew=marker.get("catalogue") != catalogue)
    outbox.remember(connection, "records", {"upto": upto, "catalogue": catalogue})
    return fresh


def _known(connection: sa.Connection) -> dict[str, Record]:
    return {
        row["clause"]: Record(
            row["clause"], row["first_id"], row["last"], timedelta(seconds=row["longest_s"]), row["articles"]
        )
        for row in connection.execute(sa.select(clause_record)).mappings()
    }


def _covered(connection: sa.Connection, after: int, upto: int) -> Iterator[tuple[str, int, datetime]]:
    query = (
        sa.select(clause_tag.c.clause, article.c.id, _WHEN)
        .join(article, article.c.id == clause_tag.c.article_id)
        .where(clause_tag.c.article_id > after, clause_tag.c.article_id <= upto, _DISCUSSES)
    )
    yield from ((row[0], row[1], row[2]) for row in connection.execute(query))


def _folded(known: Mapping[str, Record], covered: Iterable[tuple[str, int, datetime]]) -> dict[str, Record]:
    fresh = dict(known)
    for clause, identity, when in sorted(covered, key=lambda one: one[2]):
        before = fresh.get(clause)
        if before is None:
            fresh[clause] = Record(clause, identity, when, timedelta(0), 1)
            continue
        longest = max(before.longest, when - before.last)
        first_id = min(before.first_id, identity)
        fresh[clause] = Record(clause, first_id, max(before.last, when), longest, before.articles + 1)
    return fresh


def _store(connection: sa.Connection, known: Mapping[str, Record], fresh: Mapping[str, Record], *, anew: bool) -> None:
    changed = [record for clause, record in fresh.items() if anew or known.get(clause) != record]
    if anew:
        connection.execute(sa.delete(clause_record))
    elif changed:
        names = [record.clause for record in changed]
        connection.execute(sa.delete(clause_record).where(clause_record.c.clause.in_(names)))
    if changed:
        rows = [
            {
                "clause": one.clause, "first_id": one.first_id, "last": one.last,
                "longest_s": int(one.longest.total_seconds()), "articles": one.articles,
            }
            for one in changed
        ]  # fmt: skip
        connection.execute(sa.insert(clause_record), rows)
