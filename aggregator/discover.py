"""The feeds of a web page (RSS Board, "RSS Autodiscovery"; WHATWG HTML, link type `alternate`). Asks through what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag

from aggregator.addresses import masked
from aggregator.errors import FeedError, ParseError
from aggregator.model import Document, Fetched

FEED_TYPES = {
    "application/rss+xml",
    "application/atom+xml",
    "application/rdf+xml",
    "application/feed+json",
    "application/xml",
    "text/xml",
}
USUAL_PLACES = ("feed", "rss", "feed.xml", "rss.xml", "atom.xml", "index.xml")
"""Tried where a page names none; what the common publishing programs use."""

MOST = 10
"""Links looked at; a page with more is a directory."""


@dataclass(frozen=True, slots=True)
class Link:
    """A feed as a page names it; whether it is one, asking it will show."""

    url: str
    title: str = ""


def links(html: str, base: str) -> tuple[Link, ...]:
    """The http and https feeds named in a page's head, comments' feeds last, each once, at most `MOST`."""
    soup = BeautifulSoup(html, "lxml")
    found: dict[str, Link] = {}
    root = soup.find("base", href=True)
    base = urljoin(base, str(root["href"])) if isinstance(root, Tag) else base
    for tag in soup.find_all("link", href=True):
        if link := _link(tag, base):
            found.setdefault(link.url, link)
    ordered = sorted(found.values(), key=lambda link: "comment" in (link.url + link.title).lower())
    return tuple(ordered[:MOST])


def _link(tag: Tag, base: str) -> Link | None:
    relations = tag.get_attribute_list("rel")
    words = {str(word).lower() for word in relations if word}
    kind = str(tag.get("type") or "").split(";")[0].strip().lower()
    if "alternate" not in words or kind not in FEED_TYPES:
        return None
    try:
        url = urljoin(base, str(tag["href"]).strip())
        parts = urlsplit(url)
        right = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return None
    return Link(url.partition("#")[0], str(tag.get("title") or "").strip()) if right else None


def guesses(url: str) -> tuple[str, ...]:
    """Where a site that names no feed may have one."""
    parts = urlsplit(url)
    return tuple(f"{parts.scheme}://{parts.netloc}/{place}" for place in USUAL_PLACES)


@dataclass(frozen=True, slots=True)
class Found:
    """An address that does hold a feed, and the document that came."""

    url: str
    document: Document


def find(
    url: str, get: Callable[[str], Fetched], parse: Callable[[Fetched], Document], decode: Callable[[Fetched], str]
) -> tuple[Found, ...]:
    """The feeds at an address: it itself, else those its page names, else one at the usual places.

    `get` asks under the guard. Raises FetchError when the address does not answer, ParseError when there is none.
    """
    page = get(url)
    try:
        return (Found(page.permanent_url or url, parse(page)),)
    except ParseError as error:
        reason = error
    named = [link.url for link in links(decode(page), page.url)]
    found = tuple(one for one in (_tried(link, get, parse) for link in named) if one)
    if found:
        return found
    for guess in guesses(page.url):
        if one := _tried(guess, get, parse):
            return (one,)
    raise ParseError(f"{masked(url)} {reason}, and names none that can be read; give the address of the feed itself.")


def _tried(url: str, get: Callable[[str], Fetched], parse: Callable[[Fetched], Document]) -> Found | None:
    try:
        return Found(url, parse(get(url)))
    except FeedError:
        return None
