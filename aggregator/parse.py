"""Bytes of a feed to a `Document`: RSS 0.9x, 1.0, 2.0, Atom and JSON Feed, however faulty; pure.

    bytes ── charset.decode ──> text ── mend ──> XML ── feedparser ──> dict ── _entry ──> Entry

This module owns feedparser. Its two parsers are driven here instead of through `feedparser.parse`, which opens files and
addresses, detects encodings by guess, reads dates wrongly (`2021年11月11日` as the first of the month), rewrites HTML, and
takes quadratic time for many categories or a long author. What the strict parser read before a fault is kept, because
the loose one rewrites character references in HTML.
"""

from __future__ import annotations

import hashlib
import io
import re
import xml.sax
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from html import escape, unescape
from typing import Any
from urllib.parse import urljoin, urlsplit
from xml.sax.xmlreader import AttributesNSImpl

import feedparser.api
from feedparser.sanitizer import _HTMLSanitizer

from aggregator import jsonfeed
from aggregator.charset import decode
from aggregator.dates import parse_date
from aggregator.errors import ParseError
from aggregator.mend import FEED_ROOTS, mend, root
from aggregator.model import Document, Entry
from aggregator.text import clean

MAX_ENTRIES = 3_000  # kept of one document; Inoreader refuses feeds with more
_READ_ENTRIES = 10_000  # read of one document, so that a feed of 100,000 entries ends in time
_MAX_BODY = 30_000_000  # bytes after decompression of a body that was sent gzipped without saying so
_MAX_TITLE, _MAX_HTML, _MAX_LINK, _MAX_GUID = 2_000, 2_000_000, 8_000, 2_000
_MAX_TAGS = 100
_MAX_ATTRIBUTES = 100
_MAX_AUTHOR = 1_000
_NESTED = 100  # entries inside entries; no format allows one
_PERIODS = {"hourly": 1, "daily": 24, "weekly": 168, "monthly": 730, "yearly": 8766}

_MAGIC = {
    b"\x89PNG": "a PNG image",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive",
    b"\x7fELF": "a program",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
}
_OTHER_ROOTS = {
    "urlset": "a sitemap",
    "sitemapindex": "a sitemap",
    "opml": "an OPML list of feeds",
    "svg": "an SVG image",
}
_CHALLENGE = re.compile(
    r"just a moment|_cf_chl_opt|cf-browser-verification|challenge-platform|checking your browser|attention required|"
    r"ddos-guard|acw_sc__v2|aliyun_waf|captcha|are you a (?:human|robot)|verify you are human|安全验证|访问验证|人机验证|"
    r"滑动验证|enable javascript and cookies|incapsula|_incap_|datadome|perimeterx|px-captcha|awswafintegration|__jsl_clearance",
    re.IGNORECASE,
)
_HTML_TYPES = {"text/html", "application/xhtml+xml"}
_KNOWN_TAG = re.compile(
    r"</?(?:%s)\b[^<>]*>|<!--.*?-->" % "|".join(sorted(_HTMLSanitizer.acceptable_elements)), re.I | re.S
)  # noqa: UP031
_BREAKS = re.compile(r"[ \t]*[\t\n\v\f\r\x85\u2028\u2029][ \t\n\v\f\r\x85\u2028\u2029]*")
_NESTING = re.compile(r"<(/?)(?:item|entry)(?=[\s>])")


