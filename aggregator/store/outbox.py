"""The outbox: every mail is written down with its bytes before it is sent, claimed by one sender, then marked.

    pending ── claim ──> sending ──> sent                     the server said 250
                              ├────> pending, later           it said "not now", or the process died meanwhile
                              ├────> unknown                  handed over, never confirmed, and not to be repeated
                              └────> failed                   it said no, or "not now" for a day
       └─────────────────────────────> replaced                 the next digest came before it could leave

Whoever sends holds the archive's mail lock (on PostgreSQL: a lease), so a row that is `sending` while nobody else
sends was interrupted. Transactions here should be `durable`.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from aggregator.store.schema import digest as table
from aggregator.store.schema import digest_article as ledger
from aggregator.store.schema import digest_event as events
from aggregator.store.schema import mail_state as state

PENDING, SENDING, SENT, UNKNOWN, FAILED, REPLACED = "pending", "sending", "sent", "unknown", "failed", "replaced"
LEASE = timedelta(minutes=20)
"""How long a claim holds where there is no lock: longer than any exchange with a server may take."""
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Mail:
    """One row of the outbox without its bytes. `lost` counts tries whose outcome nobody knows."""

    id: int
    subscriber_id: int | None
    kind: str
    address: str
    since: datetime
    until: datetime
    after_id: int
    last_id: int
    message_id: str
    subject: str
    articles: int
    state: str
    tries: int
    lost: int
    next_try: datetime
    created: datetime
    sent: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Covered:
    """An article in a digest: named or only counted, and what was quoted for each clause."""

    article_id: int
    shown: bool
    evidence: Mapping[str, str]


_COLUMNS = [table.c[name] for name in Mail.__dataclass_fields__]


def message_id(installation: str, kind: str, subscriber: int | str, until: datetime, domain: str) -> str:
    """Always the same for an installation, a subscriber and a period; tells an outsider nothing about either."""
    words = f"{kind}:{subscriber}:{until.isoformat()}"
    name = hmac.new(bytes.fromhex(installation), words.encode(), hashlib.sha256).hexdigest()[:32]
    return f"<{kind}.{name}@{domain}>"


def write_down(
    connection: sa.Connection,
    *,
    kind: str,
    subscriber_id: int | None,
    address: str,
    since: datetime,
    until: datetime,
    message_id: str,
    subject: str,
    body: bytes,
    now: datetime,
    after_id: int = 0,
    last_id: int = 0,
    covered: Sequence[Covered] = (),
) -> int | None:
    """Put a mail into the outbox; its id, or None when this very mail is there already."""
    if is_there(connection, message_id):
        return None
    row = {
        "kind": kind, "subscriber_id": subscriber_id, "address": address, "since": since, "until": until,
        "after_id": after_id, "last_id": last_id, "message_id": message_id, "subject": subject,
        "body": zlib.compress(body, 6), "articles": len(covered), "state": PENDING, "next_try": now, "created": now,
    }  # fmt: skip
    key = connection.execute(sa.insert(table).values(row)).inserted_primary_key
    identity = int(key[0]) if key else 0
    if covered:
        rows = [
            {"digest_id": identity, "article_id": one.article_id, "shown": one.shown, "evidence": dict(one.evidence)}
            for one in covered
        ]
        connection.execute(sa.insert(ledger), rows)
    note(connection, identity, now, "created")
    return identity


def claim(connection: sa.Connection, now: datetime, only: int | None = None) -> Mail | None:
    """The next mail that is due, now ours to send (state `sending`, one more try); None when none is."""
    due = sa.select(table.c.id).where(table.c.state == PENDING, table.c.next_try <= now)
    if only is not None:
        due = sa.select(table.c.id).where(table.c.state == PENDING, table.c.next_try <= now, table.c.id == only)
    identity = connection.scalar(due.order_by(table.c.next_try, table.c.id).limit(1).with_for_update(skip_locked=True))
    if identity is None:
        return None
    connection.execute(
        sa.update(table).where(table.c.id == identity).values(state=SENDING, claimed=now, tries=table.c.tries + 1)
    )
    note(connection, identity, now, "sending")
    return get(connection, identity)


def anything(connection: sa.Connection, now: datetime) -> bool:
    """Whether a mail is due, or was being sent by somebody."""
    due = sa.or_(table.c.state == SENDING, sa.and_(table.c.state == PENDING, table.c.next_try <= now))
    return connection.scalar(sa.select(table.c.id).where(due).limit(1)) is not None


def pending(connection: sa.Connection, now: datetime) -> bool:
    """Whether a mail is due."""
    due = sa.and_(table.c.state == PENDING, table.c.next_try <= now)
    return connection.scalar(sa.select(table.c.id).where(due).limit(1)) is not None


def waiting(connection: sa.Connection, subscriber_id: int) -> list[Mail]:
    """The digests of a subscriber that were not sent yet, oldest first."""
    query = sa.select(*_COLUMNS).where(
        table.c.subscriber_id == subscriber_id, table.c.state == PENDING, table.c.kind == "digest"
    )
    return [Mail(**row) for row in connection.execute(query.order_by(table.c.id)).mappings()]


def unsent(connection: sa.Connection) -> dict[int, tuple[int, datetime]]:
    """Where the oldest digest starts that waits for each subscriber and was never handed over: article and time."""
    query = sa.select(table.c.subscriber_id, table.c.after_id, table.c.since).where(
        table.c.state == PENDING, table.c.kind == "digest", table.c.lost == 0
    )
    return {row[0]: (row[1], row[2]) for row in connection.execute(query.order_by(table.c.id.desc()))}


def withdraw(connection: sa.Connection, subscriber_id: int, now: datetime, why: str) -> None:
    """Nothing that waits for a subscriber is sent any more."""
    query = sa.select(*_COLUMNS).where(table.c.subscriber_id == subscriber_id, table.c.state == PENDING)
    for row in connection.execute(query).mappings().all():
        failed(connection, Mail(**row), now, "withdrawn", why)


def is_there(connection: sa.Connection, message_id: str) -> bool:
    """Whether a mail of this Message-ID was written down."""
    return connection.scalar(sa.select(table.c.id).where(table.c.message_id == message_id)) is not None


def named(connection: sa.Connection, name: str) -> Mail | None:
    """The mail of a number or of the short name that stands in it."""
    if name.isascii() and name.isdigit() and len(name) < 10:  # noqa: PLR2004 - a short name has twelve characters
        return get(connection, int(name))
    if not (name.isascii() and name.isalnum()):
        return None
    query = sa.select(*_COLUMNS).where(table.c.message_id.like(f"<%.{name}%")).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else Mail(**row)


def interrupted(connection: sa.Connection, now: datetime, *, alone: bool) -> list[Mail]:
    """Mails that somebody was sending who is no more; `alone` says that we hold the lock, else the lease decides."""
    query = sa.select(*_COLUMNS).where(table.c.state == SENDING)
    if not alone:
        query = query.where(table.c.claimed < now - LEASE)
    return [Mail(**row) for row in connection.execute(query).mappings()]


def sent(connection: sa.Connection, mail: Mail, now: datetime, reply: str) -> None:
    """The server took it."""
    _move(connection, mail, now, SENT, "sent", reply, sent=now, error=None)


def later(connection: sa.Connection, mail: Mail, now: datetime, at: datetime, what: str, detail: str) -> None:
    """To be tried again at `at`."""
    _move(connection, mail, now, PENDING, what, detail, next_try=at, error=detail)


def lost(connection: sa.Connection, mail: Mail, now: datetime, at: datetime | None, what: str, detail: str) -> None:
    """Nobody knows whether it arrived: tried again at `at`, or never when None."""
    to = UNKNOWN if at is None else PENDING
    _move(connection, mail, now, to, what, detail, next_try=at or mail.next_try, lost=mail.lost + 1, error=detail)


def failed(connection: sa.Connection, mail: Mail, now: datetime, what: str, detail: str) -> None:
    """It did not arrive and will not."""
    _move(connection, mail, now, FAILED, what, detail, error=detail)


def replaced(connection: sa.Connection, mail: Mail, now: datetime) -> None:
    """It was never handed over, and a newer digest covers it."""
    _move(connection, mail, now, REPLACED, "replaced", "the next digest covers it too")


def again(connection: sa.Connection, mail: Mail, now: datetime) -> None:
    """The operator wants the same mail sent once more."""
    _move(connection, mail, now, PENDING, "again", "asked for by the operator", next_try=now, created=now)


def _move(
    connection: sa.Connection, mail: Mail, now: datetime, to: str, what: str, detail: str, **changes: Any
) -> None:
    connection.execute(sa.update(table).where(table.c.id == mail.id).values(state=to, claimed=None, **changes))
    note(connection, mail.id, now, what, detail)


def note(connection: sa.Connection, identity: int, at: datetime, what: str, detail: str = "") -> None:
    """Add a line to a mail's history."""
    connection.execute(sa.insert(events).values(digest_id=identity, at=at, what=what, detail=detail))


