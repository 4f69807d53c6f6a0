"""From pairs to groups: which articles are copies of which original, and which ones make a story.

Both are functions of a set of articles and what was judged of their pairs; the order in which anything arrived
plays no part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from aggregator.dedup.reprint import Likeness

Pair = tuple[int, int]
FULL = 0.5
"""A text at least this long, against the longest copy of it, is a full text; the earliest of these is the original."""
JOINS = -1.05
"""Two stories become one when their articles attract each other by more than this on average, in log odds."""
STRANGERS = -1.85
"""What counts for two articles of which nothing was noted."""
COPY = 7
"""Links for which one of two copies counts besides: of a text that thousands repeat some copies say all."""
AT_ONCE, AT_A_TIME = 12, 150
"""Neighbours of one article that are read together, and articles."""
PARTS = 1_000_000
"""Scores are counted in whole parts of so many, so that no order of adding makes a difference."""
NOTHING = round(STRANGERS * PARTS)
"""The score of two articles of which nothing was noted, in such parts."""
_ENOUGH = round(JOINS * PARTS) - NOTHING


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


@dataclass(frozen=True, slots=True)
class Noted:
    """What is noted of some articles: of each the others that it may be one story with and by how much they score
    above strangers, in parts of `PARTS`; which pairs are one story by an analyst's word or as reprints, and which an analyst keeps apart.
    """

    above: Mapping[int, Mapping[int, int]]
    together: Collection[Pair] = ()
    apart: Collection[Pair] = ()


class Linkage:
    """Stories by average linkage: the closest two become one, again and again, while their articles attract each
    other on average. A few accidental likenesses do not chain articles together, as in single linkage they would.

    Only what decides is read. Two clusters that are each other's closest are joined sooner or later, whatever happens
    elsewhere (average linkage is reducible), so it is enough to walk from an article to the closest one, and on to
    the closest of that, until two are each other's closest (the nearest-neighbour chain; Murtagh, 1983). What comes
    out is what all links of the archive together would give, and the order of arrival plays no part.

    What is kept of two clusters is the sum of what their pairs score above strangers; divided by the number of all
    pairs it says how close they are.
    """

    def __init__(self, read: Callable[[Collection[int]], Noted], most: int, most_links: int) -> None:
        """`read` gives what is noted of articles. When `most` articles or `most_links` links have been read, further
        neighbours are left out.
        """
        self._read = read
        self._most = most
        self._most_links = most_links
        self._where: dict[int, int] = {}
        self._of: dict[int, list[int]] = {}
        self._near: dict[int, dict[int, int]] = defaultdict(dict)
        self._apart: dict[int, set[int]] = defaultdict(set)
        self._links = 0
        self._together: set[Pair] = set()

    @property
    def is_full(self) -> bool:
        """Whether as many articles have been read as may be."""
        return self._room() == 0

    def _room(self) -> int:
        """How many more may be read."""
        return max(self._most - len(self._where), 0) if self._links < self._most_links else 0

    def tell(self, members: Iterable[int]) -> list[list[int]]:
        """All articles of the stories of these, ascending, each story once. What they lack is read for all at once."""
        left = sorted(set(members))
        self._learn(left)
        lacking = [other for one in left for other in self._unknown(self._where[one])[:AT_ONCE]]
        every = left
        while left:
            self._learn_if_room(lacking)
            lacking = []
            left = [one for one in left if not self._walk(one, lacking)]
        return self.clusters(every)

    def _walk(self, member: int, lacking: list[int]) -> bool:
        """Join from this article on what is each other's closest, until nothing is closest to its cluster. Gives False
        where an unread one might be; it and others like it are then in `lacking`.
        """
        chain = [self._where[member]]
        while (other := self._closest(chain[-1])) is not None:
            if other not in self._of:
                lacking += self._unknown(chain[-1])[:AT_ONCE]
                return False
            if other not in chain:
                chain.append(other)
            else:  # the last but one; an earlier one only where not all links could be read
                self._merge(min(other, chain[-1]), max(other, chain[-1]))
                del chain[chain.index(other) :]
                chain = chain or [self._where[member]]
        return True

    def clusters(self, members: Iterable[int]) -> list[list[int]]:
        """The clusters of these articles as they are now, each once."""
        return [sorted(self._of[one]) for one in sorted({self._where[member] for member in members})]

    def _closest(self, one: int) -> int | None:
        """The cluster, or unread article, that attracts this cluster most, if that is enough to join it.

        What an unread article is one story with in any case can only make its average less, so that no more of the
        neighbours are read than could be the closest.
        """
        of, where, room = self._of, self._where, self._room()
        enough, best = _ENOUGH * len(of[one]), (0.0, 0)
        near, apart = self._near[one], self._apart.get(one, ())
        for other in [other for other, more in near.items() if more > enough]:  # most say too little for any size
            if other in of:
                offer = (near[other] / len(of[other]), -other)
            elif room and other not in where:
                offer = (float(near[other]), -other)
            else:
                continue
            if offer > best and other not in apart:
                best = offer
        more, other = best
        return -other if more > enough else None

    def _unknown(self, one: int) -> list[int]:
        """Unread neighbours that may join it, the closest first."""
        enough = _ENOUGH * len(self._of[one])
        unread = [
            (-more, other) for other, more in self._near[one].items() if more > enough and other not in self._where
        ]
        return [other for _, other in sorted(unread)]

    def _learn_if_room(self, near: Collection[int]) -> None:
        """Read these articles; those for which there is no room are strangers from then on."""
        unknown = [other for other in dict.fromkeys(near) if other not in self._where]
        while (room := self._room()) and unknown:
            part, unknown = unknown[: min(room, AT_A_TIME)], unknown[min(room, AT_A_TIME) :]
            self._learn(part)

    def _learn(self, members: Collection[int]) -> None:
        """Read these, and those that are one story with them in any case."""
        wanted = [one for one in members if one not in self._where]
        partners: set[int] = set()
        while part := wanted[:AT_A_TIME] or sorted(partners)[: min(self._room(), AT_A_TIME)]:
            wanted = wanted[AT_A_TIME:]
            noted = self._read(part)
            self._note(part, noted)
            partners.update(chain.from_iterable(noted.together))
            self._links += COPY * len(set(noted.together) - self._together)
            self._together.update(noted.together)
            partners = {one for one in partners if one not in self._where}

    def _note(self, fresh: Sequence[int], noted: Noted) -> None:
        """Enter articles that were read, each alone for now: what they score with others that were read counts for
        these ones' clusters.
        """
        where, near = self._where, self._near
        for one in fresh:
            where[one] = one
            self._of[one] = [one]
            mine = near[one] = dict(noted.above.get(one, ()))
            known = where.keys() & mine.keys()
            self._links += len(mine) - len(known)
            for other in known:
                more, root = mine.pop(other), where[other]
                # The root has the sum of what its articles score with this one, from when that was unread.
                mine[root] = near[root].setdefault(one, more)
        for a, b in noted.apart:
            one, other = self._where.get(a, a), self._where.get(b, b)
            self._apart[one].add(other)
            self._apart[other].add(one)
        for a, b in sorted(noted.together):
            if a in self._where and b in self._where and (one := self._where[a]) != (other := self._where[b]):
                self._merge(min(one, other), max(one, other))

    def _merge(self, one: int, other: int) -> None:
        """Into `one`, the smaller; what was noted of the other's neighbours is added up."""
        of, near = self._of, self._near
        self._where.update(dict.fromkeys(of[other], one))
        of[one] += of.pop(other)
        mine = near[one]
        mine.pop(other, None)
        theirs = near.pop(other, {})
        theirs.pop(one, None)
        for third, more in theirs.items():
            mine[third] = both = mine.get(third, 0) + more
            if third in of:
                its = near[third]
                its.pop(other, None)
                its[one] = both
        for third in self._apart.pop(other, set()):
            self._apart[third].discard(other)
            self._apart[third].add(one)
            self._apart[one].add(third)
