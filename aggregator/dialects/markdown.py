"""markdown: `# title`, maybe twice, then Markdown.

The Markdown source is not kept: the article's HTML has one block for each of its blocks, and gives it back exactly
(see markup). An article of another dialect is written with its words in paragraphs; its author, dates and
categories have no place here. Line breaks in a title become blanks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aggregator.dialects import frames, markup
from aggregator.errors import DialectError
from aggregator.model import Article

_TITLE = re.compile(r"((?:[ \t\r]*\n){0,20}#[ \t]+)([^\n]*?)([ \t\r]*(?:\n(?:[ \t\r]*\n){0,20}|\Z))")


def recognises(text: str) -> bool:
    """Whether a title of the first level opens the text."""
    return bool(_TITLE.match(text))


def read(text: str) -> Article:
    """The article; raises DialectError where no `# title` opens the file."""
    found = _TITLE.match(text)
    if not found:
        raise DialectError("does not begin with a title `# …`")
    shown = found[2]
    title = markup.unescaped_title(shown)
    literal = markup.escaped_title(title) != shown
    title = shown if literal else title
    marks, at = [[found[1], found[3]]], found.end()
    while (again := _TITLE.match(text, at)) and again[2] == shown:
        marks.append([again[1], again[3]])
        at = again.end()
    html, facts = markup.to_html(text[at:]) if text[at:] else ("", {"end": ""})
    facts |= {} if marks == [["# ", "\n\n"]] else {"titles": marks}
    return Article(title=title, html=html, text="", extra=facts | ({"literal": True} if literal else {}))


def write(article: Article, facts: Mapping[str, Any], own: bool) -> str:  # noqa: FBT001 - one fact, named at its call
    """The characters of the file. `own`: the HTML was made from Markdown, so it gives that back."""
    title = frames.one_line(article.title)
    title = title if facts.get("literal") else markup.escaped_title(title)
    titles = "".join(f"{before}{title}{after}" for before, after in facts.get("titles", [["# ", "\n\n"]]))
    return titles + (markup.to_markdown(article.html, facts) if own else markup.from_html(article.html))
