"""RSS 0.9x, 1.0, 2.0 and Atom as plain fields; this module owns feedparser.

Its two parsers are driven here instead of through `feedparser.parse`, which opens files and addresses, detects encodings
by guess, reads dates wrongly (`2021年11月11日` as the first of the month), rewrites HTML, and takes quadratic time for many
categories or a long author. Where a document is not well-formed each entry is read by itself: the loose parser, which
rewrites character references in HTML and loses what follows an unclosed element, sees the faulty entries only.
"""

from __future__ import annotations

import io
import re
import xml.sax
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from html import escape
from typing import Any
from xml.sax.expatreader import ExpatParser
from xml.sax.saxutils import escape as escape_xml
from xml.sax.xmlreader import AttributesNSImpl

import feedparser.api
from feedparser.sanitizer import _HTMLSanitizer

from aggregator.errors import ParseError
from aggregator.parse import plainfeed
from aggregator.parse.dates import parse_date

HTML_ELEMENTS = frozenset(_HTMLSanitizer.acceptable_elements)  # those that a title may hold
MAX_ENTRIES = 10_000  # read of one document, so that a feed of 100,000 entries ends in time
MAX_TAGS = 100  # of one entry
_MAX_ATTRIBUTES = 100
_MAX_AUTHOR = 1_000
_NAMESPACES = {prefix: address for address, prefix in feedparser.api.StrictFeedParser.namespaces.items() if prefix}
_ENTRY_TAG = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<(/?)((?:[A-Za-z_][\w.-]*:)?(?:item|entry))(?=[\s>/])[^<>]*>",
    re.DOTALL | re.IGNORECASE,
)
_ENTRY_END = re.compile(r"</(?:[A-Za-z_][\w.-]*:)?(?:item|entry)\s*>", re.IGNORECASE)
_HTML_TYPES = {"text/html", "application/xhtml+xml"}


def read(text: str) -> tuple[Mapping[str, Any], list[dict[str, Any]], bool]:
    """What a mended document (without prolog) says of the feed, its entries as fields, and whether it is Atom.

    The fields are those of `jsonfeed.fields`. Raises ParseError where not even one entry arrived whole; what else
    feedparser may raise on hostile input is the caller's.
    """
    if plain := plainfeed.read(text):
        if plain.feed is not None:
            fields = [_fields(entry, plain.feed, is_atom=plain.is_atom) for entry in plain.entries]
            return plain.feed, fields, plain.is_atom
        parser = _strict(plain.frame)
        if parser.exc is None and not parser.entries:
            is_atom = (parser.version or "").startswith("atom")
            feed = parser.feeddata
            return feed, [_fields(entry, feed, is_atom=is_atom) for entry in plain.entries], is_atom
    return _read(text)


def _read(text: str) -> tuple[Mapping[str, Any], list[dict[str, Any]], bool]:
    """As `read`, by feedparser alone."""
    if len(_ENTRY_END.findall(text)) > MAX_ENTRIES:
        text = _newest(text)
    parser = _parsed(text)
    is_atom = (parser.version or "").startswith("atom")
    feed = parser.feeddata
    return feed, [_fields(entry, feed, is_atom=is_atom) for entry in parser.entries], is_atom


class _Stop(Exception):
    """Enough entries have been read."""


class _Bounded:
    """What both of feedparser's parsers do otherwise here: bounded, without its dates, ids as stated."""

    can_be_relative_uri = feedparser.api.StrictFeedParser.can_be_relative_uri - {"id"}

    def _start_item(self: Any, attrs: Any) -> None:
        if len(self.entries) >= MAX_ENTRIES:
            raise _Stop
        super()._start_item(attrs)  # type: ignore[misc]

    _start_entry = _start_item

    def _add_tag(self: Any, term: Any, scheme: Any, label: Any) -> None:
        # feedparser compares each tag with all before: quadratic.
        if len(self._get_context().get("tags", ())) < MAX_TAGS:
            super()._add_tag(term, scheme, label)  # type: ignore[misc]

    def _sync_author_detail(self: Any, key: str = "author") -> None:
        # Its pattern for addresses backtracks for minutes on a long author.
        if len(self._get_context().get(key) or "") <= _MAX_AUTHOR:
            super()._sync_author_detail(key)  # type: ignore[misc]

    def _end_published(self: Any) -> None:
        self.pop("published")

    def _end_updated(self: Any) -> None:
        self.pop("updated")

    def _end_created(self: Any) -> None:
        self.pop("created")

    _end_issued = _end_pubdate = _end_published
    _end_modified = _end_lastbuilddate = _end_updated

    def handle_data(self: Any, text: Any, escape: int = 1) -> None:
        # The same as feedparser's, without its slow look-up for each piece of text.
        if self.elementstack:
            is_xhtml = escape and dict.get(self.contentparams, "type") == "application/xhtml+xml"
            self.elementstack[-1][2].append(escape_xml(text) if is_xhtml else text)

    def handle_charref(self: Any, ref: str) -> None:
        with suppress(ValueError, OverflowError):  # a number beyond Unicode
            super().handle_charref(ref)  # type: ignore[misc]

    def unknown_starttag(self: Any, tag: str, attrs: Any) -> None:
        try:
            super().unknown_starttag(tag, attrs)  # type: ignore[misc]
        except (ValueError, KeyError, IndexError, TypeError, OverflowError):
            return  # one broken element (a GML srsName without a number) is not the document

    def unknown_endtag(self: Any, tag: str) -> None:
        try:
            super().unknown_endtag(tag)  # type: ignore[misc]
        except (ValueError, KeyError, IndexError, TypeError, OverflowError):
            return


