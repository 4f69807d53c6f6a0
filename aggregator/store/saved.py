"""Searches kept under a name. `saved:NAME` in a query stands for one, so that subscribers, feeds and reports follow it.

Nothing may name a saved search that is not there: what would leave another one, or a subscriber, without its search is
refused with their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from aggregator.errors import QueryError, UsageError
from aggregator.query import NAME, no_saved, parse, renamed, saved_in
from aggregator.store import search, subscribers
from aggregator.store.schema import saved_search as table
from aggregator.store.schema import subscriber


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """One of them; `used_by` are the saved searches and the subscribers that name it."""

    name: str
    query: str
    created: datetime
    changed: datetime
    used_by: tuple[str, ...] = ()


def every(connection: sa.Connection) -> list[SavedSearch]:
    """All of them, by name."""
    rows = connection.execute(sa.select(table).order_by(table.c.name)).mappings()
    users = _users(connection)
    return [SavedSearch(**row, used_by=tuple(users.get(row["name"], ()))) for row in rows]


def get(connection: sa.Connection, name: str) -> SavedSearch:
    """One of them; raises QueryError for an unknown name, with the one that may be meant."""
    found = {one.name: one for one in every(connection)}
    if name not in found:
        raise QueryError(no_saved(name, {one.name: one.query for one in found.values()}))
    return found[name]


def checked_name(name: str) -> str:
    """A name that a query can hold; raises UsageError for another."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a saved search: letters and digits, then also . - and _, 64 at the most"
        )
    return name


def save(connection: sa.Connection, name: str, query: str, now: datetime, *, replace: bool = False) -> bool:
    """Keep a query under a name; whether anything changed.

    Raises UsageError for a name that is taken (unless `replace`), QueryError for a query that cannot be read, or that
    would make another saved search one that cannot.
    """
    known = search.saved(connection)
    before = known.get(checked_name(name))
    if before == query:
        return False
    if before is not None and not replace:
        raise UsageError(f"there is a saved search {name} already ({before}); --replace puts this one in its place")
    after = {**known, name: query}
    parse(query, now, lambda: after)
    for other in (name, *(other for other in known if other != name and _reads(other, known, now))):
        parse(f"saved:{other}", now, lambda: after)
    if before is None:
        connection.execute(sa.insert(table).values(name=name, query=query, created=now, changed=now))
    else:
        connection.execute(sa.update(table).where(table.c.name == name).values(query=query, changed=now))
    return True


def _reads(name: str, known: dict[str, str], now: datetime) -> bool:
    try:
        parse(f"saved:{name}", now, lambda: known)
    except QueryError:
        return False
    return True


def remove(connection: sa.Connection, name: str, *, force: bool = False) -> None:
    """Forget one; raises UsageError where something names it, unless `force`."""
    one = get(connection, name)
    if one.used_by and not force:
        raise UsageError(
            f"{name} is used by {', '.join(one.used_by)}; change those first, or say --force and they find nothing"
        )
    connection.execute(sa.delete(table).where(table.c.name == name))


def rename(connection: sa.Connection, old: str, new: str, now: datetime) -> tuple[str, ...]:
    """Call one otherwise, also in everything that names it; what that is. Raises UsageError where `new` is taken."""
    one = get(connection, old)
    if checked_name(new) in search.saved(connection):
        raise UsageError(f"there is a saved search {new} already; remove it first, or choose another name")
    connection.execute(sa.update(table).where(table.c.name == old).values(name=new, changed=now))
    for other, query in search.saved(connection).items():
        if (fresh := _renamed(query, old, new)) != query:
            connection.execute(sa.update(table).where(table.c.name == other).values(query=fresh, changed=now))
    for each in subscribers.every(connection):
        if (fresh := _renamed(each.wants.query, old, new)) != each.wants.query:
            wants = dict(connection.scalar(sa.select(subscriber.c.wants).where(subscriber.c.id == each.id)) or {})
            changed = wants | {"query": fresh}
            connection.execute(sa.update(subscriber).where(subscriber.c.id == each.id).values(wants=changed))
    return one.used_by


def _renamed(query: str, old: str, new: str) -> str:
    try:
        return renamed(query, old, new)
    except QueryError:  # it could not be read before either
        return query


def _users(connection: sa.Connection) -> dict[str, list[str]]:
    """For each name, the saved searches and the addresses of the subscribers that name it themselves."""
    queries = [(f"saved:{name}", query) for name, query in sorted(search.saved(connection).items())]
    queries += [(one.address, one.wants.query) for one in subscribers.every(connection)]
    found: dict[str, list[str]] = {}
    for user, query in queries:
        try:
            names = saved_in(query)
        except QueryError:
            continue
        for name in names:
            found.setdefault(name, []).append(user)
    return found
