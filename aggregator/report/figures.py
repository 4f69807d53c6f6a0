"""The geometry of figures, in pixels; the templates only draw it. Text stays text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count, groupby

from aggregator.report.downtime import said
from aggregator.report.steps import label as step_label
from aggregator.report.values import Cell, Column, FeedHealth, Matrix, Period, Slot, Timeline
from aggregator.snippet import fitted, width

LEVELS = 5
NOTHING_READ = "nothing was read"
_ROW, _CELL, _LABEL = 27, 46, 268
_CHAR = 6.6  # pixels of a Latin letter at 12 px; a Chinese character takes two
_TICK = 88  # pixels that the name of a step takes
_SLANT = math.radians(48)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with its text, its kind (a class of the style sheet) and its sentence for a pointer."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    text: str = ""
    hint: str = ""
    hatched: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """Words at a place."""

    x: float
    y: float
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing: its size, what stands in it, and what it says to those who do not see it."""

    name: str
    title: str
    description: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    rows: tuple[Label, ...] = ()
    columns: tuple[Label, ...] = ()
    ticks: tuple[Label, ...] = ()
    lines: tuple[tuple[float, float, float, float], ...] = ()
    over: bool = False


def level(number: int, most: int) -> int:
    """0 to LEVELS: how dark a cell is. By the root, since a few clauses take most of the coverage."""
    return 0 if number <= 0 else max(1, math.ceil(LEVELS * math.sqrt(min(number, most) / max(most, 1))))


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where the cells of a matrix lie; `over` says that a row's words stand above its cells (for phones)."""

    left: int
    cell: int
    row: int
    head: int
    over: int = 0

    @property
    def top(self) -> int:
        return self.head + 2 * (self.row + self.over) + 8


