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
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from aggregator.dedup.face import (
    FINE,
    SHIFT,
    TELLING,
    Face,
    Said,
    is_current,
    rarities_of,
    remembered,
    unpacked,
    unpacked_all,
    weights_of,
)
from aggregator.dedup.faces import face, faces, terms_of
from aggregator.dedup.folding import Indexes
from aggregator.dedup.names import catalogue
from aggregator.dedup.shared import shared

__all__ = [
    "SHIFT", "WINDOW", "Face", "across", "attraction", "attractions", "catalogue", "conflicting", "face", "faces", "is_current",
    "remembered", "terms_of", "unpacked", "unpacked_all",
]  # fmt: skip

Scores = npt.NDArray[np.float64]
WINDOW = timedelta(hours=84)
"""Articles further apart in time are never compared; a story moves on as articles join it."""
_BLOCK = 256
"""Pairs that are compared at once: what is made of them on the way stays near the processor."""

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
    found = float(attractions([a, b], np.array([[0], [1]]))[0])
    return None if math.isnan(found) else found + conflicting(a, b, conflict)


def conflicting(a: Face, b: Face, conflict: int) -> float:
    """What so many conflicting numbers take from the attraction."""
    return _WEIGHTS.conflict * min(conflict, 6) / 6 if a.han == b.han else 0.0


def attractions(faces: Sequence[Face], pairs: Indexes) -> Scores:
    """The attraction of the two of each of these pairs, all at once; not a number where nothing is shared. `pairs` has a
    row for the first ones, places among the faces, and a row for the others. It takes less time where pairs of the same
    first one follow each other.
    """
    found = np.full(pairs.shape[1], np.nan)
    columns = _Columns.of(faces)
    at, han = columns.at.take(pairs), columns.han.take(pairs)
    near, alike = np.abs(at[0] - at[1]) <= WINDOW.total_seconds(), han[0] == han[1]
    apart = np.flatnonzero(near & ~alike)
    for number, one, other in zip(apart.tolist(), *pairs.take(apart, axis=1).tolist(), strict=True):
        score = across(faces[one], faces[other])
        found[number] = np.nan if score is None else score
    wanted = np.flatnonzero(near & alike)
    for start in range(0, len(wanted), _BLOCK):
        block = wanted[start : start + _BLOCK]
        found[block] = _attractions(faces, columns, pairs.take(block, axis=1))
    return found


@dataclass(frozen=True, slots=True)
class _Columns:
    """What a comparison asks of faces, of each in its place."""

    at: npt.NDArray[np.float64]
    han: npt.NDArray[np.bool_]
    norm: npt.NDArray[np.float64]
    title_weight: npt.NDArray[np.float64]
    days: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    title_numbers: npt.NDArray[np.int64]

    @classmethod
    def of(cls, faces: Sequence[Face]) -> _Columns:
        """Of all of these."""
        return cls(
            np.array([one.at for one in faces], dtype=np.float64),
            np.array([one.han for one in faces]),
            np.array([one.norm for one in faces]),
            np.array([one.title_weight or 1.0 for one in faces]),
            np.array([one.days for one in faces]),
            np.array([len(one.numbers) for one in faces]),
            np.array([len(one.title_numbers) for one in faces]),
        )


def _attractions(faces: Sequence[Face], columns: _Columns, both: Indexes) -> Scores:
    """The same for pairs of one script that are near in time."""
    counts, mine, theirs = _in_common(faces, both)
    w, size = _WEIGHTS, both.shape[1]
    who = np.repeat(np.arange(size), counts)
    product = np.bincount(who, mine.weights * (theirs.weights / FINE**2), size)
    norms, titles = columns.norm.take(both), columns.title_weight.take(both)
    my_title = np.bincount(who, mine.in_title, size) / titles[0]
    their_title = np.bincount(who, theirs.in_title, size) / titles[1]
    worth = w.bias + w.lead * product / (norms[0] * norms[1]) + w.title * (my_title + their_title) / 2
    worth += w.title_least * np.minimum(my_title, their_title)
    return np.where(counts > 0, worth + _figures(faces, columns, both), np.nan)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What terms weigh, and how rare they are where they stand in the title."""

    weights: npt.NDArray[np.float64]
    in_title: npt.NDArray[np.float64]

    @classmethod
    def of(cls, said: Said, rarities: npt.NDArray[np.float64]) -> _Shared:
        """Of terms that are said so often, as it stands in `Face.said`, and so rare."""
        return cls(weights_of(said, rarities), rarities * (said & 1))

    def take(self, at: Indexes) -> _Shared:
        """Of the terms in these places."""
        return _Shared(self.weights.take(at), self.in_title.take(at))


def _in_common(faces: Sequence[Face], both: Indexes) -> tuple[Indexes, _Shared, _Shared]:
    """Of pairs how many terms they share, and these, one behind the other, as the first and as the second says them."""
    firsts, others = both
    cuts = [0, *((firsts[1:] != firsts[:-1]).nonzero()[0] + 1).tolist(), len(firsts)]
    ones, against = [faces[at] for at in firsts.take(cuts[:-1]).tolist()], [faces[at] for at in others.tolist()]
    terms = [other.terms for other in against]
    sets = [(one.terms, terms[start:end]) for one, (start, end) in zip(ones, pairwise(cuts), strict=True)]
    within, counts, at = shared(sets)
    rarities = rarities_of(np.concatenate([one.terms for one in ones]))
    theirs = np.concatenate([other.said for other in against]).take(within)
    mine = _Shared.of(np.concatenate([one.said for one in ones]), rarities)
    return counts, mine.take(at), _Shared.of(theirs, rarities.take(at))


def _figures(faces: Sequence[Face], columns: _Columns, both: Indexes) -> npt.NDArray[np.float64]:
    """What numbers, days and time are worth."""
    w = _WEIGHTS
    numbers, at, named = (column.take(both) for column in (columns.numbers, columns.at, columns.days))
    pairs = list(zip(*both.tolist(), strict=True))
    same = np.array([len(faces[one].numbers & faces[other].numbers) for one, other in pairs])
    agree = np.zeros(len(pairs))
    in_titles = columns.title_numbers.take(both)
    for pair in np.flatnonzero(in_titles[0] * in_titles[1]).tolist():
        one, other = pairs[pair]
        agree[pair] = 1.0 if faces[one].title_numbers & faces[other].title_numbers else -1.0
    days = np.minimum(np.abs(at[0] - at[1]) / 86400, 3.0)
    same_days = np.where((named[0] & named[1]) != 0, 1.0, -1.0) * ((named[0] != 0) & (named[1] != 0))
    worth: npt.NDArray[np.float64] = w.numbers * (same / np.sqrt((numbers[0] + 1) * (numbers[1] + 1))) + w.hours * days
    worth += w.title_numbers * agree
    worth += w.days * same_days
    return worth


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
    days = (1.0 if a.days & b.days else -1.0) if a.days and b.days else 0.0
    hours = abs(a.at - b.at) / 3600
    return -4.2 + 5.0 * mass / whole + 0.06 * min(mass, 60) + 0.7 * min(numbers, 3) + 0.4 * days - 0.02 * hours
