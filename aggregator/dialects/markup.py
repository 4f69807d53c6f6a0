"""Markdown and HTML: an exact pair for what was read from Markdown, and a readable way for any other HTML.

Blocks are what blank lines separate, and stay so in the HTML: `<p>`, `<h2>` … `<h6>`, bold as `<strong>`, raw HTML as
it stands. Whatever would not come back exactly stays literal text in its `<p>`, so the Markdown source need
not be kept; only unusual gaps between blocks are facts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from html.parser import HTMLParser
from typing import Any

_GAP = re.compile(r"\n(?:[ \t\r]*\n)+")
_HEADING = re.compile(r"(#{2,6}) (\S[^\n]*)\Z")
_HTML_HEADING = re.compile(r"<h([2-6])>([^\n]*)</h\1>\Z")
_BOLD = re.compile(r"\*\*([^*\s](?:[^*\n]*[^*\s])?)\*\*")
_RAW = re.compile(r"<(?:[A-Za-z/]|!--)")


def to_html(source: str) -> tuple[str, dict[str, Any]]:
    """HTML, one block for one, separated by an empty line; facts on the gaps and on how the source ends."""
    inner = source.rstrip()
    begun = re.match(r"(?:[ \t\r]*\n)*", inner)
    start = begun.end() if begun else 0
    facts: dict[str, Any] = {"begin": inner[:start]} if start else {}
    end = source[len(inner) :]
    facts |= {} if end == "\n" else {"end": end}
    gaps = _GAP.findall(inner, start)
    odd = {str(number): gap for number, gap in enumerate(gaps) if gap != "\n\n"}
    facts |= {"gaps": odd} if odd else {}
    return "\n\n".join(_block(block) for block in _GAP.split(inner[start:]) if inner), facts


def to_markdown(html: str, facts: Mapping[str, Any]) -> str:
    """The source that `to_html` was given."""
    blocks = html.split("\n\n") if html else []
    odd: Mapping[str, str] = facts.get("gaps", {})
    written = str(facts.get("begin", ""))
    for number, block in enumerate(blocks):
        written += _source(block) + (odd.get(str(number), "\n\n") if number < len(blocks) - 1 else "")
    return written + str(facts.get("end", "\n"))


def _block(block: str) -> str:
    """The block's HTML: the first form that comes back exactly; literal text always does."""
    heading = _HEADING.match(block)
    forms = [f"<p>{_inline(block)}</p>"]
    if heading:
        forms.insert(0, f"<h{len(heading[1])}>{_inline(heading[2])}</h{len(heading[1])}>")
    if _RAW.match(block):
        forms = [block, f"<div>{block}</div>"]
    for form in forms:
        if _source(form) == block:
            return form
    return f"<p>{escape(block, quote=False)}</p>"


def _source(html: str) -> str:
    if found := _HTML_HEADING.match(html):
        return "#" * int(found[1]) + " " + _plain(found[2])
    for tag in ("p", "div"):
        if html.startswith(f"<{tag}>") and html.endswith(f"</{tag}>"):
            inner = html[len(tag) + 2 : -len(tag) - 3]
            return _plain(inner) if tag == "p" else inner
    return html


def _inline(text: str) -> str:
    return _BOLD.sub(r"<strong>\1</strong>", escape(text, quote=False))


def _plain(html: str) -> str:
    for entity, char in (("<strong>", "**"), ("</strong>", "**"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        html = html.replace(entity, char)
    return html


class _Converter(HTMLParser):
    """Any HTML to paragraphs, headings, lists, links, images and bold; scripts, styles and comments are left out."""

    _BLOCKS = frozenset(
        [
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "caption",
            "dd",
            "div",
            "dl",
            "dt",
            "figcaption",
            "figure",
            "footer",
            "form",
            "header",
            "hr",
            "html",
            "main",
            "nav",
            "ol",
            "p",
            "pre",
            "section",
            "table",
            "tbody",
            "td",
            "tfoot",
            "th",
            "thead",
            "tr",
            "ul",
        ]
    )
    _SILENT = frozenset({"script", "style", "template", "noscript", "head"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[str] = []
        self.line: list[str] = []
        self.silent: str | None = None
        self.links: list[str] = []

    def close_block(self, begin: str = "") -> None:
        if words := "\n".join(part for line in "".join(self.line).split("\n") if (part := " ".join(line.split()))):
            self.blocks.append(words)
        self.line = [begin]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if self.silent:
            return
        if tag in self._SILENT:
            self.silent = tag
        elif re.fullmatch(r"h[1-6]", tag):
            self.close_block("#" * max(2, int(tag[1])) + " ")
        elif tag == "li":
            self.close_block("- ")
        elif tag in self._BLOCKS:
            self.close_block()
        elif tag == "br":
            self.line.append("\n")
        elif tag == "img" and re.match(r"(?i)https?://", found.get("src", "")):
            self.line.append(f"![{_escaped(found.get('alt', ''))}](<{_address(found['src'])}>)")
        elif tag == "a":
            self.links.append(found.get("href", ""))
            self.line.append("[" if self._active(self.links[-1]) else "")

    def handle_endtag(self, tag: str) -> None:
        if self.silent:
            self.silent = None if tag == self.silent else self.silent
        elif tag in self._BLOCKS or tag == "li" or re.fullmatch(r"h[1-6]", tag):
            self.close_block()
        elif tag == "a" and self.links:
            link = self.links.pop()
            self.line.append(f"](<{_address(link)}>)" if self._active(link) else "")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.line.append(_escaped(re.sub(r"\s+", " ", data)))

    @staticmethod
    def _active(link: str) -> bool:
        return bool(re.match(r"(?i)https?://|mailto:", link))


def _address(link: str) -> str:
    return re.sub(r"[\s<>\\]", lambda char: f"%{ord(char[0]):02X}", link)


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>])", r"\\\1", text)


def from_html(html: str) -> str:
    """Markdown for reading, of any HTML: every word a reader sees, in its paragraphs; ends in one newline."""
    converter = _Converter()
    try:
        converter.feed(html)
        converter.close()
    except AssertionError:  # html.parser on a broken `<![`: what stands behind it is read without its tags
        converter.handle_data(re.sub(r"<[^<>]*>", " ", converter.rawdata))
    converter.close_block()
    return "\n\n".join(converter.blocks) + "\n" if converter.blocks else ""


def escaped_title(title: str) -> str:
    """A title whose characters all stand for themselves in Markdown."""
    return _escaped(title)


def unescaped_title(text: str) -> str:
    """What `escaped_title` was given."""
    return re.sub(r"\\([\\`*_\[\]<>])", r"\1", text)
