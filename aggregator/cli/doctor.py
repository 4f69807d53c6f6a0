"""`doctor`: look at the whole set-up and say what to do about each finding."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import click

from aggregator.addresses import masked
from aggregator.app import App
from aggregator.cli import surroundings
from aggregator.cli.surroundings import Finding, Standing
from aggregator.errors import AggregatorError

LATE = 600.0
"""Seconds for which a job may wait before the workers are too few, or stuck."""

_MARKS = {Standing.FINE: ("ok", "green"), Standing.NOTE: ("note", "cyan"), Standing.TROUBLE: ("see", "yellow")}


@click.command(epilog="Examples:\n\n  aggregator doctor\n\n  aggregator doctor --format json")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", help="How to print.")
@click.pass_obj
def doctor(app: App, form: str) -> None:
    """Check configuration, archive, disk, clock, DNS, feeds, mail server, fonts and libraries.

    Each finding says what to do about it. Exit status 1 when something needs doing; notes need nothing at once.
    """
    found = []
    for finding in findings(app):
        found.append(finding)
        if form == "table":
            word, colour = _MARKS[finding.standing]
            click.echo(click.style(f"{word:<5}", fg=colour) + f"{finding.subject:<14} {finding.sentence}")
    if form == "json":
        click.echo(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=2))
    if troubles := sum(one.standing is Standing.TROUBLE for one in found):
        click.echo(f"aggregator: {troubles} findings need doing something", err=True)
        sys.exit(1)


def findings(app: App) -> Iterator[Finding]:
    """Every look in turn; one that fails is a finding itself."""
    looks: dict[str, Callable[[App], Iterator[Finding]]] = {
        "configuration": _configuration,
        "archive": _archive,
        "workers": _workers,
        "disk": _disk,
        "clock": surroundings.clock,
        "names": surroundings.names,
        "feeds": _feeds,
        "mail": surroundings.mail_server,
        "fonts": surroundings.fonts,
        "libraries": surroundings.libraries,
    }
    for subject, look in looks.items():
        try:
            yield from look(app)
        except AggregatorError as error:
            yield Finding(subject, Standing.TROUBLE, str(error).partition("\n")[0])
        except Exception as error:  # noqa: BLE001 - a look that fails must not hide the others
            yield Finding(subject, Standing.TROUBLE, f"could not be looked at: {type(error).__name__}: {error}")


def _configuration(app: App) -> Iterator[Finding]:
    settings = app.settings
    yield Finding("configuration", Standing.FINE, f"{settings.path}: {len(settings.feeds)} feeds")
    for warning in settings.warnings:
        yield Finding("configuration", Standing.TROUBLE, warning)
    if not settings.feeds:
        yield Finding("feeds", Standing.TROUBLE, "there are none; `aggregator feeds add URL` adds one")
    needing = [feed.id for feed in settings.feeds if not feed.urls]
    if needing:
        sentence = f"{len(needing)} wait for an RSSHub instance ({', '.join(needing)}): name yours at network.rsshub"
        yield Finding("feeds", Standing.NOTE, sentence)
    if not settings.contact:
        sentence = "none in feeds.yaml; outlets cannot tell who is asking: write `contact:` with an address of yours"
        yield Finding("contact", Standing.NOTE, sentence)


def _archive(app: App) -> Iterator[Finding]:
    from sqlalchemy import func, select

    from aggregator.store.schema import article

    if not surroundings.has_archive(app):
        yield Finding("archive", Standing.FINE, f"{masked(app.url)} is not there yet; the first poll makes it")
        return
    archive = app.archive()
    with archive.reading() as connection:
        count = connection.scalar(select(func.count()).select_from(article))
        quick = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() if archive.path else "ok"
    if quick != "ok":
        sentence = f"{archive.name} is damaged ({' '.join(str(quick).split())}); `aggregator archive check` says more, restore a backup"
        yield Finding("archive", Standing.TROUBLE, sentence)
        return
    sentence = f"{archive.name}: {count} articles, schema {archive.version()}, {archive.size() / 1e6:,.1f} MB"
    yield Finding("archive", Standing.FINE, sentence)


def _workers(app: App) -> Iterator[Finding]:
    """On PostgreSQL: who works, and whether work is left lying."""
    from aggregator.store.workers import workers

    if "://" not in app.url or not surroundings.has_archive(app):
        return
    with app.archive().reading() as connection:
        found = workers(connection)
    if found is None:
        yield Finding("workers", Standing.NOTE, "none has worked on this archive yet; `aggregator run` is one")
        return
    sentence = f"{found.alive} alive, {found.doing} jobs in hand, {found.waiting} waiting"
    if found.alive == 0:
        yield Finding("workers", Standing.TROUBLE, f"{sentence}: nothing is polled; start `aggregator run`")
    elif found.oldest > LATE:
        sentence += f", the oldest for {found.oldest / 60:.0f} minutes: start another worker, or look into the log"
        yield Finding("workers", Standing.TROUBLE, sentence)
    else:
        yield Finding("workers", Standing.FINE, sentence)


def _disk(app: App) -> Iterator[Finding]:
    import shutil

    from aggregator.alerts import LOW

    if "://" in app.url:
        return
    folder = Path(app.url).expanduser().absolute().parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free > LOW:
        yield Finding("disk", Standing.FINE, f"{free / 1e9:,.1f} GB free at {folder}")
        return
    sentence = f"{free / 1e6:,.0f} MB free at {folder}: make room, polling stops when it is full"
    yield Finding("disk", Standing.TROUBLE, sentence)


def _feeds(app: App) -> Iterator[Finding]:
    from aggregator.app import now
    from aggregator.store import feeds
    from aggregator.verdict import Standing as Verdicts
    from aggregator.verdict import verdict

    if not surroundings.has_archive(app):
        return
    with app.archive().reading() as connection:
        states = feeds.states(connection)
    well = 0
    quiet = {Verdicts.FINE, Verdicts.UNTRIED, Verdicts.NEEDS}
    for feed in app.settings.feeds:
        found = verdict(feed, states.get(feed.id), now())
        if found.standing in quiet:
            well += found.standing is Verdicts.FINE
            continue
        bad = {Verdicts.GONE, Verdicts.FAILING, Verdicts.CHALLENGE, Verdicts.FROZEN, Verdicts.EMPTY}
        yield Finding(feed.id, Standing.TROUBLE if found.standing in bad else Standing.NOTE, _advice(feed.id, found))
    if well:
        yield Finding("feeds", Standing.FINE, f"{well} are well")


def _advice(feed: str, found: object) -> str:
    text = str(getattr(found, "text", "")).rstrip(".")
    return text if ";" in text else f"{text}; `aggregator feeds check {feed}` tries it now"
