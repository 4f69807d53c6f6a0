"""What the archive says, put together for readers: coverage, timelines, stories side by side, reports, Atom feeds.

Reads through `store.numbers`, arranges with `report`; nothing here writes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa

from aggregator.catalogue import Catalogue
from aggregator.errors import UsageError
from aggregator.model import Article, Tags
from aggregator.query import Field, Node, Or, Since, Until, everything_of, parse
from aggregator.report import build, steps
from aggregator.report.atom import atom
from aggregator.report.values import (
    AgreementPart,
    ClauseName,
    ClausePage,
    Comparison,
    Count,
    Matrix,
    Period,
    Report,
    Timeline,
)
from aggregator.store import articles, numbers, search, tags
from aggregator.store.filters import Filters

VOICES = 8
"""Texts shown for a clause; each stands for its reprints."""
CANDIDATES = 60
STORIES = 20
COLUMNS = 30
"""Outlets in the matrix of a page, those that speak most of the agreement; `coverage` shows all."""
ENTRIES = 50
"""Entries of an Atom feed: what a reader that asks once a day should not miss."""
Say = Callable[[int, int, str], object]
"""Told how far a long work is: steps done, steps in all, what is being done."""


def period_of(connection: sa.Connection, filters: Filters, now: datetime) -> Period:
    """From `since` to `until`; where the filters do not say, from the first article, and to when we last looked."""
    found = numbers.extent(connection, filters)
    until = filters.until or _looked_until(connection, found, now)
    since = filters.since or (found.since if found else until - timedelta(days=7))
    if since >= until and not filters.until:
        until = now
    if since >= until:
        raise UsageError(f"the period is empty: it starts {since:%Y-%m-%d %H:%M} and ends {until:%Y-%m-%d %H:%M} UTC")
    return Period(since, until)


def _looked_until(connection: sa.Connection, found: Period | None, now: datetime) -> datetime:
    """The last poll, or just after the newest article where that is later, as with imports; never the future."""
    moments = [when for when in (numbers.last_poll(connection), found and found.until + timedelta(seconds=1)) if when]
    return min(max(moments, default=now), now)


def coverage(
    connection: sa.Connection, catalogue: Catalogue, agreement: str, by: str, period: Period, base: Filters
) -> Matrix:
    """The matrix of an agreement's clauses by `outlet`, `week` or `month`. Raises UsageError for an unknown agreement."""
    known = catalogue.agreement(agreement)
    inside = replace(base, since=period.since, until=period.until)
    cells = numbers.discussed(connection, agreement, by, inside)
    if known is None and not cells:
        names = ", ".join(one.id for one in catalogue.agreements)
        raise UsageError(f"there is no agreement {agreement!r}; there are {names}")
    clauses = build.clause_names(agreement, known, (clause for clause, _key in cells))
    downs = numbers.downs(connection, period)
    if by == "outlet":
        outlets = set(base.outlets) or numbers.known_outlets(connection)
        totals = dict.fromkeys(outlets, 0) | numbers.read_by(connection, by, inside)
        return build.matrix_by_outlet(agreement, clauses, cells, totals, downs, period)
    if base.outlets:
        downs = [down for down in downs if down.outlet in base.outlets]
    read = numbers.read_by(connection, by, inside)
    return build.matrix_by_time(agreement, clauses, cells, read, downs, period, by)


def timeline(
    connection: sa.Connection,
    subject: str,
    unit: str | None,
    period: Period,
    base: Filters,
    read: Mapping[str, int] | None = None,
) -> Timeline:
    """A clause or an agreement over time; the unit that fits the period when none is given.

    `read` spares counting all articles by the unit once more.
    """
    unit = unit or steps.unit_for(period)
    inside = replace(base, since=period.since, until=period.until)
    downs = numbers.downs(connection, period)
    if base.outlets:
        downs = [down for down in downs if down.outlet in base.outlets]
    if read is None:
        read = numbers.read_by(connection, unit, inside)
    return build.timeline(subject, unit, numbers.timeline(connection, subject, unit, inside, read), downs, period)


