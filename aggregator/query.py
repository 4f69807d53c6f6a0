"""The query language: from what an analyst types to a tree, and errors that point at the column.

    query  = and { "OR" and }              AND binds tighter than OR, as in most search engines
    and    = not { ["AND"] not }           words that stand side by side are all wanted
    not    = ["-" | "NOT"] atom
    atom   = "(" query ")" | field ":" value | phrase | word
    phrase = '"' anything '"'              found exactly as it stands, white space included
    field  = title | outlet | feed | lang | clause | agreement | story | since | until | saved

A word is everything up to white space, so `COP28峰会`, `1.5°C` and `c++` are words; whatever is not in the grammar
(`*`, `^`, `NEAR`, SQL) is text to be found. Precedence and the upper-case operators follow Lucene's classic syntax.
`saved:NAME` stands for a query that was saved under this name, as if it stood there in brackets.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from itertools import pairwise

from aggregator.errors import QueryError
from aggregator.text import clean, simplified

MAX_CHARS = 500
MAX_WORDS = 32
MAX_DEPTH = 32
FIELDS = ("title", "outlet", "feed", "lang", "clause", "agreement", "story", "since", "until", "saved")
Saved = Callable[[], Mapping[str, str]]
"""Gives the saved searches by name; asked only when a query names one."""
NAME = re.compile(r"[^\W_][\w.-]{0,63}")
"""What a saved search may be called: letters and digits of any script, then also `.`, `-` and `_`."""


@dataclass(frozen=True, slots=True)
class Text:
    """A word or phrase to be found in title or text, or in the title only.

    `via` is the word of the query that this one stands for when it was added by `expanded`; empty otherwise.
    """

    needle: str
    title: bool = False
    via: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """An exact property of the article: outlet, feed, lang, clause, agreement or story."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Since:
    """Published at `instant` or later."""

    instant: datetime


@dataclass(frozen=True, slots=True)
class Until:
    """Published before `instant`: the end of the day, month or year that the query names."""

    instant: datetime


@dataclass(frozen=True, slots=True)
class Not:
    """Everything but `part`."""

    part: Node


@dataclass(frozen=True, slots=True)
class And:
    """All of `parts`; none of them means every article."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of `parts`."""

    parts: tuple[Node, ...]


Node = Text | Field | Since | Until | Not | And | Or
EVERYTHING = And(())


def parse(query: str, now: datetime, saved: Saved = dict) -> Node:
    """The tree of a query; `now` (aware) is what `since:7d` counts from, `saved` what `saved:NAME` stands for.

    Raises QueryError with the column of the mistake, counted in characters from 1.
    """
    if len(query) > MAX_CHARS:
        raise QueryError(
            f"The query has {len(query):,} characters; at most {MAX_CHARS} can be asked for.",
            query[:80],
            MAX_CHARS + 1,
        )
    return _Parser(query, now, saved).whole()


def saved_in(query: str) -> tuple[str, ...]:
    """The saved searches that a query names itself, in its order; raises QueryError."""
    return tuple(dict.fromkeys(name for _start, _end, name in _named(query)))


def renamed(query: str, old: str, new: str) -> str:
    """The query with `saved:new` wherever it says `saved:old`; raises QueryError."""
    for start, end, name in reversed(_named(query)):
        if name == old:
            query = query[:start] + new + query[end:]
    return query


def _named(query: str) -> list[tuple[int, int, str]]:
    """From where to where a query names saved searches, and which."""
    tokens = _tokens(query)
    found = []
    for field, value in pairwise(tokens):
        if (field.kind, field.value) == ("field", "saved") and value.kind in ("word", "phrase"):
            quotes = 2 * (value.kind == "phrase")
            start = value.column - 1
            found.append((start, start + len(value.value) + quotes, clean(value.value).strip()))
    return found


def everything_of(nodes: Iterable[Node]) -> Node:
    """All of the given trees together, nested ANDs flattened."""
    parts: list[Node] = []
    for node in nodes:
        parts.extend(node.parts if isinstance(node, And) else (node,))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def texts(node: Node) -> tuple[Text, ...]:
    """The words and phrases that an article is wanted for, in the query's order: what a snippet marks."""
    match node:
        case Text():
            return (node,)
        case And(parts) | Or(parts):
            return tuple(text for part in parts for text in texts(part))
        case _:
            return ()


