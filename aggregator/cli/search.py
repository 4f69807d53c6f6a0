"""`search`: ask the archive."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol, cast

import click

from aggregator.cli import complete, output
from aggregator.cli.filters import ending, filter_options, starting
from aggregator.errors import UsageError
from aggregator.query import (
    And,
    Field,
    Node,
    Or,
    Since,
    Text,
    Until,
    everything_of,
    expanded,
    parse,
    texts,
    with_plurals,
)

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from aggregator.app import App
    from aggregator.store.paging import Found, Hit

PAGE = 20
CANDIDATES = 20_000
"""Texts that may be looked at for an exact count: a tenth of a second."""
_CHUNK = 500


class _QueryCommand(click.Command):
    """A command whose words may begin with a minus: `search 甲烷 -地铁`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; an unknown long option is a mistake, not a word to look for."""
        known = {name for param in self.params for name in param.opts} | {"--", *self.get_help_option_names(ctx)}
        for arg in args[: args.index("--")] if "--" in args else args:
            name = arg.split("=")[0]
            if name.startswith("--") and name not in known and len(name) > len("--") and not name.startswith("---"):
                raise click.NoSuchOption(name, possibilities=_near(name, known), ctx=ctx)
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """As click does; `-saved:` is a part of the query."""
        if incomplete[:2].strip("-") and incomplete.startswith("-"):
            return complete.query(ctx, self.params[0], incomplete)
        return super().shell_complete(ctx, incomplete)


def _near(name: str, known: set[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(name, known, 2)


@click.command(
    cls=_QueryCommand,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
    epilog="""\b
Words are ANDed; "exact phrase", OR, -not, ( ), title: outlet: feed: lang: clause: story: since: until:
saved:NAME stands for a search that was saved with --save NAME.
A word finds every text that holds it, in simplified or traditional characters, upper or lower case.

\b
Examples:
  aggregator search 甲烷
  aggregator search 氣候 -地鐵 since:30d
  aggregator search '"joint statement" (methane OR 甲烷) lang:en' --rank
  aggregator search clause:sunnylands-2023/10 --format csv > methane.csv
  aggregator search 甲烷 --expand
  aggregator search 甲烷 OR methane --save methane
  aggregator search saved:methane lang:en since:7d
