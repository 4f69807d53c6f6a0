"""Keep SQLite's full-text index near the size of one piece, by merging what has gathered beside it.

FTS5 writes new entries in pieces and merges four of a size into one; a word that stands in several pieces is kept
several times, which makes an index as it grows a twentieth to an eighth larger than one that is merged. `tidy` merges
everything into one piece, a little in each transaction, once the smaller pieces together have a quarter of the
largest: so each byte is written about five times in all the years an archive grows, and never all at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import sqlalchemy as sa

Writing = Callable[[], AbstractContextManager[sa.Connection]]
"""Begins a writing transaction."""
SHARE = 4
"""The smaller pieces together must have at least one page for so many of the largest."""
LEAST = 1_000
"""Pages in the smaller pieces below which merging is not worth it (4 MB)."""
STEP = 500
"""Pages that are merged in one transaction: some 40 ms, in which other writers wait."""
_STRUCTURE = 10
"""The row of `article_fts_data` that lists the pieces (fts5_index.c, FTS5_STRUCTURE_ROWID)."""
_NEWER = b"\xff\x00\x00\x01"
"""Begins the list of an index from which documents are deleted by their ids alone; ours is none."""


def tidy(writing: Writing, stopped: Callable[[], bool] = lambda: False, *, least: int = LEAST) -> int:
    """Merge the index where that is due (`is_due`); how many transactions it took, 0 where nothing was to do.

    It goes on until all is merged or `stopped()`; what is done by then is kept. Raises what `writing` raises.
    """
    steps, merged = 0, True
    while merged and not stopped():
        with writing() as connection:
            if not steps and not is_due(connection, least):
                return 0
            merged = merge(connection, "article_fts", STEP if steps else -STEP)
        steps += 1
    return steps


def is_due(connection: sa.Connection, least: int = LEAST) -> bool:
    """Whether the smaller pieces have `least` pages and a quarter of the largest; never on PostgreSQL, whose index
    cleans up after itself.
    """
    if connection.dialect.name != "sqlite":
        return False
    sizes = sorted(pieces(connection))
    smaller = sum(sizes[:-1])
    return smaller >= least and smaller * SHARE >= sizes[-1]


def merge(connection: sa.Connection, name: str, pages: int) -> bool:
    """Merge about so many pages of an index; fewer than 0 begins to make one piece of all, more go on with what was
    begun. False when there was nothing left to merge.
    """
    changes = "SELECT total_changes()"
    before = connection.exec_driver_sql(changes).scalar_one()
    connection.exec_driver_sql(f"INSERT INTO {name}({name}, rank) VALUES('merge', ?)", (pages,))
    # "if the value of total_changes() increases by less than 2, the merge had no effect" (sqlite.org/fts5.html)
    return bool(connection.exec_driver_sql(changes).scalar_one() - before > 1)


def pieces(connection: sa.Connection) -> list[int]:
    """The size of each piece of the index, in pages of FTS5; none where the list is not as this module knows it.

    It is a cookie of 4 bytes, then variable-length integers: levels, pieces, a counter, and for each level how many of
    its pieces are being merged, how many it has, and each one's id, first and last page.
    """
    query = f"SELECT block FROM article_fts_data WHERE id = {_STRUCTURE}"  # noqa: S608 - own text
    block: bytes = connection.exec_driver_sql(query).scalar() or b""
    if block[4:8] == _NEWER:
        return []
    values = iter(_integers(block[4:]))
    levels, _pieces, _counter = next(values, 0), next(values, 0), next(values, 0)
    found = []
    for _level in range(levels):
        _merging, number = next(values), next(values)
        for _piece in range(number):
            _id, first, last = next(values), next(values), next(values)
            found.append(last - first + 1)
    return found


def _integers(data: bytes) -> list[int]:
    """SQLite's variable-length integers (sqlite.org/fileformat2.html), of the up to eight bytes that occur here."""
    found: list[int] = []
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the upper bit says that more follows
            found.append(value)
            value = 0
    return found
