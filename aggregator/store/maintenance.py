"""Look after an archive: verify it, repair what can be derived again, copy it while it is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from aggregator.errors import ArchiveError
from aggregator.store import articles, search
from aggregator.store.archive import Archive
from aggregator.store.schema import article

Say = Callable[[str], object]


def check(archive: Archive, say: Say) -> list[str]:
    """Verify everything; findings are sentences that name what is wrong and what to do."""
    with archive.reading() as connection:
        findings = _file(connection, archive.name) if archive.dialect == "sqlite" else []
        count = connection.scalar(sa.select(sa.func.count()).select_from(article)) or 0
        findings += _texts(connection)
        findings += [
            f"search index: {line}; `aggregator archive check --repair` rebuilds it"
            for line in search.verify(connection)
        ]
    say(f"{archive.name}: {count} articles, {'sound' if not findings else f'{len(findings)} findings'}")
    return findings


def _file(connection: sa.Connection, name: str) -> list[str]:
    found = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check(20)")]
    findings = [] if found == ["ok"] else [f"{name} is damaged: {line}; restore a backup" for line in found]
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    return findings + [f"{row[0]} row {row[1]} points to a missing {row[2]}; restore a backup" for row in broken[:20]]


def _texts(connection: sa.Connection) -> list[str]:
    """Every article must be readable, its HTML included."""
    findings = []
    for (identity,) in connection.execute(sa.select(article.c.id).order_by(article.c.id)).fetchall():
        try:
            articles.get(connection, identity)
        except Exception as error:  # noqa: BLE001 - any damage is a finding
            findings.append(f"article {identity} cannot be read ({type(error).__name__}); restore a backup")
    return findings[:20]


def reindex(archive: Archive, say: Say) -> None:
    """Build the search index again, in one transaction: a killed one leaves the old index."""
    with archive.writing() as connection:
        count = search.rebuild(connection)
    say(f"{archive.name}: {count} articles indexed")


def repair(archive: Archive, say: Say, recalculate: Callable[[sa.Connection], object]) -> None:
    """Rebuild what can be derived from the articles: the index, and by `recalculate` reprints and stories."""
    reindex(archive, say)
    with archive.writing() as connection:
        recalculate(connection)
    say(f"{archive.name}: reprints and stories rebuilt")


def backup(archive: Archive, target: Path) -> int:
    """A consistent copy by SQLite's own backup, page by page while others write; bytes of the copy.

    Raises ArchiveError for a target that exists, and for a PostgreSQL archive (pg_dump does that).
    """
    if archive.path is None:
        raise ArchiveError("a PostgreSQL archive is backed up with pg_dump")
    if target.exists():
        raise ArchiveError(f"{target} exists; name another file, a backup never overwrites")
    beside = target.with_name(f".{target.name}.writing")
    try:
        with closing(sqlite3.connect(archive.path)) as source, closing(sqlite3.connect(beside)) as copy:
            source.backup(copy, pages=2000)
            copy.execute("PRAGMA journal_mode=DELETE")
        beside.replace(target)
    except (OSError, sqlite3.Error) as error:
        beside.unlink(missing_ok=True)
        raise ArchiveError(f"{target} cannot be written: {error}") from error
    return target.stat().st_size


def restore(source: Path, target: Path) -> None:
    """Put a backup at the archive's place; raises ArchiveError where one is, or the backup is none."""
    if target.exists():
        raise ArchiveError(f"{target} exists; move it away first, a restore never overwrites")
    Archive.open(str(source)).close()
    target.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
