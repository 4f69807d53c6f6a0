"""Digests reach their readers: what is due is written down, what is written down is sent, what was sent is marked.

    deliver ─ write_due   for each subscriber whose hour has come: contents ─> outbox       one transaction each
            └ send_due    take back what was interrupted; then claim ─> SMTP ─> mark        two transactions each

A crash between any two steps loses nothing: before the outbox has a mail, the subscriber is still due; after that the
mail's bytes and its Message-ID are fixed. A crash while a mail is on its way leaves nobody knowing whether it arrived
(RFC 1047): it is sent again, the same, or with `at_most_once` not. A day of "not now" gives a digest up, and the next
one covers its time too.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from aggregator import letters, mail, schedule
from aggregator.digest.values import Digest
from aggregator.errors import AggregatorError, ArchiveBusy, MailError, UsageError
from aggregator.letters import Batch, Desk
from aggregator.mail import Outcome, Result
from aggregator.store import outbox, subscribers
from aggregator.store.outbox import Covered, Mail
from aggregator.store.subscribers import ACTIVE, PAUSED, Subscriber

GIVE_UP = timedelta(days=1)
SETUP_PAUSE = timedelta(minutes=5)
LONGEST_WAIT = timedelta(hours=1)
REPEATS = 1
"""How often a mail that was handed over without an answer is sent again: a server that keeps doing that keeps the
mails, too, far more often than it loses them."""
TROUBLES = 3
"""Connections lost in a row before the server is left alone for a while."""


@dataclass
class Delivered:
    """A round: how many mails were written down, what became of those that were sent, and sentences for the log.

    `mended` tells of what an earlier process left and this one makes good; `notes` of what is not well.
    """

    written: int = 0
    outcomes: list[tuple[Mail, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)

    def count(self, what: str) -> int:
        """How many mails came to this: sent, temporary, permanent, unknown, ..."""
        return sum(found == what for _mail, found in self.outcomes)


def deliver(desk: Desk, now: datetime) -> Delivered:
    """Everything that is due: what the daemon calls at every tick. Never raises for one subscriber or the server."""
    done = Delivered()
    write_due(desk, now, done)
    if desk.server is not None:
        send_due(desk, now, done)
    return done


# --- writing down -----------------------------------------------------------------------------------------------


def write_due(
    desk: Desk, now: datetime, done: Delivered | None = None, early: frozenset[str] = frozenset()
) -> Delivered:
    """Put the digests whose hour has come into the outbox; one that covers all the hours that were slept over.

    The subscribers named in `early` (addresses) get theirs now, whatever the hour.
    """
    done = done or Delivered()
    with desk.archive.reading() as connection:
        held = outbox.remembered(connection, "writing held")
        active = subscribers.every(connection, ACTIVE)
        unsent = outbox.unsent(connection)
    due = [(one, slot) for one in active if (slot := now if one.address in early else due_slot(one, now)) is not None]
    if not due or (held and datetime.fromisoformat(held) > now):
        return done
    starts = [unsent.get(one.id, (one.after_id, one.since)) for one, _slot in due]
    with desk.archive.writing() as connection:
        read = letters.batch(connection, desk, min(one[0] for one in starts), min(one[1] for one in starts), now)
    for one, slot in due:
        if desk.stopped():
            break
        try:
            done.written += _write(desk, read, one, slot, now)
        except (MailError, UsageError) as error:
            if isinstance(error, MailError) and not error.permanent:  # a template, say: everybody's, not this one's
                _hold_writing(desk, str(error), now, done)
                break
            _set_aside(desk, one, str(error), now)
            done.notes.append(f"{one.address} is paused: {error}")
    return done


def _hold_writing(desk: Desk, error: str, now: datetime, done: Delivered) -> None:
    """A fault of the set-up is said once in a while, and nothing is written until then."""
    with desk.archive.writing() as connection:
        outbox.remember(connection, "writing held", (now + SETUP_PAUSE).isoformat())
    done.notes.append(f"no digest can be written: {error}")


def due_slot(one: Subscriber, now: datetime) -> datetime | None:
    """The hour that has come and was not dealt with yet; also after the clock was set back."""
    with suppress(AggregatorError):
        slot = schedule.last_until(schedule.read(one.schedule), one.timezone, now)
        if slot > one.slot or one.slot > now:
            return slot
    return None


def _write(desk: Desk, read: Batch, one: Subscriber, slot: datetime, now: datetime) -> int:
    """One subscriber's digest, and how far it goes; 0 when there was nothing to write.

    It is composed and rendered outside the transaction, which only writes, and gives up where something has changed
    meanwhile: the subscriber is due again at the next tick.
    """
    with desk.archive.reading() as connection:
        waiting = [mail for mail in outbox.waiting(connection, one.id) if mail.lost == 0]
        whole = _with_waiting(one, waiting)
        until = max(slot, whole.since)
        digest, covered = letters.contents(connection, desk, read, whole, until, now)
        ready = None if digest.empty and not one.empty else _ready(connection, desk, read, digest, one.id, now)
    with desk.archive.writing(durable=True) as connection:
        same = [mail for mail in outbox.waiting(connection, one.id) if mail.lost == 0] == waiting
        if subscribers.get(connection, one.id) != one or not same:
            return 0
        for mail in waiting:
            outbox.replaced(connection, mail, now)
        made = ready is not None and _put(connection, whole, ready, covered, read.upto, now) is not None
        subscribers.served(connection, one.id, slot, until, max(read.upto, one.after_id))
        return int(made)


def _with_waiting(one: Subscriber, waiting: Sequence[Mail]) -> Subscriber:
    """A digest that waits and was never handed over goes into the new one, so that the reader gets one, not two."""
    since = min((one.since, *(mail.since for mail in waiting)))
    return replace(one, since=since, after_id=min((one.after_id, *(mail.after_id for mail in waiting))))


@dataclass(frozen=True)
class _Ready:
    """A rendered digest: until when it goes, its Message-ID, subject and bytes, and the articles it names."""

    until: datetime
    identity: str
    subject: str
    data: bytes
    shown: frozenset[int]


def _ready(
    connection: sa.Connection, desk: Desk, read: Batch, digest: Digest, subscriber: int, now: datetime
) -> _Ready:
    """Render a digest within its limit."""
    until = digest.until
    identity = outbox.message_id(read.installation, "digest", subscriber, until, desk.domain)
    if outbox.is_there(connection, identity):  # the clock was set back over an hour that had a digest
        until = now
        identity = outbox.message_id(read.installation, "digest", subscriber, until, desk.domain)
    link = whole_link(desk, read.key, identity) if desk.public_url else ""
    digest = replace(digest, whole=f"aggregator digest replay {reference(identity)} --all", whole_link=link)
    limit = outbox.remembered(connection, "size limit")
    fitting, subject, data = letters.written(desk, digest, identity, now, limit)
    return _Ready(until, identity, subject, data, fitting.shown())


def _put(
    connection: sa.Connection, one: Subscriber, ready: _Ready, covered: Sequence[Covered], last_id: int, now: datetime
) -> int | None:
    """Write a rendered digest down."""
    return outbox.write_down(
        connection,
        kind="digest",
        subscriber_id=one.id,
        address=one.address,
        since=one.since,
        until=ready.until,
        message_id=ready.identity,
        subject=ready.subject,
        body=ready.data,
        now=now,
        after_id=one.after_id,
        last_id=last_id,
        covered=[replace(row, shown=row.article_id in ready.shown) for row in covered],
    )


def reference(message_id: str) -> str:
    """The short name of a mail, for commands and links: twelve characters of its Message-ID."""
    return message_id.partition(".")[2][:12]


def whole_link(desk: Desk, key: str, message_id: str) -> str:
    """A link that shows everything a digest covers; nobody can make one up."""
    name = reference(message_id)
    return f"{desk.public_url}/digest/{name}-{subscribers.sign(key, f'digest:{name}')}"


def _set_aside(desk: Desk, one: Subscriber, reason: str, now: datetime) -> None:
    """A subscriber whose digest cannot be written is paused, and the operator told."""
    with desk.archive.writing(durable=True) as connection:
        subscribers.set_state(connection, one.id, PAUSED, reason)
        tell_operator(connection, desk, f"{one.address} is paused", reason, f"{one.id}:{reason}", now)


# --- sending ----------------------------------------------------------------------------------------------------


def send_due(desk: Desk, now: datetime, done: Delivered | None = None, only: int | None = None) -> Delivered:
    """Send what waits in the outbox, or one mail; returns at once when another process is sending."""
    done = done or Delivered()
    if desk.server is None:
        done.notes.append("no mail server is set (AGGREGATOR_SMTP_URL); mails wait in the outbox")
        return done
    with desk.archive.reading() as connection:
        trouble = outbox.remembered(connection, "trouble") or {}
        if not outbox.anything(connection, now):
            return done
    if only is None and trouble and datetime.fromisoformat(trouble["until"]) > now:
        return done
    try:
        with desk.archive.lock("sending mail", "mail"):
            _recover(desk, now, done)
            _send_all(desk, now, done, only)
    except ArchiveBusy:
        done.notes.append("another process is sending")
    return done


def _recover(desk: Desk, now: datetime, done: Delivered) -> None:
    """Mails that were on their way when a process died."""
    with desk.archive.writing(durable=True) as connection:
        for one in outbox.interrupted(connection, now, alone=True):
            again = None if desk.at_most_once else now
            what = "not repeated (at most once)" if desk.at_most_once else "sent again with the same Message-ID"
            outbox.lost(connection, one, now, again, "interrupted", f"the process ended while sending; {what}")
            told = done.notes if desk.at_most_once else done.mended
            told.append(f"sending {reference(one.message_id)} to {one.address} was interrupted; {what}")


def _send_all(desk: Desk, now: datetime, done: Delivered, only: int | None) -> None:
    """Connections one after the other until nothing is due, or the server is in trouble."""
    troubles = 0
    while troubles < TROUBLES and not desk.stopped():
        before = len(done.outcomes)
        try:
            again = _one_connection(desk, now, done, only)
        except mail.ServerError as error:
            _trouble(desk, now, str(error), done)
            return
        if not again:
            return
        troubles = 0 if any(what == Result.SENT for _mail, what in done.outcomes[before:]) else troubles + 1
    if troubles:
        _trouble(desk, now, "the mail server keeps closing the connection", done)


def _one_connection(desk: Desk, now: datetime, done: Delivered, only: int | None) -> bool:
    """Send over one connection; True when it is spent and more may wait."""
    server = desk.server
    if server is None or not _any_due(desk, now, only):
        return False
    sender = mail.sender(desk.sender)[1]
    with mail.Session.open(server, desk.patience, desk.stopped) as session:
        succeeded = False
        while not desk.stopped():
            with desk.archive.writing(durable=True) as connection:
                one = outbox.claim(connection, now, only)
                data = outbox.body(connection, one.id) if one else b""
            if one is None:
                break
            try:
                outcome = session.send(sender, one.address, data)
            except mail.ServerError as error:
                with desk.archive.writing(durable=True) as connection:
                    outbox.later(connection, one, desk.clock(), now, "temporary", str(error))
                done.outcomes.append((one, Result.TEMPORARY))
                raise
            _mark(desk, one, outcome, now, done, at_once=succeeded and not outcome.usable, limit=session.size_limit)
            succeeded = succeeded or outcome.result is Result.SENT
            if not outcome.usable:
                return True
            if only is not None:
                break
    if done.count(Result.SENT):
        with desk.archive.writing() as connection:
            if outbox.remembered(connection, "trouble"):
                outbox.remember(connection, "trouble", None)
    return False


def _any_due(desk: Desk, now: datetime, only: int | None) -> bool:
    with desk.archive.reading() as connection:
        if only is not None:
            one = outbox.get(connection, only)
            return one is not None and one.state == outbox.PENDING and one.next_try <= now
        return outbox.pending(connection, now)


def _trouble(desk: Desk, now: datetime, error: str, done: Delivered) -> None:
    """Leave the server alone for a while, twice as long each time; said once, not for each subscriber."""
    with desk.archive.writing() as connection:
        before = outbox.remembered(connection, "trouble") or {"times": 0, "error": ""}
        times = before["times"] + 1
        until = now + _wait(times)
        outbox.remember(connection, "trouble", {"times": times, "until": until.isoformat(), "error": error})
    done.notes.append(f"{error}; tried again after {until:%H:%M} UTC")


def _wait(times: int) -> timedelta:
    """One, two, four ... minutes, an hour at most."""
    return min(timedelta(minutes=2 ** min(times - 1, 10)), LONGEST_WAIT)


def _mark(
    desk: Desk, one: Mail, outcome: Outcome, now: datetime, done: Delivered, *, at_once: bool, limit: int | None
) -> None:
    """Write down what became of a mail."""
    at, reply = desk.clock(), outcome.reply
    what: str = outcome.result
    with desk.archive.writing(durable=True) as connection:
        match outcome.result:
            case Result.SENT:
                outbox.sent(connection, one, at, reply)
            case Result.UNKNOWN:
                once_more = not desk.at_most_once and one.lost < REPEATS
                outbox.lost(connection, one, at, now + _wait(one.tries) if once_more else None, "unknown", reply)
                if not once_more:
                    tell_operator(
                        connection, desk, f"a mail to {one.address} may not have arrived", reply, f"lost:{one.id}", now
                    )
            case Result.TEMPORARY if now - one.created < GIVE_UP:
                outbox.later(connection, one, at, now if at_once else now + _wait(one.tries), "temporary", reply)
            case Result.TEMPORARY:
                what = "given up"
                outbox.failed(connection, one, at, what, f"not delivered within a day: {reply}")
                _take_back(connection, one)
                tell_operator(connection, desk, f"a mail to {one.address} was given up", reply, f"day:{one.id}", now)
            case Result.TOO_LARGE:
                _too_large(connection, desk, one, outcome, now, limit)
            case Result.PERMANENT:
                _refused(connection, desk, one, reply, now)
    done.outcomes.append((one, what))
    if outcome.result not in (Result.SENT, Result.TEMPORARY):
        done.notes.append(f"mail {reference(one.message_id)} to {one.address}: {what}: {reply}")


def _take_back(connection: sa.Connection, one: Mail) -> None:
    if one.kind == "digest" and one.subscriber_id is not None:
        subscribers.take_back(connection, one.subscriber_id, one.since, one.after_id)


def _refused(connection: sa.Connection, desk: Desk, one: Mail, reply: str, now: datetime) -> None:
    """A permanent no: no further mails to this subscriber until the operator resumes it."""
    outbox.failed(connection, one, desk.clock(), "permanent", reply)
    _take_back(connection, one)
    if one.subscriber_id is not None and one.kind != "notice":
        subscribers.set_state(connection, one.subscriber_id, PAUSED, f"the mail server refused: {reply}")
        words = f"{reply}\n`aggregator subscribers resume {one.address}` sends again, the missed time included."
        tell_operator(connection, desk, f"{one.address} is paused", words, f"refused:{one.id}", now)


def _too_large(
    connection: sa.Connection, desk: Desk, one: Mail, outcome: Outcome, now: datetime, limit: int | None
) -> None:
    """Write a shorter digest at once; a mail that cannot be shorter is a permanent no."""
    size = len(outbox.body(connection, one.id))
    before = outbox.remembered(connection, "size limit")
    shorter = limit or size // 2
    if one.kind != "digest" or one.subscriber_id is None or (before is not None and before <= shorter):
        _refused(connection, desk, one, outcome.reply, now)
        return
    outbox.remember(connection, "size limit", shorter)
    outbox.failed(connection, one, desk.clock(), "too large", outcome.reply)
    _take_back(connection, one)
    subscribers.due_again(connection, one.subscriber_id, one.since)


def tell_operator(connection: sa.Connection, desk: Desk, what: str, text: str, key: str, now: datetime) -> None:
    """A note to the operator through the same outbox; the same one never twice, and none about a note."""
    if desk.operator is None:
        return
    identity = outbox.message_id(
        subscribers.made_up(connection, "installation"), "notice", key, now.replace(minute=0, second=0, microsecond=0),
        desk.domain,
    )  # fmt: skip
    with suppress(MailError, UsageError):
        to = mail.address(desk.operator)
        rendered = desk.renderer.letter("notice", "en", "UTC", what=what, text=text, **NO_LINKS)
        data = letters.letter(desk, to, "en", identity, now, rendered)
        outbox.write_down(
            connection, kind="notice", subscriber_id=None, address=to, since=now, until=now, message_id=identity,
            subject=rendered[0], body=data, now=now,
        )  # fmt: skip


NO_LINKS = {"link": "", "unsubscribe_link": "", "unsubscribe_mail": ""}
