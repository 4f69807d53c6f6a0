"""The full-text index of the archive and the queries on it, on SQLite's FTS5; `search_postgres` has the other.

`find` gives exactly the articles that a scan of `terms.document(title, text)` would give. What the index alone cannot
decide (three and more Chinese characters, phrases, mixed scripts) is looked up in the candidates' texts.

    article_fts         rowid = article.docid; unique terms (`terms.py`), no positions, no content: a third of the text
    article_word        the distinct words, with a trigram index: `methane` must also find `biomethane`
    article_traditional the texts that OpenCC changes; the others are compared as they are, five times as fast
    article_slot        docids taken in a row, so that the next free one is found at once
    article_reindex     how far `reindex` has come with a new index, where one is being built

Which docid an article has is the business of `docids`: newest first is descending rowid, with no sort.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from aggregator import terms
from aggregator.store.ranking import CANDIDATES, varint

if TYPE_CHECKING:
    from aggregator.query import Node
    from aggregator.store.paging import Found, Hit

# What asks the index, and what knows PostgreSQL, is imported where it is called: a poll needs neither.

DDL = (
    "CREATE VIRTUAL TABLE article_fts USING fts5(terms, content='', detail=none, tokenize='ascii')",
    "INSERT INTO article_fts(article_fts, rank) VALUES('hashsize', 16777216)",
    "CREATE TABLE article_word(id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE)",
    (
        "CREATE VIRTUAL TABLE article_word_fts"
        " USING fts5(word, content='article_word', content_rowid='id', detail=none, tokenize='trigram')"
    ),
    "CREATE TABLE article_traditional(docid INTEGER PRIMARY KEY)",
    "CREATE TABLE article_slot(home INTEGER PRIMARY KEY, next INTEGER NOT NULL)",
    "CREATE TABLE article_reindex(upto BIGINT NOT NULL)",
)
"""What the migrations run on SQLite."""
NEW = "article_fts_new"
"""The index while `reindex` builds it."""

BATCH = 500
MOST_WORDS = 30_000
"""Words of which a connection remembers that the vocabulary has them: 3 MB, and nine of ten words of a text."""


# --- writing ----------------------------------------------------------------------------------------------------


def index(connection: sa.Connection, docs: Iterable[tuple[int, str, str]]) -> int:
    """Enter documents (docid, title, text) that are not in the index; how many."""
    if connection.dialect.name == "postgresql":
        from aggregator.store import search_postgres

        return search_postgres.index(connection, docs)
    count = 0
    remaining = iter(docs)
    while batch := list(islice(remaining, BATCH)):
        entries = _Entries(batch)
        for name, some in _indexes(connection, entries.rows):
            connection.exec_driver_sql(f"INSERT INTO {name}(rowid, terms) VALUES(?, ?)", some)
        entries.note(connection)
        count += len(batch)
    return count


def unindex(connection: sa.Connection, docs: Iterable[tuple[int, str, str]]) -> None:
    """Take documents out; title and text must be those that were entered (the index keeps no content)."""
    if connection.dialect.name == "postgresql":
        from aggregator.store import search_postgres

        search_postgres.unindex(connection, docs)
        return
    rows = [(docid, terms.entry(title, text).terms) for docid, title, text in docs]
    for name, some in _indexes(connection, rows):
        connection.exec_driver_sql(f"INSERT INTO {name}({name}, rowid, terms) VALUES('delete', ?, ?)", some)
    if rows:
        connection.exec_driver_sql("DELETE FROM article_traditional WHERE docid = ?", [row[:1] for row in rows])


def _indexes(connection: sa.Connection, rows: list[tuple[int, str]]) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """The index, and the one that is being built, with those of the rows that each of them holds or will hold."""
    if rows:
        yield "article_fts", rows
    if (upto := rebuilt_up_to(connection)) is not None and (some := [row for row in rows if row[0] <= upto]):
        yield NEW, some


def _learn(connection: sa.Connection, vocabulary: set[str]) -> None:
    """Enter the words that the vocabulary does not have yet.

    Of frequent words that is remembered with the connection. Nothing takes a word out of the vocabulary, so what was
    committed stays true; a word of this transaction, which may still be rolled back, has an id above `committed`.
    """
    known: _Words = connection.info.setdefault("words", _Words())
    asked = vocabulary - known.words
    if not asked:
        return
    last = int(connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM article_word").scalar_one())
    committed = known.committed(connection, last)
    among = "SELECT id, word FROM article_word WHERE word IN (SELECT value FROM json_each(?))"
    found = connection.exec_driver_sql(among, (json.dumps(list(asked)),)).all()
    known.remember(word for number, word in found if number <= committed)
    fresh = asked.difference(word for _, word in found)
    if not fresh:
        return
    connection.exec_driver_sql("INSERT INTO article_word(word) VALUES(?)", [(word,) for word in sorted(fresh)])
    connection.exec_driver_sql(
        "INSERT INTO article_word_fts(rowid, word) SELECT id, word FROM article_word WHERE id > ?", (last,)
    )


class _Words:
    """Words that are certainly in the archive's vocabulary; the oftener one stands in texts, the sooner it is here."""

    def __init__(self) -> None:
        self.words: set[str] = set()
        self._begun: tuple[object, int] = (None, 0)

    def committed(self, connection: sa.Connection, last: int) -> int:
        """The highest id of a word when this transaction first asked; `last` is the highest now."""
        transaction = connection.get_transaction()
        if self._begun[0] is not transaction:
            self._begun = (transaction, last)
        return self._begun[1]

    def remember(self, words: Iterable[str]) -> None:
        """Keep these, and no more than MOST_WORDS."""
        if len(self.words) > MOST_WORDS:
            self.words.clear()
        self.words.update(words)


