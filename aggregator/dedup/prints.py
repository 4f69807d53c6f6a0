"""Fingerprints: what is kept of texts to find and tell the same text in another place. What they are good for, and the
judgement on two of them, is in `reprint`.

The array work is done for many texts at once, since a call of numpy's costs more than what it does to one text.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from struct import Struct
from typing import Any

import numpy as np
import numpy.typing as npt

from aggregator.dedup import folding, packing
from aggregator.dedup.folding import U32, Hashes, Indexes
from aggregator.dedup.hashing import crc32, gathered, utf8

SAMPLE = 160
"""Hashes in a sample: at a true containment of 0.7 the estimate errs by 0.036."""
FEWEST_KEYS, MOST_KEYS = 8, 24
"""Keys of a text, one for each 100 letters (300 Latin ones): a copy of a third shares one with 0.999."""
LEAD_KEYS, LEAD = 4, 80
"""Further keys, and the letters from the beginning that they come from (three times as many Latin ones)."""

BLOCK, REACH = 1 << 16, 19
"""Letters whose shingles are made at once (of a text of millions all at once would take 28 bytes a letter), and how many
further ones a shingle reaches.
"""
VERSION = 3
"""Of what `packed` gives; goes up when fingerprints are made in another way."""
U64 = np.uint64
_M1, _M2, _M3, _M4, _M5 = (U32(number) for number in (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1))
_ALL = 0xFFFFFFFF
# Of Latin letters: words with capitals inside a sentence, numbers, and rows of words with capitals at a line's start.
# The one set of characters in front lets the search skip all others, which takes half of its time.
_NAME = re.compile(
    r"[A-Z\d](?:(?<=[a-z,] [A-Z])[\w'-]*(?: [A-Z][\w'-]*)*|(?<=\d)(?<![\w.,]\d)[\d.,]*|(?<=^[A-Z])[\w'-]*(?: [A-Z][\w'-]*)+)",
    re.MULTILINE,
)
# A short last line, of so many characters at most, says who edited the copy; so may so many letters at the end.
_CREDIT_LETTERS = 24
_CREDIT_LINE = 80


@dataclass(slots=True, eq=False)  # frozen it would take 2 µs longer to make, several times an article
class Fingerprint:
    """What is kept of a text. `keys` are signed 32-bit numbers; `sample` holds, ascending, every small hash up to its
    largest (all of them when `whole`); `slots` joins the hash of a number's surroundings (the upper 16 bits, kept in
    `places` too) with that of the number; `data` is what is kept in the archive.
    """

    han: bool
    length: int
    sample: Hashes
    whole: bool
    known_keys: tuple[int, ...] | None = None
    known_slots: frozenset[int] | None = None
    known_places: frozenset[int] | None = None
    """These three are read from `data` when one asks for them."""
    data: bytes = b""

    @property
    def keys(self) -> tuple[int, ...]:
        """What copies are found under."""
        if self.known_keys is None:
            start, end = self._keys_within()
            self.known_keys = tuple(array("i", self.data[start:end]))
        return self.known_keys

    @property
    def slots(self) -> frozenset[int]:
        """Numbers in their surroundings."""
        if self.known_slots is None:
            self.known_slots = frozenset(array("I", self.data[self._keys_within()[1] :]))
        return self.known_slots

    @property
    def places(self) -> frozenset[int]:
        """The surroundings alone."""
        if self.known_places is None:
            self.known_places = frozenset(array("H", self.data[self._keys_within()[1] :])[_UPPER::2])
        return self.known_places

    def _keys_within(self) -> tuple[int, int]:
        _, size, keys, _, upper, _ = _HEAD.unpack_from(self.data)
        start = HEADING + upper + packing.LOWER * size
        return start, start + 4 * keys

    def packed(self) -> bytes:
        """About 600 bytes for a text of 1,000 characters."""
        return self.data


_UPPER = int(sys.byteorder == "little")
"""Which half of a slot, as it lies in memory, is the place."""


def _packed_all(prints: Sequence[Fingerprint]) -> list[bytes]:
    """What is kept of each of these."""
    found = []
    for one, (upper, lower) in zip(prints, packing.packed([one.sample for one in prints]), strict=True):
        flags, first = one.length << 2 | one.han << 1 | one.whole, int(one.sample[0]) if lower else 0
        head = _HEAD.pack(flags, len(one.sample), len(one.keys), VERSION, len(upper), first)
        keys, slots = array("i", one.keys).tobytes(), array("I", one.slots).tobytes()
        found.append(b"".join((head, upper, lower, keys, slots)))
    return found


_HEAD = Struct("<IIHBBI")


def unpacked(data: bytes) -> Fingerprint:
    """The fingerprint from `packed`."""
    return unpacked_all([data])[0]


def unpacked_all(every: Sequence[bytes]) -> list[Fingerprint]:
    """The fingerprints from `packed`."""
    heads = [_HEAD.unpack_from(data) for data in every]
    parts = []
    for data, (_, size, _, _, upper, _) in zip(every, heads, strict=True):
        cut = HEADING + upper
        parts.append((data[HEADING:cut], data[cut : cut + packing.LOWER * size]))
    rows = zip(every, heads, packing.unpacked(parts), strict=True)
    return [
        Fingerprint(bool(flags & 2), flags >> 2, sample, bool(flags & 1), data=data)
        for data, (flags, *_), sample in rows
    ]


def remembered(rows: Mapping[int, bytes]) -> dict[int, Fingerprint]:
    """The same by number of the article. The last ones are kept: the same are compared with many that come."""
    return _READ.of(rows)


_READ = packing.Remembered(unpacked_all, 4096)


def is_current(data: bytes) -> bool:
    """Whether this is what `packed` gives now; earlier versions kept the sample as it was."""
    return data[10] == VERSION


HEADING = 16
"""Bytes at the beginning of `packed` that `length_and_tie` reads."""


def length_and_tie(heading: bytes) -> tuple[int, int]:
    """The length of a text, and its smallest hash to choose between texts that are otherwise equal, from the first
    HEADING bytes of `packed`.
    """
    flags, size, *_, first = array("I", heading)
    return flags >> 2, first if size else 0


def fingerprint(text: str) -> Fingerprint:
    """The fingerprint of an article's plain text."""
    return fingerprints([text])[0]


