"""How many pieces of a text stand in another, as arrays of numbers: that takes a fifth of what sets of strings take."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aggregator.dedup.folding import Hashes

_Numbers = npt.NDArray[np.uint64]
_BITS = 64
"""Bits of a number that stands for a piece."""


def in_common(short: Hashes, long: Hashes, size: int) -> tuple[int, int]:
    """How many different pieces of so many characters (4 or 8) the first text has, by its characters' codes, and how many
    of these stand in the other one too.
    """
    bits = _BITS // size
    both: npt.NDArray[np.integer] = np.concatenate((short, long))
    if len(both) and int(both.max()) >> bits:
        letters, both = np.unique(both, return_inverse=True)
        if len(letters) >> bits:
            return _in_sets(short, long, size)
    numbers = both.astype(np.uint64)
    mine, theirs = (_pieces(part, size, bits) for part in (numbers[: len(short)], numbers[len(short) :]))
    every = np.sort(np.concatenate((mine, theirs)))
    return len(mine), int(np.count_nonzero(every[1:] == every[:-1]))


def _pieces(numbers: _Numbers, size: int, bits: int) -> _Numbers:
    """The different pieces, each as one number, which holds those of its characters one behind the other."""
    length = 1
    while length < size:
        numbers = numbers[:-length] << np.uint64(length * bits) | numbers[length:]
        length *= 2
    numbers = np.sort(numbers)
    return numbers[np.concatenate(([True], numbers[1:] != numbers[:-1]))[: len(numbers)]]


def _in_sets(short: Hashes, long: Hashes, size: int) -> tuple[int, int]:
    """The same for texts of more different characters than a number holds."""
    mine, theirs = (
        {tuple(codes[at : at + size]) for at in range(len(codes) - size + 1)}
        for codes in (short.tolist(), long.tolist())
    )
    return len(mine), len(mine & theirs)
