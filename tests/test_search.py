"""The full-text index: it finds what a scan finds, newest first, whatever is asked."""

from __future__ import annotations

import ast
import random
import re
import sqlite3
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator import terms
from aggregator.errors import QueryError
from aggregator.query import EVERYTHING, Text, parse
from aggregator.store import lookup, paging, reindex, schema, search
from aggregator.store.archive import Archive
from aggregator.store.docids import SLOT, Docids
from tests.searching import NOW, Doc, Searchable, drawn, posts

FIRST = datetime(2021, 11, 1, tzinfo=UTC)
TEXTS = [
    ("中美宣布甲烷合作", "双方将就甲烷减排开展合作。气候变化特使出席。"),
    ("氣候大會閉幕", "聯合國氣候變化大會COP28峰會在迪拜閉幕，代表們乾杯，看著乾坤。"),
    ("Methane pledge grows", "The biomethane industry joined; methane cuts cost $3.5 per tonne (CO2)."),
    ("天气预报", "今天的天气：晴，气温15°C。UNCOP26峰会。😀 Straße İstanbul ΣΊΣΥΦΟΣ"),
    ("Country by country", "Countries agreed at COP26 to phase down coal.\nkey=" + "x7Kq" * 30),
    ("한국어 뉴스", "기후 변화 日本語のニュース ประเทศไทย Việt Nam"),
]


