"""Break the program in every way the crash harness of the shared material knows, and count violations.

    python benchmarks/crash.py                     every mode and command, the rounds of the promise (hours)
    python benchmarks/crash.py --quick             a few rounds of each (minutes)
    python benchmarks/crash.py random powerloss --work import --work backup --rounds 20

What is run and broken is one of the works of `crash_work.py`: the daemon that polls and sends digests, import, retag,
migrations, backups. The table at the end counts rounds and violations for each mode and work. The harness is used as it
lies there; `FITTING` names each assumption of it that is fitted to this program, and why.
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
WORKS = ("daemon", "digest", "import", "retag", "migrate", "backup")


@dataclass(frozen=True)
class Mode:
    """Rounds of the promise, rounds of a quick run, what the harness is told besides, and for which works."""

    rounds: int
    quick: int
    options: tuple[str, ...] = ()
    works: tuple[str, ...] = ("daemon",)


_EIGHT = ",".join(f"r{number}@example.com" for number in range(8))
# --tmax is how long a work lives in a round, on a machine that it has to itself.
MODES = {
    "random": Mode(34, 3, ("--tmin", "0.6", "--tmax", "4"), WORKS),
    "sweep": Mode(10_000, 4, ("--tmax", "15", "--nfeeds", "1")),
    "smtpsweep": Mode(100, 4, ("--tmax", "15", "--nfeeds", "1", "--subs", _EIGHT)),
    "torn": Mode(20, 3, ("--tmax", "5", "--nfeeds", "1")),
    "powerloss": Mode(3, 1, ("--tmin", "3", "--tmax", "6"), WORKS),
    "enospc": Mode(20, 2, ("--tmax", "6", "--nfeeds", "1")),
    "eio": Mode(20, 2, ("--tmax", "6", "--nfeeds", "1")),
    "full": Mode(20, 2, ()),
    "sigterm": Mode(20, 4, ("--tmin", "1", "--tmax", "7", "--okrc", "0")),
    "twins": Mode(20, 3, ("--tmin", "3", "--tmax", "6")),
    "locked": Mode(20, 2, ("--tmin", "1", "--tmax", "3", "--okrc", "0")),
    "clock": Mode(20, 3, ("--tmin", "3", "--tmax", "6")),
}

_LOOK_UP = """
def found_by_search(path, token):
    import datetime
    from aggregator.query import parse
    from aggregator.store import lookup
    with contextlib.closing(sqlite3.connect(path)) as connection:
        query = parse('"'+token+'"', datetime.datetime.now(datetime.timezone.utc))
        return len(lookup.find(connection, query, limit=5).ids)


def stored(path):
    if o.pg:
        import psycopg
        with psycopg.connect(o.pg) as connection:
            there = connection.execute("SELECT to_regclass('article')").fetchone() != (None,)
            titles = connection.execute('SELECT title FROM article').fetchall() if there else ()
            return {token for (title,) in titles for token in TOK.findall(title)}
    try:
        with contextlib.closing(sqlite3.connect('file:' + path + '?mode=ro', uri=True)) as connection:
            return {token for (title,) in connection.execute('SELECT title FROM article') for token in TOK.findall(title)}
    except sqlite3.Error:
        return set()


def delivered():
    found = collections.defaultdict(set)
    for line in open(mail):
        with contextlib.suppress(ValueError):
            one = json.loads(line)
            for address in one['rcpt']:
                found[address].update(one['tokens'])
    return found


def covered(address, token):
    with contextlib.closing(sqlite3.connect(db)) as connection:
        return connection.execute(
            "SELECT count(*) FROM digest_article JOIN digest ON digest.id = digest_id JOIN article ON article.id = article_id"
            " WHERE digest.state = 'sent' AND digest.address = ? AND article.title LIKE ?", (address, f'%{token}%')
        ).fetchone()[0]


def rounds(path):
    try:
        return len(open(os.path.dirname(path) + '/rounds').readlines())
    except OSError:
        return 0


