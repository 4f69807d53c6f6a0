"""On a real terminal: the pager, colours, and columns that stand under each other whatever the width of the signs."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aggregator.model import Article
from aggregator.snippet import width
from aggregator.store import articles
from aggregator.store.archive import Archive

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
TITLES = ("中美宣布甲烷合作", "Methane ﾊﾝｶｸ talks", "甲烷 — “quoted” é", "한국 甲烷 뉴스", "甲烷 👩‍🔬 research")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive with signs of every width, and a pager that marks its lines."""
    folder = tmp_path_factory.mktemp("terminal")
    with closing(Archive.open(str(folder / "a.db"), write=True)) as opened, opened.writing() as connection:
        texts = articles.Texts()
        made = [
            (Article(title, "", f"{title}，双方将就甲烷减排开展合作。" * 5, feed="f", outlet=title[:4], published=NOW - timedelta(days=day)), f"k{day}")
            for day, title in enumerate(TITLES * 3)
        ]  # fmt: skip
        articles.add(connection, made, NOW, texts)
        texts.write(connection)
    (folder / "feeds.yaml").write_text("feeds:\n  - {id: x, title: x, url: 'http://127.0.0.1:9/x', outlet: X}\n")
    (folder / "marking").write_text("#!/bin/sh\nexec sed 's/^/PAGED /'\n")
    (folder / "marking").chmod(0o755)
    return folder / "a.db"


@pytest.fixture
def screen(archive: Path):
    """What a command shows on a terminal of so many lines and columns."""

    def run(*args: str, lines: int = 10, columns: int = 80, **environ: str) -> str:
        ours, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        clean = {
            name: value
            for name, value in os.environ.items()
            if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
        }
        env = {**clean, "TERM": "xterm", "PAGER": str(archive.with_name("marking")), **environ}
        feeds = str(archive.with_name("feeds.yaml"))
        command = [sys.executable, "-m", "aggregator", "--archive", str(archive), "--feeds", feeds, *args]
        with subprocess.Popen(command, stdin=end, stdout=end, stderr=subprocess.DEVNULL, env=env):
            os.close(end)
            shown = b""
            while True:
                try:
                    data = os.read(ours, 65536)
                except OSError:
                    break
                shown += data
                if not data:
                    break
        os.close(ours)
        return shown.decode().replace("\r\n", "\n")

    return run


def test_a_long_list_goes_through_the_pager(screen):
    """On a terminal that is too low for it, and only there."""
    assert screen("search", "甲烷").count("PAGED ") > 15
    assert "PAGED" not in screen("search", "甲烷", lines=100)
    assert "PAGED" not in screen("search", "甲烷", "--limit", "2")
    assert "PAGED" not in screen("--no-pager", "search", "甲烷")
    assert "PAGED" not in screen("search", "甲烷", PAGER="")
    assert "PAGED" not in screen("search", "甲烷", "--format", "jsonl")


def test_no_pager_and_no_colour_in_a_pipe(archive, command):
    """A program reads what is there."""
    shown = command("--archive", str(archive), "search", "甲烷", PAGER=str(archive.with_name("marking"))).stdout
    assert "PAGED" not in shown
    assert "\x1b" not in shown


def test_colour_is_for_terminals_that_want_it(screen):
    """The match is bold in colour; NO_COLOR and dumb terminals get brackets."""
    assert "\x1b[1;33m甲烷\x1b[0m" in screen("--no-pager", "search", "甲烷")
    for environ in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown = screen("--no-pager", "search", "甲烷", **environ)
        assert "\x1b" not in shown
        assert "[甲烷]" in shown


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_wide_signs_are_counted(screen, columns):
    """No line is wider than the terminal, and the columns of a table begin under each other."""
    shown = ESCAPE.sub("", screen("--no-pager", "stats", "--by", "outlet", columns=columns))
    lines = [line for line in shown.splitlines() if line]
    assert max(map(width, lines)) <= columns
    table = lines[lines.index(next(line for line in lines if line.startswith("outlet"))) :]
    ends = {width(line.rstrip()) for line in table}
    assert len(ends) == 1
    shown = ESCAPE.sub("", screen("--no-pager", "search", "甲烷", columns=columns))
    assert max(map(width, shown.splitlines())) <= columns
