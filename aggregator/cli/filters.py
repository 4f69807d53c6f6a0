"""The filter options that every listing takes, read once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from aggregator.cli import complete
from aggregator.errors import UsageError
from aggregator.query import span

F = TypeVar("F", bound=Callable[..., Any])

SINCE = click.option("--since", metavar="DATE", help="Published on or after: 2023-11-01, 2023-11, 7d, 12h.")
UNTIL = click.option("--until", metavar="DATE", help="Published before the end of: 2023-11-30, 2023-11, 2023.")
QUERY = click.option(
    "--query",
    shell_complete=complete.query,
    default="",
    metavar="QUERY",
    help="Only what `aggregator search QUERY` finds.",
)
OPTIONS = (
    click.option(
        "--agreement",
        multiple=True,
        shell_complete=complete.agreements,
        metavar="ID",
        help="Only articles that identify this agreement.",
    ),
    click.option(
        "--clause",
        multiple=True,
        shell_complete=complete.clauses,
        metavar="ID",
        help="Only articles that discuss this clause.",
    ),
    click.option("--outlet", multiple=True, shell_complete=complete.outlets, metavar="NAME", help="Only this outlet."),
    click.option("--lang", type=click.Choice(["zh", "en"]), help="Only this language."),
    SINCE,
    UNTIL,
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many."),
)


def filter_options(command: F) -> F:
    """Add the filter options to a command; it receives them as keyword arguments."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def starting(text: str | None, now: datetime) -> datetime | None:
    """The first instant of a day, month or year, an instant or an age before now, as in queries. Raises UsageError."""
    return _span(text, now)[0] if text else None


def ending(text: str | None, now: datetime) -> datetime | None:
    """The end of a day, month or year (the next one's first instant), an instant or an age. Raises UsageError."""
    return _span(text, now)[1] if text else None


def _span(text: str, now: datetime) -> tuple[datetime, datetime]:
    try:
        return span(text.strip(), now)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a date; write 2023-11-01, 2023-11, 2023-11-01T08:00 or an age such as 7d"
        ) from None