def parse_feed(body: bytes, *, content_type: str | None, url: str, timezone: str, now: datetime) -> Document:
    """The entries of a feed, in document order, as stated.

    Args:
        body: what the server sent, decompressed (a gzip body that did not say so is read too).
        content_type: the header as sent; its charset is one witness of the encoding.
        url: where the document came from; relative links are resolved against it last.
        timezone: IANA name, for dates without a zone.
        now: aware; dates later than a day from it are unknown, relative ones are seen from it.

    Raises:
        ParseError: the body is not a feed, says its one sentence. Nothing else is raised.
    """
    decoded = decode(_unpacked(body), content_type)
    context = _Context(url, timezone, now)
    try:
        document = (
            _json(decoded.text, context) if decoded.text.lstrip()[:1] in {"{", "["} else _xml(decoded.text, context)
        )
    except ParseError:
        raise
    except (RecursionError, MemoryError) as error:
        raise ParseError("is nested too deeply, or needs too much memory to parse") from error
    except Exception as error:
        # feedparser raises nine kinds of errors on hostile input; whatever it is, only this feed fails.
        raise ParseError(f"could not be read as a feed ({type(error).__name__})") from error
    return replace(document, notes=(decoded.note, *document.notes)) if decoded.note else document


@dataclass(frozen=True, slots=True)
class _Context:
    """What the fields of an entry are read with."""

    url: str
    timezone: str
    now: datetime

    def instant(self, text: str | None) -> datetime | None:
        return parse_date(text, self.timezone, self.now) if text else None


def _unpacked(body: bytes) -> bytes:
    """The body, gunzipped where it is gzip; refused where it is empty or plainly something else."""
    if body.startswith(b"\x1f\x8b"):
        unpacker = zlib.decompressobj(31)
        try:
            body = unpacker.decompress(body, _MAX_BODY)
        except zlib.error as error:
            raise ParseError("sent gzip data that cannot be unpacked, not a feed") from error
        if not unpacker.eof:
            raise ParseError("sent gzip data that is cut off or too large, not a feed")
    if not body.strip(b"\0 \t\r\n\xef\xbb\xbf\xfe\xff"):
        raise ParseError("sent an empty body, not a feed")
    for magic, what in _MAGIC.items():
        if body.startswith(magic):
            raise ParseError(f"sent {what}, not a feed")
    return body


# --- JSON Feed --------------------------------------------------------------------------------------------------


def _json(text: str, context: _Context) -> Document:
    feed = jsonfeed.read(text)
    items = [item for item in feed.get("items") or () if isinstance(item, Mapping)]
    return _document(feed, [jsonfeed.fields(item, feed) for item in items], context)


# --- XML --------------------------------------------------------------------------------------------------------


def _xml(text: str, context: _Context) -> Document:
    name, start, subset = root(text)
    if name not in FEED_ROOTS:
        raise ParseError(_refusal(name, text))
    depth = deepest = 0
    for found in _NESTING.finditer(text, start):
        depth += -1 if found[1] else 1
        deepest = max(deepest, depth)
    if deepest > _NESTED:
        raise ParseError("nests entries in entries, so it was not read")
    parser = _parsed(mend(text[start:], subset))
    feed, entries = parser.feeddata, parser.entries
    base = context.url
    if not (parser.version or "").startswith("atom"):
        base = _joined(context.url, feed.get("link")) or base
    is_atom = (parser.version or "").startswith("atom")
    return _document(feed, [_fields(entry, feed, is_atom=is_atom) for entry in entries], replace(context, url=base))


def _refusal(name: str, text: str) -> str:
    """Why this text is no feed, in words an operator can act on."""
    head = text[:20_000]
    if _CHALLENGE.search(head) and (name in {"html", "head", "body"} or "<" in head):
        return "answered a challenge page for browsers, not a feed"
    if name in {"html", "head", "body"} or re.search(
        r"<(?:!doctype html|h1|div|pre|p|meta|title|script)\b", head, re.IGNORECASE
    ):
        return "answered an HTML page, not a feed"
    if name in _OTHER_ROOTS:
        return f"answered {_OTHER_ROOTS[name]}, not a feed"
    if name and head.lstrip().startswith("<"):
        return f"answered XML that is no feed (its root is <{name[:40]}>)"
    return "answered something that is neither XML nor JSON, not a feed"


class _Stop(Exception):  # noqa: N818 - not an error: enough has been read
    """Enough entries have been read."""


