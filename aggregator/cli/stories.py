"""`stories`, `story` and `not-a-reprint`: what is one event, who tells it how, and an analyst's word on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aggregator.cli import output
from aggregator.cli.filters import QUERY, filter_options
from aggregator.errors import UsageError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from aggregator.app import App
    from aggregator.model import Article, Tags
    from aggregator.store.stories import Listed

FORMATS = click.Choice(["table", "json", "jsonl", "csv"])
LEAST = 2


@click.command(
    epilog="Examples:\n\n  aggregator stories --since 7d\n\n  aggregator stories --agreement sunnylands-2023"
)
@filter_options
@QUERY
@click.option("--format", "form", type=FORMATS, default="table", help="How to print.")
@click.pass_obj
def stories(app: App, /, form: str, limit: int | None, **given: Any) -> None:
    """List the stories, the latest first: articles on one event, of which one at least passes the filters."""
    from aggregator.cli.numbers import narrowed_to
    from aggregator.store import stories as store
    from aggregator.store.filters import Filters, condition

    with app.archive().reading() as connection:
        filters = narrowed_to(connection, given)
        narrowed = condition(filters) if filters != Filters() else None
        found = store.listed(connection, narrowed, limit or 50)
    if not found and form == "table":
        click.echo("no stories: no two articles are on one event", err=True)
        return
    output.rows([_row(one, short=form == "table") for one in found], form)


def _row(story: Listed, *, short: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "story": story.id,
        "first_seen": f"{story.first_seen:%Y-%m-%d %H:%M}" if short else story.first_seen.isoformat(),
        "headline": story.headline,
        "voices": story.voices,
        "copies": story.copies,
        "outlets": list(story.outlets),
    }
    return row if short else row | {"last_seen": story.last_seen.isoformat(), "articles": list(story.articles)}


@click.command(
    epilog="Examples:\n\n  aggregator story 12\n\n  aggregator story merge 12 15\n\n  aggregator story split 12 301 302"
)
@click.argument("words", nargs=-1, required=True, metavar="ID | merge ID ID… | split ID ARTICLE…")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print.")
@click.pass_obj
def story(app: App, words: tuple[str, ...], form: str) -> None:
    """Show one story, its outlets side by side: the clauses each covers, with which sentence, and those it leaves out.

    `merge` says that stories are one, `split` that articles are another story than the rest; both outlive every
    recalculation. A merged story keeps the oldest id, and the others go on leading to it.
    """
    if words[0] in ("merge", "split"):
        _judge(app, words[0], [_number(word) for word in words[1:]])
        return
    if len(words) != 1:
        raise UsageError("one story at a time; `aggregator story ID`")
    _show(app, _number(words[0]), form)


def _number(word: str) -> int:
    if not (word.isascii() and word.isdigit()) or len(word) > 18:  # noqa: PLR2004 - what SQLite can hold
        raise UsageError(f"{word!r} is no id; `aggregator stories` gives ids of stories, `search` those of articles")
    return int(word)


def _judge(app: App, verb: str, ids: list[int]) -> None:
    from aggregator import relate
    from aggregator.app import now
    from aggregator.store import relations

    if len(ids) < LEAST:
        wanted = "two stories at least" if verb == "merge" else "a story and the articles that leave it"
        raise UsageError(f"story {verb} needs {wanted}")
    with app.archive(write=True).writing() as connection:
        if verb == "merge":
            stories_ = list(dict.fromkeys(_present(connection, one) for one in ids))
            kept = relate.merge(connection, stories_, now())
            click.echo(f"stories {', '.join(map(str, sorted(ids)))} are story {kept}", err=True)
            return
        identity = _present(connection, ids[0])
        members = relations.in_stories(connection, [identity])[identity]
        if strangers := [one for one in ids[1:] if one not in members]:
            raise UsageError(
                f"article {strangers[0]} is not in story {identity}; `aggregator story {identity}` lists it"
            )
        if members <= set(ids[1:]):
            raise UsageError(f"story {identity} has no other articles; there is nothing to split")
        relate.split(connection, identity, ids[1:], now())
        click.echo(f"{len(ids) - 1} articles left story {identity}", err=True)


def _present(connection: sa.Connection, identity: int) -> int:
    from aggregator.store import stories as store

    found = store.resolve(connection, identity)
    if found is None:
        raise UsageError(f"there is no story {identity}; `aggregator stories` lists them")
    return found


def _show(app: App, identity: int, form: str) -> None:
    from aggregator.store import articles, tags
    from aggregator.store import stories as store
    from aggregator.store.places import places

    with app.archive().reading() as connection:
        present = _present(connection, identity)
        (told,) = store.told(connection, [present])
        members = list(articles.fetch(connection, list(told.articles)))
        found = tags.of(connection, list(told.articles))
        originals = {one: place.reprint_of for one, place in places(connection, list(told.articles)).items()}
    sides = _sides(members, found, originals)
    if form == "json":
        import json

        row = _row(told, short=False) | {"clauses": _clauses(found), "sides": sides}
        click.echo(json.dumps(row, ensure_ascii=False, indent=1))
        return
    output.page("\n".join(_lines(told, sides, _clauses(found), asked=identity)))


def _clauses(found: dict[Any, Tags]) -> list[str]:
    return sorted({tag.clause for tags in found.values() for tag in tags.clauses})


def _sides(members: list[Article], found: dict[Any, Tags], originals: dict[int, int | None]) -> list[dict[str, Any]]:
    """One entry for each outlet: its articles, the clauses it covers with a sentence, the ones it leaves out."""
    every = _clauses(found)
    sides: dict[str, dict[str, Any]] = {}
    for article in members:
        side = sides.setdefault(article.outlet, {"outlet": article.outlet, "articles": [], "covers": {}})
        side["articles"].append(
            {
                "id": article.id,
                "title": article.title,
                "published": article.published and article.published.isoformat(),
                "reprint_of": originals.get(article.id),
            }
        )
        for tag in found[article.id].clauses if article.id in found else ():
            best = max(tag.evidence, key=lambda one: len(one.words), default=None)
            covered = {"article": article.id, "score": round(tag.score, 3), "sentence": best.quote if best else ""}
            if side["covers"].get(tag.clause, {"score": -1})["score"] < covered["score"]:
                side["covers"][tag.clause] = covered
    for side in sides.values():
        side["leaves_out"] = [clause for clause in every if clause not in side["covers"]]
    return list(sides.values())


def _lines(story: Listed, sides: list[dict[str, Any]], clauses: list[str], *, asked: int) -> list[str]:
    note = f" (story {asked} was merged into it)" if asked != story.id else ""
    lines = [
        output.bold(output.line(story.headline)),
        "",
        (
            f"story {story.id}{note}: {story.voices} voices, {story.copies} copies, {len(story.outlets)} outlets, "
            f"{story.first_seen:%Y-%m-%d %H:%M} to {story.last_seen:%Y-%m-%d %H:%M} UTC"
        ),
    ]
    for side in sides:
        lines += ["", output.bold(output.line(side["outlet"]) or "(no outlet)")]
        for one in side["articles"]:
            copy = f"  [reprint of {one['reprint_of']}]" if one["reprint_of"] is not None else ""
            when = (one["published"] or "undated")[:16].replace("T", " ")
            lines.append(f"  {one['id']:>6}  {when}  {output.line(one['title'])}{copy}")
        for clause, covered in sorted(side["covers"].items()):
            lines += [f"    {clause:<22} {covered['score']:.2f}", f"      {output.line(covered['sentence'])}"]
        if clauses and side["leaves_out"]:
            lines.append(f"    leaves out: {', '.join(side['leaves_out'])}")
    return lines


@click.command(epilog="Example:\n\n  aggregator not-a-reprint 12 301")
@click.argument("one", type=int, metavar="ARTICLE")
@click.argument("other", type=int, metavar="ARTICLE")
@click.pass_obj
def not_a_reprint(app: App, one: int, other: int) -> None:
    """Say that two articles are not the same text; that outlives every recalculation."""
    from aggregator import relate
    from aggregator.app import now
    from aggregator.store import articles

    if one == other:
        raise UsageError("an article is always its own text; name two articles")
    with app.archive(write=True).writing() as connection:
        for identity in (one, other):
            if articles.get(connection, identity) is None:
                raise UsageError(f"there is no article {identity}; `aggregator search` gives ids")
        relate.not_a_reprint(connection, one, other, now())
    click.echo(f"{one} and {other} are two texts", err=True)
