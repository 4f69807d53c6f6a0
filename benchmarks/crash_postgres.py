"""Break workers on PostgreSQL as `crash.py` breaks the daemon on SQLite, and count violations.

    python benchmarks/crash_postgres.py                     killed, stopped, in twos, with a clock that jumps
    python benchmarks/crash_postgres.py random --rounds 20

What reaches the server's disk is PostgreSQL's affair, so power cuts and full disks are left out. The harness is fitted
as in `crash.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from crash import ROOT, Mode, harnessed

# --tmax is how long the worker lives in a round; it polls everything at once when it starts.
MODES = {
    "random": Mode(200, 6, ("--tmin", "0.3", "--tmax", "3")),
    "sigterm": Mode(20, 4, ("--tmin", "1", "--tmax", "4", "--okrc", "0")),
    "twins": Mode(20, 3, ("--tmax", "3")),
    "clock": Mode(20, 3, ("--tmin", "1", "--tmax", "3")),
}

_DUE = """
import sys
from aggregator import ending

ending.listen()  # as `aggregator run` does first of all

import psycopg
from aggregator.cli import main

with psycopg.connect(sys.argv[1]) as connection:
    if connection.execute("SELECT to_regclass('feed')").fetchone() != (None,):
        connection.execute("UPDATE feed SET next_due = NULL")
main(["--archive", sys.argv[1], "--feeds", sys.argv[2], "run"])
"""
"""A worker that begins with everything due, as the embedded daemon does: each round has something to break."""


def run(
    mode: str, rounds: int, folder: Path, postgres: str, options: Sequence[str] = (), seed: int = 1
) -> dict[str, object]:
    """One mode; the harness's summary, with what it printed about violations under `said`.

    `postgres` is the address of a database that may be emptied.
    """
    due = folder / "due.py"
    due.write_text(_DUE, encoding="utf-8")
    archive = ["--pg", postgres, "--nomail", "--cmd", f"{sys.executable} {due} {{pg}} {{feedsfile}}"]
    return harnessed(mode, rounds, folder, [*archive, *options], seed=seed)


def main() -> None:
    """Run the modes asked for and print a line for each; exit status 1 when an invariant was violated."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("mode", nargs="*", choices=[*MODES, []], default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tests.postgres import MISSING, start

    server = start() or sys.exit(MISSING)
    violated = 0
    for name in asked.mode or MODES:
        mode = MODES[name]
        rounds = asked.rounds or (mode.quick if asked.quick else mode.rounds)
        with tempfile.TemporaryDirectory(prefix="crash-") as folder:
            found = run(name, rounds, Path(folder), server.empty(), mode.options, asked.seed)
        violated += bool(found["violations"])
        print(json.dumps(found), flush=True)
    server.stop()
    sys.exit(1 if violated else 0)


if __name__ == "__main__":
    main()
