"""What every test may use: the shared material, where it is there."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real articles, feeds and labelled data beside the checkout; tests skip where it is absent."""
    folder = Path(os.environ.get("AGGREGATOR_SHARED", SHARED))
    if not folder.is_dir():
        pytest.skip("the shared material is not beside this checkout (AGGREGATOR_SHARED names another place)")
    return folder


def _newsroom_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("newsroom", Path(__file__).with_name("newsroom.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def newsroom() -> Iterator:
    """A small pretend press on loopback (tests/newsroom.py)."""
    with _newsroom_module().Newsroom() as room:
        yield room


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run `aggregator ARGS…` as a user would, on an archive of its own; `feeds` names a feeds.yaml."""

    def run(
        *args: str, feeds: Path | None = None, stdin: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        own = tmp_path / "feeds.yaml"
        env = {
            **os.environ,
            "AGGREGATOR_ARCHIVE": str(tmp_path / "archive.db"),
            "AGGREGATOR_FEEDS": str(feeds or (own if own.exists() else ROOT / "feeds.yaml")),
            "COLUMNS": "110",
            **environ,
        }
        return subprocess.run(  # noqa: PLW1510 - the status is what tests look at
            [sys.executable, "-m", "aggregator", *args],
            cwd=ROOT,
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run
