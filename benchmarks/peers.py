"""Ours and other feed readers side by side on one loopback server: CPU, memory and bytes on disk, as ratios.

    python benchmarks/peers.py                               a quick form: 50 feeds, one round
    python benchmarks/peers.py --feeds 200,2000 --rounds 3   the full one (an hour)

Each round asks the same feeds (`newsworld.py`) five times: everything is new; nothing has changed (asked twice, the
second counts: newsboat stores validators only once a feed has a row); each feed has one new entry; a tenth of the
entries has another text. Within each step the readers take turns, in another order in each round. Counted is the CPU
time of the whole process and the children it waited for (wait4), start-up included; the peak of the memory of all of
them together; and the files they leave. Ours does all it does by default: same items, reprints, stories, clause tags and
full-text index, committed. The others: lemon24/reader stores (search off), rss2email makes no mail (--no-send), newsboat
and sfeed store.

The peers, all optional (who is absent is named):
    make peers                          an environment of their own, .peers; --peers names another
    apt-get install newsboat sfeed

Quote ratios and their spread: on a shared machine seconds differ by half between minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request  # noqa: TID251 - the benchmark asks its own server
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
STEPS = ("first", "unchanged", "one new", "revised")
MB = 1_000_000


@dataclass(frozen=True)
class Cost:
    """One run of one reader."""

    cpu: float
    memory: int
    wall: float


# --- the readers --------------------------------------------------------------------------------------------------


class Reader:
    """A feed reader: how it is set up in a folder, and the command that asks every feed once."""

    name = "ours"

    def __init__(self, peers: Path) -> None:
        self.peers = peers

    def absent(self) -> str | None:
        """Why it cannot take part; None when it can."""
        return None

    def prepare(self, folder: Path, urls: list[str]) -> None:
        """Write what it is configured by, before anything is measured."""
        host = urls[0].split("/")[2]
        feeds = "".join(f"  - {{id: f{n}, url: '{url}', outlet: o{n}}}\n" for n, url in enumerate(urls))
        (folder / "feeds.yaml").write_text(f'network: {{allow: ["{host}"]}}\nfeeds:\n{feeds}', encoding="utf-8")

    def command(self, folder: Path) -> list[str]:
        """One round over all feeds."""
        settings = ["--archive", str(folder / "store" / "archive.db"), "--feeds", str(folder / "feeds.yaml")]
        return [sys.executable, "-m", "aggregator", *settings, "poll"]

    def environment(self, folder: Path) -> dict[str, str]:
        """Nothing of the caller's own configuration."""
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
        return {"HOME": str(folder), "LANG": "C.UTF-8", "TERM": "dumb"} | kept

    def entries(self, folder: Path) -> int | None:
        """How many entries it holds, where that is easily asked: a reader that stored nothing must not win."""
        return _count(folder / "store" / "archive.db", "article")


class Lemon(Reader):
    """lemon24/reader: SQLite through its own storage, its search switched off."""

    name = "reader"
    _MAKE = "from reader import make_reader; r = make_reader({0!r}, search_enabled=False)\n"

    def absent(self) -> str | None:
        """Needs its own environment."""
        return _lacks(self.peers, "reader")

    def prepare(self, folder: Path, urls: list[str]) -> None:
        """Its feeds stand in its database."""
        adding = self._MAKE.format(str(folder / "store" / "reader.db")) + f"for url in {urls!r}: r.add_feed(url)"
        script = folder / "add.py"
        script.write_text(adding, encoding="utf-8")
        run([str(self.peers / "bin" / "python"), str(script)], self.environment(folder), folder / "log")

    def command(self, folder: Path) -> list[str]:
        """All feeds, whatever their schedule; one worker was its best in the reference measurement."""
        made = self._MAKE.format(str(folder / "store" / "reader.db"))
        return [str(self.peers / "bin" / "python"), "-c", f"{made}r.update_feeds(scheduled=False)"]

    def entries(self, folder: Path) -> int | None:
        """Its table of entries."""
        return _count(folder / "store" / "reader.db", "entries")


