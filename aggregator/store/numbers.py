"""What analysts count: articles, reprints, stories and tags, by outlet, clause, language and time.

`when` is the date of the outlet, else when this archive first saw the article, as in every filter; steps of time are
UTC days, weeks from Monday, months and years, named by their first day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aggregator.model import ArticleId, ClauseId, Evidence
from aggregator.report.values import Count, Down, FeedHealth, Period, Slot, Voice
from aggregator.store import feeds, relations, tags
from aggregator.store.filters import Filters, condition
from aggregator.store.schema import article, article_agreement, clause_tag, place, story, story_alias
from aggregator.store.schema import feed as feed_table

BY = ("agreement", "clause", "outlet", "lang", "week", "month")
EVERYTHING = Filters()
ALONE = (None, None)
"""In no story, and no reprint."""
_WHEN = sa.func.coalesce(article.c.published, article.c.first_seen, type_=article.c.first_seen.type)
_DISCUSSES = clause_tag.c.relation == "discusses"
_COUNTED = (sa.func.count(), sa.func.count(place.c.reprint_of), sa.func.count(place.c.story_id.distinct()))
"""Articles, reprints and stories of a source that `_placed` has joined."""


# --- counts -----------------------------------------------------------------------------------------------------


def totals(connection: sa.Connection, filters: Filters = EVERYTHING) -> Count:
    """Everything that meets the filters, as one count."""
    query = sa.select(*_COUNTED).select_from(_placed(article)).where(condition(filters))
    tagged = (
        sa.select(sa.func.count())
        .select_from(clause_tag.join(article, article.c.id == clause_tag.c.article_id))
        .where(_DISCUSSES, condition(filters))
    )
    number, reprints, stories = connection.execute(query).one()
    return Count("", number, reprints, stories, connection.scalar(tagged) or 0)


def counts(connection: sa.Connection, by: str, filters: Filters = EVERYTHING) -> list[Count]:
    """A count for each agreement, clause, outlet, language, week or month, the largest or the oldest first."""
    key = _key(connection, by)
    source: sa.FromClause = article
    if by == "agreement":
        source = article.join(article_agreement, article_agreement.c.article_id == article.c.id)
    elif by == "clause":
        source = article.join(clause_tag, sa.and_(clause_tag.c.article_id == article.c.id, _DISCUSSES))
    query = sa.select(key, *_COUNTED).select_from(_placed(source)).where(condition(filters)).group_by(key)
    tagged = _tags_by(connection, by, filters)
    found = [Count(row[0] or "", row[1], row[2], row[3], tagged.get(row[0], 0)) for row in connection.execute(query)]
    if by in ("week", "month"):
        return sorted(found, key=lambda one: one.name)
    return sorted(found, key=lambda one: (-one.articles, one.name))


def _tags_by(connection: sa.Connection, by: str, filters: Filters) -> dict[str, int]:
    key = clause_tag.c.agreement if by == "agreement" else _key(connection, by)
    query = (
        sa.select(key, sa.func.count())
        .select_from(clause_tag.join(article, article.c.id == clause_tag.c.article_id))
        .where(_DISCUSSES, condition(filters))
        .group_by(key)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _key(connection: sa.Connection, by: str) -> sa.ColumnElement[Any]:
    keys: dict[str, sa.ColumnElement[Any]] = {
        "agreement": article_agreement.c.agreement,
        "clause": clause_tag.c.clause,
        "outlet": article.c.outlet,
        "lang": article.c.lang,
    }
    return keys[by] if by in keys else _step(connection, by)


def _step(connection: sa.Connection, unit: str) -> sa.ColumnElement[str]:
    """The first day of the day, week, month or year an article falls in, as text."""
    if connection.dialect.name != "sqlite":
        moment = sa.func.timezone(sa.literal_column("'UTC'"), _WHEN)
        first = sa.func.date_trunc(sa.literal_column(f"'{unit}'"), moment)
        return sa.func.to_char(first, sa.literal_column("'YYYY-MM-DD'"), type_=sa.Text)
    day = sa.func.substr(_WHEN, 1, 10, type_=sa.Text)
    if unit == "week":
        return sa.func.date(day, "-6 days", "weekday 1", type_=sa.Text)
    shorter = {"month": (7, "-01"), "year": (4, "-01-01")}
    if unit not in shorter:
        return day
    length, rest = shorter[unit]
    return sa.func.substr(_WHEN, 1, length, type_=sa.Text) + rest


def extent(connection: sa.Connection, filters: Filters = EVERYTHING) -> Period | None:
    """From the oldest to the newest article that meets the filters; None where there is none."""
    query = sa.select(
        sa.func.min(_WHEN, type_=_WHEN.type), sa.func.max(_WHEN, type_=_WHEN.type)
    ).where(condition(filters))  # fmt: skip
    first, last = connection.execute(query).one()
    return Period(first, last) if first else None


def _placed(source: sa.FromClause) -> sa.FromClause:
    """Articles beside their place; one that is in no story and reprints none has no place."""
    return source.outerjoin(place, place.c.article_id == article.c.id)


# --- coverage ---------------------------------------------------------------------------------------------------


def discussed(
    connection: sa.Connection, agreement: str, by: str, filters: Filters = EVERYTHING
) -> dict[tuple[str, str], int]:
    """(clause, outlet or first day of a step) to how many articles discuss the clause."""
    key = _key(connection, by)
    query = (
        sa.select(clause_tag.c.clause, key, sa.func.count())
        .select_from(clause_tag.join(article, article.c.id == clause_tag.c.article_id))
        .where(clause_tag.c.agreement == agreement, _DISCUSSES, condition(filters))
        .group_by(clause_tag.c.clause, key)
    )
    return {(row[0], row[1] or ""): row[2] for row in connection.execute(query)}


def timeline(
    connection: sa.Connection, subject: str, unit: str, filters: Filters, read: Mapping[str, int]
) -> dict[str, Slot]:
    """First day of a step to what came in it: articles on a clause (`sunnylands-2023/10`) or agreement, and all articles.

    `read` is what `read_by` says of the unit.
    """
    step = _step(connection, unit)
    if "/" in subject:
        meets = sa.and_(clause_tag.c.clause == subject, _DISCUSSES)
        source = clause_tag.join(article, article.c.id == clause_tag.c.article_id)
    else:
        meets = article_agreement.c.agreement == subject
        source = article_agreement.join(article, article.c.id == article_agreement.c.article_id)
    query = (
        sa.select(step, *_COUNTED, sa.func.count(article.c.outlet.distinct()))
        .select_from(_placed(source))
        .where(meets, condition(filters))
        .group_by(step)
    )
    found = {row[0]: Slot(*row, total=read.get(row[0], 0)) for row in connection.execute(query)}
    return {start: Slot(start, 0, 0, 0, 0, number) for start, number in read.items()} | found


def read_by(connection: sa.Connection, by: str, filters: Filters = EVERYTHING) -> dict[str, int]:
    """Outlet, or first day of a step, to how many articles of any subject came of it."""
    key = _key(connection, by)
    query = sa.select(key, sa.func.count()).select_from(article).where(condition(filters)).group_by(key)
    return {row[0]: row[1] for row in connection.execute(query)}


def known_outlets(connection: sa.Connection) -> set[str]:
    """Every outlet of a feed that was ever asked, articles or not."""
    return set(connection.scalars(sa.select(feed_table.c.outlet).where(feed_table.c.outlet != "")))


def last_poll(connection: sa.Connection) -> datetime | None:
    """When a feed was last asked; None in an archive of imported articles."""
    query = sa.select(sa.func.max(feed_table.c.last_poll, type_=feed_table.c.last_poll.type))
    found: datetime | None = connection.scalar(query)
    return found


def downs(connection: sa.Connection, period: Period) -> list[Down]:
    """When feeds were down in a period, with their outlets."""
    outlets = {row[0]: row[1] for row in connection.execute(sa.select(feed_table.c.id, feed_table.c.outlet))}
    return [
        Down(row["feed"], outlets.get(row["feed"], ""), row["since"], row["until"], row["error"])
        for row in feeds.down_between(connection, period.since, period.until)
    ]


def health(connection: sa.Connection, period: Period) -> list[FeedHealth]:
    """Every feed that was ever asked: what it brought in the period, and its state; down times are left to the caller."""
    inside = condition(Filters(since=period.since, until=period.until))
    query = sa.select(article.c.feed, sa.func.count()).where(inside).group_by(article.c.feed)
    brought = {row[0]: row[1] for row in connection.execute(query)}
    columns = ("id", "title", "outlet", "last_success", "last_new", "failing_since", "last_error")
    rows = connection.execute(sa.select(*(feed_table.c[name] for name in columns)).order_by(feed_table.c.id))
    return [
        FeedHealth(row.id, row.title, row.outlet, brought.get(row.id, 0), row.last_success, row.last_new,
                   row.failing_since, row.last_error, (), period.until - period.until)
        for row in rows
    ]  # fmt: skip


# --- in whose words ---------------------------------------------------------------------------------------------


def voices(connection: sa.Connection, clause: str, filters: Filters = EVERYTHING, limit: int = 60) -> list[Voice]:
    """The newest articles that discuss a clause, with their evidence."""
    query = (
        _voiced()
        .where(clause_tag.c.clause == clause, _DISCUSSES, condition(filters))
        .order_by(_WHEN.desc(), article.c.id.desc())
        .limit(limit)
    )
    return _voices(connection, query)


def voices_of(connection: sa.Connection, ids: Sequence[int]) -> list[Voice]:
    """Every clause that these articles discuss; an article that discusses none is one voice with the clause ''."""
    columns = (article.c.id, article.c.outlet, article.c.title, article.c.url, article.c.lang, _WHEN.label("dated"))
    found: list[Voice] = []
    for start in range(0, len(ids), tags.CHUNK):
        part = list(ids[start : start + tags.CHUNK])
        spoken = _voices(connection, _voiced().where(article.c.id.in_(part), _DISCUSSES).order_by(clause_tag.c.clause))
        quiet = set(part) - {voice.article for voice in spoken}
        rows = connection.execute(sa.select(*columns).where(article.c.id.in_(quiet)))
        stands = relations.placed(connection, quiet)
        silent = [
            Voice(*row, clause="", relation="", score=0.0, evidence=(),
                  story=stands.get(row.id, ALONE)[0], reprint_of=stands.get(row.id, ALONE)[1])
            for row in rows
        ]  # fmt: skip
        found += [*spoken, *silent]
    return found


def _voiced() -> sa.Select[Any]:
    return sa.select(
        article.c.id, article.c.outlet, article.c.title, article.c.url, article.c.lang, _WHEN.label("dated"),
        clause_tag.c.clause, clause_tag.c.relation, clause_tag.c.score, clause_tag.c.evidence,
    ).select_from(clause_tag.join(article, article.c.id == clause_tag.c.article_id))  # fmt: skip


def _voices(connection: sa.Connection, query: sa.Select[Any]) -> list[Voice]:
    rows = connection.execute(query).all()
    stands = relations.placed(connection, {row.id for row in rows})
    return [
        Voice(
            ArticleId(row.id), row.outlet, row.title, row.url, row.lang, row.dated, ClauseId(row.clause), row.relation,
            row.score, _evidence(row.evidence), *stands.get(row.id, ALONE),
        )
        for row in rows
    ]  # fmt: skip


def _evidence(rows: Iterable[Mapping[str, Any]]) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(**{**one, "words": tuple((start, end) for start, end in one.get("words", ()))}) for one in rows
    )


# --- reprints and stories ---------------------------------------------------------------------------------------


def top_stories(connection: sa.Connection, filters: Filters, limit: int) -> tuple[list[int], int]:
    """Stories told by several outlets, with an article that meets the filters and discusses a clause, those of most
    outlets first; and how many there are.
    """
    discussing = (
        sa.select(place.c.story_id)
        .select_from(place.join(article, article.c.id == place.c.article_id))
        .join(clause_tag, clause_tag.c.article_id == article.c.id)
        .where(_DISCUSSES, place.c.story_id.is_not(None), condition(filters))
    )
    outlets = sa.func.count(article.c.outlet.distinct())
    query = (
        sa.select(place.c.story_id)
        .select_from(place.join(article, article.c.id == place.c.article_id))
        .where(place.c.story_id.in_(discussing))
        .group_by(place.c.story_id)
        .having(outlets > 1)
    )
    ranked = query.order_by(outlets.desc(), sa.func.max(_WHEN).desc(), place.c.story_id).limit(limit)
    number = connection.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0
    return list(connection.scalars(ranked)), number


def story_articles(connection: sa.Connection, identity: int) -> tuple[int, str, list[int]]:
    """A story's id (that of the story it was merged into, where it was), headline and articles; none for an unknown one."""
    found = connection.scalar(sa.select(story_alias.c.story_id).where(story_alias.c.old == identity)) or identity
    headline = connection.scalar(sa.select(story.c.headline).where(story.c.id == found)) or ""
    query = sa.select(place.c.article_id).where(place.c.story_id == found).order_by(place.c.article_id)
    return found, headline, list(connection.scalars(query))
