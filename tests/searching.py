"""An archive to search in, and the scan that says what a search must find."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import opencc
import sqlalchemy as sa

from aggregator.query import And, Field, Not, Or, Since, Text, Until
from aggregator.store import search
from aggregator.store.docids import Docids
from aggregator.store.schema import article, article_agreement, clause_tag, metadata

NOW = datetime(2023, 11, 20, tzinfo=UTC)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_T2S = opencc.OpenCC("t2s")


def t2s_lower(text: str) -> str:
    """The contract's own words, made apart from the program."""
    return _T2S.convert(text).lower()


@dataclass(frozen=True)
class Doc:
    """One article as a scan sees it."""

    title: str
    text: str
    published: datetime | None = None
    outlet: str = "外电"
    lang: str = "zh"
    feed: str = "f"
    clauses: tuple[str, ...] = ()
    first_seen: datetime = NOW

    @property
    def when(self) -> datetime:
        """Published, else first seen."""
        return self.published or self.first_seen


class Searchable:
    """Documents in an archive in memory, or in the given new one on PostgreSQL, uncommitted; ids count from 1."""

    def __init__(self, docs: list[Doc], engine: sa.Engine | None = None) -> None:
        self.docs = list(docs)
        self.connection = (engine or sa.create_engine("sqlite://")).connect()
        if engine is None:
            metadata.create_all(self.connection)
            for statement in search.DDL:
                self.connection.exec_driver_sql(statement)
        self.docids = Docids(self.connection).allocate([int((doc.when - EPOCH).total_seconds()) for doc in docs])
        rows = [
            {
                "id": number, "docid": docid, "feed": doc.feed, "outlet": doc.outlet, "lang": doc.lang, "title": doc.title,
                "text": doc.text, "published": doc.published, "first_seen": doc.first_seen, "content_key": "", "html": b"",
                "categories": [], "extra": {},
            }
            for number, (doc, docid) in enumerate(zip(docs, self.docids, strict=True), 1)
        ]  # fmt: skip
        if rows:
            self.connection.execute(sa.insert(article), rows)
        search.index(self.connection, [(row["docid"], row["title"], row["text"]) for row in rows])
        for number, doc in enumerate(docs, 1):
            for clause in doc.clauses:
                self._tag(number, clause)
        self.folded = [(t2s_lower(doc.title), t2s_lower(f"{doc.title}\n{doc.text}")) for doc in docs]

    def _tag(self, number: int, clause: str) -> None:
        agreement = clause.partition("/")[0]
        row = {
            "article_id": number,
            "clause": clause,
            "agreement": agreement,
            "relation": "discusses",
            "score": 1.0,
            "catalogue": "",
            "evidence": [],
        }
        self.connection.execute(sa.insert(clause_tag), row)
        same = (article_agreement.c.article_id == number, article_agreement.c.agreement == agreement)
        if self.connection.execute(sa.select(article_agreement).where(*same)).first() is None:
            self.connection.execute(sa.insert(article_agreement), {"article_id": number, "agreement": agreement})

    def revise(self, number: int, title: str, text: str) -> None:
        """The outlet changed article `number`."""
        doc, docid = self.docs[number - 1], self.docids[number - 1]
        search.unindex(self.connection, [(docid, doc.title, doc.text)])
        search.index(self.connection, [(docid, title, text)])
        self.connection.execute(sa.update(article).where(article.c.id == number).values(title=title, text=text))
        self.docs[number - 1] = replace(doc, title=title, text=text)
        self.folded[number - 1] = (t2s_lower(title), t2s_lower(f"{title}\n{text}"))

    def find(self, tree, **options):
        """What the index finds, counted to the end."""
        return search.find(self.connection, tree, **{"limit": 1 << 40, "candidates": 1 << 40} | options)

    def scan(self, tree) -> set[int]:
        """The ids that a look at every article gives."""
        return {number for number in range(1, len(self.docs) + 1) if self.meets(number, tree)}

    def meets(self, number: int, tree) -> bool:  # noqa: PLR0911 - one for each kind of node
        """Whether an article is what the tree asks for."""
        doc = self.docs[number - 1]
        match tree:
            case Text(needle, title):
                return t2s_lower(needle) in self.folded[number - 1][0 if title else 1]
            case Field("clause", value):
                return value in doc.clauses
            case Field("agreement", value):
                return any(clause.startswith(f"{value}/") for clause in doc.clauses)
            case Field(name, value):
                return getattr(doc, name) == value
            case Since(instant):
                return doc.when >= instant
            case Until(instant):
                return doc.when < instant
            case Not(part):
                return not self.meets(number, part)
            case And(parts):
                return all(self.meets(number, part) for part in parts)
            case Or(parts):
                return any(self.meets(number, part) for part in parts)
        raise AssertionError(tree)


