"""Saved searches: kept in the archive, and followed wherever a query is taken."""

from __future__ import annotations

import json
import re
from contextlib import closing
from datetime import UTC, datetime

import pytest

from aggregator import delivery, publishing
from aggregator.errors import QueryError, UsageError
from aggregator.query import And, Or, Text, parse, renamed, saved_in
from aggregator.store import maintenance, saved, search, transfer
from aggregator.store.archive import Archive
from aggregator.store.filters import Filters
from aggregator.store.subscribers import Wants
from tests.desk import join, mails, make_desk, put, text_of

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
KNOWN = {
    "methane": "甲烷 OR methane",
    "talks": "saved:methane talks",
    "broken": '"open',
    "a": "saved:b",
    "b": "x saved:a",
}


def tree(query, known=KNOWN):
    """The tree of a query among some saved searches."""
    return parse(query, NOW, lambda: known)


def test_a_name_stands_for_its_query():
    """Alone, beside words, negated, in a title, and through another saved search."""
    either = Or((Text("甲烷"), Text("methane")))
    assert tree("saved:methane") == either
    assert tree("saved:talks -saved:methane") == And((And((either, Text("talks"))), parse("-(甲烷 OR methane)", NOW)))
    assert tree("title:(saved:methane)") == Or((Text("甲烷", title=True), Text("methane", title=True)))


@pytest.mark.parametrize(
    ("query", "message", "column"),
    [
        ("x saved:metane", "There is no saved search 'metane'; did you mean methane?", 9),
        ("saved:METHANE", "There is no saved search 'METHANE'; did you mean methane?", 7),
        ("saved:quark", "There is no saved search 'quark'; `aggregator saved list` names those there are.", 7),
        ("saved:", "saved: in column 1 has no value; write saved:methane", 1),
        ("saved:{0}", "There is no saved search '{0}'", 7),
        ("saved:broken", "The saved search broken cannot be read: A double quote is opened in column 1", 7),
        ("saved:a", "The saved search b cannot be read: The saved search a would stand in itself.", 7),
        ("saved:methane " * 20, "With the saved search methane the query has more than 32 words", 147),
    ],
)
def test_mistakes_point_at_the_column(query, message, column):
    """Unknown names with a suggestion, circles, what cannot be read any more, and too much of it."""
    with pytest.raises(QueryError, match=re.escape(message)) as error:
        tree(query)
    assert error.value.column == column


def test_a_bomb_of_saved_searches_is_refused():
    """Each names the one before twice; nothing grows."""
    known = {f"n{number}": f"saved:n{number - 1} saved:n{number - 1}" for number in range(1, 40)} | {"n0": "x"}
    with pytest.raises(QueryError, match="more than 32 words or 32 brackets"):
        tree("saved:n39", known)


def test_names_in_a_query_are_found_and_changed():
    """Also quoted ones, and never inside a phrase."""
    query = 'saved:a ("saved:a" OR saved:"a") x saved:b'
    assert saved_in(query) == ("a", "b")
    assert renamed(query, "a", "甲") == 'saved:甲 ("saved:a" OR saved:甲) x saved:b'


@pytest.fixture
def desk(archive_url):
    """A desk on either database."""
    desk = make_desk(archive_url)
    yield desk
    desk.archive.close()


def keep(desk, name, query, **how):
    """Save a search."""
    with desk.archive.writing() as connection:
        return saved.save(connection, name, query, desk.clock(), **how)


def found(desk, query):
    """The ids that a query finds."""
    with desk.archive.reading() as connection:
        narrowed = publishing.found_by(connection, query, Filters(), desk.clock())
    return narrowed.found


def test_saving_changing_renaming_removing(desk):
    """A taken name is replaced only when told to; what others use stays, and a rename reaches them."""
    assert keep(desk, "methane", "methane")
    assert not keep(desk, "methane", "methane")
    with pytest.raises(UsageError, match="there is a saved search methane already \\(methane\\); --replace"):
        keep(desk, "methane", "甲烷")
    assert keep(desk, "methane", "甲烷", replace=True)
    for name in ("two words", "a/b", "", "-x", "x" * 65, 'q"'):
        with pytest.raises(UsageError, match="cannot be the name"):
            keep(desk, name, "x")
    with pytest.raises(QueryError, match="column 1"):
        keep(desk, "open", '"x')
    keep(desk, "talks", "saved:methane talks")
    with pytest.raises(QueryError, match="would stand in itself"):
        keep(desk, "methane", "saved:talks", replace=True)
    join(desk, wants=Wants(query="saved:methane lang:en"))
    with desk.archive.writing() as connection:
        with pytest.raises(UsageError, match=r"methane is used by saved:talks, reader@example\.com"):
            saved.remove(connection, "methane")
        with pytest.raises(UsageError, match="talks already"):
            saved.rename(connection, "methane", "talks", NOW)
        assert saved.rename(connection, "methane", "ch4", NOW) == ("saved:talks", "reader@example.com")
        assert [(one.name, one.query, one.used_by) for one in saved.every(connection)] == [
            ("ch4", "甲烷", ("saved:talks", "reader@example.com")),
            ("talks", "saved:ch4 talks", ()),
        ]
        with pytest.raises(QueryError, match="did you mean talks"):
            saved.remove(connection, "talk")
        saved.remove(connection, "talks")
        saved.remove(connection, "ch4", force=True)
        assert saved.every(connection) == []


