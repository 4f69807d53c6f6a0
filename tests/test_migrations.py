"""Migrations: a transaction each, a copy first, and a kill at any statement leaves an archive that can go on."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from aggregator.errors import ArchiveError
from aggregator.store import archive as module
from aggregator.store import maintenance, search, views
from aggregator.store.archive import Archive
from aggregator.store.schema import HEAD, feed, metadata

pytestmark = pytest.mark.databases("sqlite")  # what a file and its copies go through
NOW = datetime(2026, 11, 21, tzinfo=UTC)

# A further migration as it might come one day: a table, a column, and rows that are moved.
LATER = f"{int(HEAD) + 1:04}"
NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "{LATER}"
down_revision = "{HEAD}"


def upgrade():
    op.create_table("extra", sa.Column("id", sa.Text, primary_key=True), sa.Column("note", sa.Text))
    op.add_column("feed", sa.Column("colour", sa.Text))
    op.execute("INSERT INTO extra(id, note) SELECT id, title FROM feed")
    op.execute("UPDATE feed SET colour = 'red'")
    op.create_index("ix_extra_note", "extra", ["note"])
"""

# Upgrades an archive and kills itself before the statement whose number it is given.
KILLED = """
import os, signal, sys
import sqlalchemy as sa
from pathlib import Path
from aggregator.store import archive

path, versions, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
archive.migrations_folder = lambda: versions
archive.HEAD = sys.argv[4]
left = [number]

@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def count(_connection, _cursor, statement, *_rest):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

archive.Archive.open(path, write=True).close()
"""


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """The migrations, and one more."""
    folder = tmp_path / "migrations"
    shutil.copytree(module.migrations_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / f"{LATER}_one_more.py").write_text(NEXT)
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An archive of today's schema with a row in it."""
    path = tmp_path / "old.db"
    archive = Archive.open(str(path), write=True)
    with archive.writing() as connection:
        connection.execute(sa.insert(feed).values(id="front", title="头版"))
    archive.close()
    return path


