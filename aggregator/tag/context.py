"""Which agreement each sentence is about: named, referred to, or carried on from the sentences before.

A name speaks for its sentence and those that follow, until another agreement is named or the talk turns to something
else. A name that is only called back (`reaffirm`, `build on`) leaves the agreement that is talked about in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import IntEnum

from aggregator.tag.lexicon import AgreementRules, Lexicon, Rule, live

EARLY = timedelta(hours=48)
PLACES = (
    "glasgow",
    "cop26",
    "shanghai",
    "california",
    "cop28",
    "summit_meeting",
    "april_summit",
    "glasgow_ahead",
    "april",
    "november",
)
LEAD = 2  # sentences in which an article says what it is about
REACH = 1  # sentences that a passing mention is carried on
FOCUS = 2  # mentions that make an agreement an article's subject


class Level(IntEnum):
    """How firmly a sentence is tied to an agreement."""

    NONE = 0
    CARRIED = 1
    ATTRIBUTED = 2
    NAMED = 3


@dataclass(slots=True)
class Sentence:
    """One sentence of a view: its span, its words in bits (`said`; without the `denied` ones
    `words`), and what it is about.
    """

    start: int
    end: int
    in_title: bool = False
    question: bool = False
    words: int = 0
    said: int = 0
    denied: int = 0
    hits: list[tuple[int, int, int]] = field(default_factory=list)
    about: dict[int, Level] = field(default_factory=dict)
    breaks: bool = False
    item: bool = False
    latin: bool = False


def early(published: datetime | None, rules: AgreementRules) -> bool:
    """Whether an article's date is so long before the agreement's that it cannot discuss it; an implausible
    date (before 1995, or naive) decides nothing.
    """
    if published is None or rules.agreement.published is None or published.year < 1995:  # noqa: PLR2004 - before the web
        return False
    if published.tzinfo is None:
        published = published.replace(tzinfo=UTC)
    return published < datetime.combine(rules.agreement.published, time(), UTC) - EARLY


def identify(sentences: Sequence[Sentence], lexicon: Lexicon, published: datetime | None) -> list[set[int]]:
    """For every sentence the agreements (by index) that it names or unmistakably refers to."""
    title = sentences[0].said if sentences and sentences[0].in_title else 0
    # What only looks back (`in 2021 the two had issued ...`) lends its place and time to no other sentence.
    looks_back, document = lexicon.concept["background"], lexicon.concept["document"]
    places = 0
    for name in PLACES:
        places |= lexicon.concept[name]
    lent = [_lent(one, places) if one.said & looks_back and one.said & document else one.said for one in sentences]
    around = [_around(lent, place, 2) | one.said | title for place, one in enumerate(sentences)]
    found = _named(sentences, lexicon, published)
    every = _around([one.said for one in sentences], 0, len(sentences))
    whole = _around(lent, 0, len(sentences)) | (0 if any(found) else lexicon.unnamed)
    topic = lexicon.concept["climate_word"]
    near = [_together(found, place, 2) for place in range(len(sentences))]
    for index, rules in enumerate(lexicon.agreements):
        references = live(rules.references, every | whole)
        if not references or early(published, rules):
            continue
        for place, sentence in enumerate(sentences):
            # Beside another agreement's name only parties and topic may come from around the sentence.
            words = around[place]
            if near[place] - {index}:
                words = sentence.said | words & (rules.parties | topic)
            if (
                index not in found[place]
                and _refers(references, sentence.said, words, whole | sentence.said)
                and not _means_other(rules, words)
            ):
                found[place].add(index)
    return found


def _lent(one: Sentence, places: int) -> int:
    words = 0
    for _start, _end, mask in one.hits:
        if not mask & places:
            words |= mask
    return words


def _named(sentences: Sequence[Sentence], lexicon: Lexicon, published: datetime | None) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in sentences]
    for index, rules in enumerate(lexicon.agreements):
        if early(published, rules):
            continue
        for place, sentence in enumerate(sentences):
            if sentence.said & rules.named and not _means_other(rules, sentence.said):
                found[place].add(index)
    return found


def _means_other(rules: AgreementRules, words: int) -> bool:
    return any(rule.matches(words, words) for rule in rules.unless)


def _together(found: Sequence[set[int]], place: int, reach: int) -> set[int]:
    if not any(found):
        return set()
    return {one for names in found[max(0, place - reach) : place + reach + 1] for one in names}


def _refers(rules: Sequence[Rule], here: int, around: int, whole: int) -> bool:
    return any(rule.anchor & here and rule.matches(here, around, whole) for rule in rules)


def _around(masks: Sequence[int], place: int, reach: int) -> int:
    words = 0
    for mask in masks[max(0, place - reach) : place + reach + 1]:
        words |= mask
    return words


class Follow:
    """Carries agreements on from sentence to sentence; `settle` fills `about` of each."""

    def __init__(self, sentences: Sequence[Sentence], named: list[set[int]], lexicon: Lexicon) -> None:
        self.sentences = sentences
        self.named = named
        self.lexicon = lexicon
        concept = lexicon.concept
        self.doc = concept["document"]
        self.both = concept["attributed"]
        self.declaration, self.statement = concept["declaration"], concept["statement"]
        self.others, self.says = concept["others"], concept["says"]
        self.demands, self.wishes = concept["demands"], concept["wishes"]
        self.undertaken = concept["undertake"]
        self.background, self.latest = concept["background"], concept["latest_document"]
        self.undertakes = concept["undertake"] | concept["targets"] | concept["look_forward"] | concept["recall"]
        self.focus: set[int] = set()
        self.seen = sorted({one for names in named for one in names})
        self.kinds = {i: self._kind(i) for i in self.seen}
        self.ordinals = [concept[name] for name in ("first_document", "second_document", "third_document")]

    def _kind(self, index: int) -> int:
        name = " ".join(self.lexicon.agreements[index].agreement.name.values()).lower()
        return self.declaration if "declaration" in name or "宣言" in name else self.statement

    def settle(self) -> None:
        """Decide what every sentence is about."""
        if not self.seen:
            return
        self.focus = focus = {one for one in self.seen if self._in_focus(one)}
        current: set[int] = set()
        since = REACH + 1
        in_list = listed = False
        base: set[int] = set()
        first = next(place for place, names in enumerate(self.named) if names)
        primary = self._primary()
        for place, sentence in enumerate(self.sentences):
            in_list = in_list or sentence.item
            if sentence.breaks or (sentence.item and listed and not self.named[place]):
                current = set() if sentence.breaks else base
            if self.named[place]:
                before, current = current, self._turn(current, place, sentence)
                # Named within an item of a list: the next item is about what was talked about before the list.
                if in_list and not listed and current != before:
                    listed, base = True, before
                since = 0
                level = Level.NAMED
            else:
                current = self._after(current, place) if place > first else current
                level = self._level(sentence)
                since = 0 if level == Level.ATTRIBUTED else since + 1
            about = current
            if place < first:
                told = self._announces(primary, sentence)
                if told and sentence.said & self.doc:
                    current, since = {primary}, 0
                about = {primary} if told or (sentence.in_title and primary in focus) else current
            for one in about:
                if level > Level.CARRIED or (level and (one in focus or since <= REACH)):
                    sentence.about[one] = level

    def _announces(self, one: int, sentence: Sentence) -> bool:
        """Whether a sentence before the first name speaks of what is named later: its parties, and a document
        or, where the agreement is named in so many words, its topic.
        """
        rules = self.lexicon.agreements[one]
        titled = self.sentences[0].in_title and self._parties(one, self.sentences[0])
        if not self._parties(one, sentence) and not (titled and sentence.said & self.both):
            return False
        said = rules.named | self.doc
        named = any(
            one in names and other.said & said for names, other in zip(self.named, self.sentences, strict=True)
        )
        return bool(sentence.said & (self.doc | (rules.topic if named else 0)))

    def _primary(self) -> int:
        counts = {one: sum(one in names for names in self.named) for one in self.seen}
        return max(self.seen, key=lambda one: (counts[one], one))

    def _in_focus(self, one: int) -> bool:
        lead = sum(sentence.in_title for sentence in self.sentences[:1]) + LEAD
        leading = (
            one in names and (s.in_title or not s.said & self.background or s.said & self.undertaken)
            for s, names in zip(self.sentences[:lead], self.named, strict=False)
        )
        if any(leading):
            return True
        first = next(place for place, names in enumerate(self.named) if one in names)
        later = sum(
            bool(s.said & (self.declaration | self.statement)) or one in names
            for s, names in zip(self.sentences[first + 1 :], self.named[first + 1 :], strict=True)
        )
        before = any(self._announces(one, sentence) for sentence in self.sentences[:first])
        return later >= FOCUS or before

    def _parties(self, one: int, sentence: Sentence) -> bool:
        parties = self.lexicon.agreements[one].parties
        return parties & sentence.said == parties

    def _lone(self, one: int, sentence: Sentence) -> bool:
        """Whether a sentence states a fact about one party and undertakes nothing."""
        parties = self.lexicon.agreements[one].parties & sentence.said
        whole = parties == self.lexicon.agreements[one].parties
        return bool(parties) and not whole and not sentence.said & self.undertakes

    def _level(self, sentence: Sentence) -> Level:
        others = sentence.said & self.others
        if others and sentence.said & self.demands and not sentence.said & self.says:
            return Level.NONE  # what others ask for is not what was agreed
        if sentence.said & self.wishes and not sentence.said & (self.both | self.says):
            return Level.NONE  # nor what one party asks of the other
        if sentence.said & (self.both | (self.says if others else self.doc)):
            return Level.ATTRIBUTED
        party = any(self.lexicon.agreements[one].parties & sentence.said for one in self.seen)
        if len(self.seen) == 1 and self._lone(self.seen[0], sentence):
            return Level.NONE  # a fact about one of the parties
        return Level.NONE if others and not party else Level.CARRIED

    def _turn(self, current: set[int], place: int, sentence: Sentence) -> set[int]:
        """What is talked about once a sentence has named agreements."""
        names = self.named[place]
        current = self._ordinal(sentence) or current
        for one in (*names, *current):
            rules = self.lexicon.agreements[one]
            former = {i for i in names if self.lexicon.agreements[i].agreement.id in rules.agreement.builds_on}
            if not former:
                continue
            if one in names or any(rule.matches(sentence.said, sentence.said) for rule in rules.recall):
                sentence.words |= rules.former
            if (
                one in current
                and names <= former
                and sentence.words & rules.former
                and not self._speaks(sentence, former)
            ):
                return {one}
        leading = {
            one
            for one in names
            if not any(
                self.lexicon.agreements[one].agreement.id in self.lexicon.agreements[other].agreement.builds_on
                and any(rule.matches(sentence.said, sentence.said) for rule in self.lexicon.agreements[other].recall)
                for other in names
            )
        }
        return leading or set(names)

    def _speaks(self, sentence: Sentence, named: set[int]) -> bool:
        """Whether a document's name is itself the subject (`the Glasgow declaration says`)."""
        names = 0
        for one in named:
            names |= self.lexicon.agreements[one].named
        spoken = [(s, e) for s, e, mask in sentence.hits if mask & self.says]
        return any(s < a < e < b for s, e, mask in sentence.hits if mask & names for a, b in spoken)

    def _ordinal(self, sentence: Sentence) -> set[int]:
        """`The second document`, where an article is about several: they count in order of publication."""
        if len(self.seen) == 1:
            return set()
        if sentence.said & self.latest:
            return {self.seen[-1]}
        return {one for bit, one in zip(self.ordinals, self.seen, strict=False) if sentence.said & bit}

    def _after(self, current: set[int], place: int) -> set[int]:
        """What a sentence without a name is about; `that statement`, said of what was only called back in the
        sentence before, changes nothing.
        """
        found = self._other_kind(current, self.sentences[place])
        return current if current and found != current and found <= self.named[place - 1] - current else found

    def _other_kind(self, current: set[int], sentence: Sentence) -> set[int]:
        """A switch without a name: `the declaration` when a statement was talked about, and the other way round."""
        if ordinal := self._ordinal(sentence):
            return ordinal
        if len(self.seen) == 1 and not current:
            return {self.seen[0]} if sentence.said & self.doc else current
        kinds = sentence.said & (self.declaration | self.statement)
        if kinds not in (self.declaration, self.statement) or any(self.kinds[one] == kinds for one in current):
            return {one for one in current if self.kinds[one] == kinds} or current if kinds else current
        return {one for one in self.seen if self.kinds[one] == kinds} or current
