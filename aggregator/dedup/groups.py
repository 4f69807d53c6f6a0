"""From pairs to groups: which articles are copies of which original, and which ones make a story.

Both are functions of a set of articles and what was judged of their pairs; the order in which anything arrived
plays no part.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from aggregator.dedup.reprint import Likeness

Pair = tuple[int, int]
FULL = 0.5
"""A text at least this long, against the longest copy of it, is a full text; the earliest of these is the original."""
JOINS = -1.05
"""Two stories become one when their articles attract each other by more than this on average, in log odds."""
STRANGERS = -1.85
"""What counts for two articles of which nothing was noted."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One article among copies: when it counts as published, its letters, and a hash that only its text decides."""

    when: datetime
    length: int
    tie: int


def originals(
    copies: Mapping[int, Copy], likenesses: Mapping[Pair, Likeness], apart: Collection[Pair] = ()
) -> dict[int, int | None]:
    """The original of each article, None for those that are originals themselves. No group holds both of a pair that
    an analyst keeps `apart`; the strongest likenesses are followed first.

    Copies of a text and copies of these are one group. An excerpt (a text of which the longer one is only in part)
    belongs to the longer one's group, unless that holds other excerpts too which have nothing to do with each other:
    then the longer one is a round-up, and its items stay apart.
    """
    forest = _Forest(copies, apart)
    for (a, b), likeness in sorted(likenesses.items(), key=lambda item: (-item[1].share, item[0])):
        if not likeness.excerpt:
            forest.join(a, b)
    whole = {one: forest.root(one) for one in copies}
    firsts = {_original(group, copies) for group in forest.groups()}
    for short, long in _attachments(copies, likenesses, whole, firsts):
        forest.join(short, long)
    found: dict[int, int | None] = {}
    for group in forest.groups():
        first = _original(group, copies)
        found |= {one: None if one == first else first for one in group}
    return found


def _original(group: Collection[int], copies: Mapping[int, Copy]) -> int:
    longest = max(copies[one].length for one in group)
    full = [one for one in group if copies[one].length >= FULL * longest]
    return min(full, key=lambda one: (copies[one].when, -copies[one].length, copies[one].tie, one))


def _attachments(
    copies: Mapping[int, Copy], likenesses: Mapping[Pair, Likeness], whole: Mapping[int, int], firsts: Collection[int]
) -> Iterator[Pair]:
    """Groups of excerpts with the one group that each is an excerpt of: of its original, not of what a copy added."""
    within: dict[int, dict[int, tuple[float, float]]] = defaultdict(dict)
    touching: dict[int, set[int]] = defaultdict(set)
    for (a, b), likeness in likenesses.items():
        one, other = whole[a], whole[b]
        if one == other:
            continue
        touching[one].add(other)
        touching[other].add(one)
        short, long = (one, other) if _shorter(copies[a], copies[b]) else (other, one)
        if (b if long == other else a) not in firsts:
            continue
        worth = (likeness.share, likeness.of_longer)
        within[long][short] = max(within[long].get(short, worth), worth)
    homes: dict[int, list[tuple[tuple[float, float], datetime, int, int]]] = defaultdict(list)
    for long, pieces in within.items():
        if not _is_round_up(pieces.keys(), touching):
            for short, worth in pieces.items():
                homes[short].append((worth, copies[long].when, copies[long].tie, long))
    for short, places in homes.items():
        yield short, min(places, key=lambda place: (-place[0][0], -place[0][1], *place[1:]))[-1]


def _shorter(a: Copy, b: Copy) -> bool:
    return (a.length, a.tie) <= (b.length, b.tie)


def _is_round_up(pieces: Collection[int], touching: Mapping[int, set[int]]) -> bool:
    """Whether the pieces of one text fall into several sets without a link between them."""
    forest = _Forest(pieces)
    for one in pieces:
        for other in touching[one] & set(pieces):
            forest.join(one, other)
    return len(forest.groups()) > 1


