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

_TITLE = re.compile(r"((?:[ \t\r]{0,80}\n){0,20}#[ \t]{1,80})(?![ \t])([^\n]*)(\n(?:[ \t\r]{0,80}\n){0,20}|\Z)")


def recognises(text: str) -> bool:
    """Whether a title of the first level opens the text."""
    return bool(_TITLE.match(text))


def read(text: str) -> Article:
    """The article; raises DialectError where no `# title` opens the file."""
    found = _title(text, 0)
    if not found:
        raise DialectError("does not begin with a title `# …`")
    before, shown, after, at = found
    title = markup.unescaped_title(shown)
    literal = markup.escaped_title(title) != shown
    title = shown if literal else title
    marks = [[before, after]]
    if (again := _title(text, at)) and again[1] == shown:
        marks.append([again[0], again[2]])
        at = again[3]
    html, facts = markup.to_html(text[at:]) if text[at:] else ("", {"end": ""})
    facts |= {} if marks == [["# ", "\n\n"]] else {"titles": marks}
    return Article(title=title, html=html, text="", extra=facts | ({"literal": True} if literal else {}))


def _title(text: str, at: int) -> tuple[str, str, str, int] | None:
    """What stands before, in and after a title line at `at`, and where it ends."""
    found = _TITLE.match(text, at)
    if not found:
        return None
    shown = found[2].rstrip(" \t\r")
    return found[1], shown, found[2][len(shown) :] + found[3], found.end()


def write(article: Article, facts: Mapping[str, Any], own: bool) -> str:  # noqa: FBT001 - one fact, named at its call
    """The characters of the file. `own`: the HTML was made from Markdown, so it gives that back."""
    title = frames.one_line(article.title)
    title = title if facts.get("literal") else markup.escaped_title(title)
    titles = "".join(f"{before}{title}{after}" for before, after in facts.get("titles", [["# ", "\n\n"]]))
    return titles + (markup.to_markdown(article.html, facts) if own else markup.from_html(article.html))
