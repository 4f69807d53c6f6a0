"""Which articles are compared as one story: those near each other in time under the same keys.

Under each key articles stand in a row, by `moment`. Two of them meet under it when fewer than `BETWEEN` others stand
between them, and they are compared when they meet under `SHARED` keys. However many articles a key has, each meets a
fixed number, and whom depends on the articles alone, not on the order in which they came: one that comes late may crowd
out two that met across its place, and these are named so that what was noted of them can be taken back.

A key of two names is kept for each kind of script, and is sought in the other: there both rows count.

    places = Places.of(fresh)            what the fresh articles stand under, and what they seek
    rows = Rows(places, found)           with what was found around them, `BETWEEN` on either side where there are
    rows.meeting()  rows.parted(anew)

Of a row only the parts around fresh articles need be known. What is missing between two of them does no harm: each ends
with as many old articles as keep two that stand on either side of it from meeting, now and before.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt

Entry = tuple[int, int]
"""A moment (ascending in time, equal only for equal texts) and an article."""
Pair = tuple[int, int]
Row = list[Entry]
"""Entries in order, with none left out between the first and the last."""
Numbers = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

BETWEEN = 12
"""Articles of which fewer lie between two that meet under a key."""
SHARED = 2
"""Keys under which two articles meet at least to be compared."""
_BLOCK = 500
"""Articles whose neighbours are counted at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Articles under keys: the number of the key, the moment, the article."""

    keys: Numbers
    moments: Numbers
    ids: Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where fresh articles stand. Articles and keys are numbered, keys in ascending order."""

    moments: Numbers
    ids: Numbers
    keys: Numbers
    terms: tuple[Numbers, Numbers]
    """Articles, and the keys under which they stand and meet whoever stands there."""
    names: tuple[Numbers, Numbers]
    """Articles, and further keys under which they stand."""
    across: tuple[Numbers, Numbers, Numbers]
    """Articles, those keys again, and the keys of those they meet from there."""

    @classmethod
    def of(cls, articles: Sequence[tuple[int, int, Sequence[int], Iterable[Pair]]]) -> Places:
        """From moments, ids, `Face.term_keys` and `Face.name_keys`."""
        moments, ids = _numbers([one[0] for one in articles]), _numbers([one[1] for one in articles])
        terms, pairs = [one[2] for one in articles], [set(one[3]) for one in articles]
        names = [{own for own, _ in mine}.difference(its) for mine, its in zip(pairs, terms, strict=True)]
        stand, sought = [*chain(*terms), *chain(*names)], [*chain(*chain(*pairs))]
        keys, numbered = np.unique(_numbers(stand + sought), return_inverse=True)
        mine, (own, other) = numbered[: len(stand)], numbered[len(stand) :].reshape(-1, 2).T
        who, further, named = (
            np.repeat(np.arange(len(articles)), list(map(len, parts))) for parts in (terms, names, pairs)
        )
        return cls(moments, ids, keys, (who, mine[: len(who)]), (further, mine[len(who) :]), (named, own, other))

    def stand(self) -> Entries:
        """The articles under their keys."""
        who, keys = (np.concatenate(parts) for parts in zip(self.terms, self.names, strict=True))
        return Entries(keys, self.moments[who], self.ids[who])

    def wanted(self) -> tuple[Numbers, Numbers]:
        """Numbers of keys, and the moments around which is to be known what stands under them."""
        who, own, other = self.across
        every = np.concatenate((self.terms[0], who, who))
        return np.concatenate((self.terms[1], own, other)), self.moments[every]


def _numbers(given: Sequence[int]) -> Numbers:
    return np.array(given, dtype=np.int64)


