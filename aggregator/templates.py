"""Jinja2's one place: templates that come along in the package, everything in them escaped.

Templates lie in a folder `templates` beside the module that uses them. Names that end in `.html`, `.xml` or `.svg` are
escaped, `.txt` is not; a variable that was forgotten is an error, never an empty place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup, escape

# Control characters, line ends of every kind, and marks that turn the direction of what follows.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_LINK = re.compile(r"https?://[^\s<>\"'`\\{}|^]+", re.IGNORECASE)
_LONGEST_LINK = 1500


def rendered(
    package: str, name: str, values: Mapping[str, Any], *, filters: Mapping[str, Callable[..., Any]] | None = None
) -> str:
    """A template of a package (`aggregator.report`) with its values filled in; `filters` are the package's own."""
    return _environment(package, tuple((filters or {}).items())).get_template(name).render(values)


@cache
def _environment(package: str, filters: tuple[tuple[str, Callable[..., Any]], ...]) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=jinja2.select_autoescape(("html", "xml", "svg"), default_for_string=True, default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"line": line, "web_link": web_link, "marked": marked} | dict(filters)
    return environment


def line(text: str, limit: int = 0) -> str:
    """Text from outside as one harmless line, cut at `limit` characters when there is one."""
    flat = " ".join(_UNSHOWN.sub(" ", text).split())
    return flat if not limit or len(flat) <= limit else f"{flat[: limit - 1].rstrip()}…"


def web_link(url: str | None) -> str | None:
    """An address that a page may link to: http or https, printable, without blanks, not endless; else None."""
    if not url or len(url) > _LONGEST_LINK or not url.isprintable() or not _LINK.fullmatch(url):
        return None
    return url


def marked(text: str, spans: Iterable[tuple[int, int]]) -> Markup:
    """Escaped text with `<mark>` around the spans; overlapping ones are joined, those outside the text left out."""
    text = _UNSHOWN.sub(" ", text)
    parts, at = [Markup()], 0
    for first, last in sorted(spans):
        start, end = max(first, at), min(last, len(text))
        if start < end:
            parts += [escape(text[at:start]), Markup("<mark>"), escape(text[start:end]), Markup("</mark>")]
            at = end
    return Markup().join([*parts, escape(text[at:])])