def settled(path, polled=False):
    began, first = time.time(), None
    mailed = o.subs.split(',') if not o.nomail else []
    while time.time() - began < o.settle:
        time.sleep(.2)
        have = stored(path)
        sent = {token for token, (_, _, at) in get('/_ledger').items() if at}
        got = delivered()
        if time.time() - began < 2 or (polled and not sent) or not sent <= have or not all(have <= got[address] for address in mailed):
            continue
        if first is None:
            first = rounds(path)
        if o.loops == 0 or rounds(path) >= first + o.loops:
            break
    time.sleep(.5)


def put_seed(folder):
    for name in os.listdir(o.seedfolder):
        shutil.copy(o.seedfolder + '/' + name, folder + '/' + name)


def seed_files(path):
    folder = os.path.dirname(path) + '/'
    return {folder + name: bytearray(open(o.seedfolder + '/' + name, 'rb').read()) for name in os.listdir(o.seedfolder)}


def clear(folder):
    for name in os.listdir(folder):
        whole = folder + '/' + name
        shutil.rmtree(whole) if os.path.isdir(whole) and not os.path.islink(whole) else os.unlink(whole)


def ours(path):
    noted = os.path.dirname(path) + '/violations'
    if os.path.exists(noted):
        bad('ours', detail=open(noted).read()[:400])
        os.unlink(noted)
    if o.checked:
        done = subprocess.run([PY, '-m', 'aggregator', '--archive', copydb(path), 'archive', 'check'], capture_output=True, text=True)
        if done.returncode:
            bad('I3-check', detail=(done.stdout + done.stderr)[-400:])


"""

FITTING = {
    # A token is looked up by the program's own search: the index keeps no positions, a bare MATCH of a phrase says
    # nothing.
    "if c.execute(f\"SELECT count(*) FROM {qi(f)} WHERE {qi(f)} MATCH ?\",('\"'+t+'\"',)).fetchone()[0]!=1]": (
        "if f=='article_fts' and found_by_search(x,t)!=1]"
    ),
    "def servers():": _LOOK_UP + "def servers():",
    "import argparse,": "import contextlib, argparse,",
    # The last run of a round lives until what was delivered is stored and mailed, at most --settle seconds: a fixed time
    # is too short where a loaded machine takes longer to start Python (then nothing has been asked again yet, and what a
    # kill took before it was stored counts as lost), and needlessly long elsewhere.
    "o.settle=min(s,3)": "o.settle=s",
    "pr=start(db,env); time.sleep(o.settle)": "pr=start(db,env); settled(db)",
    # As long takes the run that counts the calls.
    "AT=0,**({'PORT':SP[0]} if smtp else {}))); time.sleep(o.tmax)": (
        "AT=0,**({'PORT':SP[0]} if smtp else {}))); settled(db, True)"
    ),
    # The archive is made before, with the subscribers in it: else most faults fall into making it. --first leaves out
    # the first share of the writes.
    "range(1,total+1,o.step)": "range(1+int(total*o.first),total+1,o.step)",
    "for f in glob.glob(db+'*'): os.path.isfile(f) and os.unlink(f)": "clear(os.path.dirname(db)); put_seed(os.path.dirname(db))",
    "sdb=m+'/'+os.path.basename(db)": "put_seed(m); sdb=m+'/'+os.path.basename(db)",
    # The files begin as that archive, which a power cut leaves alone.
    "files={}; pend=": "files=seed_files(db); pend=",
    # Late enough to have written; a full disk after the start, too.
    "time.sleep(RND.uniform(.3,1))": "time.sleep(RND.uniform(1.5,3))",
    "RND.uniform(.5,o.tmax)": "RND.uniform(o.tmin,o.tmax)",
    # Under a clock of 1970 no date in a feed is plausible: what came together may be one story, of which a digest names
    # one article and counts the others.
    "miss=[t for t in cur if (s,t) not in by]": (
        "miss=[t for t in cur if (s,t) not in by and not (o.mode=='clock' and covered(s,t))]"
    ),
    # A wrong exit status says why.
    "bad('I8-rc',round=i,rc=pr.returncode)": (
        "bad('I8-rc',round=i,rc=pr.returncode,err=open(work+'/err.log','rb').read()[-300:].decode('utf8','replace'))"
    ),
    # What the works found, and the program's own check, at the end.
    "cur=check(db,True,'final')": "ours(db); cur=check(db,True,'final')",
    "p.add_argument('-v',action='store_true')": (
        "p.add_argument('-v',action='store_true'); p.add_argument('--first',type=float,default=0);"
        " p.add_argument('--seedfolder'); p.add_argument('--loops',type=int,default=0);"
        " p.add_argument('--checked',action='store_true')"
    ),
}
"""What stands in the harness, and what stands in its place."""

BODIES = {
    # Bodies that discuss a clause, each in words of its own: with the same words in all they were reprints of one
    # another, of which a digest names one.
    "f'body {tok} '+'lorem ipsum '*20": "own_body(tok)",
    # Two weeks apart: of articles on one story a digest names one and counts the others.
    "1735732800+s*60": "1500000000+(s*15+ord(name[0])%3*5)%3250*86400",
    "LED=collections.OrderedDict()": """
