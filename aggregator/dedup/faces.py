"""Faces are made: what is kept of articles to compare them as one story or two. What a face holds is in `face`, what it is
good for, and the comparison, in `story`.

The array work is done for many articles at once, since a call of numpy's costs more than what it does to one text.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt

from aggregator.dedup import folding
from aggregator.dedup.face import FINE, FITS, Face, Said, packed_all, rarities_of, weights_of
from aggregator.dedup.folding import U32, Hashes, Indexes
from aggregator.dedup.hashing import crc32
from aggregator.dedup.names import catalogue

LEAD, LATIN_LEAD = 300, 800
"""Characters of the text that count as its beginning."""
NUMBERS_IN = 2000
"""Characters of the text whose numbers count."""
MOST_TERMS = 220
KEYS = 20
"""Terms of an article by which others find it: its weightiest."""

BLOCK = 1 << 16
"""Characters of which the faces are made at once."""
U64 = np.uint64
_P1, _P2 = U32(0x9E3779B1), U32(0x85EBCA77)
# Each begins with one set of characters: the search skips all others, which halves its time.
_WORD = re.compile(r"[a-z][a-z'-]+")
_NUMBER = re.compile(r"\d(?:[\d,.]*\d)?")
_DAY = re.compile(r"(?<!\d)([0-3]?\d)日\Z")
_MONTHS = frozenset(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)"
_DAY_EN = re.compile(rf"\b{_MONTH}[a-z]*\.? ([0-3]?\d)\b|\b([0-3]?\d)(?:st|nd|rd|th)? {_MONTH}")
# `- outlet` behind a title, and the dateline before a text, are the house's and not the event's.
_TITLE_TAIL = re.compile(r"\s+[–—-]\s+[^–—-]{2,20}(?:\s+-\s+\w{2,8})?$|\s*\|\s*[^|]{2,24}$")
_DATELINE = re.compile(r"\A(?:[\d/:TZ. -]{8,40}\n|[^\n]{0,20}中文网\s*\n|\d+\s*(?:分钟|小时)前\n)+")
_SIGNED = re.compile(r"[(（][^()（）\n]{0,24}(?:记者|記者|社|讯|訊|中文网)[^()（）\n]{0,24}[)）]")
_REUTERS = re.compile(r"(?m:^路透[^\n]{0,16}?\d{1,2}月\d{1,2}日\s*-)")


def face(title: str, text: str, when: datetime) -> Face:
    """The face of an article; `when` is when it counts as published."""
    return faces([(title, text, when)])[0]


def faces(articles: Sequence[tuple[str, str, datetime]]) -> list[Face]:
    """The faces of articles of these titles, texts and moments, each as if it were alone."""
    said = [(_less_tail(title), _without_datelines(text[:NUMBERS_IN])) for title, text, _ in articles]
    found: list[Face] = []
    for part in folding.parted([len(title) + len(text) for title, text in said], BLOCK):
        found += _made(_Said.of(said[part]), [when for _, _, when in articles[part]])
    return found


def _less_tail(title: str) -> str:
    return _TITLE_TAIL.sub("", title) if any(mark in title for mark in "-|–—") else title


def _without_datelines(text: str) -> str:
    if "路透" in text:
        text = _REUTERS.sub("", text)
    text = _DATELINE.sub("", text)
    return _SIGNED.sub("", text) if "(" in text or "（" in text else text


@dataclass(frozen=True, slots=True)
class _Said:
    """Titles and texts, folded, one behind the other with a line's end after each; where titles begin, texts begin
    and end, and where the beginnings of the texts end.
    """

    marked: Hashes
    codes: Hashes
    text: str
    titles: Indexes
    bodies: Indexes
    ends: Indexes
    leads: Indexes
    han: list[bool]

    @classmethod
    def of(cls, said: Sequence[tuple[str, str]]) -> _Said:
        """From titles and texts."""
        pieces = [*chain.from_iterable(said), ""]
        marked = folding.marked("\n".join(pieces))
        codes = folding.codes_of(marked)
        edges = folding.bounds([len(piece) + 1 for piece in pieces[:-1]])
        titles, bodies, ends = edges[:-1:2], edges[1::2], edges[2::2] - 1
        han = np.flatnonzero(_is_han(codes))
        none, some, many = (han.searchsorted(np.minimum(bodies + size, ends)) for size in (0, 200, 400))
        is_han = (some > none) & ((many - none) * 4 >= np.minimum(ends - bodies, 400))
        leads = np.minimum(bodies + np.where(is_han, LEAD, LATIN_LEAD), ends)
        return cls(marked, codes, folding.text_of(codes), titles, bodies, ends, leads, is_han.tolist())

    def beginnings(self, which: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Of each character whether it is in a title or the beginning of a text, of these articles."""
        once, none = np.ones_like(self.titles), np.zeros_like(which)
        sizes = (self.bodies - 1 - self.titles, once, self.leads - self.bodies, self.ends + 1 - self.leads)
        return np.repeat(folding.interleaved(which, none, which, none), folding.interleaved(*sizes))

    def owners(self, at: Indexes) -> Indexes:
        """Which article each of these places belongs to."""
        found: Indexes = self.titles.searchsorted(at, side="right") - 1
        return found

    def beginning(self, article: int) -> str:
        """The title, a line's end, and the beginning of the text."""
        return self.text[self.titles[article] : self.leads[article]]


