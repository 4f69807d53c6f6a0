"""What the archive remembers of each feed between two polls, and when it was down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from aggregator.model import Feed, FeedState, Validators
from aggregator.store.schema import feed as table
from aggregator.store.schema import outage as outages

CHUNK = 500
_SAME = (
    "body_sha256", "next_due", "not_before", "last_poll", "last_success", "last_new", "failures", "failing_since",
    "last_error", "gone",
)  # fmt: skip


def states(connection: sa.Connection, ids: Iterable[str] | None = None) -> dict[str, FeedState]:
    """The state of every feed, or of these; feeds that were never polled are absent."""
    queries = [sa.select(table)]
    if ids is not None:
        wanted = list(ids)
        parts = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
        queries = [sa.select(table).where(table.c.id.in_(part)) for part in parts]
    return {row["id"]: _state(row) for query in queries for row in connection.execute(query).mappings()}


def waiting(connection: sa.Connection, now: datetime) -> set[str]:
    """The feeds that are certainly not due: polled before now, due after it. Reads no more than their ids."""
    query = sa.select(table.c.id).where(table.c.next_due > now, table.c.last_poll <= now)
    return set(connection.execute(query).scalars())


def save(connection: sa.Connection, feed: Feed, state: FeedState) -> None:
    """Remember a feed's state; called in the transaction that stores what the poll brought, never before it."""
    save_all(connection, [(feed, state)])


def save_all(connection: sa.Connection, states: Sequence[tuple[Feed, FeedState]]) -> None:
    """As `save`, for many feeds in one statement."""
    if states:
        connection.execute(_upsert(connection.dialect.name), [_row(feed, state) for feed, state in states])


@cache
def _upsert(dialect: str) -> Any:
    insert: Any
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # imports much that SQLite has no use for
    statement = insert(table)
    columns = {column.name: statement.excluded[column.name] for column in table.c if column.name != "id"}
    return statement.on_conflict_do_update(index_elements=[table.c.id], set_=columns)


def _row(feed: Feed, state: FeedState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in _SAME} | {
        "id": feed.id,
        "title": feed.title,
        "outlet": feed.outlet,
        "etag": state.validators.etag,
        "last_modified": state.validators.last_modified,
        "interval_s": None if state.interval is None else int(state.interval.total_seconds()),
        "extra": dict(state.extra),
    }


def note_outage(connection: sa.Connection, feed: str, since: datetime, kind: str, error: str) -> None:
    """A feed is down since `since`; said again, the newest error stays."""
    same = sa.and_(outages.c.feed == feed, outages.c.until.is_(None))
    done = connection.execute(sa.update(outages).where(same).values(kind=kind, error=error))
    if done.rowcount == 0:
        connection.execute(sa.insert(outages).values(feed=feed, since=since, kind=kind, error=error))


def end_outage(connection: sa.Connection, feed: str, until: datetime) -> None:
    """The feed answers again."""
    open_one = sa.and_(outages.c.feed == feed, outages.c.until.is_(None))
    connection.execute(sa.update(outages).where(open_one).values(until=until))


def down_between(connection: sa.Connection, since: datetime, until: datetime) -> list[Mapping[str, Any]]:
    """The outages that touch a period: feed, since, until (None while it lasts), kind, error."""
    query = sa.select(outages).where(
        outages.c.since < until, sa.or_(outages.c.until.is_(None), outages.c.until > since)
    )
    return [dict(row) for row in connection.execute(query.order_by(outages.c.feed, outages.c.since)).mappings()]


def _state(row: Mapping[Any, Any]) -> FeedState:
    seconds = row["interval_s"]
    return FeedState(
        feed=row["id"],
        validators=Validators(row["etag"], row["last_modified"]),
        interval=None if seconds is None else timedelta(seconds=seconds),
        extra=row["extra"],
        **{name: row[name] for name in _SAME},
    )
