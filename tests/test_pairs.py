"""Pairs of articles are judged many at once, each as if it were alone, and as the plain definition says."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.dedup import face, reprint, story
from aggregator.dedup.shared import shared

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HAN = [
    "港口协议",
    "3月5日",
    "签署",
    "两国代表",
    "12.5亿",
    "中国",
    "气候",
    "联合国",
    "会谈",
    "减排",
    "，",
    "。",
    "350万",
]
LATIN = [
    "harbour ",
    "accord ",
    "March 5 ",
    "China ",
    "climate ",
    "the U.N. ",
    "emissions ",
    "12.5 ",
    "350 ",
    "signed ",
]
words = st.lists(st.sampled_from(HAN), max_size=25) | st.lists(st.sampled_from(LATIN), max_size=25)
articles = st.tuples(words.map("".join), words.map("".join), st.integers(-100, 100))
hashes = st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 50), max_size=60, unique=True).map(sorted)


def faces_of(said):
    """The faces of articles of these titles, texts, and hours after noon."""
    return story.faces([(title, text, NOON + timedelta(hours=hours)) for title, text, hours in said])


def plainly(one, other):
    """The attraction by loops over terms, in the order in which arrays add them up."""
    w, mine = story._WEIGHTS, dict(zip(one.terms.tolist(), one.said.tolist(), strict=True))
    product, titles, common = 0.0, [0.0, 0.0], 0
    for term, theirs in zip(other.terms.tolist(), other.said.tolist(), strict=True):
        if term in mine:
            common += 1
            rarity = float(face.rarities_of(np.array([term], dtype=np.uint32))[0])
            weights = [round((1 + math.log(said >> 1)) * rarity * face.FINE) for said in (mine[term], theirs)]
            product += weights[0] * (weights[1] / face.FINE**2)
            titles[0] += rarity * (mine[term] & 1)
            titles[1] += rarity * (theirs & 1)
    if not common or abs(one.when - other.when) > story.WINDOW:
        return None
    a, b = (titles[at] / (its.title_weight or 1.0) for at, its in enumerate((one, other)))
    found = w.bias + w.lead * product / (one.norm * other.norm) + w.title * (a + b) / 2 + w.title_least * min(a, b)
    numbers = len(one.numbers & other.numbers) / math.sqrt((len(one.numbers) + 1) * (len(other.numbers) + 1))
    figures = w.numbers * numbers + w.hours * min(abs((one.when - other.when).total_seconds()) / 86400, 3.0)
    for mine, theirs, worth in (
        (one.title_numbers, other.title_numbers, w.title_numbers),
        (one.days, other.days, w.days),
    ):
        figures += worth * ((1.0 if mine & theirs else -1.0) if mine and theirs else 0.0)
    return found + figures


@given(st.lists(articles, min_size=1, max_size=20), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_many_pairs_attract_each_other_as_each_by_itself(said, chance):
    """Scores of all pairs at once, in whatever order, are those of each pair alone, to the last bit."""
    faces = faces_of(said)
    pairs = [(one, other) for one in range(len(faces)) for other in range(len(faces))]
    if chance.random() < 0.5:
        chance.shuffle(pairs)
    at_once = story.attractions(faces, np.array(pairs, dtype=np.intp).T).tolist()
    singly = [story.attraction(faces[one], faces[other]) for one, other in pairs]
    assert [None if math.isnan(score) else score for score in at_once] == singly


@given(articles, articles)
@settings(max_examples=80, deadline=None)
def test_attraction_is_what_its_definition_says(one, other):
    """Two articles of one script score what loops over their terms, numbers and days add up to, to the last bit."""
    first, second = faces_of([one, other])
    if first.han == second.han:
        assert story.attraction(first, second) == plainly(first, second)


@given(st.lists(st.tuples(hashes, st.lists(hashes, min_size=1, max_size=4)), min_size=1, max_size=5))
def test_shared_hashes_of_many_sets_are_those_of_each(sets):
    """Looked up for many sets together, hashes are found where each set's would be found alone."""
    arrays = [
        (np.array(one, dtype=np.uint32), [np.array(other, dtype=np.uint32) for other in others])
        for one, others in sets
    ]
    within, counts, at = shared(arrays)
    every = np.concatenate([other for _, others in arrays for other in others])
    ones = np.concatenate([one for one, _ in arrays])
    assert every.take(within).tolist() == ones.take(at).tolist()
    pairs = [(one, other) for one, others in sets for other in others]
    assert counts.tolist() == [len(set(one) & set(other)) for one, other in pairs]
    cuts = np.cumsum(counts)[:-1]
    for found, (one, other) in zip(np.split(every.take(within), cuts), pairs, strict=True):
        assert found.tolist() == sorted(set(one) & set(other))


def test_hashes_alike_in_every_part_are_searched_for():
    """Where two hashes of a set are alike in all the bits that are looked up at once, a search tells them apart."""
    alike = [0, 1 << 16, 1 << 21, 1, 1 | 1 << 26, 1 << 31, 1 << 31 | 1]
    one = np.array(sorted({*alike, *(bits ^ 0x3FF for bits in alike)}), dtype=np.uint32)
    other = np.array(sorted({*alike, 7, 1 << 27}), dtype=np.uint32)
    within, counts, at = shared([(one, [other, one[:0], one])])
    assert counts.tolist() == [len(alike), 0, len(one)]
    assert one.take(at).tolist() == [*sorted(alike), *one.tolist()]
    assert within.tolist() == [
        *np.flatnonzero(np.isin(other, one)).tolist(),
        *range(len(other), len(other) + len(one)),
    ]


def share_plainly(one, other):
    """What of the shorter one's sample stands in the other's, of what would if all of the text did."""
    short, long = sorted((one, other), key=lambda its: (its.length, its.sample.tolist()))
    limit = 2**32 if long.whole or not len(long.sample) else int(long.sample[-1])
    within = [piece for piece in short.sample.tolist() if piece <= limit]
    return len(set(within) & set(long.sample.tolist())) / max(len(within), 1)


@given(st.lists(st.lists(st.sampled_from(range(40)), min_size=5, max_size=300), min_size=2, max_size=5))
@settings(max_examples=40, deadline=None)
def test_sampled_shares_are_what_their_definition_says(texts):
    """The share of each pair's shorter text in the other is that of the samples, unless it is too little to matter."""
    prints = reprint.fingerprints(
        ["".join(f"第{word * word}条约{chr(0x4E00 + word)}" for word in text) for text in texts]
    )
    pairs = [(one, other) for one in prints for other in prints]
    for share, (one, other) in zip(reprint._sampled_shares(pairs), pairs, strict=True):
        plain = share_plainly(one, other)
        assert share == plain or (share == 0 and plain < reprint.SURE_OTHER)
