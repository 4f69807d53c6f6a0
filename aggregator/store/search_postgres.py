"""The full-text index on PostgreSQL: the terms of `terms.py` in a `tsvector` with a GIN index.

    article_fts    docid = article.docid; the unique terms, and the folded text where lower case of ASCII does not give it
    article_word   the distinct words with their pieces of three: `methane` must also find `biomethane`
    article_large  documents whose terms did not all fit
    article_slot   docids taken in a row, so that the next free one is found at once (`article_reindex`: as on SQLite)

The first migration makes them; no extension is used. `find` and `hits` give what `lookup` gives on SQLite.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa

from aggregator import terms
from aggregator.query import Node
from aggregator.store import paging, plan_postgres
from aggregator.store.paging import Asked, Found, Hit
from aggregator.store.plan_postgres import PostgresPlan, grams
from aggregator.store.ranking import CANDIDATES

BATCH = 500
ROOM = 900_000
"""Bytes of terms that are put into one `tsvector`; PostgreSQL takes 1,048,575."""


# --- writing ----------------------------------------------------------------------------------------------------


def index(connection: sa.Connection, docs: Iterable[tuple[int, str, str]]) -> int:
    """Enter documents (docid, title, text) that are not in the index; how many."""
    count = 0
    remaining = iter(docs)
    while batch := list(islice(remaining, BATCH)):
        rows, large, vocabulary = [], [], set[str]()
        for docid, title, text in batch:
            entry = terms.entry(title, text)
            found = entry.listed
            vocabulary |= entry.words
            kept = _fitting(found)
            if len(kept) < len(found):
                large.append((docid,))
            rows.append((docid, len(found), _folded(title, terms.folded(title)), _folded(*_whole(title, text)), kept))
        connection.exec_driver_sql(
            "INSERT INTO article_fts(docid, size, folded_title, folded, terms)"
            " VALUES(%s, %s, %s, %s, array_to_tsvector(%s::text[]))",
            rows,
        )
        if large:
            connection.exec_driver_sql("INSERT INTO article_large(docid) VALUES(%s)", large)
        _learn(connection, vocabulary)
        count += len(batch)
    return count


def _whole(title: str, text: str) -> tuple[str, str]:
    return f"{title}\n{text}", terms.document(title, text)


def _folded(raw: str, folded: str) -> str | None:
    """The folded text, None where PostgreSQL's lower case of ASCII makes the same of the text."""
    return None if raw.encode().lower().decode() == folded else folded


def _fitting(found: list[str]) -> list[str]:
    kept = sorted(found)
    if sum(len(term) for term in kept) * 4 < ROOM:
        return kept
    room = ROOM
    fitting = []
    for term in kept:
        room -= len(term.encode()) + 4
        if room < 0:
            break
        fitting.append(term)
    return fitting


def _learn(connection: sa.Connection, vocabulary: set[str]) -> None:
    """Enter the words that the vocabulary does not have yet."""
    known = connection.exec_driver_sql("SELECT word FROM article_word WHERE word = ANY(%s)", (list(vocabulary),))
    fresh = [(word, grams(word)) for word in sorted(vocabulary.difference(known.scalars()))]
    if fresh:
        connection.exec_driver_sql(
            "INSERT INTO article_word(word, grams) VALUES(%s, %s::text[]) ON CONFLICT DO NOTHING", fresh
        )


def unindex(connection: sa.Connection, docs: Iterable[tuple[int, str, str]]) -> None:
    """Take documents out."""
    docids = [docid for docid, _title, _text in docs]
    for table in ("article_fts", "article_large"):
        connection.exec_driver_sql(f"DELETE FROM {table} WHERE docid = ANY(%s)", (docids,))  # noqa: S608 - own names


def optimize(connection: sa.Connection) -> None:
    """Merge what GIN keeps aside, and count for the planner."""
    connection.exec_driver_sql("SELECT gin_clean_pending_list('ix_article_fts_terms')")
    connection.exec_driver_sql("ANALYZE article_fts")


