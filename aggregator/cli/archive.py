"""`archive`: upgrade, check, back up, rebuild the index."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from aggregator.app import App


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


@archive.command(epilog="Example:\n\n  aggregator archive restore /backups/archive-2026-11-21.db")
@click.argument("source", type=click.Path(path_type=Path))
@click.pass_obj
def restore(app: App, source: Path) -> None:
    """Put a backup in the place of the archive; refuses to overwrite one."""
    from aggregator.store import maintenance

    maintenance.restore(source, Path(app.url).expanduser())
    click.echo(f"{app.url} restored from {source}", err=True)


@archive.command(epilog="Example:\n\n  aggregator archive reindex")
@click.pass_obj
def reindex(app: App) -> None:
    """Build the search index again from the articles."""
    from aggregator.store import maintenance

    maintenance.reindex(app.archive(write=True), click.echo)
