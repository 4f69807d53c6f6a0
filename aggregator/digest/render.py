"""A digest as a subject, a text and an HTML page: the owner of Jinja2 and css-inline for mails.

The templates lie in `templates/`: `digest.html`, `digest.txt`, `letter.html`, `letter.txt` (welcome and other notes)
and `words.zh.j2`, `words.en.j2` with every phrase. A file of the same name in the operator's folder takes the place of
ours; `digest.zh.html` there would be for Chinese only. HTML is escaped by Jinja2; text is not.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import css_inline
import jinja2

from aggregator.digest.compose import line
from aggregator.digest.values import Digest
from aggregator.errors import MailError

LANGUAGES = ("zh", "en")
_BARS = "·▁▂▃▄▅▆▇█"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Renderer:
    """Renders mails; made once, used for many. `folder` holds the operator's templates."""

    def __init__(self, folder: Path | None = None) -> None:
        ours = jinja2.PackageLoader("aggregator.digest", "templates")
        loaders: list[jinja2.BaseLoader] = [jinja2.FileSystemLoader(folder), ours] if folder else [ours]
        # Two environments: a macro's result counts as safe when the page that calls it escapes, so the phrases must
        # have been compiled to escape what they are given.
        self._text, self._html = (
            _environment(jinja2.ChoiceLoader(loaders), escape=escape) for escape in (False, True)
        )
        self._inliner = css_inline.CSSInliner(
            keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False, inline_style_tags=True
        )

    def digest(self, digest: Digest) -> tuple[str, str, str]:
        """Subject, text and HTML of a digest; raises MailError naming a template that is broken."""
        return self._mail("digest", digest.language, digest.timezone, {"d": digest})

    def letter(self, name: str, language: str, zone: str, **facts: Any) -> tuple[str, str, str]:
        """Subject, text and HTML of a note: `welcome`, `confirm`, `test`, `notice`."""
        return self._mail("letter", language, zone, {"name": name, "f": facts})

    def _mail(self, template: str, language: str, zone: str, values: dict[str, Any]) -> tuple[str, str, str]:
        place = ZoneInfo(zone)
        language = language if language in LANGUAGES else "en"

        def at(instant: datetime) -> str:
            return moment(instant, place, language)

        def day(instant: datetime) -> str:
            return date(instant, place, language)

        try:
            facts = values | {"at": at, "day": day, "language": language}
            words = _words(self._text, language, facts)
            text = _get(self._text, template, language, "txt").render(facts, w=words)
            html = _get(self._html, template, language, "html").render(facts, w=_words(self._html, language, facts))
            subject = (
                words.digest_subject(values["d"])
                if "d" in values
                else words.letter_subject(values["name"], values["f"])
            )
        except jinja2.TemplateError as error:
            where = getattr(error, "filename", None) or f"{template}.html"
            raise MailError(
                f"the mail template {where}: {error}; mend it in mail.templates", permanent=False
            ) from error
        return line(str(subject), 120), _tidy(text), self._inliner.inline(html)


def _environment(loader: jinja2.BaseLoader, *, escape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=loader,
        autoescape=escape,  # noqa: S701 - pages are escaped, plain text must not be
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"bar": bar, "underline": underline, "line": line}
    return environment


def _words(environment: jinja2.Environment, language: str, facts: dict[str, Any]) -> Any:
    return environment.get_template(f"words.{language}.j2").make_module({name: facts[name] for name in ("at", "day")})


def _get(environment: jinja2.Environment, name: str, language: str, kind: str) -> jinja2.Template:
    return environment.select_template([f"{name}.{language}.{kind}", f"{name}.{kind}"])


def moment(instant: datetime, zone: ZoneInfo, language: str) -> str:
    """A day and time as people of a language write it: `11月21日 08:00`, `21 Nov 08:00`."""
    return f"{date(instant, zone, language)} {instant.astimezone(zone):%H:%M}"


def date(instant: datetime, zone: ZoneInfo, language: str) -> str:
    """A day: `11月21日`, `21 Nov`."""
    local = instant.astimezone(zone)
    return f"{local.month}月{local.day}日" if language == "zh" else f"{local.day} {_MONTHS[local.month - 1]}"


def bar(count: int, most: int) -> str:
    """One character for a count: a dot for none, else a block as high as its share of the most.

    >>> "".join(bar(n, 8) for n in (0, 1, 4, 8))
    '·▁▄█'
    """
    if count <= 0 or most <= 0:
        return _BARS[0]
    return _BARS[max(1, min(8, round(count * 8 / most)))]


def underline(text: str, char: str) -> str:
    """A rule as wide as a text is in a fixed-width font, where Chinese takes two columns."""
    return char * min(sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text), 72)


def _tidy(text: str) -> str:
    """No trailing blanks, and never more than one empty line."""
    lines: list[str] = []
    for one in text.splitlines():
        bare = one.rstrip()
        if bare or (lines and lines[-1]):
            lines.append(bare)
    return "\n".join(lines).rstrip() + "\n"