def _made(said: _Said, moments: Sequence[datetime]) -> list[Face]:
    inside = said.beginnings(np.ones(len(moments), dtype=np.bool_))
    words, figures = _Words.of(said, inside), _Figures.of(said)
    pairs = said.codes[:-1] * _P1 + said.codes[1:] * _P2
    both = inside[:-1] & inside[1:]
    weighed = _weighed(_terms(said, pairs, both, words, figures), len(moments))
    weightiest, *shown = zip(*weighed, strict=True)
    names, days = _names(said, pairs, both), _days(said, words, figures)
    found_by = zip(weightiest, names, strict=True)
    seconds = [when.timestamp() for when in moments]
    made = list(map(Face, said.han, seconds, *shown, figures.numbers, figures.title_numbers, days, found_by))
    for one, data in zip(made, packed_all(made), strict=True):
        one.data = data
    return made


def _is_han(codes: Hashes) -> npt.NDArray[np.bool_]:
    return ((codes >= 0x3400) & (codes <= 0x9FFF)) | ((codes >= 0xF900) & (codes <= 0xFAFF))  # noqa: PLR2004 - blocks


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of titles and beginnings, `[a-z][a-z'-]+`: where they begin and end, whose they are, and their hashes."""

    starts: Indexes
    ends: Indexes
    owners: Indexes
    hashes: Hashes

    @classmethod
    def of(cls, said: _Said, inside: npt.NDArray[np.bool_]) -> _Words:
        """All of these."""
        at = np.flatnonzero(((said.marked & folding.OF_WORD) != 0) & inside)
        starts, ends = folding.runs(at)
        if (said.codes.take(starts) < ord("a")).any():
            letters = np.append(at.take(np.flatnonzero(said.codes.take(at) >= ord("a"))), len(said.codes))
            starts = letters.take(letters.searchsorted(starts))
        long = np.flatnonzero(ends - starts > 1)
        starts, ends = starts.take(long), ends.take(long)
        return cls(starts, ends, said.owners(starts), crc32(said.codes, starts, ends, _WORD_MARK))


@dataclass(frozen=True, slots=True)
class _Figures:
    """The numbers of titles and texts, from a digit to the last one in a row of digits, commas and points: where digits stand, and by article the hashes of the numbers
    that may tell one event; of those in titles and beginnings where they begin, and their hashes as terms.
    """

    digits: Indexes
    numbers: list[frozenset[int]]
    title_numbers: list[frozenset[int]]
    starts: list[int]
    hashes: list[int]

    @classmethod
    def of(cls, said: _Said) -> _Figures:
        """All of these."""
        at = folding.with_mark(said.marked, folding.OF_NUMBER)
        ranks = np.flatnonzero((said.marked.take(at) & folding.DIGIT) != 0)
        digits = at.take(ranks)
        starts, ends = folding.runs(digits, ranks)
        owners = said.owners(starts)
        numbers: list[set[int]] = [set() for _ in said.han]
        in_titles: list[set[int]] = [set() for _ in said.han]
        begin, hashes = [], []
        bodies, leads = said.bodies.tolist(), said.leads.tolist()
        for who, start, end in zip(owners.tolist(), starts.tolist(), ends.tolist(), strict=True):
            word = said.text[start:end]
            hashed, bare, figures = _figure(word)
            if figures > 1:
                numbers[who].add(bare)
            if start < leads[who]:
                begin.append(start)
                hashes.append(hashed if end <= leads[who] else _hash(said.text[start : leads[who]].rstrip(",.")))
                if figures and start < bodies[who]:
                    in_titles[who].add(bare)
        return cls(digits, list(map(frozenset, numbers)), list(map(frozenset, in_titles)), begin, hashes)


@lru_cache(maxsize=1 << 14)
def _figure(word: str) -> tuple[int, int, int]:
    """The hash of a number as a term, that of the number without commas, and how many characters that has; 0 for a year,
    which tells no event.
    """
    bare = word.replace(",", "")
    is_year = len(bare) == 4 and bare[:2] in ("19", "20")  # noqa: PLR2004 - digits of a year
    return _hash(word), _hash(bare), 0 if is_year else len(bare)


# --- terms ------------------------------------------------------------------------------------------------------


def _terms(
    said: _Said, pairs: Hashes, both: npt.NDArray[np.bool_], words: _Words, figures: _Figures
) -> npt.NDArray[np.uint64]:
    """The terms of all titles and beginnings, ascending: the article's number, the term's hash, and whether it stands
    in the text.
    """
    at = np.flatnonzero(_han_pairs(said.codes) & both)
    starts = np.concatenate((at, words.starts, np.array(figures.starts, dtype=np.intp)))
    hashes = np.concatenate((_mixed(pairs.take(at)), words.hashes, np.array(figures.hashes, dtype=U32))).astype(U64)
    owners = said.owners(starts)
    in_text = starts >= said.bodies.take(owners)
    every: npt.NDArray[np.uint64] = (owners.astype(U64) << U64(32) | hashes) << U64(1) | in_text.astype(U64)
    every.sort()
    return every


def _han_pairs(codes: Hashes) -> npt.NDArray[np.bool_]:
    han = (codes > 0x33FF) & (codes < 0xFB00)  # noqa: PLR2004 - the blocks of Han characters
    return han[:-1] & han[1:]


def _mixed(pairs: Hashes) -> Hashes:
    hashes = (pairs ^ (pairs >> U32(16))) * U32(0xC2B2AE35)
    hashes ^= hashes >> U32(15)
    return hashes


_Weighed = tuple[tuple[int, ...], Said, Hashes, float, float]
"""The very weightiest terms; of the weightiest and all of the title how often each is said, and these, ascending; the
length of the whole vector, and what the title's terms weigh.
"""


def _weighed(every: npt.NDArray[np.uint64], size: int) -> Iterator[_Weighed]:
    """From the terms of so many articles, as `_terms` gives them."""
    bare = every >> U64(1)
    firsts = np.flatnonzero(np.concatenate(([True], bare[1:] != bare[:-1]))[: len(bare)])
    counts = np.add.reduceat(U32(2) - (every.astype(U32) & U32(1)), firsts) if len(firsts) else firsts.astype(U32)
    # A term of the title stands before the same one of the text.
    titled = (every.take(firsts) & U64(1)) == 0
    bare = bare.take(firsts)
    terms, owners = bare.astype(U32), (bare >> U64(32)).astype(np.intp)
    said: Said = counts << U32(1) | titled
    said = said.astype(np.uint8) if (said < FITS).all() else said
    rarities = rarities_of(terms)
    weights = weights_of(said, rarities)
    norms = np.sqrt(np.bincount(owners, weights * weights, size)).tolist()
    in_titles = np.bincount(owners, rarities * titled, size).tolist()
    sizes = np.bincount(owners, minlength=size)
    begins = np.cumsum(sizes) - sizes
    place = np.arange(len(terms))
    ranks = place - begins.take(owners)
    least = np.maximum(65535 - weights, 0).astype(U64)
    order = (np.sort(owners.astype(U64) << U64(48) | least << U64(32) | place.astype(U64))).astype(U32)
    weightiest = terms.take(order.take(np.flatnonzero(ranks < KEYS))).tolist()
    kept = titled.copy()
    kept[order.take(np.flatnonzero(ranks < MOST_TERMS))] = True
    at = np.flatnonzero(kept)
    terms, said = terms.take(at), said.take(at)
    ends = pairwise(at.searchsorted(np.append(begins, len(kept))).tolist())
    tops = pairwise(folding.bounds(np.minimum(sizes, KEYS).tolist()).tolist())
    for norm, title_weight, (start, end), (first, last) in zip(norms, in_titles, ends, tops, strict=True):
        length = round(norm / FINE, 3) or 1.0
        yield tuple(weightiest[first:last]), said[start:end], terms[start:end], length, round(title_weight, 3)


def terms_of(text: str) -> list[int]:
    """Hashes of the pairs of neighbouring Han characters and of the words and numbers, in no order, with repeats."""
    codes = folding.folded(text)
    folded = folding.text_of(codes)
    pairs = (codes[:-1] * _P1 + codes[1:] * _P2)[_han_pairs(codes)]
    found: list[int] = _mixed(pairs).tolist()
    return found + [_hash(word) for word in _WORD.findall(folded) + _NUMBER.findall(folded)]


@lru_cache(maxsize=1 << 15)
def _hash(word: str) -> int:
    return zlib.crc32(word.encode(), _WORD_MARK)


_WORD_MARK = zlib.crc32(b"w")


# --- days and names ---------------------------------------------------------------------------------------------

_DAYS = (1 << 32) - 1
"""A month has no day 32: 第35日 is the day of a war."""


def _days(said: _Said, words: _Words, figures: _Figures) -> list[int]:
    """The days of the month that the beginnings of the texts name, a bit for each."""
    found = [0] * len(said.han)
    named = figures.digits.take(np.flatnonzero(said.codes.take(figures.digits + 1) == ord("日")))
    owners = said.owners(named)
    within = np.flatnonzero((named >= said.bodies.take(owners)) & (named + 1 < said.leads.take(owners)))
    for who, at in zip(owners.take(within).tolist(), named.take(within).tolist(), strict=True):
        if day := _DAY.search(said.text[max(at - 2, int(said.bodies[who])) : at + 2]):
            found[who] |= 1 << int(day[1])
    for who in _with_months(said, words):
        for month_first, day_first in _DAY_EN.findall(said.text, int(said.bodies[who]), int(said.leads[who])):
            found[who] |= 1 << int(month_first or day_first)
    return [bits & _DAYS for bits in found]


def _with_months(said: _Said, words: _Words) -> set[int]:
    """The articles of which the beginning has a word that begins as a month's name does."""
    likely = np.flatnonzero(_is_month(said.codes, words.starts) & (words.starts >= said.bodies.take(words.owners)))
    places = zip(*(part.take(likely).tolist() for part in (words.owners, words.starts, words.ends)), strict=True)
    return {who for who, start, end in places if said.text[start : min(start + 3, end)] in _MONTHS}


