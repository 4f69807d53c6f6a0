"""What is printed: it fits, it is what programs can read, and it commands no terminal."""

from __future__ import annotations

import csv
import io
import json

import pytest

from aggregator.cli import output
from aggregator.snippet import width

ROWS = [
    {"id": 1, "outlet": "新华网", "title": "中美宣布甲烷合作，双方将提交方案" * 3, "share": 0.5},
    {"id": 22, "outlet": "BBC", "title": "Methane | pledge", "share": None},
]


@pytest.mark.parametrize("total", [30, 60, 200])
def test_a_table_fits(total):
    """Wide characters count two; what is too wide is cut."""
    lines = list(output.table(ROWS, total))
    assert len(lines) == 3
    assert all(width(line) <= total for line in lines)


def test_numbers_stand_to_the_right():
    """Digits under digits."""
    assert [line[:2] for line in output.table(ROWS, 80)] == ["id", " 1", "22"]


def test_csv_is_read_back(capsys):
    """RFC 4180, the data unchanged."""
    output.rows(ROWS, "csv")
    read = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["title"] for row in read] == [row["title"] for row in ROWS]


def test_formulas_are_left_as_they_are_unless_told():
    """Data for programs are not changed; for a spreadsheet they can be defused."""
    plain, defused = io.StringIO(), io.StringIO()
    output.stream([{"title": "=1+1"}], "csv", plain)
    output.stream([{"title": "=1+1"}], "csv", defused, formulas=False)
    assert plain.getvalue() == "title\n=1+1\n"
    assert defused.getvalue() == "title\n'=1+1\n"


def test_json_lines_and_json(capsys):
    """One object a line, or one list."""
    output.rows(ROWS, "jsonl")
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == [1, 22]
    output.rows(ROWS, "json")
    assert json.loads(capsys.readouterr().out)[0]["outlet"] == "新华网"


def test_markdown_cells_are_escaped():
    """A pipe in a title ends no cell."""
    assert list(output.markdown(ROWS))[3].count("\\|") == 1


@pytest.mark.parametrize(
    "harm", ["\x1b[31mred", "\x1b]0;title\x07", "\x9b31m", "\x1bc", "\u202eabc", "a\x08b", "\x00", "\ud800", "a\rb"]
)
def test_no_command_reaches_a_terminal(harm):
    """Escape sequences, control characters and direction marks are taken out."""
    shown = output.safe(f"x{harm}y")
    assert shown.isprintable()
    assert shown[0] == "x"
    assert shown[-1] == "y"


def test_marks_without_colour():
    """In a pipe a match stands between square brackets."""
    assert output.marked("中美甲烷合作", [(2, 4)], colour=False) == "中美[甲烷]合作"
    assert "\x1b[1;33m甲烷\x1b[0m" in output.marked("中美甲烷合作", [(2, 4)], colour=True)


def test_no_color_is_respected(monkeypatch):
    """no-color.org."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert output.coloured()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.coloured()
