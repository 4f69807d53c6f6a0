"""The same text in another place: fingerprints, and the judgement on two texts.

    mine = fingerprint(text)           what is kept of a text: keys to look up, a sample, its numbers
    likeness = judge(mine, theirs, texts)   None, or how much of the shorter text stands in the longer

The judgement is symmetric and depends on the two texts alone, never on what else has been read: groups built from it
are the same whatever order articles arrive in. All of it works on the letters and digits of the folded text, so
script, case, width, spaces, punctuation, zero-width characters and ornaments do not exist.

Texts are cut into overlapping pieces (shingles; Broder 1997): small ones measure containment, large ones find
candidates. Of the large ones the smallest few hashes are the keys (bottom-k), with some from the beginning, so that a
copy cut to its first third still meets its original; of the small ones the 160 smallest hashes are the sample. The
sample decides clear cases; where it leaves a doubt, the texts themselves are compared, sentence by sentence.

A frame with other numbers is another bulletin (weather, quotations, daily counts): each number is kept with the
characters around it, and two texts whose numbers differ in the same surroundings are not reprints.

Measured on 1,020 articles of eleven outlets and on the synthetic workload: see `benchmarks/duplicates.py`.
"""

# ruff: noqa: PLR2004 - the shares of `_Kept` are the rules themselves and say nothing elsewhere

from __future__ import annotations

import re
import zlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from aggregator.dedup import folding
from aggregator.dedup.folding import U32, Hashes
from aggregator.dedup.shared import shared
from aggregator.text import sentences

SAMPLE = 160
"""Hashes in a sample: at a true containment of 0.7 the estimate errs by 0.036."""
FEWEST_KEYS, MOST_KEYS = 8, 24
"""Keys of a text, one for each 100 letters (300 Latin ones): a copy of a third shares one with 0.999."""
LEAD_KEYS, LEAD = 4, 80
"""Further keys, and the letters from the beginning that they come from (three times as many Latin ones)."""
SHORTEST = 24
"""Letters under which a text is too short to be told from a phrase."""

COPY = 0.60
"""Share of the shorter text that makes a copy. Among labelled pairs, 0.57 is the highest that is none."""
COPY_OF_PART = 0.68
"""The same for a text of which the longer one is only in part: an update that repeats half of an older report is none."""
SURE_COPY, SURE_OTHER = 0.72, 0.27
"""Outside of these the sample decides; between them the texts are compared."""
DOUBT, LATIN_DOUBT = 0.36, 0.30
"""Below this share two texts are two texts; above it the sentences are looked at (`_Kept`)."""
PART = 0.6
"""A copy less than so long as the other text is an excerpt of it. Two texts of which a third holds both whole cannot
both be longer than that, so what holds only for copies never joins the items of a round-up."""

BLOCK, REACH = 1 << 16, 19
"""Letters whose shingles are made at once (of a text of millions all at once would take 28 bytes a letter), and how many
further ones a shingle reaches.
"""
VERSION = 1
"""Of what `packed` gives; goes up when fingerprints are made in another way."""
_M1, _M2, _M3, _M4, _M5 = (U32(number) for number in (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1))
_NUMBER = re.compile(r"(\d+)")
# Of Latin letters: words with capitals inside a sentence, numbers, and rows of words with capitals at a line's start.
# The one set of characters in front lets the search skip all others, which takes half of its time.
_NAME = re.compile(
    r"[A-Z\d](?:(?<=[a-z,] [A-Z])[\w'-]*(?: [A-Z][\w'-]*)*|(?<=\d)(?<![\w.,]\d)[\d.,]*|(?<=^[A-Z])[\w'-]*(?: [A-Z][\w'-]*)+)",
    re.MULTILINE,
)
# A short last line says who edited the copy.
_CREDIT_LETTERS = 24
_CREDIT = re.compile(r"\n[^\n]{1,80}\Z")


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """What is kept of a text. `keys` are signed 32-bit numbers; `sample` holds, ascending, every small hash up to its
    largest (all of them when `whole`); `slots` joins the hash of a number's surroundings (the upper 16 bits, kept in
    `places` too) with that of the number.
    """

    han: bool
    length: int
    keys: tuple[int, ...]
    sample: Hashes
    whole: bool
    slots: frozenset[int]
    places: frozenset[int]

    def packed(self) -> bytes:
        """About 700 bytes for a text of 1,000 characters."""
        words = [self.length << 2 | self.han << 1 | self.whole, len(self.sample), len(self.keys) | VERSION << 16]
        keys = (key + (1 << 31) for key in self.keys)
        return array("I", words).tobytes() + self.sample.tobytes() + array("I", [*keys, *self.slots]).tobytes()