def _is_month(codes: Hashes, starts: Indexes) -> npt.NDArray[np.bool_]:
    """Whether words may begin as a month's name does: by the lower five bits of three letters."""
    first, second, third = (codes.take(starts + at) & U32(31) for at in range(3))
    found: npt.NDArray[np.bool_] = _months().take(first << U32(10) | second << U32(5) | third)
    return found


@cache
def _months() -> npt.NDArray[np.bool_]:
    table = np.zeros(1 << 15, dtype=np.bool_)
    table[[sum((ord(char) & 31) << 10 - 5 * at for at, char in enumerate(month)) for month in _MONTHS]] = True
    return table


def _names(said: _Said, pairs: Hashes, both: npt.NDArray[np.bool_]) -> list[frozenset[int]]:
    """The lines of `names.catalogue` that titles and beginnings name."""
    found: list[set[int]] = [set() for _ in said.han]
    by_pair, met = _han_catalogue()
    at = np.flatnonzero(met.take(pairs >> U32(16)) & both)
    for who, start in zip(said.owners(at).tolist(), at.tolist(), strict=True):
        if said.han[who] and (named := by_pair.get(said.text[start : start + 2])):
            found[who] |= named[0]
            for name, number in named[1]:
                if said.text.startswith(name, start, int(said.leads[who])):
                    found[who].add(number)
    if not all(said.han):
        _add_latin_names(said, found)
    return list(map(frozenset, found))


