"""Build the search index again, a piece in a transaction, so that it can be interrupted and goes on where it was.

`article_reindex` says up to which docid it has come. On SQLite the new index grows beside the one in use, which answers
until the new one takes its place in one transaction; what is written meanwhile goes into both (`search.index`). On
PostgreSQL a document is a row, and each piece replaces its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import sqlalchemy as sa

from aggregator.store import search, search_postgres, tidy
from aggregator.store.search import BATCH, NEW

Writing = Callable[[], AbstractContextManager[sa.Connection]]
"""Begins a writing transaction."""
FIRST = -(1 << 62)
MERGE = 2_000
"""Pages that are merged in one transaction."""


def reindex(writing: Writing, *, anew: bool = False) -> Iterator[int]:
    """Go on with a rebuilding, or begin one; yields how many articles are done after each piece. `anew` forgets what
    an interrupted one has done.
    """
    with writing() as connection:
        if anew:
            _forget(connection)
        done = _begin(connection)
    yield done
    more = True
    while more:
        with writing() as connection:
            some = _piece(connection)
        done += some
        more = some > 0
        yield done
    merging = True
    while merging:
        with writing() as connection:
            merging = _merged(connection)
    with writing() as connection:
        while some := _piece(connection):
            done += some
        _finish(connection)
    yield done


def _begin(connection: sa.Connection) -> int:
    """Make room for the new index unless it is there; how many articles are in it."""
    upto = search.rebuilt_up_to(connection)
    if upto is None:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(search.DDL[0].replace("article_fts", NEW))
            connection.exec_driver_sql(search.DDL[1].replace("article_fts", NEW))
        connection.execute(sa.text("INSERT INTO article_reindex(upto) VALUES(:upto)"), {"upto": FIRST})
        return 0
    return connection.scalar(sa.text("SELECT count(*) FROM article WHERE docid <= :upto"), {"upto": upto}) or 0


def _forget(connection: sa.Connection) -> None:
    connection.exec_driver_sql("DELETE FROM article_reindex")
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {NEW}")


def _piece(connection: sa.Connection) -> int:
    """Enter the next articles; how many, 0 when all are in."""
    upto = search.rebuilt_up_to(connection)
    if upto is None:  # somebody else has finished it
        return 0
    sql = sa.text("SELECT docid, title, text FROM article WHERE docid > :upto ORDER BY docid LIMIT :limit")
    docs = [(row[0], row[1], row[2]) for row in connection.execute(sql, {"upto": upto, "limit": BATCH})]
    if docs:
        if connection.dialect.name == "sqlite":
            search.enter_anew(connection, docs, after=upto)
        else:
            search_postgres.unindex(connection, docs)
            search_postgres.index(connection, docs)
        connection.execute(sa.text("UPDATE article_reindex SET upto = :upto"), {"upto": docs[-1][0]})
    return len(docs)


def _merged(connection: sa.Connection) -> bool:
    """Merge a part of the new index, which makes it smaller and quicker; False when there is nothing left to merge."""
    if connection.dialect.name != "sqlite" or search.rebuilt_up_to(connection) is None:
        return False
    return tidy.merge(connection, NEW, -MERGE)


def _finish(connection: sa.Connection) -> None:
    """Put the new index in the place of the old one."""
    if search.rebuilt_up_to(connection) is None:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DROP TABLE article_fts")
        connection.exec_driver_sql(f"ALTER TABLE {NEW} RENAME TO article_fts")
        connection.exec_driver_sql("DELETE FROM article_traditional WHERE docid NOT IN (SELECT docid FROM article)")
        connection.exec_driver_sql("INSERT INTO article_word_fts(article_word_fts) VALUES('rebuild')")
    else:
        connection.exec_driver_sql("DELETE FROM article_fts WHERE docid NOT IN (SELECT docid FROM article)")
        search_postgres.optimize(connection)
    connection.exec_driver_sql("DELETE FROM article_reindex")
