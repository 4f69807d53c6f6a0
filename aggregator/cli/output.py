"""What is printed: tables, JSON, CSV and Markdown, for people on a terminal and for programs in a pipe.

Nothing from outside reaches a terminal as a command: `safe` takes out control characters, escape sequences and marks
that turn the direction of writing. CSV is written as the data are, for programs; a cell that a spreadsheet would take
for a formula (`=`, `+`, `-`, `@` and what follows) is only defused with `--format csv` on request of the caller
(`formulas=False`), because that changes the data (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TextIO

import click

from aggregator.snippet import fitted, padded, width

FORMATS = ("table", "json", "jsonl", "csv", "markdown")
_HARMFUL = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?"  # CSI and OSC sequences (ECMA-48)
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LINE = re.compile(r"\s+")
_GAP = 2


def safe(text: str) -> str:
    """Text that a terminal only shows: no escape sequences, control characters or direction marks; lines stay."""
    return _HARMFUL.sub("", text)


def line(text: str) -> str:
    """Safe text on one line."""
    return _LINE.sub(" ", safe(text)).strip()


def marked(text: str, spans: Iterable[tuple[int, int]], *, colour: bool | None = None) -> str:
    """Safe text with the spans in bold colour; without colour between [ and ]."""
    colour = coloured() if colour is None else colour
    parts, at = [], 0
    for start, end in sorted(spans):
        if start < at:
            continue
        hit = safe(text[start:end])
        parts += [safe(text[at:start]), f"\x1b[1;33m{hit}\x1b[0m" if colour else f"[{hit}]"]
        at = end
    return "".join([*parts, safe(text[at:])])


def coloured(file: TextIO | None = None) -> bool:
    """Whether to colour: on a terminal that is not dumb, unless NO_COLOR is set (no-color.org); FORCE_COLOR wins."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return (file or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"


def bold(text: str) -> str:
    """Bold where colours are shown."""
    return f"\x1b[1m{text}\x1b[0m" if coloured() else text


def dim(text: str) -> str:
    """Faint where colours are shown."""
    return f"\x1b[2m{text}\x1b[0m" if coloured() else text


def columns() -> int:
    """The terminal's width; 100 in a pipe."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100


def page(text: str) -> None:
    """Print; through the reader's pager when a terminal is too low for it."""
    low = shutil.get_terminal_size((100, 24)).lines
    if sys.stdout.isatty() and text.count("\n") >= low and os.environ.get("PAGER") != "":
        os.environ.setdefault("LESS", "FRX")
        click.echo_via_pager(text if text.endswith("\n") else text + "\n", color=coloured())
        return
    click.echo(text, color=coloured())


# --- rows -------------------------------------------------------------------------------------------------------


def rows(values: Iterable[Mapping[str, Any]], form: str, *, right: Sequence[str] = ()) -> None:
    """Print rows of named values in one of FORMATS; `right` names columns set to the right (numbers are by themselves).

    A table fits the terminal; its columns are those of the first row.
    """
    if form == "table":
        page("\n".join(table(list(values), columns(), right)))
    elif form == "json":
        click.echo(json.dumps([dict(row) for row in values], ensure_ascii=False, indent=1, default=str))
    elif form == "markdown":
        for text in markdown(values):
            click.echo(text)
    else:
        stream(values, form, sys.stdout)


def stream(values: Iterable[Mapping[str, Any]], form: str, file: TextIO, *, formulas: bool = True) -> None:
    """Write rows as `jsonl` or `csv` while they come. Lists and objects are JSON in a CSV cell.

    CSV follows RFC 4180 with newline ends. Unless `formulas`, cells that a spreadsheet would compute get a leading '.
    """
    if form == "jsonl":
        file.writelines(json.dumps(dict(row), ensure_ascii=False, default=str) + "\n" for row in values)
        return
    if form != "csv":
        raise ValueError(f"{form} cannot be streamed")
    remaining = iter(values)
    first = next(remaining, None)
    if first is None:
        return
    writer = csv.DictWriter(file, list(first), lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in chain((first,), remaining):
        writer.writerow({name: _cell(value, formulas=formulas) for name, value in row.items()})


def _cell(value: Any, *, formulas: bool) -> Any:
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    text = value if not isinstance(value, str) else value.replace("\x00", "")
    if not formulas and isinstance(text, str) and text[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{text}"
    return text


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, (list, tuple)):
        return line(", ".join(map(_shown, value)))
    return line(str(value))


def markdown(values: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A GitHub-flavoured table, line by line; pipes and brackets in cells are escaped."""
    remaining = iter(values)
    head = list(islice(remaining, 1))
    if not head:
        return
    names = list(head[0])
    yield "| " + " | ".join(names) + " |"
    yield "|" + "|".join(" --- " for _name in names) + "|"
    for row in chain(head, remaining):
        yield "| " + " | ".join(_escaped(_shown(row.get(name))) for name in names) + " |"


def _escaped(text: str) -> str:
    return re.sub(r"([\\|`*_<\[\]])", r"\\\1", text)


def table(values: Sequence[Mapping[str, Any]], total: int, right: Sequence[str] = ()) -> Iterator[str]:
    """A table at most `total` columns wide, wide characters counted as two: the widest columns give way first."""
    if not values:
        return
    names = list(values[0])
    cells = [[_shown(row.get(name)) for name in names] for row in values]
    wanted = [max(map(width, (name, *column))) for name, column in zip(names, zip(*cells, strict=True), strict=True)]
    widths = _shared(wanted, total - _GAP * (len(names) - 1))
    numeric = {name for name in names if all(isinstance(row.get(name), (int, float)) for row in values)}
    rightward = [name in numeric or name in right for name in names]
    yield bold(_joined(names, widths, rightward))
    for row in cells:
        yield _joined(row, widths, rightward)


def _shared(wanted: Sequence[int], room: int) -> list[int]:
    """Widths that add up to the room there is: what is over a common limit is cut to it."""
    if sum(wanted) <= room:
        return list(wanted)
    limit = max(wanted)
    while limit > 1 and sum(min(one, limit) for one in wanted) > room:
        limit -= 1
    return [min(one, limit) for one in wanted]


def _joined(cells: Sequence[str], widths: Sequence[int], rightward: Sequence[bool]) -> str:
    set_cells = (
        " " * (columns_ - width(cut)) + cut if to_right else padded(cell, columns_)
        for cell, columns_, to_right in zip(cells, widths, rightward, strict=True)
        for cut in [fitted(cell, columns_)]
    )
    return (" " * _GAP).join(set_cells).rstrip()
