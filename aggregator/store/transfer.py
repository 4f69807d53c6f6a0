"""Copy an archive to another database, either way, and prove that the copy is the same.

Table by table in the order of their links, in pieces of the primary key's order, a transaction each. A piece that the
target holds already is compared by its checksum and left alone, so that a copy that was interrupted goes on where it
was, and one whose source went on being written is brought up to date. Until everything is equal the target's schema
version is `UNFINISHED`, which no command takes for an archive.

The search index is derived: each database builds its own from the articles as they arrive.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from aggregator.errors import ArchiveError
from aggregator.store import search
from aggregator.store.archive import UNFINISHED, Archive
from aggregator.store.schema import HEAD, Packed, article, metadata

PIECE = 1000
"""Rows in one transaction."""

Row = Mapping[str, Any]
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Sum:
    """One table: how many rows, and the SHA-256 of them all in the order of the key."""

    rows: int
    sha256: str


def copy(source: Archive, target: Archive, say: Say) -> dict[str, Sum]:
    """Make `target` equal to `source`, which is read in one consistent view; what each table then holds.

    Raises ArchiveError when the target holds another archive, or when the two are not equal in the end.
    """
    _begin(target)
    with source.reading() as reader:
        for table in TABLES:
            _copy_table(reader, target, table, say)
        wanted = sums(reader)
    with target.writing() as writer:
        _number_on(writer)
        search.optimize(writer)
        found = sums(writer)
        if wrong := [name for name, one in wanted.items() if found[name] != one]:
            raise ArchiveError(f"{target.name} differs from {source.name} in {', '.join(wrong)}; copy again")
        _mark(writer, HEAD)
    return found


def backup(source: Archive, target: Path) -> None:
    """An archive on PostgreSQL as a SQLite file, which appears whole or not at all; raises ArchiveError."""
    beside = target.with_name(f".{target.name}.writing")
    for leftover in (beside, beside.with_name(beside.name + "-wal"), beside.with_name(beside.name + "-shm")):
        leftover.unlink(missing_ok=True)
    with closing(Archive.target(str(beside))) as archive:
        copy(source, archive, lambda _line: None)
        archive.fold()
    beside.replace(target)


def sums(connection: sa.Connection) -> dict[str, Sum]:
    """Rows and checksum of every table; equal on both databases when their contents are."""
    found = {}
    for table in TABLES:
        digest, rows = hashlib.sha256(), 0
        for piece in _pieces(connection, table):
            digest.update(_canonical(table, piece))
            rows += len(piece)
        found[table.name] = Sum(rows, digest.hexdigest())
    return found


def _begin(target: Archive) -> None:
    """Mark an empty target, or go on with an unfinished one."""
    with target.writing() as connection:
        if _version(connection) != UNFINISHED and any(
            connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() for table in TABLES
        ):
            raise ArchiveError(f"{target.name} holds an archive already; name an empty database or another file")
        _mark(connection, UNFINISHED)


def _version(connection: sa.Connection) -> str | None:
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found


def _mark(connection: sa.Connection, version: str) -> None:
    connection.execute(sa.text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def _copy_table(reader: sa.Connection, target: Archive, table: sa.Table, say: Say) -> None:
    """Piece by piece; each covers the keys from the one before to its last, so that nothing else is left in between."""
    after: tuple[Any, ...] | None = None
    rows = same = 0
    for piece in _pieces(reader, table):
        last = _key(table, piece[-1])
        with target.writing() as writer:
            there = _between(writer, table, after, last)
            if _canonical(table, there) == _canonical(table, piece):
                same += len(piece)
            else:
                _replace(writer, table, there, piece)
        rows += len(piece)
        after = last
        if rows % (20 * PIECE) == 0:
            say(f"{table.name}: {rows:,} rows")
    with target.writing() as writer:
        surplus = _between(writer, table, after, None)
        _replace(writer, table, surplus, [])
    if rows:
        say(f"{table.name}: {rows:,} rows" + (f", {same:,} there already" if same else ""))


def _replace(writer: sa.Connection, table: sa.Table, old: Sequence[Row], new: Sequence[Row]) -> None:
    if old:
        if table.name == article.name:
            search.unindex(writer, [(row["docid"], row["title"], row["text"]) for row in old])
        for start in range(0, len(old), 100):
            same = [_is(table, row) for row in old[start : start + 100]]
            writer.execute(sa.delete(table).where(sa.or_(*same)))
    if new:
        writer.execute(sa.insert(table), [dict(row) for row in new])
        if table.name == article.name:
            search.index(writer, [(row["docid"], row["title"], row["text"]) for row in new])


def _pieces(connection: sa.Connection, table: sa.Table) -> Iterator[list[Row]]:
    """All rows in the order of the key, PIECE at a time, in one pass."""
    query = sa.select(table).order_by(*_ordered(connection, table))
    result = connection.execute(query, execution_options={"yield_per": PIECE})
    for part in result.mappings().partitions(PIECE):
        yield [dict(row) for row in part]


def _between(
    connection: sa.Connection, table: sa.Table, after: tuple[Any, ...] | None, last: tuple[Any, ...] | None
) -> list[Row]:
    """Rows with after < key <= last. The first column is compared by itself too, for the index."""
    columns = _ordered(connection, table)
    first = next(iter(table.primary_key.columns))
    query = sa.select(table).order_by(*columns)
    if after is not None:
        query = query.where(sa.tuple_(*columns) > _values(table, after))
        query = query.where(first >= after[0]) if isinstance(after[0], int) else query
    if last is not None:
        query = query.where(sa.tuple_(*columns) <= _values(table, last))
        query = query.where(first <= last[0]) if isinstance(last[0], int) else query
    return [dict(row) for row in connection.execute(query).mappings()]


def _ordered(connection: sa.Connection, table: sa.Table) -> list[sa.ColumnElement[Any]]:
    """The key's columns; text goes by its bytes, as SQLite has it."""
    bytewise = connection.dialect.name == "postgresql"
    return [
        sa.collate(column, "C") if bytewise and isinstance(column.type, sa.Text) else column
        for column in table.primary_key.columns
    ]


