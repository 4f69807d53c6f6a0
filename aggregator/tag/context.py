"""Which agreement each sentence is about: named, referred to, or carried on from the sentences before.

A name speaks for its sentence and those that follow, until another agreement is named or the talk turns to something
else. A name that is only called back (`reaffirm`, `build on`) leaves the agreement that is talked about in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import IntEnum

from aggregator.tag.lexicon import AgreementRules, Lexicon, Rule

EARLY = timedelta(hours=48)
LEAD = 4  # sentences in which an article says what it is about
REACH = 3  # sentences that a passing mention is carried on
FOCUS = 3  # mentions that make an agreement an article's subject


class Level(IntEnum):
    """How firmly a sentence is tied to an agreement."""

    NONE = 0
    CARRIED = 1
    ATTRIBUTED = 2
    NAMED = 3


@dataclass(slots=True)
class Sentence:
    """One sentence of a view: its span, its words in bits (`denied` words left out), and what it is about."""

    start: int
    end: int
    in_title: bool = False
    question: bool = False
    words: int = 0
    denied: int = 0
    hits: list[tuple[int, int, int]] = field(default_factory=list)
    about: dict[int, Level] = field(default_factory=dict)
    breaks: bool = False


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
    found: list[set[int]] = [set() for _ in sentences]
    title = sentences[0].words if sentences and sentences[0].in_title else 0
    for index, rules in enumerate(lexicon.agreements):
        if early(published, rules):
            continue
        for place, sentence in enumerate(sentences):
            around = _around(sentences, place, 2) | title
            if sentence.words & rules.named and not any(rule.matches(around, around) for rule in rules.unless):
                found[place].add(index)
            elif rules.references and _refers(rules.references, sentence.words, around) and not any(
                rule.matches(around, around) for rule in rules.unless
            ):
                found[place].add(index)
    return found


def _refers(rules: Sequence[Rule], here: int, around: int) -> bool:
    return any(rule.anchor & here and rule.matches(here, around) for rule in rules)


def _around(sentences: Sequence[Sentence], place: int, reach: int) -> int:
    words = 0
    for one in sentences[max(0, place - reach) : place + reach + 1]:
        words |= one.words
    return words


class Follow:
    """Carries agreements on from sentence to sentence; `settle` fills `about` of each."""

    def __init__(self, sentences: Sequence[Sentence], named: list[set[int]], lexicon: Lexicon) -> None:
        self.sentences = sentences
        self.named = named
        self.lexicon = lexicon
        concept = lexicon.concept
        self.doc = concept["document"]
        self.attributed = concept["attributed"] | concept["document"]
        self.declaration, self.statement = concept["declaration"], concept["statement"]
        self.others = concept["others"]
        self.seen = sorted({one for names in named for one in names})
        self.kinds = {i: self._kind(i) for i in self.seen}

    def _kind(self, index: int) -> int:
        name = " ".join(self.lexicon.agreements[index].agreement.name.values()).lower()
        return self.declaration if "declaration" in name or "宣言" in name else self.statement

    def settle(self) -> None:
        """Decide what every sentence is about."""
        if not self.seen:
            return
        focus = {one for one in self.seen if self._in_focus(one)}
        current: set[int] = set()
        since = REACH + 1
        first = next(place for place, names in enumerate(self.named) if names)
        primary = self._primary()
        for place, sentence in enumerate(self.sentences):
            if sentence.breaks:
                current = set()
            if self.named[place]:
                current = self._turn(current, place, sentence)
                since = 0
                level = Level.NAMED
            else:
                current = self._other_kind(current, sentence)
                level = self._level(sentence)
                since = 0 if level == Level.ATTRIBUTED else since + 1
            about = current
            if place < first and not sentence.in_title:
                about = {primary} if sentence.words & self.doc and self._parties(primary, sentence) else set()
            for one in about:
                if level > Level.CARRIED or (level and (one in focus or since <= REACH)):
                    sentence.about[one] = level

    def _primary(self) -> int:
        counts = {one: sum(one in names for names in self.named) for one in self.seen}
        return max(self.seen, key=lambda one: (counts[one], one))

    def _in_focus(self, one: int) -> bool:
        lead = sum(sentence.in_title for sentence in self.sentences[:1]) + LEAD
        if any(one in names for names in self.named[:lead]):
            return True
        return sum(one in names for names in self.named) + sum(bool(s.words & self.doc) for s in self.sentences) >= FOCUS

    def _parties(self, one: int, sentence: Sentence) -> bool:
        parties = self.lexicon.agreements[one].parties
        return parties & sentence.words == parties

    def _level(self, sentence: Sentence) -> Level:
        if sentence.words & self.attributed:
            return Level.ATTRIBUTED
        return Level.NONE if sentence.words & self.others else Level.CARRIED

    def _turn(self, current: set[int], place: int, sentence: Sentence) -> set[int]:
        """What is talked about once a sentence has named agreements."""
        names = self.named[place]
        for one in (*names, *current):
            rules = self.lexicon.agreements[one]
            former = {i for i in names if self.lexicon.agreements[i].agreement.id in rules.agreement.builds_on}
            if not former:
                continue
            if one in names or any(rule.matches(sentence.words, sentence.words) for rule in rules.recall):
                sentence.words |= rules.former
            if one in current and names <= former and sentence.words & rules.former:
                return {one}
        leading = {
            one
            for one in names
            if not any(
                self.lexicon.agreements[one].agreement.id in self.lexicon.agreements[other].agreement.builds_on
                and any(rule.matches(sentence.words, sentence.words) for rule in self.lexicon.agreements[other].recall)
                for other in names
            )
        }
        return leading or set(names)

    def _other_kind(self, current: set[int], sentence: Sentence) -> set[int]:
        """A switch without a name: `the declaration` when a statement was talked about, and the other way round."""
        if len(self.seen) == 1 and not current:
            return {self.seen[0]} if sentence.words & self.doc else current
        kinds = sentence.words & (self.declaration | self.statement)
        if kinds not in (self.declaration, self.statement) or any(self.kinds[one] == kinds for one in current):
            return {one for one in current if self.kinds[one] == kinds} or current if kinds else current
        return {one for one in self.seen if self.kinds[one] == kinds} or current
