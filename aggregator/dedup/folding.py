"""Folded text as an array of character codes: what `text.fold` says, at the price of one look-up a character.

`str.translate` asks its table once for each character in Python; an article is folded for its fingerprint and for its
face, and that was a quarter of what telling reprints and stories cost.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from aggregator.text import fold

U32 = np.uint32
Hashes = npt.NDArray[np.uint32]
_UNMET, _DROPPED = 0, 1
# Memory that nothing has been written to costs nothing, so the tables begin as zeros.
_FOLDED = np.zeros(0x110000, dtype=U32)
"""One more than what each character is folded to, filled in as characters are met."""
_LETTERS = np.zeros(0x110000, dtype=U32)
"""What each character is folded to, `_DROPPED` for what is no letter or digit; filled in as characters are met."""


def folded(text: str) -> Hashes:
    """The codes of the folded characters, one for each character of the text."""
    found = _looked_up(text, _FOLDED, lambda char: ord(char) + 1)
    found -= U32(1)
    return found


def letters(text: str) -> Hashes:
    """The same where the folded character is a letter or a digit, else 1."""
    return _looked_up(text, _LETTERS, lambda char: ord(char) if char.isalnum() else _DROPPED)


def only_letters(text: str) -> Hashes:
    """The folded letters and digits alone."""
    found = letters(text)
    kept: Hashes = found[found != _DROPPED]
    return kept


def text_of(codes: Hashes) -> str:
    """The characters of these codes."""
    return codes.tobytes().decode("utf-32-le", "surrogatepass")


def _looked_up(text: str, table: Hashes, entry: Callable[[str], int]) -> Hashes:
    """What the table has for each character; `entry` makes it from the folded one when a character is met."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=U32)
    found: Hashes = table[codes]
    if not found.all():
        for code in set(codes[found == _UNMET].tolist()):
            table[code] = entry(fold(chr(code)))
        found = table[codes]
    return found
