"""The same story: how strongly two articles speak of one event, from their titles and beginnings.

    mine = face(title, text, when)        what is kept of an article
    attraction(mine, theirs)              above 0: more likely one event than not; None: nothing to go by

The numbers in `_WEIGHTS` come from a logistic regression over labelled pairs of real articles
(`benchmarks/duplicates.py --fit`): one event is told by what stands in title and lead, by names and other rare terms,
by the same numbers and days, and by closeness in time; other numbers in the same surroundings tell of another day's
bulletin. How rare a term is, is fixed (`frequencies.bin`, made by `benchmarks/frequencies.py`), never counted in the
archive, so that the answer for two articles depends on these two alone.

Across languages the terms differ, and only what both languages name is compared: people, places, bodies and subjects
from `names`, numbers and days.
"""

from __future__ import annotations

import math
import re
import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import accumulate, combinations, islice

import numpy as np
import numpy.typing as npt

from aggregator.dedup.names import catalogue
from aggregator.text import fold

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
RARE = 4.5
"""Terms found in fewer than one of ninety articles."""

_U32 = np.uint32
Hashes = npt.NDArray[np.uint32]
_WORD = re.compile(r"[a-z][a-z'-]+|\d[\d,.]*\d|\d")
_HAN_RUN = re.compile("[\u3400-\u9fff\uf900-\ufaff]+")
_DAY = re.compile(r"(?<!\d)([0-3]?\d)日")
_DAY_EN = re.compile(
    r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*\.? ([0-3]?\d)\b"
    r"|\b([0-3]?\d)(?:st|nd|rd|th)? (?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)"
)
# `- outlet` behind a title, and the dateline before a text, are the house's and not the event's.
_TITLE_TAIL = re.compile(r"\s+[–—-]\s+[^–—-]{2,20}(?:\s+-\s+\w{2,8})?$|\s*\|\s*[^|]{2,24}$")
_DATELINE = re.compile(
    r"\A(?:[\d/:TZ. -]{8,40}\n|[^\n]{0,20}中文网\s*\n|\d+\s*(?:分钟|小时)前\n)+|[(（][^()（）\n]{0,24}(?:记者|記者|社|讯|訊|中文网)[^()（）\n]{0,24}[)）]"
    r"|(?m:^路透[^\n]{0,16}?\d{1,2}月\d{1,2}日\s*-)"
)


@dataclass(frozen=True, slots=True)
class Face:
    """What is kept of an article to compare it.

    `terms` are hashes with their weights in title and beginning, the weightiest first, `norm` the length of that vector; `title` the
    hashes of the title's terms; `days` a bit for each day of the month named.
    """

    han: bool
    when: datetime
    terms: dict[int, float]
    norm: float
    title: frozenset[int]
    title_weight: float
    numbers: frozenset[int]
    title_numbers: frozenset[int]
    days: int
    names: frozenset[int]

    def keys(self) -> tuple[int, ...]:
        """Signed hashes to be found under: the weightiest terms, and pairs of names for articles in the other language."""
        return (*self._term_keys(), *self._name_keys(han=self.han))

    def seeks(self) -> tuple[int, ...]:
        """Signed hashes under which articles that may be on the same event are found."""
        return (*self._term_keys(), *self._name_keys(han=not self.han))

    def _term_keys(self) -> list[int]:
        return [term - (1 << 31) for term in islice(self.terms, KEYS)]

    def _name_keys(self, *, han: bool) -> list[int]:
        weights = catalogue()[2]
        names = sorted(
            (name for name in self.names if weights[name] >= TELLING), key=lambda name: (-weights[name], name)
        )
        return [
            zlib.crc32(b"%d %d %d" % (han, min(pair), max(pair))) - (1 << 31)
            for pair in combinations(names[:NAMES_PAIRED], 2)
        ]

    def packed(self) -> bytes:
        """About 1 KB; `when` is not in it."""
        head = [
            self.han,
            round(self.norm * 1000),
            self.days,
            len(self.title),
            len(self.numbers),
            len(self.title_numbers),
            len(self.names),
        ]
        words = [*head, *self.title, *self.numbers, *self.title_numbers, *self.names, *self.terms]
        weights = array("H", [min(round(weight * 1000), 65535) for weight in self.terms.values()])
        return array("I", words).tobytes() + weights.tobytes()


