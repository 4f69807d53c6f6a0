"""`report`: one self-contained page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aggregator.cli.filters import QUERY, filter_options

if TYPE_CHECKING:
    from aggregator.app import App

USUAL = "Climate agreements in the news"
"""The title, with the query where there is one."""


@click.command(
    epilog="Examples:\n\n  aggregator report --since 30d --out report.html\n\n"
    "  aggregator report --agreement sunnylands-2023 --since 2023-11-01 --until 2024-01-31 --out report.html\n\n"
    "  aggregator report --query saved:methane --title Methane --out methane.html"
)
@filter_options
@QUERY
@click.option("--title", help="What stands at the top.")
@click.option("--out", required=True, metavar="FILE|-", help="Where the page goes; - is standard output.")
@click.option(
    "--png", type=click.Path(path_type=Path), metavar="DIR", help="Also the figures, as pictures for slides."
)
@click.pass_obj
def report(app: App, /, title: str | None, out: str, png: Path | None, **filters: Any) -> None:
    """Write a report: who covers which clause and when, in whose words, stories side by side, the health of the feeds.

    The page needs no network and opens from disk; it can be printed and read on a phone. Without --since it tells of
    everything. An interrupted report leaves the file that was there.
    """
    from aggregator import files, publishing
    from aggregator.app import now
    from aggregator.cli.numbers import catalogue_of, narrowed_to
    from aggregator.cli.progress import interruptible, progress
    from aggregator.report.page import page

    at, catalogue, archive = now(), catalogue_of(app), app.archive()
    with interruptible(f"nothing was written, {out} is as it was"):
        with archive.reading() as connection, progress("reporting") as advance:
            chosen = narrowed_to(connection, filters)
            found = publishing.report(
                connection,
                catalogue,
                title=title or USUAL + (f": {filters['query'].strip()}" if filters["query"].strip() else ""),
                archive=Path(archive.name).name,
                period=publishing.period_of(connection, chosen, at),
                now=at,
                base=chosen,
                say=lambda done, total, what: advance(done, f"of {total}: {what}"),
            )
        text = page(found)
    if out == "-":
        sys.stdout.write(text)
    else:
        files.write(Path(out), text.encode())
        click.echo(f"{out}: {found.totals.articles} articles, {len(text.encode()) / 1e6:.1f} MB", err=True)
    if png:
        _pictures(found, png)


def _pictures(found: Any, folder: Path) -> None:
    from aggregator import charts, files

    for part in found.agreements:
        files.write(folder / f"coverage-{part.id}.png", charts.matrix(part.matrix))
        title = f"{part.name.get('en') or part.id}: articles by {part.timeline.unit}"
        files.write(folder / f"timeline-{part.id}.png", charts.timeline(part.timeline, title))
    click.echo(f"{2 * len(found.agreements)} pictures in {folder}", err=True)
