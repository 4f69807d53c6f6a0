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
from aggregator.store import paging
from aggregator.store.paging import Asked, Found, Hit
from aggregator.store.plan import Look, Plan, compiled, looking
from aggregator.store.ranking import CANDIDATES, Fts5

SCHEMA = "0005"
"""The migration whose tables this module reads; a test holds it against `schema.HEAD`."""
NEAR = (128, 512)
"""Texts that are looked at, newest first, before the index is asked for every word with a character, which takes as
long as there are such words: so many at first, and so many where the first promise a full page."""
MANY = 20_000
"""In a smaller archive the index is quicker."""
PAGE = 100
"""Results that may be found so."""
BATCH = 64


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

    def ask(sql: str) -> Sequence[Any]:
        return connection.execute(sql, wanted).fetchall()

    return paging.hits(ids, ask, "IN (SELECT value FROM json_each(?))", datetime.fromisoformat)


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
    """The articles that a query finds, newest first, or best first of the newest 5,000 when `rank`; see `paging.found`."""
    _prepare(connection)
    return paging.found(
        _Fts5(connection, query), compiled(connection, query), Asked(limit, offset, rank, candidates, count)
    )


def _prepare(connection: sqlite3.Connection) -> None:
    """Give SQLite the function that looks into a text; refused only where it is there already and in use."""
    with suppress(sqlite3.OperationalError):
        connection.create_function("holds", 4, terms.holds, deterministic=True)


@dataclass(frozen=True, slots=True)
class _Fts5(Fts5):
    """What SQLite answers to a plan."""

    query: Node

    def number(self, plan: Plan) -> int:
        """How many articles the index gives, their texts not looked at."""
        sql = plan.select("count(*)", looked_at=False, whole=True)
        return int(self.connection.execute(sql, plan.params).fetchone()[0])

    def newest(self, plan: Plan, limit: int, offset: int) -> Sequence[int]:
        """The newest matches."""
        near = plan.prefixed and limit + offset <= PAGE and self.articles() >= MANY
        if near and (page := self.near(limit + offset)) is not None:
            return page[offset:]
        if plan.looked is not None:
            return list(islice(self.passing(plan, self.given(plan)), offset, offset + limit))
        sql = plan.select(plan.docid) + f" ORDER BY {plan.docid} DESC LIMIT :limit OFFSET :offset"
        return [row[0] for row in self.connection.execute(sql, {**plan.params, "limit": limit, "offset": offset})]

    def near(self, wanted: int) -> list[int] | None:
        """The newest matches among the newest candidates, None where these are too few for a page."""
        plan = compiled(self.connection, self.query, prefixes=False)
        if plan.looked is None:
            return None
        look, (few, many) = looking(plan.looked), NEAR
        found: list[int] = []
        given, at = self.given(plan), 0
        while docids := list(islice(given, BATCH)):
            found += self.held(look, docids)
            at += len(docids)
            if len(found) >= wanted:
                return found[:wanted]
            if at >= many or (at >= few and len(found) * many < wanted * at):
                return None
        return found

    def given(self, plan: Plan, *, whole: bool = False) -> Iterator[int]:
        """The candidates that the index gives, newest first; `whole` when very many of them are wanted."""
        sql = plan.select(plan.docid, looked_at=False, whole=whole) + f" ORDER BY {plan.docid} DESC"
        with closing(self.connection.execute(sql, plan.params)) as rows:
            yield from (row[0] for row in rows)

    def candidates(self, plan: Plan, limit: int) -> Sequence[int]:
        """The newest that the index gives, their texts not looked at."""
        return list(islice(self.given(plan, whole=True), limit))

    def passing(self, plan: Plan, docids: Iterable[int]) -> Iterator[int]:
        """Those of the candidates whose texts are matches, in their order, a few looked at ahead."""
        if plan.looked is None:
            for docid in docids:
                if self.connection.execute(plan.one(), {**plan.params, "docid": docid}).fetchone() is not None:
                    yield docid
            return
        look, remaining = looking(plan.looked), iter(docids)
        while batch := list(islice(remaining, BATCH)):
            yield from self.held(look, batch)

    def held(self, look: Look, docids: Sequence[int]) -> list[int]:
        """Those of the candidates whose texts are what is wanted, in their order."""
        sql = (
            "SELECT docid, CAST(title AS BLOB), CAST(text AS BLOB), docid IN article_traditional FROM article"
            " WHERE docid IN (SELECT value FROM json_each(?))"
        )
        rows = self.connection.execute(sql, (json.dumps(docids),))
        passing = {docid for docid, title, text, traditional in rows if look(title, text, traditional)}
        return [docid for docid in docids if docid in passing]

    def ids(self, docids: Sequence[int], *, dated: bool) -> tuple[int, ...]:
        """Article ids of docids; `dated` puts those of one slot in the order of their dates."""
        rows = self.connection.execute(
            "SELECT docid, id, coalesce(published, first_seen) FROM article"
            " WHERE docid IN (SELECT value FROM json_each(?))",
            (json.dumps(list(docids)),),
        )
        return paging.in_order(rows.fetchall(), docids, dated=dated)