class Rows:
    """Rows around fresh articles, one behind the other: those found, of which none is fresh, and the fresh ones."""

    def __init__(self, places: Places, found: Entries) -> None:
        mine = places.stand()
        keys, moments, ids = (
            np.concatenate((getattr(found, name), getattr(mine, name))) for name in ("keys", "moments", "ids")
        )
        self._places = places
        _, ranks = np.unique(np.concatenate((moments, places.moments)), return_inverse=True)
        self._wide = len(ranks) + 1
        self._ranks = ranks[len(keys) :]
        """Of the fresh articles. Ranks stand for moments: a key and a rank fit into one number, key and moment do not."""
        code = keys * self._wide + ranks[: len(keys)]
        order = _ordered(code, ids)
        self._fresh: Marks = order >= len(found.ids)
        self._code, self._keys, self._moments, self._ids = code[order], keys[order], moments[order], ids[order]
        self._bounds = self._keys.searchsorted(np.arange(len(places.keys) + 1))

    def meeting(self) -> dict[Pair, int]:
        """Pairs with a fresh article that meet under several keys, and under how many."""
        found: dict[Pair, int] = {}
        if not len(self._ids):
            return found
        least, ids = int(self._ids.min()), self._places.ids
        wide = int(self._ids.max()) - least + 1
        for first in range(0, len(ids), _BLOCK):
            met = zip(self._met(first), self._met_across(first), strict=True)
            who, other = (np.concatenate(parts) for parts in met)
            once = ~self._fresh[other] | (self._ids[other] < ids[who])
            code = np.sort(who[once] * wide + (self._ids[other[once]] - least))
            starts = np.flatnonzero(np.diff(code, prepend=-1))
            often = np.diff(starts, append=len(code))
            who, other = divmod(code[starts[often >= SHARED]], wide)
            found |= zip(_pairs(ids[who], other + least), often[often >= SHARED].tolist(), strict=True)
        return found

    def _met(self, first: int) -> tuple[Numbers, Numbers]:
        """Who of a block of fresh articles meets whom (where it is) in the same row."""
        who, keys = (part[_block(self._places.terms[0], first)] for part in self._places.terms)
        at = self._place(keys, self._ranks[who], self._places.ids[who])
        near = at[:, None] + np.delete(np.arange(-BETWEEN, BETWEEN + 1), BETWEEN)
        within = (near >= self._bounds[keys, None]) & (near < self._bounds[keys + 1, None])
        return np.broadcast_to(who[:, None], near.shape)[within], near[within]

    def _met_across(self, first: int) -> tuple[Numbers, Numbers]:
        """Who of a block of fresh articles meets whom (where it is) in another row than its own: fewer than `BETWEEN`
        of either row lie between.
        """
        who, own, other = self._places.across
        mine = _block(who, first) & (self._bounds[other] < self._bounds[other + 1])
        if not mine.any():
            return who[:0], own[:0]
        who, own, other = who[mine], own[mine], other[mine]
        at, theirs = (self._place(keys, self._ranks[who], self._places.ids[who]) for keys in (own, other))
        near = theirs[:, None] + np.arange(-BETWEEN, BETWEEN)
        within = (near >= self._bounds[other, None]) & (near < self._bounds[other + 1, None])
        which, near = np.nonzero(within)[0], near[within]
        place = self._place(own[which], self._code[near] % self._wide, self._ids[near])
        between = np.where(near < theirs[which], at[which] - place, place - at[which] - 1)
        return who[which[between < BETWEEN]], near[between < BETWEEN]

    def _place(self, keys: Numbers, ranks: Numbers, ids: Numbers) -> Numbers:
        """Where these articles stand in these rows, or would stand."""
        code = keys * self._wide + ranks
        at: Numbers = self._code.searchsorted(code)
        while True:
            behind = np.flatnonzero(at < len(self._code))
            behind = behind[self._code[at[behind]] == code[behind]]
            behind = behind[self._ids[at[behind]] < ids[behind]]
            if not len(behind):
                return at
            at[behind] += 1

    def parted(self, stood: Collection[Pair] = ()) -> Counter[Pair]:
        """Under how many keys pairs of other articles met before the fresh ones came, and no longer do. `stood` says
        under which keys which articles stand where they stood before.
        """
        found = Counter(self._crowded_out(self._late(stood)))
        for pair, parts in self._crowded(stood).items():
            fresh = set(self._places.ids.tolist()) - {one for key, one in stood if key in pair}
            found.update(_crowded_out_across(parts, fresh))
        return found

    def _late(self, stood: Collection[Pair]) -> Marks:
        """Who is fresh and did not stand there before."""
        late = self._fresh.copy()
        if stood:
            for at in np.flatnonzero(np.isin(self._ids, [one for _, one in stood]) & late).tolist():
                late[at] = (int(self._places.keys[self._keys[at]]), int(self._ids[at])) not in stood
        return late

    def _crowded_out(self, late: Marks) -> Iterator[Pair]:
        """Those that met in one row. Of two the first met the next `BETWEEN` old ones, and still meets those that
        stand no further than that in all.
        """
        rows = np.zeros(len(self._places.keys), dtype=np.bool_)
        rows[self._places.terms[1]] = True
        old = np.flatnonzero(~late & rows[self._keys])
        keys = self._keys[old]
        between = (np.diff(old) > 1) & (keys[1:] == keys[:-1])
        if not between.any():
            return
        rows[:] = False
        rows[keys[1:][between]] = True
        old = old[rows[keys]]
        for start in range(0, len(old), _BLOCK * BETWEEN):
            at = np.arange(start, min(start + _BLOCK * BETWEEN, len(old)))[:, None]
            near = at + np.arange(1, BETWEEN + 1)
            one, other = old[at], old[np.minimum(near, len(old) - 1)]
            lost = (near < len(old)) & (other - one > BETWEEN) & (self._keys[one] == self._keys[other])
            yield from _pairs(self._ids[np.broadcast_to(one, lost.shape)[lost]], self._ids[other[lost]])

    def _crowded(self, stood: Collection[Pair]) -> dict[Pair, list[tuple[Entry, Row, Row]]]:
        """By pairs of rows of which each one's articles meet those of the other: fresh articles behind which older ones
        stand, and both rows.
        """
        who, own, other = self._places.across
        if not len(who):
            return {}
        old = np.flatnonzero(~self._fresh | np.isin(self._ids, [one for _, one in stood]))
        last = np.full(len(self._places.keys), -1)
        last[self._keys[old]] = self._code[old] % self._wide
        late = (np.minimum(last[own], last[other]) >= 0) & (np.maximum(last[own], last[other]) >= self._ranks[who])
        found: dict[Pair, list[tuple[Entry, Row, Row]]] = defaultdict(list)
        rows: dict[int, Row] = {}
        for one, mine, theirs in zip(*(part[late].tolist() for part in (who, own, other)), strict=True):
            first, second = min(mine, theirs), max(mine, theirs)
            for key in {first, second} - rows.keys():
                rows[key] = self._row(key)
            me = (int(self._places.moments[one]), int(self._places.ids[one]))
            found[int(self._places.keys[first]), int(self._places.keys[second])].append(
                (me, rows[first], rows[second])
            )
        return found

    def _row(self, key: int) -> Row:
        here = slice(self._bounds[key], self._bounds[key + 1])
        return list(zip(self._moments[here].tolist(), self._ids[here].tolist(), strict=True))