@lru_cache(maxsize=4096)
def unpacked(data: bytes) -> Fingerprint:
    """The fingerprint from `packed`. The last ones are kept: the same articles are compared with many that come."""
    words = array("I", data)
    flags, size, keys = words[0], words[1], words[2] & 0xFFFF
    keys_end = 3 + size + keys
    slots = frozenset(words[keys_end:])
    return Fingerprint(
        han=bool(flags & 2),
        length=flags >> 2,
        keys=tuple([key - (1 << 31) for key in words[3 + size : keys_end]]),
        sample=np.frombuffer(data, U32, size, 12),
        whole=bool(flags & 1),
        slots=slots,
        places=frozenset([slot >> 16 for slot in slots]),
    )


def is_current(data: bytes) -> bool:
    """Whether this is what `packed` gives now; earlier versions wrote the sample in no order."""
    return data[10] == VERSION


HEADING = 16
"""Bytes at the beginning of `packed` that `length_and_tie` reads."""


def length_and_tie(heading: bytes) -> tuple[int, int]:
    """The length of a text, and its smallest hash to choose between texts that are otherwise equal, from the first
    HEADING bytes of `packed`.
    """
    flags, size, _, *first = array("I", heading)
    return flags >> 2, first[0] if size else 0


@dataclass(frozen=True, slots=True)
class Likeness:
    """`share` of the shorter text stands in the longer one, and `of_longer` is what that makes of the longer."""

    share: float
    of_longer: float

    @property
    def excerpt(self) -> bool:
        """Whether the longer text says much more: then it may hold other texts too (a round-up)."""
        return self.of_longer < PART * self.share


def letters(text: str) -> str:
    """The letters and digits of the text, folded.

    >>> letters("「氣候」 2,000 萬 ＣＯＰ")
    '气候2000万cop'
    """
    return folding.text_of(folding.only_letters(text))


def fingerprint(text: str) -> Fingerprint:
    """The fingerprint of an article's plain text."""
    folded = folding.letters(text)
    letter = folded > 1
    codes = folded[letter]
    said = folding.text_of(codes)
    han = bool(np.count_nonzero(codes > 0x2E7F) * 4 >= len(codes))
    sample, whole, keys = _smallest_shingles(codes, han=han)
    slots = _han_slots(said) if han else _latin_slots(text, said, letter)
    places = frozenset([slot >> 16 for slot in slots])
    return Fingerprint(han, len(said), keys, sample, whole, slots, places)


def _smallest_shingles(codes: Hashes, *, han: bool) -> tuple[Hashes, bool, tuple[int, ...]]:
    """The sample, whether it is whole, and the keys; a long text goes block by block, each with the letters that a
    shingle of its last letter reaches.
    """
    blocks = [codes[at : at + BLOCK + REACH] for at in range(0, max(len(codes) - REACH, 1), BLOCK)]
    samples, keys, first, number = [], [], codes[:0], 0
    for block in blocks:
        small, large = _shingles(block, han=han)
        small, large = (small[:BLOCK], large[:BLOCK]) if block is not blocks[-1] else (small, large)
        first = first if number else large
        samples.append(np.partition(small, SAMPLE)[:SAMPLE] if len(blocks) > 1 and len(small) > SAMPLE else small)
        keys.append(
            np.partition(large, MOST_KEYS)[:MOST_KEYS] if len(blocks) > 1 and len(large) > MOST_KEYS else large
        )
        number += len(large)
    return *_sample(np.concatenate(samples)), _keys(np.concatenate(keys), first, number, han=han)


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
    hashes = hashes * U32(0x85EBCA6B)
    hashes = hashes ^ (hashes >> U32(13))
    hashes = hashes * U32(0xC2B2AE35)
    mixed: Hashes = hashes ^ (hashes >> U32(16))
    return mixed


