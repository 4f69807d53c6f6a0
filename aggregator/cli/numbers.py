"""`stats`, `coverage`, `timeline` and `compare`: numbers for analysts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aggregator.cli import complete, output
from aggregator.cli.filters import QUERY, SINCE, UNTIL, ending, filter_options, starting
from aggregator.errors import UsageError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from aggregator.app import App
    from aggregator.catalogue import Catalogue
    from aggregator.report.values import Comparison, Count, Matrix, Side, Timeline
    from aggregator.store.filters import Filters

DIMENSIONS = ("agreement", "clause", "outlet", "lang", "week", "month")
USUAL = ("agreement", "outlet", "lang", "week")
NEWEST_WEEKS = 12
BAR = 30
form_option = click.option(
    "--format", "form", type=click.Choice(output.FORMATS), default="table", help="How to print."
)
out_option = click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Draw it: a file that ends in .svg or .png."
)


@click.command(epilog="Examples:\n\n  aggregator stats\n\n  aggregator stats --by clause --by week --since 90d")
@filter_options
@QUERY
@click.option("--by", multiple=True, type=click.Choice(DIMENSIONS), help="What to count by; may be given again.")
@form_option
@click.pass_obj
def stats(app: App, /, by: tuple[str, ...], form: str, **filters: Any) -> None:
    """Count articles, stories, reprints and clause tags, in all and by agreement, outlet, language and week.

    Stories are those of two articles and more. Weeks begin on Monday and are named by that day (UTC).
    """
    from aggregator.store import numbers

    with reading(app, filters) as (connection, catalogue, chosen):
        total = numbers.totals(connection, chosen)
        found = {one: numbers.counts(connection, one, chosen) for one in by or USUAL}
    rows = [_count_row("all", total, "")]
    for dimension, counted in found.items():
        shown = counted[-NEWEST_WEEKS:] if form == "table" and dimension == "week" and not by else counted
        limit = filters["limit"] or len(shown)
        rows += [_count_row(dimension, one, _called(catalogue, one.name)) for one in shown[:limit]]
    if form == "table":
        output.page("\n".join(_blocks(rows)))
        return
    output.rows(rows, form)


def _count_row(by: str, count: Count, title: str) -> dict[str, Any]:
    return {
        "by": by,
        "name": count.name,
        "title": title,
        "articles": count.articles,
        "reprints": count.reprints,
        "stories": count.stories,
        "tags": count.tags,
    }


def _called(catalogue: Catalogue, name: str) -> str:
    if "/" in name and (clause := catalogue.clause(name)):
        return clause.title.get("en") or clause.title.get("zh") or ""
    agreement = catalogue.agreement(name)
    return (agreement.name.get("en") or "") if agreement else ""


def _blocks(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A table for each dimension, its name above the names."""
    for dimension in dict.fromkeys(row["by"] for row in rows):
        own = [row for row in rows if row["by"] == dimension]
        titled = any(row["title"] for row in own)
        names = ("name", "title") if titled else ("name",)
        numbers = ("articles", "reprints", "stories", "tags")
        yield from output.table(
            [
                {dimension if name == "name" else name: row[name] or ("–" if name == "name" else "") for name in names}
                | {name: row[name] for name in numbers}
                for row in own
            ],
            output.columns(),
        )
        yield ""


@click.command(
    epilog="Examples:\n\n  aggregator coverage --agreement sunnylands-2023\n\n"
    "  aggregator coverage --agreement sunnylands-2023 --by week --since 90d --format csv\n\n"
    "  aggregator coverage --agreement glasgow-2021 --out coverage.png"
)
@click.option(
    "--agreement",
    required=True,
    shell_complete=complete.agreements,
    metavar="ID",
    help="The agreement whose clauses are the rows.",
)
@click.option("--by", type=click.Choice(["outlet", "week", "month"]), default="outlet", help="What the columns are.")
@click.option("--outlet", multiple=True, shell_complete=complete.outlets, metavar="NAME", help="Only this outlet.")
@click.option("--lang", type=click.Choice(["zh", "en"]), help="Only this language.")
@SINCE
@UNTIL
@QUERY
@form_option
@out_option
@click.pass_obj
def coverage(app: App, /, agreement: str, by: str, form: str, out: Path | None, **filters: Any) -> None:
    """Show which clause is discussed where or when: a matrix with the total of every column beside it.

    0 means: read, and nothing on it. 0! means that a feed was down for a part of the time, so that some may be missing.
    ? means that nothing at all was read there: no data, which is not the same as no coverage.
    """
    from aggregator import publishing
    from aggregator.app import now

    with reading(app, filters) as (connection, catalogue, chosen):
        period = publishing.period_of(connection, chosen, now())
        found = publishing.coverage(connection, catalogue, agreement, by, period, chosen)
    if out:
        from aggregator.report import figures

        draw(out, lambda: figures.matrix(found), lambda charts: charts.matrix(found))
        return
    if form == "table":
        output.page("\n".join(_matrix_lines(found)))
        return
    output.rows(_matrix_rows(found), form)


