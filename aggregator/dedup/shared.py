"""Which hashes of one set stand in many others, all at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from aggregator.dedup.folding import U32, Hashes, Indexes, bounds

_SHIFTS = (0, 5, 10, 16)
"""By which 16 bits of them hashes are looked up: by the first of these under which no two of one set are alike."""
_NONE, _NOT_ZERO = U32(0), U32(0xFFFFFFFF)


class _Tables(threading.local):
    """Tables of a thread's own, by 16 bits of a hash: the hash that stands there, and its place in its set. Where none
    does stands one that has other bits.
    """

    def __init__(self) -> None:
        self.hashes = np.full(1 << 16, _NONE)
        self.hashes[0] = _NOT_ZERO
        self.places = np.zeros(1 << 16, dtype=np.uint16)


_TABLES = _Tables()
_COUNT = np.arange(1 << 16, dtype=np.uint16)


def shared(sets: Sequence[tuple[Hashes, Sequence[Hashes]]]) -> tuple[Indexes, Indexes, Indexes]:
    """Where hashes of a set (ascending, at most 65,535) stand in others, for each of these: places in all the others one
    behind the other, how many there are in each other, and places in all the sets one behind the other.
    """
    others = [other for _, against in sets for other in against]
    every, ones = np.concatenate(others), np.concatenate([one for one, _ in sets])
    slots, own, ends = _slots(every), _slots(ones), bounds(list(map(len, others)))
    within, at, first, start, number = [], [], 0, 0, 0
    for one, against in sets:
        number += len(against)
        last, end = first + len(one), int(ends[number])
        its_within, its_at = _found(every[start:end], one, slots[start:end], own[first:last])
        its_within += start
        its_at += first
        within.append(its_within)
        at.append(its_at)
        first, start = last, end
    found = np.concatenate(within)
    cuts = found.searchsorted(ends)
    return found, cuts[1:] - cuts[:-1], np.concatenate(at)


def _slots(hashes: Hashes, shift: int = 0) -> Indexes:
    return (hashes >> U32(shift) if shift else hashes).astype(np.uint16).astype(np.intp)


def _found(wanted: Hashes, among: Hashes, slots: Indexes, own: Indexes) -> tuple[Indexes, Indexes]:
    """Which of these hashes stand in `among`, and where: by a table, which takes a third as long as a binary search, and
    by the search where two of `among` are alike under every shift.
    """
    table, places = _TABLES.hashes, _TABLES.places
    for shift in _SHIFTS:
        if shift:
            slots, own = _slots(wanted, shift), _slots(among, shift)
        table[own] = among
        is_apart = table.take(own).tobytes() == among.tobytes()
        found = _looked_up(table, places, wanted, slots, own) if is_apart else None
        table[own] = _NONE
        table[0] = _NOT_ZERO
        if found:
            return found
    return _searched(wanted, among)


def _looked_up(
    table: Hashes, places: npt.NDArray[np.uint16], wanted: Hashes, slots: Indexes, own: Indexes
) -> tuple[Indexes, Indexes]:
    within = (table.take(slots) == wanted).nonzero()[0]
    places[own] = _COUNT[: len(own)]
    return within, places.take(slots.take(within)).astype(np.intp)


def _searched(wanted: Hashes, among: Hashes) -> tuple[Indexes, Indexes]:
    at = among.searchsorted(wanted)
    at[at == len(among)] = 0
    within = np.flatnonzero(among.take(at) == wanted)
    return within, at.take(within)
