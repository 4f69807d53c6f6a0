"""The hostile files of the shared generator, made when first asked for and kept for the run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

# The generator's names, so that each is a test of its own even before it has run.
CONFIG = [
    "alias_bomb.yaml", "merge_bomb.yaml", "recursive_alias.yaml", "deep_10k.yaml", "python_object.yaml",
    "python_name.yaml", "ruby_tag.yaml", "tabs.yaml", "unclosed.yaml", "empty.yaml", "comment_only.yaml",
    "null_feeds.yaml", "scalar.yaml", "list_root.yaml", "multi_doc.yaml", "duplicate_keys.yaml", "types.yaml",
    "norway.yaml", "schemes.yaml", "duplicates.yaml", "crlf.yaml", "bom.yaml", "utf16.yaml", "gbk.yaml", "nul.yaml",
    "control_in_url.yaml", "env_injection.yaml", "unicode_names.yaml",
    "opml_xxe.opml", "opml_bomb.opml", "opml_deep_20k.opml", "opml_evil.opml", "opml_no_body.opml",
]  # fmt: skip


@cache
def hostile(shared: Path) -> dict[str, bytes]:
    """The files of class config, by path."""
    script = shared / "chaos" / "gen_hostile.py"
    if not script.is_file():
        pytest.skip("the generator of hostile files is not there")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(script), folder], check=True, capture_output=True)
        made = sorted(Path(folder, "config").iterdir())
        return {f"config/{path.name}": path.read_bytes() for path in made}
