"""What a digest is made from, and what it holds: plain values, every text in them one safe line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Names:
    """What agreements and clauses are called: id to language to name. Ids stand in for what is missing."""

    agreements: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    clauses: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def agreement(self, identity: str, language: str) -> str:
        """The agreement's name."""
        return _chosen(self.agreements.get(identity, {}), language) or identity

    def clause(self, identity: str, language: str) -> str:
        """The clause's title, empty when there is none."""
        return _chosen(self.clauses.get(identity, {}), language)

    def order(self, clause: str) -> tuple[int, int, str]:
        """Where a clause stands: agreements as the catalogue has them, then by number."""
        agreement, _, number = clause.rpartition("/")
        known = list(self.agreements)
        place = known.index(agreement) if agreement in self.agreements else len(known)
        return place, int(number) if number.isdecimal() else 0, clause


def _chosen(names: Mapping[str, str], language: str) -> str:
    return names.get(language) or names.get("en") or next(iter(names.values()), "")


# --- in ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Quote:
    """One line of evidence; `marks` are the spans of the words that matched."""

    text: str
    marks: tuple[tuple[int, int], ...] = ()

    @property
    def pieces(self) -> list[tuple[str, bool]]:
        """The line cut at its marks: text, and whether it is marked."""
        parts, at = [], 0
        for start, end in self.marks:
            parts += [(self.text[at:start], False), (self.text[start:end], True)]
            at = end
        return [part for part in (*parts, (self.text[at:], False)) if part[0]]


@dataclass(frozen=True, slots=True)
class Item:
    """One article of the period. `quotes` has a line (or None) for each clause it discusses; `original` is the
    article whose text it copies; `story` groups articles on one event.
    """

    id: int
    title: str
    outlet: str
    link: str | None
    lang: str | None
    when: datetime
    quotes: Mapping[str, Quote | None] = field(default_factory=dict)
    agreements: tuple[str, ...] = ()
    story: int | None = None
    headline: str | None = None
    original: int | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is different since the last digest: `first` (a clause was never covered before), `silent` (for
    longer than ever: `days`, before at most `longest`), `edited` (the quoted sentence is now `after`, or gone).
    """

    kind: str
    clause: str
    days: int = 0
    longest: int = 0
    title: str = ""
    outlet: str = ""
    link: str | None = None
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Outage:
    """A feed that was down or frozen in the period; `until` is None while it lasts."""

    feed: str
    since: datetime
    until: datetime | None
    frozen: bool
    error: str


# --- out --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Carrier:
    """An outlet that carries a story in its own words."""

    outlet: str
    link: str | None
    lang: str | None
    title: str


@dataclass(frozen=True, slots=True)
class StoryPart:
    """A story under one clause: `more` outlets and `copies` are counted, `articles` is everything it stands for."""

    headline: str
    quote: Quote | None
    carriers: tuple[Carrier, ...]
    more: int
    copies: int
    articles: tuple[int, ...]
    image: str | None = None


@dataclass(frozen=True, slots=True)
class ClausePart:
    """A clause with its stories; `clause` is empty for articles that name the agreement without any of its clauses.
    `omitted` articles are only counted.
    """

    clause: str
    title: str
    stories: tuple[StoryPart, ...]
    omitted: int = 0


@dataclass(frozen=True, slots=True)
class AgreementPart:
    """An agreement with its clauses; `agreement` is empty for articles that were found by their words alone."""

    agreement: str
    name: str
    clauses: tuple[ClausePart, ...]


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """Articles on a clause in each of the last eight weeks, the newest last."""

    clause: str
    title: str
    weeks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """One mail's contents. `articles` counts distinct articles, `omitted` those that only are counted; `why` says what
    was asked for; `whole` is the command, `whole_link` the link that shows what was left out.
    """

    language: str
    timezone: str
    since: datetime
    until: datetime
    agreements: tuple[AgreementPart, ...]
    articles: int
    changes: tuple[Change, ...] = ()
    coverage: tuple[CoverageRow, ...] = ()
    quiet: int = 0
    outages: tuple[Outage, ...] = ()
    more_changes: int = 0
    more_outages: int = 0
    omitted: int = 0
    why: tuple[tuple[str, str], ...] = ()
    address: str = ""
    schedule: str = ""
    whole: str = ""
    whole_link: str = ""
    unsubscribe_mail: str = ""
    unsubscribe_link: str = ""
    unsubscribe_command: str = ""
    images: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.articles or self.changes)

    @property
    def stories(self) -> list[StoryPart]:
        """Every story line in order."""
        return [story for agreement in self.agreements for clause in agreement.clauses for story in clause.stories]

    def shown(self) -> frozenset[int]:
        """The articles that stand behind the lines that are there."""
        return frozenset(identity for story in self.stories for identity in story.articles)
