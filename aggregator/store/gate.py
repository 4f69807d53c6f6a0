"""How hard one host is pressed by all workers together: turns that are taken in the archive on PostgreSQL.

A slot of a host is an advisory lock on a connection of its own, so that it is free again when its worker dies; when
the next request may begin stands in `host_turn`, by the server's clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import sqlalchemy as sa

from aggregator.store import postgres

RETRY = 0.1
"""Seconds between two looks for a free slot; they go to whoever looks first."""

_RESERVE = """
INSERT INTO host_turn AS t (host, next) VALUES (%(host)s, clock_timestamp() + %(pause)s)
ON CONFLICT (host) DO UPDATE SET next = greatest(t.next, clock_timestamp()) + %(pause)s
RETURNING extract(epoch FROM next - %(pause)s - clock_timestamp())
"""
_DONE = "UPDATE host_turn SET next = greatest(next, clock_timestamp() + %(pause)s) WHERE host = %(host)s"
_HOLD = """
INSERT INTO host_turn AS t (host, held) VALUES (%(host)s, %(until)s)
ON CONFLICT (host) DO UPDATE SET held = greatest(t.held, excluded.held)
"""


class Gate:
    """Turns per host among all workers of an archive; thread-safe."""

    def __init__(self, engine: sa.Engine, pause: timedelta, slots: int) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._pause = pause
        self._slots = slots

    @contextmanager
    def turn(self, host: str) -> Iterator[None]:
        """Wait for a slot of this host and for the pause, then run."""
        given = {"host": host, "pause": self._pause}
        with self._engine.connect() as connection:
            key = self._slot(connection, host)
            try:
                delay = float(connection.exec_driver_sql(_RESERVE, given).scalar_one())
                if delay > 0:
                    time.sleep(delay)
                try:
                    yield
                finally:
                    connection.exec_driver_sql(_DONE, given)
            finally:
                if not connection.invalidated:
                    connection.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (key,))

    def _slot(self, connection: sa.Connection, host: str) -> int:
        keys = [postgres.number(f"host:{slot}:{host}") for slot in range(self._slots)]
        while True:
            for key in keys:
                if connection.exec_driver_sql("SELECT pg_try_advisory_lock(%s)", (key,)).scalar_one():
                    return key
            time.sleep(RETRY)

    def hold(self, host: str, until: datetime) -> None:
        """Every worker leaves this host alone until then."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql(_HOLD, {"host": host, "until": until})

    def held(self, host: str) -> datetime | None:
        """Until when this host wants to be left alone."""
        with self._engine.connect() as connection:
            found: datetime | None = connection.exec_driver_sql(
                "SELECT held FROM host_turn WHERE host = %s", (host,)
            ).scalar()
        return found
