"""The geometry of figures, in pixels; the templates only draw it. Text stays text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count

from aggregator.report.downtime import said
from aggregator.report.steps import label as step_label
from aggregator.report.values import Cell, Column, FeedHealth, Matrix, Period, Slot, Timeline
from aggregator.snippet import fitted, width

LEVELS = 5
_ROW, _CELL, _LABEL = 27, 46, 268
_CHAR = 6.6  # pixels of a Latin letter at 12 px; a Chinese character takes two
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


def level(number: int, most: int) -> int:
    """0 to LEVELS: how dark a cell is. By the root, since a few clauses take most of the coverage."""
    return 0 if number <= 0 else max(1, math.ceil(LEVELS * math.sqrt(min(number, most) / max(most, 1))))


def matrix(found: Matrix, language: str = "en") -> Figure:
    """The matrix as a heat map: numbers in the cells, totals above, hatched where feeds were down or nothing was read."""
    labels = [fitted(column.label, 26) for column in found.columns]
    head = int(max((width(text) * _CHAR for text in labels), default=0) * math.sin(_SLANT)) + 22
    top = head + 2 * _ROW + 8
    boxes = [box for place, column in enumerate(found.columns) for box in _column(found, column, place, head, top)]
    rows = [Label(_LABEL - 10, head + 18, "all articles"), Label(_LABEL - 10, head + _ROW + 18, "feed down")]
    for place, clause in enumerate(found.clauses):
        text = f"{clause.number} {clause.titled(language)}"
        rows.append(Label(_LABEL - 10, top + place * _ROW + 18, fitted(text, 38), text))
    columns = [
        Label(_LABEL + place * _CELL + _CELL / 2 - 2, head - 8, text, found.columns[place].label)
        for place, text in enumerate(labels)
    ]
    return Figure(
        f"matrix-{found.agreement}",
        f"Clauses of {found.agreement} by {found.by}: articles that discuss them",
        described(found),
        _LABEL + len(labels) * _CELL + int((width(labels[-1]) if labels else 0) * _CHAR * math.cos(_SLANT)) + 12,
        top + len(found.clauses) * _ROW + 6,
        tuple(boxes),
        tuple(rows),
        tuple(columns),
    )


def _column(found: Matrix, column: Column, place: int, head: int, top: int) -> list[Box]:
    x, size = _LABEL + place * _CELL, (_CELL - 2, _ROW - 2)
    down = said(column.down) if column.down else ""
    boxes = [
        Box(x, head, *size, "total", f"{column.total}", f"{column.label}: {column.total} articles read"),
        Box(x, head + _ROW, *size, "down" if down else "up", down.split(" ")[0] + down.split(" ")[1] if down else "–",
            f"{column.label}: feed down for {down}" if down else f"{column.label}: no down time known"),
    ]  # fmt: skip
    for row, clause in enumerate(found.clauses):
        cell = found.cell(clause, column)
        kind = "none" if cell.mark == "?" else f"c{level(cell.count, found.most)}"
        hint = f"{clause.number} {clause.titled()}, {column.label}: {sentence(cell, column)}"
        boxes.append(Box(x, top + row * _ROW, *size, kind, cell.shown.rstrip("!"), hint, hatched=bool(cell.mark)))
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


def timeline(found: Timeline, title: str, *, size: tuple[int, int] = (620, 132)) -> Figure:
    """Bars a step: original texts dark, reprints light above them; hatched where feeds were down or nothing was read."""
    total_width, total_height = size
    left, right, top, bottom = 38, 8, 12, 24
    plot_width, plot_height = total_width - left - right, total_height - top - bottom
    step = plot_width / max(len(found.slots), 1)
    most = _round_up(found.most)
    boxes: list[Box] = []
    for place, slot in enumerate(found.slots):
        x = left + place * step
        boxes += _bars(slot, found.unit, (x, step), (top, plot_height), most)
    base = top + plot_height
    return Figure(
        f"timeline-{found.subject}",
        title,
        told(found),
        total_width,
        total_height,
        tuple(boxes),
        rows=(Label(left - 6, top + 9, str(most)), Label(left - 6, base, "0")),
        ticks=tuple(_ticks(found, left, step, base + 16)),
        lines=((left, top, total_width - right, top), (left, base, total_width - right, base)),
    )


def _bars(slot: Slot, unit: str, across: tuple[float, float], down: tuple[int, int], most: int) -> list[Box]:
    (x, step), (top, height) = across, down
    name = step_label(slot.start, unit)
    boxes = []
    if slot.down or not slot.total:
        why = f"feeds down: {', '.join(slot.down)}" if slot.down else "nothing was read"
        boxes.append(Box(x, top, step, height, "gap", hint=f"{name}: {why}", hatched=True))
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


def _ticks(found: Timeline, left: float, step: float, y: float) -> list[Label]:
    """At most seven names of steps below the axis."""
    every = max(1, math.ceil(len(found.slots) / 7))
    return [
        Label(left + place * step + step / 2, y, step_label(slot.start, found.unit))
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
        f"{found.articles} articles in {len(spoken)} of {len(found.slots)} {found.unit}s,"
        f" most in {step_label(top.start, found.unit)} ({top.articles})."
    )
    silent = sum(1 for slot in found.slots if slot.down or not slot.total)
    return text + (f" In {silent} {found.unit}s feeds were down or nothing was read." if silent else "")


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
    scale = 10 ** max(len(str(number)) - 1, 0)
    return next(step * scale for step in (1, 2, 3, 5, 10) if step * scale >= number)
