"""RSS 2.0 and Atom of the plainest kind, read by expat at a fifth of feedparser's cost; None for everything else.

feedparser decides what a feed means, and `read` gives what it would: the elements, attributes and repetitions below are
those for which that is certain (`tests/test_plainfeed.py` holds the two against each other on every feed there is and
on made-up ones). Anything that is not named here, anything that stands twice, anything inside what should hold text
alone, and every fault makes `read` give None, and feedparser reads the document. Where only what the feed says of
itself is not that plain, the caller hands feedparser the document without its entries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urljoin
from xml.etree import ElementTree as ET

from feedparser.html import _cp1252
from feedparser.mixin import _FeedParserMixin

MOST = 1_000
"""Entries; longer documents are read by feedparser, which knows where to stop."""
_MOST_TAGS = 100
_LONGEST_AUTHOR = 1_000

_ATOM = "{http://www.w3.org/2005/Atom}"
_CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
_CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
_DATE = "{http://purl.org/dc/elements/1.1/}date"
_STANDARD = {
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "feedburner": "http://rssnamespace.org/feedburner/ext/1.0",
    "slash": "http://purl.org/rss/1.0/modules/slash/",
    "wfw": "http://wellformedweb.org/commentAPI/",
}
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_VERSIONS = re.compile(r"0\.9[1-4]$|2\.")
_OF_NO_MATTER = frozenset(
    {
        "comments",
        f"{{{_STANDARD['slash']}}}comments",
        f"{{{_STANDARD['wfw']}}}commentRss",
        f"{{{_STANDARD['feedburner']}}}origLink",
    }
)
_FIRST = {"item": re.compile(r"<item(?=[\s>])"), "entry": re.compile(r"<entry(?=[\s>])")}
_WINDOWS = re.compile("[\x80-\x9f]")
_LINK_ATTRIBUTES = {"rel", "type", "href", "title", "length", "hreflang"}
_KINDS = {"": "text/plain", "text": "text/plain", "html": "text/html", "text/html": "text/html"}
_REFERENCE = re.compile(r"&([A-Za-z0-9_]+);")  # feedparser: a query's parameters that were read as references
_SLASHES = re.compile(r"^([A-Za-z][A-Za-z0-9+-.]*://)(/*)(.*?)")  # feedparser: more than two slashes are two

Fields = dict[str, Any]


class _Doubt(Exception):
    """Something whose meaning only feedparser knows."""


@dataclass(frozen=True, slots=True)
class Plain:
    """The entries as feedparser would give them, and the document without them.

    `feed` is what it says of itself, in feedparser's words, as far as anybody here asks; None where that is not certain.
    """

    frame: str
    entries: list[Fields]
    feed: Fields | None
    is_atom: bool


def read(text: str) -> Plain | None:
    """What a mended document (without prolog) holds; None where feedparser has to look."""
    try:
        return _read(text)
    except (_Doubt, ET.ParseError, UnicodeError, ValueError):
        return None


def _read(text: str) -> Plain:
    root = _tree(text)
    if root.tag == "rss" and root.attrib.keys() <= {"version"} and _VERSIONS.match(root.get("version", "")):
        channel, name, tag, make = _only_child(root), "item", "item", _item
    elif root.tag == f"{_ATOM}feed" and all(name == _LANG and said for name, said in root.attrib.items()):
        channel, name, tag, make = root, "entry", f"{_ATOM}entry", _entry
    else:
        raise _Doubt
    members = list(channel)
    number = sum(member.tag == tag for member in members)
    if not 0 < number <= MOST or any(member.tag != tag for member in members[-number:]):
        raise _Doubt
    if tag != name and any(member.tag.rpartition("}")[2] == "language" for member in members):
        raise _Doubt  # beside xml:lang, which of the two is an entry's language depends on what the entry holds
    is_atom = tag != name
    feed = _feed(channel, members[:-number], _FEED if is_atom else _CHANNEL)
    return Plain(_frame(text, name), [make(member) for member in members[-number:]], feed, is_atom)


def _tree(text: str) -> ET.Element:
    """The document's root; feedparser goes by prefixes too, so those it knows must mean what it thinks."""
    # `mend` leaves no document type, so nothing can be expanded.
    parser = ET.iterparse(BytesIO(text.encode()), events=("start-ns",))  # noqa: S314 - see above
    for _event, (prefix, address) in parser:
        if _STANDARD.get(prefix, address) != address:
            raise _Doubt
    root: ET.Element = parser.root  # type: ignore[attr-defined]
    return root


def _only_child(root: ET.Element) -> ET.Element:
    if len(root) != 1 or root[0].tag != "channel" or root[0].attrib:
        raise _Doubt
    return root[0]


