"""Faulty XML made readable, as text, before any parser sees it.

A document type is never handed on: it is read here for the short names it declares, so that a bomb of entities or an
external entity has nobody to expand it. The names of HTML (`&nbsp;`) become characters, bare `&` and `<` are escaped, and
what XML 1.0 forbids is removed; CDATA and comments are left as they are.
"""

from __future__ import annotations

import html.entities
import re
from collections import Counter
from html import escape, unescape

from aggregator.errors import ParseError

_EXPANDED = 100_000  # characters that a document may ask for through the names it declares; feeds in use need none
_JUNK = 65_536  # characters in which the root element must begin, after a document type
_SWALLOWED = 50  # openings of CDATA inside CDATA that are still taken for forgotten ends
FEED_ROOTS = frozenset({"rss", "feed", "rdf", "channel"})

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FAULT = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<(?![A-Za-z_:!/?\x80-\U0010ffff])"
    r"|&(?!(?:amp|lt|gt|quot|apos);)(?:#[xX]?[0-9A-Za-z]{0,40};?|[A-Za-z][\w.-]{0,60};)?",
    re.DOTALL,
)
_END = re.compile(
    r"</(?:title|description|summary|content|content:encoded|link|author|dc:creator|category|guid|id)\s*>",
    re.IGNORECASE,
)
_PROLOG = re.compile(r"<\?.*?\?>|<!--.*?-->|<!DOCTYPE\b[^\[>]*(?:\[(?P<subset>.*?)\]\s*)?>", re.DOTALL | re.IGNORECASE)
_ELEMENT = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)(?=[\s/>])")
_FEED_ROOT = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?(?:rss|feed|rdf)(?=[\s>])", re.IGNORECASE)
_ENTITY = re.compile(r"""<!ENTITY\s+([\w.-]+)\s+(?:"([^"]*)"|'([^']*)')\s*>""")
_SURROGATES = re.compile(
    r"&#(?:x(d[89ab][0-9a-f]{2})|(5[56]\d{3}));&#(?:x(d[c-f][0-9a-f]{2})|(5[67]\d{3}));", re.IGNORECASE
)


def root(text: str) -> tuple[str, int, str]:
    """Name of the root element in lower case, where it begins, and the internal subset of the document type.

    The name is "" where there is none. Junk before the root (warnings of a web server) is passed over if a feed follows.
    """
    position, subset = _after_prolog(text)
    element = _ELEMENT.search(text, position, position + _JUNK)
    if element is None:
        return "", len(text), subset
    name = element[1].lower()
    if name in FEED_ROOTS or name in {"html", "head", "body"}:
        return name, element.start(), subset
    later = _FEED_ROOT.search(text, position, position + _JUNK)
    if later and not re.match(r"\s*<!doctype html", text, re.IGNORECASE):
        return root(text[later.start() :])[0], later.start(), subset
    return name, element.start(), subset


def _after_prolog(text: str) -> tuple[int, str]:
    """Where the first tag may begin, after declarations, instructions, comments and the document type; and its subset."""
    position, subset = 0, ""
    while (start := text.find("<", position, position + _JUNK)) >= 0:
        found = _PROLOG.match(text, start)
        if found is None:
            break
        subset += found["subset"] or ""
        position = found.end()
    return position, subset


def mend(text: str, subset: str = "") -> str:
    """An XML document without prolog, every reference in it known and every character allowed.

    Raises ParseError where the names that the document type declares would expand each other, or to too much.
    """
    if _ILLEGAL.search(text):
        text = _ILLEGAL.sub("", text)
    own = _declared(text, subset) if "ENTITY" in subset else {}
    if "&#" in text:
        text = _SURROGATES.sub(_joined, text)
    return _FAULT.sub(lambda found: _fixed(found[0], own), text)


def _declared(text: str, subset: str) -> dict[str, str]:
    """Names and what they stand for, harmless ones only."""
    own = {name: one or two for name, one, two in _ENTITY.findall(subset)}
    if any(name in own for value in own.values() for name in re.findall(r"&([\w.-]+);", value)):
        raise ParseError("declares entities that expand each other (an XML bomb), so it was not read")
    asked = Counter(re.findall(r"&([\w.-]+);", text)) if own else Counter()
    if sum(len(own[name]) * times for name, times in asked.items() if name in own) > _EXPANDED:
        raise ParseError("declares entities that expand to very much text (an XML bomb), so it was not read")
    return own


def _joined(found: re.Match[str]) -> str:
    """Two references that are the halves of one character, as that character."""
    high = int(found[1], 16) if found[1] else int(found[2])
    low = int(found[3], 16) if found[3] else int(found[4])
    if 0xD800 <= high < 0xDC00 <= low < 0xE000:  # noqa: PLR2004 - UTF-16's surrogates
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    return ""


def _fixed(fault: str, own: dict[str, str]) -> str:
    if fault.startswith("<"):
        return _section(fault, own)
    if fault.startswith("&#"):
        return _reference(fault)
    name = fault[1:-1]
    if name in own:
        return escape(_ILLEGAL.sub("", unescape(own[name])), quote=False)
    char = html.entities.html5.get(f"{name};")
    return escape(char) if char and fault.endswith(";") else "&amp;" + fault[1:]


def _section(fault: str, own: dict[str, str]) -> str:
    """CDATA and comments as they stand; one that does not end ends with the element it is in, and a bare `<` is text."""
    if fault == "<":
        return "&lt;"
    if fault.startswith("<!--"):
        # No other comment in what follows ends either.
        return (
            fault
            if fault.endswith("-->")
            else _FAULT.sub(lambda found: _fixed(found[0], own), fault.replace("<!--", "&lt;!--"))
        )
    is_swallowing = 1 < fault.count("<![CDATA[") < _SWALLOWED and re.search(r"</(?:item|entry)\s*>", fault)
    end = _END.search(fault) if is_swallowing or not fault.endswith("]]>") else None
    if end is None:
        return fault if fault.endswith("]]>") else fault + "]]>"
    return fault[: end.start()] + "]]>" + _FAULT.sub(lambda found: _fixed(found[0], own), fault[end.start() :])


def _reference(fault: str) -> str:
    """A numeric reference that XML allows as it stands, the character HTML takes it for, or nothing."""
    if not re.fullmatch(r"&#(?:\d{1,40}|[xX][0-9A-Fa-f]{1,40});", fault):
        return "&amp;" + fault[1:]
    digits = fault[2:-1].lower()
    number = int(digits[1:], 16) if digits.startswith("x") else int(digits)
    if number in {9, 10, 13} or 0xA0 <= number < 0xD800 or 0x20 <= number < 0x7F:  # noqa: PLR2004 - XML 1.0, 2.2
        return fault.replace("X", "x")
    return escape(_ILLEGAL.sub("", unescape(fault).replace("\ufffd", "")))