def mapped(node: Node, change: Callable[[Text], Node]) -> Node:
    """The tree with every word and phrase replaced by what `change` makes of it."""
    match node:
        case Text():
            return change(node)
        case Not(part):
            return Not(mapped(part, change))
        case And(parts):
            return And(tuple(mapped(part, change) for part in parts))
        case Or(parts):
            return Or(tuple(mapped(part, change) for part in parts))
        case _:
            return node


def expanded(node: Node, variants: Mapping[str, Iterable[str]]) -> Node:
    """The tree with other names beside each word: `variants` maps a word, simplified and in lower case, to its names.

    A variant knows the word it stands for (`Text.via`), so that a listing can say which one matched.
    """

    def change(text: Text) -> Node:
        word = simplified(text.needle).lower()
        others = [name for name in variants.get(word, ()) if simplified(name).lower() != word]
        if not others:
            return text
        added = (replace(text, needle=name, via=text.needle) for name in dict.fromkeys(others))
        return Or((text, *added))

    return mapped(node, change)


def with_plurals(node: Node) -> Node:
    """The tree with English plurals beside singulars and the other way round: `country` also finds `countries`."""

    def change(text: Text) -> Node:
        others = plurals(text.needle)
        return Or((text, *(replace(text, needle=word, via=text.needle) for word in others))) if others else text

    return mapped(node, change)


_IRREGULAR = {
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "crises": "crisis",
    "bases": "basis",
}
_REGULAR = {one: many for many, one in _IRREGULAR.items()}


def plurals(word: str) -> tuple[str, ...]:
    """The other number of an English word as far as its letters differ: a plural in -s contains its singular.

    >>> plurals("countries"), plurals("country"), plurals("emissions"), plurals("glass")
    (('country',), ('countries',), ('emission',), ())
    """
    low = word.lower()
    if not re.fullmatch(r"[a-z]{3,}", low):
        return ()
    if other := _IRREGULAR.get(low) or _REGULAR.get(low):
        return (other,)
    if low.endswith("ies") and len(low) > len("ties"):
        return (low[:-3] + "y",)
    if re.search(r"(?:[sxz]|ch|sh)es$", low):
        return (low[:-2], low[:-1])
    if re.search(r"[^aeiou]y$", low):
        return (low[:-1] + "ies",)
    return (low[:-1],) if re.search(r"[^sui]s$", low) else ()


# --- lexer ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # "(", ")", "-", "OR", "AND", "field", "phrase", "word"
    value: str
    column: int


_FIELD = re.compile(rf"({'|'.join(FIELDS)}):", re.IGNORECASE)
_SPACE = re.compile(r"\s+")


def _tokens(query: str) -> list[_Token]:
    """The query cut into tokens; quotes are balanced afterwards."""
    tokens: list[_Token] = []
    at = depth = 0
    while at < len(query):
        char, column = query[at], at + 1
        if found := _SPACE.match(query, at):
            at = found.end()
        elif char == '"':
            end = query.find('"', at + 1)
            if end < 0:
                raise QueryError(
                    f'A double quote is opened in column {column} and never closed; add another " or leave it out.',
                    query,
                    column,
                )
            tokens.append(_Token("phrase", query[at + 1 : end], column))
            at = end + 1
        elif char in "()":
            depth += 1 if char == "(" else -1
            tokens.append(_Token(char, char, column))
            at += 1
        elif char == "-" and _negates(query, at):
            tokens.append(_Token("-", char, column))
            at += 1
        elif found := _FIELD.match(query, at):
            tokens.append(_Token("field", found[1].lower(), column))
            at = found.end()
        else:
            end = _word_end(query, at, depth)
            tokens.append(_word(query[at:end], column))
            at = end
    return tokens


def _negates(query: str, at: int) -> bool:
    """Whether a minus stands before something; `--`, ` - ` and a last `-` are text."""
    return at + 1 < len(query) and not query[at + 1].isspace() and query[at + 1] not in "-)"


def _word_end(query: str, at: int, depth: int) -> int:
    """Where the word that starts at `at` ends; brackets opened inside a word belong to it, as in `bm25(1)`."""
    inner = 0
    for index in range(at, len(query)):
        char = query[index]
        if char.isspace() or char == '"':
            return index
        if char == "(":
            inner += 1
        elif char == ")":
            if not inner and (depth > 0 or index > at):
                return index
            inner -= 1
    return len(query)


