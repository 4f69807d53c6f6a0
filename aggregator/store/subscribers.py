"""Who gets digests, what they want, and how far they have been served."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from aggregator.store.schema import article, secret
from aggregator.store.schema import subscriber as table

ACTIVE, PAUSED, UNCONFIRMED, UNSUBSCRIBED = "active", "paused", "unconfirmed", "unsubscribed"


@dataclass(frozen=True, slots=True)
class Wants:
    """What a subscriber asked for, as search does: several values of one kind are alternatives, all kinds hold."""

    agreements: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    outlets: tuple[str, ...] = ()
    lang: str | None = None
    query: str = ""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One reader. The last digest ended at `since`, with article `after_id`; `slot` is the last time of the schedule
    that was dealt with. `empty` asks for a mail even when nothing was written.
    """

    id: int
    address: str
    schedule: str
    timezone: str
    language: str
    wants: Wants
    empty: bool
    state: str
    reason: str
    nonce: str
    created: datetime
    since: datetime
    slot: datetime
    after_id: int


def add(connection: sa.Connection, value: Subscriber) -> Subscriber:
    """Store a new subscriber (its id and nonce are given here); an unsubscribed one of that address is replaced."""
    row = _row(value) | {"nonce": secrets.token_hex(8)}
    before = find(connection, value.address)
    if before is not None:
        row |= {"nonce": before.nonce}
        connection.execute(sa.update(table).where(table.c.id == before.id).values(row))
        return replace(value, id=before.id, nonce=before.nonce)
    identity = connection.execute(sa.insert(table).values(row)).inserted_primary_key
    return replace(value, id=identity[0] if identity else 0, nonce=row["nonce"])


def find(connection: sa.Connection, address: str) -> Subscriber | None:
    """The subscriber of an address, whatever its case."""
    found = connection.execute(sa.select(table).where(sa.func.lower(table.c.address) == address.lower()))
    row = found.mappings().first()
    return None if row is None else _subscriber(row)


def get(connection: sa.Connection, identity: int) -> Subscriber | None:
    """The subscriber of an id."""
    row = connection.execute(sa.select(table).where(table.c.id == identity)).mappings().first()
    return None if row is None else _subscriber(row)


def every(connection: sa.Connection, state: str | None = None) -> list[Subscriber]:
    """All subscribers, or those in one state, in the order of their ids."""
    query = sa.select(table).order_by(table.c.id)
    if state is not None:
        query = query.where(table.c.state == state)
    return [_subscriber(row) for row in connection.execute(query).mappings()]


def set_state(connection: sa.Connection, identity: int, state: str, reason: str = "") -> None:
    """Pause, resume, unsubscribe; `reason` is a sentence for the operator."""
    connection.execute(sa.update(table).where(table.c.id == identity).values(state=state, reason=reason))


def served(connection: sa.Connection, identity: int, slot: datetime, since: datetime, after_id: int) -> None:
    """Remember up to where a subscriber has been served."""
    connection.execute(
        sa.update(table).where(table.c.id == identity).values(slot=slot, since=since, after_id=after_id)
    )


def take_back(connection: sa.Connection, identity: int, since: datetime, after_id: int) -> None:
    """A digest did not arrive: the next one covers its time too."""
    earlier = table.c.after_id > after_id
    connection.execute(sa.update(table).where(table.c.id == identity, earlier).values(since=since, after_id=after_id))


def due_again(connection: sa.Connection, identity: int, slot: datetime) -> None:
    """Forget that the last hour was dealt with: its digest is to be written once more."""
    connection.execute(sa.update(table).where(table.c.id == identity).values(slot=slot))


def remove(connection: sa.Connection, identity: int) -> None:
    """Forget a subscriber and every mail to it."""
    connection.execute(sa.delete(table).where(table.c.id == identity))


def last_before(connection: sa.Connection, instant: datetime) -> int:
    """The newest article that was already there at an instant; 0 when none was."""
    query = sa.select(article.c.id).where(article.c.first_seen < instant).order_by(article.c.id.desc()).limit(1)
    return connection.scalar(query) or 0


# --- what this installation made up once ------------------------------------------------------------------------


def made_up(connection: sa.Connection, name: str) -> str:
    """A random text of this archive, made when first asked for."""
    value = connection.scalar(sa.select(secret.c.value).where(secret.c.name == name))
    if value is None:
        value = secrets.token_hex(32)
        connection.execute(sa.insert(secret).values(name=name, value=value))
    return str(value)


def token(key: str, purpose: str, value: Subscriber) -> str:
    """A signed token for a link: it names the subscriber and one purpose, and nothing else can be done with it."""
    return f"{value.id}-{_signature(key, purpose, value)}"


def of_token(connection: sa.Connection, purpose: str, text: str) -> Subscriber | None:
    """Whose token it is; None when it is not one of ours, or the subscriber is gone."""
    number, _, given = text.strip().partition("-")
    if not (number.isascii() and number.isdigit() and len(number) < 19):  # noqa: PLR2004 - 64 bits
        return None
    value = get(connection, int(number))
    key = connection.scalar(sa.select(secret.c.value).where(secret.c.name == "key"))
    if value is None or key is None:
        return None
    fits = hmac.compare_digest(_signature(key, purpose, value), given.encode("ascii", "replace").decode())
    return value if fits else None


def _signature(key: str, purpose: str, value: Subscriber) -> str:
    return sign(key, f"{purpose}:{value.id}:{value.nonce}")


def sign(key: str, words: str) -> str:
    """HMAC-SHA256 (RFC 2104), 128 bits of it."""
    return hmac.new(bytes.fromhex(key), words.encode(), hashlib.sha256).hexdigest()[:32]


def signed(connection: sa.Connection, words: str, signature: str) -> bool:
    """Whether a signature under these words is this archive's."""
    key = connection.scalar(sa.select(secret.c.value).where(secret.c.name == "key"))
    return key is not None and hmac.compare_digest(sign(key, words), signature.encode("ascii", "replace").decode())


def _row(value: Subscriber) -> dict[str, Any]:
    row = {name: getattr(value, name) for name in table.c.keys() if name not in ("id", "wants", "nonce")}  # noqa: SIM118
    return row | {"wants": asdict(value.wants)}


def _subscriber(row: Mapping[Any, Any]) -> Subscriber:
    wants = row["wants"]
    plain = {name: tuple(wants[name]) for name in ("agreements", "clauses", "outlets")}
    return Subscriber(**{**row, "wants": Wants(**plain, lang=wants["lang"], query=wants["query"])})
