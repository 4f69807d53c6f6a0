"""`import` and `export`: article files in and out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aggregator.cli.filters import QUERY, filter_options
from aggregator.errors import UsageError

if TYPE_CHECKING:
    from aggregator.app import App
    from aggregator.model import Article, Tags

DIALECTS = ("hexo", "feedx", "jekyll", "markdown")
TABLES = ("jsonl", "csv")
OTHERS = ("atom", "opml")


@click.command("import", epilog="Examples:\n\n  aggregator import articles/\n\n  aggregator import one.md more.jsonl")
@click.argument("path", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_obj
def import_(app: App, path: tuple[Path, ...]) -> None:
    """Read article files and folders, in any dialect, into the archive.

    Files that are no articles are named on stderr and stop no other. Running the same import again stores nothing
    twice, so an interrupted one is resumed by starting it again.
    """
    from aggregator import importing
    from aggregator.cli.progress import interruptible
    from aggregator.cli.progress import progress as progress_bar

    progress, refused = importing.Progress(), 0
    stopped = "what was counted is kept; the same command goes on from there"
    with interruptible(stopped), app.parts() as parts, progress_bar("importing") as advance:
        for progress in importing.take_files(path, parts):
            refused += len(progress.refused)
            for line in progress.refused:
                click.echo(f"aggregator: {line}", err=True)
            advance(progress.read, f"{progress.new} new")
    click.echo(
        f"{progress.read} read: {progress.new} new ({progress.reprints} reprints), {progress.revised} revised,"
        f" {progress.unchanged} already there, {refused} refused",
        err=True,
    )
    if refused and refused == progress.read:
        sys.exit(1)


@click.command(
    epilog="Examples:\n\n  aggregator export --format hexo --out site/source/_posts\n\n"
    "  aggregator export --format jsonl --since 7d --out -\n\n"
    "  aggregator export --format atom --clause sunnylands-2023/10 --out methane.atom\n\n"
    "  aggregator export --format csv --query saved:methane --out methane.csv\n\n"
    "  aggregator export --format opml --out feeds.opml"
)
@filter_options
@click.option(
    "--format", "form", type=click.Choice([*DIALECTS, *TABLES, *OTHERS]), required=True, help="How to write."
)
@click.option("--out", required=True, metavar="DIR|FILE|-", help="A folder for dialects; a file or - for the others.")
@QUERY
@click.option("--with-meta", is_flag=True, help="Dialects: add link and clauses to the head.")
@click.option("--revisions", is_flag=True, help="Write the replaced texts too.")
@click.pass_obj
def export(app: App, /, form: str, out: str, query: str, *, with_meta: bool, revisions: bool, **filters: Any) -> None:
    """Write articles in a dialect of article files, or as JSON lines, CSV or an Atom feed for other tools.

    An Atom feed holds the newest 50, or --limit. OPML is the list of feeds itself, for other readers of news.
    """
    if form in OTHERS:
        _put(_atom(app, query, filters) if form == "atom" else _opml(app), out)
        return
    rows = _selected(app, filters, query, revisions=revisions)
    if form in DIALECTS:
        if out == "-":
            raise UsageError(f"--format {form} writes a file for each article; name a folder with --out")
        count = _write_files(rows, form, Path(out), with_meta=with_meta)
        click.echo(f"{count} files in {out}", err=True)
        return
    _write_table(rows, form, out)


def _opml(app: App) -> bytes:
    from aggregator.opml import write_opml

    return write_opml(app.settings.feeds)


def _atom(app: App, query: str, filters: dict[str, Any]) -> bytes:
    from aggregator import publishing
    from aggregator.app import now
    from aggregator.cli.numbers import filters_of

    limit = filters["limit"] or publishing.ENTRIES
    with app.archive().reading() as connection:
        return publishing.atom_feed(connection, query, filters_of(filters), now(), limit=limit)


def _put(data: bytes, out: str) -> None:
    """Write to a file, or to standard output for `-`."""
    from aggregator import files

    if out == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    files.write(Path(out), data)


def _selected(
    app: App, filters: dict[str, Any], query: str, *, revisions: bool
) -> Iterator[tuple[Article, Tags | None, Any]]:
    """The articles asked for with their tags and places, in the order of their ids; old texts before new ones."""
    from itertools import islice

    from aggregator.app import now
    from aggregator.cli.numbers import filters_of
    from aggregator.store import articles, search, tags
    from aggregator.store.filters import condition
    from aggregator.store.places import places as places_of

    chosen = filters_of(filters)
    with app.archive().reading() as connection:
        if query.strip():
            from aggregator.publishing import asked

            most = sys.maxsize >> 1
            hits = search.find(connection, asked(connection, query, chosen, now()), limit=most, candidates=most).ids
            every = articles.fetch(connection, sorted(hits))
        else:
            every = articles.every(connection, condition(chosen))
        found = islice(every, filters["limit"])
        while batch := list(islice(found, articles.CHUNK)):
            ids = [article.id for article in batch]
            tagged, places = tags.of(connection, ids), places_of(connection, ids)
            for article in batch:
                for old in articles.history(connection, article.id) if revisions and article.revision > 1 else ():
                    yield old, None, places[article.id]
                yield article, tagged.get(article.id), places[article.id]


def _write_files(rows: Iterable[tuple[Article, Tags | None, Any]], form: str, folder: Path, *, with_meta: bool) -> int:
    from aggregator import dialects, files

    taken: set[str] = set()
    count = 0
    for article, found, _place in rows:
        meta = None
        if with_meta:
            clauses = [tag.clause for tag in found.clauses if tag.relation == "discusses"] if found else []
            meta = {"link": article.link or article.url or "", "clauses": clauses}
        name, number = dialects.file_name(article, form), 1
        while name.casefold() in taken:
            number += 1
            name = dialects.file_name(article, form, suffix=f"-{number}")
        taken.add(name.casefold())
        files.write(folder / name, dialects.write(article, form, with_meta=meta))
        count += 1
    return count


def _write_table(rows: Iterable[tuple[Article, Tags | None, Any]], form: str, out: str) -> None:
    from aggregator.cli import output

    values = (as_row(article, found, place) for article, found, place in rows)
    if out == "-":
        output.stream(values, form, sys.stdout)
        return
    path = Path(out)
    beside = path.with_name(f".{path.name}.writing")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            output.stream(values, form, file)
        beside.replace(path)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}") from error


def as_row(article: Article, found: Tags | None, place: Any) -> dict[str, Any]:
    """One article as `export --format jsonl` writes it (DESIGN.md)."""
    return {
        "id": article.id,
        "feed": article.feed,
        "outlet": article.outlet,
        "title": article.title,
        "url": article.url,
        "author": article.author,
        "published": article.published and article.published.isoformat(),
        "captured": article.captured and article.captured.isoformat(),
        "lang": article.lang,
        "origin": article.origin,
        "story": place.story,
        "reprint_of": place.reprint_of,
        "clauses": [clause_row(tag) for tag in found.clauses] if found else [],
        "text": article.text,
    }


def clause_row(tag: Any) -> dict[str, Any]:
    """One finding as `tag --input jsonl` and the exports write it."""
    keep = ("field", "quote", "start", "end", "rule")
    return {
        "clause": tag.clause,
        "relation": tag.relation.value,
        "score": round(tag.score, 3),
        "evidence": [{key: value for key, value in asdict(one).items() if key in keep} for one in tag.evidence],
    }
