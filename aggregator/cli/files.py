"""`import` and `export`: article files in and out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aggregator.cli.filters import filter_options, moment
from aggregator.errors import UsageError

if TYPE_CHECKING:
    from aggregator.app import App
    from aggregator.model import Article, Tags

DIALECTS = ("hexo", "feedx", "jekyll", "markdown")
TABLES = ("jsonl", "csv")


@click.command("import", epilog="Examples:\n\n  aggregator import articles/\n\n  aggregator import one.md more.jsonl")
@click.argument("path", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_obj
def import_(app: App, path: tuple[Path, ...]) -> None:
    """Read article files and folders, in any dialect, into the archive.

    Files that are no articles are named on stderr and stop no other. Running the same import again stores nothing
    twice, so an interrupted one is resumed by starting it again.
    """
    from aggregator import importing

    progress, refused = importing.Progress(), 0
    with app.parts() as parts, _bar("importing") as advance:
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


@contextmanager
def _bar(name: str) -> Iterator[Any]:
    """A counter on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _done, _note: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn(name), TextColumn("{task.completed:.0f}"), TimeElapsedColumn())
    with Progress(
        *columns, TextColumn("{task.description}"), console=Console(stderr=True), transient=True
    ) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, note: progress.update(task, completed=done, description=note)


@click.command(
    epilog="Examples:\n\n  aggregator export --format hexo --out site/source/_posts\n\n"
    "  aggregator export --format jsonl --since 7d --out -"
)
@filter_options
@click.option("--format", "form", type=click.Choice([*DIALECTS, *TABLES]), required=True, help="How to write.")
@click.option("--out", required=True, metavar="DIR|FILE|-", help="A folder for dialects; a file or - for tables.")
@click.option("--with-meta", is_flag=True, help="Dialects: add link and clauses to the head.")
@click.option("--revisions", is_flag=True, help="Write the replaced texts too.")
@click.pass_obj
def export(app: App, /, form: str, out: str, *, with_meta: bool, revisions: bool, **filters: Any) -> None:
    """Write articles in a dialect of article files, or as JSON lines or CSV for other tools."""
    rows = _selected(app, filters, revisions=revisions)
    if form in DIALECTS:
        if out == "-":
            raise UsageError(f"--format {form} writes a file for each article; name a folder with --out")
        count = _write_files(rows, form, Path(out), with_meta=with_meta)
        click.echo(f"{count} files in {out}", err=True)
        return
    _write_table(rows, form, out)


def _selected(app: App, filters: dict[str, Any], *, revisions: bool) -> Iterator[tuple[Article, Tags | None, Any]]:
    """The articles asked for with their tags and places, in the order of their ids; old texts before new ones."""
    from itertools import islice

    from aggregator.app import now
    from aggregator.store import articles, tags
    from aggregator.store.places import places as places_of
    from aggregator.store.filters import Filters, condition

    chosen = Filters(
        filters["agreement"], filters["clause"], filters["outlet"], filters["lang"],
        moment(filters["since"], now()), moment(filters["until"], now()),
    )  # fmt: skip
    with app.archive().reading() as connection:
        found = islice(articles.every(connection, condition(chosen)), filters["limit"])
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
