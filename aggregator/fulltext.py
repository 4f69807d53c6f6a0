"""The article's own page where the feed holds less: which part of it, and whether it is to be believed. Pure.

    page_address ── (fetched) ── page: kept selectors, else trafilatura ── completed: more than the feed's? ── Article

`Article.fulltext` then says which text it holds: `page`, `feed` (the page had no more), or `feed: ` and why the page
could not be used. `page` belongs into a child process with limits: 100,000 attributes or links take every
extractor minutes. trafilatura is imported only here, and only when a page has come.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from aggregator.errors import FeedError, ParseError
from aggregator.model import Article, Feed, Fetched
from aggregator.text import MOST_TAGS, fold, is_crowded

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

MORE = 1.2
"""A page counts as fuller from a fifth more text on: less is a caption or a by-line."""

MAX_ARTICLE = 1_000_000
"""Characters of HTML; the longest real article at hand has a tenth of it."""

KNOWN_BY = 2000
"""Characters of the feed's text by which a page may be known as the article's."""

TITLE_SHARE = 0.6
"""Of a title's character pairs, so many must be on the page: titles are shortened and re-spelled, pages are not swapped."""

MOST_ATTRIBUTES = 64
"""Attributes of an element that are read; an extractor takes time by their square."""


@dataclass(frozen=True, slots=True)
class Site:
    """How an outlet's pages are built: the article's element, and what to take out of it."""

    keep: tuple[str, ...]
    drop: tuple[str, ...] = ()


SITES = {
    # Two templates: news and military use #article, finance, entertainment and sports #artibody.
    "sina.com.cn": Site(
        ("#artibody", "#article"),
        ("#left_hzh_ad", ".appendQr_wrap", ".app-kaihu-qr", ".tech-quotation", ".article-editor", ".show_author"),
    ),
    # The unfolded page, see `page_address`.
    "guancha.cn": Site((".all-txt",), (".share", ".tags", ".module-comment")),
}
_GUANCHA = re.compile(r"(https?://(?:www\.)?guancha\.cn/[^?#]+?/\d{4}_\d\d_\d\d_\d+)\.shtml$")
_NEXT = re.compile(r"^\s*(?:下一?页|下一頁|后一页|Next(?: page)?)\s*[»›>]*\s*$", re.IGNORECASE)


def page_address(url: str) -> str:
    """Where an article's whole text stands: Guancha folds long ones except on `…_s.shtml` (RSSHub #9335)."""
    return _GUANCHA.sub(r"\1_s.shtml", url)


