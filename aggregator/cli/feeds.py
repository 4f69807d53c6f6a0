"""`feeds`: how every feed stands, and the list of them."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aggregator.cli import complete
from aggregator.errors import AggregatorError, FeedError, SettingsError, UsageError

if TYPE_CHECKING:
    from aggregator.app import App
    from aggregator.model import Document, Feed, FeedState, Fetched

FORMATS = ("table", "json", "jsonl", "csv")
QUIET = ("fine", "untried")
"""Standings of which the word says everything; of the others a sentence stands under the table."""
_format = click.option("--format", "form", type=click.Choice(FORMATS), default="table", help="How to print.")


@click.group()
def feeds() -> None:
    """List, check, add, remove, import and export feeds."""


# --- how they stand -------------------------------------------------------------------------------------------------


@feeds.command("list", epilog="Examples:\n\n  aggregator feeds list\n\n  aggregator feeds list --format json")
@click.argument("feed", shell_complete=complete.feeds, nargs=-1)
@_format
@click.pass_obj
def list_(app: App, feed: tuple[str, ...], form: str) -> None:
    """Show how each feed stands, from what the archive remembers; asks nobody."""
    from aggregator.app import now
    from aggregator.cli.poll import chosen

    at, states = now(), remembered(app)
    _print([row(one, states.get(one.id), at) for one in chosen(app.settings.feeds, feed)], form, at)


@feeds.command(epilog="Examples:\n\n  aggregator feeds check\n\n  aggregator feeds check voa-chinese")
@click.argument("feed", shell_complete=complete.feeds, nargs=-1)
@_format
@click.pass_obj
def check(app: App, feed: tuple[str, ...], form: str) -> None:
    """Ask each feed now, store nothing, and say how it stands. Exit status 1 when one does not answer as a feed."""
    from aggregator.app import now
    from aggregator.cli.poll import chosen

    which, at, states = chosen(app.settings.feeds, feed), now(), remembered(app)
    with asking(app) as ask, ThreadPoolExecutor(max(app.settings.network.parallel, 1)) as pool:
        rows = list(pool.map(lambda one: _checked(one, states.get(one.id), ask, at), which))
    _print(rows, form, at)
    if any(row["error"] for row in rows):
        sys.exit(1)


def _checked(
    feed: Feed, state: FeedState | None, ask: Callable[[Feed, str], Document], at: datetime
) -> dict[str, Any]:
    """A row of `list` with what asking now came to."""
    from aggregator import polite, turn
    from aggregator.model import FeedState, PollReport, PollStatus

    before = state or FeedState(feed.id)
    if not feed.urls:
        return row(feed, state, at) | {"entries": None, "error": None}
    errors: list[FeedError] = []
    for url in turn.addresses(feed, before):
        try:
            document = ask(feed, url)
        except FeedError as error:
            errors.append(error)
            continue
        seen = polite.window([entry.published for entry in document.entries], at)
        outcome = turn.Outcome(PollStatus.OK, url=url, ttl=document.ttl, window=seen)
        report = PollReport(feed.id, PollStatus.OK, unchanged=len(document.entries))
        after = turn.after(feed, before, outcome, report, at)
        # Nothing is compared here: how much was known is what the last poll said.
        asked = {"entries": seen.entries, "error": None, "known": before.extra.get("known")}
        return row(feed, after, at) | asked
    outcome = turn.failure(turn.telling(errors))
    after = turn.after(feed, before, outcome, PollReport(feed.id, outcome.status), at)
    return row(feed, after, at) | {"entries": None, "error": outcome.error}


def row(feed: Feed, state: FeedState | None, at: datetime) -> dict[str, Any]:
    """What is shown of a feed: instants as they are, durations in seconds, shares from 0 to 1."""
    from aggregator.model import FeedState
    from aggregator.verdict import verdict

    found, about = verdict(feed, state, at), state or FeedState(feed.id)
    return {
        "feed": feed.id,
        "standing": found.standing.value,
        "last_success": about.last_success,
        "last_new": about.last_new,
        "next_due": about.next_due,
        "failures": about.failures,
        "interval": (about.interval or feed.interval).total_seconds(),
        "known": about.extra.get("known"),
        "verdict": found.text,
    }


def remembered(app: App) -> Mapping[str, FeedState]:
    """The archive's memory of the feeds; empty where there is no archive yet."""
    from aggregator.store import feeds as store

    if "://" not in app.url and not Path(app.url).expanduser().exists():
        return {}
    with app.archive().reading() as connection:
        return store.states(connection)