def test_a_kill_at_any_statement_can_go_on(
    tmp_path: Path, versions: Path, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each kill the archive is whole, stands before or after the migration, and the next writer upgrades it."""
    monkeypatch.setattr(module, "migrations_folder", lambda: versions)
    monkeypatch.setattr(module, "HEAD", LATER)
    kills = 0
    for number in range(1, 60, 3):
        path = tmp_path / f"{number}.db"
        shutil.copy(old, path)
        done = subprocess.run([sys.executable, "-c", KILLED, path, versions, str(number), LATER], check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        kills += 1
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            stands = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'extra'").fetchone()[0]
        connection.close()
        assert (stands, tables) in (([(HEAD,)], 0), ([(LATER,)], 1))
        archive = Archive.open(str(path), write=True)
        with archive.reading() as reading:
            assert reading.exec_driver_sql("SELECT id, colour FROM feed").fetchall() == [("front", "red")]
            assert reading.exec_driver_sql("SELECT note FROM extra").fetchall() == [("头版",)]
        archive.close()
    assert kills >= 5


def test_an_upgrade_leaves_a_copy(old: Path, versions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds what was there before, and can be restored."""
    monkeypatch.setattr(module, "migrations_folder", lambda: versions)
    monkeypatch.setattr(module, "HEAD", LATER)
    Archive.open(str(old), write=True).close()
    copy = old.with_name(f"old.db.before-{LATER}")
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        assert connection.execute("SELECT title FROM feed").fetchall() == [("头版",)]
    connection.close()


def test_restore_refuses_what_is_in_the_way_or_damaged(old: Path, tmp_path: Path) -> None:
    """An archive, the log of a removed one, and a backup with a torn page."""
    target = tmp_path / "new.db"
    log = tmp_path / "new.db-wal"
    log.write_bytes(b"left over")
    with pytest.raises(ArchiveError, match=r"new\.db-wal exists; move it away first"):
        maintenance.restore(old, target)
    log.unlink()
    torn = tmp_path / "torn.db"
    data = bytearray(old.read_bytes())
    data[8192:20480] = bytes(12288)
    torn.write_bytes(data)
    with pytest.raises(ArchiveError):
        maintenance.restore(torn, target)
    assert not target.exists()
    maintenance.restore(old, target)
    with pytest.raises(ArchiveError, match=r"new\.db exists"):
        maintenance.restore(old, target)


def test_a_backup_while_another_connection_writes(old: Path, tmp_path: Path) -> None:
    """The copy is consistent, and none is left half made."""
    archive = Archive.open(str(old), write=True)
    with archive.writing() as connection:
        connection.execute(sa.insert(feed).values(id="second"))
        with pytest.raises(ArchiveError, match="there is no folder"):
            maintenance.backup(archive, tmp_path / "missing" / "copy.db")
        size = maintenance.backup(archive, tmp_path / "copy.db")
    archive.close()
    with sqlite3.connect(tmp_path / "copy.db") as connection:
        assert connection.execute("SELECT id FROM feed").fetchall() == [("front",)]
    connection.close()
    assert size == (tmp_path / "copy.db").stat().st_size
    assert not list(tmp_path.glob(".*writing"))


def test_repair_rebuilds_what_is_derived(old: Path, tmp_path: Path, command) -> None:
    """An index that lost an article and a story without articles are found, said, rebuilt and well."""
    files = tmp_path / "files"
    files.mkdir()
    for name, text in (("a", "港城地铁环线今天铺通最后一段轨道。"), ("b", "柳镇小麦丰收，农户忙着晾晒入库。")):
        (files / f"{name}.md").write_text(f"# 标题{name}\n\n{text}\n")
    where = ("--archive", str(old))
    assert command(*where, "import", str(files)).returncode == 0
    assert command(*where, "archive", "check").returncode == 0
    with sqlite3.connect(old) as connection:
        connection.execute("DELETE FROM article_fts_docsize WHERE id = (SELECT min(id) FROM article_fts_docsize)")
        connection.execute(
            "INSERT INTO story(id, headline, first_seen, last_seen, articles)"
            " VALUES(99, '无', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z', 1)"
        )
    connection.close()
    found = command(*where, "archive", "check")
    assert found.returncode == 1
    assert "articles are not in it; `aggregator archive check --repair`" in found.stderr
    assert "1 stories have no article" in found.stderr
    assert command(*where, "archive", "check", "--repair").returncode == 0
    assert command(*where, "archive", "check").returncode == 0


def _made(path: Path) -> dict[tuple[str, str], str]:
    """Everything in a SQLite file by kind and name, its statement without white space and quotes."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    connection.close()
    return {(kind, name): "".join(sql.replace('"', "").split()).lower() for kind, name, sql in rows}


def test_the_migrations_make_what_the_schema_says(tmp_path: Path) -> None:
    """Tables, columns, constraints, indexes, the search index and the views, statement by statement."""
    Archive.open(str(tmp_path / "migrated.db"), write=True).close()
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    with engine.begin() as connection:
        metadata.create_all(connection)
        for statement in (*search.DDL, *views.ddl("sqlite")):
            connection.exec_driver_sql(statement)
    engine.dispose()
    migrated, direct = _made(tmp_path / "migrated.db"), _made(tmp_path / "direct.db")
    ours = {key: sql for key, sql in migrated.items() if "alembic" not in key[1]}
    assert ours.keys() == direct.keys()
    assert {key: (sql, direct[key]) for key, sql in ours.items() if _parts(sql) != _parts(direct[key])} == {}


def _parts(sql: str) -> list[str]:
    """The pieces between commas and brackets, in no order: constraints may stand in another one."""
    return sorted(filter(None, re.split(r"[(),]", sql)))


@pytest.mark.parametrize(
    "dump", sorted((Path(__file__).parent / "archives").glob("*.sql")), ids=lambda dump: dump.stem
)
def test_every_released_schema_opens(dump: Path, tmp_path: Path, command) -> None:
    """An archive of each release, upgraded where needed: sound, searchable, its tags and stories there."""
    path = tmp_path / "released.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(dump.read_text(encoding="utf-8"))
    connection.close()
    where = ("--archive", str(path))
    assert command(*where, "archive", "upgrade").returncode == 0
    checked = command(*where, "archive", "check")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "阳光之乡" in command(*where, "search", "甲烷", "--format", "json").stdout
    assert "sunnylands-2023" in command(*where, "export", "--format", "jsonl", "--out", "-").stdout
    if dump.stem >= "0002":
        assert "阳光之乡" in command(*where, "search", "saved:methane", "--format", "json").stdout
    assert command(*where, "search", "甲烷", "--save", "other").returncode == 0
