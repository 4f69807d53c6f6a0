"""Real articles, served live on loopback by the shared replay server: polling, editing, moving the clock, exporting."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from aggregator.app import App
from aggregator.pipeline import poll
from aggregator.store import articles, maintenance
from aggregator.store.archive import Archive
from aggregator.store.schema import article, revision

SEEDS = {"sina-finance-china": 2, "guancha-headline": 1}


class Replay:
    """The server as a child process on a free port."""

    def __init__(self, script: Path, *options: str) -> None:
        command = [sys.executable, "-u", str(script), "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.base = self.process.stdout.readline().strip().rstrip("/")

    def feeds_yaml(self, folder: Path) -> Path:
        """Its own feeds.yaml, saved."""
        path = folder / "feeds.yaml"
        path.write_bytes(httpx.get(f"{self.base}/feeds.yaml", trust_env=False).content)
        return path

    def post(self, path: str) -> None:
        """Move the clock, or edit."""
        httpx.post(f"{self.base}{path}", trust_env=False).raise_for_status()

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


@pytest.fixture
def replay(shared: Path) -> Iterator:
    """Start servers; they end with the test."""
    started: list[Replay] = []

    def start(*options: str) -> Replay:
        started.append(Replay(shared / "replay.py", *options))
        return started[-1]

    yield start
    for server in started:
        server.close()


class Desk:
    """An archive polled against a replay server, in this process."""

    def __init__(self, server: Replay, folder: Path, archive: str) -> None:
        folder.mkdir(exist_ok=True)
        self.app = App(archive, str(server.feeds_yaml(folder)), environ={})

    def poll(self) -> dict[str, object]:
        """One round; reports by feed."""
        with self.app.parts() as parts:
            return {report.feed: report for report in poll(self.app.settings.feeds, parts)}

    def counts(self) -> tuple[int, int]:
        """Articles, and texts that were replaced."""
        with Archive.open(self.app.url).reading() as connection:
            count = sa.func.count()
            return (
                connection.scalar(sa.select(count).select_from(article)),
                connection.scalar(sa.select(count).select_from(revision)),
            )


def test_every_entry_arrives_once_and_an_edit_is_a_revision(replay, tmp_path: Path, archive_url: str) -> None:
    """210 entries are 207 articles, three with two revisions; the second poll stores nothing; one edit, one revision."""
    server = replay()
    desk = Desk(server, tmp_path, archive_url)
    first = desk.poll()
    assert sum(report.new + report.revised for report in first.values()) == 210
    assert desk.counts() == (207, 3)
    assert {report.status.value for report in desk.poll().values()} == {"unchanged"}
    assert desk.counts() == (207, 3)
    shown = httpx.get(f"{server.base}/feed/cna.xml", trust_env=False).text.split("/page/cna/")[1].split(".html")[0]
    server.post(f"/edit/cna/{shown}")
    again = desk.poll()
    assert (again["cna"].new, again["cna"].revised) == (0, 1)
    assert desk.counts() == (207, 4)


def test_polling_day_by_day_ends_where_one_poll_ends(replay, tmp_path: Path, place) -> None:
    """1,016 articles of the corpus and four seeds, whether seen as they came or all at the end."""
    at_once = Desk(replay("--window", "400"), tmp_path / "once", place("once"))
    at_once.poll()
    moving = replay("--window", "400", "--at", "2020-12-11T00:00:00Z")
    daily = Desk(moving, tmp_path / "daily", place("daily"))
    for day in ("2020-12-12", "2020-12-13", "2020-12-14", "2020-12-15", "2021-12-01"):
        moving.post(f"/clock?at={day}T00:00:00Z")
        daily.poll()
    assert at_once.counts() == daily.counts() == (1020, 4)
    assert _texts(at_once) == _texts(daily)


def _texts(desk: Desk) -> set[tuple[str, str]]:
    with Archive.open(desk.app.url).reading() as connection:
        return {(one.title, one.text) for one in articles.every(connection)}


def test_the_hexo_seeds_come_back_byte_for_byte(replay, tmp_path: Path, shared: Path, command) -> None:
    """Polled from a feed and exported as hexo, seeds 000, 001 and 004 are the seed files again."""
    feeds = replay().feeds_yaml(tmp_path)
    assert command("poll", feeds=feeds).returncode == 0
    out = tmp_path / "out"
    done = command(
        "export", "--format", "hexo", "--outlet", "新浪财经", "--outlet", "观察者网", "--out", str(out), feeds=feeds
    )
    assert done.returncode == 0, done.stderr
    written = {path.read_bytes() for path in out.rglob("*.md")}
    assert written == {path.read_bytes() for path in (shared / "seeds").glob("00[014]_*")}


def test_files_come_back_byte_for_byte(tmp_path: Path, shared: Path, command) -> None:
    """All 1,020 posts and the seeds: imported, exported, the same bytes; a second import stores nothing."""
    sources = [str(shared / "seeds"), str(shared / "corpus" / "posts")]
    assert "1021 new" in command("import", *sources).stderr
    assert "0 new (0 reprints), 0 revised, 1025 already there" in command("import", *sources).stderr.replace("\n", " ")
    command("export", "--format", "jekyll", "--revisions", "--out", str(tmp_path / "out"))
    written = {hashlib.sha256(path.read_bytes()).digest() for path in (tmp_path / "out").rglob("*.md")}
    posts = [path.read_bytes() for path in (shared / "corpus" / "posts").rglob("*.md")]
    assert len(posts) == 1020
    assert sum(hashlib.sha256(post).digest() in written for post in posts) == 1020


def test_killed_polls_lose_nothing_and_store_nothing_twice(replay, tmp_path: Path, archive_url: str) -> None:
    """Ten times kill -9 in the middle of a poll (four on PostgreSQL); the poll after it has everything once."""
    server = replay("--window", "400")
    feeds = server.feeds_yaml(tmp_path)
    command = [sys.executable, "-m", "aggregator", "--archive", archive_url, "--feeds", str(feeds), "poll"]
    Archive.open(archive_url, write=True).close()
    for number in range(4 if archive_url.startswith("postgresql") else 10):
        started = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(0.6 + 0.15 * number)
        started.send_signal(signal.SIGKILL)
        started.wait()
    subprocess.run(command, check=True, timeout=120)
    assert maintenance.check(Archive.open(archive_url), lambda _line: None) == []
    with Archive.open(archive_url).reading() as connection:
        guids = [guid for (guid,) in connection.execute(sa.select(article.c.guid))]
    assert len(guids) == len(set(guids)) == 1020


def test_search_finds_what_a_scan_finds(archive_url: str, shared: Path, command) -> None:
    """The five queries of the first release, against a substring scan through OpenCC."""
    from aggregator.text import simplified

    command("import", str(shared / "corpus" / "posts"), str(shared / "seeds"))
    with Archive.open(archive_url).reading() as connection:
        folded = {one.id: simplified(f"{one.title}\n{one.text}").lower() for one in articles.every(connection)}
    for query in ("甲烷", "气候", "氣候", '"COP26"', "methane"):
        found = command("search", query, "--format", "jsonl", "--limit", "2000")
        assert found.returncode == 0, found.stderr
        ids = [json.loads(line)["id"] for line in found.stdout.splitlines()]
        needle = simplified(query.strip('"')).lower()
        assert set(ids) == {identity for identity, text in folded.items() if needle in text}
        assert len(ids) == len(set(ids)) > 0
