"""Open an archive, bring its schema up to date, and give out transactions.

    archive = Archive.open("news.db", write=True)       a file's path, sqlite:///…, or postgresql://…
    with archive.writing() as connection: ...           one transaction, begun with BEGIN IMMEDIATE on SQLite
    with archive.reading() as connection: ...           one consistent view; never waits for a writer

SQLite runs in WAL mode with `synchronous=NORMAL`: a commit survives any crash of the process, and a power cut can
take back the last commits but never tears one (sqlite.org/wal.html). Pragmas are set on every connection of every
thread, since SQLite forgets `foreign_keys` with the connection. BEGIN IMMEDIATE, because a deferred transaction that
reads and then writes fails at once when another has written meanwhile, whatever the busy time-out says.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import filelock
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, NoSuchModuleError

from aggregator.addresses import masked
from aggregator.errors import ArchiveBusy, ArchiveError, ArchiveFull, ArchiveVersion
from aggregator.store import postgres
from aggregator.store.gate import Gate
from aggregator.store.schema import HEAD

BUSY_SECONDS = 60
"""How long a writer waits for another process's transaction before it gives up."""

CACHE, LITTLE_CACHE = 16_384, 8_192
"""Kilobytes of pages that each connection to SQLite keeps; what it reads again comes from the system's own cache."""

RESERVE = 64_000_000
"""Bytes that a full disk must have again before anything is written, or a twentieth of a disk smaller than 20 times
that: a transaction, its log and the copy of a checkpoint fit in."""


_NO_PLACE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL)
"""What SQLite says where the small files that it needs beside an archive cannot be made."""

UNFINISHED = "unfinished copy"
"""Stands for the schema's version while `transfer` copies into an archive."""


