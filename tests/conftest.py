"""What every test may use: the shared material, where it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real articles, feeds and labelled data beside the checkout; tests skip where it is absent."""
    import os

    folder = Path(os.environ.get("AGGREGATOR_SHARED", SHARED))
    if not folder.is_dir():
        pytest.skip("the shared material is not beside this checkout (AGGREGATOR_SHARED names another place)")
    return folder
