"""Which hashes of one set stand in many others, all at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from aggregator.dedup.folding import U32, Hashes

Indexes = npt.NDArray[np.intp]
_BITS = 18


class _Slots(threading.local):
    """A table of a thread's own, by the lower bits of a hash; what is left in it from before does no harm."""

    def __init__(self) -> None:
        self.table = np.zeros(1 << _BITS, dtype=np.uint16)


_SLOTS = _Slots()
_MASK = U32((1 << _BITS) - 1)


def shared(one: Hashes, others: Sequence[Hashes]) -> tuple[Indexes, Indexes, Indexes]:
    """Where hashes of `one` (ascending, at most 65,535) stand in the others: places in the others one behind the
    other, which other that is, and places in `one`.
    """
    every = np.concatenate(others)
    at = _places(every, one)
    within = np.flatnonzero(one[at] == every) if len(one) else np.zeros(0, dtype=np.intp)
    who = np.repeat(np.arange(len(others)), [len(other) for other in others])
    return within, who[within], at[within]


def _places(wanted: Hashes, among: Hashes) -> Indexes:
    """For each hash a place in `among`, its own if it stands there: by a table, which takes half as long as a binary
    search, and by the search where two of `among` would take one slot of the table.
    """
    found: Indexes
    table, slots, places = _SLOTS.table, among & _MASK, np.arange(len(among), dtype=np.uint16)
    table[slots] = places
    if np.array_equal(table[slots], places):
        found = table[wanted & _MASK].astype(np.intp)
    else:
        found = np.searchsorted(among, wanted)
    found[found >= len(among)] = 0
    return found
