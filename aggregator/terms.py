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
from dataclasses import dataclass
from itertools import pairwise

from aggregator.text import simplified

TITLE = "\x81"
"""Before a term: it stands in the title."""
_SIGN = "\x80"
LONGEST = 40
"""Longer words (encoded data, addresses) are indexed by windows of this length that overlap by half."""
STEP = LONGEST // 2

# Thai is the first script without spaces in the order of Unicode; some later alphabets are cut into pairs without harm.
_RUN = re.compile(r"(?P<word>[^\W_\u0e00-\U0010ffff]+)|(?P<pairs>[^\W\x00-\u0dff]+)|(?P<sign>[^\w\s]|_)")

FREQUENT = frozenset(
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定"
    "行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些"
    "然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公"
)
"""Characters with a term of their own: as a prefix of pairs each would take as long as a table's scan.

The list only decides speed: the most frequent simplified characters of general texts, as frequency lists agree on.
"""


def folded(text: str) -> str:
    """Text as search compares it: simplified characters (OpenCC t2s), then lower case."""
    return simplified(text).lower()


def document(title: str, text: str) -> str:
    """What search looks into, folded: title, newline, text."""
    return folded(f"{title}\n{text}")


def sign(char: str) -> str:
    """The term of a sign; ASCII signs are moved to where the tokenizer sees letters."""
    return _SIGN + (chr(ord(char) + 0x100) if char < "\x80" else char)


def terms(text: str) -> set[str]:
    """The distinct terms of a folded text."""
    found: set[str] = set()
    for run in _RUN.finditer(text):
        piece = run[0]
        if run.lastgroup == "word":
            found.update(windows(piece))
        elif run.lastgroup == "pairs":
            found.update(map("".join, pairwise(piece)))
            found.add(piece[-1])
            found.update(FREQUENT.intersection(piece))
        else:
            found.add(sign(piece))
    return found


def windows(word: str) -> list[str]:
    """A word, or its overlapping windows when it is longer than LONGEST: any STEP + 1 characters are inside one."""
    if len(word) <= LONGEST:
        return [word]
    return [word[start : start + LONGEST] for start in range(0, len(word) - STEP, STEP)]


def words(found: set[str]) -> set[str]:
    """The terms that are words: what the vocabulary holds."""
    return {term for term in found if "0" <= term[0] < "\u0e00" and term[0] not in (_SIGN, TITLE)}


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
            found.extend(dict.fromkeys(map("".join, pairwise(piece))))
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
