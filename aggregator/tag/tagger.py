"""From sentences and what they are about to clause tags with evidence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from aggregator.catalogue import Catalogue
from aggregator.model import ClauseId, ClauseTag, Evidence, Relation, Tags
from aggregator.tag.context import Follow, Level, Sentence, early, identify
from aggregator.tag.lexicon import ClauseRules, Lexicon, Rule, live
from aggregator.tag.view import LEAST, MOST, View, joined, sentences

RUBRICS = 3  # capitals at the beginning of so many paragraphs part a round-up; fewer are a dateline
SHOWN = 3  # quotes a clause
WORTH = {Level.CARRIED: 0.75, Level.ATTRIBUTED: 0.85, Level.NAMED: 0.95}
HINT = 0.8  # a hint is worth so much of a cue
GUESS = 0.6  # and a cue that is only asked where nothing else matched so much
TOPICAL = 0.3
_QUESTIONS = ("?", "？")


@dataclass(frozen=True, slots=True)
class Near:
    """Something that nearly became a tag, or was held back, and why."""

    clause: str
    quote: str
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The tags, and what nearly matched or was blocked."""

    tags: Tags
    near: tuple[Near, ...] = ()


@dataclass(frozen=True, slots=True)
class _Match:
    place: int
    rule: Rule
    score: float


@dataclass(slots=True)
class _Reading:
    """One article on its way: the view, where its text begins, and its sentences."""

    view: View
    offset: int
    title: str
    text: str
    sentences: list[Sentence]
    blocks: list[tuple[int, int]]
    agreements: list[int] = field(default_factory=list)
    focus: set[int] = field(default_factory=set)