SMALL = [Doc(title, text, FIRST + timedelta(days=day)) for day, (title, text) in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def engine(database, lasting_place):
    """Engines of new archives: None for SQLite in memory."""
    names = count()
    return lambda: None if database == "sqlite" else Archive.open(lasting_place(str(next(names))))._engine


@pytest.fixture(scope="module")
def shelf(engine):
    """Make archives of documents, each in the place of the one before."""
    made = []

    def make(docs):
        if not made:
            made.append(engine())
        if len(made) > 1:
            made.pop().connection.close()
        made.append(Searchable(docs, made[0]))
        return made[-1]

    yield make
    for archive in made[1:]:
        archive.connection.close()


@pytest.fixture(scope="module")
def six(engine):
    """Six short articles in many scripts, a day apart."""
    return Searchable(SMALL, engine())


@pytest.fixture(scope="module")
def corpus(engine, shared):
    """The articles of the shared corpus."""
    made = Searchable(posts(shared / "corpus" / "posts"), engine())
    yield made
    made.connection.close()


NEEDLES = [
    "甲烷",
    "气候",
    "氣候",
    "气",
    "候",
    "methane",
    "METHANE",
    "etha",
    "cop26",
    "COP28峰会",
    "峰会",
    "3.5",
    "$",
    "15°C",
    "(CO2)",
    "候变化特",
    "e",
    "-",
    "的天气：",
    "😀",
    "乾",
    "干",
    "着",
    "著",
    "straße",
    "i̇stanbul",
    "ΣΊΣΥΦΟΣ",
    "어",
    "ส",
    "việt",
    "ệ",
    "ồ",
    "変",
    "x7kqx7k",
    "kqx7kqx7kqx7kqx7kqx7kqx7kqx7kqx7",
    "国语",
    "，",
    "大會閉幕\n聯合國",
    "zz",
    "国烷",
    "UNCOP26",
    "cop",
]


@pytest.mark.parametrize("needle", NEEDLES)
def test_a_needle_finds_what_a_scan_finds(six, needle):
    """Substring of title and text, script and case folded; in the title alone too."""
    for tree in (Text(needle), Text(needle, title=True)):
        found = six.find(tree)
        assert set(found.ids) == six.scan(tree)
        assert (found.total, found.exact) == (len(found.ids), True)


@pytest.mark.parametrize("query", ["甲烷", "气候", "氣候", '"COP26"', "methane"])
def test_both_scripts_and_cases(corpus, query):
    """The queries of the acceptance."""
    tree = parse(query, NOW)
    assert set(corpus.find(tree).ids) == corpus.scan(tree)


def test_300_queries_find_what_a_scan_finds(corpus, capsys):
    """Drawn from the corpus: one to four characters, phrases, English, mixed, both scripts, operators, every field."""
    wanted = found = right = nothing = 0
    wrong = []
    for query in drawn(corpus.docs, 340, seed=5):
        tree = parse(query, NOW)
        truth, result = corpus.scan(tree), corpus.find(tree)
        ids = set(result.ids)
        wanted, found, right = wanted + len(truth), found + len(ids), right + len(ids & truth)
        nothing += not truth
        if ids != truth or result.total != len(truth) or not result.exact:
            wrong.append(query)
    with capsys.disabled():
        print(  # noqa: T201 - the counts are part of what is shown
            f"\n340 queries on {len(corpus.docs)} articles: {found} found, {wanted} wanted, {nothing} queries with none;"
            f" precision {right / found:.3f}, recall {right / wanted:.3f}"
        )
    assert wrong == []
    assert nothing < 40


def test_fuzzed_queries_give_results_or_a_query_error(corpus, database):
    """2,000 (PostgreSQL: 500) made of the language's own signs and of the corpus; 20,000 in benchmarks/search.py."""
    number = 2000 if database == "sqlite" else 500
    chance = random.Random(11)
    parts = [
        *drawn(corpus.docs, 60, seed=8),
        *[
            '"',
            "(",
            ")",
            "-",
            "OR",
            "AND",
            "NOT",
            "NEAR",
            "*",
            "^",
            ":",
            "title:",
            "outlet:",
            "clause:",
            "story:1",
            "since:7d",
            "'",
            ";",
            "--",
            "{a}",
            "\x00",
            "%",
            "_",
            "中",
            "é",
            "😀",
            '""',
            "a*",
        ],
    ]
    refused = 0
    for _ in range(number):
        query = "".join(
            chance.choice(parts) + chance.choice(("", " ", " ", "\u3000")) for _ in range(chance.randrange(1, 7))
        )
        try:
            search.find(corpus.connection, parse(query, NOW), rank=chance.random() < 0.2, candidates=50)
        except QueryError:
            refused += 1
    assert number / 10 < refused < number * 0.9


def test_hostile_queries(shared, corpus):
    """FTS and SQL syntax is text, or a mistake with a column; the archive stays as it is."""
    source = (shared / "chaos" / "gen_hostile.py").read_text(encoding="utf-8")
    line = next(line for line in source.splitlines() if line.startswith("qs=["))
    queries = eval(compile(ast.parse(line.removeprefix("qs="), mode="eval"), "qs", "eval"))
    before = corpus.connection.exec_driver_sql("SELECT count(*), sum(length(text)) FROM article").one()
    for query in queries:
        try:
            tree = parse(query, NOW)
        except QueryError:
            continue
        assert set(corpus.find(tree).ids) == corpus.scan(tree)
    assert len(queries) == 148
    assert corpus.connection.exec_driver_sql("SELECT count(*), sum(length(text)) FROM article").one() == before
    assert search.verify(corpus.connection) == []


TANGLED = st.text(alphabet="aAbc1 \n，。-气氣候后後著着乾干İΣß臺é\u0301", max_size=30)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TANGLED, TANGLED), min_size=1, max_size=6), st.data())
def test_any_piece_of_any_text_is_found(shelf, texts, data):
    """Words, scripts and signs in any order; needles of any length from the texts."""
    archive = shelf([Doc(title, text) for title, text in texts])
    text = "\n".join(data.draw(st.sampled_from(texts)))
    start = data.draw(st.integers(0, max(len(text) - 1, 0)))
    needle = text[start : start + data.draw(st.integers(1, 8))]
    if needle.strip():
        tree = Text(needle)
        assert set(archive.find(tree).ids) == archive.scan(tree)


def test_newest_first_and_pages(corpus):
    """Pages put together are the whole, in the order of the dates."""
    tree = parse("中国", NOW)
    whole = corpus.find(tree).ids

    def when(number: int) -> datetime:
        return corpus.docs[number - 1].when

    dates = list(map(when, whole))
    assert dates == sorted(dates, reverse=True)
    pages = [search.find(corpus.connection, tree, limit=7, offset=start).ids for start in range(0, len(whole), 7)]
    assert sorted(sum(pages, ())) == sorted(whole)
    assert all(max(when(one) for one in later) <= max(when(one) for one in page) for page, later in pairwise(pages))


def test_a_title_ranks_above_a_mention(shelf):
    """And several mentions above one, whatever is newer."""
    mentions = [Doc("天气", "甲烷。" * n + "今天晴。" * (20 - n)) for n in range(1, 9)]
    archive = shelf([Doc("甲烷合作", "双方。" * 10), *mentions, *[Doc("天气", "今天晴。")] * 20])
    ranked = archive.find(Text("甲烷"), rank=True).ids
    assert ranked[0] in (1, 9)
    assert ranked.index(1) < ranked.index(4)
    assert ranked.index(9) < ranked.index(2)
    assert set(ranked) == set(range(1, 10))


