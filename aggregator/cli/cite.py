"""`cite`: an article with its evidence as a folder that can be checked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aggregator.errors import UsageError

if TYPE_CHECKING:
    from aggregator.app import App


@click.command(epilog="Examples:\n\n  aggregator cite 12 --out cited/12\n\n  aggregator cite --verify cited/12")
@click.argument("article", metavar="ID", type=int, required=False)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the folder goes; cited-ID by itself."
)
@click.option(
    "--verify", multiple=True, type=click.Path(path_type=Path), metavar="DIR", help="Check such a folder instead."
)
@click.pass_obj
def cite(app: App, article: int | None, out: Path | None, verify: tuple[Path, ...]) -> None:
    """Write an article's file, its evidence and SHA-256 checksums into a folder, or verify one.

    Verifying checks every checksum, derives text and tags anew, and looks for each quote at its place. Exit status 1
    when anything does not hold.
    """
    if (article is None) == (not verify):
        raise UsageError("name the article to cite, or a folder with --verify")
    if article is not None:
        _write(app, article, out or Path(f"cited-{article}"))
        return
    from aggregator import citing
    from aggregator.cli.numbers import catalogue_of

    tag, version = app.tagging(), catalogue_of(app).version
    findings = [finding for folder in verify for finding in citing.verify(folder, tag, version)]
    for finding in findings:
        click.echo(f"aggregator: {finding}", err=True)
    if findings:
        sys.exit(1)
    click.echo(f"{len(verify)} verified: checksums, text, quotes and tags hold")


def _write(app: App, identity: int, folder: Path) -> None:
    from aggregator import citing
    from aggregator.app import now
    from aggregator.model import Tags
    from aggregator.store import articles, relations, tags

    with app.archive().reading() as connection:
        found = articles.get(connection, identity)
        if found is None:
            raise UsageError(f"there is no article {identity}; `aggregator search` finds the number")
        tagged = tags.of(connection, [identity]).get(found.id, Tags())
        story, original = relations.placed(connection, [identity]).get(identity, (None, None))
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; name another folder with --out")
    names = citing.write(folder, found, tagged, {"story": story, "reprint_of": original}, now())
    click.echo(f"{folder}: {len(names)} files", err=True)
