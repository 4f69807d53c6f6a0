"""From a query's tree to SQL: what the full-text index is asked, and what is left to look up in the candidates.

Each node gives an upper bound as an FTS5 expression (every article that the node finds meets it) and says whether
the bound is exact. Where it is not, an exact condition on the article goes beside it; SQLite then evaluates that on
candidates only, newest first, and stops when the page is full.
"""

# ruff: noqa: S608 - statements are put together from this module's own text; every value is bound
from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from aggregator import terms
from aggregator.query import And, Field, Node, Not, Or, Since, Text, Until, mapped, texts
from aggregator.store.ranking import Leaf

MOST_WORDS = 300
"""Words of the vocabulary in one expression; a needle inside more of them is frequent and found by looking."""
SCAN = 5_000
DAY = 24 * 3600 // 4
"""Docids of a day (`docids.SLOT`)."""
FIRST, LAST = -(1 << 62), 1 << 62
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
FEW = 3
SAMPLE = 1_000
"""The newest articles that tell how frequent a term is."""
_NO_TERM = "\x80\x80"  # no document has this term
_WHEN = "coalesce(f.published, f.first_seen)"
_LISTED = "+article_fts.rowid IN"
_FACETS = "article f INDEXED BY ix_article_facets"


@dataclass(frozen=True, slots=True)
class Syntax:
    """How terms are written and joined for an index. `{}` in `quoted` and `prefix` is the term, escaped."""

    escapes: tuple[tuple[str, str], ...] = (('"', '""'),)
    quoted: str = '"{}"'
    prefix: str = '"{}" *'
    both: str = " AND "
    either: str = " OR "
    but_not: str = " NOT "

    def term(self, term: str) -> str:
        """A term as a string of the index's language: nothing in it can be read as syntax."""
        return self.quoted.replace("{}", self._escaped(term))

    def prefixed(self, start: str) -> str:
        """All terms that begin so."""
        return self.prefix.replace("{}", self._escaped(start))

    def _escaped(self, term: str) -> str:
        for char, escaped in self.escapes:
            term = term.replace(char, escaped)
        return term

    def any_of(self, expressions: Sequence[str | None]) -> str:
        """One of these."""
        given = list(dict.fromkeys(expression for expression in expressions if expression))
        return given[0] if len(given) == 1 else f"({self.either.join(given)})"

    def together(self, expressions: Sequence[str | None], without: Sequence[str]) -> str:
        """All of these and none of those."""
        given = list(dict.fromkeys(expression for expression in expressions if expression))
        wanted = given[0] if len(given) == 1 else f"({self.both.join(given)})"
        return f"({wanted}{self.but_not}{self.any_of(without)})" if without else wanted


FTS5 = Syntax()


@dataclass(frozen=True, slots=True)
class Bound:
    """`upper` is an expression of the index's language (FTS5's, or a tsquery) that holds wherever the node does, None
    when the index cannot say anything.
    """

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
    looked: Node | None = None
    """What `looks` say, where words and phrases alone are looked for, their needles folded."""
    whole: tuple[str, ...] = ()
    """The filters as they are quickest where all matches are wanted, not a page of them."""
    prefixed: bool = False
    """Whether the index is asked for every term that begins with a character: as long as there are such terms."""

    @property
    def docid(self) -> str:
        """The column that is in date order."""
        return "article_fts.rowid" if self.match is not None else "f.docid"

    def select(self, columns: str, *, looked_at: bool = True, whole: bool = False) -> str:
        """The statement for some columns; without `looked_at` texts are not read and the rows are an upper bound.

        `whole` says that all matches are wanted, or very many.

        Filters read a narrow index (`f`), a fifth of a microsecond an article; only looks read the row (`a`).
        """
        looks = self.looks if looked_at else ()
        filters = self.whole if whole and self.match is not None else self.filters
        conditions = [*filters, *looks]
        tables = _FACETS
        if self.match is not None:
            narrow = all(condition.startswith(_LISTED) for condition in conditions)
            tables = "article_fts" if narrow else f"article_fts CROSS JOIN {_FACETS} ON f.docid = article_fts.rowid"
            conditions.insert(0, "article_fts MATCH :match")
        if looks:
            tables += " CROSS JOIN article a ON a.id = f.id"
        if self.dated:
            conditions.append(f"{self.docid} BETWEEN :first AND :last")
        return f"SELECT {columns} FROM {tables} WHERE {' AND '.join(conditions) or 'TRUE'}"

    def one(self) -> str:
        """The statement that gives a row when the article `:docid` passes the looks."""
        tables = f"{_FACETS} CROSS JOIN article a ON a.id = f.id"
        return f"SELECT 1 FROM {tables} WHERE f.docid = :docid AND {' AND '.join(self.looks)}"


