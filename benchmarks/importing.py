"""`import` of many articles: the rate and the memory from tenth to tenth, and what is left to do after a kill -9.

    python benchmarks/importing.py [--articles 100000] [--kill 0.5]

Articles of the made-up world (`newsworld.py`), one a line, go into an empty archive. After the given share the process is
killed and the same command started again: it passes over what is there. Rates are CPU seconds of the process;
memory is what it holds at the end of each tenth.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from newsworld import World
from peers import Reader

TICK = os.sysconf("SC_CLK_TCK")


def write(path: Path, articles: int) -> None:
    """A file of so many articles."""
    world = World(max(articles // 20, 1), 20)
    with path.open("w", encoding="utf-8") as file:
        for number in range(articles):
            feed, serial = divmod(number, 20)
            story = world.story(feed, serial)
            row = {
                "title": story.title,
                "text": "\n".join(story.paragraphs),
                "url": f"https://o{feed}.example/{serial}",
                "outlet": f"o{feed}",
                "published": f"2025-{1 + number % 12:02}-{1 + number // 12 % 28:02}T{serial:02}:00:00Z",
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def stored(archive: Path) -> int:
    """Articles in it so far."""
    try:
        with closing(sqlite3.connect(f"file:{archive}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT coalesce(max(id), 0) FROM article").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def used(process: int) -> tuple[float, float]:
    """CPU seconds so far, and megabytes held now."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return (int(fields[11]) + int(fields[12])) / TICK, pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def watched(child: subprocess.Popen[bytes], archive: Path, marks: list[int]) -> Iterator[tuple[int, float, float]]:
    """(articles, CPU seconds, megabytes) each time a mark is passed."""
    left = sorted(marks)
    while left and child.poll() is None:
        if (now := stored(archive)) >= left[0]:
            left = [mark for mark in left if mark > now]
            yield now, *used(child.pid)
        time.sleep(0.2)


def main() -> None:
    """Import, kill, import again."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--articles", type=int, default=100_000)
    options.add_argument("--kill", type=float, default=0.5, help="the share after which it is killed")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows, archive, feeds = folder / "rows.jsonl", folder / "archive.db", folder / "feeds.yaml"
        feeds.write_text("feeds: []\n", encoding="utf-8")
        write(rows, asked.articles)
        command = [
            sys.executable,
            "-m",
            "aggregator",
            "--archive",
            str(archive),
            "--feeds",
            str(feeds),
            "import",
            str(rows),
        ]
        marks = [asked.articles * tenth // 10 for tenth in range(1, 10)]
        for end in (int(asked.articles * asked.kill), asked.articles):
            began, before, cpu = time.monotonic(), stored(archive), 0.0
            environment = Reader(Path()).environment(folder)
            with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as child:
                for articles, seconds, megabytes in watched(
                    child, archive, [mark for mark in {*marks, end} if mark > before]
                ):
                    rate = (articles - before) / max(seconds - cpu, 0.01)
                    print(
                        f"{articles:8} articles: {rate:6.0f} a CPU second since the last line, {megabytes:4.0f} MB held",
                        flush=True,
                    )
                    before, cpu = articles, seconds
                    if articles >= end and end < asked.articles:
                        child.kill()
                        print(f"{'':8} killed", flush=True)
                said = child.stderr.read().decode()
            print(f"{stored(archive):8} articles, {time.monotonic() - began:.0f} s; {said.strip()}", flush=True)


if __name__ == "__main__":
    main()
