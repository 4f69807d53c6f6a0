"""The filters every listing shares: agreement, clause, outlet, language, since, until."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from aggregator.store.schema import article, article_agreement, clause_tag


@dataclass(frozen=True, slots=True)
class Filters:
    """What a listing is narrowed to; empty fields narrow nothing. `since` is included, `until` is not."""

    agreements: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    outlets: tuple[str, ...] = ()
    lang: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def condition(filters: Filters) -> sa.ColumnElement[bool]:
    """A condition on `article`; several values of one kind are alternatives, several kinds all hold."""
    when = sa.func.coalesce(article.c.published, article.c.first_seen, type_=article.c.first_seen.type)
    parts: list[sa.ColumnElement[bool]] = [sa.true()]
    if filters.agreements:
        named = sa.select(article_agreement.c.article_id).where(article_agreement.c.agreement.in_(filters.agreements))
        parts.append(article.c.id.in_(named))
    if filters.clauses:
        tagged = sa.select(clause_tag.c.article_id).where(
            clause_tag.c.clause.in_(filters.clauses), clause_tag.c.relation == "discusses"
        )
        parts.append(article.c.id.in_(tagged))
    if filters.outlets:
        parts.append(article.c.outlet.in_(filters.outlets))
    if filters.lang:
        parts.append(article.c.lang == filters.lang)
    if filters.since:
        parts.append(when >= filters.since)
    if filters.until:
        parts.append(when < filters.until)
    return sa.and_(*parts)