def compiled(connection: sqlite3.Connection, query: Node, *, prefixes: bool = True) -> Plan:
    """The plan of a query; reads the vocabulary. Without `prefixes` single characters are looked for in the texts."""
    return Compiler(connection, prefixes=prefixes).plan(query, Plan)


Look = Callable[[bytes, bytes, object], bool]
"""Whether an article's title and text (UTF-8, and whether folding changes more than case) are what is wanted."""


def looking(node: Node) -> Look:
    """What looks for a tree of folded words and phrases. Chinese ones are compared as bytes, which spares decoding."""
    match node:
        case Text(needle, in_title):
            return _looking_for(needle, in_title=in_title)
        case Not(part):
            unwanted = looking(part)
            return lambda title, text, traditional: not unwanted(title, text, traditional)
        case And(parts) | Or(parts):
            looks, together = [looking(part) for part in parts], all if isinstance(node, And) else any
            if len(looks) == 1:
                return looks[0]
            return lambda title, text, traditional: together(look(title, text, traditional) for look in looks)
        case _:
            raise TypeError(f"{node} is not in a text")


def _looking_for(needle: str, *, in_title: bool) -> Look:
    raw, plain = needle.encode("utf-8", "replace"), terms.is_plain(needle)

    def look(title: bytes, text: bytes, traditional: object) -> bool:
        if plain and not traditional:
            return raw in title or (not in_title and raw in text)
        return terms.holds(title.decode(), None if in_title else text.decode(), needle, traditional)

    return look


P = TypeVar("P", bound=Plan)


