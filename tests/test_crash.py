"""A short run of the crash harness: kill -9 and power cuts; the long one is `python benchmarks/crash.py`."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def loaded(shared: Path, name: str) -> ModuleType:
    """A benchmark of this name."""
    if shutil.which("gcc") is None or not (shared / "chaos" / "crash").is_dir():
        pytest.skip("the crash harness needs gcc and the shared material")
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_killed_at_random_nothing_is_lost_or_doubled(
    shared: Path, tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    """Nor half written; the index whole; the daemon, or the worker, comes back and stops when told."""
    options = ("--tmin", "1", "--tmax", "4")
    if database == "postgresql":
        url = request.getfixturevalue("postgres").empty()
        found = loaded(shared, "crash_postgres").run("random", 3, tmp_path, url, options)
    else:
        found = loaded(shared, "crash").run("random", 3, tmp_path, options, settle=8)
    assert (found["violations"], found["said"], found["rounds"]) == ({}, [], 3)


@pytest.mark.databases("sqlite")  # what reaches PostgreSQL's disk is PostgreSQL's affair
def test_a_power_cut_loses_nothing_that_was_synced(shared: Path, tmp_path: Path, database: str) -> None:
    """The file is rebuilt from what had been synced and parts of the rest, opened and checked."""
    found = loaded(shared, "crash").run("powerloss", 1, tmp_path, ("--tmin", "6", "--tmax", "8"), settle=8)
    assert (found["violations"], found["said"], found["rounds"]) == ({}, [], 1)