class _Strict(_Bounded, feedparser.api.StrictFeedParser):  # type: ignore[misc]
    """The parser for well-formed XML."""

    def startElementNS(self, name: Any, qname: Any, attrs: Any) -> None:  # noqa: N802 - SAX's name
        # It looks up each attribute by walking over all: quadratic.
        few = attrs if len(attrs) <= _MAX_ATTRIBUTES else AttributesNSImpl({}, {})
        super().startElementNS(name, qname, few)


class _Loose(_Bounded, feedparser.api.LooseFeedParser):  # type: ignore[misc]
    """The parser for what only resembles XML."""


def _newest(text: str) -> str:
    """The document with no more than the entries that may be read, from its newer end: most feeds begin with the newest."""
    spans, _ = _entries(text)
    if len(spans) <= MAX_ENTRIES:
        return text
    first, last = (_first_date(text[start:end]) for start, end, _ in (spans[0], spans[-1]))
    kept = spans[-MAX_ENTRIES:] if first and last and first < last else spans[:MAX_ENTRIES]
    tail = text[spans[-1][1] :] if kept[-1] is spans[-1] else f"</{kept[-1][2]}>{_envelope(text)[1]}"
    return text[: spans[0][0]] + text[kept[0][0] : kept[-1][1]] + tail


def _first_date(entry: str) -> datetime | None:
    found = re.search(r"<(?:pubDate|dc:date|published|updated)\b[^<>]*>([^<>]{1,100})<", entry, re.IGNORECASE)
    return parse_date(found[1], "UTC") if found else None


def _parsed(text: str) -> Any:
    """A feedparser parser that has read the text, piece by piece where the whole is no XML."""
    strict = _strict(text)
    return strict if strict.exc is None else _salvaged(text)


def _strict(text: str) -> Any:
    return _run(_Strict("", None, "utf-8"), lambda parser: _sax(parser, text))


def _loose(text: str) -> Any:
    return _run(_Loose("", None, "utf-8", {}), lambda parser: parser.feed(text))


def _salvaged(text: str) -> Any:
    """Each entry read by itself, so that a fault in one neither loses nor rewrites its neighbours."""
    spans, is_whole = _entries(text)
    if not spans:
        return _loose(text)
    if not is_whole and not _ENTRY_END.search(text):
        raise ParseError("was cut off before its first entry ended")
    opening, closing = _envelope(text)
    parser = _loose(text[: spans[0][0]])
    for start, end, name in spans[:MAX_ENTRIES]:
        piece = f"{opening}{text[start:end]}</{name}>{closing}"
        alone = _strict(piece)
        if alone.exc is not None:
            alone = _loose(piece)
        parser.version = parser.version or alone.version
        parser.entries += alone.entries
    return parser


def _entries(text: str) -> tuple[list[tuple[int, int, str]], bool]:
    """Where each entry begins and its content ends, its element's name, and whether any was ended by its own tag."""
    spans: list[tuple[int, int, str]] = []
    start, name, is_whole = -1, "", False
    for found in _ENTRY_TAG.finditer(text):
        if not found[2]:
            continue  # CDATA or a comment
        if start >= 0:
            spans.append((start, found.start(), name))
            start, is_whole = -1, is_whole or bool(found[1])
        if not found[1]:
            start, name = found.start(), found[2]
            if found[0].endswith("/>"):
                start = -1
    if start >= 0:
        spans.append((start, len(text), name))
    return spans, is_whole


