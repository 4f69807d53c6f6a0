"""Plain text: folding that keeps every offset, sentences, paragraphs, and which language a text is in.

OpenCC's `t2s` tables decide which traditional character stands for which simplified one; this module is the one
owner of that library. Character by character the conversion never changes a length, so a span found in folded text
is a span of the text as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import opencc

CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HAN = re.compile(f"[{CJK}]+")
_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalpha())
# A sentence ends after 。！？；… or ASCII .!? before white space, closing marks included, or at a line's end.
_SENTENCE = re.compile(r"[^\n]*?(?:[。！？!?；;…]+[”’」』）)\"']*|\.(?:[”’)\"']*)(?=\s|$)|(?=\n)|$)", re.DOTALL)
_LAST_BEFORE_CJK = 0x2E7F
_FULL_WIDTH = {0x3000: " "} | {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}


@cache
def _converter() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def simplified(text: str) -> str:
    """Text in simplified characters by OpenCC's t2s, phrases included; the length may differ in rare phrases."""
    return str(_converter().convert(text))


def in_taiwan(words: Iterable[str]) -> list[str]:
    """Each word as it is put in Taiwan, by OpenCC's s2twp: 循环 is 迴圈 there, 项目 專案. One pass for all of them."""
    words = list(words)
    found = str(opencc.OpenCC("s2twp").convert("\n".join(words))).split("\n")
    return found if len(found) == len(words) else words


class _Fold(dict[int, str]):
    """A `str.translate` table made as characters are met: one character in, one out."""

    def __missing__(self, code: int) -> str:
        char = _FULL_WIDTH.get(code, chr(code))
        low = char.lower()
        char = low if len(low) == 1 else char
        if code > _LAST_BEFORE_CJK:
            other = simplified(char)
            char = other if len(other) == 1 else char
        self[code] = char
        return char


_FOLD = _Fold()


def fold(text: str) -> str:
    """Script, case and width removed, one character for one: `len(fold(t)) == len(t)`, spans carry over.

    >>> fold("陽光之鄉ＣＯＰ２８")
    '阳光之乡cop28'
    """
    return text.translate(_FOLD)


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences, outer white space excluded; a line's end always ends one."""
    spans = []
    for found in _SENTENCE.finditer(text):
        start, end = found.span()
        piece = found.group()
        start += len(piece) - len(piece.lstrip())
        end -= len(piece) - len(piece.rstrip())
        if start < end:
            spans.append((start, end))
    return spans


def paragraphs(text: str) -> list[tuple[int, int]]:
    """Spans of the non-empty lines."""
    return [found.span() for found in re.finditer(r"[^\n]+", text)]


def language(text: str) -> str | None:
    """`zh` or `en` by the share of Han characters among letters; None where there are too few to tell."""
    head = text[:4000]
    latin = len(head.encode("ascii", "ignore").translate(None, _NO_LETTERS))
    han = 0 if head.isascii() else sum(map(len, _HAN.findall(head)))
    if han + latin < 4:  # noqa: PLR2004 - a title of two words is the least that says something
        return None
    # A Han character is about half a word, a Latin letter a fifth of one.
    return "zh" if han * 3 >= latin else "en"


def clean(text: str) -> str:
    """Text that every store and terminal can hold: no NUL, lone surrogates or other control characters."""
    return _CONTROL.sub("", text)


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


MOST_TAGS = 50_000
"""Tags of which a tree is built. The longest of 1,020 real articles has 411; 50,000 take 40 MB and two seconds at the
worst, and both grow with their number."""


def is_crowded(html: str) -> bool:
    """Whether there are too many tags for a tree of them; then the text is taken without one."""
    return html.count("<") > MOST_TAGS


_TAG = re.compile(r"<[^>]*>")
_UNSEEN = re.compile(r"<(/?)(script|style)\b", re.IGNORECASE)


def without_tags(html: str, instead: str) -> str:
    """The text with `instead` in the place of each tag; a `<` after the last `>` opens none.

    What follows the last `>` is left out of the search: there each `<` would look through all the rest in vain.
    """
    end = html.rfind(">") + 1
    return _TAG.sub(instead, html[:end]) + html[end:]


def without_scripts(html: str) -> str:
    """Without scripts and styles up to the tag that ends each; one without an end goes on to the end of all.

    >>> without_scripts("a<style>b</script></style>c<script>d")
    'a</style>c'
    """
    pieces, start, inside = [], 0, ""
    for found in _UNSEEN.finditer(html):
        closing, name = found[1], found[2].lower()
        if not inside and not closing:
            pieces.append(html[start : found.start()])
            inside = name
        elif closing and name == inside:
            start, inside = found.start(), ""
    return "".join(pieces) + ("" if inside else html[start:])
