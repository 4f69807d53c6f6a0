"""Whom an article meets under a key, and who is crowded out by one that comes late."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from aggregator.dedup import nearby
from aggregator.dedup.nearby import BETWEEN

ENTRIES = st.lists(st.integers(0, 400), unique=True, min_size=1, max_size=70).map(
    lambda moments: sorted((moment, at + 1) for at, moment in enumerate(moments))
)


def around(row, me):
    """The part of a row that is read for one article: itself, and as many on either side as it can meet."""
    at = row.index(me)
    return row[max(at - BETWEEN, 0) : at + BETWEEN + 1]


def meeting(row):
    """All pairs that meet in a row, from their places."""
    return {
        tuple(sorted((one, other)))
        for (at, (_, one)), (place, (_, other)) in combinations(enumerate(row), 2)
        if place - at <= BETWEEN
    }


@given(ENTRIES, st.data())
def test_an_article_meets_its_neighbours_in_time(row, data):
    """From the part around it as from the whole row it meets those with fewer than so many others between."""
    me = data.draw(st.sampled_from(row))
    expected = sorted(one if one != me[1] else other for one, other in meeting(row) if me[1] in (one, other))
    assert sorted(nearby.met(me, row)) == sorted(nearby.met(me, around(row, me))) == expected


@given(ENTRIES, st.data())
def test_pairs_that_no_longer_meet_are_named(row, data):
    """Those that met before the fresh ones came and do not now, each once, from the parts around the fresh ones."""
    fresh = {identity for _, identity in data.draw(st.lists(st.sampled_from(row), unique=True, max_size=30))}
    before = meeting([entry for entry in row if entry[1] not in fresh])
    lost = sorted(before - meeting(row))
    parts = [around(row, entry) for entry in row if entry[1] in fresh]
    assert sorted(nearby.crowded_out(parts, fresh)) == lost
    assert sorted(nearby.crowded_out([row, row], fresh)) == lost


def around_across(row, me):
    """The part of a row around an article that stands in it or not."""
    before = [entry for entry in row if entry < me]
    return before[-BETWEEN:] + [entry for entry in row if entry >= me][: BETWEEN + 1]


def meeting_across(row, side):
    """All pairs of different sides with fewer than so many of either side between them."""
    found = set()
    for at, (_, one) in enumerate(row):
        between = Counter()
        for _, other in row[at + 1 :]:
            if side[one] != side[other] and max(between[0], between[1]) < BETWEEN:
                found.add(tuple(sorted((one, other))))
            between[side[other]] += 1
    return found


@given(ENTRIES, st.data())
def test_two_rows_meet_each_other(row, data):
    """Articles of one script meet those of the other, and who is crowded out between the two rows is named."""
    side = {identity: data.draw(st.integers(0, 1)) for _, identity in row}
    rows = [[entry for entry in row if side[entry[1]] == number] for number in (0, 1)]
    pairs = meeting_across(row, side)
    for me in row:
        found = nearby.met_across(me, rows[side[me[1]]], rows[1 - side[me[1]]])
        assert sorted(found) == sorted({*sum((pair for pair in pairs if me[1] in pair), ())} - {me[1]})
    fresh = {identity for _, identity in data.draw(st.lists(st.sampled_from(row), unique=True, max_size=10))}
    old = [entry for entry in row if entry[1] not in fresh]
    lost = meeting_across(old, side) - pairs
    parts = [(entry, *(around_across(side_row, entry) for side_row in rows)) for entry in row if entry[1] in fresh]
    assert sorted(nearby.crowded_out_across(parts, fresh)) == sorted(lost)
    assert set(nearby.crowded_out_across([(entry, *rows) for entry, *_ in parts], fresh)) == lost