def test_ranking_says_when_it_leaves_something_out(six, monkeypatch):
    """More matches than are ranked."""
    monkeypatch.setattr(paging, "NEWEST", 2)
    assert "newest 2 of 5" in six.find(Text("e"), rank=True).notes[0] or six.find(Text("e")).total != 5


def test_ranked_phrases_are_looked_at(corpus):
    """Ranking finds no more than the scan."""
    tree = parse('"气候变化" OR 病毒变异', NOW)
    assert set(corpus.find(tree, rank=True).ids) == corpus.scan(tree)
    assert set(search.find(corpus.connection, tree, rank=True, limit=5, candidates=0).ids) <= corpus.scan(tree)


def test_a_total_beyond_the_candidates_is_an_upper_bound(corpus):
    """And says so."""
    tree = parse('"新冠病毒"', NOW)
    found = search.find(corpus.connection, tree, limit=5, candidates=10)
    assert len(found.ids) == 5
    assert not found.exact
    assert found.total >= len(corpus.scan(tree))


def test_everything(six):
    """A tree without conditions is every article."""
    assert six.find(EVERYTHING).ids == (6, 5, 4, 3, 2, 1)


def test_a_revision_replaces_what_is_found(shelf):
    """The old text is no longer found, the new one is, and the index stays sound."""
    archive = shelf(SMALL)
    archive.revise(1, "中美宣布核能合作", "雙方將開展核能合作。")
    for needle in ("甲烷", "核能", "双方", "候变化特", "合作"):
        tree = Text(needle)
        assert set(archive.find(tree).ids) == archive.scan(tree)
    assert search.verify(archive.connection) == []


def test_verify_finds_what_went_wrong(shelf):
    """Articles missing, surplus or changed without the index; rebuilding mends all."""
    archive = shelf(SMALL)
    connection = archive.connection
    connection.exec_driver_sql("UPDATE article SET text = 'something else' WHERE id = 1")
    assert search.verify(connection) == ["1 articles changed without it"]
    connection.exec_driver_sql("DELETE FROM article WHERE id = 2")
    assert search.verify(connection) == ["1 of its entries have no article"]
    connection.exec_driver_sql("UPDATE article SET docid = 77 WHERE id = 3")
    assert len(search.verify(connection)) == 2
    assert list(reindex.reindex(lambda: nullcontext(connection)))[-1] == 5
    assert search.verify(connection) == []
    assert archive.find(Text("something")).ids == (1,)


