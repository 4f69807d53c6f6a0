"""How far a long work is: a counter on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from aggregator import ending

Advance = Callable[[float, str], object]
"""Told how many are done, and a word on them."""


@contextmanager
def interruptible(sentence: str) -> Iterator[None]:
    """Say on Ctrl-C how things stand; the command then ends with 130, as it does of itself."""
    try:
        yield
    except BaseException as error:
        if ending.came_of_ctrl_c(error):
            click.echo(f"aggregator: stopped; {sentence}", err=True)
        raise


@contextmanager
def progress(name: str, total: float | None = None) -> Iterator[Advance]:
    """A bar with a time where the total is known, a counter where not; both go away at the end."""
    if not sys.stderr.isatty():
        yield lambda _done, _note: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    counted = TextColumn("{task.completed:.0f}")
    columns = (
        (BarColumn(), counted, TimeRemainingColumn()) if total else (SpinnerColumn(), counted, TimeElapsedColumn())
    )
    console = Console(stderr=True)
    with Progress(
        TextColumn(name), *columns, TextColumn("{task.description}"), console=console, transient=True
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda done, note: bar.update(task, completed=done, description=note)
