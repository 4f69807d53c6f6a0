"""The same story: how strongly two articles speak of one event, from their titles and beginnings.

    mine = face(title, text, when)        what is kept of an article
    attraction(mine, theirs)              above 0: more likely one event than not; None: nothing to go by

The numbers in `_WEIGHTS` come from a logistic regression over labelled pairs of real articles, with random pairs and
synthetic articles of one vocabulary as further negatives: one event is told by what stands in title and lead, rare
terms before common ones, by the same numbers and days, and by closeness in time; other numbers in the same
surroundings tell of another day's bulletin. How rare a term is, is fixed (`frequencies.bin`, made by `benchmarks/frequencies.py`), never counted in the
archive, so that the answer for two articles depends on these two alone.

Across languages the terms differ, and only what both languages name is compared: people, places, bodies and subjects
from `names`, numbers and days.
"""

from __future__ import annotations

import math
import re
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from itertools import accumulate, combinations

import numpy as np
import numpy.typing as npt

from aggregator.dedup import folding
from aggregator.dedup.folding import U32, Hashes
from aggregator.dedup.names import catalogue
from aggregator.dedup.shared import shared

WINDOW = timedelta(hours=84)
"""Articles further apart in time are never compared; a story moves on as articles join it."""
LEAD, LATIN_LEAD = 300, 800
"""Characters of the text that count as its beginning."""
NUMBERS_IN = 2000
"""Characters of the text whose numbers count."""
MOST_TERMS = 220
KEYS = 20
"""Terms of an article by which others find it: its weightiest."""
NAMES_PAIRED, TELLING = 4, 2.5
"""Names whose pairs are keys, and the least weight of such a name."""
VERSION = 1
"""Of what `packed` gives; goes up when faces are made in another way."""
FINE = 500
"""Weights are kept in parts of so many, so that a face read again compares as when it was new."""

Floats = npt.NDArray[np.float64]
# Each begins with one set of characters: the search skips all others, which halves its time.
_WORD = re.compile(r"[a-z][a-z'-]+")
_NUMBER = re.compile(r"\d(?:[\d,.]*\d)?")
_DAY = re.compile(r"(?<!\d)([0-3]?\d)日")
_MONTHS = frozenset(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)"
_DAY_EN = re.compile(rf"\b{_MONTH}[a-z]*\.? ([0-3]?\d)\b|\b([0-3]?\d)(?:st|nd|rd|th)? {_MONTH}")
# `- outlet` behind a title, and the dateline before a text, are the house's and not the event's.
_TITLE_TAIL = re.compile(r"\s+[–—-]\s+[^–—-]{2,20}(?:\s+-\s+\w{2,8})?$|\s*\|\s*[^|]{2,24}$")
_DATELINE = re.compile(r"\A(?:[\d/:TZ. -]{8,40}\n|[^\n]{0,20}中文网\s*\n|\d+\s*(?:分钟|小时)前\n)+")
_SIGNED = re.compile(r"[(（][^()（）\n]{0,24}(?:记者|記者|社|讯|訊|中文网)[^()（）\n]{0,24}[)）]")
_REUTERS = re.compile(r"(?m:^路透[^\n]{0,16}?\d{1,2}月\d{1,2}日\s*-)")


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """What is kept of an article to compare it.

    `terms` are the hashes of what title and beginning say, ascending; `marks` holds for each its weight there, `FINE`
    parts to one, doubled, and one more where it stands in the title. `norm` is the length of the vector of weights,
    `title_weight` the sum of how rare the title's terms are. `weightiest` are the terms to be found by; `days` has a
    bit for each day of the month named.
    """

    han: bool
    when: datetime
    terms: Hashes
    marks: npt.NDArray[np.uint16]
    norm: float
    title_weight: float
    weightiest: tuple[int, ...]
    numbers: frozenset[int]
    title_numbers: frozenset[int]
    days: int
    names: frozenset[int]

    def term_keys(self) -> list[int]:
        """Signed hashes of the weightiest terms, under which articles find each other."""
        return [term - (1 << 31) for term in self.weightiest]

    def name_keys(self) -> list[tuple[int, int]]:
        """Signed hashes of pairs of names: under the first this article stands, under the second those in the other
        kind of script.
        """
        weights = catalogue()[2]
        names = sorted(
            (name for name in self.names if weights[name] >= TELLING), key=lambda name: (-weights[name], name)
        )
        return [
            (_pair_key(pair, han=self.han), _pair_key(pair, han=not self.han))
            for pair in combinations(names[:NAMES_PAIRED], 2)
        ]

    def keys(self) -> list[int]:
        """All that this article stands under."""
        return [*self.term_keys(), *(own for own, _ in self.name_keys())]

    def packed(self) -> bytes:
        """About 1 KB; `when` is not in it."""
        parts = (self.weightiest, self.numbers, self.title_numbers, self.names)
        words = [
            self.han | VERSION << 8,
            round(self.norm * 1000),
            round(self.title_weight * 1000),
            self.days,
            *map(len, parts),
        ]
        for part in parts:
            words += part
        return array("I", words).tobytes() + self.terms.tobytes() + self.marks.tobytes()


