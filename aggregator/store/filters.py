"""The filters every listing shares: agreement, clause, outlet, language, since, until."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.visitors import InternalTraversal

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
    found: tuple[int, ...] | None = None
    """Only these articles, by their ids: what a query found."""


class _Listed(ColumnElement[int]):
    """The numbers of a JSON list, in one parameter however many there are, to the right of IN."""

    inherit_cache = True
    _traverse_internals = [("listed", InternalTraversal.dp_clauseelement)]  # noqa: RUF012 - as SQLAlchemy has it

    def __init__(self, numbers: Iterable[int]) -> None:
        self.listed = sa.literal(json.dumps(list(numbers)), sa.Text)


@compiles(_Listed)
def _sqlite(element: _Listed, compiler: Any, **how: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.listed, **how)}))"  # noqa: S608 - a parameter


@compiles(_Listed, "postgresql")
def _postgresql(element: _Listed, compiler: Any, **how: Any) -> str:
    # OFFSET keeps the list from being read anew for each article
    given = compiler.process(element.listed, **how)
    listed = f"json_array_elements_text(CAST({given} AS json))"
    return f"(SELECT CAST(value AS bigint) FROM {listed} OFFSET 0)"  # noqa: S608 - a parameter


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
    if filters.found is not None:
        parts.append(article.c.id.op("IN", is_comparison=True)(_Listed(filters.found)))
    return sa.and_(*parts)
