"""How hashes are kept: ascending ones take three bytes and about two bits each (Elias 1974; Fano 1971), a quarter less than
they are long; and what was read last is remembered.

The lower three bytes stand as they are, the upper ones, of which many follow that are equal or neighbours, in unary:
for each hash the bit whose place is its upper byte and the number of hashes before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np

from aggregator.dedup.folding import U32, Hashes, bounds

Kept = TypeVar("Kept")
Value = TypeVar("Value")
LOWER = 3
"""Bytes of a hash that are kept as they are."""
_BLOCK = 256
"""Values that are made at once: what is made of them on the way stays near the processor."""


def packed(every: Sequence[Hashes]) -> list[tuple[bytes, bytes]]:
    """The upper bytes of each of these rows of ascending hashes, and the lower ones."""
    sizes = np.array(list(map(len, every)), dtype=np.intp)
    begins = bounds(sizes.tolist())
    hashes = np.concatenate(every).astype("<u4") if every else np.zeros(0, dtype="<u4")
    at = (hashes >> U32(8 * LOWER)) + np.arange(len(hashes)) - np.repeat(begins[:-1], sizes)
    lengths = np.zeros(len(every), dtype=np.intp)
    lengths[sizes > 0] = at[begins[1:][sizes > 0] - 1] // 8 + 1
    starts = bounds(lengths.tolist())
    bits = np.zeros(8 * starts[-1], dtype=np.bool_)
    bits[at + np.repeat(8 * starts[:-1], sizes)] = True
    uppers, lowers = np.packbits(bits).tobytes(), hashes.view(np.uint8).reshape(-1, 4)[:, :LOWER].tobytes()
    upper, lower = pairwise(starts.tolist()), pairwise((LOWER * begins).tolist())
    return [(uppers[slice(*one)], lowers[slice(*other)]) for one, other in zip(upper, lower, strict=True)]


def unpacked(parts: Sequence[tuple[bytes, bytes]]) -> list[Hashes]:
    """The hashes of which `packed` gave these."""
    uppers, lowers = [upper for upper, _ in parts], [lower for _, lower in parts]
    sizes = [len(lower) // LOWER for lower in lowers]
    begins, starts = bounds(sizes), bounds(list(map(len, uppers)))
    bits = np.unpackbits(np.frombuffer(b"".join(uppers), dtype=np.uint8)).view(np.bool_)
    at = np.flatnonzero(bits)
    at -= np.repeat(8 * starts[:-1] - begins[:-1], sizes)
    at -= np.arange(len(at))
    hashes = at.astype("<u4")
    hashes <<= U32(8 * LOWER)
    # Three bytes are read as the lower ones of four, of which the fourth is the next hash's: hence the byte at the end.
    lower = np.ndarray(len(at), dtype="<u4", buffer=b"".join((*lowers, b"\0")), strides=(LOWER,))
    hashes |= lower & U32((1 << 8 * LOWER) - 1)
    return [hashes[start:end] for start, end in pairwise(begins.tolist())]


class Remembered(Generic[Kept, Value]):
    """What was made of what is kept of articles, for as many of the last ones as are asked again soon: half of them are
    those made or asked for since the other half was full.
    """

    def __init__(self, make: Callable[[Sequence[Kept]], Iterable[Value]], most: int) -> None:
        self._make, self._most = make, most
        self._recent: dict[int, tuple[Kept, Value]] = {}
        self._older: dict[int, tuple[Kept, Value]] = {}

    def of(self, rows: Mapping[int, Kept]) -> dict[int, Value]:
        """By number of the article what is made of what is kept of it; what was made is given again while that is the
        same. Those that are not known are made many at once.
        """
        recent, older = self._recent, self._older
        found: dict[int, Value] = {}
        fresh: list[int] = []
        for number, kept in rows.items():
            known = recent.get(number) or older.get(number)
            if known and known[0] == kept:
                recent[number] = known
                found[number] = known[1]
            else:
                fresh.append(number)
        for start in range(0, len(fresh), _BLOCK):
            part = fresh[start : start + _BLOCK]
            for number, value in zip(part, self._make([rows[number] for number in part]), strict=True):
                recent[number] = (rows[number], value)
                found[number] = value
        if 2 * len(recent) > self._most:
            self._recent, self._older = {}, recent
        return found
