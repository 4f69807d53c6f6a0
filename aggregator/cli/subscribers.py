"""`subscribers`: who gets digests, and of what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from aggregator.cli import complete
from aggregator.errors import UsageError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from aggregator.app import App
    from aggregator.letters import Desk
    from aggregator.store.subscribers import Subscriber, Wants

WANTS = (
    click.option(
        "--agreement",
        multiple=True,
        shell_complete=complete.agreements,
        metavar="ID",
        help="Articles that name or discuss this agreement.",
    ),
    click.option(
        "--clause",
        multiple=True,
        shell_complete=complete.clauses,
        metavar="ID",
        help="Articles that discuss this clause: glasgow-2021/3.",
    ),
    click.option("--outlet", multiple=True, shell_complete=complete.outlets, metavar="NAME", help="Only this outlet."),
    click.option("--lang", type=click.Choice(["zh", "en"]), help="Only articles in this language."),
    click.option(
        "--query",
        default="",
        metavar="QUERY",
        help="Only articles that `search QUERY` would find; saved:NAME follows what is saved.",
    ),
)
LANGUAGE = click.option("--language", type=click.Choice(["zh", "en"]), default="en", help="The mail's own language.")
TIMEZONE = click.option("--timezone", metavar="ZONE", help="Where the schedule's hours count, such as Asia/Shanghai.")


def wants_options(command: Any) -> Any:
    """Add the options that say what is wanted."""
    for option in reversed(WANTS):
        command = option(command)
    return command


def wants_of(
    app: App,
    agreement: tuple[str, ...],
    clause: tuple[str, ...],
    outlet: tuple[str, ...],
    lang: str | None,
    query: str,
) -> Wants:
    """What the options say; raises UsageError for an agreement or clause that the catalogue does not have."""
    from aggregator import catalogue
    from aggregator.store.subscribers import Wants

    if agreement or clause:
        known = catalogue.load(app.settings.agreements)
        _check(agreement, [one.id for one in known.agreements], "agreement")
        _check(clause, [one.id for each in known.agreements for one in each.clauses], "clause")
    return Wants(agreement, clause, outlet, lang, query)


def _check(given: tuple[str, ...], known: list[str], kind: str) -> None:
    from difflib import get_close_matches

    for one in given:
        if one not in known:
            near = get_close_matches(one, known, 1)
            hint = f"did you mean {near[0]}?" if near else "`aggregator agreements list` names them"
            raise UsageError(f"there is no {kind} {one!r}; {hint}")


def zone_of(app: App, name: str | None) -> str:
    """A time zone's name, checked; the one of feeds.yaml where none is given."""
    from zoneinfo import ZoneInfo

    chosen = name or app.settings.timezone
    try:
        ZoneInfo(chosen)
    except (OSError, ValueError, KeyError):
        raise UsageError(f"{chosen!r} is no time zone; write a name such as Asia/Shanghai") from None
    return chosen


@contextmanager
def opened(app: App) -> Iterator[Desk]:
    """The desk on an open archive; it is made or upgraded first."""
    archive = app.archive(write=True)
    try:
        yield app.desk(archive)
    finally:
        archive.close()


def found(connection: sa.Connection, address: str) -> Subscriber:
    """The subscriber of an address (or number); raises UsageError when there is none."""
    from aggregator.store import subscribers as store

    one = store.get(connection, int(address)) if address.isascii() and address.isdigit() else None
    one = one or store.find(connection, address.strip())
    if one is None:
        raise UsageError(f"{address} is not subscribed; `aggregator subscribers list` shows who is")
    return one


@click.group()
def subscribers() -> None:
    """Add, list, pause, resume and remove readers of the digest."""


@subscribers.command(
    epilog='Examples:\n\n  aggregator subscribers add desk@example.org --schedule "weekdays 07:30"'
    " --timezone Asia/Shanghai --language zh --agreement glasgow-2021"
    "\n\n  aggregator subscribers add methane@example.org --query saved:methane"
)
@click.argument("address", shell_complete=complete.addresses)
@click.option(
    "--schedule", default="daily 08:00", metavar="WHEN",
    help="'daily 08:00', 'weekdays 07:30', 'weekly mon 08:00', or five fields of cron.",
)  # fmt: skip
@TIMEZONE
@LANGUAGE
@wants_options
@click.option("--empty", is_flag=True, help="Send a mail even when nothing was written.")
@click.pass_obj
def add(
    app: App, address: str, schedule: str, timezone: str | None, language: str, agreement: tuple[str, ...],
    clause: tuple[str, ...], outlet: tuple[str, ...], lang: str | None, query: str, *, empty: bool,
) -> None:  # fmt: skip
    """Subscribe an address. A mail of welcome goes out with the next round of sending.

    Without filters everything is sent. The first digest covers the time since the schedule's last hour.
    """
    from aggregator import schedule as plan
    from aggregator import subscribing

    zone = zone_of(app, timezone)
    wants = wants_of(app, agreement, clause, outlet, lang, query)
    with opened(app) as desk:
        now = desk.clock()
        one = subscribing.subscribe(desk, address, schedule, zone, language, wants, now, empty=empty)
        first = plan.next_after(plan.read(one.schedule), zone, now)
        waiting = "" if one.state == "active" else "; waits for the reader to confirm"
        click.echo(
            f"{one.address} is subscribed: {one.schedule} ({zone}), first digest {_local(first, zone)}{waiting}"
        )
        if not any((agreement, clause, outlet, lang, query)):
            click.echo("aggregator: without filters everything is sent; --agreement or --clause narrow it", err=True)
        if desk.server is None:
            click.echo("aggregator: no mail is sent until AGGREGATOR_SMTP_URL names a mail server", err=True)


