"""The small language in which an agreement's file says what points to a clause.

    @methane & 计划|plan & !@pledge      all in one sentence, and no word of @pledge there
    @methane & ~@ndc                     `~`: in the sentence, or in one next to it
    @methane & !~@pledge                 ... nor in the sentences next to it
    @document & ^@parties                `^`: anywhere in the article
    @forest                              one group of words is enough
    3 of 电力|交通|建筑|废弃物           so many different ones of these words

A group is words parted by `|`; `@name` stands for a concept's words. A Latin word matches at word limits, with a
plural's s; `renew*` matches whatever follows, `look* forward` the endings of a verb. Han words match anywhere. Script, case and width do not matter, and a
hyphen is a space. The first group is the anchor: it must stand in the evidence sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from aggregator.text import CJK

_AT_LEAST = re.compile(r"(\d+)\s+of\s+")
_HAN = re.compile(f"[{CJK}]")
_CONCEPT = re.compile(r"@[a-z0-9_-]+\Z")


class CueProblem(ValueError):
    """What is wrong with a cue, as a sentence without the place."""


@dataclass(frozen=True, slots=True)
class Group:
    """Words of which `at_least` must be there: in the sentence, beside it too when `near`, in the whole article
    when `anywhere`; none when `against`.
    """

    words: tuple[str, ...]
    against: bool = False
    near: bool = False
    anywhere: bool = False
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class Cue:
    """One way in which a sentence may say what a clause says; `text` is how the file puts it, at `line`."""

    text: str
    groups: tuple[Group, ...]
    line: int = 0


def parse(text: str, line: int = 0) -> Cue:
    """Read one cue.

    Raises:
        CueProblem: an empty group, a misspelt concept, or an anchor that is negated or only near.

    """
    groups = tuple(_group(part.strip()) for part in text.split("&"))
    if groups[0].against or groups[0].near or groups[0].anywhere:
        raise CueProblem(f"the first group of {text!r} is the anchor: it cannot start with !, ~ or ^")
    return Cue(text.strip(), groups, line)


def _group(text: str) -> Group:
    body = text.lstrip("!~^")
    signs, body = text[: len(text) - len(body)], body.strip()
    found = _AT_LEAST.match(body)
    at_least = int(found.group(1)) if found else 1
    words = tuple(word.strip() for word in (body[found.end() :] if found else body).split("|"))
    for word in words:
        if len(word.strip("*")) < 1 + word.startswith("@"):
            raise CueProblem(f"a word is missing in {text!r}" if text else "a group is empty")
        if word.startswith("@") and not _CONCEPT.match(word):
            raise CueProblem(f"{word!r} is no concept's name (letters, digits, - and _)")
    if not 1 <= at_least <= len(words) and not any(word.startswith("@") for word in words):
        raise CueProblem(f"{text!r} asks for more words than it names")
    return Group(words, "!" in signs, "~" in signs, "^" in signs, at_least)


def languages(word: str) -> frozenset[str]:
    """In which languages a word can stand: Han in zh, Latin in en, figures and acronyms (CCUS, N2O) in both."""
    if _HAN.search(word):
        return frozenset({"zh"})
    if word == word.upper() or len(re.sub(r"[^a-zA-Z]", "", word)) <= 1:
        return frozenset({"zh", "en"})
    return frozenset({"en"})


def endings(word: str) -> tuple[str, ...]:
    """A phrase with a star inside it, once with every ending of a verb: `look* forward` gives `looked forward`, ...;
    any other word as it is.
    """
    stem, star, rest = word.partition("*")
    if not star or not rest:
        return (word,)
    ends = ["", "s", "es", "d", "ed", "ing", "t"]
    forms = [stem + end for end in ends] + ([stem[:-1] + "ing"] if stem.endswith("e") else [])
    return tuple(f"{form}{rest}" for form in forms)
