"""Break the daemon in every way the crash harness of the shared material knows, and count violations.

    python benchmarks/crash.py                     every mode, the rounds of the promise (hours)
    python benchmarks/crash.py --quick             a few rounds of each (minutes)
    python benchmarks/crash.py random powerloss --rounds 20
    python benchmarks/crash.py --postgres random sigterm twins clock    the same on PostgreSQL, where workers are killed

The harness is used as it lies there, with three assumptions fitted to this program: a token is looked up by the
program's own search (the index keeps no positions, so a bare MATCH of a phrase says nothing), feeds.yaml names the
loopback port as an exception, and a command that ends by itself (import, backup) may do so.
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


# --tmax is how long the daemon lives in a round; it polls everything at once when it starts.
MODES = {
    "random": Mode(200, 6, ("--tmin", "0.3", "--tmax", "3")),
    "sweep": Mode(10_000, 4, ("--tmax", "4", "--nfeeds", "1")),
    "torn": Mode(60, 3, ("--tmax", "5", "--nfeeds", "1")),
    "powerloss": Mode(17, 2, ("--tmin", "3", "--tmax", "8")),
    "enospc": Mode(20, 2, ("--tmax", "6", "--nfeeds", "1")),
    "eio": Mode(20, 2, ("--tmax", "6", "--nfeeds", "1")),
    "full": Mode(20, 2, ()),
    "sigterm": Mode(20, 4, ("--tmin", "0.6", "--tmax", "3")),
    "twins": Mode(20, 3, ("--tmax", "3")),
    "locked": Mode(20, 2, ("--tmin", "1", "--tmax", "3")),
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
    if o.pg:
        import psycopg
        with psycopg.connect(o.pg) as connection:
            if connection.execute("SELECT to_regclass('article')").fetchone() == (None,):
                return set()
            rows = connection.execute('SELECT title FROM article').fetchall()
            return {token for (title,) in rows for token in TOK.findall(title)}
    try:
        with contextlib.closing(sqlite3.connect('file:' + path + '?mode=ro', uri=True)) as connection:
            return {token for (title,) in connection.execute('SELECT title FROM article') for token in TOK.findall(title)}
    except sqlite3.Error:
        return set()


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
POSTGRES = ("random", "sigterm", "twins", "clock")


def fitted(folder: Path) -> Path:
    """The harness with its look-up fitted, beside the fault libraries built from its sources."""
    crash = folder / "crash"
    crash.mkdir(parents=True)
    source = (SHARED / "chaos" / "crash" / "crash_harness.py").read_text(encoding="utf-8")
    if _BARE not in source:
        sys.exit("the crash harness has changed; fit benchmarks/crash.py to its search check")
    source = source.replace(_BARE, _OURS).replace("def servers():", _SEARCH + _SETTLED + "def servers():", 1)
    source = source.replace("import argparse,", "import contextlib, argparse,", 1)
    for theirs, fitting in _SETTLE.items():
        if theirs not in source:
            sys.exit(f"the crash harness has changed; fit benchmarks/crash.py to it: {theirs}")
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
    mode: str, rounds: int, folder: Path, options: Sequence[str] = (), seed: int = 1, settle: float = 90,
    postgres: str = "",
) -> dict[str, object]:  # fmt: skip
    """One mode; the harness's summary, with what it printed about violations under `said`.

    `postgres` is the address of a database that may be emptied; without one the archive is a SQLite file.
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
        *("--http-port", str(http), "--smtp-port", str(smtp), "--nomail", "--settle", str(settle)),
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
    if not postgres:
        return ["--cmd", f"{sys.executable} -m aggregator --archive {{db}} --feeds {{feedsfile}} run"]
    (folder / "due.py").write_text(_DUE, encoding="utf-8")
    return ["--pg", postgres, "--cmd", f"{sys.executable} {folder / 'due.py'} {{pg}} {{feedsfile}}"]


def main() -> None:
    """Run the modes asked for and print a line for each; exit status 1 when an invariant was violated."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("mode", nargs="*", choices=[*MODES, []], default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--first", type=float, default=0, help="share of a run's writes that are left out (torn, sweep)"
    )
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server as the tests start one")
    asked = parser.parse_args()
    violated = 0
    server = None
    if asked.postgres:
        sys.path.insert(0, str(ROOT))
        from tests.postgres import MISSING, start

        server = start() or sys.exit(MISSING)
    for name in asked.mode or (POSTGRES if server else MODES):
        mode = MODES[name]
        rounds = asked.rounds or (mode.quick if asked.quick else mode.rounds)
        with tempfile.TemporaryDirectory(prefix="crash-") as folder:
            options = (*mode.options, "--first", str(asked.first))
            url = server.empty() if server else ""
            found = run(name, rounds, Path(folder), options, asked.seed, postgres=url)
        violated += bool(found["violations"])
        print(json.dumps(found), flush=True)
    if server:
        server.stop()
    sys.exit(1 if violated else 0)


if __name__ == "__main__":
    main()
