"""Atom feeds (RFC 4287) of what the archive finds: each entry with the sentences that show its clauses, then its text.

Nothing of the outlet's HTML is passed on: entries hold paragraphs of plain text, escaped twice over, as Atom wants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from markupsafe import escape

from aggregator.model import Article, Relation, Tags
from aggregator.templates import line, marked, rendered
from aggregator.text import clean

LONGEST = 4_000
"""Characters of an article's text in an entry; readers go to the outlet for the rest."""


@dataclass(frozen=True, slots=True)
class _Entry:
    id: str
    title: str
    updated: datetime
    published: datetime
    outlet: str
    url: str | None
    lang: str | None
    clauses: tuple[str, ...]
    html: str


@dataclass(frozen=True, slots=True)
class _Feed:
    id: str
    title: str
    updated: datetime
    link: str
    entries: tuple[_Entry, ...]


def atom(found: Iterable[tuple[Article, Tags | None]], *, title: str, link: str, now: datetime) -> bytes:
    """A feed of articles in the order given; `title` says what was asked, `link` where the feed itself is (or '').

    Ids stay the same when the feed is written again; the feed's own id is that of its title.
    """
    entries = tuple(_entry(article, tags, now) for article, tags in found)
    updated = max((entry.updated for entry in entries), default=now)
    feed = _Feed(f"urn:uuid:{uuid5(NAMESPACE_URL, f'aggregator:{title}')}", clean(title), updated, link, entries)
    return rendered(__package__ or "", "atom.xml", {"feed": feed}, filters=_FILTERS).encode("utf-8", "replace")


def _entry(article: Article, tags: Tags | None, now: datetime) -> _Entry:
    published = article.when or now
    discussed = [tag for tag in (tags.clauses if tags else ()) if tag.relation is Relation.DISCUSSES]
    name = f"{article.url or article.guid or ''}|{article.outlet}|{article.id}"
    quotes = []
    for tag in discussed:
        for one in tag.evidence[:1]:
            spans = [(start - one.start, end - one.start) for start, end in one.words]
            quotes.append(f"<p><b>{escape(tag.clause)}</b> {marked(one.quote, spans)}</p>")
    text = article.text if len(article.text) <= LONGEST else f"{article.text[:LONGEST]}…"
    body = "".join(f"<p>{escape(line(paragraph))}</p>" for paragraph in text.split("\n") if paragraph.strip())
    return _Entry(
        f"urn:uuid:{uuid5(NAMESPACE_URL, name)}",
        clean(article.title) or "without a title",
        max(published, article.updated or published),
        published,
        clean(article.outlet),
        article.url or article.link,
        article.lang,
        tuple(tag.clause for tag in discussed),
        clean("".join(quotes) + ("<hr>" if quotes else "") + body),
    )


def _instant(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


_FILTERS: dict[str, Callable[..., Any]] = {"instant": _instant}
