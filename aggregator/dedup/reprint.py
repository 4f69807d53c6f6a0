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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import itemgetter

import numpy as np

from aggregator.dedup import folding, pieces
from aggregator.dedup.folding import U32, Hashes
from aggregator.dedup.prints import (
    HEADING,
    Fingerprint,
    fingerprint,
    fingerprints,
    is_current,
    length_and_tie,
    remembered,
    unpacked,
    unpacked_all,
)
from aggregator.dedup.shared import shared
from aggregator.text import sentences

__all__ = [
    "HEADING", "Change", "Changed", "Fingerprint", "Likeness", "changes", "compare", "conflicts", "fingerprint",
    "fingerprints", "is_current", "judge", "judge_all", "length_and_tie", "letters", "remembered", "unpacked", "unpacked_all",
]  # fmt: skip

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


def judge(a: Fingerprint, b: Fingerprint, texts: Callable[[], tuple[str, str]]) -> Likeness | None:
    """How the two texts are one, or None. `texts` gives both; called only where the samples leave a doubt."""
    return judge_all([(a, b)], lambda _: texts())[0]


def judge_all(
    pairs: Sequence[tuple[Fingerprint, Fingerprint]], texts: Callable[[int], tuple[str, str]]
) -> list[Likeness | None]:
    """The judgement on the two texts of each of these pairs; `texts` gives those of the pair of this index. It takes less
    time where pairs of the same first one follow each other.
    """
    found: list[Likeness | None] = [None] * len(pairs)
    near = [at for at, (a, b) in enumerate(pairs) if a.han == b.han and min(a.length, b.length) >= SHORTEST]
    for start in range(0, len(near), _BLOCK):
        part = near[start : start + _BLOCK]
        for at, share in zip(part, _sampled_shares([pairs[at] for at in part]), strict=True):
            if share >= SURE_OTHER and not _other_numbers(*pairs[at], copy=share >= COPY):
                found[at] = _sure(*pairs[at], share) if share >= SURE_COPY else compare(*texts(at))
    return found


_BLOCK = 256
"""Pairs of which the samples are compared at once: what is made of them on the way stays near the processor."""


def _sure(a: Fingerprint, b: Fingerprint, share: float) -> Likeness:
    ratio = min(a.length, b.length) / max(a.length, b.length)
    return Likeness(round(share, 3), round(share * ratio, 3))


def _sampled_shares(pairs: Sequence[tuple[Fingerprint, Fingerprint]]) -> list[float]:
    """Estimates of the share of the shorter text in the longer, from the hashes that both samples must hold; 0 where it
    is certainly less than SURE_OTHER.
    """
    sets: list[tuple[Hashes, list[Hashes]]] = []
    for one, run in groupby(pairs, key=itemgetter(0)):
        sets.append((one.sample, [other.sample for _, other in run]))
    _, hits, _ = shared(sets)
    return [_share(*pair, number) if number else 0.0 for pair, number in zip(pairs, hits.tolist(), strict=True)]


def _share(one: Fingerprint, other: Fingerprint, hits: int) -> float:
    shorter, longer = (one, other) if _is_shorter(one, other) else (other, one)
    limit = _ALL if longer.whole or not len(longer.sample) else longer.sample[-1]
    enough = int(hits / SURE_OTHER) + 1
    if enough < len(shorter.sample) and shorter.sample[enough] <= limit:
        return 0.0
    # What of the shorter one's sample the longer one's would hold too, if it stood there.
    return hits / max(int(shorter.sample.searchsorted(limit, side="right")), 1)


_ALL = U32(0xFFFFFFFF)


def _is_shorter(one: Fingerprint, other: Fingerprint) -> bool:
    if one.length == other.length:
        return bool(one.sample.tolist() <= other.sample.tolist())
    return one.length < other.length


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
    if a.places.isdisjoint(b.places):
        return 0, 0
    agree = len({slot >> 16 for slot in a.slots & b.slots})
    return agree, len(a.places & b.places) - agree


def compare(one: str, other: str) -> Likeness | None:
    """The judgement from the texts themselves; numbers are not looked at here."""
    short, long = sorted((letters(one), letters(other)), key=lambda said: (len(said), said))
    codes = folding.codes_in(long)
    han = _is_han(codes)
    number, common = pieces.in_common(folding.codes_in(short), codes, 4 if han else 8)
    if not number:
        return None
    share = common / number
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


def _is_han(said: Hashes) -> bool:
    return int(np.count_nonzero(said[:2000] > 0x2E7F)) * 4 >= min(len(said), 2000)


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