def _pair_key(pair: tuple[int, ...], *, han: bool) -> int:
    return zlib.crc32(b"%d %d %d" % (han, min(pair), max(pair))) - (1 << 31)


def is_current(data: bytes) -> bool:
    """Whether this is what `packed` gives now; earlier versions had another heading."""
    return data[1] == VERSION


_HEAD = 32


@lru_cache(maxsize=8192)
def unpacked(data: bytes, when: datetime) -> Face:
    """The face from `packed`. The last ones are kept: the same articles are compared with many that come."""
    han, norm, title_weight, days, *sizes = array("I", data[:_HEAD])
    ends = list(accumulate(sizes))
    start = _HEAD + 4 * ends[-1]
    words = array("I", data[_HEAD:start])
    size = (len(data) - start) // 6
    return Face(
        bool(han & 1),
        when,
        np.frombuffer(data, U32, size, start),
        np.frombuffer(data, np.uint16, size, start + 4 * size),
        norm / 1000,
        title_weight / 1000,
        tuple(words[: ends[0]]),
        frozenset(words[ends[0] : ends[1]]),
        frozenset(words[ends[1] : ends[2]]),
        days,
        frozenset(words[ends[2] : ends[3]]),
    )


@cache
def _rarities() -> npt.NDArray[np.float64]:
    """The logarithm of one in how many articles holds a term, by the upper bits of its hash; 7.6 for unseen ones."""
    data = zlib.decompress((files("aggregator.dedup") / "frequencies.bin").read_bytes())
    return np.frombuffer(data, dtype=np.uint8).astype(np.float64) / 32


SHIFT = 14


def face(title: str, text: str, when: datetime) -> Face:
    """The face of an article; `when` is when it counts as published."""
    heading = folding.folded(_TITLE_TAIL.sub("", title))
    codes = folding.folded(_without_datelines(text[:NUMBERS_IN]))
    start = _is_han(codes[:400])
    han = bool(start[:200].any() and np.count_nonzero(start) * 4 >= len(start))
    beginning = codes[: LEAD if han else LATIN_LEAD]
    title, lead = folding.text_of(heading), folding.text_of(beginning)
    in_title, in_lead = _WORD.findall(title), _WORD.findall(lead)
    terms, marks, norm, title_weight, weightiest = _weighed(
        _terms(heading, in_title + _NUMBER.findall(title)), _terms(beginning, in_lead + _NUMBER.findall(lead))
    )
    return Face(
        han,
        when,
        terms,
        marks,
        norm,
        title_weight,
        weightiest,
        frozenset(_numbers(f"{title}\n{folding.text_of(codes)}")),
        frozenset(_numbers(title, least=1)),
        _days(lead, in_lead),
        frozenset(
            _han_names(heading, title, beginning, lead)
            if han
            else _latin_names(f"{title}\n{lead}", in_title + in_lead)
        ),
    )


def _without_datelines(text: str) -> str:
    if "路透" in text:
        text = _REUTERS.sub("", text)
    return _SIGNED.sub("", _DATELINE.sub("", text))


def _is_han(codes: Hashes) -> npt.NDArray[np.bool_]:
    return ((codes >= 0x3400) & (codes <= 0x9FFF)) | ((codes >= 0xF900) & (codes <= 0xFAFF))  # noqa: PLR2004 - blocks


def _weighed(
    in_title: Hashes, in_lead: Hashes
) -> tuple[Hashes, npt.NDArray[np.uint16], float, float, tuple[int, ...]]:
    """The weightiest terms and all of the title, ascending, their marks, the length of the whole vector, what the
    title's terms weigh, and the very weightiest.
    """
    every = np.concatenate((in_title, in_lead))
    if not len(every):
        return every, np.zeros(0, dtype=np.uint16), 1.0, 0.0, ()
    order = every.argsort(kind="stable")
    every = every[order]
    firsts = np.flatnonzero(np.concatenate(([True], every[1:] != every[:-1])))
    terms = every[firsts]
    # The sort is stable: a term of the title stands before the same one of the text.
    titled = order[firsts] < len(in_title)
    counts = np.add.reduceat(np.where(order < len(in_title), 2.0, 1.0), firsts)
    rarities = _rarities()[terms >> U32(SHIFT)]
    weights = np.rint((1 + np.log(counts)) * rarities * FINE)
    norm = round(float(np.sqrt(weights @ weights)) / FINE, 3)
    order = np.argsort(-weights, kind="stable")
    weightiest = tuple(terms[order[:KEYS]].tolist())
    marks = weights.astype(np.uint16) << 1 | titled
    if len(terms) > MOST_TERMS:
        kept = titled.copy()
        kept[order[:MOST_TERMS]] = True
        terms, marks = terms[kept], marks[kept]
    return terms, marks, norm or 1.0, round(float(rarities @ titled), 3), weightiest