def posts(folder) -> list[Doc]:
    """The articles of the shared corpus: title, date and author from the head, text without its marks."""
    docs = []
    for path in sorted(folder.glob("*/*.md")):
        _empty, head, body = path.read_text(encoding="utf-8").split("---\n", 2)
        facts = dict(re.findall(r"^(\w+): (.*)$", head, re.MULTILINE))
        text = re.sub(r"\s*\n\s*", "\n", re.sub(r"<[^>]*>", "", body.split("------", 1)[-1])).strip()
        title = facts["title"].strip('"')
        lang = "zh" if re.search("[\u4e00-\u9fff]", title) else "en"
        when = datetime.fromisoformat(facts["date"]).astimezone(UTC)
        number = len(docs)
        clauses = tuple(
            f"{name}/{number % 7 + 1}" for name, every in (("alpha-2021", 3), ("beta-2023", 5)) if not number % every
        )
        docs.append(
            Doc(
                title,
                text,
                when if number % 10 else None,
                facts["author"],
                lang,
                clauses=clauses,
                first_seen=when + timedelta(hours=3),
            )
        )
    return docs


WORD = re.compile("[A-Za-z][a-z]+")
HAN = re.compile("[\u4e00-\u9fff]+")
S2T = opencc.OpenCC("s2t")


def drawn(docs: list[Doc], count: int, seed: int) -> list[str]:
    """Queries of every kind, drawn from the texts themselves, so that most of them find something."""
    chance = random.Random(seed)
    kinds = (
        *(
            "han1",
            "han2",
            "han3",
            "han4",
            "phrase",
            "english",
            "word",
            "mixed",
            "other",
            "part",
            "and",
            "or",
            "not",
            "brackets",
        ),
        "field",
        "title",
        "dates",
    )
    return [_one(chance, docs, kinds[number % len(kinds)]) for number in range(count)]


def _one(chance: random.Random, docs: list[Doc], kind: str) -> str:  # noqa: C901, PLR0911, PLR0912 - a table of kinds
    doc = chance.choice(docs)
    text = f"{doc.title}\n{doc.text}"
    match kind:
        case "han1" | "han2" | "han3" | "han4":
            return _han(chance, docs, int(kind[3]))
        case "phrase":
            at = chance.randrange(len(text))
            piece = text[at : at + chance.randrange(3, 20)].replace('"', "")
            return f'"{piece}"' if piece.strip() else _han(chance, docs, 2)
        case "english":
            words = WORD.findall(text)
            return chance.choice(words) if words else "COVID"
        case "word":
            words = WORD.findall(text)
            word = chance.choice(words) if words else "climate"
            return word[chance.randrange(len(word)) :][: chance.randrange(1, 6)].upper()
        case "mixed":
            found = re.findall("[A-Za-z0-9]+[\u4e00-\u9fff]{1,3}|[\u4e00-\u9fff]{1,3}[A-Za-z0-9]+", text)
            return chance.choice(found) if found else "19疫"
        case "other":
            return S2T.convert(_han(chance, docs, chance.randrange(1, 5)))
        case "part":
            return chance.choice(re.findall(r"[^\s\"()]+", text))[:6].strip("-:") or "a"
        case "and":
            return f"{_han(chance, docs, 2)} {_han(chance, docs, chance.randrange(1, 4))}"
        case "or":
            return f"{_han(chance, docs, 2)} OR {_han(chance, docs, 3)}"
        case "not":
            return f"{_han(chance, docs, 2)} -{_han(chance, docs, chance.randrange(1, 4))}"
        case "brackets":
            return f"({_han(chance, docs, 2)} OR title:{_han(chance, docs, 2)}) -({_han(chance, docs, 1)} {_han(chance, docs, 3)})"
        case "field":
            field = chance.choice(
                (
                    f'outlet:"{doc.outlet}"',
                    f"lang:{doc.lang}",
                    "clause:alpha-2021/3",
                    "clause:beta-2023",
                    "agreement:alpha-2021",
                )
            )
            return (
                f"{field} {_han(chance, docs, 2)}" if chance.random() < 0.7 else f"-{field} OR {_han(chance, docs, 3)}"
            )
        case "title":
            at = chance.randrange(len(doc.title))
            return (
                'title:"' + doc.title[at : at + chance.randrange(1, 6)].replace('"', "").strip() + 'a"'[1:]
                if doc.title[at].strip('"').strip()
                else "title:a"
            )
        case _:
            day = f"{doc.when:%Y-%m-%d}"
            return (
                f"{chance.choice(('since', 'until'))}:{day} {_han(chance, docs, 2)}"
                if chance.random() < 0.7
                else f"since:{day} until:{day}"
            )


def _han(chance: random.Random, docs: list[Doc], length: int) -> str:
    while True:
        runs = [run for run in HAN.findall(chance.choice(docs).text) if len(run) >= length]
        if runs:
            run = chance.choice(runs)
            at = chance.randrange(len(run) - length + 1)
            return run[at : at + length]
