"""`retag`: the archive tagged again by the agreements now in force; what that changes, shown before or done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from aggregator.app import App
    from aggregator.model import ArticleId, Tags
    from aggregator.tag_review import Change, ClauseChanges


@click.command(epilog="Examples:\n\n  aggregator retag --dry-run\n\n  aggregator retag")
@click.option("--dry-run", is_flag=True, help="Only show what would be gained and lost, per clause.")
@click.option("--format", "form", type=click.Choice(["table", "json", "jsonl", "csv"]), default="table")
@click.pass_obj
def retag(app: App, form: str, *, dry_run: bool) -> None:
    """Tag every article again, in one transaction. Analysts' verdicts stay in force."""
    from aggregator.store import tags
    from aggregator.tag_review import summed

    changes: list[tuple[ArticleId, Change]] = []
    archive = app.archive(write=not dry_run)
    if dry_run:
        with archive.reading() as connection:
            changes = [(article, change) for article, _tags, change in _retagged(app, connection)]
    else:
        with archive.writing() as connection:
            batch: list[tuple[ArticleId, Tags]] = []
            for article, found, change in _retagged(app, connection):
                changes.append((article, change))
                batch.append((article, found))
            tags.put(connection, batch)
    _show(summed(changes), form, done=not dry_run)


def _retagged(app: App, connection: Any) -> Iterator[tuple[ArticleId, Tags, Change]]:
    """Every article with its new tags, verdicts applied, and what that changes."""
    from aggregator.cli.tag import catalogue_of
    from aggregator.store import articles, tags
    from aggregator.tag import Tagger
    from aggregator.tag_review import diff, judged

    tagger = Tagger(catalogue_of(app))
    verdicts: dict[int, dict[str, str]] = {}
    for row in tags.verdicts(connection):
        verdicts.setdefault(row["article_id"], {})[row["clause"]] = row["verdict"]
    for article in articles.every(connection):
        old = tags.of(connection, [article.id]).get(article.id)
        found = tagger.tags(article.title, article.text, article.published)
        new = judged(found, verdicts.get(article.id, {}), old)
        yield article.id, new, diff(old, new)


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
