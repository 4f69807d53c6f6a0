"""Looking at digests: what one would hold, everything one covers, and why an article was or was not in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from aggregator import letters
from aggregator.digest.values import Digest
from aggregator.errors import UsageError
from aggregator.letters import Desk
from aggregator.store import outbox, period, subscribers
from aggregator.store.outbox import Mail
from aggregator.store.subscribers import Subscriber


def preview(
    desk: Desk, one: Subscriber, now: datetime, since: datetime | None = None, until: datetime | None = None
) -> tuple[Digest, str, bytes]:
    """What a subscriber would get now, or for any period (articles that arrived or were published in it).

    Nothing is kept and nothing counts as sent.
    """
    with desk.archive.writing() as connection:
        if since is None and until is None:
            read = letters.batch(connection, desk, one.after_id, one.since, now)
            value, _covered = letters.contents(connection, desk, read, one, now, now)
        else:
            start, end = since or one.since, until or now
            rows = list(period.chosen(connection, period.between(connection, start, end)))
            read = letters.of_rows(connection, desk, rows, start, end)
            looking = replace(one, since=start, after_id=0)
            items = letters.selected(read, one.wants, now, 0)
            value = letters.assembled(desk, read, looking, items, (), end)
        identity = outbox.message_id(read.installation, "preview", one.id, now, desk.domain)
    whole = f"aggregator digest preview {one.address} --all"
    return letters.written(desk, replace(value, whole=whole), identity, now)


def whole(desk: Desk, mailed: Mail) -> Digest:
    """Everything that a sent digest covers, without its limit, as the archive has it now."""
    with desk.archive.writing() as connection:
        one = subscribers.get(connection, mailed.subscriber_id or 0)
        if one is None:
            raise UsageError(f"the subscriber of mail {mailed.id} is gone")
        rows = list(period.chosen(connection, [row.article_id for row in outbox.covered(connection, mailed.id)]))
        read = letters.of_rows(connection, desk, rows, mailed.since, mailed.until)
        items = [item for item, _candidate in read.items.values()]
        return letters.assembled(desk, read, replace(one, since=mailed.since), items, (), mailed.until)


def why(desk: Desk, mailed: Mail, article: int, now: datetime) -> str:
    """Why an article was or was not in a digest, in a sentence."""
    with desk.archive.writing() as connection:
        one = subscribers.get(connection, mailed.subscriber_id or 0)
        row = next(period.chosen(connection, [article]), None)
        if row is None:
            return f"Article {article} is not in the archive."
        told = {each.article_id: each for each in outbox.covered(connection, mailed.id)}
        if article in told:
            clauses = ", ".join(sorted(told[article].evidence, key=desk.names.order)) or "what was asked for"
            how = "named in it" if told[article].shown else "only counted in it, because it would have become too long"
            return f"Article {article} was {how}: it matched {clauses}."
        if article <= mailed.after_id:
            return f"Article {article} was not in it: it arrived before {mailed.since:%Y-%m-%d %H:%M} UTC{_elsewhere(connection, mailed, article)}."
        if article > mailed.last_id:
            return f"Article {article} was not in it: it arrived after the digest was written{_elsewhere(connection, mailed, article)}."
        read = letters.of_rows(connection, desk, [row], mailed.since, now)
        if one is not None and not letters.selected(read, one.wants, now, 0):
            asked = "; ".join(f"{kind} {value}" for kind, value in letters.reasons(one.wants, desk.names, "en"))
            return f"Article {article} was not in it: it is not what was asked for ({asked})."
        return f"Article {article} was not in it: it matches now, but did not when the digest was written (tags or wishes have changed)."


def _elsewhere(connection: sa.Connection, mailed: Mail, article: int) -> str:
    others = outbox.history(connection, subscriber_id=mailed.subscriber_id, article_id=article, limit=1)
    return f", and was in digest {others[0].id}" if others else ""
