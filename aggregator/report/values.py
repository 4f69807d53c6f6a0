"""What reports are made of: counts, the coverage matrix, timelines, stories side by side, the health of feeds.

Absence of data never reads as absence of coverage: every zero stands beside the total of its column, and knows
whether a feed was down meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aggregator.model import Evidence

NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True)
class Count:
    """Articles of one kind: how many there are, how many of them reprint another, in how many stories, and the clause
    tags they carry.
    """

    name: str
    articles: int
    reprints: int = 0
    stories: int = 0
    tags: int = 0


@dataclass(frozen=True, slots=True)
class Down:
    """A time in which a feed was down or frozen; `until` is None while it lasts."""

    feed: str
    outlet: str
    since: datetime
    until: datetime | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` (included) to `until` (not)."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Column:
    """An outlet, week or month: everything that was read of it, and how long its feeds were down."""

    key: str
    label: str
    total: int
    down: timedelta = NOTHING

    @property
    def heard(self) -> bool:
        """Whether anything at all was read; where not, a zero says nothing."""
        return self.total > 0


@dataclass(frozen=True, slots=True)
class ClauseName:
    """What a clause is called: its id, number, titles and summary by language."""

    id: str
    number: str
    title: Mapping[str, str] = field(default_factory=dict)
    summary: Mapping[str, str] = field(default_factory=dict)
    section: str = ""

    def titled(self, language: str = "en") -> str:
        """The title in a language, else in another, else the id."""
        return self.title.get(language) or next(iter(self.title.values()), "") or self.id

    @property
    def anchor(self) -> str:
        """Its id as an HTML id."""
        return "clause-" + "".join(char if char.isalnum() else "-" for char in self.id)


@dataclass(frozen=True, slots=True)
class Cell:
    """How many articles discuss a clause in a column. `mark` is `?` where nothing at all was read, `!` where a feed was
    down for a part of the time, else empty.
    """

    count: int
    mark: str = ""

    @property
    def shown(self) -> str:
        """As a table shows it: `3`, `0`, `0!` (its feed was down meanwhile), `?` (no data)."""
        return "?" if self.mark == "?" else f"{self.count}{self.mark}"


@dataclass(frozen=True, slots=True)
class Matrix:
    """Clause by column of one agreement. `cells` holds what is above zero."""

    agreement: str
    by: str
    period: Period
    clauses: tuple[ClauseName, ...]
    columns: tuple[Column, ...]
    cells: Mapping[tuple[str, str], int]

    def cell(self, clause: ClauseName, column: Column) -> Cell:
        """One cell with its mark."""
        count = self.cells.get((clause.id, column.key), 0)
        if not column.heard and not count:
            return Cell(0, "?")
        return Cell(count, "!" if column.down else "")

    def of(self, clause: ClauseName) -> int:
        """Articles of a clause in all columns."""
        return sum(self.cells.get((clause.id, column.key), 0) for column in self.columns)

    @property
    def most(self) -> int:
        """The largest cell, at least 1."""
        return max(self.cells.values(), default=1)


@dataclass(frozen=True, slots=True)
class Slot:
    """One step of a timeline: what discusses the clause, everything that was read, and which feeds were down."""

    start: str
    articles: int
    reprints: int
    stories: int
    outlets: int
    total: int
    down: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    """The coverage of a clause or an agreement over time; `unit` is day, week, month or year."""

    subject: str
    unit: str
    slots: tuple[Slot, ...]

    @property
    def most(self) -> int:
        """The largest step, at least 1."""
        return max((slot.articles for slot in self.slots), default=0) or 1

    @property
    def articles(self) -> int:
        """In all steps."""
        return sum(slot.articles for slot in self.slots)


@dataclass(frozen=True, slots=True)
class Voice:
    """One article that speaks of a clause: who, when, where, and the sentence that shows it.

    It may stand for others with the same text: `stands_for` counts all of them, `copies` names their outlets.
    """

    article: int
    outlet: str
    title: str
    url: str | None
    lang: str | None
    when: datetime
    clause: str
    relation: str
    score: float
    evidence: tuple[Evidence, ...]
    story: int | None = None
    reprint_of: int | None = None
    copies: tuple[str, ...] = ()
    stands_for: int = 1


@dataclass(frozen=True, slots=True)
class Side:
    """One outlet of a story: its articles, what it says of each clause, and which clauses others cover and it does not."""

    outlet: str
    articles: tuple[Voice, ...]
    covers: Mapping[str, Voice]
    leaves_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A story, its outlets side by side, the first to tell it first."""

    story: int | None
    headline: str
    clauses: tuple[ClauseName, ...]
    sides: tuple[Side, ...]


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """A feed in the period: what came, when it last answered, and when it was down."""

    feed: str
    title: str
    outlet: str
    articles: int
    last_success: datetime | None
    last_new: datetime | None
    failing_since: datetime | None
    last_error: str | None
    down: tuple[Down, ...]
    hours: timedelta


@dataclass(frozen=True, slots=True)
class ClausePage:
    """A clause in the period: how much, when, and in whose words. `more` articles are not shown."""

    clause: ClauseName
    count: Count
    timeline: Timeline
    voices: tuple[Voice, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class AgreementPart:
    """An agreement in the period."""

    id: str
    name: Mapping[str, str]
    count: Count
    matrix: Matrix
    timeline: Timeline
    pages: tuple[ClausePage, ...]
    silent: tuple[ClauseName, ...]
    more_outlets: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """One page for readers: everything of a period."""

    title: str
    archive: str
    period: Period
    made: datetime
    totals: Count
    agreements: tuple[AgreementPart, ...]
    stories: tuple[Comparison, ...]
    feeds: tuple[FeedHealth, ...]
    outlets: tuple[Count, ...]
    more_stories: int = 0
