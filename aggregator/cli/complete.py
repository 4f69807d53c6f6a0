"""What a shell offers after Tab: clauses, agreements, outlets, feeds, subscribers, saved searches, from the archive and
feeds.yaml that the command line names. Nothing is offered where something is wrong; the command itself says what.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

if TYPE_CHECKING:
    import sqlite3

    from aggregator.app import App
    from aggregator.catalogue import Catalogue

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
Offer = Callable[["App"], Iterable[tuple[str, str]]]
"""Values and a word on each."""
MOST = 500
SHELLS = ("bash", "zsh", "fish")


def _completer(offer: Offer) -> Completer:
    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _items(offer, ctx, incomplete)

    return complete


def _items(offer: Offer, ctx: click.Context, incomplete: str, before: str = "") -> list[CompletionItem]:
    """What is offered and begins with what is typed, whatever its case."""
    from aggregator.app import App

    given = ctx.find_root().params
    app = App(archive_url=given.get("archive"), feeds_file=given.get("feeds"))
    try:
        found = list(offer(app))
    except Exception:  # noqa: BLE001 - a shell's prompt is no place for a message
        return []
    typed = incomplete.casefold()
    return [CompletionItem(before + value, help=note) for value, note in found if value.casefold().startswith(typed)]


def _clauses(app: App) -> Iterator[tuple[str, str]]:
    for agreement in _catalogue(app).agreements:
        for clause in agreement.clauses:
            yield str(clause.id), clause.title.get("en") or clause.title.get("zh") or ""


def _agreements(app: App) -> Iterator[tuple[str, str]]:
    for agreement in _catalogue(app).agreements:
        yield agreement.id, agreement.name.get("en") or ""


def _subjects(app: App) -> Iterator[tuple[str, str]]:
    yield from _agreements(app)
    yield from _clauses(app)


def _catalogue(app: App) -> Catalogue:
    from aggregator import catalogue
    from aggregator.errors import AggregatorError

    try:
        return catalogue.load(app.settings.agreements)
    except AggregatorError:
        return catalogue.load(())


def _feeds(app: App) -> Iterator[tuple[str, str]]:
    return ((feed.id, feed.title) for feed in app.settings.feeds)


def _outlets(app: App) -> Iterator[tuple[str, str]]:
    sql = "SELECT outlet, count(*) FROM article GROUP BY outlet ORDER BY count(*) DESC LIMIT 500"
    return ((outlet, f"{number} articles") for outlet, number in _rows(app, sql) if outlet)


def _saved(app: App) -> Iterator[tuple[str, str]]:
    return ((name, query) for name, query in _rows(app, "SELECT name, query FROM saved_search ORDER BY name"))


def _addresses(app: App) -> Iterator[tuple[str, str]]:
    return ((name, state) for name, state in _rows(app, "SELECT address, state FROM subscriber ORDER BY address"))


def _rows(app: App, sql: str) -> list[tuple[str, str]]:
    """Two columns of the archive; without SQLAlchemy where it is a file."""
    from aggregator.store import lookup

    if "://" not in app.url.removeprefix("sqlite:///"):
        with lookup.opened(Path(app.url.removeprefix("sqlite:///")).expanduser()) as raw:
            return _asked(raw, sql) if raw is not None else []
    with app.archive().reading() as connection:
        return [(row[0], row[1]) for row in connection.exec_driver_sql(sql)]


def _asked(connection: sqlite3.Connection, sql: str) -> list[tuple[str, str]]:
    return connection.execute(sql).fetchmany(MOST)


_FIELDS: dict[str, Offer] = {
    "clause": _subjects,
    "agreement": _agreements,
    "outlet": _outlets,
    "feed": _feeds,
    "saved": _saved,
    "lang": lambda _app: (("zh", "Chinese"), ("en", "English")),
    "title": lambda _app: (),
    "story": lambda _app: (),
    "since": lambda _app: (("7d", "a week"), ("30d", "a month"), ("1y", "a year")),
    "until": lambda _app: (),
}


def query(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The fields of the query language, and what may follow each."""
    typed = incomplete.lstrip("(-")
    lead = incomplete[: len(incomplete) - len(typed)]
    field, colon, value = typed.partition(":")
    if colon and field in _FIELDS:
        return _items(_FIELDS[field], ctx, value, f"{lead}{field}:")
    return [CompletionItem(f"{lead}{name}:") for name in _FIELDS if incomplete and name.startswith(typed)]


clauses = _completer(_clauses)
agreements = _completer(_agreements)
subjects = _completer(_subjects)
outlets = _completer(_outlets)
feeds = _completer(_feeds)
addresses = _completer(_addresses)
saved = _completer(_saved)


class Bash(BashComplete):
    """As click's, but words may hold colons (where bash cuts them), blanks and signs, and a field gets no blank."""

    source_template: ClassVar[str] = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            *) COMPREPLY+=("$value"); [[ $value == *: ]] && compopt -o nospace ;;
        esac
    done < <(env COMP_LINE="${COMP_LINE:0:$COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1")
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, and the one it stands in, which may be empty."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)[1:]
        return (words, "") if line[-1:].isspace() or not words else (words[:-1], words[-1])

    def format_completion(self, item: CompletionItem) -> str:
        """Without what stands before the last colon typed, as bash takes the rest for the word."""
        line = os.environ["COMP_LINE"]
        last = re.split(r"(?<!\\)\s", line)[-1]
        value = str(item.value)
        if last[:1] in ("'", '"'):
            return f"{item.type},{last[0]}{value}"
        start = last.rpartition(":")[0] + ":"
        if ":" in last and ":" in os.environ.get("COMP_WORDBREAKS", ":") and value.startswith(start):
            value = value.removeprefix(start)
        return f"{item.type}," + re.sub(r"([\s\"'\\()&|;<>$`*?!#])", r"\\\1", value)


add_completion_class(Bash)


@click.command(
    epilog="Examples:\n\n  aggregator completion bash > ~/.local/share/bash-completion/completions/aggregator\n\n"
    "  aggregator completion zsh > ~/.zfunc/_aggregator\n\n"
    "  aggregator completion fish > ~/.config/fish/completions/aggregator.fish"
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what makes a shell complete commands, options and values: clauses, outlets, feeds, saved searches."""
    from click.shell_completion import get_completion_class

    from aggregator.cli import cli

    made = get_completion_class(shell)
    if made is not None:
        click.echo(made(cli, {}, "aggregator", "_AGGREGATOR_COMPLETE").source())
