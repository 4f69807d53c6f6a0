"""The catalogue turned into one automaton: every word of every cue has bits, a sentence is the sum of its words.

A group of words of a cue is one bit (`3 of …` gives each word its own), a name is the bit of its agreement. Whether
a cue matches is then a comparison of whole numbers, and one Aho-Corasick pass finds all words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import ahocorasick_rs

from aggregator.catalogue import Agreement, Catalogue, Clause, spelled
from aggregator.cue import Cue, Group, endings
from aggregator.tag import taiwan
from aggregator.tag.view import normal


@dataclass(frozen=True, slots=True)
class Rule:
    """A cue in bits: `here` must stand in the sentence, `near` there or beside it, `anywhere` in the article, `against` nowhere in it,
    `against_near` not beside it either.
    """

    cue: Cue
    anchor: int
    here: int
    near: int
    anywhere: int
    against: int
    against_near: int
    counts: tuple[tuple[int, int, bool], ...] = ()

    def matches(self, here: int, near: int, whole: int = -1) -> bool:
        """Whether it matches a sentence with these words, `near` being those of its neighbours and its own,
        `whole` those of the article.
        """
        return (
            not self.here & ~here
            and not self.near & ~near
            and not self.anywhere & ~whole
            and not self.against & here
            and not self.against_near & near
            and all(
                (members & (near if beside else here)).bit_count() >= least for members, least, beside in self.counts
            )
        )

    @property
    def wanted(self) -> int:
        """All bits that speak for it."""
        found = self.here | self.near | self.anywhere
        for members, _least, _beside in self.counts:
            found |= members
        return found


@dataclass(frozen=True, slots=True)
class ClauseRules:
    """The rules of one clause."""

    clause: Clause
    cues: tuple[Rule, ...]
    hints: tuple[Rule, ...]
    otherwise: tuple[Rule, ...]
    covers: tuple[Rule, ...]
    against: tuple[Rule, ...]
    anchors: int


@dataclass(frozen=True, slots=True)
class AgreementRules:
    """One agreement in bits: `named` is its names' bit, `parties` those of its parties."""

    agreement: Agreement
    named: int
    parties: int
    former: int
    topic: int
    references: tuple[Rule, ...]
    unless: tuple[Rule, ...]
    recall: tuple[Rule, ...]
    clauses: tuple[ClauseRules, ...]


@dataclass(slots=True)
class _Bits:
    """Gives bits to groups of words, the same bit to the same words."""

    masks: dict[str, list[int]] = field(default_factory=dict)
    given: dict[frozenset[str], int] = field(default_factory=dict)

    def bit(self, words: Iterable[str]) -> int:
        key = frozenset(form for word in words for form in endings(word))
        if key not in self.given:
            self.given[key] = bit = 1 << len(self.given)
            for word in key:
                if bare := normal(word.rstrip("*")):
                    self.masks.setdefault(bare, [0, 0])[word.endswith("*")] |= bit
        return self.given[key]

    def mark(self, name: str) -> int:
        """A bit that no word has; context sets it."""
        return self.given.setdefault(frozenset({f"\0{name}"}), 1 << len(self.given))


