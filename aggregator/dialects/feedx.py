"""feedx: `<!--epoch ms-->`, `[title](link)`, `------`, an empty line, HTML.

The comment says when the article was captured. A leading `<div><i>date</i></div>` says when it was published; it
belongs to the file's form, not to the article's HTML, and is written again from `published`. Where there is none,
published equals captured. An article without any date has no comment.

A title is written as it stands; one with a backslash, `](`, `<` or brackets that do not pair has backslashes, so
that no link or tag opens inside it. Line breaks in a title become blanks, since a title has one line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from aggregator.dialects import frames, moments
from aggregator.errors import DialectError
from aggregator.model import Article

_COMMENT = re.compile(r"<!--(0|[1-9]\d{0,15})-->\n")
_RULE = re.compile(r"\n(-{3,})\n(\n?)")
_DATED = re.compile(r"<div><i>([^<>]{8,40})</i></div>")


def recognises(text: str) -> bool:
    """Whether a linked title with a rule under it opens the text."""
    comment = _COMMENT.match(text)
    line = text[comment.end() if comment else 0 :].split("\n", 2)
    return len(line) > 1 and _opens(line[0]) and bool(re.match(r"-{3,}\Z", line[1]))


def _opens(line: str) -> bool:
    return line.startswith("[") and line.endswith(")") and "](" in line


def read(text: str) -> Article:
    """The article; raises DialectError where the linked title or the rule is missing."""
    return read_linked(text, None, "", "\n")


def read_linked(text: str, expected: str | None, begin: str, end: str) -> Article:
    """The linked form, its HTML between `begin` and `end`; `expected` is the title when a head has told it."""
    comment = _COMMENT.match(text)
    at = comment.end() if comment else 0
    rule = _RULE.search(text, at)
    if not rule or "\n" in text[at : rule.start()]:
        raise DialectError("has no `[title](link)` line with a rule `------` under it")
    title, link, facts = _linked(text[at : rule.start()], expected)
    if (rule[1], rule[2]) != ("------", "\n"):
        facts["rule"] = [rule[1], rule[2]]
    html, framed = frames.take(text[rule.end() :], begin, end)
    captured = moments.from_millis(comment[1]) if comment else None
    published, html, dated = _dated(html, captured)
    article = Article(title=title, html=html, text="", link=link or None, captured=captured, published=published)
    return replace(article, extra=facts | framed | dated)


def _dated(html: str, captured: datetime | None) -> tuple[datetime | None, str, dict[str, Any]]:
    found = _DATED.match(html)
    moment = moments.parse(found[1]) if found else None
    if not found or not moment:
        return captured, html, {}
    return moment[0], html[found.end() :], {"dated": moment[1]}


def write(article: Article, facts: Mapping[str, Any]) -> str:
    """The characters of the file."""
    dated = facts.get("dated")
    taken = capture(article)
    if not facts and article.published and taken and moments.millis(article.published) != moments.millis(taken):
        dated = "rfc"
    return write_linked(article, facts, dated, ("", "\n"))


def capture(article: Article) -> datetime | None:
    """When somebody fetched it, as far as is known."""
    return article.captured or article.first_seen or article.published


def write_linked(article: Article, facts: Mapping[str, Any], dated: str | None, frame: tuple[str, str]) -> str:
    """The linked form with `frame` around the HTML, opened by the date of publication in the form `dated`."""
    taken = capture(article)
    comment = f"<!--{moments.millis(taken)}-->\n" if taken else ""
    shown = f"<div><i>{moments.render(article.published, dated)}</i></div>" if dated and article.published else ""
    rule, gap = facts.get("rule", ["------", "\n"])
    return f"{comment}{_line(article, facts)}\n{rule}\n{gap}{frames.put(shown + article.html, *frame, facts)}"


def escaped(title: str) -> str:
    """A title as Markdown link text: with backslashes where brackets or tags in it would have a meaning."""
    line = frames.one_line(title)
    depth, lowest = 0, 0
    for char in line:
        depth += (char == "[") - (char == "]")
        lowest = min(lowest, depth)
    plain = depth == 0 and lowest == 0 and not re.search(r"\\|\]\(|[<`]", line)
    return line if plain else re.sub(r"([\\\[\]<`])", r"\\\1", line)


def unescaped(text: str) -> str:
    """What `escaped` was given, line breaks aside."""
    return re.sub(r"\\([\\\[\]<`])", r"\1", text)


def _line(article: Article, facts: Mapping[str, Any]) -> str:
    if "linked" in facts:
        text = str(facts["linked"])
    else:
        title = list(article.title)
        for at in facts.get("nbsp", ()):
            if at < len(title) and title[at] == " ":
                title[at] = "\xa0"
        text = "".join(title)
        text = frames.one_line(text) if facts.get("literal") and "](" not in text else escaped(text)
    link = re.sub(r"[\x00-\x20\x7f]", lambda char: f"%{ord(char[0]):02X}", article.link or "")
    return f"[{text}]({link.replace('](', '%5D(')})"


def _linked(line: str, expected: str | None) -> tuple[str, str, dict[str, Any]]:
    """Title and link of a line `[title](link)`: the title may hold `](`, the link never does."""
    if not _opens(line):
        raise DialectError("has no `[title](link)` line above the rule `------`")
    text, _, link = line[1:-1].rpartition("](")
    facts: dict[str, Any] = {}
    title = unescaped(text)
    if escaped(title) != text:
        title, facts = text, {"literal": True}
    if expected is None or frames.one_line(expected) == title:
        return (title if expected is None else expected), link, facts
    return _joined(title, text, expected, link, facts)


def _joined(title: str, text: str, expected: str, link: str, facts: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The title of a head and the linked one, which often differ in hard blanks and blanks around them only."""
    trimmed = expected.strip(" ")
    if trimmed != expected and trimmed == title.replace("\xa0", " "):
        at = expected.index(trimmed) if trimmed else 0
        facts = facts | {"pad": [expected[:at], expected[at + len(trimmed) :]]}
        expected = trimmed
    if expected == title:
        return expected, link, facts
    if expected == title.replace("\xa0", " "):
        return expected, link, facts | {"nbsp": [at for at, char in enumerate(title) if char == "\xa0"]}
    return expected, link, {"linked": text}
