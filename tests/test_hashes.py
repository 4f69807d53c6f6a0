"""Folded codes, shared hashes and faces: the arrays say what the plain definitions say."""

from __future__ import annotations

import random
import zlib
from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.dedup import folding, packing, pieces, prints, reprint, story
from aggregator.dedup.hashing import FEW, LONGEST, crc32, gathered, utf8
from aggregator.dedup.shared import shared
from aggregator.text import fold

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
texts = st.text(max_size=200)
hashes = st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 50), max_size=60, unique=True).map(sorted)


@given(texts)
def test_folded_codes_are_the_folded_text(text):
    """Every character's code is that of its folded character, lone surrogates and astral planes included."""
    assert folding.text_of(folding.folded(text)) == fold(text)


@given(texts)
def test_letters_are_the_letters_and_digits_of_the_folded_text(text):
    """What is no letter or digit is left out, the rest stands in its order."""
    assert folding.text_of(folding.only_letters(text)) == "".join(char for char in fold(text) if char.isalnum())


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=LONGEST + 4), max_size=40), st.booleans())
def test_checksums_of_many_pieces_are_those_of_each(pieces, many):
    """The CRC of each piece of a text is zlib's, however long it is and however many there are."""
    pieces = pieces * (FEW // max(len(pieces), 1) + 1) if many else pieces
    codes = np.frombuffer("".join(pieces).encode("utf-32-le"), dtype=np.uint32)
    bounds = folding.bounds(list(map(len, pieces)))
    said, places = gathered(codes, bounds[:-1], bounds[1:])
    assert (said == codes).all()
    data, offsets = utf8(said)
    ends = offsets.take(places)
    assert crc32(data, ends[:-1], ends[1:], 7).tolist() == [zlib.crc32(piece.encode(), 7) for piece in pieces]


@given(st.lists(hashes, max_size=6))
def test_kept_hashes_are_read_as_they_were(rows):
    """Hashes that are kept in three bytes and some bits come back, of however many texts."""
    arrays = [np.array(row, dtype=np.uint32) for row in rows]
    assert [row.tolist() for row in packing.unpacked(packing.packed(arrays))] == rows


def test_what_was_made_is_remembered_until_it_is_too_much():
    """What is made of an article is made once while that is the same and there is room, and again after that."""
    made = []
    memory = packing.Remembered(lambda kept: [made.append(one) or -one for one in kept], 5)
    assert memory.of({1: 10, 2: 20}) == {1: -10, 2: -20}
    assert memory.of({2: 20, 3: 30}) == {2: -20, 3: -30}
    assert made == [10, 20, 30]
    assert memory.of({1: 11, 4: 40, 5: 50, 6: 60}) == {1: -11, 4: -40, 5: -50, 6: -60}
    assert memory.of({1: 11, 3: 30}) == {1: -11, 3: -30}
    assert made == [10, 20, 30, 11, 40, 50, 60, 30]


@given(st.lists(st.tuples(st.text(max_size=30), texts), max_size=6))
@settings(max_examples=60)
def test_articles_that_come_together_are_kept_as_if_each_came_alone(articles):
    """Prints and faces of many articles are those of each, and are read again as they were."""
    prints_ = reprint.fingerprints([text for _, text in articles])
    faces = story.faces([(title, text, NOON) for title, text in articles])
    assert [one.packed() for one in prints_] == [reprint.fingerprint(text).packed() for _, text in articles]
    assert [one.packed() for one in faces] == [story.face(title, text, NOON).packed() for title, text in articles]
    for one, again in zip(prints_, reprint.unpacked_all([one.packed() for one in prints_]), strict=True):
        assert (one.sample.tolist(), one.keys, one.slots) == (again.sample.tolist(), again.keys, again.slots)
    for one, again in zip(faces, story.unpacked_all([(one.packed(), NOON.timestamp()) for one in faces]), strict=True):
        assert (one.terms.tolist(), one.said.tolist()) == (again.terms.tolist(), again.said.tolist())
        assert (one.weightiest, one.norm, one.names) == (again.weightiest, again.norm, again.names)


def test_a_face_of_many_terms_is_kept_whole():
    """A title of hundreds of different terms, or one that is said hundreds of times, goes beyond a byte and back."""
    title = "".join(chr(0x4E00 + at) for at in range(600))
    for one in story.faces([(title, "", NOON), ("", "中中" * 150, NOON), ("短", "短讯", NOON)]):
        again = story.unpacked(one.packed(), NOON)
        assert (one.terms.tolist(), one.said.tolist(), one.weightiest) == (
            again.terms.tolist(),
            again.said.tolist(),
            again.weightiest,
        )


@given(hashes, st.lists(hashes, min_size=1, max_size=6))
def test_shared_hashes_are_those_of_both_sets(one, others):
    """Each shared hash is told with its places in both, also where two hashes end in the same bits."""
    mine, theirs = np.array(one, dtype=np.uint32), [np.array(other, dtype=np.uint32) for other in others]
    within, counts, at = shared([(mine, theirs)])
    every, who = np.concatenate(theirs), np.repeat(np.arange(len(theirs)), counts)
    assert (every[within] == mine[at]).all() if len(within) else True
    for number, other in enumerate(others):
        assert sorted(mine[at[who == number]].tolist()) == sorted(set(one) & set(other))


def test_hashes_that_end_alike_are_told_apart():
    """Two hashes of one set with the same lower bits are looked for by search."""
    one = np.array([5, 5 + (1 << 18), 5 + (1 << 19)], dtype=np.uint32)
    within, _, at = shared([(one, [np.array([5 + (1 << 18), 5 + (3 << 18)], dtype=np.uint32)])])
    assert (within.tolist(), at.tolist()) == ([0], [1])


@given(st.text(max_size=60), texts)
@settings(max_examples=60)
def test_a_face_read_again_compares_as_when_it_was_new(title, text):
    """Packing loses nothing that a comparison uses."""
    one = story.face(title, text, NOON)
    again = story.unpacked(one.packed(), NOON)
    other = story.face("Ministers meet in the harbour town", "Ministers met in the harbour town on 12 March.", NOON)
    assert story.attraction(one, other) == story.attraction(again, other)
    assert (one.keys(), one.name_keys(), one.days) == (again.keys(), again.name_keys(), again.days)
    assert (one.numbers, one.title_numbers) == (again.numbers, again.title_numbers)


@given(texts, st.lists(texts, max_size=5))
@settings(max_examples=60)
def test_all_candidates_at_once_are_judged_as_one_by_one(text, others):
    """The judgement of many candidates is that of each."""
    mine, prints = reprint.fingerprint(text), [reprint.fingerprint(other) for other in [*others, text]]
    every = [*others, text]
    at_once = reprint.judge_all([(mine, one) for one in prints], lambda at: (text, every[at]))
    singly = [reprint.judge(mine, theirs, lambda at=at: (text, every[at])) for at, theirs in enumerate(prints)]
    assert at_once == singly


@given(st.data(), st.sampled_from([4, 8]))
def test_pieces_in_common_are_those_of_both_sets(data, size):
    """Counted as numbers, the pieces of two texts are those of sets of strings, whatever characters they are of."""
    characters = data.draw(st.lists(st.characters(), min_size=1, max_size=4))
    said = st.text(st.sampled_from(characters), max_size=40)
    short, long = data.draw(said), data.draw(said)
    if data.draw(st.booleans()):  # more different characters than a number has room for
        short, long = (text + "".join(map(chr, range(0x300, 0x420))) for text in (short, long))
    mine, theirs = ({text[at : at + size] for at in range(len(text) - size + 1)} for text in (short, long))
    counted = pieces.in_common(folding.codes_in(short), folding.codes_in(long), size)
    assert counted == (len(mine), len(mine & theirs))


def test_length_and_tie_are_read_from_the_beginning():
    """Of a stored fingerprint its first bytes tell the length of the text and the smallest hash."""
    for text in ("", "短", "港口协议在三月一日签署，" * 40, "The harbour accord was signed in March. " * 30):
        one = reprint.fingerprint(text)
        heading = one.packed()[: reprint.HEADING]
        assert reprint.length_and_tie(heading) == (one.length, min(one.sample.tolist(), default=0))


def test_a_day_that_no_month_has_is_none():
    """The 35th day of a war is no day of the month, and its face can be kept."""
    one = story.face("战事第35日", "5日，双方代表会谈。战事进入第35日，第39日再谈。", NOON)
    assert story.unpacked(one.packed(), NOON).days == one.days == 1 << 5


def test_names_are_found_as_words_and_not_inside_them():
    """A short name is no part of a longer word; abbreviations and names with digits are found."""
    said = story.face("U.S. and China at COP28", "The EU's envoy spoke in New York about net-zero plans.", NOON).names
    found = [
        line for name, line in story.catalogue()[1].items() if name in ("u.s.", "china", "cop28", "eu", "new york")
    ]
    assert set(found) <= said
    inside = story.face("Neutral museum", "A bused visitor praised the fluke and the surfing.", NOON).names
    assert not inside


def test_a_long_text_goes_block_by_block(monkeypatch):
    """Cut into blocks, a text of any length has the fingerprint of the whole."""
    for length in (0, 18, 19, 20, 63, 64, 65, 83, 84, 128, 900, 3000):
        for letters in (
            "港口协议三月一日签署会谈代表团煤矿瓦斯监测",
            "the harbour accord was signed in march by both",
        ):
            text = "".join(random.Random(length).choices(letters.replace(" ", ""), k=length))
            whole = reprint.fingerprint(text).packed()
            with monkeypatch.context() as patched:
                patched.setattr(prints, "BLOCK", 200 if length > 500 else 64)
                assert reprint.fingerprint(text).packed() == whole
