"""The filter options that every listing takes, read once."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from aggregator.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS = (
    click.option("--agreement", multiple=True, metavar="ID", help="Only articles that identify this agreement."),
    click.option("--clause", multiple=True, metavar="ID", help="Only articles that discuss this clause."),
    click.option("--outlet", multiple=True, metavar="NAME", help="Only this outlet."),
    click.option("--lang", type=click.Choice(["zh", "en"]), help="Only this language."),
    click.option("--since", metavar="DATE", help="Published on or after: 2023-11-01, 2023-11-01T08:00, 7d, 12h."),
    click.option("--until", metavar="DATE", help="Published before."),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many."),
)


def filter_options(command: F) -> F:
    """Add the filter options to a command; it receives them as keyword arguments."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def moment(text: str | None, now: datetime) -> datetime | None:
    """A date, an instant or an age (`7d`, `12h`, `2w`) before now; naive ones are UTC. Raises UsageError."""
    if text is None:
        return None
    if age := re.fullmatch(r"(\d{1,5})([hdw])", text.strip()):
        units = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
        return now - int(age[1]) * units[age[2]]
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{text!r} is not a date; write 2023-11-01, 2023-11-01T08:00 or an age such as 7d") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
