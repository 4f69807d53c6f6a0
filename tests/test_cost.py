"""What a poll, a start and an import may cost, in things that can be counted: statements, pages, parser calls, modules.

Seconds say little on a shared machine; `benchmarks/peers.py` and `stages.py` measure them. A limit that is passed is a
reason to look, and one that has become too wide should be drawn tighter.
"""

from __future__ import annotations

import importlib.util
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from aggregator import catalogue, pipeline
from aggregator.model import Feed, FeedState, Fetched, PollReport, Validators
from aggregator.parse import parse_feed
from aggregator.store import feeds as feed_states
from aggregator.store.archive import Archive
from aggregator.tag import Tagger

ROOT = Path(__file__).resolve().parent.parent
FEEDS, ENTRIES = 10, 20
NOW = datetime(2025, 10, 3, tzinfo=UTC)
PAGE = 4096 + 24  # bytes in SQLite's log


def newsworld():
    """The generator of the benchmarks."""
    spec = importlib.util.spec_from_file_location("newsworld", ROOT / "benchmarks" / "newsworld.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@dataclass
class Counted:
    """What one poll of all feeds did."""

    statements: int = 0
    pages: int = 0
    parsed: int = 0
    parsed_bytes: int = 0
    reports: tuple[PollReport, ...] = ()

    @property
    def new(self) -> int:
        """Articles."""
        return sum(report.new for report in self.reports)


class Poll:
    """An archive and a made-up world; `counted()` polls all feeds in one transaction and counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.world = newsworld().World(FEEDS, ENTRIES)
        self.feeds = [Feed(f"f{n}", (f"https://f{n}.example/feed",), f"f{n}", f"o{n}") for n in range(FEEDS)]
        self.archive = Archive.open(str(path), write=True)
        tagger = Tagger(catalogue.load())
        self.parts = pipeline.Parts(
            self.archive,
            self._fetch,
            self._parse,
            lambda article: tagger.tags(article.title, article.text, article.published),
            lambda: NOW,
        )
        self.count = Counted()

    def _fetch(self, feed: Feed, url: str, validators: Validators, _now: datetime) -> Fetched:
        tag = f'"{self.world.moves}"'
        if validators.etag == tag:
            return Fetched(url, 304, b"", validators=validators)
        body = self.world.document(int(feed.id[1:]), "https://news.example")
        return Fetched(url, 200, body, "application/xml; charset=utf-8", Validators(tag))

    def _parse(self, fetched: Fetched, feed: Feed, now: datetime):
        self.count.parsed += 1
        self.count.parsed_bytes += len(fetched.body)
        return parse_feed(fetched.body, content_type=fetched.content_type, url=fetched.url, timezone="UTC", now=now)

    def counted(self) -> Counted:
        """One poll."""
        self.count = Counted()
        with self.archive.reading() as connection:
            states = feed_states.states(connection)
        brought = [pipeline.ask(feed, states.get(feed.id) or FeedState(feed.id), self.parts) for feed in self.feeds]
        with self._watched():
            self.count.reports = tuple(pipeline.take_in(brought, self.parts))
        return self.count

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Statements of the engine, and pages in the log, which a reader keeps from being begun anew."""

        def told(*_of: object) -> None:
            self.count.statements += 1

        engine = self.archive._engine
        log = self.path.with_name(f"{self.path.name}-wal")
        with closing(sqlite3.connect(self.path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM feed").fetchone()
            before = log.stat().st_size
            sa.event.listen(engine, "before_cursor_execute", told)
            try:
                yield
            finally:
                sa.event.remove(engine, "before_cursor_execute", told)
            self.count.pages = (log.stat().st_size - before) // PAGE


@pytest.fixture(scope="module")
def polls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Counted]:
    """A first poll, one that finds nothing changed, one new entry in each feed, another text for two in each."""
    poll = Poll(tmp_path_factory.mktemp("cost") / "archive.db")
    found = {"first": poll.counted(), "unchanged": poll.counted()}
    poll.world.advance(1, 0)
    found["one new"] = poll.counted()
    poll.world.advance(0, 2)
    found["revised"] = poll.counted()
    poll.archive.close()
    return found


LIMITS = {
    # statements, pages, bytes parsed of the world's 820 kB
    "first": (160, 730, 830_000),
    "unchanged": (4, 6, 0),
    "one new": (133, 165, 50_000),
    "revised": (590, 400, 100_000),
}
"""For 10 feeds of 20 entries in one transaction; what is counted today is up to a fifth below."""


@pytest.mark.parametrize("step", LIMITS)
def test_a_poll_stays_within_its_limits(polls: dict[str, Counted], step: str) -> None:
    """Statements, pages written and bytes parsed have fixed limits for each kind of poll."""
    statements, pages, parsed = LIMITS[step]
    found = polls[step]
    assert (found.statements <= statements, found.pages <= pages, found.parsed_bytes <= parsed) == (True,) * 3, found


def test_the_polls_that_are_counted_do_their_work(polls: dict[str, Counted]) -> None:
    """The limits are those of polls that store everything."""
    counts = {
        name: (
            poll.new,
            sum(report.revised for report in poll.reports),
            sum(report.unchanged for report in poll.reports),
        )
        for name, poll in polls.items()
    }
    everything = FEEDS * ENTRIES
    assert counts == {
        "first": (everything, 0, 0),
        "unchanged": (0, 0, 0),
        "one new": (FEEDS, 0, everything - FEEDS),
        "revised": (0, 2 * FEEDS, everything - 2 * FEEDS),
    }


def test_the_parser_is_called_once_a_changed_feed(polls: dict[str, Counted]) -> None:
    """And not at all where nothing has changed; of a known feed it gets the new items alone."""
    assert {name: poll.parsed for name, poll in polls.items()} == {
        "first": FEEDS,
        "unchanged": 0,
        "one new": FEEDS,
        "revised": FEEDS,
    }


# --- starting -----------------------------------------------------------------------------------------------------

ONLY_POLLING = {
    "alembic", "apscheduler", "bs4", "feedparser", "h11", "httpcore", "httpx", "jinja2", "lxml", "prometheus_client",
    "protego", "pydantic", "ruamel", "selectolax", "structlog", "trafilatura", "url_normalize",
}  # fmt: skip
"""What reading the archive has no use for."""
PARTS_OF_POLLING = (
    "aggregator.fetch",
    "aggregator.parse",
    "aggregator.pipeline",
    "aggregator.settings",
    "aggregator.tag",
)


@pytest.mark.parametrize("command", [["search", "economy"], ["search", "经济", "--format", "jsonl"], ["show", "1"]])
def test_reading_imports_nothing_of_polling(tmp_path: Path, command: list[str]) -> None:
    """`search` and `show` start without the libraries and modules that only polling needs."""
    path = tmp_path / "archive.db"
    _imported_rows(tmp_path, 3)
    _aggregator(path, "import", str(tmp_path / "rows.jsonl"))
    code = (
        "import sys\nfrom aggregator.cli import main\n"
        f"try: main(['--archive', {str(path)!r}, *{command!r}])\n"
        "finally: print('modules:', *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    names = done.stderr.partition("modules:")[2].split()
    assert "aggregator.cli" in names
    assert {name for name in names if name.split(".")[0] in ONLY_POLLING or name.startswith(PARTS_OF_POLLING)} == set()


NOT_FOR_NOTHING_NEW = {
    "aggregator.relate", "aggregator.store.lookup", "aggregator.store.search_postgres", "aggregator.tag", "alembic",
    "bs4", "feedparser", "numpy", "psycopg", "rich", "sqlalchemy.dialects.postgresql",
}  # fmt: skip
"""What a poll has no use for that brings nothing."""


def test_a_poll_that_brings_nothing_imports_little(tmp_path: Path) -> None:
    """What compares, tags, looks for and shows articles is left alone until there are any."""
    path, feeds = tmp_path / "archive.db", tmp_path / "feeds.yaml"
    Archive.open(str(path), write=True).close()
    feeds.write_text("feeds: []\n", encoding="utf-8")
    code = (
        "import sys\nfrom aggregator.cli import main\n"
        f"try: main(['--archive', {str(path)!r}, '--feeds', {str(feeds)!r}, 'poll'])\n"
        "finally: print('modules:', *(name for name, found in sys.modules.items() if found), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    names = set(done.stderr.partition("modules:")[2].split())
    assert "aggregator.pipeline" in names
    assert names & NOT_FOR_NOTHING_NEW == set()


# --- importing ----------------------------------------------------------------------------------------------------


def _imported_rows(folder: Path, number: int) -> Path:
    world = newsworld().World(max(number // 20, 1), 20)
    rows = []
    for index in range(number):
        story = world.story(index // 20, index % 20)
        rows.append({"title": story.title, "text": "\n".join(story.paragraphs), "outlet": f"o{index // 20}"})
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def _command(archive: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "aggregator", "--archive", str(archive), *arguments]


def _aggregator(archive: Path, *arguments: str) -> str:
    done = subprocess.run(_command(archive, *arguments), capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stderr + done.stdout


def _texts(archive: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(archive)) as connection:
        return sorted(connection.execute("SELECT title, text FROM article"))


def _stored(archive: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{archive}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM article").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_a_killed_import_is_resumed_by_starting_it_again(tmp_path: Path) -> None:
    """SIGKILL after the first batch loses nothing that was committed; the second run stores only what is missing."""
    rows = _imported_rows(tmp_path, 900)
    killed, whole = tmp_path / "killed.db", tmp_path / "whole.db"
    with subprocess.Popen(_command(killed, "import", str(rows)), stderr=subprocess.DEVNULL, cwd=ROOT) as child:
        while child.poll() is None and _stored(killed) == 0:
            time.sleep(0.02)
        child.kill()
    kept = _stored(killed)
    assert kept
    said = _aggregator(killed, "import", str(rows))
    _aggregator(whole, "import", str(rows))
    assert _texts(killed) == _texts(whole)
    assert f"{_stored(whole) - kept} new" in said