def _envelope(text: str) -> tuple[str, str]:
    """The root's tags, every prefix that is used declared: many feeds use `media:` without saying what it is."""
    root = re.match(r"<([A-Za-z_:][\w:.-]*)([^<>]*)>", text)
    name, attributes = (root[1], root[2].rstrip("/")) if root else ("rss", "")
    if len(attributes) > _MAX_ATTRIBUTES * 100:
        attributes = ""
    used = set(re.findall(r"</?([A-Za-z_][\w.-]*):", text)) - {"xml", "xmlns"}
    for prefix in sorted(used)[:_MAX_ATTRIBUTES]:
        if not re.search(rf"\bxmlns:{re.escape(prefix)}\s*=", attributes):
            attributes += f' xmlns:{prefix}="{_NAMESPACES.get(prefix, "urn:unknown:" + prefix)}"'
    inner = "<channel>" if name.lower() == "rss" else ""
    return f"<{name}{attributes}>{inner}", f"{inner.replace('<', '</')}</{name}>"


def _run(parser: Any, read: Callable[[Any], None]) -> Any:
    parser.resolve_relative_uris = parser.sanitize_html = False
    try:
        read(parser)
    except _Stop:
        parser.inentry = 0
    return parser


class _Reader(ExpatParser):
    """Expat without a document type (`mend` left none), giving text in large pieces."""

    def reset(self) -> None:
        super().reset()
        self._parser.buffer_text = True  # type: ignore[attr-defined]
        self._parser.buffer_size = 16_384  # type: ignore[attr-defined]


def _sax(parser: Any, text: str) -> None:
    reader = _Reader(namespaceHandling=1)
    reader.setFeature(xml.sax.handler.feature_external_ges, False)
    reader.setContentHandler(parser)
    reader.setErrorHandler(parser)
    source = xml.sax.xmlreader.InputSource()
    source.setByteStream(io.BytesIO(text.encode("utf-8", "replace")))
    source.setEncoding("utf-8")
    try:
        reader.parse(source)
    except xml.sax.SAXException as error:
        parser.exc = parser.exc or error
    finally:
        reader.__dict__.clear()  # its handlers point back to it: thousands of pieces would wait for the collector


# --- from feedparser's words to ours ------------------------------------------------------------------------------------


def _fields(entry: Mapping[str, Any], feed: Mapping[str, Any], *, is_atom: bool) -> dict[str, Any]:
    """One of feedparser's entries as plain fields: the words of `jsonfeed.fields`."""
    detail = entry.get("title_detail") or {}
    authors = [author.get("name") or author.get("email") for author in entry.get("authors") or ()]
    if not any(authors):
        detail_of_feed = feed.get("author_detail") or {}
        authors = [entry.get("author") or ((detail_of_feed.get("name") or feed.get("author")) if is_atom else None)]
    updated = _stated(entry, "updated")
    return {
        "guid": entry.get("id"),
        "link": _alternate(entry),
        "title": entry.get("title") or "",
        "title_is_html": detail.get("type") in _HTML_TYPES,
        "html": _fullest(entry, is_atom=is_atom),
        "authors": authors,
        "published": _stated(entry, "published") or _stated(entry, "created") or updated,
        "updated": updated,
        "tags": [tag.get("term") or tag.get("label") for tag in entry.get("tags") or ()],
        "lang": detail.get("language") or feed.get("language"),
    }


def _stated(entry: Mapping[str, Any], name: str) -> str | None:
    """A date as written; feedparser's own look-up would pass a published date for an updated one, with a warning."""
    return entry[name] if name in entry.keys() else None  # noqa: SIM118 - its `in` maps names too


def _alternate(entry: Mapping[str, Any]) -> str | None:
    link = entry.get("link")
    if link:
        return str(link)
    return next(
        (one["href"] for one in entry.get("links") or () if one.get("rel") == "alternate" and one.get("href")), None
    )


def _fullest(entry: Mapping[str, Any], *, is_atom: bool) -> str:
    """The longest body an entry carries, the content before the summary where they are equal."""
    bodies = [*(entry.get("content") or ()), entry.get("summary_detail") or {"value": entry.get("summary") or ""}]
    texts = [_html(body, is_atom=is_atom) for body in bodies]
    return max(texts, key=len, default="")


def _html(body: Mapping[str, Any], *, is_atom: bool) -> str:
    value, kind = body.get("value") or "", body.get("type") or "text/html"
    if not kind.startswith("text/") and not kind.endswith("xml"):
        return ""
    # RFC 4287, 3.1.1.1: Atom's text is no markup. RSS never says, and means HTML.
    return escape(value, quote=False) if is_atom and kind == "text/plain" else str(value)
