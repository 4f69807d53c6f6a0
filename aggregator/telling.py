"""Troubles reach the operator: through the outbox, in the transaction that notes them as told; past it when it is full."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from aggregator import alerts, delivery, letters, mail
from aggregator.alerts import News, Trouble
from aggregator.errors import AggregatorError
from aggregator.letters import Desk
from aggregator.store import alarms, outbox


def note(connection: sa.Connection, desk: Desk | None, news: News, now: datetime) -> None:
    """Remember what is told and what is over; where there is a desk, its operator gets one mail about all of it."""
    alarms.forget(connection, news.over)
    alarms.tell(connection, ((one.key, one.sentence) for one in news.begun), now)
    if desk is not None and news.begun:
        subject, text = alerts.letter(news.begun, desk.archive.name)
        delivery.tell_operator(connection, desk, subject, text, "+".join(one.key for one in news.begun), now)


def at_once(desk: Desk, begun: Sequence[Trouble], now: datetime) -> str | None:
    """One mail to the operator straight to the server, written nowhere: the disk is full. Why it failed, or None."""
    if desk.server is None or desk.operator is None:
        return "no mail server and operator are set"
    subject, text = alerts.letter(begun, desk.archive.name)
    identity = outbox.message_id(desk.archive.name, "notice", begun[0].key, now, desk.domain)
    rendered = desk.renderer.letter("notice", "en", "UTC", what=subject, text=text, **delivery.NO_LINKS)
    try:
        data = letters.letter(desk, mail.address(desk.operator), "en", identity, now, rendered)
        with mail.Session.open(desk.server, desk.patience, desk.stopped) as session:
            outcome = session.send(mail.sender(desk.sender)[1], mail.address(desk.operator), data)
    except AggregatorError as error:
        return str(error)
    return None if outcome.result is mail.Result.SENT else outcome.reply
