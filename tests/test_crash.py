"""A short run of the crash harness: kill -9 and power cuts; the long one is `python benchmarks/crash.py`."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def harness(shared: Path, folder: Path, mode: str, rounds: int, options: tuple[str, ...], postgres: str = "") -> dict:
    """What so many rounds of a mode found."""
    if shutil.which("gcc") is None or not (shared / "chaos" / "crash").is_dir():
        pytest.skip("the crash harness needs gcc and the shared material")
    spec = importlib.util.spec_from_file_location("crash", ROOT / "benchmarks" / "crash.py")
    assert spec is not None
    assert spec.loader is not None
    crash = importlib.util.module_from_spec(spec)
    sys.modules["crash"] = crash  # dataclasses look their module up
    spec.loader.exec_module(crash)
    settle = 90 if postgres else 8  # what a killed worker had in hand is taken up within a minute
    found = crash.run(mode, rounds, folder, options, settle=settle, postgres=postgres)
    assert found["rounds"] == rounds
    return found


def test_killed_at_random_nothing_is_lost_or_doubled(
    shared: Path, tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    """Nor half written; the index whole; the daemon, or the worker, comes back and stops when told."""
    url = request.getfixturevalue("postgres").empty() if database == "postgresql" else ""
    found = harness(shared, tmp_path, "random", 3, ("--tmin", "1", "--tmax", "4"), url)
    assert (found["violations"], found["said"]) == ({}, [])


@pytest.mark.databases("sqlite")  # what reaches PostgreSQL's disk is PostgreSQL's affair
def test_a_power_cut_loses_nothing_that_was_synced(shared: Path, tmp_path: Path, database: str) -> None:
    """The file is rebuilt from what had been synced and parts of the rest, opened and checked."""
    found = harness(shared, tmp_path, "powerloss", 1, ("--tmin", "6", "--tmax", "8"))
    assert (found["violations"], found["said"]) == ({}, [])
