"""`stories`, `story` and `not-a-reprint` as an analyst uses them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from aggregator.cli import cli
from aggregator.dedup.identity import key_of
from aggregator.errors import UsageError
from aggregator.relate import recalculate, relate
from aggregator.store import articles
from aggregator.store.archive import Archive
from tests.test_relate import SET

LATER = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def ids(archive_url):
    """An archive with two stories; the articles' ids by name."""
    archive = Archive.open(archive_url, write=True)
    with archive.writing() as connection:
        keyed = [(one, key_of(one)) for one in SET.values()]
        stored = articles.add(connection, keyed, LATER, texts := articles.Texts())
        texts.write(connection)
        relate(connection, stored, LATER)
    archive.close()
    return dict(zip(SET, (one.id for one in stored), strict=True))


@pytest.fixture
def run(archive_url, ids):
    """Run a command on that archive."""

    def run(*words: object):
        return CliRunner().invoke(
            cli, ["--archive", archive_url, *(str(word) for word in words)], catch_exceptions=False
        )

    return run


def rows(run) -> list[dict]:
    """The stories as JSON lines."""
    return [json.loads(line) for line in run("stories", "--format", "jsonl").stdout.splitlines()]


def test_stories_are_listed_with_their_voices_copies_and_outlets(run, ids):
    """The latest story first; the texts of their own and the copies are counted apart."""
    talks, museum = rows(run)
    assert (talks["voices"], talks["copies"], talks["outlets"]) == (2, 2, ["甲报", "乙网", "丙台", "丁报"])
    assert (museum["voices"], museum["copies"]) == (1, 1)
    assert set(museum["articles"]) == {ids["museum"], ids["museum copy"]}
    table = run("stories").stdout
    assert talks["headline"] in table
    assert museum["headline"] in table


def test_a_story_puts_its_outlets_side_by_side(run, ids):
    """Each outlet's articles with their dates, copies marked with what they are copies of."""
    talks = rows(run)[0]["story"]
    said = run("story", talks).stdout
    assert "2 voices, 2 copies, 4 outlets" in said
    assert f"[reprint of {ids['original']}]" in said
    told = json.loads(run("story", talks, "--format", "json").stdout)
    assert [side["outlet"] for side in told["sides"]] == ["甲报", "乙网", "丙台", "丁报"]


def test_what_an_analyst_splits_and_merges_outlives_recalculation(run, ids, archive_url):
    """Split and merged by command, the stories stand so after everything is derived anew; an old id leads on."""
    talks = rows(run)[0]["story"]
    run("story", "split", talks, ids["own words"], ids["copy"])
    alone = [row for row in rows(run) if ids["own words"] in row["articles"]]
    assert [set(row["articles"]) for row in alone] == [{ids["own words"], ids["copy"]}]
    run("story", "merge", talks, alone[0]["story"])
    archive = Archive.open(archive_url, write=True)
    with archive.writing() as connection:
        recalculate(connection, LATER)
    archive.close()
    whole = next(row for row in rows(run) if row["story"] == talks)
    assert set(whole["articles"]) == {ids[name] for name in ("original", "copy", "cut", "own words")}
    assert f"story {alone[0]['story']} was merged into it" in run("story", alone[0]["story"]).stdout


def test_not_a_reprint_makes_two_voices_of_a_copy(run, ids):
    """After the word the two stand in one story as texts of their own."""
    run("not-a-reprint", ids["museum"], ids["museum copy"])
    told = next(row for row in rows(run) if ids["museum"] in row["articles"])
    assert (told["voices"], told["copies"]) == (2, 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["story", "9999"], "there is no story 9999"),
        (["story", "twelve"], "'twelve' is no id"),
        (["story", "merge", "1"], "needs two stories"),
        (["story", "split", "1", "9999"], "is not in story 1"),
        (["story", "1", "2"], "one story at a time"),
        (["not-a-reprint", "1", "1"], "name two articles"),
        (["not-a-reprint", "1", "9999"], "there is no article 9999"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(run, words, said):
    """Unknown ids, words that are none, and requests without an object."""
    with pytest.raises(UsageError, match=said):
        run(*words)