def own_body(tok):
    import random
    chance = random.Random(tok)
    words = ''.join(chr(chance.randrange(0x4e00, 0x8000)) for _ in range(160))
    return f'<p>{words[:80]}。</p><p>中美两国发表的阳光之乡声明说，双方将落实各自的国家甲烷行动计划。</p><p>body {tok} {words[80:]}。</p>'
LED=collections.OrderedDict()""",
}


def replaced(source: Path, changes: dict[str, str]) -> str:
    """A file's text with these changes; ends the program where one no longer fits."""
    text = source.read_text(encoding="utf-8")
    for theirs, fitting in changes.items():
        if theirs not in text:
            sys.exit(f"{source.name} has changed; fit benchmarks/crash.py to it: {theirs}")
        text = text.replace(theirs, fitting, 1 if theirs == "def servers():" else -1)
    return text


def fitted(folder: Path) -> Path:
    """The harness as it fits, beside the fault libraries built from its sources."""
    crash, chaos = folder / "crash", SHARED / "chaos"
    crash.mkdir(parents=True)
    (crash / "harness.py").write_text(replaced(chaos / "crash" / "crash_harness.py", FITTING), encoding="utf-8")
    (folder / "chaos_server.py").write_text(replaced(chaos / "chaos_server.py", BODIES), encoding="utf-8")
    (folder / "chaos_smtp.py").symlink_to(chaos / "chaos_smtp.py")
    for name in ("faultio", "clockjump"):
        target, code = crash / f"lib{name}.so", chaos / "crash" / f"{name}.c"
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-w", "-o", target, code, "-ldl"], check=True)
    return crash / "harness.py"


def free_ports() -> tuple[int, int]:
    """A port for the feeds, and the first of those for mail."""
    with socket.socket() as http, socket.socket() as smtp:
        http.bind(("127.0.0.1", 0))
        smtp.bind(("127.0.0.1", 0))
        return http.getsockname()[1], smtp.getsockname()[1]


