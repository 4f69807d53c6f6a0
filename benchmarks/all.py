"""The quick measurements one after the other: `make bench` (some minutes; those that need `../shared` say so)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHARED = HERE.parent.parent / "shared"
QUICK = (
    ("clauses.py",),
    ("duplicates.py", "gold", str(SHARED)),
    ("duplicates.py", "own", str(SHARED)),
    ("schedule.py",),
    ("fetching.py",),
    ("parsing.py",),
    ("starting.py",),
    ("stages.py", "--feeds", "50"),
    ("importing.py", "--articles", "2000"),
    ("peers.py",),
)


def main() -> None:
    """Run each, say its name first, and go on when one fails; the exit status says whether one did."""
    failed = 0
    for name, *arguments in QUICK:
        print(f"\n== {name} {' '.join(Path(one).name for one in arguments)}", flush=True)
        failed += subprocess.run([sys.executable, str(HERE / name), *arguments], check=False).returncode != 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
