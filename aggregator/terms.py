"""What of a text goes into the full-text index, and what a word or phrase asks of it.

The contract of search: a needle finds exactly the articles whose text holds it as a substring, both in simplified
characters and lower case (`folded`). A text is cut into runs. Runs of letters and digits (Latin, Greek, Cyrillic, ...)
are words. Runs of any later script (Chinese, kana, Hangul, Thai, ...) are indexed by their pairs of neighbouring
characters, never across punctuation, and by their last character, so that every character begins some term; the most
frequent characters have a term of their own. Each distinct sign (`$`, `，`, an emoji) is a term.
Terms are unique in a document (`reference`: half the size and twice the speed of counting them).

Rejected: words by a segmenter (finds 96 % of four-character words), trigrams (find no two-character word).
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from operator import add
from typing import TYPE_CHECKING

from aggregator.text import simplified

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TITLE = "\x81"
"""Before a term: it stands in the title."""
_SIGN = "\x80"
LONGEST = 40
"""Longer words (encoded data, addresses) are indexed by windows of this length that overlap by half."""
STEP = LONGEST // 2

# Thai is the first script without spaces in the order of Unicode; some later alphabets are cut into pairs without harm.
_RUN = re.compile(r"(?P<word>[^\W_\u0e00-\U0010ffff]+)|(?P<pairs>[^\W\x00-\u0dff]+)|(?P<sign>[^\w\s]|_)")

_WORD = re.compile(r"[^\W_\u0e00-\U0010ffff]+")
_PAIRS = re.compile(r"[^\W\x00-\u0dff]+")
_IS_SIGN = re.compile(r"[^\w\s]|_")

FREQUENT = frozenset(
    "的在中日一国有人为是大不年新上出发以会时行到和月前表对后家示将于今报多这成过外者与社要天政来公了也法个方全关他能员明部进"
    "下分可及并其开主已说动定作地因但重经现提最自期当电长指生民情此美同加据内之间高合本道布所用受而至等通更力事府机应由面就体"
    "议总制实理相名正目数都特次度周接取持入还计局被业近联得任们认未台起场导无称意保工共达市务如记利安从北资强向交首问两心性立"
    "求统央平使续获确第文区没管去调约些结位"
)
"""Characters with a term of their own: as prefixes of pairs they would take as long as reading every text.

The list decides speed and size, never what is found: about the 200 characters that stand in more than two fifths of
news texts. They cost 4 % of the text, all characters 13 %.
"""


def folded(text: str) -> str:
    """Text as search compares it: simplified characters (OpenCC t2s), then lower case."""
    return simplified(text).lower()


def document(title: str, text: str) -> str:
    """What search looks into, folded: title, newline, text."""
    return folded(f"{title}\n{text}")


def holds(title: str, text: str | None, needle: str, traditional: object) -> bool:
    """Whether a folded needle stands in title or text (in the title where `text` is None).

    `traditional` may be any truth value; where it is false, the conversion (four fifths of the time) is left out.
    """
    raw = title if text is None else f"{title}\n{text}"
    if traditional:
        raw = simplified(raw)
    return needle in (raw if is_plain(needle) else raw.lower())


def is_plain(needle: str) -> bool:
    """Whether case does not matter: Chinese has none, and lower case makes no Chinese of anything else."""
    return min(needle) > "\u2e7f" and needle.upper() == needle


def sign(char: str) -> str:
    """The term of a sign; ASCII signs are moved to where the tokenizer sees letters."""
    return _SIGN + (chr(ord(char) + 0x100) if char < "\x80" else char)


def terms(text: str) -> set[str]:
    """The distinct terms of a folded text."""
    return _words(text) | _others(text)


@dataclass(frozen=True, slots=True)
class Entry:
    """What of an article goes into the index: its distinct terms and those of its title marked as such, separated by
    blanks; those among them that are words, which the vocabulary holds; and whether folding changes more than case.
    """

    terms: str
    words: set[str]
    traditional: bool

    @property
    def listed(self) -> list[str]:
        """The terms one by one."""
        return self.terms.split(" ") if self.terms else []


def entry(title: str, text: str) -> Entry:
    """The entry of an article in the index."""
    raw = f"{title}\n{text}"
    plain = simplified(raw)
    whole = plain.lower()
    words, others = _gathered(whole)
    headline = terms(folded(title) if plain != raw else title.lower())
    pieces = [*words, others, *[TITLE + term for term in headline]]
    return Entry(" ".join(filter(None, pieces)), words, plain != raw)


def entered(title: str, text: str) -> list[str]:
    """The terms of an article's entry."""
    return entry(title, text).listed


def _words(text: str) -> set[str]:
    return _short(set(_WORD.findall(text)))


def _short(found: set[str]) -> set[str]:
    """The words, long ones by their windows."""
    if len(max(found, key=len, default="")) > LONGEST:
        found = {window for word in found for window in windows(word)}
    return found


def _others(text: str) -> set[str]:
    """Pairs, last characters of runs, frequent characters, signs.

    Set operations over the whole text instead of a loop over its runs: a fifth of the time.
    """
    met = set(text)
    found = {sign(char) for char in _signs(met)}
    if runs := _PAIRS.findall(text):
        joined = "\n".join(runs)
        found.update(map(add, joined, joined[1:]))
        ends = [run[-1] for run in runs]
        found.difference_update([end + "\n" for end in ends], ["\n" + run[0] for run in runs])
        found.update(ends)
        found |= FREQUENT & met
    return found


