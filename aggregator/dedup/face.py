"""What a face is, and how it is kept. How it is made is in `faces`, what it is good for in `story`.

The array work is done for many faces at once, since a call of numpy's costs more than what it does to one.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from itertools import chain, combinations, pairwise
from struct import Struct
from typing import Any

import numpy as np
import numpy.typing as npt

from aggregator.dedup import folding, packing
from aggregator.dedup.folding import U32, Hashes, Indexes
from aggregator.dedup.names import catalogue

NAMES_PAIRED, TELLING = 4, 2.5
"""Names whose pairs are keys, and the least weight of such a name."""
VERSION = 3
"""Of what `packed` gives; goes up when faces are made in another way."""
FINE = 500
"""Weights are kept in parts of so many, so that a face read again compares as when it was new."""
FITS = 1 << 8
"""What is less takes one byte."""
SHIFT = 14
"""How rare terms are is known by the upper bits of their hashes, less so many lower ones."""
U64 = np.uint64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Said = npt.NDArray[np.uint8] | npt.NDArray[np.uint32]


@dataclass(slots=True, eq=False)  # frozen it would take 2 µs longer to make, several times an article
class Face:
    """What is kept of an article to compare it.

    `at` is when it counts as published, in seconds since 1970. `terms` are the hashes of what title and beginning say,
    ascending; `said` holds for each how often it is said, twice for each time in the title, doubled, and one more where
    it stands in the title. `norm` is the length of the vector of weights, `title_weight` the sum of how rare the
    title's terms are. `days` has a bit for each day of the month named. `data` is what is kept in the archive.
    """

    han: bool
    at: float
    said: Said
    terms: Hashes
    norm: float
    title_weight: float
    numbers: frozenset[int]
    title_numbers: frozenset[int]
    days: int
    found_by: tuple[tuple[int, ...], frozenset[int]] | None = None
    """The weightiest terms and the names; read from `data` when one asks for them."""
    data: bytes = b""

    @property
    def when(self) -> datetime:
        """When it counts as published."""
        return _EPOCH + timedelta(seconds=self.at)

    @property
    def weightiest(self) -> tuple[int, ...]:
        """The terms to be found by."""
        return self._found_by()[0]

    @property
    def names(self) -> frozenset[int]:
        """The lines of `names.catalogue` that title and beginning name."""
        return self._found_by()[1]

    def _found_by(self) -> tuple[tuple[int, ...], frozenset[int]]:
        if self.found_by is None:
            self.found_by = _tops_and_names(self.data, self.terms)
        return self.found_by

    def term_keys(self) -> list[int]:
        """Signed hashes of the weightiest terms, under which articles find each other."""
        return [term - (1 << 31) for term in self.weightiest]

    def name_keys(self) -> list[tuple[int, int]]:
        """Signed hashes of pairs of names: under the first this article stands, under the second those in the other
        kind of script.
        """
        weights = catalogue()[2]
        names = sorted([(-weights[name], name) for name in self.names if weights[name] >= TELLING])[:NAMES_PAIRED]
        pairs = combinations([name for _, name in names], 2)
        return [(_pair_key(pair, self.han), _pair_key(pair, not self.han)) for pair in pairs]

    def keys(self) -> list[int]:
        """All that this article stands under."""
        return [*self.term_keys(), *(own for own, _ in self.name_keys())]

    def packed(self) -> bytes:
        """About 900 bytes; `when` is not in it."""
        return self.data


@lru_cache(maxsize=1 << 14)
def _pair_key(pair: tuple[int, ...], han: bool) -> int:  # noqa: FBT001 - one of two scripts
    return zlib.crc32(b"%d %d %d" % (han, min(pair), max(pair))) - (1 << 31)


def is_current(data: bytes) -> bool:
    """Whether this is what `packed` gives now; earlier versions had another heading."""
    return data[1] == VERSION


_HEADS = (Struct("<BBHIII6H"), Struct("<BBHIII6I"))
"""The narrow and the wide one. Of six parts the sizes are in it: the upper bytes of terms, the lower ones, the numbers,
those of the title, the names, and the terms that are not said just once in the text.
"""
_ONCE = 2
"""Stands in `said` for what is said once in the text."""
_WIDE = 2
"""Marks what has more terms than a byte counts, or one said more than a hundred times: it takes four bytes for each of
these, and goes by itself.
"""


def packed_all(faces: Sequence[Face]) -> list[bytes]:
    """What is kept of each of these. The weights can be made again from how often terms are said."""
    wide = [len(one.terms) > FITS for one in faces]
    if not any(wide) and (_joined([one.said for one in faces]) < FITS).all():
        return _packed(faces, wide=False)
    wide = [its or bool((one.said >= FITS).any()) for its, one in zip(wide, faces, strict=True)]
    return [_packed([one], wide=its)[0] for one, its in zip(faces, wide, strict=True)]


def _joined(rows: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(rows) if rows else np.zeros(0, dtype=U32)


def _packed(faces: Sequence[Face], *, wide: bool) -> list[bytes]:
    begins = folding.bounds([len(one.terms) for one in faces])
    said = _joined([one.said for one in faces])
    often = np.flatnonzero(said != _ONCE)
    cuts = often.searchsorted(begins)
    small = (often - np.repeat(begins[:-1], np.diff(cuts)), said.take(often).astype(np.intp), _tops(faces, begins))
    type_, size = ("I", 4) if wide else ("B", 1)
    places, counts, tops = (part.astype(type_).tobytes() for part in small)
    found, top = [], 0
    terms = packing.packed([one.terms for one in faces])
    for one, (upper, lower), (start, end) in zip(faces, terms, pairwise((size * cuts).tolist()), strict=True):
        head = _HEADS[wide].pack(
            one.han | _WIDE * wide, VERSION, len(one.weightiest),
            round(one.norm * 1000), round(one.title_weight * 1000), one.days,
            len(upper), len(lower), len(one.numbers), len(one.title_numbers), len(one.names), end - start,
        )  # fmt: skip
        hashes, names = array("I", [*one.numbers, *one.title_numbers]).tobytes(), array("H", one.names).tobytes()
        last = top + size * len(one.weightiest)
        found.append(
            b"".join((head, upper, lower, hashes, names, places[start:end], counts[start:end], tops[top:last]))
        )
        top = last
    return found


def _tops(faces: Sequence[Face], begins: Indexes) -> Indexes:
    """The places of the weightiest terms among the terms of each."""
    sizes = np.diff(begins)
    counts = [len(one.weightiest) for one in faces]
    wanted = np.array(list(chain.from_iterable(one.weightiest for one in faces)), dtype=U64)
    owners = np.arange(len(faces), dtype=U64) << U64(32)
    every = np.repeat(owners, sizes) | _joined([one.terms for one in faces])
    found: Indexes = every.searchsorted(np.repeat(owners, counts) | wanted) - np.repeat(begins[:-1], counts)
    return found


def _tops_and_names(data: bytes, terms: Hashes) -> tuple[tuple[int, ...], frozenset[int]]:
    wide = bool(data[0] & _WIDE)
    *_, names, often, _, tops = _cuts(_HEADS[wide].size, *_HEADS[wide].unpack_from(data)[6:])
    places = np.frombuffer(data, "<u4" if wide else "u1", offset=tops).astype(np.intp)
    return tuple(terms.take(places).tolist()), frozenset(array("H", data[names:often]))


def unpacked(data: bytes, when: datetime) -> Face:
    """The face from `packed`."""
    return unpacked_all([(data, when.timestamp())])[0]


def unpacked_all(every: Sequence[tuple[bytes, float]]) -> list[Face]:
    """The faces from `packed` and the seconds since 1970 of when they count as published."""
    if any(data[0] & _WIDE for data, _ in every):
        return [_unpacked([one], wide=bool(one[0][0] & _WIDE))[0] for one in every]
    return _unpacked(every, wide=False)


def remembered(rows: Mapping[int, tuple[bytes, float]]) -> dict[int, Face]:
    """The same by number of the article. The last ones are kept: the same are compared with many that come."""
    return _READ.of(rows)


def _unpacked(every: Sequence[tuple[bytes, float]], *, wide: bool) -> list[Face]:
    heads = [_HEADS[wide].unpack_from(data) for data, _ in every]
    cuts = [_cuts(_HEADS[wide].size, *head[6:]) for head in heads]
    rows = packing.unpacked(
        [(data[at[0] : at[1]], data[at[1] : at[2]]) for (data, _), at in zip(every, cuts, strict=True)]
    )
    begins = folding.bounds(list(map(len, rows)))
    often = [data[at[4] : at[5]] for (data, _), at in zip(every, cuts, strict=True)]
    numbers = [data[at[5] : at[6]] for (data, _), at in zip(every, cuts, strict=True)]
    type_ = np.dtype("<u4" if wide else "u1")
    said = np.full(begins[-1], _ONCE, dtype=type_)
    sizes = [len(places) // type_.itemsize for places in often]
    said[_read_as(type_, often) + np.repeat(begins[:-1], sizes)] = _read_as(type_, numbers)
    columns = zip(every, heads, cuts, rows, pairwise(begins.tolist()), strict=True)
    return [
        Face(
            bool(head[0] & 1), when, said[start:end], terms, head[3] / 1000, head[4] / 1000,
            _numbers(data, at[2], head[8]), _numbers(data, at[2] + 4 * head[8], head[9]), head[5], None, data,
        )
        for (data, when), head, at, terms, (start, end) in columns
    ]  # fmt: skip


def _read_as(type_: np.dtype[Any], parts: Sequence[bytes]) -> npt.NDArray[Any]:
    return np.frombuffer(b"".join(parts), dtype=type_)


def _numbers(data: bytes, start: int, size: int) -> frozenset[int]:
    return frozenset(array("I", data[start : start + 4 * size])) if size else _NO_NUMBERS


_NO_NUMBERS: frozenset[int] = frozenset()


def _cuts(start: int, upper: int, lower: int, numbers: int, in_title: int, names: int, often: int) -> tuple[int, ...]:
    """Where the parts begin: the upper and lower bytes of terms, the numbers, the names, which terms are not said once,
    how often these are said, and which are the weightiest.
    """
    first = start + upper
    second = first + lower
    third = second + 4 * (numbers + in_title)
    fourth = third + 2 * names
    return start, first, second, third, fourth, fourth + often, fourth + 2 * often


_READ = packing.Remembered(unpacked_all, 8192)


# --- what terms weigh -------------------------------------------------------------------------------------------


@cache
def _rarities() -> npt.NDArray[np.uint8]:
    """The logarithm of one in how many articles holds a term, in parts of 32, by the upper bits of its hash; 7.6 for
    unseen ones.
    """
    data = zlib.decompress((files("aggregator.dedup") / "frequencies.bin").read_bytes())
    return np.frombuffer(data, dtype=np.uint8)


def rarities_of(terms: Hashes) -> npt.NDArray[np.float64]:
    """How rare each of these terms is."""
    return _rarities().take(terms >> U32(SHIFT)).astype(np.float64) / 32


_LOGS = 1 + np.log(np.maximum(np.arange(FITS // 2), 1))


def weights_of(said: Said, rarities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What terms weigh that are said so often, as it stands in `Face.said`, and are so rare, in parts of `FINE`."""
    counts = said >> 1
    logs = _LOGS.take(counts) if said.dtype == np.uint8 else 1 + np.log(counts)
    weights: npt.NDArray[np.float64] = np.rint(logs * rarities * FINE)
    return weights
