"""What bash offers after Tab: commands, options, and values from the catalogue, feeds.yaml and the archive."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aggregator.model import Article
from aggregator.store import articles, saved
from aggregator.store.archive import Archive

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parent.parent
# Calls the function as readline does (bash(1), "Programmable Completion"), cutting words at colons and equal signs.
ASK = r"""
source "$1"
COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
function="$(complete -p aggregator | sed 's/.*-F \([^ ]*\).*/\1/')"
compopt() { echo "compopt $*"; }
$function aggregator
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """What is offered after a line, on an archive with articles of two outlets and a saved search."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    folder = tmp_path_factory.mktemp("shell")
    with closing(Archive.open(str(folder / "a.db"), write=True)) as archive, archive.writing() as connection:
        texts = articles.Texts()
        made = [
            (Article("t", "", "text", feed="f", outlet=outlet, published=NOW), outlet)
            for outlet in ("新华网", "The Ledger")
        ]
        articles.add(connection, made, NOW, texts)
        texts.write(connection)
        saved.save(connection, "methane", "甲烷", NOW)
        saved.save(connection, "氣候", "climate", NOW)
    (folder / "feeds.yaml").write_text(
        "feeds:\n  - {id: morning, title: 晨报, url: 'http://127.0.0.1:9/x', outlet: 晨报}\n"
    )
    (folder / "aggregator").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m aggregator "$@"\n')
    (folder / "aggregator").chmod(0o755)
    environ = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
        "AGGREGATOR_ARCHIVE": str(folder / "a.db"),
        "AGGREGATOR_FEEDS": str(folder / "feeds.yaml"),
    }
    script = subprocess.run(["aggregator", "completion", "bash"], env=environ, capture_output=True, check=True).stdout
    (folder / "complete.bash").write_bytes(script)

    def tab(line: str) -> list[str]:
        command = ["bash", "--norc", "-c", ASK, "bash", str(folder / "complete.bash"), line]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, cwd=folder)
        assert done.stderr == ""
        return done.stdout.splitlines()

    return tab


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("aggregator sav", ["saved"]),
        ("aggregator search --pl", ["--plurals"]),
        ("aggregator saved re", ["remove", "rename"]),
        ("aggregator saved show ", ["methane", "氣候"]),
        ("aggregator export --format ma", ["markdown"]),
        ("aggregator coverage --agreement su", ["sunnylands-2023"]),
        ("aggregator timeline shanghai-2021/6", ["shanghai-2021/6"]),
        ("aggregator search --clause sunnylands-2023/25", ["sunnylands-2023/25"]),
        ("aggregator search --clause=sunnylands-2023/25", ["sunnylands-2023/25"]),
        ("aggregator search --outlet The", ["The\\ Ledger"]),
        ("aggregator search --outlet 新", ["新华网"]),
        ("aggregator poll mo", ["morning"]),
        ("aggregator search sav", ["compopt -o nospace", "saved:"]),
        ("aggregator search saved:me", ["methane"]),
        ("aggregator search 甲烷 -saved:", ["methane", "氣候"]),
        ("aggregator search clause:glasgow-2021/16", ["glasgow-2021/16"]),
        ("aggregator search lang:", ["zh", "en"]),
        ("aggregator search 'saved:me", ["'saved:methane"]),
        ("aggregator report --query saved:m", ["methane"]),
        ("aggregator --archive /nowhere saved show ", [""]),
    ],
)
def test_bash_offers(tab, line, offered):
    """After this line these words, and nothing on stderr."""
    assert tab(line) == offered


def test_the_commands_are_offered_from_the_table(tab):
    """All of them."""
    from aggregator.cli import COMMANDS

    assert tab("aggregator ") == list(COMMANDS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_printed(command, shell):
    """For each shell, naming the variable that asks."""
    assert "_AGGREGATOR_COMPLETE" in command("completion", shell).stdout
