"""What it takes to start: CPU seconds of whole commands, the median of several runs.

    python benchmarks/starting.py [--runs 7]

`--help` is to stay within 0.25 s; `search` and `show` are asked of an archive of 200 articles, and `poll` with a list of no
feeds, so that little more than their start is left. `tests/test_cost.py` looks at what they import.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from newsworld import World
from peers import Reader, run

HELP_GOAL = 0.25


def main() -> None:
    """Make a small archive, then run each command."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=7)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows, feeds, log = folder / "rows.jsonl", folder / "feeds.yaml", folder / "log"
        world = World(10, 20)
        stories = (world.story(feed, serial) for feed in range(10) for serial in range(20))
        lines = [json.dumps({"title": one.title, "text": "\n".join(one.paragraphs)}) for one in stories]
        rows.write_text("\n".join(lines), encoding="utf-8")
        feeds.write_text("feeds: []\n", encoding="utf-8")
        program = [sys.executable, "-m", "aggregator", "--archive", str(folder / "archive.db"), "--feeds", str(feeds)]
        environment = Reader(Path()).environment(folder)
        run([*program, "import", str(rows)], environment, log)
        for arguments in (["--help"], ["search", "the"], ["show", "1"], ["stats"], ["poll"]):
            costs = [run([*program, *arguments], environment, log).cpu for _ in range(asked.runs)]
            goal = (
                f"  goal {HELP_GOAL}: {'reached' if max(costs) <= HELP_GOAL else 'MISSED'}"
                if arguments == ["--help"]
                else ""
            )
            spread = f"({min(costs):.3f} to {max(costs):.3f})"
            print(f"{' '.join(arguments):12} {statistics.median(costs):.3f} s of CPU {spread}{goal}")


if __name__ == "__main__":
    main()