def terms_of(text: str) -> list[int]:
    """Hashes of the pairs of neighbouring Han characters and of the words and numbers, in no order, with repeats."""
    codes = folding.folded(text)
    folded = folding.text_of(codes)
    found: list[int] = _terms(codes, _WORD.findall(folded) + _NUMBER.findall(folded)).tolist()
    return found


def _terms(codes: Hashes, said: Sequence[str]) -> Hashes:
    words = np.array([_hash(word) for word in said], dtype=U32)
    han = (codes > 0x33FF) & (codes < 0xFB00)  # noqa: PLR2004 - the blocks of Han characters
    at = np.flatnonzero(han[:-1] & han[1:])
    if not len(at):
        return words
    hashes = codes[at] * U32(0x9E3779B1) + codes[at + 1] * U32(0x85EBCA77)
    hashes = (hashes ^ (hashes >> U32(16))) * U32(0xC2B2AE35)
    return np.concatenate((words, hashes ^ (hashes >> U32(15))))


@lru_cache(maxsize=1 << 16)
def _hash(word: str) -> int:
    return zlib.crc32(b"w" + word.encode())


def _numbers(folded: str, least: int = 2) -> Iterator[int]:
    """Hashes of the numbers that may tell one event: two digits and more, no years."""
    for word in _NUMBER.findall(folded):
        bare = word.replace(",", "")
        if len(bare) >= least and not (len(bare) == 4 and bare[:2] in ("19", "20")):  # noqa: PLR2004 - a year
            yield _hash(bare)


_DAYS = (1 << 32) - 1
"""A month has no day 32: 第35日 is the day of a war."""


def _days(folded: str, words: Sequence[str]) -> int:
    bits = 0
    if "日" in folded:
        for day in _DAY.findall(folded):
            bits |= 1 << int(day)
    if _MONTHS.isdisjoint([word[:3] for word in words]):
        return bits & _DAYS
    for month_first, day_first in _DAY_EN.findall(folded):
        bits |= 1 << int(month_first or day_first)
    return bits & _DAYS


@cache
def _names_by_beginning() -> tuple[npt.NDArray[np.uint64], dict[int, list[tuple[str, int]]]]:
    """Chinese names by their first two characters, and these in ascending order."""
    found: dict[int, list[tuple[str, int]]] = {}
    for name, number in catalogue()[0].items():
        found.setdefault(ord(name[0]) << 32 | ord(name[1]), []).append((name, number))
    return np.array(sorted(found), dtype=np.uint64), found


def _han_names(heading: Hashes, title: str, beginning: Hashes, lead: str) -> set[int]:
    beginnings, names = _names_by_beginning()
    said = f"{title}\n{lead}"
    codes = np.concatenate((heading, [U32(ord("\n"))], beginning)).astype(np.uint64)
    pairs = codes[:-1] << np.uint64(32) | codes[1:]
    at = np.searchsorted(beginnings, pairs)
    at[at == len(beginnings)] = 0
    met = set(pairs[beginnings[at] == pairs].tolist())
    return {number for pair in met for name, number in names[pair] if name in said}


@cache
def _latin_catalogue() -> tuple[dict[str, int], dict[str, list[tuple[re.Pattern[str], str, int]]]]:
    """English names of one plain word, and the others by their first letters."""
    words: dict[str, int] = {}
    others: dict[str, list[tuple[re.Pattern[str], str, int]]] = {}
    for name, number in catalogue()[1].items():
        if name.isalpha():
            words[name] = number
        else:
            pattern = re.compile(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])")
            others.setdefault(re.match("[a-z]+", name).group(), []).append((pattern, name, number))  # type: ignore[union-attr]
    return words, others


def _latin_names(folded: str, said: Sequence[str]) -> set[int]:
    words, others = _latin_catalogue()
    plain = set(" ".join(said).replace("'", " ").replace("-", " ").split())
    found = {words[word] for word in plain & words.keys()}
    for first in others.keys() & {*plain, *_SINGLE}:
        found.update(number for pattern, name, number in others[first] if name in folded and pattern.search(folded))
    return found


_SINGLE = ("u", "g")
"""What names such as u.s. and g20 begin with: single letters are no words here."""