def completed(
    article: Article,
    get: Callable[[str], Fetched],
    read: Callable[[Fetched], str],
    with_text: Callable[[Article], Article],
) -> Article:
    """The article with its page's text where that is fuller, else as it is; `fulltext` says which and why.

    `get` fetches a page, `read` takes the article's HTML out of it (`page`), both raise FeedError; `with_text` makes
    the plain text of the HTML.
    """
    if not article.link or not article.link.startswith(("http://", "https://")):
        return replace(article, fulltext="feed: the entry has no link to a page")
    try:
        html = read(get(page_address(article.link)))
    except FeedError as error:
        return replace(article, fulltext=f"feed: {error}")
    fuller = with_text(replace(article, html=html.rstrip("\n") + "\n", text=""))
    if _weight(fuller.text) < MORE * _weight(article.text):
        return replace(article, fulltext="feed")
    return replace(fuller, fulltext="page")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a page: the selectors of its feed, and by what the article is known on it."""

    url: str
    content_type: str | None = None
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    title: str = ""
    text: str = ""


def request(page: Fetched, article: Article, feed: Feed) -> Request:
    """The request for an article's page; of the feed's text the first `KNOWN_BY` characters go along."""
    text = article.text[:KNOWN_BY]
    return Request(page.url, page.content_type, feed.keep, feed.drop, article.title, text)


def page(body: bytes, asked: Request) -> str:
    """The article's HTML from its page's bytes.

    Raises ParseError (kind `page`) where it is in several parts, is not found, is another article, or
    the page has too many tags.
    """
    from aggregator.parse.charset import decode

    url, keep, drop = asked.url, asked.keep, asked.drop
    from bs4 import BeautifulSoup

    html = decode(body, asked.content_type).text
    if is_crowded(html):
        raise ParseError(f"its page has more than {MOST_TAGS:,} tags.", "page")
    soup = _without_crowds(BeautifulSoup(html, "lxml"))
    if not _is_about(soup.get_text(), asked):
        raise ParseError("its page shows something else than the article.", "page")
    if _continues(soup, url):
        raise ParseError("its page is one of several; the whole text is not on it.", "page")
    site = _site(url)
    try:
        found = _kept(soup, keep or (site.keep if site else ()), (*drop, *(site.drop if site else ())))
        if not found and not keep:
            found = _guessed(str(soup), url)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ParseError(f"its page could not be read ({type(error).__name__}).", "page") from error
    if not found:
        raise ParseError("no article was found on its page.", "page")
    if len(found) > MAX_ARTICLE:
        raise ParseError(f"what its page holds is longer than {MAX_ARTICLE:,} characters.", "page")
    return found


def _without_crowds(soup: BeautifulSoup) -> BeautifulSoup:
    """The same page, every element with its first attributes alone."""
    for tag in soup.find_all(lambda tag: len(tag.attrs) > MOST_ATTRIBUTES):
        tag.attrs = dict(islice(tag.attrs.items(), MOST_ATTRIBUTES))
    return soup


def _site(url: str) -> Site | None:
    host = urlsplit(url).hostname or ""
    return next((site for name, site in SITES.items() if host == name or host.endswith("." + name)), None)


def _kept(soup: BeautifulSoup, keep: Sequence[str], drop: Sequence[str]) -> str:
    """The kept elements' HTML without what is dropped; the first selector that finds something counts."""
    for selector in drop:
        for tag in soup.select(selector):
            tag.decompose()
    for selector in keep:
        found = [tag for tag in soup.select(selector) if tag.get_text(strip=True)]
        if found:
            outer = [tag for tag in found if not any(other in tag.parents for other in found)]
            return "\n".join(tag.decode_contents().strip() for tag in outer)
    return ""


def _guessed(html: str, url: str) -> str:
    """What trafilatura takes for the article, as HTML."""
    import trafilatura

    found = trafilatura.extract(
        html, url=url, output_format="html", include_comments=False, include_images=True, include_links=True
    )
    body = re.search(r"<body>(.*)</body>", found or "", re.DOTALL)
    return body.group(1).strip() if body else ""


def _continues(soup: BeautifulSoup, url: str) -> bool:
    """Whether the page says that the article goes on elsewhere."""
    stem = re.sub(r"(?:_\d{1,2}|_s)?(?:\.\w+)?$", "", urlsplit(url).path)
    for tag in soup.find_all(["a", "link"], href=True):
        relations = str(tag.get("rel") or "")
        if not (("next" in relations.lower()) or _NEXT.match(tag.get_text())):
            continue
        target = urlsplit(urljoin(url, str(tag["href"])))
        same = target.hostname == urlsplit(url).hostname and bool(stem.strip("/")) and target.path.startswith(stem)
        if same and _is_other(target.geturl(), url):
            return True
    return False


def _is_other(target: str, url: str) -> bool:
    return target.partition("#")[0] != url.partition("#")[0]


def _is_about(words: str, asked: Request) -> bool:
    """Whether a page is the article's: most of its title, or a piece of the feed's text, is there."""
    page, title, own = _bare(words), _bare(asked.title), _bare(asked.text)
    pairs = {title[at : at + 2] for at in range(len(title) - 1)}
    if len(title) > 3 and sum(pair in page for pair in pairs) >= TITLE_SHARE * len(pairs):  # noqa: PLR2004 - too short
        return True
    pieces = [own[at : at + 12] for at in range(0, max(len(own) - 12, 1), 12)]
    return not (title or own) or (bool(own) and sum(piece in page for piece in pieces) * 4 >= len(pieces))


def _bare(text: str) -> str:
    """Letters, digits and characters alone, folded."""
    return re.sub(r"[\W_]+", "", fold(text))


def _weight(text: str) -> int:
    return len(re.sub(r"\s+", "", text))