_PLAIN, _SIGNS = set[str](), set[str]()
"""Characters met so far: those of words and pairs and blanks, and those that are signs."""


def _signs(met: set[str]) -> set[str]:
    for char in met - _PLAIN - _SIGNS:
        (_SIGNS if _IS_SIGN.match(char) else _PLAIN).add(char)
    return met & _SIGNS


# What a character is, by its code: not met yet, no part of any term, of a pair, a sign, frequent besides, of a word.
_NEW, _NONE, _PAIRED, _SIGNED, _FREQUENT, _OF_WORD = 0, 1, 2, 4, 8, 16
_BLANK = 32


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    """A byte for each code of Unicode (1 MB), filled in as characters are met."""
    import numpy as np

    return np.zeros(sys.maxunicode + 1, np.uint8)


def _kind(char: str) -> int:
    if _WORD.match(char):
        return _OF_WORD
    kind = _PAIRED if _PAIRS.match(char) else _SIGNED if _IS_SIGN.match(char) else _NONE
    return kind | _FREQUENT if char in FREQUENT else kind


def _gathered(text: str) -> tuple[set[str], str]:
    """What `_words` gives, and what `_others` gives separated by blanks, in a third of the time for a text of some length."""
    import numpy as np  # which asking has no use for

    table = _kinds()
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds = table[codes]
    if not kinds.all():
        for code in set(codes[kinds == _NEW].tolist()):
            table[code] = _kind(chr(code))
        kinds = table[codes]
    paired = (kinds & _PAIRED) != 0
    followed = np.append(paired[1:], False) & paired
    starts = np.flatnonzero(followed)
    wide = codes.astype(np.uint64)
    pairs = _distinct(wide[starts] << np.uint64(32) | wide[starts + 1])
    spread = np.full((len(pairs), 3), _BLANK, np.uint32)
    spread[:, 0], spread[:, 1] = pairs >> np.uint64(32), pairs & np.uint64(0xFFFFFFFF)
    ones = set(codes[(paired & ~followed) | (kinds & _FREQUENT != 0)].tolist())
    signs = set(codes[kinds == _SIGNED].tolist())
    others = (
        spread.tobytes().decode("utf-32-le", "surrogatepass")
        + " ".join([*map(chr, ones), *(sign(chr(code)) for code in signs)])
    ).rstrip(" ")
    return _short(_cut(codes, kinds == _OF_WORD)), others


def _distinct(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """In order; for some thousand values a fifth of the time of numpy's own `unique`."""
    import numpy as np

    values.sort()
    kept = np.ones(len(values), bool)
    kept[1:] = values[1:] != values[:-1]
    return values[kept]


def _cut(codes: npt.NDArray[np.uint32], of_word: npt.NDArray[np.bool_]) -> set[str]:
    """The runs of characters of words."""
    import numpy as np

    ends = of_word.copy()
    ends[1:] |= of_word[:-1]  # and what stands after each run, to part it from the next
    return set(np.where(of_word, codes, _BLANK)[ends].astype(np.uint32).tobytes().decode("utf-32-le").split())


def windows(word: str) -> list[str]:
    """A word, or its overlapping windows when it is longer than LONGEST: any STEP + 1 characters are inside one."""
    if len(word) <= LONGEST:
        return [word]
    return [word[start : start + LONGEST] for start in range(0, len(word) - STEP, STEP)]


# --- what a needle asks -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Word:
    """A run of letters and digits; unless `left` (`right`), the word in the text may be longer on that side."""

    text: str
    left: bool
    right: bool

    def fits(self, word: str) -> bool:
        """Whether a word of the vocabulary can hold this piece, as far as its own ends can tell."""
        if len(word) == LONGEST:  # a window: the word may go on
            return self.text in word
        return (not self.left or word.startswith(self.text)) and (not self.right or word.endswith(self.text))


@dataclass(frozen=True, slots=True)
class Prefix:
    """A character that begins some term."""

    char: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What the index is asked for a needle: all of `terms`, `prefixes` and `words`.

    `exact` says that what meets them holds the needle; otherwise the candidates must be looked at.
    """

    terms: tuple[str, ...]
    prefixes: tuple[Prefix, ...]
    words: tuple[Word, ...]
    exact: bool


def asked(needle: str) -> Asked:
    """What the index is asked for a folded needle."""
    found: list[str] = []
    prefixes: list[Prefix] = []
    asked_words: list[Word] = []
    runs = list(_RUN.finditer(needle))
    for run in runs:
        piece = run[0]
        if run.lastgroup == "sign":
            found.append(sign(piece))
        elif run.lastgroup == "word":
            asked_words.append(_asked_word(piece, left=run.start() > 0, right=run.end() < len(needle)))
        elif len(piece) > 1:
            found.extend(dict.fromkeys(map(add, piece, piece[1:])))
            if run.end() < len(needle) and piece[-1] not in FREQUENT:
                found.append(piece[-1])  # the run ends here in the text too
        elif piece in FREQUENT or (run.end() < len(needle)):
            found.append(piece)
        else:
            prefixes.append(Prefix(piece))
    single = len(runs) == 1 and len(runs[0][0]) == len(needle)
    short = single and len(needle) <= (STEP + 1 if asked_words else 2)
    return Asked(tuple(found), tuple(prefixes), tuple(asked_words), exact=short)


def _asked_word(piece: str, *, left: bool, right: bool) -> Word:
    if len(piece) > STEP + 1:  # the window that holds its beginning may end before it does
        return Word(piece[: STEP + 1], left=False, right=False)
    return Word(piece, left, right)
