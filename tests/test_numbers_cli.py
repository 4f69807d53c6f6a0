"""The analysts' commands as they are typed."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from aggregator.cli import COMMANDS, main


@dataclass
class Done:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def typed(
    tmp_path: Path, archive_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Run a command line in this process, on an archive and a feeds.yaml in a folder of its own."""
    monkeypatch.setenv("AGGREGATOR_ARCHIVE", archive_url)
    monkeypatch.setenv("AGGREGATOR_FEEDS", str(tmp_path / "feeds.yaml"))
    (tmp_path / "feeds.yaml").write_text("feeds: []\n")

    def run(*args: str) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(list(args))
        said = capsys.readouterr()
        assert "unexpected" not in said.err
        return Done(int(left.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def polled(command, newsroom, tmp_path: Path, typed) -> Callable[..., Done]:
    """The same after one poll of the pretend press, the Ledger being down."""
    newsroom.broken.add("ledger")
    assert command("poll", feeds=newsroom.feeds_yaml(tmp_path)).returncode == 0
    return typed


def test_numbers(polled) -> None:
    """stats, coverage and timeline as tables and for programs; a feed that never answered is no data."""
    table = polled("stats")
    assert table.returncode == 0
    assert "晨报" in table.stdout
    rows = json.loads(polled("stats", "--by", "outlet", "--by", "clause", "--format", "json").stdout)
    assert {(row["name"], row["articles"]) for row in rows if row["by"] == "outlet"} == {("晨报", 2), ("港城日报", 1)}
    cells = list(
        csv.DictReader(io.StringIO(polled("coverage", "--agreement", "sunnylands-2023", "--format", "csv").stdout))
    )
    methane = {row["outlet"]: row for row in cells if row["clause"] == "sunnylands-2023/10"}
    assert (methane["晨报"]["articles"], methane["晨报"]["of"]) == ("1", "2")
    assert (methane["The Ledger"]["articles"], methane["The Ledger"]["state"]) == ("", "no data")
    shown = polled("coverage", "--agreement", "sunnylands-2023")
    assert "?" in shown.stdout
    assert "feed down" in shown.stdout
    for by in ("week", "month"):
        assert polled("coverage", "--agreement", "sunnylands-2023", "--by", by).returncode == 0
    line = json.loads(polled("timeline", "sunnylands-2023/10", "--format", "json", "--by", "day").stdout)
    assert sum(row["articles"] for row in line) == 2
    assert "█" in polled("timeline", "sunnylands-2023").stdout


MISTAKES = (
    (("coverage", "--agreement", "kyoto"), "sunnylands-2023"),
    (("timeline", "sunnylands-2023/99"), "1 to 25"),
    (("timeline", "kyoto"), "agreements list"),
    (("compare", "99"), "no story 99"),
    (("coverage", "--agreement", "sunnylands-2023", "--since", "soon"), "not a date"),
    (
        ("coverage", "--agreement", "sunnylands-2023", "--since", "2024-01-01", "--until", "2023-01-01"),
        "period is empty",
    ),
    (("coverage", "--agreement", "sunnylands-2023", "--out", "x.gif"), ".svg or .png"),
    (("export", "--format", "atom", "--query", '"open', "--out", "-"), "^"),
)


def test_mistakes_are_answered_in_a_sentence(polled) -> None:
    """Exit status 2, one line that says what there is."""
    for args, said in MISTAKES:
        done = polled(*args)
        assert done.returncode == 2, args
        assert said in done.stderr, args


def test_pages_and_files(polled, tmp_path: Path) -> None:
    """report, figures, Atom, OPML and exports of a query."""
    page = tmp_path / "report.html"
    assert polled("report", "--since", "2023-11-01", "--out", str(page)).returncode == 0
    assert "The Ledger" in page.read_text(encoding="utf-8")
    assert "中美在阳光之乡声明中就甲烷达成共识" in polled("report", "--out", "-").stdout
    for args in (("coverage", "--agreement", "sunnylands-2023"), ("timeline", "sunnylands-2023/10")):
        figure = tmp_path / "figure.svg"
        assert polled(*args, "--out", str(figure)).returncode == 0
        ET.fromstring(figure.read_bytes())
    atom = polled("export", "--format", "atom", "--clause", "sunnylands-2023/10", "--out", "-").stdout
    assert atom.count("<entry>") == 2
    outlines = polled("export", "--format", "opml", "--out", str(tmp_path / "feeds.opml"))
    assert outlines.returncode == 0
    assert (tmp_path / "feeds.opml").read_text().count("xmlUrl=") == 3
    lines = polled("export", "--format", "jsonl", "--query", "甲烷 -outlet:晨报", "--out", "-").stdout.splitlines()
    assert [json.loads(line)["outlet"] for line in lines] == ["港城日报"]


def test_a_report_on_an_archive_without_articles(typed, tmp_path: Path) -> None:
    """It is a page that says so."""
    assert typed("archive", "upgrade").returncode == 0
    done = typed("report", "--out", str(tmp_path / "empty.html"))
    assert done.returncode == 0, done.stderr
    assert "No article of this period speaks of it" in (tmp_path / "empty.html").read_text()
    assert typed("stats").returncode == 0
    assert typed("coverage", "--agreement", "sunnylands-2023").returncode == 0


def test_every_new_command_shows_examples(typed) -> None:
    """--help of each has an example."""
    for name in ("stats", "coverage", "timeline", "compare", "report", "cite", "browse", "export"):
        assert name in COMMANDS
        assert f"aggregator {name}" in typed(name, "--help").stdout


def test_retag_goes_on_where_it_was_stopped(polled, archive_url: str) -> None:
    """Tags that were lost come back, only after the article named; a dry run changes nothing; the rest is untouched."""
    from aggregator.model import Tags
    from aggregator.store import tags
    from aggregator.store.archive import Archive

    archive = Archive.open(archive_url, write=True)
    with archive.reading() as connection:
        before = tags.of(connection, range(1, 9))
    first, *others = sorted(before)
    assert others
    with archive.writing() as connection:
        tags.put(connection, [(article, Tags()) for article in before])
    assert "sunnylands-2023/10" in polled("retag", "--dry-run").stdout
    with archive.reading() as connection:
        assert tags.of(connection, range(1, 9)) == {}
    assert polled("retag", "--after", str(first)).returncode == 0
    with archive.reading() as connection:
        assert tags.of(connection, range(1, 9)) == {article: before[article] for article in others}
    assert polled("retag").returncode == 0
    with archive.reading() as connection:
        assert tags.of(connection, range(1, 9)) == before
    archive.close()
    assert "3 articles indexed" in polled("archive", "reindex").stdout