def fingerprints(texts: Sequence[str]) -> list[Fingerprint]:
    """The fingerprints of these plain texts, each as if it were alone."""
    return [one for part in folding.parted(list(map(len, texts)), BLOCK) for one in _made(texts[part])]


def _made(texts: Sequence[str]) -> list[Fingerprint]:
    """The fingerprints of texts that together are no longer than a block, or of one that is."""
    begins = folding.bounds(list(map(len, texts)))
    marked = folding.marked("".join(texts))
    letters = folding.with_mark(marked, folding.LETTER)
    marked = marked.take(letters)
    codes = folding.codes_of(marked)
    digits = folding.with_mark(marked, folding.DIGIT)
    ends = letters.searchsorted(begins)
    spans = np.stack((ends[:-1], ends[1:]), axis=1)
    han = [_is_han(codes[start:end]) for start, end in spans.tolist()]
    made: dict[int, Fingerprint] = {}
    for script in set(han):
        which = [at for at, its in enumerate(han) if its == script]
        mine = spans.take(which, axis=0)
        if script:
            slots = _han_slots(codes, digits, mine)
        else:
            slots = _latin_slots([texts[at] for at in which], codes, letters, begins.take(which))
        lengths = (mine[:, 1] - mine[:, 0]).tolist()
        rest = zip(which, lengths, _samples_and_keys(codes, mine, han=script), slots, strict=True)
        for at, length, (sample, whole, keys), its in rest:
            made[at] = Fingerprint(script, length, sample, whole, keys, its)
    found = [made[at] for at in range(len(texts))]
    for one, data in zip(found, _packed_all(found), strict=True):
        one.data = data
    return found


def _is_han(codes: Hashes) -> bool:
    return int(np.count_nonzero(codes > 0x2E7F)) * 4 >= len(codes)  # noqa: PLR2004 - Han characters begin after it


# --- numbers and names ------------------------------------------------------------------------------------------


def _han_slots(codes: Hashes, digits: Indexes, spans: Indexes) -> list[frozenset[int]]:
    """Each number with its surroundings, four characters before and two after; other numbers in them left out.

    `codes` are all texts' letters, `digits` the places of digits among them; `spans` has a row for each text.
    """
    starts, limits = spans[:, 0], spans[:, 1] - _CREDIT_LETTERS * (spans[:, 1] - spans[:, 0] > 10 * _CREDIT_LETTERS)
    who = starts.searchsorted(digits, side="right") - 1
    inside = np.flatnonzero(digits < limits.take(who))
    digits, who = digits.take(inside), who.take(inside)
    # A number at the end of a text is none with one at the beginning of the next.
    first, last = folding.runs(digits + who)
    who = who.take((digits + who).searchsorted(first))
    first, last = first - who, last - who
    before = np.maximum(np.concatenate(([0], last[:-1])), starts.take(who)) if len(who) else first
    after = np.minimum(np.concatenate((first[1:], [len(codes)])), limits.take(who)) if len(who) else first
    places = np.stack((who, np.maximum(before, first - 4), first, last, np.minimum(last + 2, after)))
    return _slots(codes, places.take(np.flatnonzero(first - before >= 3), axis=1), len(spans))  # noqa: PLR2004 - three letters tell


