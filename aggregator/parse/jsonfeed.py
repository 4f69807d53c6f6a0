"""JSON Feed 1 and 1.1 (jsonfeed.org) as plain fields; no feed parser knows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from aggregator.errors import ParseError
from aggregator.text import clean


def read(text: str) -> dict[str, Any]:
    """The top object of a JSON Feed; raises ParseError for any other JSON."""
    try:
        feed = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ParseError("answered broken JSON, not a feed") from error
    version = feed.get("version") if isinstance(feed, dict) else None
    if not isinstance(version, str) or "jsonfeed.org/version/" not in version:
        raise ParseError("answered JSON that is not JSON Feed")
    if not isinstance(feed.get("items", []), list):
        raise ParseError("answered a JSON Feed without a list of items")
    title = feed.get("title")
    if isinstance(title, str) and title and not clean(title):
        raise ParseError("answered a JSON Feed whose title is no text")
    return {
        "items": feed.get("items"),
        "title": title,
        "link": feed.get("home_page_url"),
        "language": feed.get("language"),
        "authors": _authors(feed),
    }


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def fields(item: Mapping[str, Any], feed: Mapping[str, Any]) -> dict[str, Any]:
    """One item as the fields that `parse` makes an entry of; members of a wrong type count as absent."""
    return {
        "guid": _identifier(item.get("id")),
        "link": _text(item, "url") or _text(item, "external_url"),
        "title": _text(item, "title") or "",
        "title_is_html": False,
        "html": _body(item),
        "authors": _authors(item) or feed.get("authors") or [],
        "published": _text(item, "date_published") or _text(item, "date_modified"),
        "updated": _text(item, "date_modified"),
        "tags": _strings(item.get("tags")),
        "lang": _text(item, "language") or feed.get("language"),
    }


def _identifier(value: Any) -> str | None:
    """Version 1 let ids be numbers."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _text(item: Mapping[str, Any], name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) else None


def _strings(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _body(item: Mapping[str, Any]) -> str:
    html = _text(item, "content_html")
    if html:
        return html
    text = _text(item, "content_text") or _text(item, "summary") or ""
    return "\n".join(f"<p>{escape(line, quote=False)}</p>" for line in text.splitlines() if line.strip())


def _authors(item: Mapping[str, Any]) -> list[str]:
    """`authors` of 1.1, `author` of 1: their names."""
    stated = item.get("authors") if isinstance(item.get("authors"), list) else [item.get("author")]
    return [one["name"] for one in stated or () if isinstance(one, dict) and isinstance(one.get("name"), str)]
