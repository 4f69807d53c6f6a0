"""The text as the matcher reads it: folded, its noise taken out, with the way back to every offset.

Reprints carry zero-width characters, spaces and marks between Han characters, and pinyin remarks inside words
(`聯(lián)合`). Words are looked for in a view without them; `View.span` gives the place in the article as it stands.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from aggregator.text import CJK, fold

_BLANK = " \t\u00a0\u2000-\u200a\u202f\u3000"
_ZERO = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
)
_MARKS = "*·•|_~^#`¤§¨¦†‡°★☆◆◇■□●○◎▲△▼▽"
_PINYIN = "[a-zāáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜüńňǹḿ]{1,6}"
_HAN_OR_MARK = f"{CJK}，。、；：？！“”‘’「」『』《》〈〉（）…—"
# One character of noise is found first (a set the engine scans for quickly), then what stands around it is looked at.
_NOISE = re.compile(
    f"[{_BLANK}{_ZERO}{_MARKS}(（](?:"
    f"(?<=[{_ZERO}])[{_ZERO}]*"
    f"|(?<=[{_HAN_OR_MARK}].)(?:"
    f"(?<=[{_BLANK}])[{_BLANK}{_ZERO}]*(?=[{_HAN_OR_MARK}])"
    f"|(?<=[{_MARKS}])[{_MARKS}{_ZERO}]*(?=[{CJK}])"
    f"|(?:(?<=[(（])|(?<=[{_BLANK}])[{_BLANK}]*[(（]){_PINYIN}(?:\\s*[/,，]\\s*{_PINYIN})*[)）](?:[{_BLANK}]+(?=[{_HAN_OR_MARK}]))?"
    f")|(?<=[ \n] ) *)"
)
# Pinyin without brackets between Han characters; only looked for where there is a letter with a tone.
_TONES = "āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ"
_TONE = re.compile(f"[{_TONES}]")
_BARE = re.compile(f"{_NOISE.pattern}|(?<=[{CJK}])[a-z]{{0,3}}[{_TONES}][a-z]{{0,3}}(?=[{CJK}])")
_SPACES = dict.fromkeys("-\u2010\u2011\u2012\u00a0", " ") | {"\u2019": "'"}


class _Reading(dict[int, str]):
    """A `str.translate` table made as characters are met: `text.fold`, and hyphens as spaces."""

    def __missing__(self, code: int) -> str:
        char = "\ufffd" if 0xD800 <= code <= 0xDFFF else fold(chr(code))  # noqa: PLR2004 - a lone surrogate
        self[code] = char = _SPACES.get(char, char)
        return char


_READING = _Reading()


@dataclass(frozen=True, slots=True)
class View:
    """`text` is what words are matched in; `starts` and `shifts` lead back to the text as it stands."""

    text: str
    starts: tuple[int, ...] = (0,)
    shifts: tuple[int, ...] = (0,)

    def at(self, index: int) -> int:
        """Where the character at an index of the view stands in the original."""
        return index + self.shifts[bisect_right(self.starts, index) - 1]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original span of a span of the view, noise inside included and noise at its ends left out."""
        return (self.at(start), self.at(end - 1) + 1) if end > start else (self.at(start), self.at(start))


def normal(words: str) -> str:
    """A word or phrase as it stands in a view: folded, hyphens as spaces, white space single.

    >>> normal("Carbon-Free  電力")
    'carbon free 电力'
    """
    return " ".join(words.translate(_READING).split())


def view(text: str) -> View:
    """The view of a text; without noise its offsets are the text's own."""
    folded = text.translate(_READING)
    if text.isascii() and "  " not in folded:
        return View(folded)
    pieces, starts, shifts, kept, last = [], [0], [0], 0, 0
    for found in (_BARE if _TONE.search(text) else _NOISE).finditer(text):
        start, end = found.span()
        if start > last:
            pieces.append(folded[last:start])
            kept += start - last
        last = end
        if starts[-1] == kept:
            shifts[-1] = end - kept
        else:
            starts.append(kept)
            shifts.append(end - kept)
    if not last:
        return View(folded)
    pieces.append(folded[last:])
    return View("".join(pieces), tuple(starts), tuple(shifts))


def joined(title: str, text: str) -> tuple[View, int]:
    """One view of title and text, a line's end between them, and the offset at which the text begins."""
    return view(f"{title}\n{text}"), len(title) + 1


_END = re.compile(r"[。！？!?；;…]+[”’」』）)\"'】]*|\.[”’)\"']*(?=\s+[\"'“‘(]?\S)|\n+")
_ABBREVIATED = re.compile(
    r"(?:\b(?:u\.s|u\.k|u\.n|e\.u|d\.c|a\.m|p\.m|e\.g|i\.e|mr|mrs|ms|dr|st|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|no|vs|art|arts|prof|gen|gov|sen|rep|inc|co|ltd|etc)|\b[a-z]|^\s*\d{1,2}|\n\s*\d{1,2})\Z"
)
LEAST, MOST = 4, 400


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences of a view, white space at their ends left out."""
    spans: list[tuple[int, int]] = []
    start = 0
    for found in _END.finditer(text):
        if found.group()[0] == "." and _ABBREVIATED.search(text, max(start, found.start() - 8), found.start()):
            continue
        _add(spans, text, start, found.end())
        start = found.end()
    _add(spans, text, start, len(text))
    return spans


def _add(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    end -= len(piece) - len(piece.rstrip())
    if start < end:
        spans.append((start, end))
