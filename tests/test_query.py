"""The query language: what it reads, and where it points when it cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.errors import QueryError
from aggregator.query import (
    MAX_CHARS,
    And,
    Field,
    Not,
    Or,
    Since,
    Text,
    Until,
    everything_of,
    expanded,
    parse,
    plurals,
    span,
    texts,
    with_plurals,
)

NOW = datetime(2023, 11, 20, 12, tzinfo=UTC)
A, B, C, D = map(Text, "abcd")


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("a", A),
        ("a b", And((A, B))),
        ("a AND b", And((A, B))),
        ("a OR b", Or((A, B))),
        # AND binds tighter, as in most search engines
        ("a b OR c d", Or((And((A, B)), And((C, D))))),
        ("a (b OR c)", And((A, Or((B, C))))),
        ("a -b", And((A, Not(B)))),
        ("a NOT b", And((A, Not(B)))),
        ("-(a b)", Not(And((A, B)))),
        ("NOT -a", A),
        ('"a b" c', And((Text("a b"), C))),
        # a phrase keeps its white space
        ('" a"', Text(" a")),
        # operators are upper case; in quotes they are text
        ("a or b", And((A, Text("or"), B))),
        ('"OR"', Text("OR")),
        # a minus counts before something, at the beginning of a word
        ("a-b", Text("a-b")),
        ("a - b", And((A, Text("-"), B))),
        ("--a", Text("--a")),
        # brackets inside a word belong to it
        ("bm25(1)", Text("bm25(1)")),
        ("(bm25(1))", Text("bm25(1)")),
        ("COP28峰会", Text("COP28峰会")),
        ("１．５°C", Text("１．５°C")),
        ("“甲烷”", Text("“甲烷”")),
        ("http://x/?a=b", Text("http://x/?a=b")),
        ("rowid:1", Text("rowid:1")),
        ("甲烷\u3000减排", And((Text("甲烷"), Text("减排")))),
        # NUL and lone surrogates cannot stand in a text
        ("a\x00b", Text("ab")),
        ("title:a", Text("a", title=True)),
        ('TITLE:"a b"', Text("a b", title=True)),
        ("title:(a OR b)", Or((Text("a", title=True), Text("b", title=True)))),
        ("-title:a", Not(Text("a", title=True))),
        ('outlet:"BBC News"', Field("outlet", "BBC News")),
        ("clause:sunnylands-2023/10", Field("clause", "sunnylands-2023/10")),
        ("clause:glasgow-2021", Field("agreement", "glasgow-2021")),
        ("story:12", Field("story", "12")),
        ("since:2023-11-01", Since(datetime(2023, 11, 1, tzinfo=UTC))),
        ("since:7d", Since(NOW - timedelta(days=7))),
        # until a day is until its end
        ("until:2023-11-30", Until(datetime(2023, 12, 1, tzinfo=UTC))),
        ("until:2023", Until(datetime(2024, 1, 1, tzinfo=UTC))),
    ],
)
def test_reads(query, tree):
    """A query and its tree."""
    assert parse(query, NOW) == tree


@pytest.mark.parametrize(
    ("query", "column"),
    [
        ("", 1),
        ("   ", 1),
        ('a "b', 3),
        ('a"b', 2),
        ("(a", 1),
        ("a)", 2),
        ("()", 1),
        ("OR", 1),
        ("a OR", 3),
        ("OR a", 1),
        ("a AND OR b", 3),
        ("NOT", 1),
        ('""', 1),
        ('a " "', 3),
        ("title:", 1),
        ("a title: b", 3),
        ("since:yesterday", 7),
        ("since:2023-13", 7),
        ("since:99999y", 7),
        ("until:0000", 7),
        ("story:x", 7),
        ("(" * 40 + "a" + ")" * 40, 33),
        (" ".join(["a"] * 33), 65),
        ("a" * 501, MAX_CHARS + 1),
    ],
)
def test_points_at_the_mistake(query, column):
    """An error is one sentence and knows the column."""
    with pytest.raises(QueryError) as error:
        parse(query, NOW)
    assert error.value.column == column
    assert "\n" not in str(error.value)


@given(st.text(alphabet="ab \"()-:ORANDT*^'中，title0", max_size=60) | st.text(max_size=60))
def test_gives_a_tree_or_a_query_error(query):
    """Whatever is typed."""
    column = 1
    try:
        parse(query, NOW)
    except QueryError as error:
        column = error.column
    assert 1 <= column <= len(query) + 1


def test_days_are_those_of_the_clock_given():
    """A date is a day in the time zone of `now`."""
    beijing = timezone(timedelta(hours=8))
    start, end = span("2023-11-01", NOW.astimezone(beijing))
    assert start == datetime(2023, 10, 31, 16, tzinfo=UTC)
    assert end - start == timedelta(days=1)


def test_words_to_mark_are_the_wanted_ones():
    """What is excluded is not marked."""
    assert texts(parse('a (b OR "c") -d', NOW)) == (A, B, C)


def test_variants_know_their_word():
    """A listing can say which variant matched."""
    tree = expanded(parse("甲烷 x", NOW), {"甲烷": ("甲烷", "methane")})
    assert tree == And((Or((Text("甲烷"), Text("methane", via="甲烷"))), Text("x")))


def test_variants_are_found_across_scripts():
    """The table of names is in simplified characters."""
    assert texts(expanded(parse("氣候", NOW), {"气候": ("气候", "climate")}))[1] == Text("climate", via="氣候")


@pytest.mark.parametrize(
    ("word", "others"),
    [("countries", ("country",)), ("country", ("countries",)), ("emissions", ("emission",)), ("boxes", ("box", "boxe")),
     ("glass", ()), ("crises", ("crisis",)), ("crisis", ("crises",)), ("people", ("person",)), ("day", ()), ("甲烷", ()), ("as", ())],
)  # fmt: skip
def test_plurals(word, others):
    """Only where the letters differ: a plural in -s is found by its singular anyway."""
    assert plurals(word) == others


def test_plurals_stand_beside_the_word():
    """`--plurals` widens a query."""
    assert texts(with_plurals(parse("country", NOW))) == (Text("country"), Text("countries", via="country"))


def test_filters_and_query_join_flat():
    """Filters of the command line are parts like the others."""
    assert everything_of([And((A, B)), C]) == And((A, B, C))
    assert everything_of([A]) == A