def get(connection: sa.Connection, identity: int) -> Mail | None:
    """One mail."""
    row = connection.execute(sa.select(*_COLUMNS).where(table.c.id == identity)).mappings().first()
    return None if row is None else Mail(**row)


def body(connection: sa.Connection, identity: int) -> bytes:
    """The bytes of a mail, as they were and will be sent."""
    packed = connection.scalar(sa.select(table.c.body).where(table.c.id == identity))
    return zlib.decompress(packed) if packed else b""


def history(
    connection: sa.Connection, *, limit: int = 20, subscriber_id: int | None = None, article_id: int | None = None
) -> list[Mail]:
    """The newest mails first."""
    query = sa.select(*_COLUMNS).order_by(table.c.id.desc()).limit(limit)
    if subscriber_id is not None:
        query = query.where(table.c.subscriber_id == subscriber_id)
    if article_id is not None:
        inside = sa.select(ledger.c.digest_id).where(ledger.c.article_id == article_id)
        query = query.where(table.c.id.in_(inside))
    return [Mail(**row) for row in connection.execute(query).mappings()]


def happened(connection: sa.Connection, identity: int) -> list[tuple[datetime, str, str]]:
    """What happened to a mail, in order: when, what, and the details."""
    query = sa.select(events.c.at, events.c.what, events.c.detail).where(events.c.digest_id == identity)
    return [(row[0], row[1], row[2]) for row in connection.execute(query.order_by(events.c.id))]


