"""`browse`: the archive in a web browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aggregator.errors import UsageError

if TYPE_CHECKING:
    from aggregator.app import App


@click.command(epilog="Examples:\n\n  aggregator browse\n\n  aggregator browse --port 8001")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where to listen; other machines can then ask too."
)
@click.option("--port", default=8001, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.pass_obj
def browse(app: App, host: str, port: int) -> None:
    """Open the archive in Datasette, read-only, with questions made ready and a search that knows Chinese.

    Needs the extra `browse` (pip install 'aggregator[browse]'). Ctrl-C ends it.
    """
    from aggregator import browse as site
    from aggregator.app import now

    archive = app.archive()
    if archive.path is None:
        raise UsageError("Datasette reads SQLite archives; this one is PostgreSQL, which has browsers of its own")
    archive.close()
    site.serve(Path(archive.path).absolute(), host, port, now, lambda url: click.echo(url, err=True))
