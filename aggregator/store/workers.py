"""Who works on a PostgreSQL archive, and how much waits: what the task queue's own tables say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

ALIVE = 20
"""Seconds since the last sign of life after which a worker counts as gone."""

_LOOK = f"""
SELECT (SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - interval '{ALIVE} s'),
       (SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'),
       (SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'),
       (SELECT coalesce(extract(epoch FROM now() - min(e.at)), 0) FROM procrastinate_jobs j
        JOIN procrastinate_events e ON e.job_id = j.id AND e.type IN ('deferred', 'deferred_for_retry')
        WHERE j.status = 'todo')
"""  # noqa: S608 - a number of ours


@dataclass(frozen=True, slots=True)
class Workers:
    """Workers alive, jobs in hand and waiting, and the seconds for which the oldest of these has waited."""

    alive: int = 0
    doing: int = 0
    waiting: int = 0
    oldest: float = 0.0


def workers(connection: sa.Connection) -> Workers | None:
    """How it stands; None where no worker has been yet, and on SQLite."""
    if connection.dialect.name != "postgresql":
        return None
    if connection.exec_driver_sql("SELECT to_regclass('procrastinate_workers')").scalar() is None:
        return None
    row: Any = connection.exec_driver_sql(_LOOK).one()
    return Workers(int(row[0]), int(row[1]), int(row[2]), float(row[3]))
