"""The feeds a web page names (RSS Board, "RSS Autodiscovery"; WHATWG HTML, link type `alternate`): pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag

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