class Archive:
    """An open archive. Cheap to make; connections are opened when first used."""

    def __init__(self, engine: sa.Engine, name: str, path: Path | None) -> None:
        self._engine = engine
        self.name = name
        self.path = path
        self._open: set[sqlite3.Connection] = set()
        self._guard = threading.Lock()
        self._turnstile = postgres.Turnstile()
        self._cache = CACHE

    @classmethod
    def open(cls, url: str, *, write: bool = False) -> Archive:
        """An archive ready for use: made or upgraded when `write`, else as it is.

        Raises ArchiveError where there is none (readers), ArchiveVersion where its schema is not this program's,
        ArchiveBusy where an upgrade is needed while a daemon runs on it.
        """
        archive = cls._connect(url, write=write)
        try:
            found = archive.version()
        except (ArchiveError, DBAPIError) as error:
            cause = error if isinstance(error, DBAPIError) else error.__cause__
            if not isinstance(cause, DBAPIError):
                raise
            if not write and archive.is_folded() and _first_code(cause) in _NO_PLACE:
                archive = cls._connect(url, write=False, still=True)
                found = archive.version()
            elif archive.path is not None and _first_code(cause) in _NO_PLACE and not archive.has_room():
                raise ArchiveFull(f"the disk of {archive.name} is full; make room to open it") from error
            else:
                raise ArchiveError(f"{archive.name} cannot be read as an archive: {_cause(cause)}") from error
        if found != HEAD:
            archive.settle_version(found, write=write)
        return archive

    @classmethod
    def there(cls, url: str) -> bool:
        """Whether there is something to open: a file, or a database that is not empty; one that cannot be asked counts."""
        if not postgres.is_postgres(url):
            return "://" in url or Path(url).expanduser().exists()
        archive = cls._connect(url, write=False)
        try:
            return archive.version() is not None
        except (ArchiveError, DBAPIError):
            return True
        finally:
            archive.close()

    @classmethod
    def target(cls, url: str) -> Archive:
        """Where a copy goes: made when there is nothing, else as it is; raises ArchiveError, ArchiveVersion."""
        archive = cls._connect(url, write=True)
        try:
            found = archive.version()
        except DBAPIError as error:
            raise ArchiveError(f"{archive.name} cannot be read as an archive: {_cause(error)}") from error
        if found not in (HEAD, UNFINISHED):
            archive.settle_version(found, write=True)
        return archive

    @classmethod
    def _connect(cls, url: str, *, write: bool, still: bool = False) -> Archive:
        """`still` says that nobody writes the file, so that SQLite needs no place for its index of the log."""
        try:
            parsed = postgres.normal(make_url(url if "://" in url else f"sqlite:///{Path(url).expanduser()}"))
            path = Path(parsed.database) if parsed.drivername.startswith("sqlite") and parsed.database else None
            if path is not None:
                _check_file(path, write=write)
            if path is not None and still:
                query = {"immutable": "1", "mode": "ro", "uri": "true"}
                parsed = parsed.set(database=f"file:{quote(str(path.absolute()))}", query=query)
            engine = sa.create_engine(parsed, **_options(parsed))
        except (ArgumentError, NoSuchModuleError) as error:
            raise ArchiveError(f"{masked(url)} is neither a file nor a database address: {error}") from error
        except ModuleNotFoundError as error:
            raise ArchiveError(f"PostgreSQL archives need `pip install aggregator[postgres]` ({error})") from error
        shown = str(path) if path else parsed.set(drivername="postgresql").render_as_string(hide_password=True)
        archive = cls(engine, shown, path)
        if path is not None:
            sa.event.listen(engine, "connect", archive.connected)
            sa.event.listen(engine, "close", archive.disconnected)
            sa.event.listen(engine, "begin", _begin)
        else:
            postgres.prepare(engine)
        return archive

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    def version(self) -> str | None:
        """The migration the archive stands at; None for an empty database.

        Raises ArchiveError for a database that something else made.
        """
        with self.reading() as connection:
            tables = set(sa.inspect(connection).get_table_names())
            if "alembic_version" in tables:
                if "article" not in tables:
                    raise ArchiveError(f"{self.name} is a database of another program; name another --archive")
                found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
                return found
            if tables:
                raise ArchiveError(f"{self.name} is a database of another program; name another --archive")
        return None

    def settle_version(self, found: str | None, *, write: bool) -> None:
        """Upgrade an older schema when `write`; raise for everything that this program must not touch."""
        if found == UNFINISHED:
            raise ArchiveError(f"{self.name} is a copy that was not finished; run the same `archive copy` again")
        if found is not None and found not in _known_versions():
            raise ArchiveVersion(
                f"{self.name} was written by a newer aggregator (schema {found}, this one knows {HEAD});"
                " install that version to use it"
            )
        if write and self.path is None:
            with self.waiting_lock("upgrade"):  # nothing is left to do when another worker did it meanwhile
                self.upgrade()
        elif write:
            with self.lock(f"upgrading {self.name}"):
                self.upgrade()
        elif found is None:
            raise ArchiveError(f"{self.name} is empty; `aggregator poll` or `aggregator import` fills it")
        else:
            raise ArchiveVersion(
                f"{self.name} has the older schema {found}; run `aggregator --archive {self.name} archive upgrade`"
            )

    def upgrade(self) -> None:
        """Run the missing migrations, a transaction each: a killed one leaves nothing, and the next run goes on.

        A file that holds something is copied first, to `<archive>.before-<schema>`. Raises ArchiveError.
        """
        from alembic import command

        self._keep_copy()
        with self._engine.connect() as connection:
            command.upgrade(_alembic(connection), "head")
            connection.commit()

    def _keep_copy(self) -> None:
        """A consistent copy beside the file; the one that a killed upgrade made counts, half a one never does."""
        found = self.version()
        if self.path is None or found is None:
            return
        target = self.path.with_name(f"{self.path.name}.before-{HEAD}")
        if not target.exists():
            copy(self.path, target)

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[sa.Connection]:
        """A transaction that is committed at the end of the block and rolled back on any exception.

        A `durable` commit also survives a power cut (SQLite: synchronous=FULL); mails are recorded so.
        Raises ArchiveBusy when another process kept the archive locked for BUSY_SECONDS, ArchiveFull when its disk
        has no room, and ArchiveError when the file cannot be written for another reason.
        """
        try:
            if self.path is None:  # where every commit is durable
                with self._turnstile.through(), self._engine.begin() as connection:
                    postgres.begin_writing(connection, BUSY_SECONDS)
                    yield connection
                return
            with (
                self._engine.connect().execution_options(aggregator_durable=durable) as connection,
                connection.begin(),
            ):
                yield connection
        except DatabaseError as error:
            raise self._trouble(error) or error from error

    def _trouble(self, error: DatabaseError) -> ArchiveError | None:
        """What SQLite means (sqlite.org/rescode.html), in a sentence; None for a statement that is our own mistake."""
        if self.path is None:
            return self._missed(error)
        code = _first_code(error)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return ArchiveBusy(
                f"{self.name} was locked by another process for {BUSY_SECONDS} s; nothing was written, try again"
            )
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and not self.has_room()):
            return ArchiveFull(f"the disk of {self.name} is full; nothing was written, make room")
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            return ArchiveError(f"{self.name} cannot be written ({_cause(error)}); look at the disk and its rights")
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return ArchiveError(
                f"{self.name} is damaged ({_cause(error)}); `aggregator archive check` says more, restore a backup"
            )
        return None

    def _missed(self, error: DBAPIError) -> ArchiveError | None:
        """What PostgreSQL means, in a sentence; None for a statement that is our own mistake."""
        if postgres.is_busy(error):
            return ArchiveBusy(f"{self.name} was being written for {BUSY_SECONDS} s; nothing was written, try again")
        if postgres.is_full(error):
            return ArchiveFull(f"the disk of {self.name} is full; nothing was written, make room")
        if postgres.is_gone(error):
            return ArchiveBusy(f"{self.name} is not there ({_cause(error)}); nothing was written, it is tried again")
        return None

    def free(self) -> int | None:
        """Bytes free on the archive's disk; None where it is no file."""
        return None if self.path is None else shutil.disk_usage(self.path.absolute().parent).free

    def has_room(self) -> bool:
        """Whether the archive's disk takes more: RESERVE is free, and a quota lets a megabyte be written."""
        if self.path is None:
            return True
        usage = shutil.disk_usage(self.path.absolute().parent)
        if usage.free < min(RESERVE, usage.total // 20):
            return False
        trial = self.path.with_name(f".{self.path.name}.room")
        try:
            with trial.open("wb") as file:
                file.write(bytes(1_000_000))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            return False
        finally:
            with suppress(OSError):
                trial.unlink(missing_ok=True)
        return True

    def size(self) -> int:
        """Bytes of the archive: file and log, or what PostgreSQL says."""
        if self.path is None:
            with self.reading() as connection:
                return int(connection.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def is_folded(self) -> bool:
        """Whether the file alone is the archive, with nothing in its log."""
        if self.path is None:
            return False
        log = self.path.with_name(self.path.name + "-wal")
        return not log.exists() or log.stat().st_size == 0

    def interrupt(self) -> None:
        """End what SQLite is busy with, in whatever thread; its transaction is rolled back there."""
        with self._guard:
            busy = list(self._open)
        for connection in busy:
            with suppress(sqlite3.Error):
                connection.interrupt()

    def connected(self, connection: sqlite3.Connection, _record: object) -> None:
        """Called for each new connection to SQLite, in whatever thread."""
        _set_pragmas(connection)
        connection.execute(f"PRAGMA cache_size=-{self._cache}")
        with self._guard:
            self._open.add(connection)

    def disconnected(self, connection: sqlite3.Connection, _record: object) -> None:
        """Called before a connection to SQLite is closed."""
        with self._guard:
            self._open.discard(connection)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One consistent view of the archive for the whole block. Raises ArchiveError where it is damaged."""
        options: dict[str, Any] = {"aggregator_readonly": True}
        if self.path is None:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        try:
            with self._engine.connect().execution_options(**options) as connection:
                yield connection
        except DatabaseError as error:
            raise self._trouble(error) or error from error

    @contextmanager
    def lock(self, purpose: str, kind: str = "") -> Iterator[None]:
        """The daemon's lock: one holder an archive; released by the operating system if the holder dies.

        Another `kind` is another lock: `mail` is held by whoever sends. Raises ArchiveBusy naming the archive when
        another process holds it.
        """
        if self.path is None:
            with postgres.locked(self._engine, kind or "daemon", wait=False) as alone:
                if not alone:
                    raise ArchiveBusy(f"another aggregator works on {self.name} (you asked for {purpose}); try again")
                yield
            return
        held = filelock.FileLock(f"{self.path}.{kind}.lock" if kind else f"{self.path}.lock")
        try:
            held.acquire(timeout=0)
        except filelock.Timeout as error:
            raise ArchiveBusy(
                f"another aggregator works on {self.name}; stop it first (you asked for {purpose})"
            ) from error
        try:
            yield
        finally:
            held.release()

    @property
    def conninfo(self) -> str:
        """PostgreSQL's address with its password, for the task queue."""
        return postgres.conninfo(self._engine)

    def waiting_lock(self, name: str) -> AbstractContextManager[Any]:
        """A named lock among all that use this archive on PostgreSQL; waits for it."""
        return postgres.locked(self._engine, name, wait=True)

    def gate(self, pause: timedelta, slots: int) -> Gate | None:
        """How workers share their turns at a host; None on SQLite, where one daemon is alone."""
        return None if self.path else Gate(self._engine, pause, slots)

    def fold(self) -> None:
        """Put SQLite's log back into the file, so that the file alone is the archive."""
        with self._engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute("PRAGMA journal_mode=DELETE")

    def be_frugal(self) -> None:
        """Keep LITTLE_CACHE on each connection from now on, for a process that runs for months."""
        self._cache = LITTLE_CACHE
        self._engine.dispose()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def copy(source: Path, target: Path) -> None:
    """SQLite's own online backup, page by page while others write; `target` appears whole or not at all.

    Raises ArchiveError naming the target.
    """
    beside = target.with_name(f".{target.name}.writing")
    try:
        beside.unlink(missing_ok=True)
        with closing(sqlite3.connect(source, timeout=BUSY_SECONDS)) as old, closing(sqlite3.connect(beside)) as new:
            old.backup(new, pages=2000)
            new.execute("PRAGMA journal_mode=DELETE")
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(target)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, (OSError, sqlite3.Error)):
            raise ArchiveError(f"{target} cannot be written: {error}") from error
        raise


def _options(url: sa.URL) -> dict[str, Any]:
    if url.drivername.startswith("sqlite"):
        return {"connect_args": {"timeout": BUSY_SECONDS, "check_same_thread": False}}
    return postgres.options()


def _check_file(path: Path, *, write: bool) -> None:
    """Refuse what is not a file of ours before SQLite would make or overwrite anything."""
    if path.is_dir():
        raise ArchiveError(f"{path} is a folder; name a file for the archive")
    if not path.exists():
        if not write:
            raise ArchiveError(f"there is no archive at {path}; `aggregator poll` or `aggregator import` makes one")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArchiveError(f"no archive can be made at {path}: {error.strerror}") from error
        return
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}") from error
    if head and not head.startswith(b"SQLite format 3\x00"):
        raise ArchiveError(f"{path} is not an archive (not a SQLite file); name another file")


def _set_pragmas(connection: sqlite3.Connection) -> None:
    connection.isolation_level = None  # transactions begin where we say, DDL included
    for pragma in (
        f"busy_timeout={BUSY_SECONDS * 1000}",
        "foreign_keys=ON",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "temp_store=MEMORY",
        "mmap_size=0",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    readonly = options.get("aggregator_readonly")
    if not readonly:
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('aggregator_durable') else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")


def _alembic(connection: sa.Connection) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.attributes["connection"] = connection
    return config


def migrations_folder() -> Path:
    """Where the migrations lie: inside an installed package, else beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def _known_versions() -> set[str]:
    return {path.name.split("_")[0] for path in (migrations_folder() / "versions").glob("[0-9]*.py")}


def _first_code(error: BaseException) -> int:
    """The code of the trouble that came first: a full disk ends the transaction, and then no savepoint is left to go
    back to, which is a second error on top.
    """
    first, seen = 0, error
    while seen is not None:
        orig = getattr(seen, "orig", seen)
        first = getattr(orig, "sqlite_errorcode", 0) & 0xFF or first
        earlier = seen.__context__ or seen.__cause__
        if earlier is None:
            break
        seen = earlier
    return first


def _cause(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split()).rstrip(".")
