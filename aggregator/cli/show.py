"""`show`: one article as people read it, with what was found in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aggregator.errors import UsageError

if TYPE_CHECKING:
    from aggregator.app import App
    from aggregator.model import Article, ClauseTag, Tags


@click.command(epilog="Examples:\n\n  aggregator show 12\n\n  aggregator show 12 --evidence --revisions")
@click.argument("article_id", metavar="ID", type=int)
@click.option("--evidence", is_flag=True, help="The sentence that shows each clause, its rule and catalogue version.")
@click.option("--revisions", is_flag=True, help="Every text the outlet published under this article, oldest first.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print.")
@click.pass_obj
def show(app: App, article_id: int, form: str, *, evidence: bool, revisions: bool) -> None:
    """Show one article: title, where it stands, clauses, its place in a story, and the text."""
    from aggregator.store import articles, tags
    from aggregator.store.places import places

    with app.archive().reading() as connection:
        article = articles.get(connection, article_id)
        if article is None:
            raise UsageError(f"there is no article {article_id}; `aggregator search` gives ids")
        found = tags.of(connection, [article_id]).get(article_id)
        past = articles.history(connection, article_id) if revisions else []
        place = places(connection, [article_id])[article_id]
        copy = _reprint_of(connection, article, place)
    if form == "json":
        _print_json(article, found, past, place, copy)
        return
    from aggregator.cli import output

    output.page("\n".join(_lines(article, found, past, place, copy, evidence=evidence)))


def _reprint_of(connection: Any, article: Article, place: Any) -> list[str]:
    """What a reprint changed of its original, in words."""
    if place.reprint_of is None:
        return []
    from aggregator.store import articles, tags
    from aggregator.wording import alterations

    original = articles.get(connection, place.reprint_of)
    if original is None:
        return []
    return alterations(original, article, tags.of(connection, [original.id]).get(original.id))


def _print_json(article: Article, found: Tags | None, past: list[Article], place: Any, copy: list[str]) -> None:
    import json

    from aggregator.cli.files import as_row

    row = as_row(article, found, place) | {"revision": article.revision, "alterations": copy}
    if past:
        row["revisions"] = [as_row(old, None, place) | {"revision": old.revision} for old in past]
    click.echo(json.dumps(row, ensure_ascii=False, indent=1))


def _lines(
    article: Article, found: Tags | None, past: list[Article], place: Any, copy: list[str], *, evidence: bool
) -> list[str]:
    from aggregator.cli.output import safe

    lines = [click.style(safe(article.title), bold=True), ""]
    lines += [f"{name:<11}{safe(str(value))}" for name, value in _facts(article, place) if value]
    lines += ["", *[f"{line}" for line in copy]] if copy else []
    if found and found.clauses:
        lines += ["", "clauses", *[line for tag in found.clauses for line in _tag_lines(tag, article, full=evidence)]]
    for old in past:
        lines += ["", click.style(f"— revision {old.revision}: {safe(old.title)}", bold=True), "", safe(old.text)]
    if past:
        lines += ["", click.style(f"— revision {article.revision} (now): {safe(article.title)}", bold=True)]
    return [*lines, "", safe(article.text)]


def _facts(article: Article, place: Any) -> list[tuple[str, object]]:
    from aggregator.dedup.provenance import named_sources

    published = article.published and f"{article.published:%Y-%m-%d %H:%M} UTC"
    note = f"unreadable: {article.date_note}" if article.date_note and not published else None
    return [
        ("article", article.id),
        ("outlet", article.outlet),
        ("author", article.author if article.author != article.outlet else None),
        ("published", published or note or "not stated"),
        ("first seen", article.first_seen and f"{article.first_seen:%Y-%m-%d %H:%M} UTC"),
        ("link", article.link or article.url),
        ("file", article.origin),
        ("text from", article.fulltext),
        ("revision", article.revision if article.revision > 1 else None),
        ("story", place.story),
        ("reprint of", place.reprint_of),
        ("sources", ", ".join(named_sources(article.text))),
    ]


def _tag_lines(tag: ClauseTag, article: Article, *, full: bool) -> list[str]:
    from aggregator.cli.output import marked, safe

    head = f"  {tag.clause:<22}{tag.relation.value:<10}{tag.score:.2f}"
    if not full:
        return [head, *[f"      {safe(one.quote)}" for one in tag.evidence[:1]]]
    lines = [f"{head}  catalogue {tag.catalogue}"]
    for one in tag.evidence:
        source = getattr(article, one.field)
        lines.append(f"      {one.field} {one.start}–{one.end}, rule {one.rule}")
        lines.append(
            f"      {marked(source[one.start : one.end], [(a - one.start, b - one.start) for a, b in one.words])}"
        )
    return lines
