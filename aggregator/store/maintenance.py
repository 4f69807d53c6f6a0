"""Look after an archive: verify it, repair what can be derived again, copy it while it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from aggregator.errors import ArchiveError
from aggregator.store import articles, links, search, transfer
from aggregator.store import reindex as rebuilding
from aggregator.store.archive import Archive, copy
from aggregator.store.schema import article, place, story

Say = Callable[[str], object]


def check(archive: Archive, say: Say) -> list[str]:
    """Verify everything; findings are sentences that name what is wrong and what to do."""
    with archive.reading() as connection:
        findings = _file(connection, archive.name) if archive.dialect == "sqlite" else []
        for look in (_texts, _index, _stories):
            try:
                findings += look(connection)
            except sa.exc.DatabaseError as error:
                findings.append(f"{archive.name} is damaged ({error.orig}); restore a backup")
        count = connection.scalar(sa.select(sa.func.count()).select_from(article)) or 0
    say(f"{archive.name}: {count} articles, {'sound' if not findings else f'{len(findings)} findings'}")
    return list(dict.fromkeys(findings))


def _index(connection: sa.Connection) -> list[str]:
    return [
        f"search index: {line}; `aggregator archive check --repair` rebuilds it" for line in search.verify(connection)
    ]


def _file(connection: sa.Connection, name: str) -> list[str]:
    try:
        found = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check(20)")]
    except sa.exc.DatabaseError as error:
        return [f"{name} is damaged ({error.orig}); restore a backup"]
    findings = [] if found == ["ok"] else [f"{name} is damaged: {line}; restore a backup" for line in found]
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    return findings + [f"{row[0]} row {row[1]} points to a missing {row[2]}; restore a backup" for row in broken[:20]]


def _texts(connection: sa.Connection) -> list[str]:
    """Every article must be readable, its HTML included."""
    findings = []
    for (identity,) in connection.execute(sa.select(article.c.id).order_by(article.c.id)).fetchall():
        try:
            articles.get(connection, identity)
            articles.history(connection, identity)
        except Exception as error:  # noqa: BLE001 - any damage is a finding
            findings.append(f"article {identity} cannot be read ({type(error).__name__}); restore a backup")
    return findings[:20]


_PLACES = {
    "{} articles stand in a story that is not there": (
        "SELECT count(*) FROM place WHERE story_id IS NOT NULL AND story_id NOT IN (SELECT id FROM story)"
    ),
    "{} articles are reprints of one that is not there": (
        "SELECT count(*) FROM place WHERE reprint_of IS NOT NULL AND reprint_of NOT IN (SELECT id FROM article)"
    ),
    "{} stories have no article": (
        "SELECT count(*) FROM story WHERE id NOT IN (SELECT story_id FROM place WHERE story_id IS NOT NULL)"
    ),
    "{} articles were never compared with the others": (
        "SELECT count(*) FROM article WHERE id NOT IN (SELECT article_id FROM trace)"
        " AND id NOT IN (SELECT article_id FROM unrelated)"
    ),
    "{} links of reprints lead to an article that is not there": (
        "SELECT count(*) FROM reprint_link WHERE a NOT IN (SELECT id FROM article) OR b NOT IN (SELECT id FROM article)"
    ),
}
"""What must not be: a sentence, and the statement that counts it."""


def _stories(connection: sa.Connection) -> list[str]:
    counts = {sentence: connection.scalar(sa.text(statement)) for sentence, statement in _PLACES.items()}
    counts["{} links of stories lead to an article that is not there"] = links.leading_nowhere(connection)
    return [
        f"stories: {sentence.format(count)}; `aggregator archive check --repair` rebuilds them"
        for sentence, count in counts.items()
        if count
    ]


def reindex(
    archive: Archive, say: Say, told: Callable[[int], object] = lambda _done: None, *, anew: bool = False
) -> None:
    """Build the search index again; an interrupted one goes on when it is called again, unless `anew`.

    `told` hears how many articles are done.
    """
    done = 0
    for done in rebuilding.reindex(archive.writing, anew=anew):
        told(done)
    say(f"{archive.name}: {done} articles indexed")


def repair(archive: Archive, say: Say, recalculate: Callable[[sa.Connection], object]) -> None:
    """Rebuild what can be derived from the articles: the index, and by `recalculate` reprints and stories."""
    reindex(archive, say, anew=True)
    with archive.writing() as connection:
        recalculate(connection)
        connection.execute(sa.delete(story).where(~sa.exists().where(place.c.story_id == story.c.id)))
    say(f"{archive.name}: reprints and stories rebuilt")


def backup(archive: Archive, target: Path) -> int:
    """A consistent copy by SQLite's own backup, page by page while others write; bytes of the copy.

    A PostgreSQL archive becomes a SQLite file. Raises ArchiveError for a target that exists.
    """
    if target.exists():
        raise ArchiveError(f"{target} exists; name another file, a backup never overwrites")
    if not target.parent.is_dir():
        raise ArchiveError(f"{target} cannot be written: there is no folder {target.parent}")
    if archive.path is None:
        transfer.backup(archive, target)
        return target.stat().st_size
    copy(archive.path, target)
    return target.stat().st_size


def restore(source: Path, target: Path) -> None:
    """Put a backup at the archive's place; raises ArchiveError where one is, or the backup is none or damaged.

    A leftover log of a removed archive would be played into the new one, so it counts as an archive too.
    """
    for taken in (target, *(target.with_name(target.name + end) for end in ("-wal", "-shm", "-journal"))):
        if taken.exists():
            raise ArchiveError(f"{taken} exists; move it away first, a restore never overwrites")
    with closing_archive(source) as backup_archive, backup_archive.reading() as connection:
        damage = _file(connection, str(source))
    if damage:
        raise ArchiveError(f"{damage[0]}; nothing was restored")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArchiveError(f"no archive can be made at {target}: {error.strerror}") from error
    copy(source, target)


@contextmanager
def closing_archive(path: Path) -> Iterator[Archive]:
    """An archive of any schema that this program knows, for reading, closed at the end."""
    archive = Archive.open(str(path))
    try:
        yield archive
    finally:
        archive.close()