class Lexicon:
    """What a catalogue's words are, and where they stand in a view."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._bits = _Bits()
        shared = {name: self._bits.bit(words) for name, words in catalogue.concepts.items()}
        self.concept = shared
        self.unnamed = self._bits.mark("unnamed")
        self.agreements = tuple(self._agreement(one) for one in catalogue.agreements)
        self._blocks = {normal(phrase) for one in catalogue.agreements for phrase in one.lookalikes}
        # What a name is made of says nothing of a clause: `强化气候行动` in the declaration's own title.
        self._names = {normal(name) for one in catalogue.agreements for name in one.names}
        regional = self._regional()
        for phrase in self._blocks:
            self._bits.masks.setdefault(phrase, [0, 0])
        self._words = [
            (
                exact | prefix,
                prefix,
                word[0].isascii() and word[0].isalnum(),
                word[-1].isascii() and word[-1].isalnum(),
                word in self._blocks,
                word in self._names,
            )
            for word, (exact, prefix) in self._bits.masks.items()
        ]
        self._automaton = ahocorasick_rs.AhoCorasick(list(self._bits.masks), store_patterns=False)
        self._gate_masks = self._gates(regional)
        self._gate = ahocorasick_rs.AhoCorasick(list(self._gate_masks), store_patterns=False)
        self._gate_bits = list(self._gate_masks.values())

    def _regional(self) -> dict[str, str]:
        """Give every word the bits of its form in Taiwan too; the forms that differ, by the word."""
        words = [word for word in {**self._bits.masks, **dict.fromkeys(self._blocks)} if not word.isascii()]
        self.chinese = tuple(words)
        forms = {word: form for word, form in taiwan.put(words).items() if form != word}
        for word in words:
            if (form := _TAIWAN.sub(lambda m: _SAID[m.group()], forms.get(word, word))) != word:
                forms[word] = form
        for word, form in forms.items():
            exact, prefix = self._bits.masks.get(word, (0, 0))
            mask = self._bits.masks.setdefault(form, [0, 0])
            mask[0] |= exact
            mask[1] |= prefix
        self._blocks |= {forms[word] for word in self._blocks if word in forms}
        self._names |= {forms[word] for word in self._names if word in forms}
        return forms

    def _gates(self, regional: Mapping[str, str]) -> dict[str, int]:
        """Words that let an article in: names (bit 0), topics (bit 1), and parties, a bit each, by bits."""
        found: dict[str, int] = {}

        def add(words: Iterable[str], bit: int) -> None:
            for word in (normal(form.rstrip("*")) for one in words for form in endings(one)):
                for form in {word, regional.get(word, word)}:
                    found[form] = found.get(form, 0) | bit

        parties = sorted({party for one in self.catalogue.agreements for party in one.parties})
        for one in self.catalogue.agreements:
            lists = {**self.catalogue.concepts, **one.concepts}
            add(one.names, _NAME)
            add(spelled(one.topic, lists), _TOPIC)
            for party in one.parties:
                add(lists[party.lower()], _TOPIC << 1 + parties.index(party))
        together = [
            sum({_TOPIC << 1 + parties.index(party) for party in one.parties})
            for one in self.catalogue.agreements
            if one.parties or one.references
        ]
        for name in ("both", "envoys"):
            add(self.catalogue.concepts[name], sum({bit for one in together for bit in _bits(one)}))
        self._together = [_TOPIC | one for one in dict.fromkeys(together)]
        return found

    def may_concern(self, words: int) -> bool:
        """Whether an article with these words can name or refer to any agreement, or be on its topic."""
        words |= self.unnamed
        return any(
            words & one.named or (one.parties and words & one.parties == one.parties) or live(one.references, words)
            for one in self.agreements
        )

    def opens(self, text: str) -> bool:
        """Whether a view holds an agreement's name, or a word of its topic and its parties: most articles end here."""
        seen = 0
        bits = self._gate_bits
        for index, _start, _end in self._gate.find_matches_as_indexes(text, overlapping=True):
            seen |= bits[index]
        return bool(seen & _NAME) or any(seen & wanted == wanted for wanted in self._together)

    def hits(self, text: str) -> tuple[list[tuple[int, int, int]], list[tuple[int, int]]]:
        """Words in a view as (start, end, bits), and the spans of look-alikes; words inside those are left out."""
        found, blocks, names = [], [], []
        words = self._words
        for index, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            mask, prefix, left, right, block, name = words[index]
            if left and start and (char := text[start - 1]).isascii() and char.isalnum():
                continue
            if right and not _ends(text, end):
                mask = prefix
            if block and not (right and not _ends(text, end)):
                blocks.append((start, end))
            if name and mask:
                names.append((start, end))
            if mask:
                found.append((start, end, mask))
        return (_outside(found, blocks + names, len(text)) if blocks or names else found), blocks

    def _agreement(self, one: Agreement) -> AgreementRules:
        names = {other.id: other.names for other in self.catalogue.agreements}
        lists = {**self.catalogue.concepts, **names, **one.concepts}
        parties = [self._bits.bit(lists[party.lower()]) for party in one.parties]
        compiled = _Compiler(self._bits, lists, parties, self._bits.mark(f"former {one.id}"), self.unnamed)
        clauses = tuple(compiled.clause(clause) for clause in one.clauses)
        return AgreementRules(
            agreement=one,
            named=self._bits.bit(one.names),
            parties=sum(set(parties)),
            former=compiled.former,
            topic=self._bits.bit(spelled(one.topic, lists)) if one.topic else 0,
            references=compiled.rules(one.references),
            unless=compiled.rules(one.unless),
            recall=compiled.rules(one.recall),
            clauses=clauses,
        )