# --- two articles -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Weights:
    """The regression's coefficients; `bias` makes 0 the even odds."""

    lead: float
    title: float
    title_least: float
    numbers: float
    hours: float
    conflict: float
    title_numbers: float
    days: float
    bias: float


_WEIGHTS = Weights(2.20, 2.23, 1.93, 2.54, -0.74, -1.20, 1.24, 0.31, -2.0)


def attraction(a: Face, b: Face, *, conflict: int = 0) -> float | None:
    """How much more likely than not, in log odds, the two speak of one event; None where nothing is shared.

    `conflict` counts the surroundings that hold other numbers in the two texts (`reprint.conflicts`).
    """
    found = attractions(a, [b])[0]
    return found if found is None else found + conflicting(a, b, conflict)


def conflicting(a: Face, b: Face, conflict: int) -> float:
    """What so many conflicting numbers take from the attraction."""
    return _WEIGHTS.conflict * min(conflict, 6) / 6 if a.han == b.han else 0.0


def attractions(one: Face, others: Sequence[Face], least: float = -math.inf) -> list[float | None]:
    """The attraction of one article to each of these, all at once; None where nothing is shared, and where it
    certainly is not above `least`.
    """
    found: list[float | None] = [None] * len(others)
    near = [at for at, other in enumerate(others) if abs(one.when - other.when) <= WINDOW]
    alike = [at for at in near if one.han == others[at].han]
    for at in near:
        if one.han != others[at].han:
            found[at] = across(one, others[at])
    if not alike or not len(one.terms):
        return found
    common, texts = _in_common(one, [others[at] for at in alike])
    most = abs(_WEIGHTS.numbers) + abs(_WEIGHTS.title_numbers) + abs(_WEIGHTS.days)
    for at, number, said in zip(alike, common, texts, strict=True):
        if number and said + most > least:
            found[at] = said + _figures(one, others[at])
    return found


def _in_common(one: Face, others: Sequence[Face]) -> tuple[list[int], list[float]]:
    """For each of the others how many terms it shares, and what the shared terms are worth."""
    w, size = _WEIGHTS, len(others)
    within, who, at = shared(one.terms, [other.terms for other in others])
    marks, mine = np.concatenate([other.marks for other in others])[within], one.marks[at]
    rarities = _rarities()[one.terms[at] >> U32(SHIFT)]
    product = np.bincount(who, (mine >> 1) * ((marks >> 1) / FINE**2), size)
    my_title = np.bincount(who, rarities * (mine & 1), size) / (one.title_weight or 1.0)
    titles = np.array([other.title_weight or 1.0 for other in others])
    their_title = np.bincount(who, rarities * (marks & 1), size) / titles
    norms = np.array([other.norm for other in others])
    worth = w.bias + w.lead * product / (one.norm * norms) + w.title * (my_title + their_title) / 2
    worth += w.title_least * np.minimum(my_title, their_title)
    return np.bincount(who, minlength=size).tolist(), worth.tolist()


def _figures(a: Face, b: Face) -> float:
    """What numbers, days and time are worth."""
    w = _WEIGHTS
    numbers = len(a.numbers & b.numbers) / math.sqrt((len(a.numbers) + 1) * (len(b.numbers) + 1))
    days = min(abs((a.when - b.when).total_seconds()) / 86400, 3.0)
    same_days = float(bool(a.days & b.days)) * 2 - 1 if a.days and b.days else 0.0
    agree = _agree(a.title_numbers, b.title_numbers)
    return w.numbers * numbers + w.hours * days + w.title_numbers * agree + w.days * same_days


def _agree(a: frozenset[int], b: frozenset[int]) -> float:
    return (1.0 if a & b else -1.0) if a and b else 0.0


def across(a: Face, b: Face) -> float | None:
    """Attraction of a Chinese and an English article: shared names and subjects, numbers, days, closeness in time."""
    weights = catalogue()[2]
    shared = a.names & b.names
    weighty = [weights[name] for name in shared if weights[name] >= TELLING]
    if len(weighty) < 2:  # noqa: PLR2004 - one name is no event
        return None
    mass = sum(weights[name] ** 2 for name in shared)
    whole = math.sqrt(sum(weights[n] ** 2 for n in a.names) * sum(weights[n] ** 2 for n in b.names))
    numbers = len(a.numbers & b.numbers)
    days = float(bool(a.days & b.days)) * 2 - 1 if a.days and b.days else 0.0
    hours = abs((a.when - b.when).total_seconds()) / 3600
    return -4.2 + 5.0 * mass / whole + 0.06 * min(mass, 60) + 0.7 * min(numbers, 3) + 0.4 * days - 0.02 * hours