class Newsboat(Reader):
    """newsboat, reloading without its screen."""

    name = "newsboat"

    def absent(self) -> str | None:
        """Debian has it."""
        return None if shutil.which("newsboat") else "not installed (apt-get install newsboat)"

    def prepare(self, folder: Path, urls: list[str]) -> None:
        """Addresses one a line."""
        (folder / "urls").write_text("\n".join(urls) + "\n", encoding="utf-8")
        (folder / "config").write_text("reload-threads 8\n", encoding="utf-8")

    def command(self, folder: Path) -> list[str]:
        """One reload."""
        files = ["-u", folder / "urls", "-c", folder / "store" / "cache.db", "-C", folder / "config"]
        return ["newsboat", "-q", *map(str, files), "-x", "reload"]

    def entries(self, folder: Path) -> int | None:
        """Its table of items."""
        return _count(folder / "store" / "cache.db", "rss_item")


class Sfeed(Reader):
    """sfeed: curl and a C parser, tables in text files, no conditional requests."""

    name = "sfeed"

    def absent(self) -> str | None:
        """Debian has it."""
        return None if shutil.which("sfeed_update") else "not installed (apt-get install sfeed)"

    def prepare(self, folder: Path, urls: list[str]) -> None:
        """A shell script that names the feeds."""
        feeds = "\n".join(f'\tfeed "f{number}" "{url}"' for number, url in enumerate(urls))
        said = f'sfeedpath="{folder / "store"}"\nmaxjobs=8\nfeeds() {{\n{feeds}\n}}\n'
        (folder / "sfeedrc").write_text(said, encoding="utf-8")

    def command(self, folder: Path) -> list[str]:
        """One update."""
        return ["sfeed_update", str(folder / "sfeedrc")]

    def entries(self, folder: Path) -> int | None:
        """Lines of its tables."""
        return sum(file.read_bytes().count(b"\n") for file in (folder / "store").iterdir() if file.is_file())


class Rss2email(Reader):
    """rss2email, which remembers what it has seen and here makes no mail of it."""

    name = "rss2email"

    def absent(self) -> str | None:
        """Needs its own environment."""
        return _lacks(self.peers, "rss2email")

    def prepare(self, folder: Path, urls: list[str]) -> None:
        """An INI file."""
        feeds = "".join(f"\n[feed.f{number}]\nurl = {url}\n" for number, url in enumerate(urls))
        (folder / "rss2email.cfg").write_text(f"[DEFAULT]\nto = nobody@localhost\n{feeds}", encoding="utf-8")

    def command(self, folder: Path) -> list[str]:
        """One run without mail."""
        files = ["-c", str(folder / "rss2email.cfg"), "-d", str(folder / "store" / "seen.json")]
        return [str(self.peers / "bin" / "r2e"), *files, "run", "--no-send"]

    def entries(self, folder: Path) -> int | None:
        """Those it has seen."""
        seen = json.loads((folder / "store" / "seen.json").read_text(encoding="utf-8"))
        return sum(len(feed["seen"]) for feed in seen["feeds"])


def _lacks(peers: Path, package: str) -> str | None:
    found = list(peers.glob(f"lib/python*/site-packages/{package}/__init__.py"))
    return None if found else f"not installed in {peers.name} (make peers)"


def _count(database: Path, table: str) -> int | None:
    import sqlite3

    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


READERS = (Reader, Lemon, Newsboat, Sfeed, Rss2email)


# --- measuring ----------------------------------------------------------------------------------------------------


def run(command: list[str], env: dict[str, str], log: Path) -> Cost:
    """Run to the end and give CPU seconds and peak memory of the process and its children; raises when it fails."""
    begin = time.monotonic()
    with log.open("ab") as said:
        actions = [(os.POSIX_SPAWN_DUP2, said.fileno(), 1), (os.POSIX_SPAWN_DUP2, said.fileno(), 2)]
        child = os.posix_spawnp(command[0], command, env, file_actions=actions)
    with _watched(child) as seen:
        _, status, usage = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(
            f"{command[0]} failed, status {status}: {log.read_text(encoding='utf-8', errors='replace')[-500:]}"
        )
    memory = max(usage.ru_maxrss * 1024, *seen)
    return Cost(usage.ru_utime + usage.ru_stime, memory, time.monotonic() - begin)