def checked_clause(connection: sa.Connection, catalogue: Catalogue, clause: str) -> ClauseName:
    """A clause that the catalogue or the archive knows; raises UsageError for another."""
    if catalogue.clause(clause) is None and not numbers.voices(connection, clause, limit=1):
        agreement = clause.rpartition("/")[0]
        known = catalogue.agreement(agreement)
        hint = (
            f"{agreement} has the clauses 1 to {len(known.clauses)}" if known else "write it like sunnylands-2023/10"
        )
        raise UsageError(f"there is no clause {clause!r}; {hint}")
    return build.name_of(clause, catalogue)


def comparison(connection: sa.Connection, catalogue: Catalogue, story: int) -> Comparison:
    """The outlets of a story side by side; raises UsageError for an unknown story."""
    found, headline, ids = numbers.story_articles(connection, story)
    if not ids:
        raise UsageError(f"there is no story {story}; `aggregator stories` lists them")
    return build.compared(
        found, headline, numbers.voices_of(connection, ids), lambda clause: build.name_of(clause, catalogue)
    )


# --- searches ---------------------------------------------------------------------------------------------------


def asked(connection: sa.Connection, query: str, filters: Filters, now: datetime) -> Node:
    """A query in the search language and filters, as one tree; raises QueryError."""
    nodes: list[Node] = [parse(query, now, partial(search.saved, connection))] if query.strip() else []
    for name, values in (("agreement", filters.agreements), ("clause", filters.clauses), ("outlet", filters.outlets)):
        if values:
            nodes.append(Or(tuple(Field(name, value) for value in values)))
    nodes += [Field("lang", filters.lang)] if filters.lang else []
    nodes += [Since(filters.since)] if filters.since else []
    nodes += [Until(filters.until)] if filters.until else []
    return everything_of(nodes)


def found_by(connection: sa.Connection, query: str, filters: Filters, now: datetime) -> Filters:
    """The filters, narrowed to what a query finds; as they are for an empty one. Raises QueryError."""
    if not query.strip():
        return filters
    most = sys.maxsize >> 1
    found = search.find(connection, asked(connection, query, filters, now), limit=most, candidates=most, count=False)
    return replace(filters, found=found.ids)


def newest(
    connection: sa.Connection, query: str, filters: Filters, now: datetime, limit: int = ENTRIES
) -> list[tuple[Article, Tags | None]]:
    """The newest articles that a query and filters find, with their tags. Raises QueryError."""
    ids = list(search.find(connection, asked(connection, query, filters, now), limit=limit, count=False).ids)
    tagged = tags.of(connection, ids)
    return [(article, tagged.get(article.id)) for article in articles.fetch(connection, ids)]


def atom_feed(
    connection: sa.Connection, query: str, filters: Filters, now: datetime, *, link: str = "", limit: int = ENTRIES
) -> bytes:
    """The newest articles that a query and filters find, as Atom. Raises QueryError."""
    said = [query.strip(), *filters.agreements, *filters.clauses, *filters.outlets, filters.lang or ""]
    title = " ".join(part for part in said if part) or "everything"
    return atom(newest(connection, query, filters, now, limit), title=f"aggregator: {title}", link=link, now=now)


def served_atom(connection: sa.Connection, asked_for: Mapping[str, str], link: str, now: datetime) -> bytes:
    """An Atom feed as the listener serves it at `/atom?q=…&clause=…&agreement=…&outlet=…&lang=…`.

    `asked_for` are the fields of the address's query, `link` the whole address. Raises UsageError, QueryError.
    """
    unknown = set(asked_for) - {"q", "clause", "agreement", "outlet", "lang"}
    if unknown:
        raise UsageError(f"{min(unknown)} is not known here; there are q, clause, agreement, outlet and lang")
    one = {name: (asked_for[name],) if asked_for.get(name) else () for name in ("agreement", "clause", "outlet")}
    filters = Filters(one["agreement"], one["clause"], one["outlet"], asked_for.get("lang") or None)
    return atom_feed(connection, asked_for.get("q", ""), filters, now, link=link)


