"""`retag`: the archive tagged again by the agreements now in force; what that changes, shown before or done."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import click

from aggregator import ending

if TYPE_CHECKING:
    import sqlalchemy as sa

    from aggregator.app import App
    from aggregator.model import Article, ArticleId, Tags
    from aggregator.store.archive import Archive
    from aggregator.tag import Tagger
    from aggregator.tag_review import Change, ClauseChanges

BATCH = 500


@click.command(epilog="Examples:\n\n  aggregator retag --dry-run\n\n  aggregator retag")
@click.option("--dry-run", is_flag=True, help="Only show what would be gained and lost, per clause.")
@click.option("--after", default=0, metavar="ID", help="Go on after this article: an interrupted retag names it.")
@click.option("--format", "form", type=click.Choice(["table", "json", "jsonl", "csv"]), default="table")
@click.pass_obj
def retag(app: App, /, form: str, after: int, *, dry_run: bool) -> None:
    """Tag every article again, 500 a transaction, so that a daemon can go on. Analysts' verdicts stay in force.

    An interrupted one keeps what is done and says how to go on.
    """
    from aggregator.cli.progress import progress
    from aggregator.store import numbers
    from aggregator.tag_review import Change, summed

    unchanged = Change()
    archive = app.archive(write=not dry_run)
    with archive.reading() as connection:
        total = numbers.totals(connection).articles
    changes: list[tuple[ArticleId, Change]] = []
    last, count = after, 0
    try:
        with progress("retagging", total) as advance:
            for batch in _batches(app, archive, after, dry_run=dry_run):
                changes += [(article, change) for article, change in batch if change != unchanged]
                last, count = batch[-1][0], count + len(batch)
                advance(count, f"of {total}")
    except BaseException as error:
        if not dry_run and ending.came_of_ctrl_c(error):
            click.echo(f"aggregator: stopped; `aggregator retag --after {last}` goes on from here", err=True)
        raise
    _show(summed(changes), form, done=not dry_run)


def _batches(app: App, archive: Archive, after: int, *, dry_run: bool) -> Iterator[list[tuple[ArticleId, Change]]]:
    """What changes for each article, batch by batch, each stored before the next begins unless `dry_run`."""
    from aggregator.cli.tag import catalogue_of
    from aggregator.store import articles, tags
    from aggregator.store.schema import article
    from aggregator.tag import Tagger

    tagger, last = Tagger(catalogue_of(app)), after
    while True:
        with archive.reading() if dry_run else archive.writing() as connection:
            some = list(islice(articles.every(connection, article.c.id > last), BATCH))
            if not some:
                return
            found = _retagged(connection, some, tagger)
            if not dry_run:
                tags.put(connection, [(identity, new) for identity, new, _change in found])
        yield [(identity, change) for identity, _new, change in found]
        last = some[-1].id


def _retagged(connection: sa.Connection, some: list[Article], tagger: Tagger) -> list[tuple[ArticleId, Tags, Change]]:
    """Articles with their new tags, verdicts applied, and what that changes."""
    from aggregator.store import tags
    from aggregator.tag_review import diff, judged

    verdicts: dict[int, dict[str, str]] = {}
    for row in tags.verdicts(connection):
        verdicts.setdefault(row["article_id"], {})[row["clause"]] = row["verdict"]
    before = tags.of(connection, [one.id for one in some])
    done = []
    for one in some:
        old = before.get(one.id)
        new = judged(tagger.tags(one.title, one.text, one.published), verdicts.get(one.id, {}), old)
        done.append((one.id, new, diff(old, new)))
    return done


def _show(changes: dict[str, ClauseChanges], form: str, *, done: bool) -> None:
    from aggregator.cli import output

    rows = [
        {"clause": clause, "gained": one.gained, "lost": one.lost, "moved": one.moved}
        for clause, one in changes.items()
    ]
    if form != "table":
        output.rows(rows, form)
        return
    if not rows:
        click.echo("nothing changes" if not done else "done; nothing changed")
        return
    output.rows(rows, form)
    for clause, one in changes.items():
        for kind, examples in one.examples.items():
            for article, quote in examples:
                click.echo(f"{clause} {kind}: article {article}: {output.line(quote)}")