@contextmanager
def _watched(process: int) -> Iterator[list[int]]:
    """Look at the memory of a process and all its descendants together, ten times a second."""
    seen, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            seen.append(sum(map(_resident, _family(process))))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def _family(process: int) -> list[int]:
    found = [process]
    for one in found:
        try:
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        except OSError:
            continue
    return found


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@contextmanager
def world(feeds: int, entries: int, seed: int) -> Iterator[str]:
    """The loopback server; gives its address."""
    command = [sys.executable, str(HERE / "newsworld.py"), "--feeds", str(feeds), "--entries", str(entries)]
    with subprocess.Popen([*command, "--seed", str(seed)], stdout=subprocess.PIPE) as server:
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def tell(base: str, what: str) -> dict[str, int]:
    """Ask the server for something and give what it says."""
    with urllib.request.urlopen(f"{base}{what}", timeout=600) as answer:  # noqa: TID251 - as above
        return json.load(answer)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@dataclass
class Round:
    """What one round brought: costs by reader and step, bytes on disk after the first poll by reader."""

    costs: dict[tuple[str, str], Cost]
    disk: dict[str, int]


def play(readers: list[Reader], base: str, feeds: int, entries: int, number: int, folder: Path) -> Round:
    """One round: every reader through every step, in turn; the order is another one in each round."""
    urls = [f"{base}/feed/{feed}.xml" for feed in range(feeds)]
    order = readers[number % len(readers) :] + readers[: number % len(readers)]
    round_ = Round({}, {})
    homes = {reader.name: folder / reader.name for reader in order}
    for reader in order:
        (homes[reader.name] / "store").mkdir(parents=True)
        reader.prepare(homes[reader.name], urls)
    tell(base, "/_reset")

    def step(name: str) -> None:
        for reader in order:
            home = homes[reader.name]
            round_.costs[reader.name, name] = run(reader.command(home), reader.environment(home), home / "log")

    step("first")
    for reader in order:
        round_.disk[reader.name] = _bytes(homes[reader.name] / "store")
        if (held := reader.entries(homes[reader.name])) != feeds * entries:
            raise RuntimeError(
                f"{reader.name} holds {held} of {feeds * entries} entries; its figures would mean nothing"
            )
    step("unchanged")
    step("unchanged")
    tell(base, "/_advance?new=1&upd=0")
    step("one new")
    tell(base, f"/_advance?new=0&upd={max(entries // 10, 1)}")
    step("revised")
    for home in homes.values():
        shutil.rmtree(home)
    return round_


# --- what is printed ----------------------------------------------------------------------------------------------

GOALS = (
    # what, step, feeds, against whom, at most
    ("first poll", "first", 2000, "reader", 0.50),
    ("first poll", "first", 2000, "newsboat", 0.60),
    ("nothing changed", "unchanged", 2000, "reader", 0.90),
    ("nothing changed", "unchanged", 2000, "newsboat", 0.05),
    ("one new entry", "one new", 2000, "reader", 0.12),
    ("one new entry", "one new", 200, "newsboat", 0.25),
)
DISK_GOAL, GROWTH_GOAL, MEMORY_GOAL = 0.85, 1.10, 250