@cache
def _han_catalogue() -> tuple[dict[str, tuple[set[int], list[tuple[str, int]]]], npt.NDArray[np.bool_]]:
    """Chinese names by their first two characters: of those that are all, and the longer ones; and by the upper bits of
    the hash of the two whether there are any.
    """
    found: dict[str, tuple[set[int], list[tuple[str, int]]]] = {}
    for name, number in catalogue()[0].items():
        whole, longer = found.setdefault(name[:2], (set(), []))
        if name == name[:2]:
            whole.add(number)
        else:
            longer.append((name, number))
    codes = np.array([list(map(ord, pair)) for pair in found], dtype=U32)
    table = np.zeros(1 << 16, dtype=np.bool_)
    table[(codes[:, 0] * _P1 + codes[:, 1] * _P2) >> U32(16)] = True
    return found, table


def _add_latin_names(said: _Said, found: list[set[int]]) -> None:
    words, others, met = _latin_catalogue()
    for who, start, end in _likely_names(said, met):
        word = said.text[start:end]
        if word in words:
            found[who].add(words[word])
        if word in others:
            found[who] |= _phrases(said.beginning(who), others[word])
    for who, its_han in enumerate(said.han):
        if not its_han:
            beginning = said.beginning(who)
            for letter in _SINGLE:
                found[who] |= _phrases(beginning, others[letter])


