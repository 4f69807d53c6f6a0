"""Which troubles the operator has been told of, so that each is told once while it lasts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa

from aggregator.store.outbox import FAILED, PENDING, SENDING
from aggregator.store.schema import alarm as table
from aggregator.store.schema import digest

RECENT = timedelta(days=2)
LATE = timedelta(hours=2)
"""A digest that waits so long has missed its reader's morning."""


def told(connection: sa.Connection) -> dict[str, datetime]:
    """The keys of the troubles told of, and since when."""
    return {row.key: row.since for row in connection.execute(sa.select(table.c.key, table.c.since))}


def tell(connection: sa.Connection, begun: Iterable[tuple[str, str]], now: datetime) -> None:
    """Note (key, sentence) as told; called in the transaction that files the mail."""
    rows = [{"key": key, "sentence": sentence, "since": now} for key, sentence in begun]
    if rows:
        forget(connection, [str(row["key"]) for row in rows])
        connection.execute(sa.insert(table), rows)


def forget(connection: sa.Connection, over: Iterable[str]) -> None:
    """These are over: if they come back they are told again."""
    keys = list(over)
    if keys:
        connection.execute(sa.delete(table).where(table.c.key.in_(keys)))


def failing_digests(connection: sa.Connection, now: datetime) -> list[tuple[str, str]]:
    """(address, error) of digests that were given up lately, or that wait for the mail server for hours."""
    given_up = sa.and_(digest.c.state == FAILED, digest.c.created > now - RECENT)
    waiting = sa.and_(digest.c.state.in_((PENDING, SENDING)), digest.c.created < now - LATE)
    query = sa.select(digest.c.address, digest.c.error).where(digest.c.kind == "digest", sa.or_(given_up, waiting))
    return [(row.address, row.error or "it waits for the mail server") for row in connection.execute(query)]
