"""A query for PostgreSQL: the same tree and the same terms, asked of a `tsvector` and of the folded text beside it.

A document whose terms do not fit into a `tsvector` (1 MB) is always a candidate; while there is one, the index alone
decides nothing and the candidates' texts are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import sqlalchemy as sa

from aggregator import terms
from aggregator.query import Node, Text
from aggregator.store import schema
from aggregator.store.plan import SCAN, Bound, Compiler, Plan, Syntax

TSQUERY = Syntax((("\\", "\\\\"), ("'", "''")), "'{}'", "'{}':*", " & ", " | ", " & !")
DOCUMENT = "coalesce(x.folded, lower((f.title || E'\\n' || f.text) COLLATE \"C\"))"
"""What search looks into (`terms.document`): kept where it is more than ASCII lower case away from the text."""
TITLE = 'coalesce(x.folded_title, lower(f.title COLLATE "C"))'
_TEXT = "f JOIN article_fts x ON x.docid = f.docid"


@dataclass(frozen=True, slots=True)
class PostgresPlan(Plan):
    """One query, compiled for PostgreSQL."""

    @property
    def docid(self) -> str:
        """The column that is in date order."""
        return "x.docid" if self.match is not None else "f.docid"

    def select(self, columns: str, *, looked_at: bool = True, whole: bool = False) -> str:
        """The statement for some columns; without `looked_at` the rows are an upper bound."""
        conditions = [*self.filters, *(self.looks if looked_at else ())]
        tables = "article f"
        if self.match is not None:
            tables = f"article {_TEXT}" if conditions else "article_fts x"
            conditions.insert(0, _matching(":match"))
        elif looked_at and self.looks:
            tables = f"article {_TEXT}"
        if self.dated:
            conditions.append(f"{self.docid} BETWEEN :first AND :last")
        return f"SELECT {columns} FROM {tables} WHERE {' AND '.join(conditions) or 'TRUE'}"  # noqa: S608 - bound

    def one(self) -> str:
        """The statement that gives a row when the article `:docid` passes the looks."""
        return f"SELECT 1 FROM article {_TEXT} WHERE f.docid = :docid AND {' AND '.join(self.looks)}"  # noqa: S608


def compiled(connection: sa.Connection, query: Node) -> PostgresPlan:
    """The plan of a query; reads the vocabulary."""
    large = list(connection.exec_driver_sql("SELECT docid FROM article_large ORDER BY docid").scalars())
    plan = PostgresCompiler(connection, large=large).plan(query, PostgresPlan)
    return replace(plan, params={**plan.params, "large": large})


@dataclass
class PostgresCompiler(Compiler):
    """One query's compilation for PostgreSQL; `large` are the documents that the index holds in part."""

    large: list[int] = field(default_factory=list)
    syntax: ClassVar[Syntax] = TSQUERY
    elsewhere: ClassVar[str] = "article"
    displaced: ClassVar[str] = schema.DISPLACED["postgresql"]
    earliest: ClassVar[str] = "-infinity"
    latest: ClassVar[str] = "infinity"

    def rows(self, sql: str, params: dict[str, Any]) -> list[Any]:
        """What the database answers."""
        return list(self.connection.execute(sa.text(sql), params))

    def reads(self, condition: str) -> bool:
        """Whether a condition reads texts."""
        return "position(" in condition

    def text(self, node: Text) -> Bound:
        """As on SQLite; nothing is exact while a document is indexed in part."""
        bound = super().text(node)
        return replace(bound, exact=False) if self.large else bound

    def rarest(self, wanted: list[str]) -> list[str]:
        """All of them: GIN asks for the rarest first by itself."""
        return wanted

    def words_like(self, word: terms.Word) -> tuple[str, dict[str, Any]]:
        """The statement that lists words of the vocabulary that hold a piece, and its parameters."""
        given: dict[str, Any] = {"word": word.text}
        if word.left:
            sql = f"SELECT word FROM article_word WHERE word >= :word AND word < :past LIMIT {SCAN}"  # noqa: S608
            return sql, given | {"past": word.text + "\U0010ffff"}
        pieces = grams(word.text)
        narrowed = "grams @> CAST(:grams AS text[]) AND " if pieces else ""
        sql = f"SELECT word FROM article_word WHERE {narrowed}position(:word IN word) > 0 LIMIT {SCAN}"  # noqa: S608
        return sql, given | ({"grams": pieces} if pieces else {})

    def held(self, node: Text, *, covered: bool) -> str:
        """Whether a word or phrase stands in the article."""
        bound = self.bound(node)
        look = f"position({self.param(terms.folded(node.needle))} IN {TITLE if node.title else DOCUMENT}) > 0"
        if bound.upper is None or (covered and not bound.exact):
            return look
        listed = f"f.docid IN (SELECT x.docid FROM article_fts x WHERE {_matching(self.param(bound.upper))})"  # noqa: S608
        return listed if bound.exact else f"({listed} AND {look})"

    def property(self, name: str, value: str) -> str:
        """An exact property of the article; a story's number may be longer than any that exists."""
        if name == "story":
            value = value if value.isascii() and value.isdigit() and len(value) < 19 else "-1"  # noqa: PLR2004 - bigint
        return super().property(name, value).replace("AS INTEGER", "AS BIGINT")


def grams(word: str) -> list[str]:
    """The distinct pieces of three characters: what narrows the words that hold another."""
    return list(dict.fromkeys(word[at : at + 3] for at in range(len(word) - 2)))


def _matching(expression: str) -> str:
    return f"(x.terms @@ CAST({expression} AS tsquery) OR x.docid = ANY(CAST(:large AS bigint[])))"
