"""A short run of the crash harness over every command; the long one is `python benchmarks/crash.py`."""

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


@pytest.mark.parametrize(
    ("mode", "work", "rounds", "options"),
    [
        ("random", "daemon", 3, ("--tmin", "1", "--tmax", "4")),
        ("random", "digest", 1, ("--tmin", "1", "--tmax", "4")),
        ("random", "import", 1, ("--tmin", "1", "--tmax", "4")),
        ("random", "retag", 1, ("--tmin", "1", "--tmax", "4")),
        ("random", "migrate", 1, ("--tmin", "1", "--tmax", "4")),
        ("random", "backup", 1, ("--tmin", "1", "--tmax", "4")),
        ("powerloss", "daemon", 1, ("--tmin", "6", "--tmax", "8")),
        ("smtpsweep", "daemon", 2, ("--tmax", "15", "--nfeeds", "1")),
    ],
)
@pytest.mark.databases("sqlite")  # what reaches PostgreSQL's disk is PostgreSQL's affair
def test_no_invariant_is_violated(
    shared: Path, tmp_path: Path, database: str, mode: str, work: str, rounds: int, options: tuple[str, ...]
) -> None:
    """Nothing lost, doubled or half written; the index whole; the daemon comes back and stops when told."""
    found = loaded(shared, "crash").run(mode, rounds, tmp_path, options, work=work)
    assert (found["violations"], found["said"], found["rounds"]) == ({}, [], rounds)


@pytest.mark.databases("postgresql")
def test_workers_killed_at_random_lose_and_double_nothing(
    shared: Path, tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    """What a killed worker had in hand is taken up within a minute; it stops when told."""
    url = request.getfixturevalue("postgres").empty()
    found = loaded(shared, "crash_postgres").run("random", 3, tmp_path, url, ("--tmin", "1", "--tmax", "4"))
    assert (found["violations"], found["said"], found["rounds"]) == ({}, [], 3)