class _Bounded:
    """What both of feedparser's parsers do otherwise here: bounded, without its dates, ids as stated."""

    can_be_relative_uri = feedparser.api.StrictFeedParser.can_be_relative_uri - {"id"}

    def _start_item(self: Any, attrs: Any) -> None:
        if len(self.entries) >= _READ_ENTRIES:
            raise _Stop
        super()._start_item(attrs)  # type: ignore[misc]

    _start_entry = _start_item

    def _add_tag(self: Any, term: Any, scheme: Any, label: Any) -> None:
        # feedparser compares each tag with all before: quadratic.
        if len(self._get_context().get("tags", ())) < _MAX_TAGS:
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


def _parsed(text: str) -> Any:
    """A feedparser parser that has read the text: the strict one, or where XML is broken both together."""
    strict = _run(_Strict("", None, "utf-8"), lambda parser: _sax(parser, text))
    if strict.exc is None:
        return strict
    loose = _run(_Loose("", None, "utf-8", {}), lambda parser: parser.feed(text))
    complete = len(strict.entries) - bool(strict.inentry)
    if strict.inentry and not re.search(r"</(?:\w+:)?(?:item|entry)\s*>", text, re.IGNORECASE):
        raise ParseError("was cut off before its first entry ended")
    if len(loose.entries) >= complete:
        loose.entries[:complete] = strict.entries[:complete]
        return loose
    return strict


def _run(parser: Any, read: Callable[[Any], None]) -> Any:
    parser.resolve_relative_uris = parser.sanitize_html = False
    try:
        read(parser)
    except _Stop:
        parser.inentry = 0
    return parser


def _sax(parser: Any, text: str) -> None:
    reader = xml.sax.make_parser()  # noqa: S317 - no document type reaches it, and no external entity is fetched
    reader.setFeature(xml.sax.handler.feature_namespaces, True)
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


# --- from feedparser's words to ours ----------------------------------------------------------------------------


def _fields(entry: Mapping[str, Any], feed: Mapping[str, Any], *, is_atom: bool) -> dict[str, Any]:
    """One of feedparser's entries as plain fields: the words of `jsonfeed.fields`."""
    detail = entry.get("title_detail") or {}
    authors = [author.get("name") or author.get("email") for author in entry.get("authors") or ()]
    if not any(authors):
        detail_of_feed = feed.get("author_detail") or {}
        authors = [entry.get("author") or ((detail_of_feed.get("name") or feed.get("author")) if is_atom else None)]
    updated = dict.get(entry, "updated")  # type: ignore[arg-type]
    return {
        "guid": entry.get("id"),
        "link": _alternate(entry),
        "title": entry.get("title") or "",
        "title_is_html": detail.get("type") in _HTML_TYPES,
        "html": _fullest(entry, is_atom=is_atom),
        "authors": authors,
        "published": dict.get(entry, "published") or dict.get(entry, "created") or updated,  # type: ignore[arg-type]
        "updated": updated,
        "tags": [tag.get("term") or tag.get("label") for tag in entry.get("tags") or ()],
        "lang": detail.get("language") or feed.get("language"),
    }


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


def _document(feed: Mapping[str, Any], rows: list[dict[str, Any]], context: _Context) -> Document:
    entries = [_entry(row, context) for row in rows]
    notes = []
    if len(entries) > MAX_ENTRIES:
        notes.append(f"has {len(entries)} entries or more, the newest {MAX_ENTRIES} were read")
        entries = _newest(entries)
    cut = sum(len(entry.html) >= _MAX_HTML for entry in entries)
    if cut:
        notes.append(f"{cut} entries were longer than {_MAX_HTML:,} characters and were cut")
    return Document(
        entries=tuple(entries),
        title=_line(feed.get("title"), is_html=True) or None,
        link=_web(context.url, feed.get("link")),
        lang=_line(feed.get("language"), is_html=False)[:35] or None,
        ttl=_ttl(feed),
        notes=tuple(notes),
    )


