"""`poll`: one round now."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

import click

from aggregator.app import App
from aggregator.cli import complete
from aggregator.errors import UsageError
from aggregator.model import Feed, PollReport, PollStatus


@click.command(epilog="Examples:\n\n  aggregator poll\n\n  aggregator poll voa-chinese --format json")
@click.argument("feed", shell_complete=complete.feeds, nargs=-1)
@click.option("--force", is_flag=True, help="Ask feeds too that told us to wait (Retry-After).")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "jsonl", "csv"]), default="table", help="How to print."
)
@click.pass_obj
def poll(app: App, feed: tuple[str, ...], form: str, *, force: bool) -> None:
    """Poll all feeds, or those named, once and now, whatever their interval.

    A feed that fails stops no other. Exit status 1 when none of those asked answered.
    """
    from aggregator import pipeline

    which = chosen(app.settings.feeds, feed)
    with app.parts() as parts:
        reports = list(_watched(pipeline.poll(which, parts, force=force), len(which), quiet=form != "table"))
    order = {one.id: number for number, one in enumerate(which)}
    reports.sort(key=lambda report: order[report.feed])
    _print(reports, form)
    _say_failures(reports)


def _say_failures(reports: Sequence[PollReport]) -> None:
    """A line for each failed feed on stderr; exit status 1 when nothing that was asked answered."""
    failed = [report for report in reports if report.status in (PollStatus.FAILED, PollStatus.GONE)]
    asked = [report for report in reports if report.status is not PollStatus.SKIPPED]
    for report in failed:
        click.echo(f"aggregator: {report.feed}: {report.error}", err=True)
    if failed and len(failed) == len(asked):
        sys.exit(1)


def chosen(feeds: Sequence[Feed], names: Sequence[str]) -> list[Feed]:
    """The feeds with these ids, or all; raises UsageError for a name that no feed has."""
    by_id = {feed.id: feed for feed in feeds}
    unknown = [name for name in names if name not in by_id]
    if unknown:
        raise UsageError(f"there is no feed {unknown[0]!r} in feeds.yaml; `aggregator feeds list` names them")
    return [by_id[name] for name in names] if names else list(feeds)


def _watched(reports: Iterable[PollReport], total: int, *, quiet: bool) -> Iterator[PollReport]:
    """The same reports, with a progress bar while they come when somebody looks."""
    if quiet or not sys.stderr.isatty():
        yield from reports
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("polling"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        for report in reports:
            progress.update(task, advance=1, description=report.feed)
            yield report


def _print(reports: Sequence[PollReport], form: str) -> None:
    rows = [
        {key: value for key, value in asdict(report).items() if key not in ("kind", "notes")} for report in reports
    ]
    if form == "json":
        click.echo(json.dumps({"feeds": rows, "new": sum(r.new for r in reports)}, ensure_ascii=False, indent=1))
        return
    if form == "table" and not sys.stdout.isatty():
        return  # nobody looks: failures are on stderr, the rest is in the archive
    from aggregator.cli import output

    output.rows(rows, form)
    if form == "table":
        click.echo(summary(reports))


def summary(reports: Sequence[PollReport]) -> str:
    """One line: what a round brought."""
    new, revised = sum(r.new for r in reports), sum(r.revised for r in reports)
    reprints = sum(r.reprints for r in reports)
    return f"{len(reports)} feeds, {new} new articles ({reprints} reprints), {revised} revised"