def _latin_slots(texts: Sequence[str], codes: Hashes, letters: Indexes, at: Indexes) -> list[frozenset[int]]:
    """The same for Latin letters, where names fill slots too (`the council of Geneva`) and surroundings are three times
    as long. `at` says where the texts begin in what `letters` are the places of letters in.
    """
    lasts = [_before_credit(text) for text in texts]
    found = [[at.span() for at in _NAME.finditer(text, 0, last)] for text, last in zip(texts, lasts, strict=True)]
    who = np.repeat(np.arange(len(texts)), list(map(len, found)))
    start, end = np.array(list(chain.from_iterable(found)), dtype=np.intp).reshape(-1, 2).T
    around = np.stack((np.maximum(start - 18, 0), start, end, np.minimum(end + 8, np.array(lasts).take(who))))
    earliest, start, end, final = letters.searchsorted(around + at.take(who))
    first = np.maximum(earliest, start - 12)
    places = np.stack((who, first, start, end, np.minimum(final, end + 6)))
    return _slots(codes, places.take(np.flatnonzero(start - first >= 8), axis=1), len(texts))  # noqa: PLR2004 - a word or two


def _before_credit(text: str) -> int:
    """Where the line begins that says who edited the copy, or the text ends."""
    credit = text.rfind("\n")
    return credit if credit >= 0 and 1 <= len(text) - credit - 1 <= _CREDIT_LINE else len(text)


def _slots(codes: Hashes, places: Indexes, size: int) -> list[frozenset[int]]:
    """The slots of each of so many texts; `places` are the text, where the surroundings begin, where the number begins
    and ends, and where the surroundings end.
    """
    who, first, start, end, final = places
    mark = np.full_like(who, len(codes))
    begins, ends = folding.interleaved(first, mark, end), folding.interleaved(start, mark + 1, final)
    said, bounds = gathered(np.append(codes, _MARK), np.concatenate((begins, start)), np.concatenate((ends, end)))
    bounds = np.concatenate((bounds[: len(begins) : 3], bounds[len(begins) :]))
    data, offsets = utf8(said)
    bounds = offsets.take(bounds)
    around, number = crc32(data, bounds[:-1], bounds[1:]).reshape(2, -1) & U32(0xFFFF)
    slots = (around << U32(16) | number).tolist()
    upto = who.searchsorted(np.arange(size + 1)).tolist()
    return [frozenset(slots[begin:to]) for begin, to in pairwise(upto)]


_MARK = U32(ord("#"))
"""Stands for the number between its surroundings."""


# --- sample and keys --------------------------------------------------------------------------------------------

_Chosen = tuple[Hashes, bool, tuple[int, ...]]
"""The sample, whether it is whole, and the keys."""
_Numbered = npt.NDArray[np.uint64]
"""Hashes, each with the number of its text in the upper 32 bits; ascending."""


