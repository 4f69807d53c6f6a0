"""Where a poll's CPU goes: each stage alone, in CPU milliseconds per 1,000 entries.

    python benchmarks/stages.py [--feeds 100] [--entries 20] [--top 12]

The real parts take a world of feeds (`newsworld.py`) through a first poll, one that finds nothing changed, and one with a
new entry in each feed, one feed after the other in one thread. A signal looks a thousand times a CPU second at what
is running and gives the CPU time since the last look to the stage whose code is nearest on the stack: libraries count
for the stage that called them. Parsing happens in a child process, whose CPU is measured as a whole (its start of a
fifth of a second included); `pipe` is what talking to it costs. `--top` lists the functions of each stage.
"""

from __future__ import annotations

import argparse
import gc
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers import Reader, tell, world

from aggregator import pipeline
from aggregator.app import App
from aggregator.model import FeedState
from aggregator.store import feeds as feed_states

EVERY = 0.001
STAGES = (
    # (module, beginnings of function names or none for all, stage); the first that fits a frame, innermost first
    ("aggregator.fetch", (), "fetch"),
    ("aggregator.parser_pool", (), "pipe"),
    ("aggregator.rawitems", (), "old items"),
    ("aggregator.normalize", (), "normalize"),
    ("aggregator.dedup.identity", (), "same item"),
    ("aggregator.dedup.addresses", (), "same item"),
    ("aggregator.store.prune", (), "same item"),
    ("aggregator.store.articles", ("known", "_replaced", "_old_keys", "text_of"), "same item"),
    ("aggregator.store.articles", ("add", "_insert", "revise", "_row", "_stored", "_seconds"), "write"),
    ("aggregator.dedup.reprint", (), "reprint"),
    ("aggregator.dedup.prints", (), "reprint"),
    ("aggregator.dedup.story", (), "story"),
    ("aggregator.dedup.faces", (), "story"),
    ("aggregator.dedup.groups", (), "story"),
    ("aggregator.store.stories", (), "story"),
    ("aggregator.relate", ("_copy", "_likeness", "_originals", "_near_copies"), "reprint"),
    ("aggregator.store.relations", ("under_reprint", "copies", "texts"), "reprint"),
    ("aggregator.store.relations", ("under_story", "scores", "in_stories", "placed", "put_places"), "story"),
    ("aggregator.relate", ("relate", "link", "settle"), "story and reprint"),
    ("aggregator.relate", (), "story"),
    ("aggregator.tag", (), "tag"),
    ("aggregator.store.tags", (), "tag"),
    ("aggregator.terms", (), "index"),
    ("aggregator.store.search", (), "index"),
    ("aggregator.store.feeds", (), "write"),
    ("aggregator.store.archive", (), "write"),
    ("aggregator.turn", (), "state"),
    ("aggregator.polite", (), "state"),
)
ORDER = (
    "fetch", "old items", "pipe", "parse", "normalize", "same item", "reprint", "story", "story and reprint", "tag",
    "index", "write", "state", "other",
)  # fmt: skip


@dataclass
class Looks:
    """CPU seconds by stage, and by stage and function."""

    stages: Counter[str] = field(default_factory=Counter)
    functions: Counter[tuple[str, str]] = field(default_factory=Counter)
    last: float = 0.0

    def look(self, _signal: int, frame: FrameType | None) -> None:
        """Give the time since the last look to what runs now."""
        now = time.process_time()
        stage, function = _stage(frame)
        self.stages[stage] += now - self.last
        self.functions[stage, function] += now - self.last
        self.last = now


def _stage(frame: FrameType | None) -> tuple[str, str]:
    while frame is not None:
        module, function = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if module.startswith("aggregator"):
            for name, starts, stage in STAGES:
                if (module == name or module.startswith(f"{name}.")) and (not starts or function.startswith(starts)):
                    return stage, f"{module.removeprefix('aggregator.')}.{function}"
        frame = frame.f_back
    return "other", ""


@contextmanager
def looking() -> Iterator[Looks]:
    """Look on while the block runs."""
    looks = Looks(last=time.process_time())
    signal.signal(signal.SIGPROF, looks.look)
    signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
    try:
        yield looks
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        looks.look(0, None)


def round_(app: App) -> tuple[Looks, int, int]:
    """One poll of every feed, one after the other: what it cost, entries new, entries in all."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    new = seen = 0
    with app.parts() as parts, looking() as looks:
        with parts.archive.reading() as connection:
            states = feed_states.states(connection)
        waiting: list[pipeline.Brought] = []
        for feed in app.settings.feeds:
            waiting.append(pipeline.ask(feed, states.get(feed.id) or FeedState(feed.id), parts))
            if len(waiting) == pipeline.GROUP or sum(len(one.articles) for one in waiting) >= pipeline.TEXTS:
                reports = pipeline.take_in(waiting, parts)
                new, seen = (
                    new + sum(one.new for one in reports),
                    seen + sum(one.new + one.unchanged for one in reports),
                )
                waiting = []
        for report in pipeline.take_in(waiting, parts) if waiting else ():
            new, seen = new + report.new, seen + report.new + report.unchanged
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    looks.stages["parse"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return looks, new, seen


def show(name: str, looks: Looks, per: int, unit: str, top: int) -> None:
    """A table: CPU milliseconds per 1,000 of the unit, by stage."""
    whole = sum(looks.stages.values())
    print(f"\n{name}: {whole:.2f} s of CPU, {whole / per * 1e6:.0f} ms per 1,000 {unit}")
    for stage in ORDER:
        if looks.stages[stage]:
            print(f"  {stage:18}{looks.stages[stage] / per * 1e6:8.0f} ms {looks.stages[stage] / whole:7.1%}")
            functions = Counter({key[1]: cost for key, cost in looks.functions.items() if key[0] == stage and key[1]})
            for function, cost in functions.most_common(top):
                print(f"      {cost / per * 1e6:8.0f}    {function}")


def main() -> None:
    """Three polls and their tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--feeds", type=int, default=100)
    options.add_argument("--entries", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--top", type=int, default=0, help="functions to list in each stage")
    asked = options.parse_args()
    gc.set_threshold(50_000, 20, 20)  # as the command line does
    with world(asked.feeds, asked.entries, asked.seed) as base, tempfile.TemporaryDirectory() as folder:
        Reader(Path()).prepare(Path(folder), [f"{base}/feed/{number}.xml" for number in range(asked.feeds)])
        app = App(str(Path(folder) / "archive.db"), str(Path(folder) / "feeds.yaml"), environ={})
        looks, new, _ = round_(app)
        show(f"first poll, {new} entries, all new", looks, new, "entries", asked.top)
        looks, _, _ = round_(app)
        show(f"nothing changed, {asked.feeds} feeds", looks, asked.feeds, "feeds", asked.top)
        tell(base, "/_advance?new=1&upd=0")
        looks, new, seen = round_(app)
        show(f"one new entry a feed, {new} new of {seen}", looks, new, "new entries", asked.top)


if __name__ == "__main__":
    main()
