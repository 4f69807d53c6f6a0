"""jekyll: front matter (layout, title, date, author, from, tags, categories) above the linked form of feedx.

The head's title and the linked one are the same but for hard blanks and outer ones. `date` equals the comment where a
leading `<i>` tells the date of publication; else it is the date of publication.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aggregator.dialects import feedx, head, hexo
from aggregator.errors import DialectError
from aggregator.model import Article

BEGIN, END = "<div>\n", "\n</div>\n"
_KEYS = frozenset({"title", "author", "date", "from"})
_LISTS = frozenset({"tags", "categories", "clauses"})
_FLOW = {"list": "flow", "open": "[ ", "close": " ]", "items": []}
USUAL: tuple[head.Entry, ...] = (
    {"line": "layout: post"},
    {"key": "title", "style": "double"},
    {"key": "date", "style": "naive", "form": "iso.ms"},
    {"key": "author"},
    {"key": "from"},
    {"key": "tags"} | _FLOW,
    {"key": "categories"} | _FLOW,
)


def read(text: str) -> Article:
    """The article; raises DialectError for a head without end or title, or a body without linked title."""
    above, lines, body = hexo.split(text)
    entries, values = head.parse(lines, _KEYS, _LISTS)
    title = values.get("title")
    if not isinstance(title, str):
        raise DialectError('the head has no title that can be read: write `title: "…"` on one line')
    article = feedx.read_linked(body, title, BEGIN, END)
    noted, date, note = hexo.dated(entries, values)
    facts = dict(article.extra)
    if "dated" in facts:
        shown, published = article.captured, article.published
    else:
        shown = published = date or article.captured
    for entry in noted:
        key = entry.get("key")
        if key == "date" and "form" in entry and date != shown:
            entry["value"] = values["date"]
        if key == "from" and values["from"] != (article.link or ""):
            entry["value"] = values["from"]
        if key == "clauses" or (key == "tags" and values["tags"] != values.get("categories", ())):
            entry["value"] = list(values[key])
    facts |= {} if above == "---\n" else {"above": above}
    facts |= {} if tuple(noted) == USUAL else {"head": noted}
    author = str(values.get("author", ""))
    return replace(
        article, author=author or None, outlet=author, categories=tuple(values.get("categories", ())),
        published=published, date_note=note, extra=facts,
    )  # fmt: skip


def write(article: Article, facts: Mapping[str, Any], own: bool, meta: Mapping[str, Any] | None) -> str:  # noqa: FBT001 - one fact, named at its call
    """The characters of the file. `own`: the article was read from this dialect, so nothing is filled in."""
    entries: list[head.Entry] = list(facts.get("head", USUAL))
    date = feedx.capture(article) if "dated" in facts else article.published or article.captured
    if not own:
        entries = [entry for entry in entries if entry.get("key") != "date" or date]
    if meta is not None:
        entries = hexo.with_meta(entries, meta, "from")
    before, after = facts.get("pad", ["", ""])
    values = {
        "title": before + article.title + after, "from": article.link or "", "tags": article.categories,
        "categories": article.categories, "author": (article.author if own else article.outlet or article.author) or "",
    }  # fmt: skip
    lines = head.render(entries, hexo.fill(entries, values, date))
    linked = feedx.write_linked(article, facts, facts.get("dated"), (BEGIN, END))
    return f"{facts.get('above', '---' + chr(10))}{lines}---\n{linked}"
