"""What is read of the rows under keys of stories, around the moments of new articles."""

from __future__ import annotations

import random

import numpy as np
import pytest
import sqlalchemy as sa

from aggregator.dedup.nearby import Entries, Places, Rows
from aggregator.store import relations, rows, schema
from aggregator.store.archive import Archive

DAY = 24 * 60 << relations.TIE_BITS
WINDOW = 84 * 60 << relations.TIE_BITS
SPAN = relations.SPAN << relations.TIE_BITS
KEYS = {-9: 400, 5: 40, 77: 9, 1 << 30: 1}
"""Keys, and how many articles stand under them."""


@pytest.fixture
def archive(place):
    """An archive of its own."""
    opened = Archive.open(place("rows"), write=True)
    yield opened
    opened.close()


def entries(chance, begin):
    """Articles under keys during twelve days, among them some of one moment."""
    found = set()
    for key, number in KEYS.items():
        for _ in range(number):
            moment = begin + chance.randrange(12 * DAY)
            found |= {(key, moment, len(found) + 1)} | ({(key, moment, 9000 + len(found))} if number == 40 else set())
    return sorted(found)


def put(archive, found):
    """Enter articles under keys."""
    columns = ("span", "key", "moment", "article_id")
    with archive.writing() as connection:
        held = [dict(zip(columns, (moment // SPAN, key, moment, one), strict=True)) for key, moment, one in found]
        connection.execute(sa.insert(schema.story_key), held)


@pytest.mark.parametrize("begin", [4000 * SPAN, -3 * SPAN - DAY])
@pytest.mark.parametrize("latest", [True, False])
def test_what_is_read_is_all_that_decides(archive, begin, latest):
    """New articles, behind all others or between them, meet and part within a story's window whom they would if all was
    read; before 1970, too.
    """
    chance = random.Random(f"{begin} {latest}")
    old = entries(chance, begin)
    put(archive, old)
    at = {one: moment for _, moment, one in old}
    for size in (1, 6, 40):
        fresh = [
            (moment, 20000 + number, [-9, 5, 77], [(1 << 30, -9), (5, 77)])
            for number in range(size)
            for moment in [begin + (12 * DAY + chance.randrange(DAY) if latest else chance.randrange(12 * DAY))]
        ]
        at |= {one: moment for moment, one, *_ in fresh}
        places = Places.of(fresh)
        numbers = [int(np.flatnonzero(places.keys == key)[0]) for key, *_ in old]
        every = Entries(np.array(numbers), *(np.array([entry[part] for entry in old]) for part in (1, 2)))
        with archive.reading() as connection:
            read = rows.around(connection, places)
        known, whole = Rows(places, read), Rows(places, every)
        for some, all_ in ((known.meeting(), whole.meeting()), (known.parted(), whole.parted())):
            assert within(some, at) == within(all_, at)
        assert latest or len(whole.meeting()) > size


def within(pairs, at):
    """Pairs that lie no further apart than articles of a story, and what is said of them."""
    return {pair: said for pair, said in pairs.items() if abs(at[pair[0]] - at[pair[1]]) <= WINDOW}


def test_of_many_articles_under_a_key_few_are_read(archive):
    """However many stand under a key, what is read for one article is as much as can meet it."""
    put(archive, [(7, 4000 * SPAN + number * (SPAN // 3000), number + 1) for number in range(3000)])
    for moment in (4001 * SPAN - 1, 4000 * SPAN + SPAN // 2, 4000 * SPAN + 1):
        with archive.reading() as connection:
            read = rows.around(connection, Places.of([(moment, 5000, [7], [])]))
        assert len(set(read.ids.tolist())) <= 25


def test_an_empty_archive_has_no_rows(archive):
    """Nor has an article without keys any."""
    with archive.reading() as connection:
        for keys in ([7], []):
            assert len(rows.around(connection, Places.of([(5, 1, keys, [])])).ids) == 0
