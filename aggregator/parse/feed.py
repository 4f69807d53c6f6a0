"""Bytes of a feed to a `Document`: RSS 0.9x, 1.0, 2.0, Atom and JSON Feed, however faulty; pure.

bytes ── charset.decode ──> text ─┬─ mend ──> xmlfeed.read ─┬──> fields ── _entry ──> Entry
                                  └─ jsonfeed.read ─────────┘
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

from aggregator.errors import ParseError
from aggregator.model import Document, Entry
from aggregator.parse import jsonfeed, xmlfeed
from aggregator.parse.charset import decode
from aggregator.parse.dates import parse_date
from aggregator.parse.mend import FEED_ROOTS, mend, root
from aggregator.text import clean

MAX_ENTRIES = xmlfeed.MAX_ENTRIES
_MAX_BODY = 30_000_000  # bytes after decompression of a body that was sent gzipped without saying so
_MAX_TITLE, _MAX_HTML, _MAX_LINK, _MAX_GUID = 2_000, 2_000_000, 8_000, 2_000
_NESTED = 100  # entries inside entries; no format allows one
_PERIODS = {"hourly": 1, "daily": 24, "weekly": 168, "monthly": 730, "yearly": 8766}

_GZIP = b"\x1f\x8b"
_MAGIC = {
    _GZIP: "gzip inside gzip",
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
_KNOWN_TAG = re.compile(
    rf"</?(?:{'|'.join(sorted(xmlfeed.HTML_ELEMENTS))})\b[^<>]*>|<!--.*?-->", re.IGNORECASE | re.DOTALL
)
# The look behind keeps it from trying every place in a long run of blanks again.
_BREAKS = re.compile(r"(?<![ \t])[ \t]*[\t\n\v\f\r\x85\u2028\u2029][ \t\n\v\f\r\x85\u2028\u2029]*")
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
        raise ParseError("is nested too deeply, or needs too much memory to parse", "memory") from error
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
    if body.startswith(_GZIP):
        body = _gunzipped(body)
    if not body.strip(b"\0 \t\r\n\xef\xbb\xbf\xfe\xff"):
        raise ParseError("sent an empty body, not a feed")
    for magic, what in _MAGIC.items():
        if body.startswith(magic):
            raise ParseError(f"sent {what}, not a feed")
    return body


def _gunzipped(body: bytes) -> bytes:
    """All members of a gzip body, at most `_MAX_BODY` bytes of them."""
    pieces: list[bytes] = []
    while body.startswith(_GZIP):
        unpacker = zlib.decompressobj(31)
        try:
            pieces.append(unpacker.decompress(body, _MAX_BODY - sum(map(len, pieces)) + 1))
        except zlib.error as error:
            raise ParseError("sent gzip data that cannot be unpacked, not a feed") from error
        if not unpacker.eof or sum(map(len, pieces)) > _MAX_BODY:
            raise ParseError("sent gzip data that is cut off or too large, not a feed")
        body = unpacker.unused_data
    return b"".join(pieces)


# --- JSON Feed --------------------------------------------------------------------------------------------------


def _json(text: str, context: _Context) -> Document:
    feed = jsonfeed.read(text)
    items = [item for item in feed.get("items") or () if isinstance(item, Mapping)]
    return _document(feed, [jsonfeed.fields(item, feed) for item in items], context, len(items))


# --- XML --------------------------------------------------------------------------------------------------------


def _xml(text: str, context: _Context) -> Document:
    name, start, subset = root(text)
    if name not in FEED_ROOTS:
        raise ParseError(_refusal(name, text))
    depth = deepest = stated = 0
    for found in _NESTING.finditer(text, start):
        depth += -1 if found[1] else 1
        stated += not found[1]
        deepest = max(deepest, depth)
    if deepest > _NESTED:
        raise ParseError("nests entries in entries, so it was not read")
    feed, rows, is_atom = xmlfeed.read(mend(text[start:], subset))
    # Atom's relative links belong to the document (RFC 4287, 2); RSS says nothing, and means the site.
    base = context.url if is_atom else _joined(context.url, feed.get("link")) or context.url
    return _document(feed, rows, replace(context, url=base), stated)


def _refusal(name: str, text: str) -> str:
    """Why this text is no feed, in words an operator can act on."""
    head = text[:20_000]
    if _CHALLENGE.search(head) and (name in {"html", "head", "body"} or "<" in head):
        return "answered a challenge page for browsers, not a feed"
    if name in {"html", "head", "body"} or re.search(
        r"<(?:!doctype html|h1|div|pre|p|meta|title|script)\b", head, re.IGNORECASE
    ):
        return "answered an HTML page, not a feed"
    if "<!ENTITY" in head:
        return "declares entities without end, or of a size that is not read (an XML bomb)"
    if name in _OTHER_ROOTS:
        return f"answered {_OTHER_ROOTS[name]}, not a feed"
    if name and head.lstrip().startswith("<"):
        return f"answered XML that is no feed (its root is <{name[:40]}>)"
    return "answered something that is neither XML nor JSON, not a feed"


# --- from fields to values --------------------------------------------------------------------------------------------


def _document(feed: Mapping[str, Any], rows: list[dict[str, Any]], context: _Context, stated: int) -> Document:
    entries = [_entry(row, context) for row in rows[:MAX_ENTRIES]]
    notes = []
    if stated > len(entries) >= MAX_ENTRIES:
        notes.append(f"has {stated} entries, of which {MAX_ENTRIES} were read")
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


def _entry(row: Mapping[str, Any], context: _Context) -> Entry:
    published, updated = context.instant(row["published"]), context.instant(row["updated"])
    unread = next(
        (text for text, when in ((row["published"], published), (row["updated"], updated)) if text and not when), None
    )
    authors = dict.fromkeys(_line(author, is_html=False)[:200] for author in row["authors"][:20] if author)
    tags = dict.fromkeys(_line(tag, is_html=False)[:200] for tag in row["tags"][: xmlfeed.MAX_TAGS] if tag)
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
        text = re.sub(r"<(script|style)\b.*?(?:</\1\s*>|$)", "", text, flags=re.IGNORECASE | re.DOTALL)
        text = unescape(
            _KNOWN_TAG.sub(lambda tag: " " if re.match(r"</?(?:br|p|div|li)\b", tag[0], re.IGNORECASE) else "", text)
        )
    # Blanks stay as they are: an ideographic one (U+3000) is part of many Chinese titles.
    return clean(_BREAKS.sub(" ", text)).strip()


_WHOLE = re.compile(
    r"https?://[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d{1,5})?/[\w/.~%+,@=-]*(?:\?[\w/.~%+,@=&-]+)?", re.ASCII
)
"""An address that no resolving changes, and that is certainly one: most links are of this kind."""


def _joined(base: str, link: str | None) -> str | None:
    try:
        return urljoin(base, (link or "").strip())
    except ValueError:
        return None


def _web(base: str, link: Any) -> str | None:
    """An absolute http or https address, or None: nothing else in a feed leads to a page."""
    if not isinstance(link, str) or not link.strip() or len(link) > _MAX_LINK:
        return None
    if _WHOLE.fullmatch(link):
        return link
    found = _joined(base, clean("".join(link.split("\n"))))
    try:
        parts = urlsplit(found or "")
        is_web = parts.scheme in {"http", "https"} and parts.hostname
    except ValueError:
        return None
    return found if is_web else None


def _ttl(feed: Mapping[str, Any]) -> timedelta | None:
    """How long the feed says that it stays as it is: RSS 2.0 `ttl` in minutes, else the Syndication module's period."""
    minutes = re.fullmatch(r"\s*(\d{1,6})\s*", str(feed.get("ttl") or ""))
    if minutes and int(minutes[1]):
        return timedelta(minutes=int(minutes[1]))
    hours = _PERIODS.get(str(feed.get("sy_updateperiod") or "").strip().lower())
    often = re.fullmatch(r"\s*(\d{1,4})\s*", str(feed.get("sy_updatefrequency") or "1"))
    return timedelta(hours=hours) / int(often[1]) if hours and often and int(often[1]) else None