def table(rounds: list[Round], readers: list[Reader], feeds: int, entries: int) -> None:
    """Medians by reader."""
    print(f"\n{feeds} feeds of {entries} entries, {len(rounds)} round(s), medians")
    print(
        f"{'':12}{'first poll':>14}{'unchanged':>12}{'one new':>12}{'revised':>12}{'peak':>9}{'on disk':>10}{'wall':>8}"
    )
    print(f"{'':12}{'s/1000 entr.':>14}" + f"{'ms/feed':>12}" * 3 + f"{'MB':>9}{'MB':>10}{'first s':>8}")
    for reader in readers:
        cpu = {step: _median(one.costs[reader.name, step].cpu for one in rounds) for step in STEPS}
        peak = max(one.costs[reader.name, step].memory for one in rounds for step in STEPS)
        wall = _median(one.costs[reader.name, "first"].wall for one in rounds)
        figures = [f"{cpu['first'] / (feeds * entries) * 1e3:14.3f}"]
        figures += [f"{cpu[step] / feeds * 1e3:12.2f}" for step in STEPS[1:]]
        disk = _median(one.disk[reader.name] for one in rounds)
        print(f"{reader.name:12}{''.join(figures)}{peak / MB:9.0f}{disk / MB:10.1f}{wall:8.1f}")


def _median(values) -> float:
    return statistics.median(list(values))


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _verdict(reached) -> str:
    return "reached" if reached else "MISSED"


def goals(found: dict[int, list[Round]]) -> None:
    """Each goal with its ratio in each round; ratios at another number of feeds than the goal's are shown as such."""
    print(f"\n{'goal':34}{'against':10}{'feeds':>6}{'at most':>9}  ours / theirs, median (spread)")
    for feeds, rounds in found.items():
        for what, step, meant, peer, most in GOALS:
            ratios = [
                one.costs["ours", step].cpu / one.costs[peer, step].cpu for one in rounds if (peer, step) in one.costs
            ]
            if ratios and feeds == meant:
                said = _verdict(statistics.median(ratios) <= most)
            elif ratios:
                said = f"(the goal is for {meant} feeds)"
            else:
                continue
            print(f"{what:34}{peer:10}{feeds:6}{most:9.2f}  {_spread(ratios) if ratios else '':24} {said}")
        ratios = [one.disk["ours"] / one.disk["reader"] for one in rounds if "reader" in one.disk]
        if ratios:
            print(
                f"{'on disk':34}{'reader':10}{feeds:6}{DISK_GOAL:9.2f}  {_spread(ratios):24} {_verdict(max(ratios) <= DISK_GOAL)}"
            )
        peak = max(one.costs["ours", step].memory for one in rounds for step in STEPS) / MB
        print(f"{'peak memory, MB':34}{'':10}{feeds:6}{MEMORY_GOAL:9}  {peak:<24.0f} {_verdict(peak <= MEMORY_GOAL)}")
    if len(found) > 1:
        small, large = min(found), max(found)
        per = {feeds: _median(one.costs["ours", "first"].cpu for one in found[feeds]) / feeds for feeds in found}
        grown = per[large] / per[small]
        name = f"first poll, {large} feeds against {small}"
        print(f"{name:34}{'ours':10}{large:6}{GROWTH_GOAL:9.2f}  {grown:<24.2f} {_verdict(grown <= GROWTH_GOAL)}")


def main() -> None:
    """Play the rounds and print the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--feeds", default="50", help="numbers of feeds, separated by commas")
    options.add_argument("--entries", type=int, default=20)
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", default="", help="names of readers, separated by commas")
    options.add_argument("--peers", type=Path, default=HERE.parent / ".peers", help="where reader and rss2email are")
    asked = options.parse_args()
    wanted = set(asked.only.split(",")) - {""}
    everyone = [make(asked.peers.absolute()) for make in READERS]
    readers = [one for one in everyone if (not wanted or one.name in wanted) and one.absent() is None]
    for one in everyone:
        if why := one.absent():
            print(f"{one.name} takes no part: {why}", flush=True)
    found: dict[int, list[Round]] = defaultdict(list)
    for feeds in map(int, asked.feeds.split(",")):
        with world(feeds, asked.entries, asked.seed) as base, tempfile.TemporaryDirectory(prefix="peers-") as folder:
            for number in range(asked.rounds):
                played = play(readers, base, feeds, asked.entries, number, Path(folder) / str(number))
                found[feeds].append(played)
        table(found[feeds], readers, feeds, asked.entries)
    if any(one.name == "ours" for one in readers):
        goals(found)


if __name__ == "__main__":
    main()
