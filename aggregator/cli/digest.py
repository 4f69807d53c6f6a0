"""`digest`: preview, send, and look back."""

from __future__ import annotations

import sys
from datetime import datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aggregator.cli import complete
from aggregator.cli.filters import ending, starting
from aggregator.cli.subscribers import LANGUAGE, TIMEZONE, found, opened, wants_of, wants_options, zone_of
from aggregator.errors import UsageError

if TYPE_CHECKING:
    from aggregator.app import App
    from aggregator.delivery import Delivered
    from aggregator.letters import Desk
    from aggregator.store.outbox import Mail
    from aggregator.store.subscribers import Subscriber, Wants

OUT = click.option("--out", metavar="FILE", help="Write FILE.html, FILE.txt or FILE.eml instead of printing the text.")
FORMAT = click.option("--format", "form", type=click.Choice(["table", "json", "jsonl", "csv"]), default="table")


@click.group()
def digest() -> None:
    """Preview, send and look back at digest e-mails."""


@digest.command(
    epilog="Examples:\n\n  aggregator digest preview --agreement glasgow-2021 --since 7d --out today.html"
    "\n\n  aggregator digest preview desk@example.org --out today.eml"
)
@click.argument("address", shell_complete=complete.addresses, required=False)
@wants_options
@LANGUAGE
@TIMEZONE
@click.option("--since", metavar="DATE", help="The period's start: 2023-11-01, 7d. Default: since the last digest.")
@click.option("--until", metavar="DATE", help="Its last day: 2023-11-30, 2023-11. Default: now.")
@click.option("--all", "everything", is_flag=True, help="Without the size limit of a mail.")
@OUT
@click.pass_obj
def preview(
    app: App, address: str | None, agreement: tuple[str, ...], clause: tuple[str, ...], outlet: tuple[str, ...],
    lang: str | None, query: str, language: str, timezone: str | None, since: str | None, until: str | None,
    out: str | None, *, everything: bool,
) -> None:  # fmt: skip
    """Show the digest that a subscriber, or somebody with these wishes, would get now or for any period.

    Nothing is sent or remembered. For a period of the past, articles published in it count too.
    """
    from dataclasses import replace

    from aggregator import preview as looking

    wants = wants_of(app, agreement, clause, outlet, lang, query)
    zone = zone_of(app, timezone)
    with opened(app) as usual:
        now = usual.clock()
        desk = replace(usual, limit=1 << 40) if everything else usual
        with desk.archive.reading() as connection:
            one = found(connection, address) if address else _anybody(connection, wants, language, zone, now)
        _value, _subject, data = looking.preview(desk, one, now, starting(since, now), ending(until, now))
    _show(data, out)


def _anybody(connection: Any, wants: Wants, language: str, zone: str, now: datetime) -> Subscriber:
    """A reader with these wishes, since yesterday's 08:00 at the latest."""
    from aggregator import schedule
    from aggregator.store import subscribers as store

    plan = schedule.read("daily 08:00")
    since = schedule.last_until(plan, zone, schedule.last_until(plan, zone, now) - (now - now).resolution)
    after = store.last_before(connection, since)
    address = "reader@localhost"
    return store.Subscriber(
        0, address, plan.text, zone, language, wants, True, "active", "", "", now, since, since, after
    )  # fmt: skip


def _show(data: bytes, out: str | None) -> None:
    """Print a mail's text, or write the part that a file's name asks for."""
    from aggregator import files

    if out is None or out == "-":
        click.echo(_part(data, "plain"), nl=False)
        return
    suffix = Path(out).suffix.lower()
    if suffix not in (".html", ".htm", ".txt", ".eml"):
        raise UsageError(f"{out}: end its name in .html, .txt or .eml, so that it is clear what to write")
    content = data if suffix == ".eml" else _part(data, "plain" if suffix == ".txt" else "html").encode()
    files.write(Path(out), content)
    click.echo(f"{out} written ({len(content):,} bytes)", err=True)


def _part(data: bytes, subtype: str) -> str:
    body = message_from_bytes(data, policy=policy.default).get_body((subtype,))
    return str(body.get_content()) if body is not None else ""


@digest.command(
    epilog="Examples:\n\n  aggregator digest send --test me@example.org\n\n  aggregator digest send --dry-run"
)
@click.argument("address", shell_complete=complete.addresses, required=False)
@click.option("--now", "at_once", is_flag=True, help="Whatever the hour: everybody, or ADDRESS alone.")
@click.option("--dry-run", is_flag=True, help="Say who would get what, and send nothing.")
@click.option("--test", metavar="ADDRESS", help="Send one test mail to this address.")
@click.option("--again", metavar="ID", help="Send this mail of the history once more, with its Message-ID.")
@LANGUAGE
@FORMAT
@click.pass_obj
def send(
    app: App, address: str | None, test: str | None, again: str | None, language: str, form: str, *,
    at_once: bool, dry_run: bool,
) -> None:  # fmt: skip
    """Send the digests that are due, and what waits in the outbox. The daemon does the same at every tick.

    Exit status 1 when the mail server could not be used or a mail was refused.
    """
    with opened(app) as desk:
        if test is not None:
            _test(desk, test, language)
        elif dry_run:
            _dry_run(desk, address, form, at_once=at_once)
        else:
            _send(desk, address, again, form, at_once=at_once)