def test_search_reports_and_feeds_follow_it(desk):
    """The same articles everywhere, on both databases."""
    ids = [put(desk, title=f"Methane talks {n}", lang="en") for n in range(3)]
    put(desk, title="Wheat", text="Nothing of the kind.", clauses=())
    desk.clock.go(hours=1)
    keep(desk, "talks", '"methane talks" -"talks 1"')
    assert found(desk, "saved:talks") == (ids[2], ids[0])
    with desk.archive.reading() as connection:
        feed = publishing.served_atom(connection, {"q": "saved:talks"}, "", desk.clock()).decode()
        assert feed.count("<entry>") == 2
        assert "saved:talks" in feed
        for query, number in (("saved:talks", 2), ("-saved:talks", 2), ("methane", 3)):
            base = publishing.found_by(connection, query, Filters(), desk.clock())
            period = publishing.period_of(connection, base, desk.clock())
            from aggregator import catalogue

            made = publishing.report(
                connection, catalogue.load(()), title="t", archive="a", period=period, now=desk.clock(), base=base
            )
            assert made.totals.articles == number


def test_digests_see_a_change_at_once(desk):
    """What is saved when the digest is written counts; one that has gone pauses the subscriber with a sentence."""
    keep(desk, "mine", "methane")
    join(desk, wants=Wants(query="saved:mine"))
    put(desk, title="Methane talks")
    keep(desk, "mine", "wheat", replace=True)
    put(desk, title="Wheat harvest", text="The harvest of wheat.", clauses=())
    desk.clock.go(days=1)
    assert delivery.write_due(desk, desk.clock()).written == 1
    body = text_of(desk, mails(desk)[-1])
    assert "Wheat harvest" in body
    assert "Methane talks" not in body
    with desk.archive.writing() as connection:
        saved.remove(connection, "mine", force=True)
    desk.clock.go(days=1)
    done = delivery.write_due(desk, desk.clock())
    assert done.notes == [
        "reader@example.com is paused: There is no saved search 'mine'; `aggregator saved list` names those there are."
    ]


def test_an_unknown_name_cannot_be_subscribed_to(desk):
    """It is said when it is asked for."""
    with pytest.raises(QueryError, match="There is no saved search 'nope'"):
        join(desk, wants=Wants(query="saved:nope"))


def test_copies_and_backups_hold_it(place, tmp_path):
    """Both ways between databases, and in a backup."""
    with closing(Archive.open(place("one"), write=True)) as archive:
        with archive.writing() as connection:
            saved.save(connection, "甲烷", "甲烷 OR methane", NOW)
        maintenance.backup(archive, tmp_path / "copy.db")
        with closing(Archive.target(place("two"))) as other:
            transfer.copy(archive, other, lambda _line: None)
            with other.reading() as connection:
                assert search.saved(connection) == {"甲烷": "甲烷 OR methane"}
    with closing(Archive.open(str(tmp_path / "copy.db"))) as copy, copy.reading() as connection:
        assert search.saved(connection) == {"甲烷": "甲烷 OR methane"}


def test_the_commands(command, tmp_path):
    """Save with filters, list, use in search, export and stats, rename, remove; mistakes are sentences."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.md").write_text("# 甲烷合作\n\n双方开展甲烷合作。\n")
    (folder / "b.md").write_text(
        "# Methane pledge\n\nMethane cuts were agreed by countries and regions of the world.\n"
    )
    (folder / "c.md").write_text("# 小麦\n\n小麦丰收。\n")
    assert command("import", str(folder)).returncode == 0
    done = command("search", "甲烷", "OR", "methane", "--lang", "en", "--save", "methane", "--format", "jsonl")
    assert json.loads(done.stdout)["title"] == "Methane pledge"
    assert "saved as methane; saved:methane finds it" in done.stderr
    assert command("saved", "show", "methane").stdout == '(甲烷 OR methane) lang:"en"\n'
    again = command("search", "甲烷 OR methane", "--save", "methane")
    assert (again.returncode, "--replace puts this one" in again.stderr) == (2, True)
    assert command("search", "甲烷 OR methane", "--save", "methane", "--replace").returncode == 0
    assert len(command("search", "saved:methane", "--format", "jsonl").stdout.splitlines()) == 2
    rows = json.loads(command("saved", "list", "--format", "json").stdout)
    assert [(row["name"], row["query"]) for row in rows] == [("methane", "甲烷 OR methane")]
    out = command("export", "--format", "jsonl", "--query", "saved:methane lang:zh", "--out", "-").stdout
    assert [json.loads(line)["title"] for line in out.splitlines()] == ["甲烷合作"]
    counted = command("stats", "--query", "saved:methane", "--by", "lang", "--format", "jsonl").stdout
    assert [json.loads(line)["articles"] for line in counted.splitlines()] == [2, 1, 1]
    assert command("report", "--query", "saved:methane", "--out", str(tmp_path / "r.html")).returncode == 0
    wrong = command("search", "saved:metane")
    assert (wrong.returncode, wrong.stderr.splitlines()[-1].index("^")) == (2, 8)
    assert command("search", "x", "--save", "y", "--expand").returncode == 2
    assert command("saved", "rename", "methane", "ch4").returncode == 0
    assert command("saved", "remove", "ch4").returncode == 0
    assert "no search is saved" in command("saved", "list").stderr
