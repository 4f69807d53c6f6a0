"""`aggregator search` as people and scripts use it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from aggregator.cli import cli
from aggregator.errors import QueryError, UsageError
from aggregator.model import Article
from aggregator.store import articles
from aggregator.store.archive import Archive
from tests.searching import NOW

DAY = datetime(2023, 11, 1, tzinfo=UTC)
TEXTS = [
    ("中美甲烷合作", "双方将就甲烷减排开展合作。", "新华网", "zh"),
    ("氣候大會", "與會者討論了氣候融資\x1b[31m與甲烷。", "中央社CNA", "zh"),
    ("Methane pledge", "Methane cuts were agreed by many countries.", "BBC", "en"),
    ("地铁新线开通", "今天地铁开通。", "新华网", "zh"),
]


@pytest.fixture(scope="module")
def archive(lasting_place):
    """An archive of four articles."""
    path = lasting_place("news")
    opened = Archive.open(path, write=True)
    made = [
        (
            Article(
                title=title,
                html=text,
                text=text,
                feed="f",
                outlet=outlet,
                lang=lang,
                published=DAY + timedelta(days=day),
            ),
            f"{day}",
        )
        for day, (title, text, outlet, lang) in enumerate(TEXTS)
    ]
    with opened.writing() as connection:
        texts = articles.Texts()
        articles.add(connection, made, NOW, texts)
        texts.write(connection)
    opened.close()
    return path


@pytest.fixture
def run(archive):
    """Run the command; its output."""

    def run(*words: str):
        return CliRunner().invoke(cli, ["--archive", archive, "search", *words], catch_exceptions=False)

    return run


def ids(result) -> list[int]:
    """The ids of JSON lines."""
    return [json.loads(line)["id"] for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["甲烷"], [2, 1]),
        (["气候"], [2]),
        (["甲烷", "-氣候"], [1]),
        (["-甲烷"], [4, 3]),
        (["methane OR 地铁"], [4, 3]),
        (["甲烷", "--outlet", "新华网"], [1]),
        (["--outlet", "新华网", "--outlet", "BBC"], [4, 3, 1]),
        (["--lang", "en"], [3]),
        (["--since", "2023-11-03"], [4, 3]),
        (["since:2023-11-02", "until:2023-11-03"], [3, 2]),
        (["甲烷", "--limit", "1"], [2]),
        (["甲烷", "--limit", "1", "--offset", "1"], [1]),
        (["甲烷", "--rank"], [1, 2]),
        (["country", "--plurals"], [3]),
        (["甲烷", "--expand"], [3, 2, 1]),
        (["核电"], []),
    ],
)
def test_finds(run, words, expected):
    """Words, filters and options together."""
    result = run(*words, "--format", "jsonl")
    assert ids(result) == expected
    assert result.exit_code == 0


def test_a_table_shows_the_match_and_says_how_many(run):
    """The snippet in the source's script, the count on stderr, no escape sequence."""
    result = run("氣候融資")
    assert "[氣候融資]" in result.stdout
    assert "\x1b" not in result.stdout
    assert result.stderr == "1 article\n"


def test_says_which_variant_matched(run):
    """`--expand`."""
    assert "(for 甲烷)" in run("甲烷", "--expand").stdout


def test_pages_are_announced(run):
    """How to see the rest."""
    assert run("甲烷", "--limit", "1").stderr == "2 articles, 1–1 shown; --offset 1 for more\n"


def test_json_and_csv(run):
    """What other tools read."""
    rows = json.loads(run("甲烷", "--format", "json").stdout)
    assert [row["outlet"] for row in rows] == ["中央社CNA", "新华网"]
    assert rows[0]["matched"] == ["甲烷"]
    read = list(csv.DictReader(io.StringIO(run("甲烷", "--format", "csv").stdout)))
    assert [row["id"] for row in read] == ["2", "1"]


def test_mistakes_are_usage_errors(run):
    """Exit status 2 with a sentence."""
    with pytest.raises(QueryError, match="column 1"):
        run('"甲烷')
    with pytest.raises(UsageError, match="nothing to look for"):
        run()
    result = run("甲烷", "--formt", "csv")
    assert result.exit_code == 2
    assert "--format" in result.stderr


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2023-11-02", [2, 1]), ("2023-11", [4, 3, 2, 1]), ("2023", [4, 3, 2, 1]), ("2023-11-02T00:00", [1])],
)
def test_until_names_the_last_day(run, archive, day, expected):
    """As an option and in a query, in searches and in every other listing; an instant is an instant."""
    assert ids(run("--until", day, "--format", "jsonl")) == expected
    assert ids(run(f"until:{day}", "--format", "jsonl")) == expected
    where = ("--archive", str(archive))
    for words in (("export", "--format", "jsonl", "--out", "-", "--until", day), ("stats", "--until", day, "--format", "jsonl")):  # fmt: skip
        lines = CliRunner().invoke(cli, [*where, *words], catch_exceptions=False).stdout.splitlines()
        assert len(lines) == len(expected) or json.loads(lines[0])["articles"] == len(expected)
