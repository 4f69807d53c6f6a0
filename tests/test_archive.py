"""Opening, making, upgrading and refusing archives; transactions; migrations equal the schema."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from aggregator.errors import ArchiveBusy, ArchiveError, ArchiveVersion
from aggregator.store.archive import Archive, migrations_folder
from aggregator.store.schema import HEAD, feed, metadata

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_a_new_archive_stands_at_the_head(tmp_path: Path) -> None:
    """A writer makes the file and its folder; a reader then opens it."""
    path = tmp_path / "deep" / "a.db"
    Archive.open(str(path), write=True).close()
    assert Archive.open(str(path)).version() == HEAD


def test_head_is_the_newest_migration() -> None:
    """The constant that is compared without Alembic is what Alembic would say."""
    assert ScriptDirectory(str(migrations_folder())).get_current_head() == HEAD


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection", "ignore:autogenerate skipping metadata-specified")
def test_migrations_make_the_schema(archive_url: str) -> None:
    """What the migrations build is what the schema module says."""
    archive = Archive.open(archive_url, write=True)
    ours = set(metadata.tables)

    def include(_object: object, name: str | None, kind: str, *_rest: object) -> bool:
        return kind != "table" or name in ours

    with archive.reading() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": include, "compare_type": False})
        assert compare_metadata(context, metadata) == []


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "there is no archive at"),
        (lambda path: path.write_text("hello, I am a text file of some length"), "is not an archive"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: sqlite3.connect(path).execute("CREATE TABLE notes (x)").connection.close(), "another program"),
        (lambda path: path.write_bytes(b"SQLite format 3\x00" + b"\x01" * 5000), "cannot be read as an archive"),
    ],
)
def test_what_is_no_archive_is_named(tmp_path: Path, make, sentence: str) -> None:
    """A reader gets one sentence that names the path."""
    path = tmp_path / "a.db"
    make(path)
    with pytest.raises(ArchiveError, match=sentence) as caught:
        Archive.open(str(path))
    assert str(path) in str(caught.value)


def test_a_future_archive_is_refused(archive_url: str) -> None:
    """Reader and writer alike leave a newer schema alone."""
    with Archive.open(archive_url, write=True).writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for write in (False, True):
        with pytest.raises(ArchiveVersion, match="newer aggregator"):
            Archive.open(archive_url, write=write)


def test_the_lock_has_one_holder(archive_url: str) -> None:
    """A second process is told who is in the way; a holder that is killed frees the lock."""
    path = archive_url
    archive = Archive.open(path, write=True)
    code = (
        "import sys, time; from aggregator.store.archive import Archive\n"
        f"with Archive.open({path!r}).lock('a test'): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ArchiveBusy, match="another aggregator"), archive.lock("a test"):
            pass
        holder.kill()
        holder.wait()
    for _ in range(100):  # a server needs a moment to see that a client has gone
        with suppress(ArchiveBusy), archive.lock("a test"):
            return
        time.sleep(0.1)
    raise AssertionError("the lock was not freed")


def test_a_failed_block_writes_nothing(archive_url: str) -> None:
    """An exception inside `writing` rolls everything back."""
    archive = Archive.open(archive_url, write=True)

    def block() -> None:
        with archive.writing() as connection:
            connection.execute(sa.insert(feed).values(id="x"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        block()
    with archive.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(feed)) == 0


def test_readers_see_one_state_while_others_write(archive_url: str) -> None:
    """A reading block is one snapshot."""
    archive = Archive.open(archive_url, write=True)
    count = sa.select(sa.func.count()).select_from(feed)
    with archive.reading() as reader:
        assert reader.scalar(count) == 0
        with archive.writing() as writer:
            writer.execute(sa.insert(feed).values(id="x"))
        assert reader.scalar(count) == 0
    with archive.reading() as reader:
        assert reader.scalar(count) == 1


def test_foreign_keys_hold_in_every_thread(tmp_path: Path) -> None:
    """SQLite forgets the pragma with each connection; ours have it."""
    from threading import Thread

    archive = Archive.open(str(tmp_path / "a.db"), write=True)
    seen = []

    def look() -> None:
        with archive.reading() as connection:
            seen.append(connection.exec_driver_sql("PRAGMA foreign_keys").scalar())

    threads = [Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1, 1, 1]


def test_instants_come_back_aware_and_naive_ones_are_refused(archive_url: str) -> None:
    """Milliseconds survive; a time without a zone is a mistake of ours."""
    archive = Archive.open(archive_url, write=True)
    moment = datetime(2021, 11, 10, 20, 36, 28, 123000, tzinfo=UTC)
    with archive.writing() as connection:
        connection.execute(sa.insert(feed).values(id="x", last_poll=moment))
        assert connection.scalar(sa.select(feed.c.last_poll)) == moment
    with pytest.raises(sa.exc.StatementError, match="time zone"), archive.writing() as connection:
        connection.execute(sa.insert(feed).values(id="y", last_poll=moment.replace(tzinfo=None)))
