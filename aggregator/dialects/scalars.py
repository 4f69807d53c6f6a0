"""One value on one line of a head, and how it was quoted.

A head is YAML as Hexo and Jekyll write it. Only single-line values are read here; a value and its `Style` give the
same characters again. What a site generator writes though YAML forbids it (`title: Climate: what now`, quotes
inside quotes) is read literally, style `naive`, because such files are common and their meaning is plain.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# YAML 1.1 and 1.2 together: what some reader would take for null, a boolean, a number, a date or a merge.
_TYPED = re.compile(
    r"(?i:~|null|true|false|yes|no|on|off|y|n|=|<<|\.nan|[-+]?\.inf)|[-+]?[0-9.][0-9_.,:xobeETtZz+\- a-fA-F]*"
)
_INDICATORS = frozenset("-?:,[]{}#&*!|>'\"%@`")
_BROKEN = re.compile(r": |:$| #|^---|^\.\.\.|[^\x20-\x7e\xa0-\u2027\u202a-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_SINGLE = re.compile(r"'((?:[^']|'')*)'([ \t\r]*(?:[ \t]#.*)?)\Z")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"([ \t\r]*(?:[ \t]#.*)?)\Z')
_LITERAL = re.compile(r"""(['"])(.*)\1([ \t\r]*)\Z""")
_COMMENT = re.compile(r"(?<![^ \t])#")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_SHORT = {"0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b"} | {
    "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029", '"': '"', "\\": "\\", "/": "/", " ": " "
}  # fmt: skip
_WRITTEN = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_MUST_ESCAPE = re.compile('["\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]')
_MULTI_LINE = re.compile(r"[\x00-\x08\n-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class Scalar(NamedTuple):
    r"""A value, its style (`single`, `double`, `double 3=\u00e9` with escapes, `bare`, `naive`, `literal'`), and what follows on the line."""

    value: str
    style: str
    end: str = ""


def parse(text: str) -> Scalar | None:
    """The value in what stands after `key: `; None for what is no plain one-line value (alias, block, mapping)."""
    if text.startswith(("'", '"')):
        return _quoted(text)
    found = _COMMENT.search(text)
    value = (text[: found.start()] if found else text).rstrip(" \t\r")
    end = text[len(value) :]
    if re.match(r"[&*!]\S|[|>][-+0-9]*\Z", value) or re.fullmatch(r"[\[{].*[\]}]", value):
        return None
    return Scalar(value, "bare" if plain(value) else "naive", end)


def _quoted(text: str) -> Scalar | None:
    if found := _SINGLE.match(text):
        return Scalar(found[1].replace("''", "'"), "single", found[2])
    if found := _DOUBLE.match(text):
        value = _unescaped(found[1])
        if value is not None:
            for style in ("double", _escapes(found[1])):
                if _render(value, style) == f'"{found[1]}"':
                    return Scalar(value, style, found[2])
    if found := _LITERAL.match(text):
        return Scalar(found[2], f"literal{found[1]}", found[3])
    return None


def render(scalar: Scalar) -> str:
    """The characters of a value in its style, or in a stricter one where that style cannot hold the value."""
    value = scalar.value.translate(_UNSAYABLE)
    styles = [scalar.style, "single", "double"]
    for style in styles:
        written = _render(value, style)
        if written is not None and (read := parse(written + scalar.end)) and read.value == value:
            return written + scalar.end
    return f"{_render(value, 'double')}"


# A lone surrogate is no character of any file, and NUL none of a text.
_UNSAYABLE = {0: 0xFFFD} | dict.fromkeys(range(0xD800, 0xE000), 0xFFFD)


def _render(value: str, style: str) -> str | None:  # noqa: PLR0911 - one line for each style
    if style == "double":
        return '"' + _MUST_ESCAPE.sub(lambda found: _escape(found[0]), value) + '"'
    if style.startswith("double "):
        return _escaped_as(value, style)
    if _MULTI_LINE.search(value) and not (style == "naive" or style.startswith("literal")):
        return None
    if style == "bare":
        return value if plain(value) else None
    if style == "single":
        return "'" + value.replace("'", "''") + "'"
    if re.search(r"[\n]", value):
        return None
    return value if style == "naive" else f"{style[-1]}{value}{style[-1]}"


def _escape(char: str) -> str:
    code = ord(char)
    if char in _WRITTEN:
        return _WRITTEN[char]
    width, letter = (2, "x") if code <= 0xFF else (4, "u") if code <= 0xFFFF else (8, "U")  # noqa: PLR2004 - YAML 5.7
    return f"\\{letter}{code:0{width}x}"


def _escapes(text: str) -> str:
    r"""The style of a text in double quotes whose escapes are not the usual ones: `double 3=\u00e9 …`, by place."""
    taken, places = 0, []
    for found in _ESCAPE.finditer(text):
        at = found.start() - taken
        taken += len(found[0]) - 1
        places.append(f"{at}={found[0].replace(' ', '_s')}")
    return " ".join(["double", *places])


def _escaped_as(value: str, style: str) -> str:
    """The value in double quotes, escaped at the places that `style` names if the same character stands there."""
    places = dict(place.split("=", 1) for place in style.split(" ")[1:])
    written = []
    for at, char in enumerate(value):
        form = places.get(str(at), "").replace("_s", " ")
        usual = _escape(char) if _MUST_ESCAPE.match(char) else char
        written.append(form if form and _unescaped(form) == char else usual)
    return '"' + "".join(written) + '"'


def _unescaped(text: str) -> str | None:
    """The value of a double-quoted scalar; None where an escape is unknown, NUL or half a surrogate pair."""
    known = True

    def char(found: re.Match[str]) -> str:
        nonlocal known
        digits = found[1] or found[2] or found[3]
        if not digits:
            known = known and found[4] in _SHORT
            return _SHORT.get(found[4], "")
        code = int(digits, 16)
        known = known and 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF  # noqa: PLR2004 - Unicode's bounds
        return chr(code) if known else ""

    value = _ESCAPE.sub(char, text)
    return value if known and "\0" not in value else None


def plain(value: str) -> bool:
    """Whether every YAML reader takes the bare characters for this very string."""
    return not (
        not value
        or value != value.strip()
        or value[0] in _INDICATORS
        or _BROKEN.search(value)
        or _TYPED.fullmatch(value)
    )
