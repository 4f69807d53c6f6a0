"""Break workers on PostgreSQL as `crash.py` breaks the daemon on SQLite, and count violations.

    python benchmarks/crash_postgres.py                     killed, stopped, in twos, with a clock that jumps
    python benchmarks/crash_postgres.py random --rounds 20

What reaches the server's disk is PostgreSQL's affair, so power cuts and full disks are left out. The harness of the
shared material is used as it lies there; a token is looked up by the program's own search, and the last worker of a
round lives until what was delivered is stored.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("AGGREGATOR_SHARED", ROOT.parent / "shared"))


@dataclass(frozen=True)
class Mode:
    """Rounds of the promise, rounds of a quick run, and what the harness is told besides."""

    rounds: int
    quick: int
    options: tuple[str, ...] = ()


# --tmax is how long the worker lives in a round; it polls everything at once when it starts.
MODES = {
    "random": Mode(200, 6, ("--tmin", "0.3", "--tmax", "3")),
    "sigterm": Mode(20, 4, ("--tmin", "0.6", "--tmax", "3")),
    "twins": Mode(20, 3, ("--tmax", "3")),
    "clock": Mode(20, 3, ("--tmin", "1", "--tmax", "3")),
}

# The harness's own look into the index, and ours.
_BARE = "if c.execute(f\"SELECT count(*) FROM {qi(f)} WHERE {qi(f)} MATCH ?\",('\"'+t+'\"',)).fetchone()[0]!=1]"
_OURS = "if f=='article_fts' and found_by_search(x,t)!=1]"
_SEARCH = """
def found_by_search(path, token):
    import datetime
    from aggregator.query import parse
    from aggregator.store import lookup
    with sqlite3.connect(path) as connection:
        query = parse('"'+token+'"', datetime.datetime.now(datetime.timezone.utc))
        return len(lookup.find(connection, query, limit=5).ids)
"""

# The last daemon of a round lives until what was delivered is stored, at most --settle seconds: a fixed time is too
# short where a loaded machine takes longer to start Python (then nothing has been asked again yet, and what a kill
# took before it was stored counts as lost), and needlessly long elsewhere. --first leaves out the writes that make
# the archive, before which nothing has been delivered that could be lost.
_SETTLE = {
    "o.settle=min(s,3)": "o.settle=s",
    "pr=start(db,env); time.sleep(o.settle)": "pr=start(db,env); settled(db)",
    "range(1,total+1,o.step)": "range(1+int(total*o.first),total+1,o.step)",
    "p.add_argument('-v',action='store_true')": "p.add_argument('-v',action='store_true');"
    " p.add_argument('--first',type=float,default=0)",
}
_SETTLED = """
def settled(path):
    began = time.time()
    sent = {token for token, (_, _, at) in get('/_ledger').items() if at}
    while time.time() - began < o.settle and not (o.nomail and time.time() - began > 2 and sent <= stored(path)):
        time.sleep(.2)
    time.sleep(.5)


def stored(path):
    import psycopg
    with psycopg.connect(o.pg) as connection:
        if connection.execute("SELECT to_regclass('article')").fetchone() == (None,):
            return set()
        rows = connection.execute('SELECT title FROM article').fetchall()
        return {token for (title,) in rows for token in TOK.findall(title)}


"""

_DUE = """
import os, sys
import psycopg

with psycopg.connect(sys.argv[1]) as connection:
    if connection.execute("SELECT to_regclass('feed')").fetchone() != (None,):
        connection.execute("UPDATE feed SET next_due = NULL")
os.execv(sys.executable, [sys.executable, "-m", "aggregator", "--archive", sys.argv[1], "--feeds", sys.argv[2], "run"])
"""
"""A worker that begins with everything due, as the embedded daemon does: each round has something to break."""


def fitted(folder: Path) -> Path:
    """The harness with its look-up fitted, beside the fault libraries built from its sources."""
    crash = folder / "crash"
    crash.mkdir(parents=True)
    source = (SHARED / "chaos" / "crash" / "crash_harness.py").read_text(encoding="utf-8")
    if _BARE not in source:
        sys.exit("the crash harness has changed; fit benchmarks/crash_postgres.py to its search check")
    source = source.replace(_BARE, _OURS).replace("def servers():", _SEARCH + _SETTLED + "def servers():", 1)
    source = source.replace("import argparse,", "import contextlib, argparse,", 1)
    for theirs, fitting in _SETTLE.items():
        if theirs not in source:
            sys.exit(f"the crash harness has changed; fit benchmarks/crash_postgres.py to it: {theirs}")
        source = source.replace(theirs, fitting)
    source = source.replace("RND.uniform(.5,o.tmax)", "RND.uniform(o.tmin,o.tmax)")  # late enough to have written
    (crash / "harness.py").write_text(source, encoding="utf-8")
    for name in ("chaos_server.py", "chaos_smtp.py"):
        (folder / name).symlink_to(SHARED / "chaos" / name)
    for name in ("faultio", "clockjump"):
        target, code = crash / f"lib{name}.so", SHARED / "chaos" / "crash" / f"{name}.c"
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-w", "-o", target, code, "-ldl"], check=True)
    return crash / "harness.py"


def free_ports() -> tuple[int, int]:
    """A port for the feeds, and the first of those for mail."""
    with socket.socket() as http, socket.socket() as smtp:
        http.bind(("127.0.0.1", 0))
        smtp.bind(("127.0.0.1", 0))
        return http.getsockname()[1], smtp.getsockname()[1]


def run(
    mode: str, rounds: int, folder: Path, postgres: str, options: Sequence[str] = (), seed: int = 1
) -> dict[str, object]:
    """One mode; the harness's summary, with what it printed about violations under `said`.

    `postgres` is the address of a database that may be emptied.
    """
    harness = fitted(folder)
    http, smtp = free_ports()
    feeds = folder / "feeds.template.yaml"
    feeds.write_text(
        f'network: {{allow: ["127.0.0.1:{http}"], pause: 0s}}\ncontact: https://contact.example/\nfeeds:\n{{feeds}}\n'
    )
    command = [
        *(sys.executable, str(harness), "--mode", mode, "--rounds", str(rounds), "--seed", str(seed)),
        *("--db", str(folder / "work" / "archive.db"), "--feeds-template", str(feeds), "--article-table", "article"),
        *("--http-port", str(http), "--smtp-port", str(smtp), "--nomail", "--settle", "90"),
        *_kind(postgres, folder),
        *options,
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    *said, last = done.stdout.strip().splitlines() or [
        json.dumps({"violations": {"harness": 1}, "error": done.stderr})
    ]
    return json.loads(last) | {"said": said}


def _kind(postgres: str, folder: Path) -> list[str]:
    """What the harness is told about the archive."""
    (folder / "due.py").write_text(_DUE, encoding="utf-8")
    return ["--pg", postgres, "--cmd", f"{sys.executable} {folder / 'due.py'} {{pg}} {{feedsfile}}"]


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
