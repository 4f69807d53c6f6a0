"""Statements with their numbers written into them, for the many small reads and writes of what stories and reprints hang on.

A thousand bound parameters cost SQLAlchemy more than SQLite needs for the whole query.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

CHUNK = 4000
"""Numbers in one IN list."""
_ONCE = {"compiled_cache": None}
"""A statement with its numbers in it is never used again: SQLAlchemy must not keep five hundred of them."""


def among(
    connection: sa.Connection, selected: str, column: str, numbers: Iterable[int], ending: str = ""
) -> Iterator[Any]:
    """The rows of `selected` (`SELECT ... FROM ... [WHERE ...]`) of which the column holds one of these numbers."""
    joint = "AND" if " WHERE " in selected else "WHERE"
    for part in chunked(numbers):
        yield from rows_of(
            connection, f"{selected} {joint} {column} IN ({','.join(map(str, map(int, part)))}){ending}"
        )


def rows_of(connection: sa.Connection, statement: str) -> Sequence[Any]:
    """The rows of a statement without parameters, as the driver gives them: SQLAlchemy's rows cost more than SQLite's."""
    result = connection.exec_driver_sql(statement, execution_options=_ONCE)
    assert result.cursor is not None  # noqa: S101 - a SELECT has one
    rows: Sequence[Any] = result.cursor.fetchall()
    result.close()
    return rows


def insert(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[tuple[float, ...]]
) -> None:
    """One statement for all rows in PostgreSQL; for SQLite, which then has nothing to read, one row after the other."""
    opening = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES"
    if rows and connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"{opening} ({', '.join('?' * len(columns))})", list(rows))
        return
    for part in parts(rows):
        connection.exec_driver_sql(f"{opening} {','.join(map(str, part))}", execution_options=_ONCE)


def parts(rows: Sequence[tuple[float, ...]]) -> Iterator[Sequence[tuple[float, ...]]]:
    """These rows, `CHUNK` at a time."""
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def chunked(numbers: Iterable[int]) -> Iterator[list[int]]:
    """The distinct numbers in ascending order, `CHUNK` at a time."""
    every = sorted(set(numbers))
    for start in range(0, len(every), CHUNK):
        yield every[start : start + CHUNK]
