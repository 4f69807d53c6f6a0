"""Stories from scores: what is told from a neighbourhood is what all scores together tell."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from aggregator.dedup import groups
from aggregator.dedup.groups import JOINS, NOTHING, PARTS, STRANGERS, Linkage, Noted

MEMBERS = range(14)
PAIRS = list(combinations(MEMBERS, 2))


@st.composite
def graphs(draw):
    """Scores of some pairs, no two alike, and pairs that are one story in any case."""
    pairs = draw(st.lists(st.sampled_from(PAIRS), unique=True, max_size=40))
    order = draw(st.permutations(range(len(pairs))))
    scores = {pair: JOINS + 0.01 + place * 0.137 + place**2 * 1e-5 for pair, place in zip(pairs, order, strict=True)}
    together = draw(st.lists(st.sampled_from(pairs), max_size=4)) if pairs else []
    return scores, together


def by_force(scores, together):
    """Every two clusters are looked at, and the closest joined, until none attract each other enough."""
    clusters = [{one} for one in MEMBERS]

    def join(one, other):
        clusters.remove(other)
        one |= other

    for a, b in together:
        one, other = (next(found for found in clusters if member in found) for member in (a, b))
        if one is not other:
            join(one, other)

    def average(one, other):
        found = [scores.get((min(a, b), max(a, b)), STRANGERS) for a in one for b in other]
        return sum(found) / len(found)

    while True:
        best, one, other = max(
            ((average(one, other), one, other) for one, other in combinations(clusters, 2)), key=lambda offer: offer[0]
        )
        if best <= JOINS:
            return {frozenset(one) for one in clusters}
        join(one, other)
        if len(clusters) == 1:
            return {frozenset(clusters[0])}


def sides(scores, ids):
    """Of each of these articles the others, and what they score above strangers in parts."""
    both = [side for (a, b), score in scores.items() for side in ((a, b, score), (b, a, score))]
    return {one: {b: round(score * PARTS) - NOTHING for a, b, score in both if a == one} for one in ids}


def reader(scores, together, asked):
    """What is noted of the articles asked for, and which those were."""

    def read(ids):
        asked.update(ids)
        return Noted(sides(scores, ids), [pair for pair in together if set(pair) & set(ids)])

    return read


@given(graphs(), st.permutations(MEMBERS), st.integers(1, 6))
def test_a_neighbourhood_tells_what_the_whole_tells(graph, order, at_once):
    """In whichever order articles are asked for, and however few are read at a time, the stories are the same."""
    scores, together = graph
    wanted = by_force(scores, together)
    groups.AT_ONCE, before = at_once, groups.AT_ONCE
    try:
        linkage = Linkage(reader(scores, together, set()), most=100, most_links=10_000)
        found = {frozenset(linkage.tell([one])[0]) for one in order}
        alone = {
            frozenset(Linkage(reader(scores, together, set()), most=100, most_links=10_000).tell([one])[0])
            for one in order
        }
    finally:
        groups.AT_ONCE = before
    assert found == alone == wanted


def test_what_lies_far_is_not_read():
    """In a chain of close pairs with weak links between them a story is told from its own surroundings."""
    scores = {(2 * n, 2 * n + 1): 3.0 + n / 100 for n in range(50)} | {(2 * n + 1, 2 * n + 2): -1.0 for n in range(49)}
    asked: set[int] = set()
    assert Linkage(reader(scores, [], asked), most=1000, most_links=10_000).tell([40]) == [[40, 41]]
    assert len(asked) < 20


def test_articles_without_room_are_strangers():
    """When as many have been read as may be, the rest of the neighbours are left out, and it is said."""
    scores = {(0, n): 2.0 + n / 100 for n in range(1, 30)}
    linkage = Linkage(reader(scores, [], set()), most=5, most_links=10_000)
    found = linkage.tell([0])[0]
    assert 0 in found
    assert linkage.is_full
    assert max(found) == 29


def test_an_analysts_word_stands_above_scores():
    """Articles kept apart never meet, though they attract each other and a third draws both."""
    scores = {(0, 1): 5.0, (1, 2): 5.5, (0, 2): 5.2}
    linkage = Linkage(lambda ids: Noted(sides(scores, ids), [], [(0, 1)]), most=100, most_links=10_000)
    assert not {0, 1} <= set(linkage.tell([2])[0])
