"""Subscribe, confirm, resume, and a mail to try the set-up."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa

from aggregator import letters, mail, schedule
from aggregator.delivery import NO_LINKS
from aggregator.errors import MailError, UsageError
from aggregator.letters import Desk
from aggregator.mail import Outcome
from aggregator.store import outbox, search, subscribers
from aggregator.store.subscribers import ACTIVE, UNCONFIRMED, UNSUBSCRIBED, Subscriber, Wants


def subscribe(
    desk: Desk, address: str, schedule_text: str, timezone: str, language: str, wants: Wants, now: datetime,
    *, empty: bool = False,
) -> Subscriber:  # fmt: skip
    """Add a subscriber, with a mail of welcome (or one that asks for confirmation) in the outbox.

    The first digest covers the time since the schedule's last hour. Raises UsageError for an address that is
    subscribed already, a schedule or query that cannot be read.
    """
    to = mail.address(address)
    plan = schedule.read(schedule_text)
    slot = schedule.last_until(plan, timezone, now)
    since = schedule.last_until(plan, timezone, slot - timedelta(seconds=1)) if slot == now else slot
    with desk.archive.writing(durable=True) as connection:
        letters.wanted(wants, now, partial(search.saved, connection))
        before = subscribers.find(connection, to)
        if before is not None and before.state not in (UNSUBSCRIBED, UNCONFIRMED):
            raise UsageError(
                f"{to} is subscribed already ({before.state}); `subscribers remove` it first to change it"
            )
        after = subscribers.last_before(connection, since)
        state = UNCONFIRMED if desk.confirm else ACTIVE
        value = Subscriber(
            0, to, plan.text, timezone, language, wants, empty, state, "", "", now, since, slot, after
        )  # fmt: skip
        one = subscribers.add(connection, value)
        _greet(connection, desk, one, "confirm" if desk.confirm else "welcome", now)
        return one


def _greet(connection: sa.Connection, desk: Desk, one: Subscriber, kind: str, now: datetime) -> None:
    """Write the mail of welcome, or the one that asks."""
    key = subscribers.made_up(connection, "key")
    link, by_mail = letters.unsubscribing(desk, one, key)
    token = subscribers.token(key, "confirm", one)
    confirming = kind == "confirm"
    facts = {
        "address": one.address,
        "schedule": one.schedule,
        "timezone": one.timezone,
        "first": schedule.next_after(schedule.read(one.schedule), one.timezone, now),
        "since": one.since,
        "why": letters.reasons(one.wants, desk.names, one.language),
        "empty": one.empty,
        "token": token,
        "mail": desk.operator or mail.sender(desk.sender)[1],
        "link": f"{desk.public_url}/confirm/{token}" if confirming and desk.public_url else "",
        "unsubscribe_link": "" if confirming else link,
        "unsubscribe_mail": "" if confirming else by_mail,
    }
    rendered = desk.renderer.letter(kind, one.language, one.timezone, **facts)
    links = () if confirming else tuple(each for each in (link, by_mail) if each)
    identity = outbox.message_id(subscribers.made_up(connection, "installation"), kind, one.id, now, desk.domain)
    data = letters.letter(desk, one.address, one.language, identity, now, rendered, links)
    outbox.write_down(
        connection, kind=kind, subscriber_id=one.id, address=one.address, since=now, until=now, message_id=identity,
        subject=rendered[0], body=data, now=now,
    )  # fmt: skip


def confirm(desk: Desk, token: str, now: datetime) -> Subscriber | None:
    """The reader said yes: from now on digests are sent. None for a token that is not ours."""
    with desk.archive.writing(durable=True) as connection:
        one = subscribers.of_token(connection, "confirm", token)
        if one is not None and one.state == UNCONFIRMED:
            subscribers.set_state(connection, one.id, ACTIVE)
            _greet(connection, desk, one, "welcome", now)
        return one


def resume(desk: Desk, one: Subscriber, now: datetime) -> None:
    """Send digests again; the next one covers the time since the last that arrived."""
    with desk.archive.writing(durable=True) as connection:
        slot = schedule.last_until(schedule.read(one.schedule), one.timezone, now)
        subscribers.set_state(connection, one.id, ACTIVE)
        subscribers.served(connection, one.id, slot, one.since, one.after_id)


def test_mail(desk: Desk, address: str, language: str, now: datetime) -> Outcome:
    """Send one mail now and say what the server answered; nothing is kept. Raises MailError, UsageError."""
    to = mail.address(address)
    if desk.server is None:
        raise MailError("no mail server is set; export AGGREGATOR_SMTP_URL=smtp://user@mail.example.org:587")
    facts = {"address": to, "server": desk.server.name, "sender": desk.sender, **NO_LINKS}
    rendered = desk.renderer.letter("test", language, "UTC", **facts)
    with desk.archive.writing() as connection:
        installation = subscribers.made_up(connection, "installation")
    identity = outbox.message_id(installation, "test", to, now, desk.domain)
    data = letters.letter(desk, to, language, identity, now, rendered)
    with mail.Session.open(desk.server, desk.patience, desk.stopped) as session:
        return session.send(mail.sender(desk.sender)[1], to, data)
