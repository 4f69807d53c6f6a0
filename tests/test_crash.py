"""A short run of the crash harness over every command; the long one is `python benchmarks/crash.py`."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("mode", "work", "rounds", "options"),
    [
        ("random", "daemon", 3, ("--tmin", "1", "--tmax", "4")),
        ("random", "digest", 2, ("--tmin", "1", "--tmax", "4")),
        ("random", "import", 2, ("--tmin", "1", "--tmax", "4")),
        ("random", "retag", 2, ("--tmin", "1", "--tmax", "4")),
        ("random", "migrate", 2, ("--tmin", "1", "--tmax", "4")),
        ("random", "backup", 2, ("--tmin", "1", "--tmax", "4")),
        ("powerloss", "daemon", 1, ("--tmin", "6", "--tmax", "8")),
        ("smtpsweep", "daemon", 2, ("--tmax", "15", "--nfeeds", "1")),
    ],
)
def test_no_invariant_is_violated(
    shared: Path, tmp_path: Path, mode: str, work: str, rounds: int, options: tuple[str, ...]
) -> None:
    """Nothing lost, doubled or half written; the index whole; the daemon comes back and stops when told."""
    if shutil.which("gcc") is None or not (shared / "chaos" / "crash").is_dir():
        pytest.skip("the crash harness needs gcc and the shared material")
    spec = importlib.util.spec_from_file_location("crash", ROOT / "benchmarks" / "crash.py")
    assert spec is not None
    assert spec.loader is not None
    crash = importlib.util.module_from_spec(spec)
    sys.modules["crash"] = crash  # dataclasses look their module up
    spec.loader.exec_module(crash)
    found = crash.run(mode, rounds, tmp_path, options, work=work)
    assert (found["violations"], found["said"]) == ({}, [])
    assert found["rounds"] == rounds