def unpacked(data: bytes, when: datetime) -> Face:
    """The face from `packed`."""
    head = array("I", data[:28])
    ends = list(accumulate(head[3:7]))
    size = (len(data) - 28 - 4 * ends[-1]) // 6
    words = array("I", data[28 : len(data) - 2 * size])
    weights = array("H", data[len(data) - 2 * size :])
    return Face(
        bool(head[0]),
        when,
        {term: weight / 1000 for term, weight in zip(words[ends[3] :], weights, strict=True)},
        head[1] / 1000,
        title := frozenset(words[: ends[0]]),
        _weight(title),
        frozenset(words[ends[0] : ends[1]]),
        frozenset(words[ends[1] : ends[2]]),
        head[2],
        frozenset(words[ends[2] : ends[3]]),
    )


@cache
def _rarities() -> npt.NDArray[np.float64]:
    """The logarithm of one in how many articles holds a term, by the upper bits of its hash; 7.6 for unseen ones."""
    data = zlib.decompress((files("aggregator.dedup") / "frequencies.bin").read_bytes())
    return np.frombuffer(data, dtype=np.uint8).astype(np.float64) / 32


@cache
def _rarity() -> list[float]:
    rarities: list[float] = _rarities().tolist()
    return rarities


SHIFT = 14


def face(title: str, text: str, when: datetime) -> Face:
    """The face of an article; `when` is when it counts as published."""
    title = fold(_TITLE_TAIL.sub("", title))
    text = _DATELINE.sub("", text[:NUMBERS_IN])
    han = len(_HAN_RUN.findall(text[:200])) > 0 and sum(map(len, _HAN_RUN.findall(text[:400]))) * 4 >= len(text[:400])
    lead = fold(text[: LEAD if han else LATIN_LEAD])
    in_title, in_lead = terms_of(title), terms_of(lead)
    terms, weights, norm = _weighed(in_title, in_lead)
    return Face(
        han,
        when,
        dict(zip(terms.tolist(), weights.tolist(), strict=True)),
        norm,
        frozenset(in_title),
        _weight(frozenset(in_title)),
        frozenset(_numbers(f"{title}\n{text[:NUMBERS_IN]}")),
        frozenset(_numbers(title, least=1)),
        _days(lead),
        frozenset(_names(f"{title}\n{lead}", han=han)),
    )


def _weighed(in_title: list[int], in_lead: list[int]) -> tuple[Hashes, npt.NDArray[np.float64], float]:
    """The weightiest terms, the weightiest first, their weights, and the length of the whole vector."""
    every = np.array([*in_title, *in_lead], dtype=_U32)
    if not len(every):
        return every, np.zeros(0), 1.0
    said = np.ones(len(every))
    said[: len(in_title)] = 2.0
    terms, where = np.unique(every, return_inverse=True)
    counts = np.bincount(where, weights=said)
    weights = np.round((1 + np.log(counts)) * _rarities()[terms >> _U32(SHIFT)], 3)
    norm = round(float(np.sqrt(weights @ weights)), 3)
    order = np.argsort(-weights, kind="stable")[:MOST_TERMS]
    return terms[order], weights[order], norm or 1.0


def terms_of(folded: str) -> list[int]:
    """Hashes of the pairs of neighbouring Han characters and of the words and numbers, in no order, with repeats."""
    found = [_hash(word) for word in _WORD.findall(folded)]
    codes = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), dtype=_U32)
    han = (codes > 0x33FF) & (codes < 0xFB00)  # noqa: PLR2004 - the blocks of Han characters
    pairs = han[:-1] & han[1:]
    hashes = codes[:-1] * _U32(0x9E3779B1) + codes[1:] * _U32(0x85EBCA77)
    hashes = hashes[pairs]
    hashes = (hashes ^ (hashes >> _U32(16))) * _U32(0xC2B2AE35)
    hashes = hashes ^ (hashes >> _U32(15))
    pairs_found: list[int] = hashes.tolist()
    return found + pairs_found


def _hash(word: str) -> int:
    return zlib.crc32(b"w" + word.encode())


