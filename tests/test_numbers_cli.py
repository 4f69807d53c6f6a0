"""The analysts' commands as they are typed."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from aggregator.cli import COMMANDS


@pytest.fixture
def polled(command, newsroom, tmp_path: Path):
    """Run commands on an archive of one poll of the pretend press, the Ledger being down."""
    newsroom.broken.add("ledger")
    feeds = newsroom.feeds_yaml(tmp_path)
    assert command("poll", feeds=feeds).returncode == 0

    def run(*args: str):
        done = command(*args, feeds=feeds)
        assert "Traceback" not in done.stderr
        return done

    return run


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


@pytest.mark.parametrize(
    ("args", "said"),
    [
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
    ],
)
def test_mistakes_are_answered_in_a_sentence(polled, args: tuple[str, ...], said: str) -> None:
    """Exit status 2, one line that says what there is."""
    done = polled(*args)
    assert done.returncode == 2
    assert said in done.stderr


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


def test_a_report_on_an_archive_without_articles(command, tmp_path: Path) -> None:
    """It is a page that says so."""
    assert command("archive", "upgrade").returncode == 0
    (tmp_path / "feeds.yaml").write_text("feeds: []\n")
    done = command("report", "--out", str(tmp_path / "empty.html"))
    assert done.returncode == 0, done.stderr
    assert "No article of this period speaks of it" in (tmp_path / "empty.html").read_text()
    assert command("stats").returncode == 0
    assert command("coverage", "--agreement", "sunnylands-2023").returncode == 0


def test_every_new_command_shows_examples(command) -> None:
    """--help of each has an example."""
    for name in ("stats", "coverage", "timeline", "compare", "report", "cite", "browse", "export"):
        assert name in COMMANDS
        assert f"aggregator {name}" in command(name, "--help").stdout
