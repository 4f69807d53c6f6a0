"""The file syntaxes for articles: which one a file is in, reading it, and writing the same bytes again.

    hexo       front matter, then HTML in a frame of <div>; what polling produces
    jekyll     front matter, then a linked title, a rule and HTML
    feedx      a comment with the time of capture, a linked title, a rule and HTML
    markdown   `# title`, then Markdown

`read` keeps in `Article.extra` only what the article's own fields do not say: quoting, the order of keys, unusual
blanks, keys nobody here knows. `write` renders every known value from the fields, so another title changes the
title's lines only. `read` proves each file by writing it again; what would not come back byte for byte is refused.
`text` is left empty: the normalizer fills it from `html`, for Markdown too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aggregator.dialects import feedx, frames, hexo, jekyll, markdown
from aggregator.dialects.names import file_name
from aggregator.errors import DialectError
from aggregator.model import Article

__all__ = ["DIALECTS", "detect", "file_name", "read", "write"]

DIALECTS = ("hexo", "feedx", "jekyll", "markdown")
_READERS = {"hexo": hexo.read, "feedx": feedx.read, "jekyll": jekyll.read, "markdown": markdown.read}


def detect(data: bytes) -> str:
    """The name of the dialect a file is in. Raises DialectError, which says what is wrong."""
    return _detect(frames.decode(data)[0])


def _detect(text: str) -> str:
    start = text.lstrip()
    if not start:
        raise DialectError("is empty")
    if start.startswith("---") and not start[3:4].strip():
        _, _, body = hexo.split(text)
        return "jekyll" if feedx.recognises(body) else "hexo"
    if feedx.recognises(text):
        return "feedx"
    if markdown.recognises(text):
        return "markdown"
    raise DialectError("is in no known dialect: it opens with neither `---`, `[title](link)` nor `# title`")


def read(data: bytes, origin: str = "") -> Article:
    """The article in a file; `origin` names the file in messages and in `Article.origin`.

    `author` is also the outlet. Raises DialectError for what is in no dialect, is broken, or would not be written
    again byte for byte.
    """
    try:
        text, facts = frames.decode(data)
        dialect = _detect(text)
        article = _READERS[dialect](text)
        article = replace(article, dialect=dialect, origin=origin or None, extra={**article.extra, **facts})
    except DialectError as error:
        raise DialectError(f"{origin}: {error}" if origin else f"the file {error}") from None
    if write(article, dialect) != data:
        name = origin or "the file"
        raise DialectError(f"{name}: is {dialect}, but holds something that could not be written again byte for byte")
    return article


def write(article: Article, dialect: str, *, with_meta: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of a file in `dialect`.

    An article read from that dialect gives its own bytes again; any other one is written in the usual form.
    `with_meta` (`link`, `clauses`) adds both to the head of hexo and jekyll; the other two have no head. NUL and lone
    surrogates become U+FFFD. Raises DialectError for an unknown dialect.
    """
    own = article.dialect == dialect
    facts: Mapping[str, Any] = article.extra if own else {}
    if dialect == "hexo":
        text = hexo.write(article, facts, own, with_meta)
    elif dialect == "jekyll":
        text = jekyll.write(article, facts, own, with_meta)
    elif dialect == "feedx":
        text = feedx.write(article, facts)
    elif dialect == "markdown":
        text = markdown.write(article, facts, own)
    else:
        raise DialectError(f"there is no dialect {dialect!r}; known are {', '.join(DIALECTS)}")
    return frames.encode(text, facts)
