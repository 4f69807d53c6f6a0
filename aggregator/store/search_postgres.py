"""The full-text index on PostgreSQL: the terms of `terms.py` in a `tsvector` with a GIN index.

    article_fts    docid = article.docid; the unique terms, and the folded text where lower case of ASCII does not give it
    article_word   the distinct words with their pieces of three: `methane` must also find `biomethane`
    article_large  documents whose terms did not all fit
    article_slot   docids taken in a row, so that the next free one is found at once

The first migration makes them; no extension is used. `find` and `hits` give what `lookup` gives on SQLite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa

from aggregator import terms
from aggregator.query import Node
from aggregator.store import plan_postgres
from aggregator.store.lookup import NEWEST, Found, Hit
from aggregator.store.plan import CANDIDATES
from aggregator.store.plan_postgres import PostgresPlan, grams
from aggregator.store.ranking import ordered

SLOT = 4
BATCH = 500
_UNKNOWN = 1 << 62
ROOM = 900_000
"""Bytes of terms that are put into one `tsvector`; PostgreSQL takes 1,048,575."""


# --- writing ----------------------------------------------------------------------------------------------------


def allocate(connection: sa.Connection, seconds: Sequence[int]) -> list[int]:
    """Free docids for articles dated `seconds` after 2000-01-01 UTC, all to be stored in this transaction."""
    slots = [moment // SLOT for moment in seconds]
    known = connection.exec_driver_sql("SELECT docid FROM article WHERE docid = ANY(%s)", (slots,))
    taken = set(known.scalars())
    given: dict[int, int] = {}
    for place in sorted(range(len(seconds)), key=seconds.__getitem__):
        slot = slots[place]
        given[place] = slot if slot not in taken else _free(connection, slot, taken)
        taken.add(given[place])
    return [given[place] for place in range(len(seconds))]


def _free(connection: sa.Connection, slot: int, taken: set[int]) -> int:
    """The first number from `slot` that no article has; runs of taken ones are remembered and jumped over."""

    def is_taken(number: int) -> bool:
        if number in taken:
            return True
        return connection.exec_driver_sql("SELECT 1 FROM article WHERE docid = %s", (number,)).first() is not None

    start, docid = _run(connection, slot) or (slot, slot + 1)
    while is_taken(docid):
        run = _run(connection, docid)
        docid = run[1] if run else docid + 1
    connection.exec_driver_sql("DELETE FROM article_slot WHERE home BETWEEN %s AND %s", (start, docid))
    connection.exec_driver_sql("INSERT INTO article_slot(home, next) VALUES(%s, %s)", (start, docid + 1))
    return docid


def _run(connection: sa.Connection, slot: int) -> tuple[int, int] | None:
    """The run of taken docids around `slot`: its first and the one after its last."""
    row = connection.exec_driver_sql(
        "SELECT home, next FROM article_slot WHERE home <= %s ORDER BY home DESC LIMIT 1", (slot,)
    ).first()
    return (row[0], row[1]) if row is not None and row[1] > slot else None


def index(connection: sa.Connection, docs: Iterable[tuple[int, str, str]]) -> int:
    """Enter documents (docid, title, text) that are not in the index; how many."""
    count = 0
    remaining = iter(docs)
    while batch := list(islice(remaining, BATCH)):
        rows, large, vocabulary = [], [], set[str]()
        for docid, title, text in batch:
            found, words = terms.entered_words(title, text)
            vocabulary |= words
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


def _fitting(found: set[str]) -> list[str]:
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


def rebuild(connection: sa.Connection, told: Callable[[int], object] = lambda _done: None) -> int:
    """Build the whole index again from the articles, in this transaction; how many articles are in it.

    `told` hears how many are done.
    """
    for table in ("article_fts", "article_large", "article_word"):
        connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - own names
    count = 0
    last = -(1 << 62)
    while rows := connection.exec_driver_sql(
        "SELECT docid, title, text FROM article WHERE docid > %s ORDER BY docid LIMIT %s", (last, BATCH)
    ).fetchall():
        count += index(connection, [(row[0], row[1], row[2]) for row in rows])
        last = rows[-1][0]
        told(count)
    return count


def optimize(connection: sa.Connection) -> None:
    """Merge what GIN keeps aside, and count for the planner."""
    connection.exec_driver_sql("SELECT gin_clean_pending_list('ix_article_fts_terms')")
    connection.exec_driver_sql("ANALYZE article_fts")


def verify(connection: sa.Connection) -> list[str]:
    """What is wrong with the index, as sentences; it reads every text."""
    findings = []
    missing = _count(connection, "SELECT docid FROM article EXCEPT SELECT docid FROM article_fts")
    surplus = _count(connection, "SELECT docid FROM article_fts EXCEPT SELECT docid FROM article")
    if missing:
        findings.append(f"{missing} articles are not in it")
    if surplus:
        findings.append(f"{surplus} of its entries have no article")
    if not findings and (stale := _stale(connection)):
        findings.append(f"{stale} articles changed without it")
    return findings


def _count(connection: sa.Connection, select: str) -> int:
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM ({select}) AS found").scalar_one())  # noqa: S608


def _stale(connection: sa.Connection) -> int:
    """Articles whose number of terms is not the one that was entered."""
    stale, last = 0, -(1 << 62)
    while rows := connection.exec_driver_sql(
        "SELECT a.docid, a.title, a.text, x.size FROM article a JOIN article_fts x ON x.docid = a.docid"
        " WHERE a.docid > %s ORDER BY a.docid LIMIT %s",
        (last, BATCH),
    ).fetchall():
        stale += sum(len(terms.entered(title, text)) != size for _docid, title, text, size in rows)
        last = rows[-1][0]
    return stale


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
    ranked = rank and bool(plan.leaves)
    total = _number(connection, plan) if count else _UNKNOWN
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


def _number(connection: sa.Connection, plan: PostgresPlan) -> int:
    return int(connection.execute(sa.text(plan.select("count(*)", looked_at=False)), plan.params).scalar_one())


def _newest(connection: sa.Connection, plan: PostgresPlan, limit: int, offset: int) -> list[int]:
    sql = plan.select(plan.docid) + f" ORDER BY {plan.docid} DESC LIMIT :limit OFFSET :offset"
    return list(connection.execute(sa.text(sql), {**plan.params, "limit": limit, "offset": offset}).scalars())


def _best(connection: sa.Connection, plan: PostgresPlan, limit: int, offset: int, seen: list[int] | None) -> list[int]:
    """The best of the newest matches, as `lookup` finds them."""
    if seen is not None:
        newest = seen[:NEWEST]
    else:
        sql = plan.select(plan.docid, looked_at=False) + f" ORDER BY {plan.docid} DESC LIMIT {NEWEST}"
        newest = list(connection.execute(sa.text(sql), plan.params).scalars())
    docids: Iterable[int] = ordered(_Gin(connection), newest, plan.leaves)
    if seen is None and plan.looks:
        one = sa.text(plan.one())
        docids = (d for d in docids if connection.execute(one, {**plan.params, "docid": d}).first() is not None)
    return list(islice(docids, offset, offset + limit))


@dataclass(frozen=True, slots=True)
class _Gin:
    """What ranking asks of the index on PostgreSQL."""

    connection: sa.Connection

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


def _ids(connection: sa.Connection, docids: list[int], *, dated: bool) -> tuple[int, ...]:
    """Article ids of docids; `dated` puts those of one slot in the order of their dates."""
    rows = connection.exec_driver_sql(
        "SELECT docid, id, coalesce(published, first_seen) FROM article WHERE docid = ANY(%s)", (docids,)
    )
    found = {row[0]: (row[1], row[2]) for row in rows}
    order = sorted(docids, key=lambda docid: (found[docid][1], docid), reverse=True) if dated else docids
    return tuple(found[docid][0] for docid in order)


def hits(connection: sa.Connection, ids: Sequence[int]) -> list[Hit]:
    """The articles with these ids, in this order."""
    wanted = list(ids)
    rows = connection.exec_driver_sql(
        "SELECT id, feed, outlet, title, coalesce(url, link), lang, published, first_seen, text, story_id, reprint_of"
        " FROM article LEFT JOIN place ON article_id = id WHERE id = ANY(%s)",
        (wanted,),
    )
    by_id = {row[0]: row for row in rows}
    clauses = _several(connection, "clause", "clause_tag", wanted, " AND relation = 'discusses'")
    agreements = _several(connection, "agreement", "article_agreement", wanted)
    return [
        _hit(by_id[identity], clauses.get(identity, ()), agreements.get(identity, ()))
        for identity in wanted
        if identity in by_id
    ]


def _hit(row: Sequence[Any], clauses: tuple[str, ...], agreements: tuple[str, ...]) -> Hit:
    identity, feed, outlet, title, url, lang, published, first_seen, text, story, original = row
    return Hit(
        identity, feed, outlet, title, url, lang, published, first_seen, text, clauses, agreements, story, original
    )


def _several(
    connection: sa.Connection, column: str, table: str, ids: list[int], condition: str = ""
) -> dict[int, tuple[str, ...]]:
    """The values of a column of each article, in order."""
    found: dict[int, tuple[Any, ...]] = {}
    sql = f'SELECT article_id, {column} FROM {table} WHERE article_id = ANY(%s){condition} ORDER BY article_id, {column} COLLATE "C"'  # noqa: S608
    for identity, value in connection.exec_driver_sql(sql, (ids,)):
        found[identity] = (*found.get(identity, ()), value)
    return found