def _matrix_lines(found: Matrix) -> Iterator[str]:
    """The matrix, in as many tables as the terminal needs."""
    from aggregator.report.downtime import said

    room = max((output.columns() - 34) // 11, 1)
    every = found.columns if found.by == "outlet" else [column for column in found.columns if column.heard]
    for start in range(0, len(every), room):
        columns = every[start : start + room]
        rows: list[dict[str, Any]] = [
            {"clause": "all articles"} | {column.label: column.total for column in columns},
            {"clause": "feed down"} | {column.label: said(column.down) if column.down else "–" for column in columns},
        ]
        for clause in found.clauses:
            cells = {column.label: found.cell(clause, column).shown for column in columns}
            rows.append({"clause": output.line(f"{clause.number} {clause.titled()}")[:30]} | cells)
        yield from output.table(rows, output.columns(), [column.label for column in columns])
        yield ""
    if len(every) < len(found.columns):
        yield f"{len(found.columns) - len(every)} {found.by}s in which nothing at all was read are left out"
    yield "0! a feed was down for a part of the time; ? nothing was read, so nothing can be said"


def _matrix_rows(found: Matrix) -> Iterator[dict[str, Any]]:
    """One row a cell, with what a reader must know to judge a zero."""
    for clause in found.clauses:
        for column in found.columns:
            cell = found.cell(clause, column)
            yield {
                "clause": clause.id,
                "title": clause.titled(),
                found.by: column.key,
                "articles": None if cell.mark == "?" else cell.count,
                "of": column.total,
                "down_hours": round(column.down.total_seconds() / 3600, 1),
                "state": {"?": "no data", "!": "feed down", "": "ok"}[cell.mark],
            }


@click.command(
    epilog="Examples:\n\n  aggregator timeline sunnylands-2023/10\n\n"
    "  aggregator timeline glasgow-2021 --by month --format csv\n\n"
    "  aggregator timeline sunnylands-2023/10 --out methane.svg"
)
@click.argument("subject", shell_complete=complete.subjects, metavar="CLAUSE|AGREEMENT")
@click.option("--by", type=click.Choice(["day", "week", "month", "year"]), help="The step; one that fits by itself.")
@click.option("--outlet", multiple=True, shell_complete=complete.outlets, metavar="NAME", help="Only this outlet.")
@click.option("--lang", type=click.Choice(["zh", "en"]), help="Only this language.")
@SINCE
@UNTIL
@QUERY
@form_option
@out_option
@click.pass_obj
def timeline(app: App, /, subject: str, by: str | None, form: str, out: Path | None, **filters: Any) -> None:
    """Show how much was written on a clause or an agreement over time, beside all that was read."""
    from aggregator import publishing
    from aggregator.app import now
    from aggregator.store import numbers

    with reading(app, filters) as (connection, catalogue, chosen):
        if "/" in subject:
            publishing.checked_clause(connection, catalogue, subject)
        elif catalogue.agreement(subject) is None:
            raise UsageError(f"there is no agreement {subject!r}; `aggregator agreements list` names them")
        narrowed = replace(chosen, clauses=(subject,)) if "/" in subject else replace(chosen, agreements=(subject,))
        period = publishing.period_of(connection, chosen, now())
        spoken = numbers.extent(connection, narrowed)
        if not chosen.since and spoken:
            period = replace(period, since=spoken.since)
        found = publishing.timeline(connection, subject, by, period, chosen)
    title = f"Articles on {subject}, by {found.unit}"
    if out:
        from aggregator.report import figures

        draw(out, lambda: figures.timeline(found, title), lambda charts: charts.timeline(found, title))
        return
    rows = _timeline_rows(found)
    if form == "table":
        most = found.most
        shown = [row | {"down": ", ".join(row["down"]), "": "█" * round(BAR * row["articles"] / most)} for row in rows]
        output.rows(shown, form)
        return
    output.rows(rows, form)


def _timeline_rows(found: Timeline) -> list[dict[str, Any]]:
    return [
        {
            found.unit: slot.start,
            "articles": slot.articles,
            "reprints": slot.reprints,
            "stories": slot.stories,
            "outlets": slot.outlets,
            "of": slot.total,
            "down": list(slot.down),
        }
        for slot in found.slots
    ]


@click.command(epilog="Examples:\n\n  aggregator compare 3\n\n  aggregator compare 3 --format json")
@click.argument("story", type=int)
@form_option
@click.pass_obj
def compare(app: App, story: int, form: str) -> None:
    """Set the outlets of a story side by side: which clauses each covers, in which words, and which it leaves out."""
    from aggregator import publishing

    with reading(app, {}) as (connection, catalogue, _chosen):
        found = publishing.comparison(connection, catalogue, story)
    if form == "table":
        output.page("\n".join(_sides(found)))
        return
    output.rows(_comparison_rows(found), form)


def _comparison_rows(found: Comparison) -> Iterator[dict[str, Any]]:
    """One row for each outlet and clause of the story; `covers` says whether, `quote` how."""
    for side in found.sides:
        first = side.articles[0]
        if not found.clauses:
            yield {"outlet": side.outlet, "article": first.article, "title": first.title, "clause": None,
                   "clause_title": None, "covers": False, "quote": None}  # fmt: skip
        for clause in found.clauses:
            voice = side.covers.get(clause.id)
            yield {
                "outlet": side.outlet,
                "article": (voice or first).article,
                "title": (voice or first).title,
                "clause": clause.id,
                "clause_title": clause.titled(),
                "covers": voice is not None,
                "quote": voice.evidence[0].quote if voice and voice.evidence else None,
            }


def _sides(found: Comparison) -> Iterator[str]:
    yield output.bold(f"story {found.story}: {output.line(found.headline)}")
    names = {clause.id: f"{clause.id} {output.line(clause.titled())}" for clause in found.clauses}
    for side in found.sides:
        yield ""
        yield from _side(side, names)


def _side(side: Side, names: Mapping[str, str]) -> Iterator[str]:
    yield output.bold(output.line(side.outlet) or "unnamed outlet")
    for article in side.articles:
        copy = f" (reprint of {article.reprint_of})" if article.reprint_of else ""
        yield f"  {article.article}  {article.when:%Y-%m-%d %H:%M}  {output.line(article.title)}{copy}"
    for clause, voice in side.covers.items():
        yield f"  + {names[clause]}"
        if voice.evidence:
            shown = voice.evidence[0]
            spans = [(start - shown.start, end - shown.start) for start, end in shown.words]
            yield f"      {output.marked(' '.join(shown.quote.splitlines()), spans)}"
    yield from (f"  - leaves out {names[clause]}" for clause in side.leaves_out)


# --- shared -----------------------------------------------------------------------------------------------------


@contextmanager
def reading(app: App, given: Mapping[str, Any]) -> Iterator[tuple[sa.Connection, Catalogue, Filters]]:
    """A view of the archive, the catalogue, and the filters of a command line."""
    with app.archive().reading() as connection:
        yield connection, catalogue_of(app), narrowed_to(connection, given)


def catalogue_of(app: App) -> Catalogue:
    """The agreements that came along and those that feeds.yaml names."""
    from aggregator import catalogue

    return catalogue.load(app.settings.agreements)


def narrowed_to(connection: sa.Connection, given: Mapping[str, Any]) -> Filters:
    """As `filters_of`, and only what `--query` finds; raises QueryError."""
    from aggregator import publishing
    from aggregator.app import now

    return publishing.found_by(connection, given.get("query") or "", filters_of(given), now())


def filters_of(given: Mapping[str, Any]) -> Filters:
    """Filter options as the store takes them."""
    from aggregator.app import now
    from aggregator.store.filters import Filters

    return Filters(
        tuple(given.get("agreement") or ()),
        tuple(given.get("clause") or ()),
        tuple(given.get("outlet") or ()),
        given.get("lang"),
        starting(given.get("since"), now()),
        ending(given.get("until"), now()),
    )


def draw(out: Path, figure: Any, chart: Any) -> None:
    """Write a drawing as .svg (ours) or .png (matplotlib's, extra `charts`)."""
    from aggregator import files

    if out.suffix.lower() == ".svg":
        from aggregator.report.page import svg

        files.write(out, svg(figure()).encode())
    elif out.suffix.lower() == ".png":
        from aggregator import charts

        files.write(out, chart(charts))
    else:
        raise UsageError(f"{out}: name a file that ends in .svg or .png")
    click.echo(f"{out}", err=True)
