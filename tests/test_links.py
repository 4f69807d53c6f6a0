"""Story links, kept as one value for each article, on both databases."""

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.store import links
from aggregator.store.archive import Archive
from aggregator.store.schema import story_links

IDS = st.integers(1, 12)
PAIRS = st.tuples(IDS, IDS).filter(lambda pair: pair[0] < pair[1])
SAID = st.tuples(st.integers(-2_000_000, 12_000_000), st.sampled_from([2, 3, 5, links.ALWAYS]))
STEPS = st.one_of(
    st.tuples(st.just("put"), st.dictionaries(PAIRS, SAID, max_size=8)),
    st.tuples(st.just("loosen"), st.dictionaries(PAIRS, st.integers(1, 3), max_size=8)),
    st.tuples(st.just("take out"), st.sets(PAIRS, max_size=4)),
    st.tuples(st.just("forget"), st.sets(IDS, max_size=3)),
)


def done(connection, known, what, said):
    """One step on the archive and on a plain dictionary of pairs."""
    if what == "put":
        fresh = {pair: value for pair, value in said.items() if pair not in known}
        links.put(connection, fresh)
        known |= fresh
    elif what == "loosen":
        torn = links.loosen(connection, said, 2)
        met = [pair for pair in said if pair in known and known[pair][1] != links.ALWAYS]
        known |= {pair: (known[pair][0], known[pair][1] - said[pair]) for pair in met}
        assert sorted(torn) == sorted(pair for pair in met if known[pair][1] < 2)
        for pair in torn:
            del known[pair]
    elif what == "take out":
        links.take_out(connection, said)
        for pair in said & known.keys():
            del known[pair]
    else:
        links.forget(connection, said)
        for pair in [pair for pair in known if said & set(pair)]:
            del known[pair]


@given(st.lists(STEPS, max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_links_are_what_a_dictionary_of_pairs_would_hold(archive_url, steps):
    """Whatever is put, loosened, taken out and forgotten: either article of a link knows it, with the same numbers."""
    archive = Archive.open(archive_url, write=True)
    known = {}
    with archive.writing() as connection:
        connection.execute(sa.delete(story_links))
        for what, said in steps:
            done(connection, known, what, said)
        both = {(a, b): value for (x, y), value in known.items() for a, b in ((x, y), (y, x))}
        assert {(a, b): (score, keys) for a, b, score, keys in links.every(connection)} == both
        scores, always = links.of(connection, range(1, 13))
        assert {(a, b): score for a, mine in scores.items() for b, score in mine.items()} == {
            pair: score for pair, (score, _) in both.items()
        }
        assert always == {pair for pair, (_, keys) in known.items() if keys == links.ALWAYS}


def test_of_an_article_with_very_many_links_the_latest_are_read(archive_url, monkeypatch):
    """What is read of one article is bounded; what is kept is not."""
    monkeypatch.setattr(links, "MOST", 3)
    archive = Archive.open(archive_url, write=True)
    with archive.writing() as connection:
        for other in range(2, 9):
            links.put(connection, {(1, other): (other * 1000, 4)})
        scores, _ = links.of(connection, [1, 2])
        assert scores == {1: {6: 6000, 7: 7000, 8: 8000}, 2: {1: 2000}}
        assert len(list(links.every(connection))) == 14


def test_links_that_lead_nowhere_are_counted(archive_url):
    """`archive check` finds links of articles that the archive does not have."""
    archive = Archive.open(archive_url, write=True)
    with archive.writing() as connection:
        links.put(connection, {(1, 2): (0, 4)})
        assert links.leading_nowhere(connection) == 2
        links.forget(connection, [1])
        assert links.leading_nowhere(connection) == 0
