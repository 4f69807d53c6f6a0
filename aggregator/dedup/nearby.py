"""Which articles are compared as one story: those near each other in time under the same keys.

Under each key articles stand in a row, by `moment`. Two of them meet under it when fewer than `BETWEEN` others stand
between them, and they are compared when they meet under `SHARED` keys. However many articles a key has, each meets a
fixed number, and whom depends on the articles alone, not on the order in which they came: one that comes late may crowd
out two that met across its place, and these are named so that what was noted of them can be taken back.

A key of two names is kept for each kind of script, and is sought in the other: there both rows count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

Entry = tuple[int, int]
"""A moment (ascending in time, equal only for equal texts) and an article."""
Row = list[Entry]
"""Entries in order, with none left out between the first and the last."""

BETWEEN = 12
"""Articles of which fewer lie between two that meet under a key."""
SHARED = 2
"""Keys under which two articles meet at least to be compared."""


def met(me: Entry, row: Row) -> list[int]:
    """Whom an article meets in a row of which it is part, with at least `BETWEEN` on either side where there are."""
    at = bisect_left(row, me)
    return [one for _, one in row[max(at - BETWEEN, 0) : at]] + [one for _, one in row[at + 1 : at + 1 + BETWEEN]]


def met_across(me: Entry, own: Row, other: Row) -> Iterator[int]:
    """Whom an article meets in another row: fewer than `BETWEEN` of either row lie between."""
    mine, theirs = bisect_left(own, me), bisect_left(other, me)
    for entry in other[max(theirs - BETWEEN, 0) : theirs]:
        if mine - bisect_left(own, entry) < BETWEEN:
            yield entry[1]
    for entry in other[theirs : theirs + BETWEEN]:
        if bisect_left(own, entry) - mine - 1 < BETWEEN:
            yield entry[1]


def crowded_out(rows: Sequence[Row], fresh: Collection[int]) -> Iterator[Entry]:
    """Pairs of articles that met in one row before the fresh ones came, and no longer do. `rows` are parts of it."""
    for run in _runs(rows):
        old = [at for at, (_, one) in enumerate(run) if one not in fresh]
        for number, at in enumerate(old):
            # Those it met are the next BETWEEN old ones; those it still meets stand no further than that in all.
            last = min(number + 1 + BETWEEN, len(old))
            if old[last - 1] - at <= BETWEEN:
                continue
            one = run[at][1]
            for place in old[bisect_left(old, at + BETWEEN + 1, number + 1, last) : last]:
                other = run[place][1]
                yield (one, other) if one < other else (other, one)


def crowded_out_across(parts: Sequence[tuple[Entry, Row, Row]], fresh: Collection[int]) -> Iterator[Entry]:
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
        run.update((entry, side) for side, row in enumerate(rows) for entry in row if low <= entry <= high)
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


def _runs(rows: Sequence[Row]) -> list[Row]:
    """Rows that overlap as one; the same row given several times costs nothing."""
    found: list[Row] = []
    for row in sorted({id(row): row for row in rows if row}.values()):
        if found and row[0] <= found[-1][-1]:
            found[-1] = sorted({*found[-1], *row})
        else:
            found.append(row)
    return found


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