def stale(connection: sa.Connection) -> int:
    """Articles whose number of terms is not the one that was entered."""
    number, last = 0, -(1 << 62)
    while rows := connection.exec_driver_sql(
        "SELECT a.docid, a.title, a.text, x.size FROM article a JOIN article_fts x ON x.docid = a.docid"
        " WHERE a.docid > %s ORDER BY a.docid LIMIT %s",
        (last, BATCH),
    ).fetchall():
        number += sum(len(terms.entered(title, text)) != size for _docid, title, text, size in rows)
        last = rows[-1][0]
    return number


# --- reading ----------------------------------------------------------------------------------------------------


def find(
    connection: sa.Connection,
    query: Node,
    *,
    limit: int = 20,
    offset: int = 0,
    rank: bool = False,
    candidates: int = CANDIDATES,
    count: bool = True,
) -> Found:
    """The articles that a query finds, newest first, or best first of the newest 5,000 when `rank`; as `lookup.find`."""
    plan = plan_postgres.compiled(connection, query)
    return paging.found(_Gin(connection), plan, Asked(limit, offset, rank, candidates, count))


@dataclass(frozen=True, slots=True)
class _Gin:
    """What PostgreSQL answers to a plan, and what ranking asks of it."""

    connection: sa.Connection

    def number(self, plan: PostgresPlan) -> int:
        return int(self._asked(plan.select("count(*)", looked_at=False), plan).scalar_one())

    def newest(self, plan: PostgresPlan, limit: int, offset: int) -> Sequence[int]:
        sql = plan.select(plan.docid) + f" ORDER BY {plan.docid} DESC LIMIT :limit OFFSET :offset"
        return list(self._asked(sql, plan, limit=limit, offset=offset).scalars())

    def candidates(self, plan: PostgresPlan, limit: int) -> Sequence[int]:
        sql = plan.select(plan.docid, looked_at=False) + f" ORDER BY {plan.docid} DESC LIMIT :limit"
        return list(self._asked(sql, plan, limit=limit).scalars())

    def passing(self, plan: PostgresPlan, docids: Iterable[int]) -> Iterator[int]:
        return (docid for docid in docids if self._asked(plan.one(), plan, docid=docid).first() is not None)

    def _asked(self, sql: str, plan: PostgresPlan, **more: int) -> sa.CursorResult[Any]:
        return self.connection.execute(sa.text(sql), plan.params | more)

    def ids(self, docids: Sequence[int], *, dated: bool) -> tuple[int, ...]:
        rows = self.connection.exec_driver_sql(
            "SELECT docid, id, coalesce(published, first_seen) FROM article WHERE docid = ANY(%s)", (list(docids),)
        )
        return paging.in_order(rows.fetchall(), docids, dated=dated)

    def articles(self) -> int:
        return int(self.connection.exec_driver_sql("SELECT max(id) FROM article").scalar_one())

    def having(self, match: str | None, low: int, high: int) -> set[int]:
        if match is None:
            return set()
        sql = "SELECT docid FROM article_fts WHERE terms @@ %s::tsquery AND docid BETWEEN %s AND %s"
        return set(self.connection.exec_driver_sql(sql, (match, low, high)).scalars())

    def count(self, match: str | None, low: int, high: int) -> int:
        if match is None:
            return 0
        sql = "SELECT count(*) FROM article_fts WHERE terms @@ %s::tsquery AND docid BETWEEN %s AND %s"
        return int(self.connection.exec_driver_sql(sql, (match, low, high)).scalar_one())

    def sizes(self, docids: Sequence[int]) -> dict[int, int]:
        rows = self.connection.exec_driver_sql(
            "SELECT docid, size FROM article_fts WHERE docid = ANY(%s)", (list(docids),)
        )
        return {row[0]: row[1] for row in rows}

    def folded(self, docids: Sequence[int]) -> list[tuple[int, str, str]]:
        rows = self.connection.exec_driver_sql(
            "SELECT docid, title, text FROM article WHERE docid = ANY(%s)", (list(docids),)
        )
        return [(row[0], terms.folded(row[1]), terms.folded(row[2])) for row in rows]


def hits(connection: sa.Connection, ids: Sequence[int]) -> list[Hit]:
    """The articles with these ids, in this order."""

    def ask(sql: str) -> Sequence[Any]:
        return connection.exec_driver_sql(sql, (list(ids),)).fetchall()

    return paging.hits(ids, ask, "= ANY(%s)", lambda instant: instant, collate=' COLLATE "C"')
