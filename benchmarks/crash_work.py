"""What the crash harness runs and breaks: one of the program's commands, again and again, until it is ended.

    python benchmarks/crash_work.py WORK ARCHIVE FEEDS.yaml ADDRESS,ADDRESS

    daemon    `run`, with a look every half second and digests due every second instead of once a day
    digest    `poll`, `digest send --now`
    import    what the feeds say as article files, `import`
    retag     `poll`, other agreements, `retag`
    migrate   one more migration, `archive upgrade`, `poll`
    backup    the daemon, and `archive backup`, `archive restore` beside it

Each round of a work ends with a line in `rounds`. What must not be is written to `violations`, both beside the archive.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx

TOKEN = re.compile("TKN-[0-9a-f]{16}")
AGREEMENT = """\
id: rivers-2010
name: {{en: Rivers Agreement, zh: 河流协议}}
published: 2010-05-01
parties: [CN, US]
aliases: [河流协议]
clauses:
  - number: 1
    title: {{en: Fish, zh: 鱼}}
    cues: ["{one}"]
  - number: 2
    title: {{en: Methane, zh: 甲烷}}
    cues: ["{two}"]
"""
MIGRATION = """\
import sqlalchemy as sa
from alembic import op

revision = "{this}"
down_revision = "{before}"


def upgrade():
    op.create_table("extra_{this}", sa.Column("id", sa.Integer, primary_key=True), sa.Column("title", sa.Text))
    op.execute("INSERT INTO extra_{this}(id, title) SELECT id, 'copied' FROM article")
    op.add_column("feed", sa.Column("colour_{this}", sa.Text))
    op.execute("UPDATE feed SET colour_{this} = 'red'")
    op.create_index("ix_extra_{this}", "extra_{this}", ["title"])
