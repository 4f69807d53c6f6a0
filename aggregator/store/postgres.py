"""What an archive on PostgreSQL needs: connections, transactions, locks.

One transaction writes at a time, whatever process and host it comes from: `begin_writing` takes an advisory lock that
the server gives back at commit, rollback or loss of the connection. That is what BEGIN IMMEDIATE gives on SQLite, and
so everything decided inside (same entry, reprint, story) is decided as if one process did it all. Reading never waits.

A worker that dies with its connection open is found within half a minute (TCP keep-alive), one that hangs within a
transaction is cut by the server.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

NAMES = ("postgresql", "postgres", "postgresql+psycopg", "postgres+psycopg")
HUNG_SECONDS = 50
"""A transaction that says nothing for so long is cut: its worker was stopped, and others wait for the lock."""
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "connect_timeout": 10}
_SERVER = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c TimeZone=UTC"


def is_postgres(url: str) -> bool:
    """Whether an archive's address names PostgreSQL."""
    return url.partition("://")[0] in NAMES and "://" in url


def normal(url: sa.URL) -> sa.URL:
    """`postgres://` and `postgresql://` mean psycopg 3."""
    return url.set(drivername="postgresql+psycopg") if url.drivername in NAMES else url


def conninfo(engine: sa.Engine) -> str:
    """The address as libpq reads it, the password included."""
    return engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def options() -> dict[str, Any]:
    """How the engine is made."""
    return {
        "pool_pre_ping": True,
        "pool_size": 8,
        "max_overflow": 32,
        "connect_args": {**_KEEPALIVE, "options": _SERVER, "application_name": "aggregator"},
    }


def prepare(engine: sa.Engine) -> None:
    """Texts lose the NUL that PostgreSQL cannot hold, in what is stored and in what is looked for alike."""
    sa.event.listen(engine, "connect", _adapt)


def _adapt(connection: Any, _record: object) -> None:
    from psycopg.types.string import StrDumperUnknown

    class Dumper(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\x00", "") if "\x00" in obj else obj)

    connection.adapters.register_dumper(str, Dumper)


def begin_writing(connection: sa.Connection, seconds: float) -> None:
    """Wait until no other transaction writes to this archive; at most `seconds`."""
    connection.exec_driver_sql(
        "SELECT set_config('lock_timeout', %s, true), set_config('idle_in_transaction_session_timeout', %s, true)",
        (f"{int(seconds * 1000)}ms", f"{HUNG_SECONDS}s"),
    )
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (number("writing"),))


def is_busy(error: DBAPIError) -> bool:
    """Whether a lock was not to be had in time (SQLSTATE 55P03)."""
    return getattr(error.orig, "sqlstate", None) == "55P03"


def is_full(error: DBAPIError) -> bool:
    """Whether the server's disk is full (SQLSTATE 53100)."""
    return getattr(error.orig, "sqlstate", None) == "53100"


def is_gone(error: DBAPIError) -> bool:
    """Whether the server, or the connection to it, is gone (SQLSTATE classes 08, 57P and none at all)."""
    state = getattr(error.orig, "sqlstate", None)
    return state is None or state.startswith(("08", "57P", "25P03"))


@contextmanager
def locked(engine: sa.Engine, name: str, *, wait: bool) -> Iterator[bool]:
    """Hold a named lock of this archive, on a connection of its own: it ends with the process. False: others have it."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        key = number(name)
        if wait:
            connection.exec_driver_sql("SELECT pg_advisory_lock(%s)", (key,))
            held = True
        else:
            held = bool(connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (key,)).scalar_one())
        try:
            yield held
        finally:
            if held and not connection.invalidated:
                connection.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (key,))


def number(name: str) -> int:
    """An advisory lock's number: 63 bits of a hash, so that it meets nobody else's."""
    digest = blake2b(f"aggregator:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class Turnstile:
    """Writers of one process queue here, each without a connection, and not at the server."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    @contextmanager
    def through(self) -> Iterator[None]:
        """One at a time."""
        with self._lock:
            yield
