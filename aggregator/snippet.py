"""Snippets: the part of a text where a query matched, cut to a width, with the matches' spans.

Widths are terminal columns: East Asian wide and full-width characters and emoji take two (Unicode UAX #11),
combining and format characters none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aggregator.text import fold, simplified

ELLIPSIS = "…"
_SPACE = re.compile(r"\s+")
_BOUNDARY = re.compile(r"[。！？!?；;\n]|\.\s")


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of a text on one line, as the source writes it; `spans` are the matches in it, sorted and disjoint."""

    text: str
    spans: tuple[tuple[int, int], ...] = ()


def matches(text: str, needles: Iterable[str]) -> list[tuple[int, int]]:
    """Spans in `text` of every needle, compared as search compares (simplified characters, lower case).

    Overlapping and touching spans are joined. Where lower case changes lengths (one letter of Turkish), character
    by character folding stands in, so that spans always fit the text.
    """
    low = simplified(text).lower()
    if len(low) != len(text):
        low = fold(text)
    found: list[tuple[int, int]] = []
    for needle in needles:
        wanted = simplified(needle).lower()
        if wanted:
            found.extend(hit.span() for hit in re.finditer(re.escape(wanted), low))
    return _joined(found)


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def snippet(text: str, needles: Sequence[str], columns: int = 120) -> Snippet:
    """The piece of `text`, at most `columns` wide, that holds the most different needles; else its beginning.

    It starts at a sentence's beginning where the match lies near one. White space is shown as one blank.
    """
    columns = max(columns, 4)
    hits = [matches(text, [needle]) for needle in dict.fromkeys(needles)]
    anchor = _anchor(hits, columns)
    start = _start(text, anchor, columns // 3)
    head = ELLIPSIS if start > 0 else ""
    body, whole = _cut(_SPACE.sub(" ", text[start : start + 4 * columns]).strip(), columns - len(head) - 1)
    whole = whole and start + 4 * columns >= len(text)
    line = head + body + ("" if whole else ELLIPSIS)
    return Snippet(line, tuple(matches(line, needles)))


def _anchor(hits: Sequence[Sequence[tuple[int, int]]], columns: int) -> int | None:
    """Where a window should begin to hold the most different needles; the first such place."""
    places = sorted((start, number) for number, spans in enumerate(hits) for start, _end in spans)
    best: tuple[int, int] | None = None
    for index, (start, _number) in enumerate(places):
        near = {number for at, number in places[index : index + 40] if at < start + columns // 3}
        if best is None or len(near) > best[0]:
            best = (len(near), start)
            if len(near) == sum(bool(spans) for spans in hits):
                break
    return best[1] if best else None


def _start(text: str, anchor: int | None, before: int) -> int:
    """Where the snippet starts: at the sentence's beginning if that is near, else a little before the match."""
    if anchor is None or anchor <= before // 2:
        return 0
    low = max(anchor - before, 0)
    boundaries = [found.end() for found in _BOUNDARY.finditer(text, low, anchor)]
    if boundaries:
        return boundaries[-1]
    if low == 0:
        return 0
    start = max(anchor - before // 2, 0)
    space = text.find(" ", start, anchor)
    return space + 1 if space >= 0 else start


# --- widths -----------------------------------------------------------------------------------------------------


def width(text: str) -> int:
    """Terminal columns that a line takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(char: str) -> int:
    if char < "\u0300":
        return 1
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _cut(text: str, columns: int) -> tuple[str, bool]:
    """The beginning of a line that fits, and whether that is all of it; a Latin word is not torn if short."""
    used = 0
    for index, char in enumerate(text):
        used += _columns(char)
        if used > columns:
            space = text.rfind(" ", max(index - 12, 0), index + 1)
            return text[: space if space > 0 and char.isascii() else index].rstrip(), False
    return text, True


def fitted(text: str, columns: int) -> str:
    """The line cut to a number of columns, with an ellipsis when something is missing."""
    if width(text) <= columns:
        return text
    return _cut(text, max(columns - 1, 0))[0] + ELLIPSIS if columns > 0 else ""


def padded(text: str, columns: int) -> str:
    """The line cut or filled with blanks to exactly so many columns."""
    line = fitted(text, columns)
    return line + " " * (columns - width(line))