def _numbers(folded: str, least: int = 2) -> Iterable[int]:
    """Hashes of the numbers that may tell one event: two digits and more, no years."""
    for word in _WORD.findall(folded):
        if word[0].isdigit():
            bare = word.replace(",", "")
            if len(bare) >= least and not (len(bare) == 4 and bare[:2] in ("19", "20")):  # noqa: PLR2004 - a year
                yield _hash(bare)


def _days(folded: str) -> int:
    bits = 0
    for day in _DAY.findall(folded):
        bits |= 1 << int(day)
    for month_first, day_first in _DAY_EN.findall(folded):
        bits |= 1 << int(month_first or day_first)
    return bits


@cache
def _names_by_beginning() -> dict[str, tuple[tuple[str, int], ...]]:
    """Chinese names by their first two characters, the longest first."""
    found: dict[str, list[tuple[str, int]]] = {}
    for name, number in sorted(catalogue()[0].items(), key=lambda item: -len(item[0])):
        found.setdefault(name[:2], []).append((name, number))
    return {beginning: tuple(names) for beginning, names in found.items()}


@cache
def _latin_names() -> re.Pattern[str]:
    words = sorted(catalogue()[1], key=len, reverse=True)
    return re.compile(r"\b(?:" + "|".join(map(re.escape, words)) + r")(?![a-z])")


def _names(folded: str, *, han: bool) -> set[int]:
    if not han:
        latin = catalogue()[1]
        return {latin[name] for name in _latin_names().findall(folded)}
    beginnings = _names_by_beginning()
    return {
        number
        for at in range(len(folded) - 1)
        for name, number in beginnings.get(folded[at : at + 2], ())
        if folded.startswith(name, at)
    }


# --- two articles -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Weights:
    """The regression's coefficients; `bias` makes 0 the even odds."""

    lead: float
    title: float
    title_least: float
    rare: float
    numbers: float
    hours: float
    conflict: float
    title_numbers: float
    days: float
    bias: float


_WEIGHTS = Weights(1.91, 0.38, 2.21, 0.49, 0.44, -1.27, -2.73, 1.64, 0.15, -1.37)


def attraction(a: Face, b: Face, *, conflict: int = 0) -> float | None:
    """How much more likely than not, in log odds, the two speak of one event; None where nothing is shared.

    `conflict` counts the surroundings that hold other numbers in the two texts (`reprint.conflicts`).
    """
    if abs(a.when - b.when) > WINDOW:
        return None
    if a.han != b.han:
        return across(a, b)
    found = features(a, b, conflict=conflict)
    if found is None:
        return None
    w = _WEIGHTS
    weights = (w.lead, w.title, w.title_least, w.rare, w.numbers, w.hours, w.conflict, w.title_numbers, w.days)
    return w.bias + sum(weight * feature for weight, feature in zip(weights, found, strict=True))


def features(a: Face, b: Face, *, conflict: int = 0) -> tuple[float, ...] | None:
    """What the regression sees, in the order of `Weights`; None where no rare term is shared."""
    shared = a.terms.keys() & b.terms.keys()
    if not shared:
        return None
    mine, theirs, rarity = a.terms, b.terms, _rarity()
    product = sum([mine[term] * theirs[term] for term in shared])
    rare = sum([value for term in shared if (value := rarity[term >> SHIFT]) > RARE])
    one, other = _covered(a, b), _covered(b, a)
    return (
        product / (a.norm * b.norm),
        (one + other) / 2,
        min(one, other),
        min(rare / 30, 2.0),
        len(a.numbers & b.numbers) / math.sqrt((len(a.numbers) + 1) * (len(b.numbers) + 1)),
        min(abs((a.when - b.when).total_seconds()) / 86400, 3.0),
        min(conflict, 6) / 6,
        _agree(a.title_numbers, b.title_numbers),
        float(bool(a.days & b.days)) * 2 - 1 if a.days and b.days else 0.0,
    )


def _covered(a: Face, b: Face) -> float:
    """The share of a's title, by weight, that b says in title or beginning."""
    if not a.title_weight:
        return 0.0
    return _weight((a.title & b.terms.keys()) | (a.title & b.title)) / a.title_weight


def _weight(terms: Iterable[int]) -> float:
    rarity = _rarity()
    return sum(sorted([rarity[term >> SHIFT] for term in terms]))


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