class _Forest:
    """Sets that are joined (union–find)."""

    def __init__(self, members: Iterable[int], apart: Collection[Pair] = ()) -> None:
        self._parent = {member: member for member in members}
        self._apart = [pair for pair in apart if pair[0] in self._parent and pair[1] in self._parent]

    def root(self, member: int) -> int:
        parent = self._parent
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return member

    def join(self, a: int, b: int) -> None:
        one, other = sorted((self.root(a), self.root(b)))
        if not any({self.root(x), self.root(y)} == {one, other} for x, y in self._apart):
            self._parent[other] = one

    def groups(self) -> list[list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for member in self._parent:
            found[self.root(member)].append(member)
        return list(found.values())


def clusters(
    members: Collection[int],
    scores: Mapping[Pair, float],
    together: Collection[Pair] = (),
    apart: Collection[Pair] = (),
) -> list[list[int]]:
    """Stories: the closest two become one, again and again, while their articles attract each other on average
    (average linkage, which a few accidental likenesses do not chain together as single linkage would).

    `together` and `apart` are an analyst's word, and `together` is also said of reprints.
    """
    state = _Linkage(members, scores, apart)
    for a, b in sorted(together):
        state.join_by_word(a, b)
    state.run()
    return state.groups()


class _Linkage:
    """Clusters with, for each neighbouring two, the sum of the scores noted between them and how many those are."""

    def __init__(self, members: Collection[int], scores: Mapping[Pair, float], apart: Collection[Pair]) -> None:
        self._of = {member: [member] for member in sorted(members)}
        self._where = {member: member for member in members}
        self._near: dict[int, dict[int, tuple[float, int]]] = defaultdict(dict)
        self._apart: dict[int, set[int]] = defaultdict(set)
        for (a, b), score in scores.items():
            if a in self._of and b in self._of:
                self._near[a][b] = self._near[b][a] = (score, 1)
        for a, b in apart:
            if a in self._of and b in self._of:
                self._apart[a].add(b)
                self._apart[b].add(a)

    def join_by_word(self, a: int, b: int) -> None:
        if a in self._where and b in self._where and (one := self._where[a]) != (other := self._where[b]):
            self._merge(min(one, other), max(one, other))

    def run(self) -> None:
        heap = [entry for one, near in self._near.items() for entry in self._offers(one, (o for o in near if one < o))]
        heapq.heapify(heap)
        while heap:
            score, one, other = heapq.heappop(heap)
            if other in self._near.get(one, ()) and self._average(one, other) == -score:
                self._merge(one, other)
                for entry in self._offers(one, self._near[one]):
                    heapq.heappush(heap, entry)

    def _offers(self, one: int, others: Iterable[int]) -> Iterator[tuple[float, int, int]]:
        """Those of the others that may join it, the closest least."""
        for other in others:
            average = self._average(one, other)
            if average > JOINS and other not in self._apart.get(one, ()):
                yield -average, min(one, other), max(one, other)

    def _average(self, one: int, other: int) -> float:
        total, noted = self._near[one][other]
        pairs = len(self._of[one]) * len(self._of[other])
        return total if pairs == 1 else round((total + (pairs - noted) * STRANGERS) / pairs, 9)

    def _merge(self, one: int, other: int) -> None:
        """Into `one`, the smaller; what was noted of the other's neighbours is added up."""
        for member in self._of[other]:
            self._where[member] = one
        self._of[one] += self._of.pop(other)
        for third, (total, noted) in self._near.pop(other, {}).items():
            self._near[third].pop(other, None)
            if third != one:
                mine, number = self._near[one].get(third, (0.0, 0))
                self._near[one][third] = self._near[third][one] = (mine + total, number + noted)
        for third in self._apart.pop(other, set()):
            self._apart[third].discard(other)
            self._apart[third].add(one)
            self._apart[one].add(third)

    def groups(self) -> list[list[int]]:
        return [sorted(members) for members in self._of.values()]