def matrix(found: Matrix, language: str = "en", *, narrow: bool = False) -> Figure:
    """The matrix as a heat map: numbers in the cells, totals above, hatched where feeds were down or nothing was read.

    `narrow` puts the words above the cells, so that a dozen columns fit a phone.
    """
    labels = [fitted(column.label, 26) for column in found.columns]
    head = int(max((width(text) * _CHAR for text in labels), default=0) * math.sin(_SLANT)) + 22
    grid = _Grid(0, 29, 23, head, 18) if narrow else _Grid(_LABEL, _CELL, _ROW, head)
    boxes = [box for place, column in enumerate(found.columns) for box in _column(found, column, place, grid)]
    words = [("all articles", ""), ("feed down", "")]
    words += [(f"{clause.number} {clause.titled(language)}", clause.id) for clause in found.clauses]
    rows = []
    for place, (text, _clause) in enumerate(words):
        y = head + place * (grid.row + grid.over) + (8 if place > 1 else 0)
        rows.append(
            Label(0, y + 13, fitted(text, 52), text) if narrow else Label(_LABEL - 10, y + 18, fitted(text, 38), text)
        )
    columns = [
        Label(grid.left + place * grid.cell + grid.cell / 2 - 2, head - 8, text, found.columns[place].label)
        for place, text in enumerate(labels)
    ]
    last = int((width(labels[-1]) if labels else 0) * _CHAR * math.cos(_SLANT))
    return Figure(
        f"matrix-{found.agreement}",
        f"Clauses of {found.agreement} by {found.by}: articles that discuss them",
        described(found),
        max(grid.left + len(labels) * grid.cell + last - grid.cell // 2 + 8, 345 if narrow else 0),
        grid.top + len(found.clauses) * (grid.row + grid.over) + 6,
        tuple(boxes),
        tuple(rows),
        tuple(columns),
        over=narrow,
    )


def _column(found: Matrix, column: Column, place: int, grid: _Grid) -> list[Box]:
    x, size, each = grid.left + place * grid.cell, (grid.cell - 2, grid.row - 2), grid.row + grid.over
    down = said(column.down) if column.down else ""
    short = "".join(down.split(" ")[:2]) or "–"
    hint = f"{column.label}: feed down for {down}" if down else f"{column.label}: no down time known"
    total = f"{column.label}: {column.total} articles read"
    boxes = [
        Box(x, grid.head + grid.over, *size, "total", f"{column.total}", total),
        Box(x, grid.head + grid.over + each, *size, "down" if down else "up", short, hint),
    ]
    for row, clause in enumerate(found.clauses):
        cell = found.cell(clause, column)
        kind = "none" if cell.mark == "?" else f"c{level(cell.count, found.most)}"
        hint = f"{clause.number} {clause.titled()}, {column.label}: {sentence(cell, column)}"
        y = grid.top + row * each + grid.over
        boxes.append(Box(x, y, *size, kind, cell.shown.rstrip("!"), hint, hatched=bool(cell.mark)))
    return boxes


def sentence(cell: Cell, column: Column) -> str:
    """A cell in words."""
    if cell.mark == "?":
        return "no data, nothing was read in this time"
    said_down = f"; its feed was down for {said(column.down)}, so some may be missing" if cell.mark else ""
    return f"{cell.count} of {column.total} articles{said_down}"


def described(found: Matrix) -> str:
    """What a matrix shows, in two sentences."""
    covered = sum(1 for clause in found.clauses if found.of(clause))
    unheard = [column.label for column in found.columns if not column.heard]
    down = [column.label for column in found.columns if column.down]
    parts = [f"{covered} of {len(found.clauses)} clauses are discussed."]
    if unheard:
        parts.append(f"Nothing was read in: {', '.join(unheard)}.")
    if down:
        parts.append(f"Feeds were down in: {', '.join(down)}.")
    return " ".join(parts)


def timeline(found: Timeline, title: str, *, size: tuple[int, int] = (540, 112)) -> Figure:
    """Bars a step: original texts dark, reprints light above them; what was missing behind them."""
    total_width, total_height = size
    left, right, top, bottom = 38, 8, 12, 24
    plot_width, plot_height = total_width - left - right, total_height - top - bottom
    step = plot_width / max(len(found.slots), 1)
    most = _round_up(found.most)
    boxes = _gaps(found, left, step, (top, plot_height))
    for place, slot in enumerate(found.slots):
        boxes += _bars(slot, found.unit, (left + place * step, step), (top, plot_height), most)
    base = top + plot_height
    return Figure(
        f"timeline-{found.subject}",
        title,
        told(found),
        total_width,
        total_height,
        tuple(boxes),
        rows=(Label(left - 6, top + 9, str(most)), Label(left - 6, base, "0")),
        ticks=tuple(_ticks(found, left, step, base + 16, total_width)),
        lines=((left, top, total_width - right, top), (left, base, total_width - right, base)),
    )


def _gaps(found: Timeline, left: float, step: float, down: tuple[int, int]) -> list[Box]:
    """Each run of steps whose silence may be ours: hatched where nothing was read, a strip where some feeds were down."""
    boxes: list[Box] = []
    at = 0
    for why, run in groupby(found.slots, _silence):
        slots = list(run)
        if why:
            first, last = step_label(slots[0].start, found.unit), step_label(slots[-1].start, found.unit)
            name = first if len(slots) == 1 else f"{first} to {last}"
            whole = why == NOTHING_READ
            kind, height = ("gap", down[1]) if whole else ("partly", 4)
            boxes.append(
                Box(left + at * step, down[0], len(slots) * step, height, kind, "", f"{name}: {why}", hatched=whole)
            )
        at += len(slots)
    return boxes


def _silence(slot: Slot) -> str:
    """Why nothing may have been read in a step; empty where all was well."""
    if not slot.total:
        return NOTHING_READ
    if slot.down:
        return f"feeds down: {', '.join(slot.down[:6])}{' and more' if len(slot.down) > 6 else ''}"  # noqa: PLR2004
    return ""


def _bars(slot: Slot, unit: str, across: tuple[float, float], down: tuple[int, int], most: int) -> list[Box]:
    (x, step), (top, height) = across, down
    name = step_label(slot.start, unit)
    boxes = []
    gap = min(2.0, step / 5)
    own, copied = slot.articles - slot.reprints, slot.reprints
    tall, above = own / most * height, copied / most * height
    hint = (
        f"{name}: {slot.articles} of {slot.total} articles, {slot.reprints} of them reprints, {slot.outlets} outlets"
    )
    if own:
        boxes.append(Box(x + gap / 2, top + height - tall, step - gap, tall, "bar", hint=hint))
    if copied:
        boxes.append(Box(x + gap / 2, top + height - tall - above, step - gap, above, "copy", hint=hint))
    return boxes


def _ticks(found: Timeline, left: float, step: float, y: float, edge: float) -> list[Label]:
    """Names of steps below the axis, as many as have room."""
    every = max(1, math.ceil(len(found.slots) * _TICK / (edge - left)))
    return [
        Label(min(max(left + place * step + step / 2, 32), edge - 34), y, step_label(slot.start, found.unit))
        for place, slot in zip(count(), found.slots, strict=False)
        if place % every == every // 2
    ]


def told(found: Timeline) -> str:
    """What a timeline shows, in a sentence or two."""
    spoken = [slot for slot in found.slots if slot.articles]
    if not spoken:
        return f"No article in {len(found.slots)} {found.unit}s."
    top = max(spoken, key=lambda slot: slot.articles)
    text = (
        f"{found.articles} article{'' if found.articles == 1 else 's'} in {len(spoken)} of {len(found.slots)} {found.unit}s,"
        f" most in {step_label(top.start, found.unit)} ({top.articles})."
    )
    partly = sum(1 for slot in found.slots if slot.down and slot.total)
    silent = sum(1 for slot in found.slots if not slot.total)
    text += f" Some feeds were down in {partly} of them." if partly else ""
    return text + (f" Nothing was read in {silent} of them." if silent else "")


def strip(feed: FeedHealth, period: Period, *, size: tuple[int, int] = (240, 16)) -> Figure:
    """A feed's period as a bar: green where it answered, red where it was down."""
    seconds = max((period.until - period.since).total_seconds(), 1)

    def at(instant: float) -> float:
        return size[0] * instant / seconds

    boxes = [Box(0, 0, size[0], size[1], "up")]
    for down in feed.down:
        start = max((down.since - period.since).total_seconds(), 0)
        end = min(((down.until or period.until) - period.since).total_seconds(), seconds)
        if end > start:
            until = f"{down.until:%Y-%m-%d %H:%M}" if down.until else "now"
            boxes.append(
                Box(at(start), 0, max(at(end - start), 1.5), size[1], "down",
                    hint=f"{down.since:%Y-%m-%d %H:%M} to {until}: {down.error}")
            )  # fmt: skip
    said_down = f"down for {said(feed.hours)}" if feed.hours else "no down time known"
    return Figure(f"strip-{feed.feed}", f"{feed.title or feed.feed}: {said_down}", "", size[0], size[1], tuple(boxes))


def _round_up(number: int) -> int:
    """A round number that holds the largest bar: 1, 2, 5 and their tens."""
    scale = int("1" + "0" * (len(str(number)) - 1))
    return next(step * scale for step in (1, 2, 3, 5, 10) if step * scale >= number)
