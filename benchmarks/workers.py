"""Feeds polled by 1, 2 and 4 workers on PostgreSQL, against one embedded process on SQLite: the same archive?

    python benchmarks/workers.py [--feeds 2000] [--entries 2] [--hosts 100] [--workers 1,2,4]
    python benchmarks/workers.py --replay

Needs the workload server (or replay.py) of the shared material (AGGREGATOR_SHARED) and a PostgreSQL as the tests do. Printed for each
number of workers: seconds from the first start until every feed is polled, polls and articles per second, the CPU
seconds of workers and of PostgreSQL, the most requests that one host had at the same time (counted by the server, on
whose hosts `per_host: 1` is in force), and whether articles, revisions, tags, reprints and stories are those of the
embedded process by count and checksum, ids aside (`tests/picture.py`); and what share of the pairs of articles that
either puts in one story both do.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from aggregator.store import maintenance  # noqa: E402
from aggregator.store.archive import Archive  # noqa: E402
from tests.picture import Picture, picture  # noqa: E402
from tests.postgres import MISSING, Server, start  # noqa: E402
from tests.press import free_port  # noqa: E402

SHARED = Path(os.environ.get("AGGREGATOR_SHARED", ROOT.parent / "shared"))
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feeds", type=int, default=2000)
    parser.add_argument("--entries", type=int, default=2)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--workers", default="1,2,4")
    parser.add_argument("--replay", action="store_true", help="the 13 feeds of replay.py, 1,020 real articles")
    options = parser.parse_args()
    if options.replay:
        options.feeds, options.hosts = 13, 1
    server = start()
    if server is None:
        sys.exit(MISSING)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _measure(options, server, Path(folder))
    finally:
        server.stop()


def _measure(options, server, folder: Path) -> None:
    port = free_port(options.hosts)
    with subprocess.Popen(_command(options, port), stdout=subprocess.PIPE) as press, ExitStack() as stack:
        stack.callback(press.terminate)
        press.stdout.readline()
        feeds = _replayed(port, folder) if options.replay else _feeds(options, port, folder)
        alone = str(folder / "alone.db")
        began = time.monotonic()
        run = [sys.executable, "-m", "aggregator", "--archive", alone, "--feeds", str(feeds), "poll"]
        subprocess.run(run, check=True, cwd=ROOT, stderr=subprocess.DEVNULL)
        took, wanted = time.monotonic() - began, picture(alone)
        print(f"{options.feeds} feeds on {options.hosts} hosts;", ", ".join(_said(wanted)))
        print(
            "| workers | seconds | polls/s | articles/s | CPU of workers | CPU of PostgreSQL | most at a host | equal | story pairs alike |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        count, most = wanted.counts["articles"], _most(port)
        print(
            f"| embedded | {took:.1f} | {options.feeds / took:.1f} | {count / took:.0f} | | | {most} | | |", flush=True
        )
        for number in map(int, options.workers.split(",")):
            _with_workers(number, options.feeds, server, feeds, wanted, port)


def _command(options, port: int) -> list[str]:
    if options.replay:
        return [sys.executable, "-u", str(SHARED / "replay.py"), "--port", str(port), "--window", "400"]
    shape = ["--feeds", str(options.feeds), "--entries", str(options.entries), "--hosts", str(options.hosts)]
    script = str(ROOT / "tests" / "press.py")
    return [sys.executable, script, str(SHARED / "bench" / "workload.py"), *shape, "--port", str(port)]


def _replayed(port: int, folder: Path) -> Path:
    path = folder / "feeds.yaml"
    path.write_bytes(httpx.get(f"http://127.0.0.1:{port}/feeds.yaml", trust_env=False).content)
    return path


def _said(found: Picture) -> list[str]:
    return [f"{number} {kind}" for kind, number in found.counts.items()]


def _most(port: int) -> int:
    """The most requests at one host at a time, so far."""
    answer = httpx.get(f"http://127.0.0.1:{port}/_hosts", trust_env=False, timeout=60)
    return max(answer.json()["most"].values()) if answer.is_success else 0


def _with_workers(number: int, count: int, server, feeds: Path, wanted: Picture, port: int) -> None:
    url = server.database()
    before = cpu(server)
    began = time.monotonic()
    run = [sys.executable, "-m", "aggregator", "--archive", url, "--feeds", str(feeds), "run"]
    with Path(os.devnull).open("w") as silent, ExitStack() as stack:
        workers = [subprocess.Popen(run, cwd=ROOT, stderr=silent) for _ in range(number)]
        for worker in workers:
            stack.callback(worker.kill)
        archive = Archive.open(url)
        while True:
            with archive.reading() as connection:
                if connection.exec_driver_sql("SELECT count(*) FROM feed").scalar_one() == count:
                    break
            time.sleep(0.2)
        took = time.monotonic() - began
        own = sum(_family(worker.pid) for worker in workers)
        database = cpu(server) - before
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait(30)
    found = picture(url)
    wrong = [kind for kind in wanted.sums if wanted.sums[kind] != found.sums[kind]]
    alike = len(wanted.pairs & found.pairs) / max(len(wanted.pairs | found.pairs), 1)
    sound = maintenance.check(archive, lambda _line: None) == []
    archive.close()
    server.drop(url)
    articles = found.counts["articles"] / took
    print(
        f"| {number} | {took:.1f} | {count / took:.1f} | {articles:.0f} | {own:.1f} s | {database:.1f} s"
        f" ({database / (own + database):.0%}) | {_most(port)} | {'yes' if not wrong else 'all but ' + ', '.join(wrong)}{'' if sound else ', unsound'} | {alike:.1%} |",
        flush=True,
    )


def _feeds(options, port: int, folder: Path) -> Path:
    allow = json.dumps([f"127.0.0.{host}:{port}" for host in range(1, options.hosts + 1)])
    lines = [
        f"network: {{allow: {allow}, pause: 0s, per_host: 1, parallel: 8}}",
        "contact: https://contact.example/",
        "feeds:",
    ]
    lines += [
        f"  - {{id: f{n}, url: 'http://127.0.0.{n % options.hosts + 1}:{port}/feed/{n}.xml', outlet: O{n % 200}}}"
        for n in range(options.feeds)
    ]
    path = folder / "feeds.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def cpu(server: Server) -> float:
    """CPU seconds that PostgreSQL has spent, its ended processes included; 0 where it runs elsewhere."""
    return _family(server.pid) if server.pid else 0.0


def _family(pid: int) -> float:
    """CPU seconds of a process and of its children, those that are over and those that still run."""
    try:
        threads = Path(f"/proc/{pid}/task").iterdir()
        children = [child for thread in threads for child in (thread / "children").read_text().split()]
        return _seconds(pid) + sum(_family(int(child)) for child in children)
    except OSError:  # it has ended meanwhile
        return 0.0


def _seconds(pid: int, *, children: bool = True) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(value) for value in fields[11 : 15 if children else 13]) / TICKS


if __name__ == "__main__":
    main()
