"""`tag`, `agreements` and `retag` as people and scripts use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from aggregator.cli import cli

ARTICLE = "# 中美声明\n\n中美发表阳光之乡声明。双方要终结塑料污染。声明没有提到煤电。\n"
TEXT = "# 两河联合声明\n\n一、双方决定恢复鲟鱼种群。\n\n二、双方同意限制水坝高度。\n"


Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, archive_url: str) -> Run:
    """Run a command line with its own archive and feeds; gives what it printed."""
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text("# mine\nfeeds: []\n", encoding="utf-8")
    base = ["--feeds", str(feeds), "--archive", archive_url]

    def typed(*words: str, given: str | None = None, status: int = 0) -> str:
        done = CliRunner().invoke(cli, [*base, *words], input=given, standalone_mode=False)
        if done.exception:
            raise done.exception
        assert (done.return_value or 0) == status, done.output
        return done.stdout

    return typed


def test_tag_answers_line_by_line(run: Run) -> None:
    """One answer a line; a broken line is passed over and makes the status 1."""
    rows = [{"doc": "x", "title": None, "published": "2023-11", "text": ARTICLE}, {"doc": "y"}]
    given = "\n".join([json.dumps(rows[0]), "{broken", "", json.dumps(rows[1])])
    first, second = map(json.loads, run("tag", "--input", "jsonl", given=given, status=1).splitlines())
    assert (first["doc"], first["agreements"]) == ("x", ["sunnylands-2023"])
    (clause,) = first["clauses"]
    assert (clause["clause"], clause["relation"]) == ("sunnylands-2023/15", "discusses")
    for one in clause["evidence"]:
        assert ARTICLE[one["start"] : one["end"]] == one["quote"]
    assert second == {"doc": "y", "agreements": [], "clauses": []}


def test_tag_shows_people_the_sentence(run: Run, tmp_path: Path) -> None:
    """Matched words marked, rule and version; with --explain what was held back."""
    file = tmp_path / "a.md"
    file.write_text(ARTICLE, encoding="utf-8")
    shown = run("tag", str(file), "--explain")
    assert "双方要终结[塑料]污染。" in shown
    assert "rule: @plastic" in shown
    assert "catalogue " in shown


def test_agreements_are_listed_shown_and_checked(run: Run) -> None:
    """Tables and JSON; lint is silent about the built-in ones."""
    listed = json.loads(run("agreements", "list", "--format", "json"))
    assert [one["clauses"] for one in listed] == [6, 16, 25]
    assert "glasgow-2021/8" in run("agreements", "show", "glasgow-2021")
    run("agreements", "lint")


def test_an_agreement_is_added_from_its_text(run: Run, tmp_path: Path) -> None:
    """The drafted file is written beside feeds.yaml and named there, and tagging works at once."""
    (tmp_path / "rivers.md").write_text(TEXT, encoding="utf-8")
    assert "2 clauses" in run("agreements", "add", "--from-text", str(tmp_path / "rivers.md"))
    assert (tmp_path / "feeds.yaml").read_text() == '# mine\nfeeds: []\nagreements: ["rivers.yaml"]\n'
    given = json.dumps({"doc": 1, "text": "两河联合声明说，鲟鱼种群要恢复。"})
    (clause,) = json.loads(run("tag", "--input", "jsonl", given=given))["clauses"]
    assert clause["clause"] == "rivers/1"


def test_verdicts_outlive_retagging(run: Run, tmp_path: Path) -> None:
    """A rejected tag stays away after `retag`; precision follows the verdicts."""
    file = tmp_path / "a.md"
    file.write_text(ARTICLE, encoding="utf-8")
    run("import", str(file))
    run("tag", "reject", "1", "sunnylands-2023/15", "--reason", "a test")
    assert "nothing" in run("retag", "--dry-run")
    run("retag")
    assert "sunnylands-2023/15" not in run("show", "1")
    assert "0/1 (0.00)" in run("agreements", "show", "sunnylands-2023")