def _test(desk: Desk, address: str, language: str) -> None:
    from aggregator import subscribing
    from aggregator.errors import MailError
    from aggregator.mail import Result

    outcome = subscribing.test_mail(desk, address, language, desk.clock())
    if outcome.result is not Result.SENT:
        raise MailError(f"{address}: {outcome.result.value}: {outcome.reply}")
    click.echo(f"sent to {address} from {desk.sender}: {outcome.reply}")


def _dry_run(desk: Desk, address: str | None, form: str, *, at_once: bool) -> None:
    from aggregator import delivery
    from aggregator import preview as looking
    from aggregator.cli import output
    from aggregator.store import subscribers as store

    now = desk.clock()
    with desk.archive.reading() as connection:
        everyone = [found(connection, address)] if address else store.every(connection, store.ACTIVE)
    rows = []
    for one in everyone:
        if at_once or delivery.due_slot(one, now) is not None:
            value, subject, data = looking.preview(desk, one, now)
            goes = bool(value.articles or value.changes or one.empty)
            row = {"address": one.address, "since": f"{one.since:%Y-%m-%d %H:%M}", "articles": value.articles}
            rows.append(row | {"sent": goes, "bytes": len(data), "subject": subject})
    output.rows(rows, form)


def _send(desk: Desk, address: str | None, again: str | None, form: str, *, at_once: bool) -> None:
    from aggregator import delivery
    from aggregator.store import outbox
    from aggregator.store import subscribers as store

    now = desk.clock()
    if again is not None:
        with desk.archive.writing(durable=True) as connection:
            outbox.again(connection, _mail(connection, again), now)
    with desk.archive.reading() as connection:
        everyone = [found(connection, address)] if address else store.every(connection, store.ACTIVE)
    early = frozenset(one.address for one in everyone) if at_once else frozenset()
    done = delivery.write_due(desk, now, early=early)
    delivery.send_due(desk, now, done)
    _report(done, form)


def _report(done: Delivered, form: str) -> None:
    from aggregator.cli import output

    rows = [
        {"id": one.id, "address": one.address, "kind": one.kind, "result": str(what), "subject": one.subject}
        for one, what in done.outcomes
    ]
    output.rows(rows, form)
    for note in (*done.mended, *done.notes):
        click.echo(f"aggregator: {output.line(note)}", err=True)
    if done.notes or any(row["result"] != "sent" for row in rows):
        sys.exit(1)


@digest.command()
@click.argument("address", shell_complete=complete.addresses, required=False)
@click.option("--limit", type=click.IntRange(min=1), default=20, metavar="N")
@FORMAT
@click.pass_obj
def history(app: App, address: str | None, limit: int, form: str) -> None:
    """List the mails that were written, newest first, and what became of them."""
    from aggregator.cli import output
    from aggregator.store import outbox

    with app.archive().reading() as connection:
        one = found(connection, address) if address else None
        mails = outbox.history(connection, limit=limit, subscriber_id=one.id if one else None)
    rows = [_row(each) for each in mails]
    if form == "table":  # what fits a screen; programs get the rest too
        rows = [{name: value for name, value in row.items() if name not in _WIDE} for row in rows]
    output.rows(rows, form)


_WIDE = ("kind", "since", "tries", "message_id", "error")


def _row(one: Mail) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "address": one.address,
        "since": f"{one.since:%Y-%m-%d %H:%M}",
        "until": f"{one.until:%Y-%m-%d %H:%M}",
        "articles": one.articles,
        "state": one.state,
        "tries": one.tries,
        "sent": one.sent and f"{one.sent:%Y-%m-%d %H:%M}",
        "message_id": one.message_id,
        "subject": one.subject,
        "error": one.error,
    }


@digest.command()
@click.argument("identity", metavar="ID")
@click.option("--all", "everything", is_flag=True, help="Everything it covers, without the size limit of a mail.")
@click.option("--events", is_flag=True, help="What happened to it, in order.")
@OUT
@click.pass_obj
def replay(app: App, identity: str, out: str | None, *, everything: bool, events: bool) -> None:
    """Show a mail as it was sent, byte for byte in an .eml file."""
    from aggregator.store import outbox

    with opened(app) as desk:
        with desk.archive.reading() as connection:
            one = _mail(connection, identity)
            data = outbox.body(connection, one.id)
            lines = outbox.happened(connection, one.id) if events else []
        if everything:
            data = _whole(desk, one)
    if events:
        for at, what, detail in lines:
            click.echo(f"{at:%Y-%m-%d %H:%M:%S} UTC  {what}  {detail}".rstrip())
        return
    _show(data, out)


def _whole(desk: Desk, one: Mail) -> bytes:
    from dataclasses import replace

    from aggregator import letters
    from aggregator import preview as looking

    wide = replace(desk, limit=1 << 40)
    return letters.written(wide, looking.whole(desk, one), one.message_id, one.created)[2]


@digest.command()
@click.argument("identity", metavar="ID")
@click.argument("article", type=int)
@click.pass_obj
def why(app: App, identity: str, article: int) -> None:
    """Say why an article was or was not in a digest."""
    from aggregator import preview as looking

    with opened(app) as desk:
        with desk.archive.reading() as connection:
            one = _mail(connection, identity)
        click.echo(looking.why(desk, one, article, desk.clock()))


def _mail(connection: Any, identity: str) -> Mail:
    from aggregator.store import outbox

    one = outbox.named(connection, identity)
    if one is None:
        raise UsageError(f"there is no mail {identity}; `aggregator digest history` lists them")
    return one