def _word(word: str, column: int) -> _Token:
    kind = {"OR": "OR", "AND": "AND", "NOT": "-"}.get(word, "word")
    return _Token(kind, word, column)


# --- parser -----------------------------------------------------------------------------------------------------


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, query: str, now: datetime, saved: Saved, inside: tuple[str, ...] = ()) -> None:
        self.query = query
        self.tokens = _tokens(query)
        self.now = now
        self.saved = saved
        self.inside = inside  # the saved searches that this query stands in
        self.at = 0
        self.words = 0
        self.depth = 0

    def whole(self) -> Node:
        if not self.tokens:
            raise QueryError("The query is empty; give a word to look for.", self.query)
        tree = self.either()
        if token := self.peek():
            raise self.error("A closing bracket in column {} has no opening one.", token)
        return tree

    def peek(self) -> _Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def error(self, message: str, token: _Token | None) -> QueryError:
        column = token.column if token else len(self.query) + 1
        return QueryError(message.format(column), self.query, column)

    def either(self) -> Node:
        parts = [self.all_of()]
        while (token := self.peek()) and token.kind == "OR":
            self.at += 1
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def all_of(self) -> Node:
        parts = [self.maybe_not()]
        while (token := self.peek()) and token.kind not in ("OR", ")"):
            self.at += token.kind == "AND"
            parts.append(self.maybe_not())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def maybe_not(self) -> Node:
        token = self.peek()
        if token is None or token.kind in ("OR", "AND", ")"):
            before = self.tokens[self.at - 1] if self.at else token
            raise self.error(
                "Something to look for is missing beside the operator in column {}; put double quotes around it to look for it as text.",
                before if before and before.kind in ("OR", "AND", "-", "(") else token,
            )
        if token.kind != "-":
            return self.atom(token)
        self.at += 1
        self.deeper(token)
        part = self.maybe_not()
        self.depth -= 1
        return part.part if isinstance(part, Not) else Not(part)

    def atom(self, token: _Token) -> Node:
        self.at += 1
        if token.kind == "(":
            return self.group(token)
        self.words += 1
        if self.words > MAX_WORDS:
            raise _TooMuch(
                f"The query has more than {MAX_WORDS} words; the next one is in column {token.column}.",
                self.query,
                token.column,
            )
        if token.kind == "field":
            return self.field(token)
        return Text(self.needle(token))

    def deeper(self, token: _Token) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _TooMuch(
                f"More than {MAX_DEPTH} brackets are open in column {token.column}.", self.query, token.column
            )

    def group(self, opening: _Token) -> Node:
        self.deeper(opening)
        tree = self.either()
        token = self.peek()
        if token is None:
            raise self.error("The bracket opened in column {} is never closed.", opening)
        self.at += 1
        self.depth -= 1
        return tree

    def needle(self, token: _Token) -> str:
        needle = clean(token.value)
        if not needle.strip():
            raise self.error("There is nothing to look for in column {}.", token)
        return needle

    def field(self, token: _Token) -> Node:
        value = self.peek()
        name = token.value
        glued = value is not None and value.column == token.column + len(name) + 1
        if name == "title" and glued and value is not None and value.kind == "(":
            self.at += 1
            return mapped(self.group(value), lambda text: replace(text, title=True))
        if value is None or not glued or value.kind not in ("word", "phrase", "OR", "AND"):
            raise self.error(
                f'{name}: in column {{}} has no value; write {_EXAMPLES[name]}, or "{name}:" in double quotes to look for it as text.',
                token,
            )
        self.at += 1
        if name == "title":
            return Text(self.needle(value), title=True)
        if name in ("since", "until"):
            return self.date(name, value)
        if name == "saved":
            return self.looked_up(value)
        return self.property(name, value)

    def looked_up(self, value: _Token) -> Node:
        """The tree of a saved search; its words count as if they were written out here."""
        name, known = clean(value.value).strip(), self.saved()
        if name not in known:
            raise QueryError(no_saved(name, known), self.query, value.column)
        if name in self.inside:
            raise QueryError(f"The saved search {name} would stand in itself.", self.query, value.column)
        self.deeper(value)
        try:
            inner = _Parser(known[name], self.now, self.saved, (*self.inside, name))
            inner.words, inner.depth = self.words, self.depth
            tree = inner.whole()
        except _TooMuch as error:
            why = f"With the saved search {name} the query has more than {MAX_WORDS} words or {MAX_DEPTH} brackets."
            raise _TooMuch(why, self.query, value.column) from error
        except QueryError as error:
            why = str(error) if isinstance(error, _Unreadable) else f"The saved search {name} cannot be read: {error}"
            raise _Unreadable(why, self.query, value.column) from error
        self.depth -= 1
        self.words = inner.words
        return tree

    def property(self, name: str, value: _Token) -> Node:
        text = self.needle(value).strip()
        if name == "story" and not re.fullmatch(r"[0-9]{1,18}", text):
            raise self.error("story: in column {} takes a number, as `aggregator stories` lists it.", value)
        if name == "clause" and "/" not in text:
            return Field("agreement", text)
        return Field(name, text)

    def date(self, name: str, value: _Token) -> Node:
        try:
            start, end = span(value.value.strip(), self.now)
        except ValueError:
            raise self.error(
                f"{name}: in column {{}} takes a date such as 2023-11-01, 2023-11 or 2023, or an age such as 7d, 12h, 2w, 6m, 1y.",
                value,
            ) from None
        return Since(start) if name == "since" else Until(end)