def _sample(small: Hashes) -> tuple[Hashes, bool]:
    whole = len(small) <= SAMPLE
    smallest = np.sort(small if whole else np.partition(small, SAMPLE)[:SAMPLE])
    return smallest[np.concatenate(([True], smallest[1:] != smallest[:-1]))[: len(smallest)]], whole


def _keys(large: Hashes, first: Hashes, number: int, *, han: bool) -> tuple[int, ...]:
    """From the smallest of `number` hashes, and those of the first letters."""
    if not len(large):
        return ()
    unit = 100 if han else 300
    size = min(MOST_KEYS, max(FEWEST_KEYS, number // unit))
    chosen = {*_smallest(large, size), *_smallest(first[: LEAD * unit // 100], LEAD_KEYS)}
    return tuple(sorted(key - (1 << 31) for key in chosen))


def _smallest(hashes: Hashes, size: int) -> list[int]:
    found: list[int] = (np.partition(hashes, size - 1)[:size] if len(hashes) > size else hashes).tolist()
    return found


def _han_slots(said: str) -> frozenset[int]:
    """Each number with its surroundings, four characters before and two after; other numbers in them left out."""
    parts = _NUMBER.split(said[:-_CREDIT_LETTERS] if len(said) > 10 * _CREDIT_LETTERS else said)
    return frozenset(
        _slot(f"{parts[at - 1][-4:]}#{parts[at + 1][:2]}", parts[at])
        for at in range(1, len(parts), 2)
        if len(parts[at - 1]) >= 3
    )


def _latin_slots(text: str, said: str, letter: npt.NDArray[np.bool_]) -> frozenset[int]:
    """The same for Latin letters, where names fill slots too (`the council of Geneva`) and surroundings are three times
    as long. `letter` says of each character of the text whether it is in `said`.
    """
    credit = _CREDIT.search(text)
    last = credit.start() if credit else len(text)
    spans = [at.span() for at in _NAME.finditer(text, 0, last)]
    if not spans:
        return frozenset()
    before = np.concatenate(([0], np.cumsum(letter)))
    ends = np.array(spans)
    around = np.stack((ends[:, 0] - 18, ends[:, 0], ends[:, 1], ends[:, 1] + 8), axis=1)
    slots = set()
    for earliest, start, end, final in before[around.clip(0, last)].tolist():
        first = max(earliest, start - 12)
        if start - first >= 8:
            slots.add(_slot(f"{said[first:start]}#{said[end : min(final, end + 6)]}", said[start:end]))
    return frozenset(slots)


def _slot(surroundings: str, number: str) -> int:
    return _short_hash(surroundings) << 16 | _short_hash(number)


def _short_hash(said: str) -> int:
    return zlib.crc32(said.encode("utf-8", "surrogatepass")) & 0xFFFF


def judge(a: Fingerprint, b: Fingerprint, texts: Callable[[], tuple[str, str]]) -> Likeness | None:
    """How the two texts are one, or None. `texts` gives both; called only where the samples leave a doubt."""
    return judge_all(a, [b], lambda _: texts())[0]


def judge_all(
    one: Fingerprint, others: Sequence[Fingerprint], texts: Callable[[int], tuple[str, str]]
) -> list[Likeness | None]:
    """The judgement on one text with each of the others; `texts` gives its text and that of the other of this index."""
    found: list[Likeness | None] = [None] * len(others)
    near = [
        at for at, other in enumerate(others) if one.han == other.han and min(one.length, other.length) >= SHORTEST
    ]
    for at, share in zip(near, _sampled_shares(one, [others[at] for at in near]), strict=True):
        if share >= SURE_OTHER and not _other_numbers(one, others[at], copy=share >= COPY):
            found[at] = _sure(one, others[at], share) if share >= SURE_COPY else compare(*texts(at))
    return found


def _sure(a: Fingerprint, b: Fingerprint, share: float) -> Likeness:
    ratio = min(a.length, b.length) / max(a.length, b.length)
    return Likeness(round(share, 3), round(share * ratio, 3))


def _sampled_shares(one: Fingerprint, others: Sequence[Fingerprint]) -> list[float]:
    """Estimates of the share of the shorter text in the longer, from the hashes that both samples must hold."""
    if not others or not len(one.sample):
        return [0.0] * len(others)
    samples = [other.sample for other in others]
    _, who, _ = shared(one.sample, samples)
    hits = np.bincount(who, minlength=len(others))
    shorter = np.array([_is_shorter(one, other) for other in others])
    # What of the shorter one's sample the longer one's would hold too, if it stood there.
    limits = np.array([_limit(other) for other in others], dtype=U32)
    mine = np.searchsorted(one.sample, limits, side="right")
    every = np.concatenate(samples)
    sizes = np.array([len(sample) for sample in samples])
    theirs = np.bincount(np.repeat(np.arange(len(others)), sizes), every <= _limit(one), len(others))
    counts = np.where(shorter, mine, theirs)
    shares: list[float] = (hits / np.maximum(counts, 1)).tolist()
    return shares


def _is_shorter(one: Fingerprint, other: Fingerprint) -> bool:
    if one.length == other.length:
        return bool(one.sample.tolist() <= other.sample.tolist())
    return one.length < other.length


def _limit(one: Fingerprint) -> np.uint32:
    """Every small hash of the text up to this one is in the sample."""
    limit: np.uint32 = U32(0xFFFFFFFF) if one.whole or not len(one.sample) else one.sample[-1]
    return limit


def _other_numbers(a: Fingerprint, b: Fingerprint, *, copy: bool) -> bool:
    """Whether the same surroundings hold other numbers too often: half as often as the same ones, or, in what
    otherwise looks like a copy, as often, or, among names too, a fifth as often.
    """
    agree, differ = conflicts(a, b)
    if copy and differ:
        return differ >= agree or (not a.han and differ * 5 >= agree) or (differ >= 2 and differ * 2 > agree)
    return differ >= 2 and differ * 2 > agree


def conflicts(a: Fingerprint, b: Fingerprint) -> tuple[int, int]:
    """How many surroundings hold the same number in both texts, and how many hold different ones."""
    common = len(a.places & b.places)
    agree = len({slot >> 16 for slot in a.slots & b.slots}) if common else 0
    return agree, common - agree


def compare(one: str, other: str) -> Likeness | None:
    """The judgement from the texts themselves; numbers are not looked at here."""
    short, long = sorted((letters(one), letters(other)), key=lambda said: (len(said), said))
    han = _is_han(long)
    size = 4 if han else 8
    pieces = _pieces(long, size)
    mine = _pieces(short, size)
    if not mine:
        return None
    share = len(mine & pieces) / len(mine)
    of_longer = share * len(short) / len(long)
    likeness = Likeness(round(share, 3), round(of_longer, 3))
    if share >= (COPY_OF_PART if likeness.excerpt else COPY):
        return likeness
    if share < (DOUBT if han else LATIN_DOUBT):
        return None
    kept = _kept(one if letters(one) == short else other, long, han=han)
    return likeness if kept.rewritten(share, of_longer, han=han) or kept.retold(share, of_longer) else None


@dataclass(frozen=True, slots=True)
class _Kept:
    """What became of the shorter text's sentences in the longer one, as shares of its letters: `whole` in sentences
    kept, `told` in sentences of which four tenths are there, `gap` in the longest run without a kept one; `blocks`
    counts the runs of kept ones, `sentences` all of them.
    """

    whole: float
    told: float
    gap: float
    blocks: int
    sentences: int

    def rewritten(self, share: float, of_longer: float, *, han: bool) -> bool:
        """Old and new sentences by turns, from beginning to end. One long quotation is a single block."""
        if not han:
            spread = (self.gap <= 0.4 and self.blocks >= 3) or (
                self.gap <= 0.5 and self.blocks >= 2 and of_longer >= 0.35
            )
            return self.whole >= 0.33 and of_longer >= 0.25 and (spread or of_longer >= 0.46)
        spread = (self.gap <= 0.4 and self.blocks >= 3) or (self.gap <= 0.5 and self.blocks >= 2 and of_longer >= 0.38)
        return share >= DOUBT and self.whole >= 0.36 and of_longer >= 0.28 and spread

    def retold(self, share: float, of_longer: float) -> bool:
        """Each sentence in other words: two editors, or two translators, of one text. A few sentences that a long
        report says too are no proof of it.
        """
        return (
            share >= 0.44 and self.told >= 0.84 and (of_longer >= 0.42 or (of_longer >= 0.2 and self.sentences >= 8))
        )


def _kept(text: str, long: str, *, han: bool) -> _Kept:
    size = 3 if han else 6
    there = _pieces(long, size)
    total = whole = told = gap = run = blocks = number = 0
    before = False
    for start, end in sentences(text):
        sentence = letters(text[start:end])
        if len(sentence) < 2 * size:
            continue
        mine = _pieces(sentence, size)
        found = len(mine & there) / len(mine)
        kept = found >= 0.75
        number += 1
        total += len(sentence)
        whole += len(sentence) if kept else 0
        told += len(sentence) if found >= 0.4 else 0
        run = 0 if kept else run + len(sentence)
        gap = max(gap, run)
        blocks += kept and not before
        before = kept
    return _Kept(whole / total, told / total, gap / total, blocks, number) if total else _Kept(0, 0, 1, 0, 0)


def _is_han(said: str) -> bool:
    return sum(1 for char in said[:2000] if char > "\u2e7f") * 4 >= min(len(said), 2000)


def _pieces(said: str, size: int) -> set[str]:
    return {said[at : at + size] for at in range(len(said) - size + 1)}


# --- what a reprint changed -------------------------------------------------------------------------------------


class Change(StrEnum):
    """What happened to a sentence between the original and the reprint."""

    CUT = "cut"
    ADDED = "added"
    REWORDED = "reworded"


Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Changed:
    """One changed sentence: its span in the original (None when added) and in the reprint (None when cut);
    `evidence` says that the original sentence carried one of the given spans.
    """

    change: Change
    original: Span | None
    reprint: Span | None
    evidence: bool = False


def changes(original: str, reprint: str, evidence: Sequence[Span] = ()) -> tuple[Changed, ...]:
    """The sentences that a reprint cut, added or reworded, in the order of the original, additions last.

    Script, punctuation, spaces and moved line breaks are no change. `evidence` holds spans of the original.
    """
    left = _unmatched(original, reprint)
    right = _unmatched(reprint, original)
    partners = _partners([pieces for _, pieces in left], [pieces for _, pieces in right])
    said = [
        Changed(
            Change.REWORDED if at in partners else Change.CUT,
            span,
            right[partners[at]][0] if at in partners else None,
            any(start < span[1] and span[0] < end for start, end in evidence),
        )
        for at, (span, _) in enumerate(left)
    ]
    taken = set(partners.values())
    added = [Changed(Change.ADDED, None, span) for at, (span, _) in enumerate(right) if at not in taken]
    return (*said, *added)


def _unmatched(text: str, other: str) -> list[tuple[Span, set[str]]]:
    """The sentences of `text` that do not stand in `other`, each with its pieces."""
    there = letters(other)
    found = []
    for start, end in sentences(text):
        sentence = letters(text[start:end])
        if sentence and sentence not in there:
            found.append(((start, end), _pieces(sentence, 2) or {sentence}))
    return found


def _partners(left: list[set[str]], right: list[set[str]]) -> dict[int, int]:
    """Pairs of sentences that share half of the shorter one's pieces, the closest first."""
    scored = sorted(
        (
            (len(mine & theirs) / min(len(mine), len(theirs)), -abs(at - against), at, against)
            for at, mine in enumerate(left)
            for against, theirs in enumerate(right)
            if 2 * len(mine & theirs) >= min(len(mine), len(theirs))
        ),
        reverse=True,
    )
    pairs: dict[int, int] = {}
    for _, _, at, against in scored:
        if at not in pairs and against not in pairs.values():
            pairs[at] = against
    return pairs