def seeded(folder: Path, subscribers: Sequence[str]) -> Path:
    """A folder with an archive without articles, in which these subscribers are."""
    folder.mkdir()
    feeds = folder.with_name("none.yaml")
    feeds.write_text("feeds: []\nmail: {from: desk@example.org}\n")
    base = [sys.executable, "-m", "aggregator", "--archive", str(folder / "archive.db"), "--feeds", str(feeds)]
    commands = [["archive", "upgrade"]]
    commands += [["subscribers", "add", one, "--schedule", "* * * * *", "--timezone", "UTC"] for one in subscribers]
    for words in commands:
        subprocess.run([*base, *words], check=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    return folder


def run(
    mode: str,
    rounds: int,
    folder: Path,
    options: Sequence[str] = (),
    *,
    work: str = "daemon",
    seed: int = 1,
    settle: float = 90,
) -> dict[str, object]:
    """One mode on one work; the harness's summary, with what it printed about violations under `said`."""
    mailing = work in {"daemon", "digest"}
    several = options[options.index("--subs") + 1] if "--subs" in options else "a@example.com,b@example.com"
    archives = seeded(folder / "seed", several.split(",") if mailing else ())
    doing = f"{sys.executable} {ROOT / 'benchmarks' / 'crash_work.py'} {work} {{db}} {{feedsfile}} {{feeds}}"
    more = [
        *("--seedfolder", str(archives)),
        *("--cmd", f"env AGGREGATOR_SMTP_URL=smtp://127.0.0.1:{{smtp}} {doing}"),
        *(["--checked"] if work != "migrate" else []),  # whose archives are ahead of the program
        *(["--alo"] if mailing else ["--nomail"]),
        *(["--loops", "2"] if work != "daemon" else []),
        *options,
    ]
    own = "agreements: [own.yaml]\n" if work == "retag" else ""
    return {"work": work} | harnessed(mode, rounds, folder, more, head=own, seed=seed, settle=settle)


def harnessed(
    mode: str, rounds: int, folder: Path, options: Sequence[str], *, head: str = "", seed: int = 1, settle: float = 90
) -> dict[str, object]:
    """The harness with these options, one of which is `--cmd`; `head` goes before the rest of feeds.yaml."""
    harness = fitted(folder)
    http, smtp = free_ports()
    feeds = folder / "feeds.template.yaml"
    feeds.write_text(
        f'network: {{allow: ["127.0.0.1:{http}"], pause: 0s}}\ncontact: https://contact.example/\n{head}'
        "mail: {from: desk@example.org}\nfeeds:\n{feeds}\n"
    )
    command = [
        *(sys.executable, str(harness), "--mode", mode, "--rounds", str(rounds), "--seed", str(seed)),
        *("--db", str(folder / "work" / "archive.db"), "--feeds-template", str(feeds), "--article-table", "article"),
        *("--http-port", str(http), "--smtp-port", str(smtp), "--settle", str(settle)),
        *options,
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    *said, last = done.stdout.strip().splitlines() or ["-"]
    try:
        return json.loads(last) | {"said": said}
    except ValueError:
        return {"mode": mode, "violations": {"harness": 1}, "said": [*said, last, done.stderr[-2000:]]}


def table(results: Sequence[dict[str, object]]) -> str:
    """Totals for each mode and work."""
    lines = [f"{'mode':<10} {'work':<8} {'rounds':>6} {'kills':>6} {'cuts':>5} {'mails':>6} {'stored':>7}  violations"]
    for one in results:
        numbers = [one.get(name, "-") for name in ("rounds", "kills", "power_cuts", "mails", "tokens_stored")]
        widths = (6, 6, 5, 6, 7)
        row = " ".join(f"{number:>{width}}" for number, width in zip(numbers, widths, strict=True))
        lines.append(f"{one['mode']:<10} {one['work']:<8} {row}  {one['violations'] or 0}")
    return "\n".join(lines)


def main() -> None:
    """Run the modes asked for and print a line for each, a table at the end; exit status 1 when an invariant was violated."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("mode", nargs="*", choices=[*MODES, []], default=[])
    parser.add_argument("--work", action="append", choices=WORKS, default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--first", type=float, default=0, help="share of a run's writes that are left out (torn, sweep)"
    )
    asked = parser.parse_args()
    results = []
    for name in asked.mode or MODES:
        mode = MODES[name]
        rounds = asked.rounds or (mode.quick if asked.quick else mode.rounds)
        for work in asked.work or mode.works:
            with tempfile.TemporaryDirectory(prefix="crash-") as folder:
                options = (*mode.options, "--first", str(asked.first))
                results.append(run(name, rounds, Path(folder), options, work=work, seed=asked.seed))
            print(json.dumps(results[-1], ensure_ascii=False), flush=True)
    print(table(results))
    sys.exit(1 if any(one["violations"] for one in results) else 0)


if __name__ == "__main__":
    main()
