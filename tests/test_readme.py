"""What the README says is so: its commands run, its targets exist, its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every line that a reader would type, in the README's order."""
    blocks = re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_every_command_runs(newsroom, tmp_path: Path) -> None:
    """On an archive of the pretend press, each command of the README ends with status 0 and no traceback."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "aggregator").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m aggregator "$@"\n')
    (bin_folder / "aggregator").chmod(0o755)
    environ = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "AGGREGATOR_ARCHIVE": str(tmp_path / "archive.db"),
        "AGGREGATOR_FEEDS": str(newsroom.feeds_yaml(tmp_path)),
    }
    failed = []
    for command in commands():
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode or "Traceback" in done.stderr:
            failed.append((command, done.returncode, done.stdout[-300:], done.stderr[-600:]))
    assert failed == []
    assert len(commands()) > 10


def test_its_make_targets_exist() -> None:
    """`make run` and the others are there."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake (run|test|check|bench)\b", README)) <= targets


def test_its_first_screen_has_the_two_commands() -> None:
    """A visitor sees them without scrolling."""
    screen = "\n".join(README.splitlines()[:40])
    assert "make run" in screen
    assert "make test" in screen


def test_its_links_lead_somewhere() -> None:
    """Files that are linked are in the repository."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