def _samples_and_keys(codes: Hashes, spans: Indexes, *, han: bool) -> list[_Chosen]:
    """What is chosen of the shingles of the texts whose letters stand in these spans of `codes`. A long text comes
    alone and goes block by block, each with the letters that a shingle of its last letter reaches.
    """
    starts, sizes = spans[:, 0], spans[:, 1] - spans[:, 0]
    smalls, larges = (np.maximum(sizes - reach, 0) for reach in ((3, 7) if han else (7, REACH)))
    unit = 100 if han else 300
    wanted = (
        (smalls, np.full(len(spans), SAMPLE)),
        (larges, np.clip(larges // unit, FEWEST_KEYS, MOST_KEYS)),
        (np.minimum(larges, LEAD * unit // 100), np.full(len(spans), LEAD_KEYS)),
    )
    if len(spans) == 1:
        codes, starts = codes[starts[0] : spans[0, 1]], starts - starts[0]
    found: list[list[_Numbered]] = [[], [], []]
    for at in range(0, max(int(smalls.max()), 1), BLOCK):
        small, large = _shingles(codes[at : at + BLOCK + REACH] if len(spans) == 1 else codes, han=han)
        for some, hashes, (number, most) in zip(found, (small, large, large), wanted, strict=True):
            some.append(_smallest(hashes, starts, np.minimum(np.maximum(number - at, 0), BLOCK), most))
    sample, mostly, first = (_cut(some, most) for some, (_, most) in zip(found, wanted, strict=True))
    sample, keys = _distinct(sample), _distinct(np.sort(np.concatenate((mostly, first))))
    hashes, signed = sample.astype(U32), (keys.astype(U32).astype(np.int64) - (1 << 31)).tolist()
    return [
        (hashes[begin:end], whole, tuple(signed[key:last]))
        for (begin, end), whole, (key, last) in zip(
            pairwise(_begins(sample, len(spans))),
            (smalls <= SAMPLE).tolist(),
            pairwise(_begins(keys, len(spans))),
            strict=True,
        )
    ]


def _smallest(hashes: Hashes, starts: Indexes, numbers: Indexes, most: Indexes) -> _Numbered:
    """Of each text the smallest of its hashes, so many from where it starts; at most `most`, equal ones each counted.

    All hashes are passed over but those under a limit, that of which a text most likely has a few more than wanted.
    """
    limits = (np.minimum((most * 1.4 + 30) / np.maximum(numbers, 1), 1.0) * _ALL).astype(U32)
    begins = np.append(starts, max(len(hashes), int(starts[-1] + numbers[-1])))
    sizes = folding.interleaved(numbers, begins[1:] - starts - numbers)
    limit = np.repeat(folding.interleaved(limits, np.zeros_like(limits)), sizes)
    first = int(starts[0])
    at = np.flatnonzero(hashes[first:] < limit[: max(len(hashes) - first, 0)]) + first
    bounds = at.searchsorted(begins)
    found = bounds[1:] - bounds[:-1]
    every = np.repeat(np.arange(len(starts), dtype=U64) << U64(32), found) | hashes.take(at)
    every.sort()
    few = np.flatnonzero(found < np.minimum(numbers, most)).tolist()
    if not few:
        return every.take(
            np.flatnonzero(np.arange(len(every)) - np.repeat(bounds[:-1], found) < np.repeat(most, found))
        )
    parts = [every[~np.isin(every >> U64(32), few)]]
    for text in few:  # one word again and again, or a hash that is the largest there is
        mine = np.sort(hashes[starts[text] : starts[text] + numbers[text]])
        parts.append(U64(text << 32) | mine[: int(most[text])])
    return _cut(parts, most)


def _cut(parts: Sequence[_Numbered], most: Indexes) -> _Numbered:
    """The smallest of each text, of parts that have no more of any."""
    if len(parts) == 1:
        return parts[0]
    every = np.sort(np.concatenate(parts))
    begins = np.array(_begins(every, len(most)), dtype=np.intp)
    sizes = np.diff(begins)
    rank = np.arange(len(every)) - np.repeat(begins[:-1], sizes)
    return every.take(np.flatnonzero(rank < np.repeat(most, sizes)))


def _begins(every: _Numbered, size: int) -> list[int]:
    """Where the hashes of each of so many texts begin, and where those of the last one end."""
    found: list[int] = every.searchsorted(np.arange(size + 1, dtype=U64) << U64(32)).tolist()
    return found


def _distinct(every: _Numbered) -> _Numbered:
    """Each hash of a text once."""
    return every[np.concatenate(([True], every[1:] != every[:-1]))[: len(every)]]


def _shingles(codes: Hashes, *, han: bool) -> tuple[Hashes, Hashes]:
    """Hashes of the pieces of 4 and 8 characters of Han text, of 8 and 20 of other text.

    A longer piece's hash is made from those of its halves, so each costs one multiplication a character.
    """
    two = _joined(codes, codes, 1, _M1)
    four = _joined(two, two, 2, _M2)
    eight = _joined(four, four, 4, _M3)
    if han:
        return _mixed(four), _mixed(eight)
    twelve = _joined(eight, four, 8, _M4)
    return _mixed(eight), _mixed(_joined(twelve, eight, 12, _M5))


def _joined(left: Hashes, right: Hashes, step: int, factor: Any) -> Hashes:
    joined: Hashes = left[: max(len(right) - step, 0)] * factor + right[step : len(left) + step]
    return joined


def _mixed(hashes: Hashes) -> Hashes:
    """MurmurHash3's finalizer: neighbouring texts get unrelated numbers."""
    hashes = hashes ^ (hashes >> U32(16))
    hashes *= U32(0x85EBCA6B)
    hashes ^= hashes >> U32(13)
    hashes *= U32(0xC2B2AE35)
    hashes ^= hashes >> U32(16)
    return hashes