def rebuilt_up_to(connection: sa.Connection) -> int | None:
    """The last docid that is in the index being built (`reindex`); None when none is."""
    found: int | None = connection.exec_driver_sql("SELECT max(upto) FROM article_reindex").scalar_one()
    return found


def enter_anew(connection: sa.Connection, docs: Sequence[tuple[int, str, str]], after: int) -> None:
    """Enter articles, the next ones after a docid, in the index being built, and in what goes with both."""
    entries = _Entries(docs)
    connection.exec_driver_sql(f"INSERT INTO {NEW}(rowid, terms) VALUES(?, ?)", entries.rows)
    connection.exec_driver_sql("DELETE FROM article_traditional WHERE docid > ? AND docid <= ?", (after, docs[-1][0]))
    entries.note(connection)


class _Entries:
    """What the index and what belongs to it hold of some documents: rows of terms, words, and which are traditional."""

    def __init__(self, docs: Sequence[tuple[int, str, str]]) -> None:
        self.rows: list[tuple[int, str]] = []
        self.words: set[str] = set()
        self.traditional: list[tuple[int]] = []
        for docid, title, text in docs:
            found = terms.entry(title, text)
            self.rows.append((docid, found.terms))
            self.words |= found.words
            if found.traditional:
                self.traditional.append((docid,))

    def note(self, connection: sa.Connection) -> None:
        """Enter what goes beside the terms."""
        if self.traditional:
            connection.exec_driver_sql("INSERT INTO article_traditional(docid) VALUES(?)", self.traditional)
        _learn(connection, self.words)


def optimize(connection: sa.Connection) -> None:
    """Merge the index into one piece: a sixth smaller, and quicker to ask."""
    if connection.dialect.name == "postgresql":
        from aggregator.store import search_postgres

        search_postgres.optimize(connection)
        return
    connection.exec_driver_sql("INSERT INTO article_fts(article_fts) VALUES('optimize')")


def verify(connection: sa.Connection) -> list[str]:
    """What is wrong with the index, as sentences; it reads every text."""
    if connection.dialect.name == "postgresql":
        from aggregator.store import search_postgres

        return _findings(connection, "SELECT docid FROM article_fts", search_postgres.stale)
    try:
        for name in ("article_fts", "article_word_fts"):
            connection.exec_driver_sql(f"INSERT INTO {name}({name}, rank) VALUES('integrity-check', 0)")
    except sa.exc.DatabaseError as error:
        return [f"its structure is damaged ({error.orig})"]
    return _findings(connection, "SELECT id FROM article_fts_docsize", _stale)


def _findings(connection: sa.Connection, entered: str, stale_ones: Callable[[sa.Connection], int]) -> list[str]:
    """`entered` selects the docids of what is in the index."""
    findings = []
    missing = _count(connection, f"SELECT docid FROM article EXCEPT {entered}")  # noqa: S608 - own text
    surplus = _count(connection, f"{entered} EXCEPT SELECT docid FROM article")  # noqa: S608 - own text
    if missing:
        findings.append(f"{missing} articles are not in it")
    if surplus:
        findings.append(f"{surplus} of its entries have no article")
    if not findings and (stale := stale_ones(connection)):
        findings.append(f"{stale} articles changed without it")
    return findings


def _count(connection: sa.Connection, select: str) -> int:
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM ({select}) AS found").scalar_one())  # noqa: S608 - own text


def _stale(connection: sa.Connection) -> int:
    """Articles whose number of terms is not the one that was entered."""
    rows = connection.exec_driver_sql(
        "SELECT a.title, a.text, d.sz FROM article a JOIN article_fts_docsize d ON d.id = a.docid"
    )
    return sum(len(terms.entered(title, text)) != varint(size) for title, text, size in rows)


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
    """The articles that a query finds; see `lookup.find`, which this hands SQLite's own connection."""
    if connection.dialect.name == "postgresql":
        from aggregator.store import search_postgres

        return search_postgres.find(
            connection, query, limit=limit, offset=offset, rank=rank, candidates=candidates, count=count
        )
    from aggregator.store import lookup

    raw: Any = connection.connection.driver_connection
    return lookup.find(raw, query, limit=limit, offset=offset, rank=rank, candidates=candidates, count=count)


def saved(connection: sa.Connection) -> dict[str, str]:
    """The saved searches by name."""
    return {row[0]: row[1] for row in connection.exec_driver_sql("SELECT name, query FROM saved_search")}


def hits(connection: sa.Connection, ids: Sequence[int]) -> list[Hit]:
    """The articles with these ids, in this order; see `lookup.hits`."""
    if connection.dialect.name == "postgresql":
        from aggregator.store import search_postgres

        return search_postgres.hits(connection, ids)
    from aggregator.store import lookup

    raw: Any = connection.connection.driver_connection
    return lookup.hits(raw, ids)
