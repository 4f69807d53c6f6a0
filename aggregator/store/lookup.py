"""Ask the full-text index, on SQLite's own driver.

This module and `plan` stay free of SQLAlchemy: its import alone takes 0.45 s of CPU, and `aggregator search` answers
within 0.6 s from a cold shell.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from aggregator import terms
from aggregator.query import Node
from aggregator.store.plan import CANDIDATES, Plan, compiled
from aggregator.store.ranking import Fts5, ordered

SCHEMA = "0002"
"""The migration whose tables this module reads; a test holds it against `schema.HEAD`."""
NEWEST = 5_000
"""So many of the newest matches are ranked."""
_UNKNOWN = 1 << 62


@dataclass(frozen=True, slots=True)
class Found:
    """A page of results and how many there are.

    `ids` are article ids, newest or best first. Unless `exact`, `total` is an upper bound: there were too many
    candidates to look at each one's text. `notes` are sentences for the reader.
    """

    ids: tuple[int, ...]
    total: int
    exact: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """What a listing shows of one article. `clauses` are those it discusses."""

    id: int
    feed: str
    outlet: str
    title: str
    url: str | None
    lang: str | None
    published: datetime | None
    first_seen: datetime
    text: str
    clauses: tuple[str, ...] = ()
    agreements: tuple[str, ...] = ()
    story: int | None = None
    reprint_of: int | None = None


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A reading connection to an archive's file, in one transaction; None where anything about it is unusual.

    `archive.Archive` then says what is wrong, at the price of its imports.
    """
    if not path.is_file():
        yield None
        return
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=60)) as connection:
        connection.isolation_level = None
        try:
            connection.execute("BEGIN")
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.DatabaseError:
            found = None
        yield connection if found == (SCHEMA,) else None


def saved(connection: sqlite3.Connection) -> dict[str, str]:
    """The saved searches by name."""
    return dict(connection.execute("SELECT name, query FROM saved_search"))


def hits(connection: sqlite3.Connection, ids: Sequence[int]) -> list[Hit]:
    """The articles with these ids, in this order."""
    wanted = (json.dumps(list(ids)),)
    rows = connection.execute(
        "SELECT id, feed, outlet, title, coalesce(url, link), lang, published, first_seen, text, story_id, reprint_of"
        " FROM article LEFT JOIN place ON article_id = id WHERE id IN (SELECT value FROM json_each(?))",
        wanted,
    )
    by_id = {row[0]: row for row in rows}
    clauses = _several(connection, "clause", "clause_tag", wanted, " AND relation = 'discusses'")
    agreements = _several(connection, "agreement", "article_agreement", wanted)
    return [
        Hit(
            id=identity,
            feed=row[1],
            outlet=row[2],
            title=row[3],
            url=row[4],
            lang=row[5],
            published=datetime.fromisoformat(row[6]) if row[6] else None,
            first_seen=datetime.fromisoformat(row[7]),
            text=row[8],
            clauses=clauses.get(identity, ()),
            agreements=agreements.get(identity, ()),
            story=row[9],
            reprint_of=row[10],
        )
        for identity in ids
        if (row := by_id.get(identity))
    ]


def _several(
    connection: sqlite3.Connection, column: str, table: str, ids: tuple[str], condition: str = ""
) -> dict[int, tuple[str, ...]]:
    """The values of a column of each article, in order."""
    found: dict[int, tuple[str, ...]] = {}
    sql = (
        f"SELECT article_id, {column} FROM {table} WHERE article_id IN (SELECT value FROM json_each(?)){condition}"  # noqa: S608
        f" ORDER BY article_id, {column}"
    )
    for identity, value in connection.execute(sql, ids):
        found[identity] = (*found.get(identity, ()), value)
    return found


def find(
    connection: sqlite3.Connection,
    query: Node,
    *,
    limit: int = 20,
    offset: int = 0,
    rank: bool = False,
    candidates: int = CANDIDATES,
    count: bool = True,
) -> Found:
    """The articles that a query finds, newest first, or best first of the newest 5,000 when `rank`.

    At most `candidates` texts are looked at to count the matches; beyond that `total` is an upper bound. Without
    `count`, which takes 30 nanoseconds a match, it is one while the page is full.
    """
    _prepare(connection)
    plan = compiled(connection, query)
    ranked = rank and bool(plan.leaves)
    total = _number(connection, plan.select("count(*)", looked_at=False), plan.params) if count else _UNKNOWN
    exact = count and not plan.looks
    seen = _newest(connection, plan, candidates, 0) if plan.looks and total <= candidates else None
    if seen is not None:
        total, exact = len(seen), True
    if ranked:
        page = _best(connection, plan, limit, offset, seen)
    else:
        page = seen[offset : offset + limit] if seen is not None else _newest(connection, plan, limit, offset)
    if not exact and len(page) < limit and (page or not offset) and (not ranked or total <= NEWEST):
        total, exact = offset + len(page), True
    notes = plan.notes
    if ranked and count and total > NEWEST:
        notes = (*notes, f"ranked among the newest {NEWEST:,} of {total:,} matches")
    return Found(_ids(connection, page, dated=not rank), total, exact, notes)


def _prepare(connection: sqlite3.Connection) -> None:
    """Give SQLite the function that looks into a text; refused only where it is there already and in use."""
    with suppress(sqlite3.OperationalError):
        connection.create_function("holds", 4, terms.holds, deterministic=True)


def _number(connection: sqlite3.Connection, sql: str, params: dict[str, Any]) -> int:
    return int(connection.execute(sql, params).fetchone()[0])


def _newest(connection: sqlite3.Connection, plan: Plan, limit: int, offset: int) -> list[int]:
    sql = plan.select(plan.docid) + f" ORDER BY {plan.docid} DESC LIMIT :limit OFFSET :offset"
    return [row[0] for row in connection.execute(sql, {**plan.params, "limit": limit, "offset": offset})]


def _best(connection: sqlite3.Connection, plan: Plan, limit: int, offset: int, seen: list[int] | None) -> list[int]:
    """The best of the newest matches.

    `seen` are all matches where they are known; otherwise texts are looked at in the order of the scores.
    """
    inner = plan.select(f"{plan.docid} AS docid", looked_at=False) + f" ORDER BY {plan.docid} DESC LIMIT {NEWEST}"
    newest = seen[:NEWEST] if seen is not None else [row[0] for row in connection.execute(inner, plan.params)]
    docids: Iterable[int] = ordered(Fts5(connection), newest, plan.leaves)
    if seen is None and plan.looks:
        docids = (docid for docid in docids if _passes(connection, plan, docid))
    return list(islice(docids, offset, offset + limit))


def _passes(connection: sqlite3.Connection, plan: Plan, docid: int) -> bool:
    return connection.execute(plan.one(), {**plan.params, "docid": docid}).fetchone() is not None


def _ids(connection: sqlite3.Connection, docids: list[int], *, dated: bool) -> tuple[int, ...]:
    """Article ids of docids; `dated` puts those of one slot in the order of their dates."""
    rows = connection.execute(
        "SELECT docid, id, coalesce(published, first_seen) FROM article WHERE docid IN (SELECT value FROM json_each(?))",
        (json.dumps(docids),),
    ).fetchall()
    found = {row[0]: (row[1], row[2]) for row in rows}
    order = sorted(docids, key=lambda docid: (found[docid][1], docid), reverse=True) if dated else docids
    return tuple(found[docid][0] for docid in order)
