"""Which troubles the operator has been told of, so that each is told once while it lasts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from aggregator.store.schema import alarm as table


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