class _TooMuch(QueryError):
    """The query is longer or deeper than is taken."""


class _Unreadable(QueryError):
    """A mistake inside a saved search, said already."""


def no_saved(name: str, known: Mapping[str, str]) -> str:
    """That there is no saved search of a name, and which one may be meant."""
    folded = {one.casefold(): one for one in known}
    near = get_close_matches(name.casefold(), folded, 1)
    if near:
        return f"There is no saved search {name!r}; did you mean {folded[near[0]]}?"
    return f"There is no saved search {name!r}; `aggregator saved list` names those there are."


_EXAMPLES = {
    "saved": "saved:methane",
    "title": "title:甲烷",
    "outlet": "outlet:BBC",
    "feed": "feed:bbc-chinese",
    "lang": "lang:zh",
    "clause": "clause:sunnylands-2023/10",
    "agreement": "agreement:glasgow-2021",
    "story": "story:12",
    "since": "since:2023-11-01 or since:7d",
    "until": "until:2023-11-30",
}

# --- dates ------------------------------------------------------------------------------------------------------

_AGE = re.compile(r"([0-9]{1,6})\s*(h|d|w|m|y)", re.IGNORECASE)
_DAY = re.compile(r"([0-9]{4})(?:[-/.]([0-9]{1,2})(?:[-/.]([0-9]{1,2}))?)?")
_HOURS = {"h": 1, "d": 24, "w": 168, "m": 730, "y": 8766}  # a month is a twelfth of 365.25 days


def span(value: str, now: datetime) -> tuple[datetime, datetime]:
    """First instant and end (excluded) of what a date names, in the time zone of `now`, given in UTC.

    An age (`7d`) and a moment (`2023-11-01T08:00+08:00`) are one instant. Raises ValueError.
    """
    if age := _AGE.fullmatch(value):
        try:
            at = now - timedelta(hours=int(age[1]) * _HOURS[age[2].lower()])
        except OverflowError as error:
            raise ValueError(value) from error
        return at.astimezone(UTC), at.astimezone(UTC)
    if day := _DAY.fullmatch(value):
        return _calendar_span(day, now)
    at = datetime.fromisoformat(value)
    at = (at if at.tzinfo else at.replace(tzinfo=now.tzinfo)).astimezone(UTC)
    return at, at


def _calendar_span(day: re.Match[str], now: datetime) -> tuple[datetime, datetime]:
    year, month, date = (int(part) if part else None for part in day.groups())
    if not year or year > 9990:  # noqa: PLR2004 - the next year must exist too
        raise ValueError(day[0])
    start = datetime(year, month or 1, date or 1, tzinfo=now.tzinfo)
    if date:
        days = 1
    elif month:
        days = calendar.monthrange(year, month)[1]
    else:
        days = 366 if calendar.isleap(year) else 365
    return start.astimezone(UTC), (start + timedelta(days=days)).astimezone(UTC)
