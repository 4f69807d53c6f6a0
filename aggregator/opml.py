"""Lists of feeds in OPML 2.0 (opml.org/spec2.opml), as other readers exchange them: read with care, written clean.

expat reports one element after the other, so no tree is built and depth costs nothing; a document that declares
entities is refused at the first one. What comes after broken markup is looked through for outlines all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape, unescape
from xml.parsers import expat

from aggregator import addresses
from aggregator.errors import DialectError
from aggregator.model import Feed
from aggregator.text import clean

MAX_BYTES = 10_000_000
_MAX_TEXT = 500
_DECLARED = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,300}\?>")
_BARE_AMPERSAND = re.compile(r"&(?!(?:#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6}|amp|lt|gt|quot|apos);)")
# An attribute's value holds no "<", so a match never runs past the next element and the search stays linear.
_OUTLINE = re.compile(r"<outline\b((?:\s+[\w:.-]{1,40}\s*=\s*(?:\"[^\"<]*\"|'[^'<]*')){1,40})", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([\w:.-]{1,40})\s*=\s*(?:\"([^\"<]*)\"|'([^'<]*)')")


@dataclass(frozen=True, slots=True)
class OpmlFeed:
    """One outline with an address; `folders` are the outlines around it, outermost first."""

    url: str
    title: str
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Opml:
    """What a list holds: feeds, each address once, and a sentence on everything that was left out."""

    feeds: tuple[OpmlFeed, ...]
    refused: tuple[str, ...] = ()


def read_opml(data: bytes) -> Opml:
    """The feeds in an OPML file; raises DialectError when it holds none, is too large or declares entities."""
    if len(data) > MAX_BYTES:
        raise DialectError(f"The OPML is {len(data):,} bytes; at most {MAX_BYTES:,} are read. Split it.")
    text = _BARE_AMPERSAND.sub("&amp;", _DECLARATION.sub("", _text(data).lstrip("\ufeff \t\r\n"), count=1))
    reading = _Reading()
    reading.parse(text)
    if not reading.feeds:
        reasons = " ".join(reading.refused[:3])
        raise DialectError(f"The OPML names no feed: no outline with an xmlUrl that can be polled. {reasons}".strip())
    return Opml(tuple(reading.feeds.values()), tuple(reading.refused))


def _text(data: bytes) -> str:
    """Text by byte order mark, declaration, then UTF-8, then GB18030, which every byte sequence nearly is."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(name, "replace")
    if data[:4] in (b"<\0?\0", b"<\0o\0"):
        return data.decode("utf-16-le", "replace")
    if data[:4] in (b"\0<\0?", b"\0<\0o"):
        return data.decode("utf-16-be", "replace")
    declared = _DECLARED.match(data[:400])
    stated = declared[1].decode("ascii").lower() if declared else "utf-8"
    stated = "gb18030" if stated in {"gb2312", "gbk", "x-gbk"} else stated
    for name in ("utf-8", stated, "gb18030"):
        try:
            return data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("utf-8", "replace")


@dataclass(slots=True)
class _Reading:
    """One pass; `path` holds the title of every open outline."""

    feeds: dict[str, OpmlFeed] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=list)

    def parse(self, text: str) -> None:
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.EntityDeclHandler = self.entity
        data = clean(text).encode("utf-8", "replace")
        try:
            parser.Parse(data, True)
        except expat.ExpatError as broken:
            self.refused.append(f"Line {broken.lineno} is not XML ({expat.ErrorString(broken.code)}).")
            self.path.clear()
            self.salvage(data[max(parser.ErrorByteIndex, 0) :].decode("utf-8", "replace"))

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if name.lower().rpartition(":")[2] != "outline":
            return
        outline = {key.lower(): value for key, value in attributes.items()}
        title = _title(outline.get("title") or outline.get("text") or "")
        self.add(outline.get("xmlurl"), title)
        self.path.append("" if "xmlurl" in outline else title)

    def end(self, name: str) -> None:
        if name.lower().rpartition(":")[2] == "outline" and self.path:
            self.path.pop()

    def entity(self, name: str, *_: object) -> None:
        raise DialectError(f"The OPML declares the entity {name}; a list of feeds needs none, so it is refused.")

    def salvage(self, rest: str) -> None:
        for found in _OUTLINE.finditer(rest):
            pairs = {key.lower(): unescape(one or other) for key, one, other in _ATTRIBUTE.findall(found[1])}
            self.add(pairs.get("xmlurl"), _title(pairs.get("title") or pairs.get("text") or ""))

    def add(self, url: str | None, title: str) -> None:
        """A feed, unless it has no address, one that cannot be polled, or one that was there before."""
        if url is None:
            return
        url = re.sub(r"^feed:(?=https?://)", "", url.strip())
        url = "http://" + url.removeprefix("feed://") if url.startswith("feed://") else url
        shown = f'"{title or _title(addresses.masked(url))[:80]}"'
        try:
            same = addresses.identity(addresses.checked(url))
        except ValueError as wrong:
            self.refused.append(f"{shown}: the address {wrong}.")
            return
        if url.lower().startswith("file:"):
            self.refused.append(f"{shown}: local files are not taken from a list.")
        elif same in self.feeds:
            self.refused.append(f"{shown} stands there twice.")
        else:
            folders = tuple(folder for folder in self.path if folder)[:5]
            self.feeds[same] = OpmlFeed(url, title or addresses.masked(url), folders)


def _title(text: str) -> str:
    return clean(" ".join(unescape(text).split()))[:_MAX_TEXT]


def write_opml(feeds: Iterable[Feed], title: str = "aggregator") -> bytes:
    """An OPML 2.0 file of feeds. Passwords, keys and codes are taken out of the addresses.

    A feed that waits for an RSSHub instance is written as `rsshub://route`, which some readers know.
    """
    rows = "".join(f"    {_outline(feed)}\n" for feed in feeds)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<opml version="2.0">\n'
        f"  <head>\n    <title>{escape(clean(title))}</title>\n  </head>\n  <body>\n{rows}  </body>\n</opml>\n"
    ).encode()


def _outline(feed: Feed) -> str:
    url = next(iter(feed.urls or feed.sources), "")
    pairs = {"type": "rss", "text": feed.title, "title": feed.title, "xmlUrl": addresses.masked(url)}
    pairs |= {"category": ",".join(feed.categories)} if feed.categories else {}
    pairs |= {"language": feed.lang} if feed.lang else {}
    return "<outline " + " ".join(f'{name}="{escape(clean(value))}"' for name, value in pairs.items()) + "/>"