def _phrases(said: str, names: Sequence[tuple[re.Pattern[str], str, int]]) -> set[int]:
    return {number for pattern, name, number in names if name in said and pattern.search(said)}


def _likely_names(said: _Said, met: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Of articles in Latin letters the words `[a-z]{2,}` that may be names or begin them: whose, from where, to where."""
    codes = said.codes
    at = np.flatnonzero((codes - U32(ord("a")) < 26) & said.beginnings(~np.array(said.han)))  # noqa: PLR2004 - letters
    starts, ends = folding.runs(at)
    keys = _word_key(codes.take(starts), codes.take(starts + 1), codes.take(ends - 1), (ends - starts).astype(U32))
    likely = np.flatnonzero(met.take(keys) & (ends - starts > 1))
    starts, ends = starts.take(likely), ends.take(likely)
    return zip(said.owners(starts).tolist(), starts.tolist(), ends.tolist(), strict=True)


def _word_key(first: Hashes, second: Hashes, last: Hashes, length: Hashes) -> Hashes:
    keys: Hashes = (first << U32(18) ^ second << U32(12) ^ last << U32(6) ^ length) * U32(0x9E3779B1) >> U32(16)
    return keys


@cache
def _latin_catalogue() -> tuple[
    dict[str, int], dict[str, list[tuple[re.Pattern[str], str, int]]], npt.NDArray[np.bool_]
]:
    """English names of one plain word; the others by their first letters; by `_word_key` whether there are any."""
    words: dict[str, int] = {}
    others: dict[str, list[tuple[re.Pattern[str], str, int]]] = {}
    for name, number in catalogue()[1].items():
        if name.isalpha():
            words[name] = number
        else:
            pattern = re.compile(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])")
            others.setdefault(re.match("[a-z]+", name).group(), []).append((pattern, name, number))  # type: ignore[union-attr]
    said = [word for word in (*words, *others) if len(word) > 1]
    letters = [np.array([ord(word[at]) for word in said], dtype=U32) for at in (0, 1, -1)]
    table = np.zeros(1 << 16, dtype=np.bool_)
    table[_word_key(letters[0], letters[1], letters[2], np.array(list(map(len, said)), dtype=U32))] = True
    return words, others, table


_SINGLE = ("u", "g")
"""What names such as u.s. and g20 begin with: single letters are no words here."""
