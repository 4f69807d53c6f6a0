"""Feeds polled by 1, 2 and 4 workers on PostgreSQL, against one embedded process on SQLite: the same archive?

    python benchmarks/workers.py [--feeds 2000] [--entries 2] [--hosts 100] [--workers 1,2,4]

Needs the workload server of the shared material (AGGREGATOR_SHARED) and a PostgreSQL as the tests do. Printed for each
number of workers: seconds from the first start until every feed is polled, polls and articles per second, the CPU
seconds of workers and of PostgreSQL, the most requests at one host at the same time, and whether the archive equals
that of the embedded process, ids and times aside.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from aggregator.store import articles, maintenance  # noqa: E402
from aggregator.store.archive import Archive  # noqa: E402
from tests.postgres import MISSING, start  # noqa: E402

SHARED = Path(os.environ.get("AGGREGATOR_SHARED", ROOT.parent / "shared"))
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feeds", type=int, default=2000)
    parser.add_argument("--entries", type=int, default=2)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--workers", default="1,2,4")
    options = parser.parse_args()
    server = start()
    if server is None:
        sys.exit(MISSING)
    try:
        with tempfile.TemporaryDirectory() as folder:
            _measure(options, server, Path(folder))
    finally:
        server.stop()


def _measure(options, server, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shape = ["--feeds", str(options.feeds), "--entries", str(options.entries), "--hosts", str(options.hosts)]
    command = [sys.executable, str(SHARED / "bench" / "workload.py"), "serve", *shape, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as press:
        press.stdout.readline()
        feeds = _feeds(options, port, folder)
        alone = str(folder / "alone.db")
        began = time.monotonic()
        run = [sys.executable, "-m", "aggregator", "--archive", alone, "--feeds", str(feeds), "poll"]
        subprocess.run(run, check=True, cwd=ROOT)
        took, wanted = time.monotonic() - began, _stored(alone)
        print(f"{len(wanted)} articles of {options.feeds} feeds on {options.hosts} hosts")
        print("| workers | seconds | polls/s | articles/s | CPU of workers | CPU of PostgreSQL | equal |")
        print("|---|---|---|---|---|---|---|")
        print(f"| embedded | {took:.1f} | {options.feeds / took:.0f} | {len(wanted) / took:.0f} | | | |")
        for number in map(int, options.workers.split(",")):
            _with_workers(number, options.feeds, server, feeds, wanted)
        press.terminate()


def _with_workers(number: int, count: int, server, feeds: Path, wanted: list) -> None:
    url = server.database()
    before = cpu("postgres")
    began = time.monotonic()
    run = [sys.executable, "-m", "aggregator", "--archive", url, "--feeds", str(feeds), "run"]
    with Path(os.devnull).open("w") as silent:
        workers = [subprocess.Popen(run, cwd=ROOT, stderr=silent) for _ in range(number)]
        archive = Archive.open(url)
        while True:
            with archive.reading() as connection:
                if connection.exec_driver_sql("SELECT count(*) FROM feed").scalar_one() == count:
                    break
            time.sleep(0.2)
    took = time.monotonic() - began
    own = sum(_seconds(worker.pid) for worker in workers)
    database = cpu("postgres") - before
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    for worker in workers:
        worker.wait(30)
    found = _stored(url)
    sound = maintenance.check(archive, lambda _line: None) == []
    archive.close()
    print(
        f"| {number} | {took:.1f} | {count / took:.0f} | {len(found) / took:.0f} | {own:.1f} s | {database:.1f} s |"
        f" {'yes' if found == wanted and sound else 'NO'} |",
        flush=True,
    )


def _feeds(options, port: int, folder: Path) -> Path:
    allow = json.dumps([f"127.0.0.{host}:{port}" for host in range(1, options.hosts + 1)])
    lines = [f"network: {{allow: {allow}, parallel: 8}}", "contact: https://contact.example/", "feeds:"]
    lines += [
        f"  - {{id: f{n}, url: 'http://127.0.0.{n % options.hosts + 1}:{port}/feed/{n}.xml', outlet: O{n % 200}}}"
        for n in range(options.feeds)
    ]
    path = folder / "feeds.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _stored(url: str) -> list[tuple]:
    archive = Archive.open(url)
    with archive.reading() as connection:
        found = sorted(
            (one.feed, one.guid, one.title, hashlib.sha256(one.text.encode()).hexdigest(), one.revision)
            for one in articles.every(connection)
        )
    archive.close()
    return found


def cpu(name: str) -> float:
    """CPU seconds of all processes of this name that run or that their parents have waited for."""
    total = 0.0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if (folder / "comm").read_text().strip() == name:
                    total += _seconds(int(folder.name), children=True)
            except OSError:
                continue
    return total


def _seconds(pid: int, *, children: bool = True) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(value) for value in fields[11 : 15 if children else 13]) / TICKS


if __name__ == "__main__":
    main()