def _newest(entries: list[Entry]) -> list[Entry]:
    """The newest by date where most have one, else the first, in document order."""
    dated = sum(entry.published is not None for entry in entries)
    if dated < len(entries) / 2:
        return entries[:MAX_ENTRIES]
    ranked = sorted(
        range(len(entries)), key=lambda i: (entries[i].published is not None, entries[i].published), reverse=True
    )
    return [entries[i] for i in sorted(ranked[:MAX_ENTRIES])]


def _entry(row: Mapping[str, Any], context: _Context) -> Entry:
    published, updated = context.instant(row["published"]), context.instant(row["updated"])
    unread = next(
        (text for text, when in ((row["published"], published), (row["updated"], updated)) if text and not when), None
    )
    authors = dict.fromkeys(_line(author, is_html=False)[:200] for author in row["authors"][:20] if author)
    tags = dict.fromkeys(_line(tag, is_html=False)[:200] for tag in row["tags"][:_MAX_TAGS] if tag)
    return Entry(
        guid=_guid(row["guid"]),
        link=_web(context.url, row["link"]),
        title=_line(row["title"], is_html=row["title_is_html"])[:_MAX_TITLE],
        html=clean(row["html"][:_MAX_HTML]),
        author=", ".join(name for name in authors if name) or None,
        published=published,
        updated=updated,
        date_note=_line(unread, is_html=True)[:200] or None if unread else None,
        tags=tuple(tag for tag in tags if tag),
        lang=_line(row["lang"], is_html=False)[:35] or None,
    )


def _guid(text: str | None) -> str | None:
    """The identifier as stated; a giant one by its beginning and its SHA-256."""
    text = clean(text or "").strip()
    if len(text) > _MAX_GUID:
        return text[:200] + " sha256:" + hashlib.sha256(text.encode()).hexdigest()
    return text or None


def _line(text: Any, *, is_html: bool) -> str:
    """Plain words in one line: markup and references resolved where the text is HTML, controls gone."""
    if not isinstance(text, str):
        return ""
    text = text[: _MAX_TITLE * 10]
    if is_html and ("<" in text or "&" in text):
        text = re.sub(r"<(script|style)\b.*?(?:</\1\s*>|$)", "", text, flags=re.I | re.S)
        text = unescape(
            _KNOWN_TAG.sub(lambda tag: " " if re.match(r"</?(?:br|p|div|li)\b", tag[0], re.I) else "", text)
        )
    # Blanks stay as they are: an ideographic one (U+3000) is part of many Chinese titles.
    return clean(_BREAKS.sub(" ", text)).strip()


def _joined(base: str, link: str | None) -> str | None:
    try:
        return urljoin(base, (link or "").strip())
    except ValueError:
        return None


def _web(base: str, link: Any) -> str | None:
    """An absolute http or https address, or None: nothing else in a feed leads to a page."""
    if not isinstance(link, str) or not link.strip() or len(link) > _MAX_LINK:
        return None
    found = _joined(base, clean("".join(link.split("\n"))))
    try:
        parts = urlsplit(found or "")
        return found if parts.scheme in {"http", "https"} and parts.hostname else None
    except ValueError:
        return None


def _ttl(feed: Mapping[str, Any]) -> timedelta | None:
    """How long the feed says that it stays as it is: RSS 2.0 `ttl` in minutes, else the Syndication module's period."""
    minutes = re.fullmatch(r"\s*(\d{1,6})\s*", str(feed.get("ttl") or ""))
    if minutes and int(minutes[1]):
        return timedelta(minutes=int(minutes[1]))
    hours = _PERIODS.get(str(feed.get("sy_updateperiod") or "").strip().lower())
    often = re.fullmatch(r"\s*(\d{1,4})\s*", str(feed.get("sy_updatefrequency") or "1"))
    return timedelta(hours=hours) / int(often[1]) if hours and often and int(often[1]) else None