def _frame(text: str, name: str) -> str:
    """The document less its entries, which stand in one row at its end."""
    first = _FIRST[name].search(text)
    end = text.rfind(f"</{name}>")
    if first is None or end < 0:
        raise _Doubt
    return text[: first.start()] + text[end + len(name) + 3 :]


# --- the feed itself --------------------------------------------------------------------------------------------------


def _feed(
    channel: ET.Element, members: Sequence[ET.Element], known: Mapping[str, Callable[[Fields, ET.Element], None]]
) -> Fields | None:
    if channel.attrib or any((said or "").strip() for said in (channel.text, *[member.tail for member in channel])):
        return None
    feed: Fields = {}
    try:
        for member in members:
            known.get(member.tag, _refuse)(feed, member)
    except _Doubt:
        return None
    # feedparser takes an id for a link where there is none.
    return {"link": feed["id"], **feed} if "id" in feed else feed


def _said(name: str) -> Callable[[Fields, ET.Element], None]:
    def note(feed: Fields, element: ET.Element) -> None:
        said = _repaired(_text(element))
        if not said or "&" in said or "<" in said:
            raise _Doubt
        _once(feed, name, said)

    return note


def _unasked(feed: Fields, element: ET.Element) -> None:
    """Text that nobody here asks for."""
    _once(feed, element.tag, _text(element))


def _feed_link(feed: Fields, element: ET.Element) -> None:
    """An Atom feed's own addresses, of which the page's counts."""
    said = element.attrib
    if said.keys() - _LINK_ATTRIBUTES or not said.get("href") or (element.text or "").strip() or len(element):
        raise _Doubt
    if said.get("rel", "alternate") == "alternate":
        if said.get("type", "text/html") != "text/html" or "&" in said["href"]:
            raise _Doubt
        _once(feed, "link", _joined(said["href"]))
    elif said["rel"] not in {"self", "hub"}:
        raise _Doubt


_CHANNEL: Mapping[str, Callable[[Fields, ET.Element], None]] = {
    "title": _said("title"),
    "link": _said("link"),
    "language": _said("language"),
    "ttl": _said("ttl"),
    "description": _unasked,
    "lastBuildDate": _unasked,
    "pubDate": _unasked,
    "generator": _unasked,
    "copyright": _unasked,
}
_FEED: Mapping[str, Callable[[Fields, ET.Element], None]] = {
    f"{_ATOM}title": _said("title"),
    f"{_ATOM}link": _feed_link,
    f"{_ATOM}id": _said("id"),
    f"{_ATOM}updated": _unasked,
    f"{_ATOM}subtitle": _unasked,
    f"{_ATOM}generator": _unasked,
}


# --- entries --------------------------------------------------------------------------------------------------------


def _item(element: ET.Element) -> Fields:
    """One RSS item."""
    if element.attrib:
        raise _Doubt
    entry: Fields = {"authors": [], "tags": []}
    for member in element:
        _ITEM.get(member.tag, _refuse)(entry, member)
    if not entry.get("link"):
        raise _Doubt
    return entry


def _refuse(_entry: Fields, element: ET.Element) -> None:
    if element.tag not in _OF_NO_MATTER:
        raise _Doubt
    _text(element)


def _title(entry: Fields, element: ET.Element) -> None:
    said = _text(element)
    is_html = bool(_FeedParserMixin.looks_like_html(said))
    _once(entry, "title", _repaired(said))
    entry["title_detail"] = {"type": "text/html" if is_html else "text/plain"}


def _link(entry: Fields, element: ET.Element) -> None:
    said = _repaired(_joined(_text(element))).replace("&amp;", "&")
    _once(entry, "link", _REFERENCE.sub(r"&\1", said))


def _guid(entry: Fields, element: ET.Element) -> None:
    if element.attrib.keys() - {"isPermaLink"}:
        raise _Doubt
    _once(entry, "id", _repaired(_text(element, attributes=True)))


def _content(entry: Fields, element: ET.Element) -> None:
    _once(entry, "content", [{"type": "text/html", "value": _repaired(_text(element))}])


def _description(entry: Fields, element: ET.Element) -> None:
    _once(entry, "summary_detail", {"type": "text/html", "value": _repaired(_text(element))})


def _author(entry: Fields, element: ET.Element) -> None:
    said = _repaired(_text(element))
    if not said or "@" in said or len(said) > _LONGEST_AUTHOR:
        raise _Doubt
    entry["authors"].append({"name": said})


def _category(entry: Fields, element: ET.Element) -> None:
    if said := _repaired(_text(element)):
        _tag(entry, {"term": said})


def _date(name: str) -> Callable[[Fields, ET.Element], None]:
    return lambda entry, element: _once(entry, name, _repaired(_text(element)))