def _local(instant: Any, zone: str) -> str:
    from zoneinfo import ZoneInfo

    return f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


@subscribers.command(name="list")
@click.option("--format", "form", type=click.Choice(["table", "json", "jsonl", "csv"]), default="table")
@click.pass_obj
def list_(app: App, form: str) -> None:
    """List the subscribers: what they want, when, and how they stand."""
    from aggregator.cli import output
    from aggregator.store import subscribers as store

    with app.archive().reading() as connection:
        everyone = store.every(connection)
    output.rows([_row(one) for one in everyone], form)


def _row(one: Subscriber) -> dict[str, Any]:
    wants = one.wants
    asked = [*wants.agreements, *wants.clauses, *wants.outlets, *filter(None, (wants.lang, wants.query))]
    return {
        "id": one.id,
        "address": one.address,
        "state": one.state,
        "schedule": one.schedule,
        "timezone": one.timezone,
        "language": one.language,
        "wants": asked,
        "since": _local(one.since, one.timezone),
        "reason": one.reason,
    }


@subscribers.command()
@click.argument("address", shell_complete=complete.addresses)
@click.pass_obj
def pause(app: App, address: str) -> None:
    """Send nothing to an address until it is resumed."""
    from aggregator.store import outbox
    from aggregator.store import subscribers as store

    with opened(app) as desk, desk.archive.writing(durable=True) as connection:
        one = found(connection, address)
        store.set_state(connection, one.id, store.PAUSED, "by the operator")
        outbox.withdraw(connection, one.id, desk.clock(), "paused by the operator")
    click.echo(f"{one.address} is paused")


@subscribers.command()
@click.argument("address", shell_complete=complete.addresses, required=False)
@click.option("--all", "everyone", is_flag=True, help="Everybody who is paused.")
@click.pass_obj
def resume(app: App, address: str | None, *, everyone: bool) -> None:
    """Send digests again; the next one covers the time since the last that arrived."""
    from aggregator import subscribing
    from aggregator.store import subscribers as store

    if bool(address) == everyone:
        raise UsageError("name one address, or say --all")
    with opened(app) as desk:
        with desk.archive.reading() as connection:
            chosen = [found(connection, address)] if address else store.every(connection, store.PAUSED)
        for one in chosen:
            subscribing.resume(desk, one, desk.clock())
            click.echo(f"{one.address} is active")


@subscribers.command()
@click.argument("address", shell_complete=complete.addresses)
@click.pass_obj
def remove(app: App, address: str) -> None:
    """Forget an address and every mail to it."""
    from aggregator.store import subscribers as store

    with opened(app) as desk, desk.archive.writing() as connection:
        one = found(connection, address)
        store.remove(connection, one.id)
    click.echo(f"{one.address} is removed")


@subscribers.command()
@click.argument("token")
@click.pass_obj
def unsubscribe(app: App, token: str) -> None:
    """End a subscription by the token in a reader's mail."""
    from aggregator import opt_out

    with opened(app) as desk:
        one = opt_out.unsubscribe(desk, token)
    if one is None:
        raise UsageError(
            "this token belongs to no subscriber; copy it whole, such as 12-0f3a…, from the reader's mail"
        )
    click.echo(f"{one.address} gets no more digests")


@subscribers.command()
@click.argument("token")
@click.pass_obj
def confirm(app: App, token: str) -> None:
    """Confirm a subscription by the token in a reader's answer."""
    from aggregator import subscribing

    with opened(app) as desk:
        one = subscribing.confirm(desk, token, desk.clock())
    if one is None:
        raise UsageError("this token belongs to no subscriber; copy it whole from the reader's mail")
    click.echo(f"{one.address} is {'active' if one.state == 'unconfirmed' else one.state}")
