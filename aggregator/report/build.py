"""From counts to the parts of a report: the matrix, timelines, the sides of a story. Pure arrangement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from aggregator.catalogue import Agreement, Catalogue, Clause
from aggregator.report import downtime, steps
from aggregator.report.values import (
    ClauseName,
    Column,
    Comparison,
    Down,
    FeedHealth,
    Matrix,
    Period,
    Side,
    Slot,
    Timeline,
    Voice,
)


def clause_name(clause: Clause) -> ClauseName:
    """What reports need of a clause."""
    return ClauseName(clause.id, str(clause.number), clause.title, clause.summary, clause.section)


def name_of(identity: str, catalogue: Catalogue) -> ClauseName:
    """What a clause is called; its id where the catalogue does not have it any more."""
    found = catalogue.clause(identity)
    return clause_name(found) if found else ClauseName(identity, identity.rpartition("/")[2])


def clause_names(agreement: str, found: Agreement | None, spoken: Iterable[str]) -> tuple[ClauseName, ...]:
    """All clauses of an agreement in its order, then those that only the archive knows."""
    known = tuple(map(clause_name, found.clauses)) if found else ()
    ids = {one.id for one in known}
    others = sorted(one for one in set(spoken) - ids if one.startswith(f"{agreement}/"))
    return known + tuple(ClauseName(one, one.rpartition("/")[2]) for one in others)


def matrix_by_outlet(
    agreement: str,
    clauses: tuple[ClauseName, ...],
    cells: Mapping[tuple[str, str], int],
    totals: Mapping[str, int],
    downs: Sequence[Down],
    period: Period,
) -> Matrix:
    """Clause by outlet: the outlets that speak most of the agreement first, those that were never heard last."""
    spoken: dict[str, int] = {}
    for (_clause, outlet), count in cells.items():
        spoken[outlet] = spoken.get(outlet, 0) + count
    order = sorted(totals, key=lambda name: (-spoken.get(name, 0), -totals[name], name))
    columns = tuple(
        Column(name, name or "unnamed", totals[name], downtime.within((d for d in downs if d.outlet == name), period))
        for name in order
    )
    return Matrix(agreement, "outlet", period, clauses, columns, cells)


def matrix_by_time(
    agreement: str,
    clauses: tuple[ClauseName, ...],
    cells: Mapping[tuple[str, str], int],
    totals: Mapping[str, int],
    downs: Sequence[Down],
    period: Period,
    unit: str,
) -> Matrix:
    """Clause by week or month, a column for each, empty ones too."""
    columns = tuple(
        Column(
            start, steps.label(start, unit), totals.get(start, 0), downtime.within(downs, _inside(start, unit, period))
        )
        for start in steps.steps(period, unit, totals)
    )
    return Matrix(agreement, unit, period, clauses, columns, cells)


def timeline(subject: str, unit: str, found: Mapping[str, Slot], downs: Sequence[Down], period: Period) -> Timeline:
    """A slot for each step of the period, empty ones too, with the feeds that were down in it."""
    return Timeline(
        subject,
        unit,
        tuple(
            replace(
                found.get(start, Slot(start, 0, 0, 0, 0, 0)),
                down=downtime.feeds_down(downs, _inside(start, unit, period)),
            )
            for start in steps.steps(period, unit, found)
        ),
    )


def _inside(start: str, unit: str, period: Period) -> Period:
    """A step, cut at the ends of the period."""
    step = steps.span(start, unit)
    return Period(max(step.since, period.since), min(step.until, period.until))


def with_downs(feeds: Iterable[FeedHealth], downs: Sequence[Down], period: Period) -> tuple[FeedHealth, ...]:
    """Feeds with their down times; those in trouble first, then the longest silent."""
    filled = []
    for feed in feeds:
        own = tuple(one for one in downs if one.feed == feed.feed)
        filled.append(replace(feed, down=own, hours=downtime.within(own, period)))
    return tuple(sorted(filled, key=lambda one: (one.failing_since is None, -one.hours, one.feed)))


def one_a_text(voices: Sequence[Voice], most: int) -> tuple[Voice, ...]:
    """At most so many voices in the order given: of one text a single one, with the outlets that copied it."""
    groups: dict[int, list[Voice]] = {}
    for voice in voices:
        groups.setdefault(voice.reprint_of or voice.article, []).append(voice)
    shown = []
    for root, group in list(groups.items())[:most]:
        first = next((one for one in group if one.article == root), group[-1])
        copies = dict.fromkeys(one.outlet for one in group if one is not first and one.outlet != first.outlet)
        shown.append(replace(first, copies=tuple(copies), stands_for=len(group)))
    return tuple(shown)


def compared(
    story: int | None, headline: str, voices: Sequence[Voice], name: Callable[[str], ClauseName]
) -> Comparison:
    """The outlets of a story side by side, the first to tell it first; of each clause the surest voice is shown."""
    covered = sorted({voice.clause for voice in voices if voice.clause}, key=_clause_order)
    by_outlet: dict[str, list[Voice]] = {}
    for voice in sorted(voices, key=lambda one: (one.when, one.article)):
        by_outlet.setdefault(voice.outlet, []).append(voice)
    sides = []
    for outlet, own in by_outlet.items():
        covers: dict[str, Voice] = {}
        for voice in own:
            if voice.clause and (voice.clause not in covers or voice.score > covers[voice.clause].score):
                covers[voice.clause] = voice
        articles = tuple({voice.article: voice for voice in own}.values())
        ordered = {clause: covers[clause] for clause in covered if clause in covers}
        sides.append(Side(outlet, articles, ordered, tuple(one for one in covered if one not in covers)))
    first = min(voices, key=lambda one: (one.when, one.article)).title if voices else ""
    return Comparison(story, headline or first, tuple(map(name, covered)), tuple(sides))


def _clause_order(clause: str) -> tuple[str, int, str]:
    agreement, _, number = clause.rpartition("/")
    return agreement, int(number) if number.isdecimal() else 0, clause