"""
FIRST = 9001
"""The number of the first made-up migration."""


class Work:
    """One work on one archive."""

    def __init__(self, archive: str, feeds: str, addresses: str) -> None:
        self.archive, self.feeds, self.addresses = Path(archive), Path(feeds), addresses.split(",")
        self.folder = self.archive.parent

    def command(self, *words: str) -> int:
        """A command line in this process; its exit status."""
        from aggregator.cli import _status

        return _status(["--archive", str(self.archive), "--feeds", str(self.feeds), *words])

    def violated(self, sentence: str) -> None:
        """Note what must not be."""
        with (self.folder / "violations").open("a") as file:
            file.write(sentence + "\n")

    def must(self, *words: str) -> None:
        """A command that nothing should keep from working."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            status = self.command(*words)
        if status:
            self.violated(f"{' '.join(words)}: exit status {status}: {said.getvalue()[-300:]}")

    def again(self, one_round: Callable[[int], object]) -> None:
        """Rounds without end."""
        number = 0
        while True:
            one_round(number)
            number += 1
            with (self.folder / "rounds").open("a") as file:
                file.write(f"{number}\n")
            time.sleep(0.1)

    def tokens(self, path: Path | None = None) -> set[str]:
        """The tokens in an archive's titles."""
        with contextlib.closing(sqlite3.connect(f"file:{path or self.archive}?mode=ro", uri=True)) as connection:
            return {
                token for (title,) in connection.execute("SELECT title FROM article") for token in TOKEN.findall(title)
            }

    # --- the works

    def daemon(self) -> None:
        """The real daemon; only its clockwork is faster."""
        from aggregator import daemon, schedule

        daemon.TICK, daemon.WATCH, daemon.ALERTS = 0.5, 0.5, 2.0
        schedule.last_until = lambda _schedule, _zone, now: now.replace(microsecond=0)
        sys.exit(self.command("run"))

    def digest(self) -> None:
        """A poll and a digest for everybody."""

        def one_round(_number: int) -> None:
            self.must("poll")
            self.must("digest", "send", "--now")

        self.again(one_round)

    def importing(self) -> None:
        """Each entry as a file of its own, all files imported."""
        inbox = self.folder / "inbox"
        inbox.mkdir(exist_ok=True)

        def one_round(_number: int) -> None:
            for address in self.addresses:
                document = ET.fromstring(httpx.get(address, timeout=20).content)
                for item in document.iter("item"):
                    title, html = item.findtext("title", ""), item.findtext("description", "")
                    file = inbox / f"{TOKEN.findall(title)[0]}.md"
                    if not file.exists():
                        # Renamed when it is whole: a kill leaves no empty file, which `import` would refuse.
                        beside = self.folder / "entry.writing"
                        beside.write_text(f"# {title}\n\n{html}\n", encoding="utf-8")
                        beside.replace(file)
            self.must("import", str(inbox))

        self.again(one_round)

    def retag(self) -> None:
        """The agreements change to and fro; whatever was interrupted, tags are those of the one or the other."""
        from aggregator.app import App

        own = self.feeds.with_name("own.yaml")
        cues = [("鲑鱼", "甲烷"), ("港口", "甲烷 & 控制")]

        def agree(number: int) -> set[tuple[int, str]]:
            fresh = own.with_suffix(".new")
            fresh.write_text(AGREEMENT.format(one=cues[number % 2][0], two=cues[number % 2][1]), encoding="utf-8")
            fresh.replace(own)
            app = App(str(self.archive), str(self.feeds), environ=dict(os.environ))
            tag = app.tagging()
            with contextlib.closing(app.archive()) as archive, archive.reading() as connection:
                from aggregator.store import articles

                return {(one.id, found.clause) for one in articles.every(connection) for found in tag(one).clauses}

        def stored() -> set[tuple[int, str]]:
            with contextlib.closing(sqlite3.connect(self.archive)) as connection:
                return set(connection.execute("SELECT article_id, clause FROM clause_tag"))

        if strange := stored() - agree(0) - agree(1):
            self.violated(f"retag: {len(strange)} tags of neither catalogue after a kill")

        def one_round(number: int) -> None:
            wanted = agree(number)
            self.must("retag")
            if stored() != wanted:
                self.violated(f"retag: {len(stored() ^ wanted)} tags differ from fresh ones")
            self.must("poll")

        self.again(one_round)

    def migrate(self) -> None:
        """A chain of made-up migrations behind the real ones, each run by an upgrade of its own."""
        import shutil

        from aggregator.store import archive as module

        folder = self.folder / "migrations"
        real = module.HEAD
        if not folder.exists():
            shutil.copytree(module.migrations_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
        module.migrations_folder = lambda: folder

        def stands() -> str:
            with contextlib.closing(sqlite3.connect(self.archive)) as connection:
                [(version,)] = connection.execute("SELECT version_num FROM alembic_version")
                tables = {
                    name for (name,) in connection.execute("SELECT name FROM sqlite_master") if "extra_9" in name
                }
                columns = {row[1] for row in connection.execute("PRAGMA table_info(feed)") if "colour_9" in row[1]}
            done = range(FIRST, int(version) + 1) if version != real else ()
            if tables != {f"{kind}extra_{one}" for one in done for kind in ("", "ix_")} or columns != {
                f"colour_{one}" for one in done
            }:
                self.violated(f"migrate: half a migration stands at {version}")
            return version

        def one_round(_number: int) -> None:
            before = stands()
            this = str(FIRST if before == real else int(before) + 1)
            file = folder / "versions" / f"{this}_more.py"
            fresh = folder / f"{this}.new"
            fresh.write_text(MIGRATION.format(this=this, before=before))
            fresh.replace(file)
            module.HEAD = this
            self.must("archive", "upgrade")
            if stands() != this:
                self.violated(f"migrate: stands at {stands()}, not {this}")
            self.sound(self.archive.with_name(f"{self.archive.name}.before-{this}"), set())
            self.must("poll")

        # A killed round may have left the next migration written and not run, or run: the head is the archive's own.
        module.HEAD = stands()
        for file in (folder / "versions").glob("9*.py"):
            if real == module.HEAD or int(file.name[:4]) > int(module.HEAD):
                file.unlink()
        for copy in self.folder.glob("*.before-*"):
            if copy.suffix[8:] <= module.HEAD:
                copy.unlink()
        self.again(one_round)

    def backup(self) -> None:
        """Copies while a daemon writes: each that has its name is whole and holds what was stored before."""
        for left in self.folder.glob("copy-*.db"):
            self.sound(left, set())
        beside = subprocess.Popen([sys.executable, __file__, "daemon", self.archive, self.feeds, ""])

        def one_round(_number: int) -> None:
            before = self.tokens()
            target = self.folder / f"copy-{time.monotonic_ns()}.db"
            self.must("archive", "backup", str(target))
            self.sound(target, before)
            back = target.with_name("back.db")
            for old in self.folder.glob("back.db*"):
                old.unlink()
            aside, self.archive = self.archive, back
            self.must("archive", "restore", str(target))
            self.archive = aside
            self.sound(back, before)
            target.unlink()
            if beside.poll() is not None:
                sys.exit(beside.returncode)

        self.again(one_round)

    def sound(self, copy: Path, before: set[str]) -> None:
        """A copy that stands under its name."""
        try:
            with contextlib.closing(sqlite3.connect(copy)) as connection:
                said = connection.execute("PRAGMA integrity_check").fetchall()
            if said != [("ok",)] or before - self.tokens(copy):
                self.violated(f"{copy.name}: {said}, {len(before - self.tokens(copy))} articles missing")
        except sqlite3.Error as error:
            self.violated(f"{copy.name}: {error}")


def main() -> None:
    """Until ended."""
    name, *rest = sys.argv[1:]
    if name == "daemon":
        from aggregator import ending

        ending.listen()  # as `aggregator run` does first of all
    getattr(Work(*rest), {"import": "importing"}.get(name, name))()


if __name__ == "__main__":
    main()
