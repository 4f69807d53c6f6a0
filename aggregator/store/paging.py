"""A page of results and how many there are, the same on both databases: what to count, what to rank, when to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Protocol, TypeVar

from aggregator.store.plan import Plan
from aggregator.store.ranking import Index, ordered

NEWEST = 5_000
"""So many of the newest matches are ranked."""
_UNKNOWN = 1 << 62
P_contra = TypeVar("P_contra", bound=Plan, contravariant=True)


@dataclass(frozen=True, slots=True)
class Found:
    """A page of results and how many there are.

    `ids` are article ids, newest or best first. Unless `exact`, `total` is an upper bound: there were too many
    candidates to look at each one's text. `notes` are sentences for the reader.
    """

    ids: tuple[int, ...]
    total: int
    exact: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """What a listing shows of one article. `clauses` are those it discusses."""

    id: int
    feed: str
    outlet: str
    title: str
    url: str | None
    lang: str | None
    published: datetime | None
    first_seen: datetime
    text: str
    clauses: tuple[str, ...] = ()
    agreements: tuple[str, ...] = ()
    story: int | None = None
    reprint_of: int | None = None


class Source(Index, Protocol[P_contra]):
    """What a database answers to a plan; docids are given newest first."""

    def number(self, plan: P_contra) -> int:
        """How many articles the index gives, their texts not looked at."""

    def newest(self, plan: P_contra, limit: int, offset: int) -> Sequence[int]:
        """The newest matches."""

    def candidates(self, plan: P_contra, limit: int) -> Sequence[int]:
        """The newest that the index gives, their texts not looked at."""

    def passing(self, plan: P_contra, docids: Iterable[int]) -> Iterator[int]:
        """Those of the candidates whose texts are matches, in their order, a few looked at ahead."""

    def ids(self, docids: Sequence[int], *, dated: bool) -> tuple[int, ...]:
        """Article ids of docids; `dated` puts those of one slot in the order of their dates."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How much of the matches is wanted; see `found`."""

    limit: int
    offset: int
    rank: bool
    candidates: int
    count: bool


def found(source: Source[P_contra], plan: P_contra, asked: Asked) -> Found:
    """The articles that a plan finds, newest first, or best first of the newest 5,000 when `asked.rank`.

    At most `asked.candidates` texts are looked at to count the matches; beyond that `total` is an upper bound. Without
    `asked.count`, which takes 30 nanoseconds a match, it is one while the page is full.
    """
    limit, offset = asked.limit, asked.offset
    ranked = asked.rank and bool(plan.leaves)
    total = source.number(plan) if asked.count else _UNKNOWN
    exact = asked.count and not plan.looks
    seen = source.newest(plan, asked.candidates, 0) if plan.looks and total <= asked.candidates else None
    if seen is not None:
        total, exact = len(seen), True
    if ranked:
        page: Sequence[int] = _best(source, plan, limit, offset, seen)
    else:
        page = seen[offset : offset + limit] if seen is not None else source.newest(plan, limit, offset)
    if not exact and len(page) < limit and (page or not offset) and (not ranked or total <= NEWEST):
        total, exact = offset + len(page), True
    notes = plan.notes
    if ranked and asked.count and total > NEWEST:
        notes = (*notes, f"ranked among the newest {NEWEST:,} of {total:,} matches")
    return Found(source.ids(page, dated=not asked.rank), total, exact, notes)


def _best(source: Source[P_contra], plan: P_contra, limit: int, offset: int, seen: Sequence[int] | None) -> list[int]:
    """The best of the newest matches.

    `seen` are all matches where they are known; otherwise texts are looked at in the order of the scores.
    """
    newest = seen[:NEWEST] if seen is not None else source.candidates(plan, NEWEST)
    docids: Iterable[int] = ordered(source, newest, plan.leaves)
    if seen is None and plan.looks:
        docids = source.passing(plan, docids)
    return list(islice(docids, offset, offset + limit))


def in_order(rows: Sequence[Any], docids: Sequence[int], *, dated: bool) -> tuple[int, ...]:
    """The ids of `docids`, from rows of docid, id and date; as `Source.ids`."""
    known = {row[0]: (row[1], row[2]) for row in rows}
    order = sorted(docids, key=lambda docid: (known[docid][1], docid), reverse=True) if dated else docids
    return tuple(known[docid][0] for docid in order)


def hits(
    ids: Sequence[int],
    ask: Callable[[str], Sequence[Any]],
    among: str,
    instant: Callable[[Any], datetime],
    collate: str = "",
) -> list[Hit]:
    """What a listing shows of these articles, in this order. `ask` runs a statement with the ids as its parameter, which
    `among` compares with; `instant` reads an instant, and `collate` makes text sort by its code points.
    """
    rows = ask(f"{_HIT} WHERE id {among}")
    clauses, agreements = (
        _gathered(
            ask(
                f"SELECT article_id, {column} FROM {table} WHERE article_id {among}{condition}"  # noqa: S608 - own names
                f" ORDER BY article_id, {column}{collate}"
            )
        )
        for column, table, condition in _BESIDE
    )
    by_id = {row[0]: row for row in rows}
    return [
        Hit(
            id=identity,
            feed=row[1],
            outlet=row[2],
            title=row[3],
            url=row[4],
            lang=row[5],
            published=instant(row[6]) if row[6] else None,
            first_seen=instant(row[7]),
            text=row[8],
            clauses=clauses.get(identity, ()),
            agreements=agreements.get(identity, ()),
            story=row[9],
            reprint_of=row[10],
        )
        for identity in ids
        if (row := by_id.get(identity))
    ]


_HIT = (
    "SELECT id, feed, outlet, title, coalesce(url, link), lang, published, first_seen, text, story_id, reprint_of"
    " FROM article LEFT JOIN place ON article_id = id"
)
_BESIDE = (("clause", "clause_tag", " AND relation = 'discusses'"), ("agreement", "article_agreement", ""))
"""Column, table and condition of what stands beside an article."""


def _gathered(rows: Sequence[Any]) -> dict[int, tuple[str, ...]]:
    """The values of each article, from rows of its id and a value."""
    found: dict[int, tuple[str, ...]] = {}
    for identity, value in rows:
        found[identity] = (*found.get(identity, ()), value)
    return found
