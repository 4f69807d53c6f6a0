"""hexo, the canonical form: an empty line, front matter, the HTML in a frame of `<div>`.

`---`, title, categories, headimg, author, comments, date (RFC 1123, GMT), thumbnail, `---`. A poll's article is
written with its outlet as author and the first image of its HTML as headimg and thumbnail. Without a known date
there is no date line. A title with line breaks or control characters stands in double quotes with escapes, so that
it never opens a line of its own. A body that is neither framed nor HTML is Markdown, as in a site's own posts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aggregator.dialects import frames, head, markup, moments
from aggregator.errors import DialectError
from aggregator.model import Article

BEGIN, END = "<div>   \n", "\n\n  \n</div>\n            "
_TAG = re.compile(r"<img\b[^<>]{0,4000}", re.IGNORECASE)
_SOURCE = re.compile(r"\ssrc\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"']+))", re.IGNORECASE)
_KEYS = frozenset({"title", "headimg", "author", "date", "thumbnail", "link"})
_LISTS = frozenset({"categories", "clauses"})
USUAL: tuple[head.Entry, ...] = (
    {"key": "title", "style": "single"},
    {"key": "categories", "list": "block", "items": []},
    {"key": "headimg", "style": "single"},
    {"key": "author"},
    {"line": "comments: false"},
    {"key": "date", "form": "rfc"},
    {"key": "thumbnail", "style": "single"},
)


def read(text: str) -> Article:
    """The article; raises DialectError for a head without end or title."""
    above, lines, body = split(text)
    parsed, values = head.parse(lines, _KEYS, _LISTS)
    title = values.get("title")
    if not isinstance(title, str):
        raise DialectError("the head has no title that can be read: write `title: '…'` on one line")
    entries, date, note = dated(parsed, values)
    headimg, author = str(values.get("headimg", "")), str(values.get("author", ""))
    for entry in entries:
        if entry.get("key") == "thumbnail" and values["thumbnail"] != headimg:
            entry["value"] = values["thumbnail"]
        if entry.get("key") == "clauses":
            entry["value"] = list(values["clauses"])
    facts: dict[str, Any] = {} if above == "\n---\n" else {"above": above}
    facts |= {} if tuple(entries) == USUAL else {"head": entries}
    html, rest = _body(body)
    return Article(
        title=title, html=html, text="", link=str(values.get("link", "")) or None, author=author or None, outlet=author,
        categories=tuple(values.get("categories", ())), headimg=headimg, published=date, date_note=note,
        extra=facts | rest,
    )  # fmt: skip


def _body(body: str) -> tuple[str, dict[str, Any]]:
    gap, body = ("", body[1:]) if body.startswith("\n") else ("none", body)
    facts = {"gap": False} if gap else {}
    html, framed = frames.take(body, BEGIN, END)
    if framed.get("frame") == ["", ""] and not html.lstrip().startswith("<"):
        html, more = markup.to_html(html)
        framed = {"markdown": more}
    return html, facts | framed


def split(text: str) -> tuple[str, list[str], str]:
    """What stands up to the first `---`, the head's lines, and the body after the closing `---`."""
    opened = re.match(r"(?:[ \t]*\n){0,20}---[ \t]*\n", text)
    if not opened:
        raise DialectError("does not begin with front matter `---`")
    closed = re.compile(r"^---\n", re.MULTILINE).search(text, opened.end())
    if not closed:
        raise DialectError("the front matter is not closed by a line `---`")
    return opened[0], text[opened.end() : closed.start()].split("\n")[:-1], text[closed.end() :]


def dated(entries: Sequence[head.Entry], values: dict[str, Any]) -> tuple[list[dict[str, Any]], Any, str | None]:
    """The entries with the date's form noted, the date, and what is written there when it cannot be read."""
    moment = moments.parse(str(values.get("date", "")))
    noted: list[dict[str, Any]] = []
    for entry in entries:
        fact = {"form": moment[1]} if moment else {"value": values.get("date", "")}
        noted.append(dict(entry) | (fact if entry.get("key") == "date" else {}))
    return noted, moment[0] if moment else None, None if moment else (str(values.get("date", "")) or None)


def write(article: Article, facts: Mapping[str, Any], own: bool, meta: Mapping[str, Any] | None) -> str:  # noqa: FBT001 - one fact, named at its call
    """The characters of the file. `own`: the article was read from this dialect, so nothing is filled in."""
    entries: list[head.Entry] = list(facts.get("head", USUAL))
    if not own:
        entries = [entry for entry in entries if entry.get("key") != "date" or article.published]
    entries = with_meta(entries, meta, "link")
    image = article.headimg if own else article.headimg or first_image(article.html)
    values = {
        "title": article.title, "categories": article.categories, "headimg": image, "thumbnail": image,
        "author": (article.author if own else article.outlet or article.author) or "",
        "link": str((meta or {}).get("link") or article.link or ""),
    }  # fmt: skip
    lines = head.render(entries, fill(entries, values, article.published))
    above, gap = facts.get("above", "\n---\n"), "\n" if facts.get("gap", True) else ""
    if "markdown" in facts:
        return f"{above}{lines}---\n{gap}{markup.to_markdown(article.html, facts['markdown'])}"
    return f"{above}{lines}---\n{gap}{frames.put(article.html, BEGIN, END, facts)}"


def fill(entries: Sequence[head.Entry], values: Mapping[str, Any], date: Any) -> dict[str, Any]:
    """The value of each key: an entry's own where it has one, the date in the entry's form."""
    filled = dict(values)
    for entry in entries:
        if "form" in entry:
            filled["date"] = moments.render(date, entry["form"]) if date else ""
        if "value" in entry:
            value = entry["value"]
            filled[entry["key"]] = tuple(value) if isinstance(value, list) else value
    return filled


def with_meta(entries: Sequence[head.Entry], meta: Mapping[str, Any] | None, link: str) -> list[head.Entry]:
    """The entries with the link and the clauses, each once, at the end where it was not there."""
    if meta is None:
        return list(entries)
    kept = [entry for entry in entries if entry.get("key") != "clauses"]
    if not any(entry.get("key") == link for entry in kept):
        kept.append({"key": link, "style": "single"})
    clauses = [str(clause) for clause in meta.get("clauses", ())]
    return [*kept, {"key": "clauses", "list": "block", "items": [], "value": clauses}]


def first_image(html: str) -> str:
    """The address of the first image, `''` where there is none; `&amp;` in it is undone."""
    # A tag is looked into 4,000 characters far: a page of unclosed tags must not cost the square of its length.
    found = next((src for tag in _TAG.finditer(html) if (src := _SOURCE.search(tag[0]))), None)
    return (found[1] or found[2] or found[3] or "").replace("&amp;", "&").strip() if found else ""
