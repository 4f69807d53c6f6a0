"""A report as one self-contained page, and single figures as SVG files.

Nothing on the page asks anything of a network: its Content-Security-Policy forbids it, should a browser be tempted.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from markupsafe import Markup

from aggregator.model import Evidence
from aggregator.report import downtime, figures
from aggregator.report.values import FeedHealth, Period, Report, Timeline
from aggregator.templates import rendered

_WIDE = (1080, 150)


def page(report: Report) -> str:
    """The report as HTML."""
    style = Markup(_own("figures.css") + _own("report.css"))  # noqa: S704 - our own style sheets
    return rendered(__package__ or "", "report.html", {"report": report, "style": style}, filters=_FILTERS)


def svg(figure: figures.Figure) -> str:
    """A figure as an SVG file, with its style inside."""
    style = Markup(f"<style>{_own('figures.css')}</style>")  # noqa: S704 - our own style sheet
    text = rendered(__package__ or "", "figure.svg", {"figure": figure, "style": style}, filters=_FILTERS)
    return text.strip() + "\n"


def _own(name: str) -> str:
    return (resources.files(__package__ or "") / "templates" / name).read_text(encoding="utf-8")


def moved(evidence: Evidence) -> list[tuple[int, int]]:
    """The spans of the words that showed the clause, counted from the start of the quote."""
    return [(start - evidence.start, end - evidence.start) for start, end in evidence.words]


def _timeline(found: Timeline, title: str, *, wide: bool = False) -> figures.Figure:
    return figures.timeline(found, title, size=_WIDE) if wide else figures.timeline(found, title)


def _day(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d}"


def _minute(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M}"


def _strip(feed: FeedHealth, period: Period) -> figures.Figure:
    return figures.strip(feed, period)


_FILTERS: dict[str, Callable[..., Any]] = {
    "moved": moved,
    "matrix_figure": figures.matrix,
    "timeline_figure": _timeline,
    "strip_figure": _strip,
    "described": figures.described,
    "told": figures.told,
    "said": downtime.said,
    "day": _day,
    "minute": _minute,
    "instant": datetime.isoformat,
}
