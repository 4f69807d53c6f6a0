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

import numpy as np

from aggregator.dedup.faces import (
    FINE,
    SHIFT,
    TELLING,
    Face,
    face,
    faces,
    is_current,
    rarities_of,
    terms_of,
    unpacked,
    unpacked_all,
)
from aggregator.dedup.names import catalogue
from aggregator.dedup.shared import shared

__all__ = [
    "SHIFT", "WINDOW", "Face", "across", "attraction", "attractions", "catalogue", "conflicting", "face", "faces", "is_current",
    "terms_of", "unpacked", "unpacked_all",
]  # fmt: skip

WINDOW = timedelta(hours=84)
"""Articles further apart in time are never compared; a story moves on as articles join it."""

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
    rarities = rarities_of(one.terms[at])
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