def _enclosure(_entry: Fields, element: ET.Element) -> None:
    _text(element, attributes=True)


_ITEM: Mapping[str, Callable[[Fields, ET.Element], None]] = {
    "title": _title,
    "link": _link,
    "guid": _guid,
    "pubDate": _date("published"),
    "description": _description,
    _CONTENT: _content,
    "author": _author,
    _CREATOR: _author,
    _DATE: _date("updated"),
    "category": _category,
    "enclosure": _enclosure,
}


def _entry(element: ET.Element) -> Fields:
    """One Atom entry."""
    if element.attrib:
        raise _Doubt
    entry: Fields = {"authors": [], "tags": []}
    for member in element:
        tag = member.tag
        if not tag.startswith(_ATOM):
            raise _Doubt
        _ENTRY.get(tag[len(_ATOM) :], _refuse)(entry, member)
    if not entry.get("link"):
        raise _Doubt
    return entry


def _atom_text(element: ET.Element) -> Fields:
    """A text construct (RFC 4287, 3.1), XHTML excepted."""
    kind = _KINDS.get(element.get("type", "").lower())
    if kind is None or element.attrib.keys() - {"type"}:
        raise _Doubt
    return {"type": kind, "value": _repaired(_text(element, attributes=True))}


def _atom_title(entry: Fields, element: ET.Element) -> None:
    detail = _atom_text(element)
    _once(entry, "title", detail["value"])
    entry["title_detail"] = detail


def _atom_content(entry: Fields, element: ET.Element) -> None:
    _once(entry, "content", [_atom_text(element)])


def _atom_summary(entry: Fields, element: ET.Element) -> None:
    _once(entry, "summary_detail", _atom_text(element))


def _atom_link(entry: Fields, element: ET.Element) -> None:
    said = element.attrib
    if said.keys() - _LINK_ATTRIBUTES or not said.get("href") or _text(element, attributes=True):
        raise _Doubt
    if said.get("rel", "alternate").lower() == "alternate":
        if said.get("type", "text/html").lower() != "text/html":
            raise _Doubt
        _once(entry, "link", _joined(said["href"]))


def _atom_author(entry: Fields, element: ET.Element) -> None:
    if element.attrib or (element.text or "").strip() or any((member.tail or "").strip() for member in element):
        raise _Doubt
    said: Fields = {}
    for member in element:
        name = member.tag.removeprefix(_ATOM)
        if name not in {"name", "email", "uri"}:
            raise _Doubt
        _once(said, name, _text(member))
    if not (said.get("name") or said.get("email")) or len(said.get("name", "")) > _LONGEST_AUTHOR:
        raise _Doubt
    entry["authors"].append(said)
    if len(entry["authors"]) > 1 and not all(one.get("name") for one in entry["authors"]):
        raise _Doubt  # feedparser gives one the name of another


def _atom_category(entry: Fields, element: ET.Element) -> None:
    said = element.attrib
    if said.keys() - {"term", "scheme", "label"} or not said.get("term") or _text(element, attributes=True):
        raise _Doubt
    _tag(entry, dict(said))


def _atom_id(entry: Fields, element: ET.Element) -> None:
    _once(entry, "id", _repaired(_text(element)))


_ENTRY: Mapping[str, Callable[[Fields, ET.Element], None]] = {
    "title": _atom_title,
    "link": _atom_link,
    "id": _atom_id,
    "published": _date("published"),
    "updated": _date("updated"),
    "summary": _atom_summary,
    "content": _atom_content,
    "author": _atom_author,
    "category": _atom_category,
}


# --- values ---------------------------------------------------------------------------------------------------------


def _tag(entry: Fields, said: Fields) -> None:
    if said not in entry["tags"]:
        entry["tags"].append(said)
    if len(entry["tags"]) > _MOST_TAGS:
        raise _Doubt


def _once(entry: Fields, name: str, value: Any) -> None:
    if name in entry:
        raise _Doubt
    entry[name] = value


def _text(element: ET.Element, *, attributes: bool = False) -> str:
    """What an element says, with nothing in it but text; with `attributes` the caller has looked at those."""
    if len(element) or (element.attrib and not attributes):
        raise _Doubt
    return (element.text or "").strip()


def _joined(address: str) -> str:
    """As feedparser does without a base."""
    return urljoin("", _SLASHES.sub(r"\1\3", address))


def _repaired(text: str) -> str:
    """As feedparser: UTF-8 that was taken for Latin-1, and Windows' characters where controls stand."""
    if text.isascii():
        return text
    with suppress(UnicodeError):
        text = text.encode("iso-8859-1").decode("utf-8")
    return text.translate(_cp1252) if _WINDOWS.search(text) else text
