"""`doctor`: look at the whole set-up and say what to do about each finding."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from aggregator.app import App
from aggregator.errors import AggregatorError

LOW = 1_000_000_000
"""Bytes free below which an operator is warned: some months of the default feeds."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One look: what was looked at, whether it is well, and a sentence."""

    subject: str
    well: bool
    sentence: str


@click.command(epilog="Example:\n\n  aggregator doctor")
@click.pass_obj
def doctor(app: App) -> None:
    """Check configuration, archive, disk, libraries and feeds, and say what to do about each finding.

    Exit status 1 when something needs doing.
    """
    troubles = 0
    for finding in findings(app):
        mark = click.style("ok  ", fg="green") if finding.well else click.style("see ", fg="yellow")
        click.echo(f"{mark}{finding.subject:<14}{finding.sentence}")
        troubles += not finding.well
    if troubles:
        click.echo(f"aggregator: {troubles} findings", err=True)
        sys.exit(1)


def findings(app: App) -> Iterator[Finding]:
    """Every look in turn; one that fails is a finding itself."""
    looks: list[tuple[str, Callable[[App], Iterator[Finding]]]] = [
        ("configuration", _configuration),
        ("archive", _archive),
        ("disk", _disk),
        ("libraries", _libraries),
        ("feeds", _feeds),
    ]
    for subject, look in looks:
        try:
            yield from look(app)
        except AggregatorError as error:
            yield Finding(subject, well=False, sentence=str(error))


def _configuration(app: App) -> Iterator[Finding]:
    settings = app.settings
    yield Finding("configuration", well=True, sentence=f"{settings.path}: {len(settings.feeds)} feeds")
    for warning in settings.warnings:
        yield Finding("configuration", well=False, sentence=warning)
    needing = [feed.id for feed in settings.feeds if not feed.urls]
    if needing:
        yield Finding(
            "feeds",
            well=True,
            sentence=f"{len(needing)} wait for an RSSHub instance ({', '.join(needing)}): name yours under network.rsshub",
        )
    if not settings.contact:
        yield Finding("contact", well=False, sentence="no contact: in feeds.yaml; outlets cannot tell who is asking")


def _archive(app: App) -> Iterator[Finding]:
    from sqlalchemy import func, select

    from aggregator.store.schema import article

    if "://" not in app.url and not Path(app.url).expanduser().exists():
        yield Finding("archive", well=True, sentence=f"{app.url} is not there yet; the first poll makes it")
        return
    archive = app.archive()
    with archive.reading() as connection:
        count = connection.scalar(select(func.count()).select_from(article))
    yield Finding("archive", well=True, sentence=f"{archive.name}: {count} articles, schema {archive.version()}")


def _disk(app: App) -> Iterator[Finding]:
    if "://" in app.url:
        return
    folder = Path(app.url).expanduser().absolute().parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    enough = free > LOW
    advice = "" if enough else "; less than 1 GB: make room, or polling stops when it is full"
    yield Finding("disk", well=enough, sentence=f"{free / 1e9:.1f} GB free at {folder}{advice}")


def _libraries(_app: App) -> Iterator[Finding]:
    """Versions with known faults (SQLite's WAL-reset bug before 3.51.3, expat's before 2.7.2)."""
    import pyexpat
    import sqlite3

    for name, version, least, why in (
        ("SQLite", sqlite3.sqlite_version, (3, 51, 3), "two writers may corrupt a WAL archive; one daemon is safe"),
        (
            "expat",
            pyexpat.EXPAT_VERSION.removeprefix("expat_"),
            (2, 7, 2),
            "small documents may take much memory; feeds are read in a limited child",
        ),
    ):
        numbers = tuple(int(part) for part in version.split("."))
        newest = ".".join(map(str, least))
        if numbers < least:
            yield Finding("libraries", well=True, sentence=f"{name} {version}: {why} (mended in {newest})")


def _feeds(app: App) -> Iterator[Finding]:
    from aggregator.store import feeds

    if "://" not in app.url and not Path(app.url).expanduser().exists():
        return
    with app.archive().reading() as connection:
        states = feeds.states(connection)
    for feed in app.settings.feeds:
        state = states.get(feed.id)
        if state and state.failing_since:
            yield Finding(
                feed.id,
                well=False,
                sentence=f"failing since {state.failing_since:%Y-%m-%d %H:%M} UTC: {state.last_error}",
            )