def _values(table: sa.Table, key: tuple[Any, ...]) -> Any:
    columns = table.primary_key.columns
    return sa.tuple_(*[sa.literal(value, column.type) for column, value in zip(columns, key, strict=True)])


def _key(table: sa.Table, row: Row) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in table.primary_key.columns)


def _is(table: sa.Table, row: Row) -> sa.ColumnElement[bool]:
    return sa.and_(*[column == row[column.name] for column in table.primary_key.columns])


def _canonical(table: sa.Table, rows: Sequence[Row]) -> bytes:
    """Rows as bytes that do not depend on the database."""
    names = [column.name for column in table.columns]
    return "\n".join(json.dumps([_plain(row[name]) for name in names], sort_keys=True) for row in rows).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    return value


def _number_on(connection: sa.Connection) -> None:
    """PostgreSQL's sequences go on after the highest number."""
    if connection.dialect.name != "postgresql":
        return
    for table in TABLES:
        for column in table.primary_key.columns:
            sequence = connection.scalar(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name)))
            if sequence:
                highest = sa.select(sa.func.max(column)).scalar_subquery()
                connection.execute(
                    sa.select(sa.func.setval(sequence, sa.func.coalesce(highest, 1), highest.is_not(None)))
                )


def _shadows() -> list[sa.Table]:
    """The tables as they lie: what is packed is copied as it is, not unpacked and packed again."""
    plain = sa.MetaData()
    tables = [table.to_metadata(plain) for table in metadata.sorted_tables]
    for table in tables:
        for column in table.columns:
            if isinstance(column.type, Packed):
                column.type = sa.LargeBinary()
    return tables


TABLES = _shadows()
"""Every table of the schema, those that others point to first."""