def _outside(
    found: list[tuple[int, int, int]], whole: list[tuple[int, int]], length: int
) -> list[tuple[int, int, int]]:
    """Words that do not stand strictly inside one of these spans."""
    covered = bytearray(length)
    for start, end in whole:
        covered[start:end] = b"\1" * (end - start)
    return [
        (start, end, mask)
        for start, end, mask in found
        if not (covered[start] and covered[end - 1])
        or not any(s <= start and end <= e and (s, e) != (start, end) for s, e in whole)
    ]


def live(rules: Sequence[Rule], whole: int) -> tuple[Rule, ...]:
    """The rules that can match at all in an article with these words."""
    return tuple(
        rule for rule in rules if rule.anchor & whole and not (rule.here | rule.near | rule.anywhere) & ~whole
    )


def _ends(text: str, end: int) -> bool:
    """Whether a Latin word ends here, a plural's or possessor's s allowed."""
    rest = text[end : end + 3]
    for tail in ("", "s", "es"):
        if rest.startswith(tail) and not ((after := rest[len(tail) : len(tail) + 1]).isascii() and after.isalnum()):
            return True
    return False


# What OpenCC leaves as it is: 計畫 and 氣候變遷 (folded) are as common in Taiwan as its own choice.
_SAID = {"计划": "计画", "气候变化": "气候变迁"}
_TAIWAN = re.compile("|".join(_SAID))


_NAME, _TOPIC = 1, 2


def _bits(mask: int) -> Iterator[int]:
    while mask:
        yield mask & -mask
        mask &= mask - 1


def _place(group: Group) -> str:
    if group.against:
        return "against_near" if group.near else "against"
    return "near" if group.near else "anywhere" if group.anywhere else "here"


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Turns the cues of one agreement into rules."""

    bits: _Bits
    lists: dict[str, tuple[str, ...]]
    parties: list[int]
    former: int
    unnamed: int

    def clause(self, clause: Clause) -> ClauseRules:
        cues, hints, otherwise = self.rules(clause.cues), self.rules(clause.hints), self.rules(clause.otherwise)
        anchors = 0
        for rule in (*cues, *hints, *otherwise):
            anchors |= rule.anchor
        return ClauseRules(
            clause, cues, hints, otherwise, self.rules(clause.covers), self.rules(clause.against), anchors
        )

    def rules(self, cues: Sequence[Cue]) -> tuple[Rule, ...]:
        return tuple(self.rule(cue) for cue in cues)

    def rule(self, cue: Cue) -> Rule:
        sums = dict.fromkeys(("here", "near", "anywhere", "against", "against_near"), 0)
        counts, anchor = [], 0
        for group in cue.groups:
            if group.at_least > 1:
                members = sum({self.bits.bit(spelled((word,), self.lists)) for word in group.words})
                counts.append((members, group.at_least, group.near))
                mask = members
            else:
                mask = self.group(group)
                sums[_place(group)] |= mask
            anchor = anchor or mask
        return Rule(cue, anchor, **sums, counts=tuple(counts))

    def group(self, group: Group) -> int:
        if group.words == ("@parties",):
            return sum(set(self.parties))
        if group.words == ("@former",):
            return self.former
        if group.words == ("@unnamed",):
            return self.unnamed
        return self.bits.bit(spelled(group.words, self.lists))