def test_docids_are_unique_and_in_order(shelf):
    """Ten thousand articles of one instant, others around them."""
    connection = shelf([]).connection
    chance = random.Random(2)
    taken: dict[int, int] = {}
    for size in (1, 300, 40):
        seconds = [700_000_000 + chance.choice((0, 0, 0, 4, 9, 5000)) for _ in range(size)]
        numbers = Docids(connection)
        docids = numbers.allocate(seconds)
        numbers.write()
        assert not taken.keys() & set(docids)
        assert len(set(docids)) == len(docids)
        assert all(docid >= moment // SLOT for docid, moment in zip(docids, seconds, strict=True))
        taken |= dict(zip(docids, seconds, strict=True))
        rows = [
            {
                "docid": docid,
                "feed": "",
                "outlet": "",
                "content_key": "",
                "first_seen": NOW,
                "categories": [],
                "extra": {},
                "title": "",
                "text": "",
                "html": b"",
            }
            for docid in docids
        ]
        connection.execute(sa.insert(schema.article), rows)


def test_ties_take_no_longer_and_longer(shelf):
    """Runs of taken docids are jumped over: the statements stay few."""
    connection = shelf([]).connection
    statements = []
    sa.event.listen(connection, "before_cursor_execute", lambda *args: statements.append(args[2]))
    Docids(connection).allocate([700_000_000] * 1000)
    assert len(statements) < 8000


def test_an_outlet_by_part_of_its_name(shelf):
    """Exactly so called first; else those whose name holds it, in any script; a note when there is none."""
    archive = shelf([Doc("a", "b", outlet="中央社CNA"), Doc("a", "b", outlet="BBC"), Doc("a", "b", outlet="BBC 中文")])
    assert archive.find(parse("outlet:bbc", NOW)).ids == (2,)
    assert set(archive.find(parse("outlet:中文", NOW)).ids) == {3}
    assert archive.find(parse("outlet:cna", NOW)).ids == (1,)
    nothing = archive.find(parse("outlet:NHK", NOW))
    assert nothing.ids == ()
    assert "NHK" in nothing.notes[0]


def test_a_date_corrected_later_still_counts(shelf):
    """The docid keeps the first date; filters go by what the article says now."""
    archive = shelf([Doc("a", "甲烷", FIRST), Doc("b", "甲烷", FIRST + timedelta(days=9))])
    archive.connection.execute(
        sa.update(schema.article).where(schema.article.c.id == 1).values(published=FIRST + timedelta(days=30))
    )
    assert archive.find(parse("甲烷 since:2021-11-20", NOW)).ids == (1,)
    assert archive.find(parse("甲烷 until:2021-11-20", NOW)).ids == (2,)


def test_the_schema_is_the_one_read_without_sqlalchemy():
    """Lookup does not import the schema; its number must be the same."""
    assert lookup.SCHEMA == schema.HEAD


def test_nothing_of_sqlalchemy_is_imported_to_search():
    """It would take longer than the search."""
    import subprocess
    import sys

    code = "import sys, aggregator.store.lookup, aggregator.cli.search; print('sqlalchemy' in sys.modules, 'rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_an_unusual_file_is_left_to_the_archive(tmp_path):
    """No file, no database, no archive."""
    (tmp_path / "text").write_text("no database" * 100)
    sqlite3.connect(tmp_path / "empty.db").close()
    for name in ("none.db", "text", "empty.db"):
        with lookup.opened(tmp_path / name) as connection:
            assert connection is None


def test_words_longer_than_a_window_are_found_by_any_part(shelf):
    """Any 21 characters are inside one window."""
    word = "".join(map(str, range(100)))
    found = terms.windows(word)
    assert all(any(word[at : at + 21] in window for window in found) for at in range(len(word) - 20))
    assert re.fullmatch(r"\w+", word)


@settings(max_examples=300, deadline=None)
@given(st.text(), st.text(st.sampled_from("中美气的在，。 a1é$_-\n😀\U00020000ก한の\x85\u3000"), max_size=60))
def test_an_entry_holds_the_terms_of_title_and_text(title: str, text: str) -> None:
    """Gathered from a whole text at once, they are what they are one by one; each stands there once."""
    found = terms.entry(title, text)
    marked = {terms.TITLE + term for term in terms.terms(terms.folded(title))}
    assert sorted(found.listed) == sorted(terms.terms(terms.document(title, text)) | marked)
    assert found.traditional == (terms.simplified(f"{title}\n{text}") != f"{title}\n{text}")


def test_the_plan_knows_which_dates_lie_elsewhere(tmp_path):
    """What `plan` and the migration call displaced is what the schema says; the index is used for it."""
    from aggregator.store import plan, plan_postgres

    assert plan.Compiler.displaced == schema.DISPLACED["sqlite"]
    assert plan_postgres.PostgresCompiler.displaced == schema.DISPLACED["postgresql"]
    archive = Archive.open(str(tmp_path / "a.db"), write=True)
    with archive.reading() as connection:
        sql = "SELECT sql FROM sqlite_master WHERE name = 'ix_article_displaced'"
        assert plan.Compiler.displaced in connection.exec_driver_sql(sql).scalar_one()
    archive.close()


def test_pages_are_pieces_of_the_whole(corpus, monkeypatch):
    """However a page is found (from the index, or by looking at the newest texts), it is the same articles in order."""
    queries = [
        *drawn(corpus.docs, 17, 11),
        *"项施甲的é",
        "项 OR 产",
        "-项 疫",
        "疫 -施",
        "title:疫 步",
        "疫 since:2020-12",
    ]
    trees = []
    for query in queries:
        with suppress(QueryError):
            trees.append(parse(query, NOW))
    for tree in trees:
        whole = corpus.find(tree).ids
        for many, limit, offset, counted in ((0, 20, 0, False), (0, 100, 3, True), (1 << 40, 7, 20, True)):
            monkeypatch.setattr(lookup, "MANY", many)
            page = search.find(corpus.connection, tree, limit=limit, offset=offset, count=counted).ids
            assert page == whole[offset : offset + limit], tree