# --- the report -------------------------------------------------------------------------------------------------


def report(  # the one place that says what stands in a report, in the order of its page
    connection: sa.Connection,
    catalogue: Catalogue,
    *,
    title: str,
    archive: str,
    period: Period,
    now: datetime,
    base: Filters,
    say: Say = lambda _done, _total, _what: None,
) -> Report:
    """Everything of a period, for one page. `base` may narrow it to agreements, outlets and a language."""
    inside = replace(base, since=period.since, until=period.until)
    wanted = base.agreements or tuple(one.id for one in reversed(catalogue.agreements))
    unfiltered = replace(base, agreements=(), clauses=())
    total = len(wanted) + 2
    frame = _Frame.of(connection, catalogue, period, unfiltered)
    parts = []
    for done, agreement in enumerate(wanted):
        say(done, total, agreement)
        parts.append(frame.agreement(agreement))
    say(len(wanted), total, "stories")
    chosen, number = numbers.top_stories(connection, inside, STORIES)
    stories = tuple(comparison(connection, catalogue, one) for one in chosen)
    say(len(wanted) + 1, total, "feeds")
    downs = numbers.downs(connection, period)
    feeds = build.with_downs(numbers.health(connection, period), downs, period)
    return Report(
        title=title,
        archive=archive,
        period=period,
        made=now,
        totals=numbers.totals(connection, inside),
        agreements=tuple(parts),
        stories=stories,
        feeds=feeds,
        outlets=tuple(numbers.counts(connection, "outlet", inside)),
        more_stories=max(number - len(stories), 0),
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    """What all agreements and clauses of a report share, counted once."""

    connection: sa.Connection
    catalogue: Catalogue
    period: Period
    base: Filters
    read: Mapping[str, int]
    agreements: Mapping[str, Count]
    clauses: Mapping[str, Count]

    @classmethod
    def of(cls, connection: sa.Connection, catalogue: Catalogue, period: Period, base: Filters) -> _Frame:
        inside = replace(base, since=period.since, until=period.until)
        counted = [numbers.counts(connection, by, inside) for by in ("agreement", "clause")]
        agreements, clauses = ({one.name: one for one in counts} for counts in counted)
        read = numbers.read_by(connection, steps.unit_for(period), inside)
        return cls(connection, catalogue, period, inside, read, agreements, clauses)

    def agreement(self, identity: str) -> AgreementPart:
        found = coverage(self.connection, self.catalogue, identity, "outlet", self.period, self.base)
        known = self.catalogue.agreement(identity)
        return AgreementPart(
            identity,
            known.name if known else {"en": identity},
            self.agreements.get(identity) or Count(identity, 0),
            replace(found, columns=found.columns[:COLUMNS]),
            self.timeline(identity),
            tuple(self.page(clause) for clause in found.clauses if found.of(clause)),
            tuple(clause for clause in found.clauses if not found.of(clause)),
            len(found.columns[COLUMNS:]),
        )

    def page(self, clause: ClauseName) -> ClausePage:
        voices = numbers.voices(self.connection, clause.id, self.base, CANDIDATES)
        shown = build.one_a_text(voices, VOICES)
        count = self.clauses.get(clause.id) or Count(clause.id, len(voices))
        more = max(count.articles - sum(voice.stands_for for voice in shown), 0)
        return ClausePage(clause, count, self.timeline(clause.id), shown, more)

    def timeline(self, subject: str) -> Timeline:
        return timeline(self.connection, subject, None, self.period, self.base, self.read)
