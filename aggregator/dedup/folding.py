"""Folded text as an array of character codes: what `text.fold` says, at the price of one look-up a character.

`str.translate` asks its table once for each character in Python; here a character is folded once for all texts, and
what it is (a letter, a digit, part of a word or a number) is kept in the upper bits of the same table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from aggregator.text import fold

U32 = np.uint32
Hashes = npt.NDArray[np.uint32]
Indexes = npt.NDArray[np.intp]
_CODE = U32((1 << 21) - 1)
_MET = 1 << 21
LETTER, DIGIT, OF_WORD, OF_NUMBER = (U32(1 << bit) for bit in (22, 23, 24, 25))
"""Marks of a folded character: a letter or digit; a decimal digit; one of `a-z'-`; a decimal digit, comma or point."""
# Memory that nothing has been written to costs nothing, so the table begins as zeros.
_TABLE = np.zeros(0x110000, dtype=U32)
"""Code and marks of what each character is folded to; filled in as characters are met."""


def marked(text: str) -> Hashes:
    """Code and marks of each folded character, one for each character of the text."""
    codes = codes_in(text)
    found: Hashes = _TABLE.take(codes)
    if not found.all():
        for code in set(codes[found == 0].tolist()):
            _TABLE[code] = _entry(fold(chr(code)))
        found = _TABLE.take(codes)
    return found


def _entry(char: str) -> int:
    word = "a" <= char <= "z" or char in "'-"
    marks = LETTER * char.isalnum() | DIGIT * char.isdecimal() | OF_WORD * word
    return int(ord(char) | _MET | marks | OF_NUMBER * (char.isdecimal() or char in ",."))


def codes_of(found: Hashes) -> Hashes:
    """The codes alone."""
    return found & _CODE


def folded(text: str) -> Hashes:
    """The codes of the folded characters, one for each character of the text."""
    return codes_of(marked(text))


def only_letters(text: str) -> Hashes:
    """The folded letters and digits alone."""
    found = marked(text)
    return codes_of(found.take(with_mark(found, LETTER)))


def with_mark(found: Hashes, mark: np.uint32) -> Indexes:
    """Where the characters with this mark stand."""
    return np.flatnonzero((found & mark) != 0)


def text_of(codes: Hashes) -> str:
    """The characters of these codes."""
    return codes.tobytes().decode("utf-32-le", "surrogatepass")


def codes_in(text: str) -> Hashes:
    """The codes of the characters as they are."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=U32)


def runs(at: Indexes, ranks: Indexes | None = None) -> tuple[Indexes, Indexes]:
    """Where rows of neighbours begin and end among ascending places. With `ranks`, their ranks among the places of more
    characters, a row may have these between.
    """
    if not len(at):
        return at, at
    apart = at[1:] - at[:-1]
    breaks = np.flatnonzero(apart != (1 if ranks is None else ranks[1:] - ranks[:-1]))
    return at.take(np.concatenate(([0], breaks + 1))), at.take(np.concatenate((breaks, [len(at) - 1]))) + 1


def parted(sizes: Sequence[int], most: int) -> Iterator[slice]:
    """Which texts of these sizes to take together, so that each part but those of a single text has at most `most`."""
    start = total = 0
    for at, size in enumerate(sizes):
        if total + size > most and at > start:
            yield slice(start, at)
            start, total = at, 0
        total += size
    if start < len(sizes):
        yield slice(start, len(sizes))


def bounds(sizes: Sequence[int]) -> Indexes:
    """Where texts of these sizes begin one behind the other, and where the last one ends."""
    return np.array(list(accumulate(sizes, initial=0)), dtype=np.intp)


def interleaved(*columns: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The first of each of these in their order, then the second of each, and so on."""
    found = np.empty(len(columns) * len(columns[0]), dtype=columns[0].dtype)
    for at, column in enumerate(columns):
        found[at :: len(columns)] = column
    return found
