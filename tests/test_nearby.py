"""Whom an article meets under a key, and who is crowded out by one that comes late."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aggregator.dedup.nearby import BETWEEN, Entries, Places, Rows

ENTRIES = st.lists(st.integers(0, 400), unique=True, min_size=1, max_size=70).map(
    lambda moments: sorted((moment, at + 1) for at, moment in enumerate(moments))
)


def around(row, moment):
    """The part of a row that is read around a moment: as many on either side as an article there can meet."""
    before = [entry for entry in row if entry[0] < moment]
    return before[-BETWEEN:] + row[len(before) :][:BETWEEN]


def rows_of(places, rows, *, whole):
    """What is known of these rows (by key, without the fresh articles) around the fresh articles."""
    found = []
    for number, moment in zip(*places.wanted(), strict=True):
        row = rows[int(places.keys[number])]
        found += [(number, *entry) for entry in (row if whole else around(row, moment))]
    return Rows(places, Entries(*np.array(found, dtype=np.int64).reshape(-1, 3).T))


def meeting(row):
    """All pairs that meet in a row, from their places."""
    return {
        tuple(sorted((one, other)))
        for (at, (_, one)), (place, (_, other)) in combinations(enumerate(row), 2)
        if place - at <= BETWEEN
    }


def drawn(row, data, most):
    """Some articles that are fresh, and the others."""
    fresh = data.draw(st.lists(st.sampled_from(row), unique=True, min_size=1, max_size=most))
    return sorted(fresh), [entry for entry in row if entry not in fresh]


def with_one_of(pairs, fresh):
    """The pairs with a fresh article."""
    ids = {identity for _, identity in fresh}
    return {pair for pair in pairs if ids & set(pair)}


@given(ENTRIES, st.booleans(), st.data())
def test_an_article_meets_its_neighbours_in_time(row, whole, data):
    """From the parts around them as from the whole row fresh articles meet those with fewer than so many others between,
    under two keys or not at all.
    """
    fresh, old = drawn(row, data, 30)
    places = Places.of([(*entry, [7, -5], ()) for entry in fresh])
    found = rows_of(places, {7: old, -5: old}, whole=whole).meeting()
    assert found == dict.fromkeys(with_one_of(meeting(row), fresh), 2)
    alone = Places.of([(*entry, [7], ()) for entry in fresh])
    assert rows_of(alone, {7: old}, whole=whole).meeting() == {}


@given(ENTRIES, st.booleans(), st.data())
def test_pairs_that_no_longer_meet_are_named(row, whole, data):
    """Those that met before the fresh ones came and do not now, with the number of keys, from the parts around the fresh
    ones. Who stands where he stood before parts nobody.
    """
    fresh, old = drawn(row, data, 30)
    stood = set(data.draw(st.lists(st.sampled_from(fresh), unique=True)))
    rows = rows_of(Places.of([(*entry, [7, -5], ()) for entry in fresh]), {7: old, -5: old}, whole=whole)
    under = {
        key: meeting([entry for entry in row if entry in old or entry in there]) - meeting(row)
        for key, there in ((7, stood), (-5, ()))
    }
    assert rows.parted({(7, identity) for _, identity in stood}) == Counter([*under[7], *under[-5]])


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 400)), unique_by=lambda entry: entry[1], min_size=2),
    st.data(),
)
def test_articles_of_one_moment_stand_in_the_order_of_their_numbers(row, data):
    """Whom an article meets is as certain where many have the same moment."""
    row.sort()
    fresh, old = drawn(row, data, 30)
    places = Places.of([(*entry, [7, -5], ()) for entry in fresh])
    rows = rows_of(places, {7: old, -5: old}, whole=True)
    assert rows.meeting().keys() == with_one_of(meeting(row), fresh)
    assert rows.parted().keys() == meeting(old) - meeting(row)


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


@given(ENTRIES, st.booleans(), st.data())
def test_two_rows_meet_each_other(row, whole, data):
    """Articles of one script meet those of the other, and who is crowded out between the two rows is named."""
    side = {identity: data.draw(st.integers(0, 1)) for _, identity in row}
    keys, fresh, old = ((7, -5), (8, -6)), *drawn(row, data, 10)
    pairs = meeting_across(row, side)
    names = {number: [(keys[at][number], keys[at][1 - number]) for at in (0, 1)] for number in (0, 1)}
    places = Places.of([(*entry, [], names[side[entry[1]]]) for entry in fresh])
    rows = {keys[at][number]: [e for e in old if side[e[1]] == number] for at in (0, 1) for number in (0, 1)}
    found = rows_of(places, rows, whole=whole)
    assert found.meeting() == dict.fromkeys(with_one_of(pairs, fresh), 2)
    assert found.parted() == dict.fromkeys(meeting_across(old, side) - pairs, 2)
