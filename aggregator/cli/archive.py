"""`archive`: upgrade, check, back up, rebuild the index."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from aggregator.app import App
from aggregator.cli import complete
from aggregator.errors import UsageError


@click.group()
def archive() -> None:
    """Upgrade, check, back up and repair the archive."""


@archive.command(epilog="Example:\n\n  aggregator archive upgrade")
@click.pass_obj
def upgrade(app: App) -> None:
    """Bring an older archive's schema up to this program's; a new one is made where there is none."""
    found = app.archive(write=True)
    click.echo(f"{found.name} stands at schema {found.version()}", err=True)


@archive.command(epilog="Example:\n\n  aggregator archive check")
@click.option("--repair", is_flag=True, help="Rebuild the search index and the stories from the articles.")
@click.pass_obj
def check(app: App, *, repair: bool) -> None:
    """Verify the file, the links between tables, the search index, and that every text can be read."""
    from aggregator.store import maintenance

    findings = maintenance.check(app.archive(), click.echo)
    if findings and repair:
        from aggregator.relate import recalculate

        maintenance.repair(app.archive(write=True), click.echo, recalculate)
        findings = maintenance.check(app.archive(), click.echo)
    if findings:
        for line in findings:
            click.echo(f"aggregator: {line}", err=True)
        sys.exit(1)


@archive.command(epilog="Example:\n\n  aggregator archive backup /backups/archive-2026-11-21.db")
@click.argument("target", type=click.Path(path_type=Path))
@click.pass_obj
def backup(app: App, target: Path) -> None:
    """Copy the archive consistently while a daemon writes; refuses to overwrite."""
    from aggregator.store import maintenance

    size = maintenance.backup(app.archive(), target)
    click.echo(f"{target}: {size / 1e6:.1f} MB", err=True)


@archive.command(
    epilog="Examples:\n\n  aggregator archive copy archive.db postgresql://news@db.example/news\n\n"
    "  aggregator archive copy postgresql://news@db.example/news archive.db"
)
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy(source: str, target: str) -> None:
    """Copy an archive to another database, SQLite or PostgreSQL, and verify that both are equal.

    An interrupted copy goes on where it was when the same command is given again.
    """
    from contextlib import closing

    from aggregator.store import transfer
    from aggregator.store.archive import Archive

    with closing(Archive.open(source)) as old, closing(Archive.target(target)) as new:
        found = transfer.copy(old, new, lambda line: click.echo(line, err=True))
        click.echo(f"{new.name}: {sum(one.rows for one in found.values()):,} rows, equal to {old.name}", err=True)
    for name, one in found.items():
        click.echo(f"{name}\t{one.rows}\t{one.sha256}")


@archive.command(epilog="Example:\n\n  aggregator archive restore /backups/archive-2026-11-21.db")
@click.argument("source", type=click.Path(path_type=Path))
@click.pass_obj
def restore(app: App, source: Path) -> None:
    """Put a backup in the place of the archive; refuses to overwrite one."""
    from aggregator.store import maintenance, postgres

    if postgres.is_postgres(app.url):
        from contextlib import closing

        from aggregator.store import transfer
        from aggregator.store.archive import Archive

        with closing(Archive.open(str(source))) as old, closing(Archive.target(app.url)) as new:
            transfer.copy(old, new, click.echo)
        click.echo(f"{new.name} restored from {source}", err=True)
        return
    maintenance.restore(source, Path(app.url).expanduser())
    click.echo(f"{app.url} restored from {source}", err=True)


@archive.command(epilog="Example:\n\n  aggregator archive reindex")
@click.option("--anew", is_flag=True, help="From the beginning, although an interrupted one could go on.")
@click.pass_obj
def reindex(app: App, *, anew: bool) -> None:
    """Build the search index again from the articles, beside the one in use, which answers meanwhile.

    An interrupted one goes on where it was when the command is given again.
    """
    from aggregator.cli.progress import interruptible, progress
    from aggregator.store import maintenance, numbers

    archive = app.archive(write=True)
    with archive.reading() as connection:
        total = numbers.totals(connection).articles
    stopped = "the index in use is as it was; `aggregator archive reindex` goes on from here"
    with interruptible(stopped), progress("indexing", total) as advance:
        maintenance.reindex(archive, click.echo, lambda done: advance(done, f"of {total}"), anew=anew)


@archive.command(
    epilog="Examples:\n\n  aggregator archive prune --before 730d --dry-run\n\n"
    "  aggregator archive prune --before 2024-01-01 --outlet 港城日报"
)
@click.option(
    "--before", metavar="DATE|AGE", required=True, help="Articles first seen before 2024-01-01, or 730d ago."
)
@click.option(
    "--outlet",
    shell_complete=complete.outlets,
    metavar="NAME",
    multiple=True,
    help="Of this outlet only; may be given more than once.",
)
@click.option("--dry-run", is_flag=True, help="Only say how many would go.")
@click.pass_obj
def prune(app: App, before: str, outlet: tuple[str, ...], *, dry_run: bool) -> None:
    """Remove old articles, but none that discusses an agreement or that an analyst judged.

    What goes is remembered by name, so that a feed that still shows it does not bring it back. The file keeps its
    size; the room in it is used again.
    """
    from aggregator.app import now
    from aggregator.cli.filters import starting
    from aggregator.pruning import pruned
    from aggregator.store import prune as pruning
    from aggregator.store.prune import Wish

    at = now()
    before_what = starting(before, at)
    if before_what is None or before_what > at:
        raise UsageError("--before must be in the past, such as 730d or 2024-01-01")
    wish = Wish(before_what, outlet)
    if dry_run:
        with app.archive().reading() as connection:
            click.echo(f"{pruning.count(connection, wish)} articles would go", err=True)
        return
    with app.opened() as found:
        gone = sum(pruned(found, wish, at))
    click.echo(f"{gone} articles removed from {found.name}", err=True)