def _print(rows: Sequence[Mapping[str, Any]], form: str, at: datetime) -> None:
    from aggregator.cli import output

    if form == "table":
        output.rows([_readable(row, at) for row in rows], form)
        telling = [one for one in rows if one["standing"] not in QUIET]
        for one in telling:
            text = output.line(one["verdict"]).removeprefix(f"{one['standing']}: ")
            click.echo(("\n" if one is telling[0] else "") + f"{one['feed']}: {text}")
        return
    plain = [
        {key: value.isoformat() if isinstance(value, datetime) else value for key, value in one.items()}
        for one in rows
    ]
    output.rows(plain, form)


def _readable(row: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    due, known = row["next_due"], row["known"]
    return {
        "feed": row["feed"],
        "standing": row["standing"],
        "success": ago(row["last_success"], at),
        "new": ago(row["last_new"], at),
        "due": "-" if due is None else "now" if due <= at else f"in {span(due - at)}",
        "fails": row["failures"],
        "every": span(timedelta(seconds=row["interval"])),
        "known": "-" if known is None else f"{known:.0%}",
    }


def ago(instant: datetime | None, at: datetime) -> str:
    """How long before `at`, in one unit."""
    return "never" if instant is None else f"{span(at - instant)} ago"


def span(length: timedelta) -> str:
    """A duration in its largest unit."""
    seconds = max(length.total_seconds(), 0)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size or (seconds >= size and seconds % size < 1):
            return f"{round(seconds / size)}{unit}"
    return f"{round(seconds)}s"


# --- the list of them -----------------------------------------------------------------------------------------------


@feeds.command(
    epilog="Examples:\n\n  aggregator feeds add https://news.example/\n\n  aggregator feeds add rsshub://sina/finance/china"
)
@click.argument("url")
@click.option("--id", "name", metavar="ID", help="Its name in lists; by default made from the address.")
@click.option("--title", help="By default the feed's own.")
@click.option("--outlet", help="Who publishes; by default the title.")
@click.option("--category", multiple=True, help="May be given several times.")
@click.option("--fulltext", is_flag=True, help="Fetch the articles' pages.")
@click.option("--unchecked", is_flag=True, help="Add it without asking whether a feed is there.")
@click.pass_obj
def add(app: App, /, url: str, name: str | None, category: tuple[str, ...], *, unchecked: bool, **more: Any) -> None:
    """Add a feed to feeds.yaml: the address of a feed, or of a page that names one (then it is looked for)."""
    from aggregator import addresses

    try:
        url = addresses.checked(url)
    except ValueError as error:
        raise UsageError(f"{addresses.masked(url)} {error}") from None
    title = None
    if not unchecked and (asked := _resolved(app, url)):
        found, title = _found(app, asked)
        url = url if url.startswith(addresses.RSSHUB) else found
    given = {
        "title": more["title"] or title,
        "outlet": more["outlet"],
        "categories": list(category),
        "fulltext": more["fulltext"],
    }
    entry = {"id": name, "url": url} | {key: value for key, value in given.items() if value}
    change(app, add=[{key: value for key, value in entry.items() if value}])
    click.echo(f"added {addresses.masked(url)}" + (f" ({title})" if title else ""), err=True)


def _resolved(app: App, url: str) -> str | None:
    """The address to ask for one as written; None for a route that has no instance yet."""
    from aggregator import addresses

    if not url.startswith(addresses.RSSHUB):
        return url
    instances = app.settings.network.rsshub
    if not instances:
        click.echo("aggregator: it needs an RSSHub instance (network.rsshub); added without being asked", err=True)
        return None
    return addresses.rsshub_url(instances[0], url.removeprefix(addresses.RSSHUB))


def _found(app: App, url: str) -> tuple[str, str | None]:
    """The first feed at an address and its title; the others a page names are told."""
    from aggregator import addresses, discover
    from aggregator.parse.charset import decode

    with reaching(app) as (get, parse):
        found = discover.find(url, get, parse, lambda page: decode(page.body, page.content_type).text)
    for other in found[1:]:
        click.echo(f"also there: {addresses.masked(other.url)} ({other.document.title or 'no title'})", err=True)
    return found[0].url, found[0].document.title


@feeds.command(epilog="Example:\n\n  aggregator feeds remove sina-finance-china")
@click.argument("feed", shell_complete=complete.feeds, nargs=-1, required=True)
@click.pass_obj
def remove(app: App, feed: tuple[str, ...]) -> None:
    """Remove feeds from feeds.yaml, by id or address; their articles stay."""
    change(app, remove=feed)
    click.echo(f"removed {', '.join(feed)}; the articles stay in the archive", err=True)


@feeds.command("import", epilog="Example:\n\n  aggregator feeds import subscriptions.opml")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.pass_obj
def import_(app: App, file: Path) -> None:
    """Add the feeds of an OPML file to feeds.yaml; those that are there already stay as they are."""
    from aggregator import addresses
    from aggregator.opml import read_opml

    opml = read_opml(file.read_bytes())
    for line in opml.refused:
        click.echo(f"aggregator: {line}", err=True)
    there = {addresses.identity(url) for one in app.settings.feeds for url in (*one.urls, *one.sources)}
    new = [one for one in opml.feeds if addresses.identity(one.url) not in there]
    entries: list[dict[str, Any]] = [
        {"url": one.url, "title": one.title, "categories": list(one.folders)} for one in new
    ]
    if entries:
        change(app, add=[{key: value for key, value in entry.items() if value} for entry in entries])
    known = len(opml.feeds) - len(new)
    click.echo(f"{len(new)} feeds added, {known} already there, {len(opml.refused)} refused", err=True)


@feeds.command(
    epilog="Examples:\n\n  aggregator feeds export > feeds.opml\n\n  aggregator feeds export --out feeds.opml"
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A file; by default standard output.")
@click.pass_obj
def export(app: App, out: Path | None) -> None:
    """Write the feeds as OPML, without passwords and keys."""
    from aggregator.opml import write_opml

    data = write_opml(app.settings.feeds)
    if out:
        _write(out, data)
    else:
        sys.stdout.buffer.write(data)


def change(app: App, *, add: Sequence[Mapping[str, Any]] = (), remove: Sequence[str] = ()) -> None:
    """Edit feeds.yaml in place; the one that came along is copied to the user's own first."""
    from aggregator.app import packaged_feeds, user_feeds
    from aggregator.settings import edit_feeds

    source = app.feeds_path
    target = user_feeds() if source == packaged_feeds() else source
    try:
        text = source.read_bytes().decode("utf-8")
    except FileNotFoundError:
        text = "feeds: []\n"
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{source} cannot be edited: {error}") from error
    _write(target, edit_feeds(text, add=add, remove=remove, path=target).encode())
    if target != source:
        click.echo(f"the list of feeds is now {target}", err=True)


def _write(path: Path, data: bytes) -> None:
    """Replace a file in one step, its permissions kept."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except OSError as error:
        raise AggregatorError(f"{path} cannot be written ({error.strerror}); check the folder") from error


# --- asking ---------------------------------------------------------------------------------------------------------


@contextmanager
def reaching(app: App) -> Iterator[tuple[Callable[[str], Fetched], Callable[[Fetched], Document]]]:
    """A guarded GET, and the parser in its child, for what is no feed of feeds.yaml yet."""
    from aggregator.app import now
    from aggregator.model import Feed

    feed = Feed("new", (), "", "")
    with app.reaching() as (fetcher, parser):
        yield (
            lambda url: fetcher.fetch(url, timeout=feed.timeout, max_size=feed.max_size, now=now()),
            lambda page: parser.parse(
                page.body, content_type=page.content_type, url=page.url, timezone=feed.timezone, now=now()
            ),
        )


@contextmanager
def asking(app: App) -> Iterator[Callable[[Feed, str], Document]]:
    """One address of a feed, fetched without validators and parsed."""
    from aggregator.app import now

    with app.reaching() as (fetcher, parser):

        def ask(feed: Feed, url: str) -> Document:
            page = fetcher.fetch(url, timeout=feed.timeout, max_size=feed.max_size, now=now())
            return parser.parse(
                page.body, content_type=page.content_type, url=page.url, timezone=feed.timezone, now=now()
            )

        yield ask