@dataclass
class Compiler:
    """One query's compilation for SQLite; `plan_postgres` has the other."""

    connection: Any
    params: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    known: dict[Node, Bound] = field(default_factory=dict)
    prefixes: bool = True
    prefixed: bool = False
    syntax: ClassVar[Syntax] = FTS5
    displaced: ClassVar[str] = (
        "docid - (CAST(strftime('%s', coalesce(published, first_seen)) AS INTEGER) - 946684800) / 4"
        " NOT BETWEEN 0 AND 21599"
    )
    """As `schema.DISPLACED`, which a test holds against it."""
    elsewhere: ClassVar[str] = "article INDEXED BY ix_article_displaced"
    earliest: ClassVar[str] = ""
    latest: ClassVar[str] = "~"

    def rows(self, sql: str, params: dict[str, Any]) -> list[Any]:
        """What the database answers."""
        found: list[Any] = self.connection.execute(sql, params).fetchall()
        return found

    def plan(self, query: Node, kind: type[P]) -> P:
        """The whole query: what the index is asked, and which parts are left to conditions."""
        bound = self.bound(query)
        filters: list[str] = []
        looks: list[str] = []
        looked: list[Node] = []
        whole: list[str] = []
        parts = query.parts if isinstance(query, And) else (query,)
        for part in parts:
            if not self.settled(part, bound):
                condition = self.condition(part, covered=bound.upper is not None)
                if self.reads(condition):
                    looks.append(f"({condition})")
                    looked.append(part)
                else:
                    filters.append(f"({condition})")
                    listed = f"{_LISTED} (SELECT f.docid FROM article f WHERE {condition})"
                    whole.append(listed if _of_outlets(part) else f"({condition})")
        params = self.params | ({"match": bound.upper} if bound.upper is not None else {})
        params |= (dated := self.span(parts))
        wanted = (
            And(tuple(mapped(part, _folded) for part in looked)) if looked and all(map(_textual, looked)) else None
        )
        return kind(
            bound.upper, tuple(filters), tuple(looks), params, bool(dated), self.leaves(query), tuple(self.notes), wanted,
            tuple(whole), self.prefixed,
        )  # fmt: skip

    def settled(self, part: Node, whole: Bound) -> bool:
        """Whether the index decides a part of the query alone; a NOT when it is taken from something."""
        if isinstance(part, Not):
            return whole.upper is not None and self.bound(part.part).exact
        return self.bound(part).exact

    def reads(self, condition: str) -> bool:
        """Whether a condition reads texts."""
        return "holds(" in condition

    def span(self, parts: tuple[Node, ...]) -> dict[str, int]:
        """The first and last docid of the dates asked for, empty when none are.

        Docids follow the dates within a day, and an index names the others (a date corrected later, one in the future);
        the dates themselves are compared too.
        """
        since = [_iso(part.instant) for part in parts if isinstance(part, Since)]
        until = [_iso(part.instant) for part in parts if isinstance(part, Until)]
        if not since and not until:
            return {}
        when = "coalesce(published, first_seen)"
        sql = f"SELECT min(docid), max(docid) FROM {self.elsewhere} WHERE {self.displaced} AND {when} >= :since AND {when} < :until"
        given = {"since": max(since, default=self.earliest), "until": min(until, default=self.latest)}
        [(low, high)] = self.rows(sql, given)
        first = _slot(given["since"]) if since else FIRST
        last = _slot(given["until"]) + DAY if until else LAST
        return {
            "first": first if low is None else min(first, low),
            "last": last if high is None else max(last, high),
        }

    def param(self, value: Any) -> str:
        """A value's place in the statement."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f":{name}"

    # --- the index

    def bound(self, node: Node) -> Bound:
        """What the index can say of a node."""
        if node not in self.known:
            self.known[node] = self.new_bound(node)
        return self.known[node]

    def new_bound(self, node: Node) -> Bound:
        """As `bound`, worked out."""
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
                return Bound(self.syntax.any_of([bound.upper for bound in bounds]), exact)
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
        return Bound(self.syntax.together(uppers, taken), exact)

    def text(self, node: Text) -> Bound:
        """A word or phrase: its terms, and the words of the vocabulary that can hold its ends."""
        asked = terms.asked(terms.folded(node.needle))
        place = terms.TITLE if node.title else ""
        wanted = [place + term for term in asked.terms]
        parts = [self.syntax.term(term) for term in (wanted if asked.exact else self.rarest(wanted))]
        exact = asked.exact
        if asked.prefixes and self.prefixes:
            self.prefixed = True
            parts += [self.syntax.prefixed(place + prefix.char) for prefix in asked.prefixes]
        elif asked.prefixes:
            exact = False
        for word in asked.words:
            choices = self.vocabulary(word)
            if choices is None:
                exact = False
            else:
                parts.append(
                    self.syntax.any_of([self.syntax.term(place + choice) for choice in choices or [_NO_TERM]])
                )
        if not parts:
            return Bound(None, exact=False)
        return Bound(self.syntax.together(parts, []), exact)

    def rarest(self, wanted: list[str]) -> list[str]:
        """Of the terms that candidates must have, those that narrow them: the rarest among the newest articles.

        The texts are looked at in any case; a term that nearly all articles have only takes time.
        """
        if len(wanted) <= FEW:
            return wanted
        row = self.connection.execute(
            f"SELECT docid FROM article ORDER BY docid DESC LIMIT 1 OFFSET {SAMPLE}"
        ).fetchone()
        if row is None:
            return wanted
        sql = "SELECT count(*) FROM article_fts WHERE article_fts MATCH ? AND rowid > ?"
        often = {term: self.connection.execute(sql, (self.syntax.term(term), row[0])).fetchone()[0] for term in wanted}
        rare = sorted(wanted, key=often.__getitem__)
        return rare[:FEW] + [term for term in rare[FEW : 2 * FEW] if often[term] < SAMPLE // 2]

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
        rows = [row[0] for row in self.rows(*self.words_like(word))]
        if len(rows) == SCAN:
            return None
        fitting = [row for row in rows if word.fits(row)]
        return fitting if len(fitting) <= MOST_WORDS else None

    def words_like(self, word: terms.Word) -> tuple[str, dict[str, Any]]:
        """The statement that lists words of the vocabulary that hold a piece, and its parameters."""
        given = {"word": word.text, "past": word.text + "\U0010ffff"}
        if word.left:
            return f"SELECT word FROM article_word WHERE word >= :word AND word < :past LIMIT {SCAN}", given
        grams = dict.fromkeys(word.text[at : at + 3] for at in range(len(word.text) - 2))
        if not grams:
            return f"SELECT word FROM article_word WHERE instr(word, :word) LIMIT {SCAN}", given
        sql = (
            "SELECT w.word FROM article_word_fts JOIN article_word w ON w.id = article_word_fts.rowid"
            f" WHERE article_word_fts MATCH :grams AND instr(w.word, :word) LIMIT {SCAN}"
        )
        return sql, given | {"grams": " AND ".join(map(FTS5.term, grams))}

    # --- the article

    def condition(self, node: Node, *, covered: bool) -> str:  # noqa: PLR0911 - a table of the kinds of nodes
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
                return " AND ".join(f"({self.condition(part, covered=covered)})" for part in parts) or "TRUE"
            case Or(parts):
                return " OR ".join(f"({self.condition(part, covered=covered)})" for part in parts) or "FALSE"

    def held(self, node: Text, *, covered: bool) -> str:
        """Whether a word or phrase stands in the article."""
        bound = self.bound(node)
        text = "NULL" if node.title else "a.text"
        needle = self.param(terms.folded(node.needle))
        look = f"holds(a.title, {text}, {needle}, f.docid IN article_traditional)"
        if terms.is_plain(terms.folded(node.needle)):
            raw = (
                f"instr(a.title, {needle})" if node.title else f"(instr(a.text, {needle}) OR instr(a.title, {needle}))"
            )
            look = f"CASE WHEN f.docid IN article_traditional THEN {look} ELSE {raw} END"
        if bound.upper is None or (covered and not bound.exact):
            return look
        listed = f"f.docid IN (SELECT rowid FROM article_fts WHERE article_fts MATCH {self.param(bound.upper)})"
        return listed if bound.exact else f"{listed} AND {look}"

    def property(self, name: str, value: str) -> str:
        """An exact property of the article."""
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
        names = [row[0] for row in self.rows(_OUTLETS, {})]
        chosen = [name for name in names if terms.folded(name) == wanted]
        chosen = chosen or [name for name in names if wanted in terms.folded(name)]
        if not chosen:
            self.notes.append(f"no outlet is called {value}; `aggregator stats` lists them")
            return "FALSE"
        return f"f.outlet IN ({', '.join(self.param(name) for name in chosen)})"


def _textual(node: Node) -> bool:
    """Whether a tree is made of words and phrases alone."""
    match node:
        case Text():
            return True
        case Not(part):
            return _textual(part)
        case And(parts) | Or(parts):
            return all(map(_textual, parts))
        case _:
            return False


def _of_outlets(node: Node) -> bool:
    """Whether a part asks for outlets alone: the index on them lists their articles."""
    return (isinstance(node, Field) and node.name == "outlet") or (
        isinstance(node, Or) and all(map(_of_outlets, node.parts))
    )


def _folded(text: Text) -> Text:
    return replace(text, needle=terms.folded(text.needle))


# A loop over the index on outlet, one step for each distinct name (sqlite.org has no skip-scan for DISTINCT).
_OUTLETS = """
WITH RECURSIVE name(n) AS (
    SELECT min(outlet) FROM article
    UNION ALL SELECT (SELECT min(outlet) FROM article WHERE outlet > n) FROM name WHERE n IS NOT NULL
) SELECT n FROM name WHERE n IS NOT NULL
"""


def _slot(instant: str) -> int:
    """The first docid of an instant, and one more for what is rounded."""
    return int((datetime.fromisoformat(instant) - _EPOCH).total_seconds()) // 4 - 1


def _iso(instant: datetime) -> str:
    """As `schema.iso` writes instants."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
