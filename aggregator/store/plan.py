"""From a query's tree to SQL: what the full-text index is asked, and what is left to look up in the candidates.

Each node gives an upper bound as an FTS5 expression (every article that the node finds meets it) and says whether
the bound is exact. Where it is not, an exact condition on the article goes beside it; SQLite then evaluates that on
candidates only, newest first, and stops when the page is full.
"""

# ruff: noqa: S608 - statements are put together from this module's own text; every value is bound
from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aggregator import terms
from aggregator.query import And, Field, Node, Not, Or, Since, Text, Until, texts
from aggregator.store.ranking import Leaf

CANDIDATES = 500
"""Texts looked at for an exact count unless told otherwise: 5 microseconds each, 20 if traditional."""
MOST_WORDS = 300
"""Words of the vocabulary in one expression; a needle inside more of them is frequent and found by looking."""
_SCAN = 5_000
_NOTHING = '"\x80\x80"'  # no document has this term
_WHEN = "coalesce(f.published, f.first_seen)"
_FACETS = "article f INDEXED BY ix_article_facets"


@dataclass(frozen=True, slots=True)
class Bound:
    """`upper` is an FTS5 expression that holds wherever the node does, None when the index cannot say anything."""

    upper: str | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """One query, compiled.

    `filters` are conditions on columns, `looks` those that read texts; both with parameters in `params`.
    """

    match: str | None
    filters: tuple[str, ...]
    looks: tuple[str, ...]
    params: dict[str, Any]
    dated: bool = False
    leaves: tuple[Leaf, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def docid(self) -> str:
        """The column that is in date order."""
        return "article_fts.rowid" if self.match is not None else "f.docid"

    def select(self, columns: str, *, looked_at: bool = True) -> str:
        """The statement for some columns; without `looked_at` texts are not read and the rows are an upper bound.

        Filters read a narrow index (`f`), a fifth of a microsecond an article; only looks read the row (`a`).
        """
        looks = self.looks if looked_at else ()
        conditions = [*self.filters, *looks]
        tables = _FACETS
        if self.match is not None:
            tables = (
                f"article_fts CROSS JOIN {_FACETS} ON f.docid = article_fts.rowid" if conditions else "article_fts"
            )
            conditions.insert(0, "article_fts MATCH :match")
        if looks:
            tables += " CROSS JOIN article a ON a.id = f.id"
        if self.dated:
            conditions.append(f"{self.docid} BETWEEN :first AND :last")
        return f"SELECT {columns} FROM {tables} WHERE {' AND '.join(conditions) or '1'}"

    def one(self) -> str:
        """The statement that gives a row when the article `:docid` passes the looks."""
        tables = f"{_FACETS} CROSS JOIN article a ON a.id = f.id"
        return f"SELECT 1 FROM {tables} WHERE f.docid = :docid AND {' AND '.join(self.looks)}"


def compiled(connection: sqlite3.Connection, query: Node) -> Plan:
    """The plan of a query; reads the vocabulary."""
    compiler = _Compiler(connection)
    bound = compiler.bound(query)
    filters: list[str] = []
    looks: list[str] = []
    for part in query.parts if isinstance(query, And) else (query,):
        if not compiler.bound(part).exact or (isinstance(part, Not) and bound.upper is None):
            condition = compiler.condition(part, covered=bound.upper is not None)
            (looks if "holds(" in condition else filters).append(f"({condition})")
    params = compiler.params | ({"match": bound.upper} if bound.upper is not None else {})
    params |= (dated := _span(connection, query.parts if isinstance(query, And) else (query,)))
    return Plan(
        bound.upper, tuple(filters), tuple(looks), params, bool(dated), compiler.leaves(query), tuple(compiler.notes)
    )


def _span(connection: sqlite3.Connection, parts: tuple[Node, ...]) -> dict[str, int]:
    """The first and last docid of the dates asked for, empty when none are.

    Asked of the index on dates: a docid may stand elsewhere than its article's date (a date corrected later, or one
    in the future), and the dates themselves are compared too.
    """
    since = [_iso(part.instant) for part in parts if isinstance(part, Since)]
    until = [_iso(part.instant) for part in parts if isinstance(part, Until)]
    if not since and not until:
        return {}
    sql = f"SELECT coalesce(min(docid), 1), coalesce(max(docid), 0) FROM article f WHERE {_WHEN} >= ? AND {_WHEN} < ?"
    first, last = connection.execute(sql, (max(since, default=""), min(until, default="~"))).fetchone()
    return {"first": first, "last": last}


@dataclass
class _Compiler:
    connection: sqlite3.Connection
    params: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    known: dict[Node, Bound] = field(default_factory=dict)

    def param(self, value: Any) -> str:
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f":{name}"

    # --- the index

    def bound(self, node: Node) -> Bound:
        if node not in self.known:
            self.known[node] = self.new_bound(node)
        return self.known[node]

    def new_bound(self, node: Node) -> Bound:
        match node:
            case Text():
                return self.text(node)
            case And(parts):
                return self.all_of(parts)
            case Or(parts):
                bounds = [self.bound(part) for part in parts]
                if any(bound.upper is None for bound in bounds):
                    return Bound(None, exact=False)
                exact = all(bound.exact for bound in bounds)
                return Bound(_either([bound.upper for bound in bounds]), exact)
            case _:
                return Bound(None, exact=False)

    def all_of(self, parts: tuple[Node, ...]) -> Bound:
        """What all parts ask together; a NOT can only be left to the index beside something to take it from."""
        wanted = [self.bound(part) for part in parts if not isinstance(part, Not)]
        unwanted = [self.bound(part.part) for part in parts if isinstance(part, Not)]
        uppers = [bound.upper for bound in wanted if bound.upper is not None]
        if not uppers:
            return Bound(None, exact=False)
        taken = [bound.upper for bound in unwanted if bound.exact and bound.upper is not None]
        exact = all(bound.exact for bound in (*wanted, *unwanted))
        return Bound(_together(uppers, taken), exact)

    def text(self, node: Text) -> Bound:
        asked = terms.asked(terms.folded(node.needle))
        place = terms.TITLE if node.title else ""
        parts = [_quoted(place + term) for term in asked.terms]
        parts += [_quoted(place + prefix.char) + " *" for prefix in asked.prefixes]
        exact = asked.exact
        for word in asked.words:
            choices = self.vocabulary(word)
            if choices is None:
                exact = False
            else:
                parts.append(_either([_quoted(place + choice) for choice in choices]) if choices else _NOTHING)
        if not parts:
            return Bound(None, exact=False)
        return Bound(_together(parts, []), exact)

    def leaves(self, query: Node) -> tuple[Leaf, ...]:
        """The words an article is wanted for, as ranking asks for them."""
        parts = query.parts if isinstance(query, And) else (query,)
        return tuple(
            Leaf(
                terms.folded(text.needle),
                text.title,
                self.bound(text).upper,
                self.bound(Text(text.needle, title=True)).upper,
                always=text in parts,
            )
            for text in dict.fromkeys(texts(query))
        )

    def vocabulary(self, word: terms.Word) -> list[str] | None:
        """The words that can hold a piece of a needle; None when there are too many to name."""
        if word.left and word.right:
            return [word.text]
        rows = [row[0] for row in self.connection.execute(*_words_like(word))]
        if len(rows) == _SCAN:
            return None
        fitting = [row for row in rows if word.fits(row)]
        return fitting if len(fitting) <= MOST_WORDS else None

    # --- the article

    def condition(self, node: Node, *, covered: bool) -> str:  # noqa: PLR0911 - one for each kind of node
        """The exact condition on `article a`; `covered` says that the index has narrowed the candidates already."""
        match node:
            case Text():
                return self.held(node, covered=covered)
            case Field(name, value):
                return self.property(name, value)
            case Since(instant):
                return f"{_WHEN} >= {self.param(_iso(instant))}"
            case Until(instant):
                return f"{_WHEN} < {self.param(_iso(instant))}"
            case Not(part):
                return f"NOT ({self.condition(part, covered=covered)})"
            case And(parts):
                return " AND ".join(f"({self.condition(part, covered=covered)})" for part in parts) or "1"
            case Or(parts):
                return " OR ".join(f"({self.condition(part, covered=covered)})" for part in parts) or "0"

    def held(self, node: Text, *, covered: bool) -> str:
        bound = self.bound(node)
        text = "NULL" if node.title else "a.text"
        needle = self.param(terms.folded(node.needle))
        look = f"holds(a.title, {text}, {needle}, f.docid IN article_traditional)"
        if bound.upper is None or (covered and not bound.exact):
            return look
        listed = f"f.docid IN (SELECT rowid FROM article_fts WHERE article_fts MATCH {self.param(bound.upper)})"
        return listed if bound.exact else f"{listed} AND {look}"

    def property(self, name: str, value: str) -> str:
        given = self.param(value)
        match name:
            case "lang":
                return f"(f.lang = {given} OR f.lang LIKE {given} || '-%')"
            case "outlet":
                return self.outlet(value)
            case "feed":
                return f"f.feed = {given}"
            case "story":
                number = f"CAST({given} AS INTEGER)"
                older = f"SELECT story_id FROM story_alias WHERE old = {number}"
                return f"f.id IN (SELECT article_id FROM place WHERE story_id = {number} OR story_id IN ({older}))"
            case "agreement":
                return (
                    f"f.id IN (SELECT article_id FROM article_agreement WHERE agreement = {given}"
                    f" UNION SELECT article_id FROM clause_tag WHERE agreement = {given} AND relation = 'discusses')"
                )
            case _:
                return f"f.id IN (SELECT article_id FROM clause_tag WHERE clause = {given} AND relation = 'discusses')"

    def outlet(self, value: str) -> str:
        """The outlets of exactly this name in any script and case, else those whose name holds it."""
        wanted = terms.folded(value)
        names = [row[0] for row in self.connection.execute(_OUTLETS)]
        chosen = [name for name in names if terms.folded(name) == wanted]
        chosen = chosen or [name for name in names if wanted in terms.folded(name)]
        if not chosen:
            self.notes.append(f"no outlet is called {value}; `aggregator stats` lists them")
        return f"f.outlet IN ({', '.join(self.param(name) for name in chosen)})"


# A loop over the index on outlet, one step for each distinct name (sqlite.org has no skip-scan for DISTINCT).
_OUTLETS = """
WITH RECURSIVE name(n) AS (
    SELECT min(outlet) FROM article
    UNION ALL SELECT (SELECT min(outlet) FROM article WHERE outlet > n) FROM name WHERE n IS NOT NULL
) SELECT n FROM name WHERE n IS NOT NULL
"""


def _words_like(word: terms.Word) -> tuple[str, tuple[Any, ...]]:
    """The statement that lists words of the vocabulary that hold a piece."""
    if word.left:
        return (
            f"SELECT word FROM article_word WHERE word >= ? AND word < ? LIMIT {_SCAN}",
            (word.text, word.text + "\U0010ffff"),
        )
    if len(word.text) < 3:  # noqa: PLR2004 - trigrams
        return f"SELECT word FROM article_word WHERE instr(word, ?) LIMIT {_SCAN}", (word.text,)
    grams = dict.fromkeys(word.text[at : at + 3] for at in range(len(word.text) - 2))
    sql = (
        "SELECT w.word FROM article_word_fts JOIN article_word w ON w.id = article_word_fts.rowid"
        f" WHERE article_word_fts MATCH ? AND instr(w.word, ?) LIMIT {_SCAN}"
    )
    return sql, (" AND ".join(map(_quoted, grams)), word.text)


def _quoted(term: str) -> str:
    """A term as an FTS5 string: nothing in it can be read as syntax."""
    return '"' + term.replace('"', '""') + '"'


def _either(expressions: Sequence[str | None]) -> str:
    given = list(dict.fromkeys(expression for expression in expressions if expression))
    return given[0] if len(given) == 1 else f"({' OR '.join(given)})"


def _together(expressions: Sequence[str | None], without: Sequence[str]) -> str:
    given = list(dict.fromkeys(expression for expression in expressions if expression))
    wanted = given[0] if len(given) == 1 else f"({' AND '.join(given)})"
    return f"({wanted} NOT {_either(without)})" if without else wanted


def _iso(instant: datetime) -> str:
    """As `schema.iso` writes instants."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