def _ordered(code: Numbers, ids: Numbers) -> Numbers:
    """The order of entries by code, then article; what was found twice counts once."""
    order = np.argsort(code)
    code = code[order]
    same = np.flatnonzero(code[1:] == code[:-1])
    if not len(same):
        return order
    tied = np.zeros(len(code), dtype=np.bool_)
    tied[same] = tied[same + 1] = True
    order[tied] = order[tied][np.lexsort((ids[order[tied]], code[tied]))]
    twice = np.append(False, (code[1:] == code[:-1]) & (ids[order[1:]] == ids[order[:-1]]))
    once: Numbers = order[~twice]
    return once


def _block(who: Numbers, first: int) -> Marks:
    found: Marks = (who >= first) & (who < first + _BLOCK)
    return found


def _pairs(one: Numbers, other: Numbers) -> Iterator[Pair]:
    return zip(np.minimum(one, other).tolist(), np.maximum(one, other).tolist(), strict=True)


def _crowded_out_across(parts: Sequence[tuple[Entry, Row, Row]], fresh: Collection[int]) -> Iterator[Entry]:
    """The same for two rows, of which each one's articles meet those of the other. `parts` holds what lies around
    entries in the first row and in the second.
    """
    for both in _joint_runs(parts):
        if _has_fresh_within([entry for entry, _ in both], fresh):
            yield from _parted(both, fresh)


_FIRST, _LAST = (-(1 << 62), 0), (1 << 62, 0)


def _joint_runs(parts: Sequence[tuple[Entry, Row, Row]]) -> Iterator[list[tuple[Entry, int]]]:
    """Both rows as one, each entry with its row's number, wherever both are known without a gap."""
    known = sorted((*_reach(me, first, second), at) for at, (me, first, second) in enumerate(parts))
    upto, run = _FIRST, set[tuple[Entry, int]]()
    for low, high, at in known:
        if low > upto:
            yield sorted(run)
            run = set()
        _, *rows = parts[at]
        for side, row in enumerate(rows):
            run.update((entry, side) for entry in row[bisect_left(row, low) : bisect_right(row, high)])
        upto = max(upto, high)
    yield sorted(run)


def _reach(me: Entry, *rows: Row) -> tuple[Entry, Entry]:
    """From where to where all of these rows are known; a side with few entries has no more of them."""
    lows, highs = [], []
    for row in rows:
        before, after = bisect_left(row, me), bisect_left(row, (me[0], me[1] + 1))
        lows.append(row[before - BETWEEN] if before >= BETWEEN else _FIRST)
        highs.append(row[after + BETWEEN - 1] if len(row) - after >= BETWEEN else _LAST)
    return max(lows), min(highs)


def _has_fresh_within(run: Sequence[Entry], fresh: Collection[int]) -> bool:
    """Whether a fresh article stands between two others."""
    old = [at for at, (_, one) in enumerate(run) if one not in fresh]
    return any(later - earlier > 1 for earlier, later in pairwise(old))


def _parted(row: Sequence[tuple[Entry, int]], fresh: Collection[int]) -> Iterator[Entry]:
    for at, ((_, one), side) in enumerate(row):
        if one in fresh:
            continue
        before, now = [0, 0], [0, 0]
        for (_, other), its in row[at + 1 :]:
            if other not in fresh:
                if max(now) >= BETWEEN and its != side:
                    yield (one, other) if one < other else (other, one)
                before[its] += 1
                if max(before) >= BETWEEN:
                    break
            now[its] += 1