class Tagger:
    """Tags articles by one catalogue. Building it takes milliseconds; keep it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._lexicon = Lexicon(catalogue)
        self._undertake = self._lexicon.concept["undertake"]

    def tags(self, title: str, text: str, published: datetime | None = None) -> Tags:
        """All findings for one article; `text[start:end] == quote` for every evidence in the text."""
        reading = self._read(title, text, published)
        if reading is None:
            return Tags()
        found = self._discussed(reading)
        return self._tags(reading, found, published)

    def explain(self, title: str, text: str, published: datetime | None = None) -> Explanation:
        """As `tags`, with what nearly matched, what was blocked, and why."""
        reading = self._read(title, text, published)
        if reading is None:
            return Explanation(Tags())
        found = self._discussed(reading)
        return Explanation(self._tags(reading, found, published), tuple(self._near(reading, found, published)))

    # --- reading ----------------------------------------------------------------------------------------------------

    def _read(self, title: str, text: str, published: datetime | None) -> _Reading | None:
        view, offset = joined(title, text)
        if not self._lexicon.opens(view.text):
            return None
        hits, blocks = self._lexicon.hits(view.text)
        if not self._lexicon.may_concern(_sum(mask for _start, _end, mask in hits)):
            return None
        reading = _Reading(view, offset, title, text, self._sentences(view.text, hits, bool(title.strip())), blocks)
        if len(_RUBRIC.findall(text)) >= RUBRICS:
            _break_at_rubrics(reading)
        named = identify(reading.sentences, self._lexicon, published)
        follow = Follow(reading.sentences, named, self._lexicon)
        follow.settle()
        reading.focus = follow.focus
        reading.agreements = sorted({one for names in named for one in names})
        return reading

    def _sentences(self, text: str, hits: list[tuple[int, int, int]], titled: bool) -> list[Sentence]:  # noqa: FBT001 - private
        found = [Sentence(start, end) for start, end in sentences(text)]
        if found and titled:
            found[0].in_title = True
        place, last = 0, len(found) - 1
        for hit in hits:  # in the order of their ends
            while place < last and found[place].end < hit[1]:
                place += 1
            if found[place].start <= hit[0]:
                found[place].hits.append(hit)
        concept = self._lexicon.concept
        elsewhere, denial, asked = concept["elsewhere"], concept["denied"], concept["asked"]
        for one in found:
            for _start, _end, mask in one.hits:
                one.words |= mask
            piece = text[one.start : one.end]
            one.latin = piece.isascii()
            one.question = piece.rstrip("\"'”’」』）)").endswith(_QUESTIONS) or bool(
                one.words & asked and not _answers(one, piece, asked)
            )
            one.item = bool(_ITEM.match(text, one.start)) and (not one.start or text[one.start - 1] == "\n")
            one.breaks = not one.in_title and _is_break(one, text, elsewhere)
            one.said = one.words
            if one.words & denial and not one.question:
                _deny(one, text, denial, concept["denied_back"], concept["unfulfilled"])
        return found

    # --- clauses ----------------------------------------------------------------------------------------------------

    def _discussed(self, reading: _Reading) -> dict[str, list[_Match]]:
        found: dict[str, list[_Match]] = {}
        masks = [one.words for one in reading.sentences]
        clauses = {index: self._live(index, _sum(masks)) for index in reading.agreements}
        for place, sentence in enumerate(reading.sentences):
            if not sentence.about or sentence.question:
                continue
            near = _beside(masks, place, reading.sentences)
            before = reading.sentences[place - 1] if place else sentence
            for index, level in sentence.about.items():
                guess = level == Level.ATTRIBUTED and index in reading.focus and not sentence.in_title
                for rules, rule, worth in self._matches(clauses[index], sentence.words, near, level, guess=guess):
                    found.setdefault(rules.clause.id, []).append(_Match(place, rule, worth))
                if before.question and sentence.words & self._undertake and not sentence.denied:
                    # A short answer: what it is about stands in the question.
                    asked = before.said | sentence.words
                    if not any(True for _ in self._matches(clauses[index], sentence.words, near, level)):
                        for rules, rule, worth in self._matches(clauses[index], asked, asked, level):
                            found.setdefault(rules.clause.id, []).append(_Match(place, rule, worth * HINT))
        return found

    def _live(self, index: int, words: int) -> list[ClauseRules]:
        """The clauses of an agreement with the rules that can match in an article with these words."""
        found = []
        for one in self._lexicon.agreements[index].clauses:
            if one.anchors & words:
                cues, hints, otherwise = (live(rules, words) for rules in (one.cues, one.hints, one.otherwise))
                if cues or hints or otherwise:
                    anchors = _sum(rule.anchor for rule in (*cues, *hints, *otherwise))
                    found.append(replace(one, cues=cues, hints=hints, otherwise=otherwise, anchors=anchors))
        return found

    def _matches(
        self, clauses: Sequence[ClauseRules], here: int, near: int, level: Level, *, guess: bool = False
    ) -> Iterator[tuple[ClauseRules, Rule, float]]:
        """The clauses a sentence speaks of, each with the rule that says so and what that is worth."""
        clauses = [one for one in clauses if one.covers and _first(one.covers, here, near)] or clauses
        open_to = [one for one in clauses if one.anchors & here and not _first(one.against, here, near)]
        found = False
        for rules in open_to:
            if rule := _first(rules.cues, here, near):
                found = True
                yield rules, rule, WORTH[level]
            elif level > Level.CARRIED and (rule := _first(rules.hints, here, near)):
                found = True
                yield rules, rule, WORTH[level] * HINT
        if guess and not found and here & self._undertake:
            for rules in open_to:
                if rule := _first(rules.otherwise, here, near):
                    yield rules, rule, WORTH[level] * GUESS

    def _tags(self, reading: _Reading, found: dict[str, list[_Match]], published: datetime | None) -> Tags:
        tags = [self._tag(reading, clause, matches, Relation.DISCUSSES) for clause, matches in found.items()]
        tags += [
            self._tag(reading, clause, matches, Relation.TOPICAL)
            for clause, matches in self._topical(reading, published).items()
            if clause not in found
        ]
        names = tuple(self._lexicon.agreements[one].agreement.id for one in reading.agreements)
        order = {one.id: (a, one.number) for a, g in enumerate(self.catalogue.agreements) for one in g.clauses}
        kept = sorted((tag for tag in tags if tag), key=lambda tag: order[tag.clause])
        return Tags(names, tuple(kept))

    def _topical(self, reading: _Reading, published: datetime | None) -> dict[str, list[_Match]]:
        """Clauses whose subject is there in a sentence on both parties and the topic, tied to no agreement."""
        for index in self._latest(published):
            rules = self._lexicon.agreements[index]
            found: dict[str, list[_Match]] = {}
            topic = rules.topic
            masks = [one.words for one in reading.sentences]
            if not rules.parties or not any(mask & topic for mask in masks):
                continue
            clauses = self._live(index, _sum(masks))
            for place, sentence in enumerate(reading.sentences):
                near = _beside(masks, place, reading.sentences)
                if sentence.about or sentence.question or near & rules.parties != rules.parties:
                    continue
                for clause, rule, _worth in self._matches(clauses, sentence.words, near, Level.CARRIED):
                    found.setdefault(clause.clause.id, []).append(_Match(place, rule, TOPICAL))
            if found:
                return found
        return {}

    def _latest(self, published: datetime | None) -> list[int]:
        order = range(len(self._lexicon.agreements) - 1, -1, -1)
        return sorted(order, key=lambda one: early(published, self._lexicon.agreements[one]))

    # --- evidence ---------------------------------------------------------------------------------------------------

    def _tag(self, reading: _Reading, clause: str, matches: Sequence[_Match], relation: Relation) -> ClauseTag | None:
        ranked = sorted(matches, key=lambda one: (-one.score, _length(reading, one), one.place))
        evidence = [shown for one in ranked[:SHOWN] if (shown := _evidence(reading, one))]
        if not evidence:
            return None
        rest = 1.0
        for one in matches:
            rest *= 1 - one.score
        score = ranked[0].score if relation is Relation.TOPICAL else round(1 - rest, 3)
        return ClauseTag(ClauseId(clause), relation, score, tuple(evidence), self.catalogue.version)

    def _near(self, reading: _Reading, found: dict[str, list[_Match]], published: datetime | None) -> Iterator[Near]:
        for block in reading.blocks:
            start, end = reading.view.span(*block)
            yield Near(
                "",
                f"{reading.title}\n{reading.text}"[start:end],
                "a look-alike's name: the words in it identify nothing",
            )
        for known in self._lexicon.agreements:
            if early(published, known) and any(one.said & known.named for one in reading.sentences):
                yield Near(known.agreement.id, "", "named, but the article is dated before it was published")
        masks = [one.words for one in reading.sentences]
        words = _sum(masks) | _sum(one.denied for one in reading.sentences)
        clauses = {index: self._live(index, words) for index in reading.agreements}
        for place, sentence in enumerate(reading.sentences):
            whole = sentence.words | sentence.denied
            near = _beside(masks, place, reading.sentences) | whole
            for index in sentence.about or reading.agreements:
                for rules, rule, _worth in self._matches(clauses[index], whole, near, Level.NAMED):
                    if rules.clause.id not in found:
                        yield Near(rules.clause.id, _quote(reading, sentence), _why_not(sentence, index, rule))


def _sum(masks: Iterable[int]) -> int:
    words = 0
    for mask in masks:
        words |= mask
    return words


def _first(rules: Sequence[Rule], here: int, near: int) -> Rule | None:
    return next((rule for rule in rules if rule.anchor & here and rule.matches(here, near)), None)


def _why_not(sentence: Sentence, index: int, found: Rule) -> str:
    rule = found.cue.text
    if sentence.question:
        return f"{rule}: a question states nothing"
    if index not in sentence.about:
        return f"{rule}: the sentence is not tied to the agreement"
    if sentence.denied & found.wanted:
        return f"{rule}: denied in this sentence"
    return f"{rule}: only a hint, and the sentence names neither the agreement nor its parties"


SHORT = {False: 12, True: 30}  # characters of a sentence that says little by itself: what stands before it counts too


def _is_short(one: Sentence) -> bool:
    return one.end - one.start <= SHORT[one.latin]


def _beside(masks: Sequence[int], place: int, around: Sequence[Sentence]) -> int:
    words = masks[place]
    before = place
    while before and not around[before].breaks and not around[before - 1].in_title:
        before -= 1
        words |= masks[before]
        if not _is_short(around[before]) or place - before > 1:
            break
    if place + 1 < len(masks) and not around[place].in_title and not around[place + 1].breaks:
        words |= masks[place + 1]
    return words


def _is_break(one: Sentence, text: str, elsewhere: int) -> bool:
    """Whether a sentence turns to other news: it says so at its start, or is a new 【rubric】 of a list."""
    if one.start and text[one.start] == "【" and text[one.start - 1] == "\n":
        return True
    return any(mask & elsewhere and start - one.start <= 3 for start, _end, mask in one.hits)  # noqa: PLR2004 - its start


_REPLY = re.compile(r"[,，].{0,16}(?:说|称|表示|回答|回应|指出)|[,]\s.{0,40}\b(?:said|says|answered|replied|told)\b")


def _answers(one: Sentence, piece: str, asked: int) -> bool:
    """Whether a sentence tells the answer too (`asked about ..., he said`)."""
    first = min((end for _start, end, mask in one.hits if mask & asked), default=one.end)
    return bool(_REPLY.search(piece, max(0, first - one.start)))


_RUBRIC = re.compile(r"^[A-Z][A-Z &/]{2,24}(?: ?[-–—:|]) ", re.MULTILINE)


def _break_at_rubrics(reading: _Reading) -> None:
    """Other news begins at each rubric (`ENERGY - ...`) of a round-up."""
    for one in reading.sentences:
        start = reading.view.span(one.start, one.end)[0] - reading.offset
        one.breaks = one.breaks or (not one.in_title and start >= 0 and bool(_RUBRIC.match(reading.text, start)))


_ITEM = re.compile(r"\d{1,2}[.、)）]|[①-⑳]|[一二三四五六七八九十]{1,3}[、.]|[\u4e00-\u9fff]{2,4}[|丨]")
_PARTS = "，,；;：:。—"


def _deny(one: Sentence, text: str, denial: int, backward: int, unfulfilled: int) -> None:
    """Take the words of a denied part of a sentence out of it: from the mark before the denial to the one after;
    in English from the denial itself, unless it looks back (`is not mentioned`).
    """
    # What was agreed and not yet done (`has not met`) is still spoken of, and a phrase that holds the denial
    # (`没有减排措施`) denies nothing but itself.
    open_ends = [(s, e) for s, e, m in one.hits if m & unfulfilled or not m & (denial | backward)]
    denials = [
        (s, e, _denied(text, one, (s, e), backward=bool(m & backward)))
        for s, e, m in one.hits
        if m & denial and not any(a <= s and e <= b for a, b in open_ends)
    ]
    kept, gone = [], 0
    for hit in one.hits:
        start, end, mask = hit
        # A phrase that holds the denial (`does not reach`) says what it says.
        if any(a <= start and end <= b and not (start <= s and e <= end) for s, e, (a, b) in denials):
            gone |= mask
        else:
            kept.append(hit)
    one.hits = kept
    one.words = 0
    for _start, _end, mask in kept:
        one.words |= mask
    one.denied = gone


_SUBORDINATE = re.compile(r"\b(?:while|although|though|which|who|whom|if|since|after|despite)\b[^,;]*\Z")


def _denied(text: str, one: Sentence, denial: tuple[int, int], *, backward: bool) -> tuple[int, int]:
    """How far a denial reaches."""
    start, end = denial
    left = max(text.rfind(mark, one.start, start) for mark in _PARTS)
    left = left if left >= 0 else one.start
    marks: tuple[str, ...] = tuple(_PARTS)
    if text[start].isascii():
        marks = (",", ";") if backward or _SUBORDINATE.search(text, left, start) else (";", " but ", " though ")
        left = left if backward else start
    ends = [text.find(mark, end, one.end) for mark in marks]
    return left, min((place for place in ends if place >= 0), default=one.end)


def _length(reading: _Reading, match: _Match) -> int:
    sentence = reading.sentences[match.place]
    return sentence.end - sentence.start


def _quote(reading: _Reading, sentence: Sentence) -> str:
    start, end = reading.view.span(sentence.start, sentence.end)
    return f"{reading.title}\n{reading.text}"[start:end]


def _evidence(reading: _Reading, match: _Match) -> Evidence | None:
    """The quote of one match with its span in its field; None when the sentence is too short to show anything."""
    sentence = reading.sentences[match.place]
    words = [(s, e) for s, e, mask in sentence.hits if mask & match.rule.wanted]
    start, end = reading.view.span(sentence.start, sentence.end)
    spans = [reading.view.span(*word) for word in words]
    if end - start > MOST:
        start, end = _cut(start, end, spans)
    base, name, source = (0, "title", reading.title) if sentence.in_title else (reading.offset, "text", reading.text)
    start, end = start - base, end - base
    if end - start < LEAST or start < 0:
        return None
    marked = tuple(sorted({(s - base, e - base) for s, e in spans if start <= s - base and e - base <= end}))
    return Evidence(name, start, end, source[start:end], match.rule.cue.text, marked)


def _cut(start: int, end: int, spans: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """At most 400 characters of a long sentence, around its matched words."""
    first = min((s for s, _e in spans), default=start)
    left = max(start, min(first - 40, end - MOST))
    return left, min(end, left + MOST)
