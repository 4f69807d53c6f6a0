"""Long work that is interrupted: it says how things stand, ends with 130, and goes on when it is started again."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from aggregator.cli import cli, main
from aggregator.cli.progress import interruptible
from aggregator.model import Article
from aggregator.query import parse
from aggregator.store import articles, maintenance, reindex, search
from aggregator.store.archive import Archive
from aggregator.store.schema import article

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
WORDS = ("甲烷", "气候", "地铁", "小麦", "methane", "氣候變化", "电影", "talks")


def text(number: int) -> str:
    """A text of its own, long enough to take some time."""
    return "\n".join(
        f"{WORDS[(number * 7 + line) % 8]}第{number}篇第{line}段，{WORDS[(number + line) % 8]}报道。"
        for line in range(12)
    )


def other(number: int) -> str:
    """A text that is like no other."""
    return "".join(chr(0x4E00 + (number * 7919 + place * 104_729) % 20_000) for place in range(300))


def fill(archive: Archive, first: int, last: int) -> None:
    """Store articles of some numbers."""
    made = [
        (Article(f"第{number}篇", "", text(number), feed="f", outlet="外电", lang="zh", published=NOW - timedelta(hours=number)), f"k{number}")
        for number in range(first, last)
    ]  # fmt: skip
    with archive.writing() as connection:
        texts = articles.Texts()
        articles.add(connection, made, NOW, texts)
        texts.write(connection)


def right(archive: Archive) -> None:
    """Searches find what a scan finds."""
    with archive.reading() as connection:
        for word in ("甲烷", "氣候", "methane", "第3", "段"):
            found = search.find(connection, parse(word, NOW), limit=10**6, candidates=10**6)
            wanted = [
                row.id
                for row in connection.execute(sa.select(article.c.id, article.c.title, article.c.text))
                if word.replace("氣", "气") in f"{row.title}\n{row.text}".replace("氣候變化", "气候变化")
            ]
            assert sorted(found.ids) == sorted(wanted)


def test_searches_are_right_while_the_index_is_built(archive_url):
    """After every piece, with articles that come, change and go meanwhile; then the new index is in its place."""
    with closing(Archive.open(archive_url, write=True)) as archive:
        fill(archive, 0, 1200)
        fresh = iter(range(1200, 1300))
        with archive.writing() as connection:
            connection.execute(sa.update(article).where(article.c.id == 7).values(text="旧的索引不知道甲烷。"))
        for step, _done in enumerate(reindex.reindex(archive.writing)):
            number = next(fresh)
            fill(archive, number, number + 1)
            with archive.writing() as connection:
                row = connection.execute(sa.select(article).where(article.c.id == 900 + step)).one()
                search.unindex(connection, [(row.docid, row.title, row.text)])
                connection.execute(sa.delete(article).where(article.c.id == row.id))
                other = connection.execute(sa.select(article).where(article.c.id == 20 + step)).one()
                search.unindex(connection, [(other.docid, other.title, other.text)])
                changed = "第三版：甲烷与methane。"
                connection.execute(sa.update(article).where(article.c.id == other.id).values(text=changed))
                search.index(connection, [(other.docid, other.title, changed)])
            if step:
                with archive.reading() as connection:
                    assert search.find(connection, parse("第三版", NOW)).total == step + 1
        right(archive)
        with archive.reading() as connection:
            assert search.verify(connection) == []


def test_an_interrupted_one_goes_on(archive_url):
    """What was done is not done again; `anew` begins from the start."""
    with closing(Archive.open(archive_url, write=True)) as archive:
        fill(archive, 0, 1200)
        pieces = reindex.reindex(archive.writing)
        assert [next(pieces), next(pieces)] == [0, 500]
        pieces.close()
        assert next(reindex.reindex(archive.writing)) == 500
        assert next(reindex.reindex(archive.writing, anew=True)) == 0
        told: list[int] = []
        maintenance.reindex(archive, lambda _line: None, told.append)
        assert told[-1] == 1200
        with archive.reading() as connection:
            assert search.verify(connection) == []
            assert search.rebuilt_up_to(connection) is None
        right(archive)


class Interrupted:
    """A command on a terminal of its own, interrupted when it shows that something is done."""

    def __init__(self, archive: Path, *args: str) -> None:
        self.screen, end = pty.openpty()
        feeds = archive.with_name("feeds.yaml")
        feeds.write_text("feeds:\n  - {id: x, title: x, url: 'http://127.0.0.1:9/x', outlet: X}\n")
        command = [sys.executable, "-m", "aggregator", "--archive", str(archive), "--feeds", str(feeds), *args]
        environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
        # A shell starts what runs in its background deaf to Ctrl-C, and the tests may run so.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end, env=environ, text=True)
        os.close(end)
        self.shown = ""

    def read(self, seconds: float) -> bool:
        """Take what the screen shows; False at its end."""
        ready, _, _ = select.select([self.screen], [], [], seconds)
        try:
            data = os.read(self.screen, 65536) if ready else b" "
        except OSError:
            return False
        self.shown += data.decode("utf-8", "replace") if ready else ""
        return bool(data)

    def run(self, sign: str) -> tuple[int, str]:
        """Its status and what stood on the screen; Ctrl-C comes when `sign` is shown."""
        until = time.monotonic() + 100
        while sign not in self.shown and self.read(1) and time.monotonic() < until:
            pass
        self.process.send_signal(signal.SIGINT)
        while self.read(1):
            pass
        os.close(self.screen)
        self.process.communicate()
        return self.process.returncode, self.shown


@pytest.fixture
def filled(tmp_path):
    """An archive that takes a while."""
    path = tmp_path / "a.db"
    with closing(Archive.open(str(path), write=True)) as archive:
        for start in range(0, 3000, 1000):
            fill(archive, start, start + 1000)
    return path


def test_reindex_on_a_terminal(filled, command):
    """It shows how far it is; after Ctrl-C the same command goes on."""
    status, shown = Interrupted(filled, "archive", "reindex").run("of 3000")
    assert (status, "stopped; the index in use is as it was" in " ".join(shown.split())) == (130, True)
    with closing(Archive.open(str(filled))) as archive:
        with archive.reading() as connection:
            assert search.rebuilt_up_to(connection) is not None
        right(archive)
    assert command("--archive", str(filled), "archive", "reindex").returncode == 0
    with closing(Archive.open(str(filled))) as archive, archive.reading() as connection:
        assert search.verify(connection) == []


def test_retag_on_a_terminal(filled, command):
    """It says from where to go on."""
    status, shown = Interrupted(filled, "retag").run("of 3000")
    words = " ".join(shown.split())
    assert (status, "aggregator retag --after" in words) == (130, True)
    after = words.split("--after ")[1].split("`")[0]
    assert 0 < int(after) < 3000
    assert command("--archive", str(filled), "retag", "--after", after).returncode == 0


def test_import_on_a_terminal(tmp_path, command):
    """What was read is kept; the same command stores the rest, nothing twice."""
    lines = [
        json.dumps({"title": f"第{number}篇", "text": other(number), "feed": "f", "outlet": "外电", "url": f"http://press.example/{number}"})
        for number in range(600)
    ]  # fmt: skip
    (tmp_path / "more.jsonl").write_text("\n".join(lines))
    path = tmp_path / "a.db"
    status, shown = Interrupted(path, "import", str(tmp_path / "more.jsonl")).run(" new")
    assert (status, "the same command goes on from there" in " ".join(shown.split())) == (130, True)
    done = command("--archive", str(path), "import", str(tmp_path / "more.jsonl"))
    assert done.returncode == 0
    assert "600 read" in done.stderr
    assert " 0 already there" not in done.stderr
    with closing(Archive.open(str(path))) as archive, archive.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(article)) == 600
        assert search.verify(connection) == []


def test_report_on_a_terminal(filled):
    """The file that was there stays."""
    out = filled.with_name("report.html")
    out.write_text("before")
    status, shown = Interrupted(filled, "report", "--out", str(out)).run("of ")
    assert (status, "nothing was written" in " ".join(shown.split())) == (130, True), shown
    assert out.read_text() == "before"


def test_what_a_library_makes_of_ctrl_c_is_ctrl_c(monkeypatch, capsys):
    """An error raised while a connection is closed after Ctrl-C is no defect: how things stand is said, and 130."""

    def closing_fails(*_args, **_options):
        with interruptible("nothing was written"):
            try:
                raise KeyboardInterrupt
            finally:
                raise sa.exc.OperationalError("ROLLBACK", None, Exception("interrupted"))

    monkeypatch.setattr(cli, "main", closing_fails)
    with pytest.raises(SystemExit) as left:
        main(["stats"])
    assert (left.value.code, capsys.readouterr().err) == (130, "aggregator: stopped; nothing was written\n")
