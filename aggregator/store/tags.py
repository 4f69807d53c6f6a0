"""Clause tags, the agreements an article identifies, and what analysts said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aggregator.model import ArticleId, ClauseId, ClauseTag, Evidence, Relation, Tags
from aggregator.store.schema import article_agreement, clause_tag, clause_verdict

CHUNK = 500


def put(connection: sa.Connection, found: Iterable[tuple[ArticleId, Tags]]) -> None:
    """Replace the tags of these articles."""
    found = list(found)
    for start in range(0, len(found), CHUNK):
        part = found[start : start + CHUNK]
        ids = [identity for identity, _tags in part]
        for table in (article_agreement, clause_tag):
            connection.execute(sa.delete(table).where(table.c.article_id.in_(ids)))
        named = [{"article_id": i, "agreement": a} for i, tags in part for a in dict.fromkeys(tags.agreements)]
        tagged = [_row(i, tag) for i, tags in part for tag in tags.clauses]
        if named:
            connection.execute(sa.insert(article_agreement), named)
        if tagged:
            connection.execute(sa.insert(clause_tag), tagged)


def of(connection: sa.Connection, ids: Sequence[int]) -> dict[int, Tags]:
    """The tags of these articles, as found; verdicts are not applied. Articles without any are absent."""
    agreements: dict[int, list[str]] = {}
    clauses: dict[int, list[ClauseTag]] = {}
    for start in range(0, len(ids), CHUNK):
        part = list(ids[start : start + CHUNK])
        named = sa.select(article_agreement).where(article_agreement.c.article_id.in_(part))
        for identity, agreement in connection.execute(named.order_by(article_agreement.c.agreement)):
            agreements.setdefault(identity, []).append(agreement)
        tagged = sa.select(clause_tag).where(clause_tag.c.article_id.in_(part)).order_by(clause_tag.c.clause)
        for row in connection.execute(tagged).mappings():
            clauses.setdefault(row["article_id"], []).append(_tag(row))
    return {i: Tags(tuple(agreements.get(i, ())), tuple(clauses.get(i, ()))) for i in agreements.keys() | clauses}


def judge(
    connection: sa.Connection, article: int, clause: str, verdict: str, reason: str, rule: str | None, now: datetime
) -> None:
    """Record what an analyst said of one tag; a second word on it replaces the first."""
    same = sa.and_(clause_verdict.c.article_id == article, clause_verdict.c.clause == clause)
    connection.execute(sa.delete(clause_verdict).where(same))
    connection.execute(
        sa.insert(clause_verdict).values(
            article_id=article, clause=clause, verdict=verdict, reason=reason, rule=rule, at=now
        )
    )


def said_of(connection: sa.Connection, ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """The verdicts on these articles, clause id to `confirm` or `reject`; articles without one are absent."""
    found: dict[int, dict[str, str]] = {}
    for start in range(0, len(ids), CHUNK):
        columns = (clause_verdict.c.article_id, clause_verdict.c.clause, clause_verdict.c.verdict)
        query = sa.select(*columns).where(clause_verdict.c.article_id.in_(ids[start : start + CHUNK]))
        for identity, clause, verdict in connection.execute(query):
            found.setdefault(identity, {})[clause] = verdict
    return found


def verdicts(connection: sa.Connection) -> list[Mapping[str, Any]]:
    """Every verdict: article_id, clause, verdict, reason, rule, at."""
    query = sa.select(clause_verdict).order_by(clause_verdict.c.clause, clause_verdict.c.article_id)
    return [dict(row) for row in connection.execute(query).mappings()]


def _row(identity: ArticleId, tag: ClauseTag) -> dict[str, Any]:
    return {
        "article_id": identity,
        "clause": tag.clause,
        "agreement": tag.clause.rpartition("/")[0],
        "relation": tag.relation.value,
        "score": tag.score,
        "catalogue": tag.catalogue,
        "evidence": [asdict(evidence) for evidence in tag.evidence],
    }


def _tag(row: Mapping[Any, Any]) -> ClauseTag:
    evidence = tuple(
        Evidence(**{**one, "words": tuple((start, end) for start, end in one["words"])}) for one in row["evidence"]
    )
    return ClauseTag(ClauseId(row["clause"]), Relation(row["relation"]), row["score"], evidence, row["catalogue"])