""",
)
@click.argument("query", shell_complete=complete.query, nargs=-1, type=click.UNPROCESSED)
@filter_options
@click.option("--offset", type=click.IntRange(min=0), default=0, metavar="N", help="Pass over the first N.")
@click.option("--rank", is_flag=True, help="Best matches first (BM25 over the newest 5,000) instead of newest first.")
@click.option("--expand", is_flag=True, help="Also find the other names, in Chinese and English, of what you name.")
@click.option("--plurals", is_flag=True, help="Also find the other number of English words: country, countries.")
@click.option(
    "--save",
    shell_complete=complete.saved,
    metavar="NAME",
    help="Keep the query and filters; saved:NAME stands for them everywhere.",
)
@click.option("--replace", is_flag=True, help="With --save: in place of the search of that name.")
@click.option("--format", "form", type=click.Choice(output.FORMATS), default="table", help="How to print.")
@click.pass_obj
def search(
    app: App,
    /,
    query: tuple[str, ...],
    form: str,
    offset: int,
    save: str | None,
    *,
    rank: bool,
    expand: bool,
    plurals: bool,
    replace: bool,
    **filters: Any,
) -> None:
    """Find articles by words, phrases, clauses and dates, newest first.

    A table shows 20 unless --limit says otherwise; the formats for programs give all.
    """
    from aggregator.app import now

    limit = filters["limit"] or (PAGE if form == "table" else sys.maxsize >> 1)
    words = " ".join(query)
    if save is not None:
        if rank or expand or plurals:
            raise UsageError(
                "--rank, --expand and --plurals are not saved; write the other words with OR, and save those"
            )
        _save(app, save, _written(words, filters), replace=replace)
    elif replace:
        raise UsageError("--replace goes with --save NAME")
    asked = [parse(words, now(), partial(_saved, app))] if query else []
    tree = everything_of([*asked, *_filters(filters, now())])
    if tree == And(()):
        raise UsageError("there is nothing to look for; give a word, or a filter such as --since 7d")
    if plurals:
        tree = with_plurals(tree)
    if expand:
        tree = expanded(tree, _names(app))
    with _reading(app) as index:
        found = index.find(
            tree, limit=limit, offset=offset, rank=rank, candidates=max(CANDIDATES, 2 * limit)
            if form == "table" else sys.maxsize >> 1,
        )  # fmt: skip
        _show(_read(index, found.ids), texts(tree), form)
    _tell(found, offset, limit)


def _filters(filters: Mapping[str, Any], now: Any) -> list[Node]:
    """The options as parts of the query; several values of one kind are alternatives."""
    nodes: list[Node] = [
        Or(tuple(Field(name, value) for value in filters[name]))
        for name in ("agreement", "clause", "outlet")
        if filters[name]
    ]
    if filters["lang"]:
        nodes.append(Field("lang", filters["lang"]))
    if since := starting(filters["since"], now):
        nodes.append(Since(since))
    if until := ending(filters["until"], now):
        nodes.append(Until(until))
    return nodes


def _written(words: str, filters: Mapping[str, Any]) -> str:
    """The query with the filters as parts of it."""
    given = [
        " OR ".join(f'{name}:"{value}"' for value in filters[name])
        for name in ("agreement", "clause", "outlet")
        if filters[name]
    ]
    given += [f'{name}:"{filters[name]}"' for name in ("lang", "since", "until") if filters[name]]
    parts = [part for part in (words.strip(), *given) if part]
    return parts[0] if len(parts) == 1 else " ".join(f"({one})" if " " in one else one for one in parts)


def _save(app: App, name: str, query: str, *, replace: bool) -> None:
    from aggregator.app import now
    from aggregator.store import saved

    with app.opened() as archive, archive.writing() as connection:
        changed = saved.save(connection, name, query, now(), replace=replace)
    click.echo(f"saved as {name}; saved:{name} finds it" if changed else f"{name} is saved already", err=True)


def _saved(app: App) -> Mapping[str, str]:
    with _reading(app) as index:
        return index.saved()


class _Index(Protocol):
    """Where is searched; `lookup.find`, `lookup.hits` and `lookup.saved` on a connection."""

    find: Callable[..., Found]
    saved: Callable[[], Mapping[str, str]]
    hits: Callable[[Sequence[int]], list[Hit]]


@contextlib.contextmanager
def _reading(app: App) -> Iterator[_Index]:
    """SQLite's own connection to the archive, without the half second that SQLAlchemy takes to import if possible."""
    from aggregator.store import lookup

    path = app.url.removeprefix("sqlite:///")
    if "://" not in path:
        with lookup.opened(Path(path).expanduser()) as raw:
            if raw is not None:
                yield _at(lookup, raw)
                return
    from aggregator.store import search as index

    with app.archive().reading() as connection:  # says what is wrong with it
        yield _at(index, connection)


def _at(module: Any, connection: Any) -> _Index:
    found = SimpleNamespace(
        find=partial(module.find, connection),
        hits=partial(module.hits, connection),
        saved=partial(module.saved, connection),
    )
    return cast("_Index", found)


def _names(app: App) -> dict[str, tuple[str, ...]]:
    """For each name of an agreement, a clause or what clauses speak of, the others; folded as search folds.

    A word in several lists takes the shortest: long ones gather what is only related.
    """
    from aggregator import catalogue
    from aggregator.text import simplified

    known = catalogue.load(app.settings.agreements)
    groups = [one.names for one in known.agreements]
    groups += [tuple(clause.title.values()) for one in known.agreements for clause in one.clauses]
    for lists in (known.concepts, *(one.concepts for one in known.agreements)):
        groups += lists.values()
    found: dict[str, tuple[str, ...]] = {}
    for group in groups:
        names = tuple(word for word in group if not set(word) & set("@*&+()"))
        for name in names:
            key = simplified(name).lower()
            if key not in found or len(found[key]) > len(names):
                found[key] = names
    return found