def covered(connection: sa.Connection, identity: int) -> list[Covered]:
    """The articles of a digest."""
    query = sa.select(ledger.c.article_id, ledger.c.shown, ledger.c.evidence).where(ledger.c.digest_id == identity)
    return [Covered(*row) for row in connection.execute(query.order_by(ledger.c.article_id))]


def told(connection: sa.Connection, subscriber_id: int, articles: Iterable[int]) -> dict[int, Mapping[str, str]]:
    """Of these articles, those that a subscriber has been sent, with what was quoted last."""
    found: dict[int, Mapping[str, str]] = {}
    wanted = list(articles)
    for start in range(0, len(wanted), CHUNK):
        query = (
            sa.select(ledger.c.article_id, ledger.c.evidence)
            .join(table, table.c.id == ledger.c.digest_id)
            .where(
                table.c.subscriber_id == subscriber_id,
                table.c.kind == "digest",
                table.c.state.not_in((FAILED, REPLACED)),
                ledger.c.article_id.in_(wanted[start : start + CHUNK]),
            )
            .order_by(table.c.id)
        )
        found.update({row[0]: row[1] for row in connection.execute(query)})
    return found


# --- what sending remembers -------------------------------------------------------------------------------------


def remembered(connection: sa.Connection, name: str) -> Any:
    """A value of `mail_state`, None when there is none."""
    return connection.scalar(sa.select(state.c.value).where(state.c.name == name))


def remember(connection: sa.Connection, name: str, value: Any) -> None:
    """Set a value of `mail_state`."""
    done = connection.execute(sa.update(state).where(state.c.name == name).values(value=value))
    if done.rowcount == 0:
        connection.execute(sa.insert(state).values(name=name, value=value))