def _read(index: _Index, ids: Sequence[int]) -> Iterator[Hit]:
    for start in range(0, len(ids), _CHUNK):
        yield from index.hits(ids[start : start + _CHUNK])


# --- showing ----------------------------------------------------------------------------------------------------


def _show(found: Iterator[Hit], wanted: Sequence[Text], form: str) -> None:
    if form == "table":
        lines = [line for hit in found for line in _lines(hit, wanted)]
        if lines:
            output.page("\n".join(lines))
    else:
        output.rows((_row(hit, wanted) for hit in found), form)


def _needles(wanted: Sequence[Text], *, title: bool) -> list[str]:
    return [text.needle for text in wanted if title or not text.title]


def _row(hit: Hit, wanted: Sequence[Text]) -> dict[str, Any]:
    """One article for programs; `matched` are the words that stand in it, variants included."""
    from aggregator.snippet import snippet

    return {
        "id": hit.id,
        "published": hit.published and hit.published.isoformat(),
        "first_seen": hit.first_seen.isoformat(),
        "outlet": hit.outlet,
        "feed": hit.feed,
        "lang": hit.lang,
        "title": hit.title,
        "url": hit.url,
        "story": hit.story,
        "reprint_of": hit.reprint_of,
        "clauses": list(hit.clauses),
        "matched": _matched(hit, wanted),
        "snippet": snippet(hit.text, _needles(wanted, title=False)).text,
    }


def _matched(hit: Hit, wanted: Sequence[Text]) -> list[str]:
    from aggregator.snippet import matches

    return [
        text.needle
        for text in dict.fromkeys(wanted)
        if matches(hit.title if text.title else f"{hit.title}\n{hit.text}", [text.needle])
    ]


def _lines(hit: Hit, wanted: Sequence[Text]) -> Iterator[str]:
    """One article for people: a line of facts with the title, the snippet, and what is known about it."""
    from aggregator.snippet import fitted, matches, padded, snippet

    room = output.columns()
    date = f"{hit.published or hit.first_seen:%Y-%m-%d}"
    outlet = min(14, max(room - 45, 4))
    head = f"{hit.id:>6}  {date}{' ' if hit.published else '*'} {padded(output.line(hit.outlet), outlet)}  "
    title = fitted(output.line(hit.title), max(room - 23 - outlet, 8))
    marked = output.marked(title, matches(title, _needles(wanted, title=True)), colour=_colour())
    yield output.dim(head) + marked
    piece = snippet(output.line(hit.text), _needles(wanted, title=False), max(room - 8, 20))
    if piece.text:
        yield "        " + output.marked(piece.text, piece.spans, colour=_colour())
    if facts := _facts(hit, wanted):
        yield output.dim("        " + fitted(" · ".join(facts), room - 8))


def _colour() -> bool:
    return output.coloured()


def _facts(hit: Hit, wanted: Sequence[Text]) -> list[str]:
    facts = [", ".join(hit.clauses)] if hit.clauses else []
    if hit.story is not None:
        facts.append(f"story {hit.story}")
    if hit.reprint_of is not None:
        facts.append(f"reprint of {hit.reprint_of}")
    if any(text.via for text in wanted):
        sources = {text.needle: text.via for text in wanted}
        variants = [f"{name} (for {sources[name]})" for name in _matched(hit, wanted) if sources[name]]
        facts += [f"matched {', '.join(variants)}"] if variants else []
    return facts


def _tell(found: Found, offset: int, limit: int) -> None:
    """How many there are, on stderr."""
    for note in found.notes:
        click.echo(f"aggregator: {note}", err=True)
    total = f"{found.total:,}" if found.exact else f"at most {found.total:,}"
    if not found.total:
        click.echo("no article matches", err=True)
    elif len(found.ids) < found.total:
        shown = f"{offset + 1:,}–{offset + len(found.ids):,}" if found.ids else "none"
        more = f"; --offset {offset + limit} for more" if offset + len(found.ids) < found.total else ""
        click.echo(f"{total} articles, {shown} shown{more}", err=True)
    else:
        click.echo(f"{total} article{'s' if found.total > 1 else ''}", err=True)
