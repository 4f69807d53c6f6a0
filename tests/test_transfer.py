"""Copies between SQLite and PostgreSQL: equal, resumable, and nothing is written over."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from aggregator.errors import ArchiveError
from aggregator.model import Article, ClauseTag, Evidence, Relation, Tags
from aggregator.query import parse
from aggregator.relate import relate
from aggregator.store import articles, maintenance, search, tags, transfer
from aggregator.store.archive import Archive
from aggregator.store.schema import article

pytestmark = pytest.mark.databases("postgresql")  # each test has both
NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


def fill(archive: Archive, first: int, last: int) -> None:
    """Store articles with tags, reprints and stories; every tenth is revised."""
    with archive.writing() as connection:
        waiting = articles.Texts()
        given = [
            Article(
                title=f"甲烷会谈 {n}", html=f"<p>Methane {n} 😀</p>", text=f"双方就甲烷减排会谈第{n // 2}轮。陽光之鄉 Straße {n // 2}",
                feed=f"f{n % 3}", outlet=f"外电{n % 3}", guid=str(n), url=f"https://o.example/{n}", lang="zh",
                categories=("新闻", "b"), extra={"b": 1, "a": {"z": [1, 2.5, None]}}, published=NOW - timedelta(hours=n),
            )
            for n in range(first, last)
        ]  # fmt: skip
        added = articles.add(connection, [(one, f"{one.guid:0>32}") for one in given], NOW, waiting)
        added += [
            articles.revise(connection, one.id, one, f"r{one.guid:0>31}", NOW, waiting)
            for one in added
            if one.id % 10 == 0
        ]
        waiting.write(connection)
        evidence = (Evidence("text", 0, 3, "双方就", "rule", ((0, 1),)),)
        tag = ClauseTag("sunnylands-2023/10", Relation.DISCUSSES, 0.1 + 0.2, evidence, "1")
        tags.put(connection, [(one.id, Tags(("sunnylands-2023",), (tag,))) for one in added if one.id % 2])
        relate(connection, list({one.id: one for one in added}.values()), NOW)


@pytest.fixture
def source(tmp_path: Path) -> Archive:
    """A SQLite archive with forty articles."""
    archive = Archive.open(str(tmp_path / "source.db"), write=True)
    fill(archive, 0, 40)
    return archive


def silent(_line: str) -> None:
    """Say nothing."""


def test_there_and_back_is_the_same(source: Archive, postgres, tmp_path: Path, command) -> None:
    """Checksums of every table are equal, search finds the same, and both archives go on as they were."""
    url = postgres.empty()
    first = command("archive", "copy", source.name, url)
    assert first.returncode == 0, first.stderr
    second = command("archive", "copy", url, str(tmp_path / "back.db"))
    assert second.returncode == 0, second.stderr
    assert first.stdout == second.stdout
    assert "article\t40\t" in first.stdout
    found = []
    for address in (source.name, url, str(tmp_path / "back.db")):
        archive = Archive.open(address, write=True)
        assert maintenance.check(archive, silent) == []
        with archive.reading() as connection:
            hits = search.find(connection, parse("甲烷 阳光之乡 clause:sunnylands-2023/10", NOW), limit=100)
            found.append((hits, [one.title for one in search.hits(connection, hits.ids)]))
        fill(archive, 40, 44)
        with archive.reading() as connection:
            assert connection.scalar(sa.select(sa.func.max(article.c.id))) == 44
        archive.close()
    assert found[0] == found[1] == found[2]
    assert found[0][0].total == 20


@pytest.mark.parametrize("to", ["sqlite", "postgresql"])
def test_an_interrupted_copy_goes_on(source: Archive, postgres, tmp_path: Path, monkeypatch, to: str) -> None:
    """Cut in the middle, it is no archive for anybody; given again, it takes over what changed meanwhile."""
    monkeypatch.setattr(transfer, "PIECE", 7)
    place = postgres.empty() if to == "postgresql" else str(tmp_path / "target.db")
    lines: list[str] = []

    def cut(line: str) -> None:
        lines.append(line)
        if line.startswith("article:"):
            raise KeyboardInterrupt

    target = Archive.target(place)
    with pytest.raises(KeyboardInterrupt):
        transfer.copy(source, target, cut)
    target.close()
    for write in (False, True):
        with pytest.raises(ArchiveError, match="not finished"):
            Archive.open(place, write=write)
    fill(source, 40, 45)
    with source.writing() as connection:
        connection.execute(sa.update(article).where(article.c.id == 3).values(outlet="别家"))
        connection.execute(sa.delete(article).where(article.c.id == 11))
    maintenance.reindex(source, silent)
    target, again = Archive.target(place), []
    found = transfer.copy(source, target, again.append)
    assert any(line.startswith("article:") and "there already" in line for line in again)
    assert found["article"].rows == 44
    assert [one for one in maintenance.check(target, silent) if "search index" in one] == []
    with source.reading() as one, target.reading() as other:
        assert transfer.sums(one) == transfer.sums(other)
    target.close()


def test_a_killed_copy_goes_on(source: Archive, postgres) -> None:
    """Kill -9 at any moment, then the same command."""
    import signal
    import sys
    import time

    fill(source, 100, 900)
    url = postgres.empty()
    words = [sys.executable, "-m", "aggregator", "archive", "copy", source.name, url]
    for number in range(3):
        with subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            time.sleep(0.8 + 0.4 * number)
            process.send_signal(signal.SIGKILL)
    with Archive.target(url).writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'unfinished copy'")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "article\t840\t" in done.stdout


@pytest.mark.parametrize("to", ["sqlite", "postgresql"])
def test_an_archive_is_never_copied_over(source: Archive, postgres, tmp_path: Path, to: str) -> None:
    """What holds articles stays as it is."""
    place = postgres.database() if to == "postgresql" else str(tmp_path / "other.db")
    other = Archive.open(place, write=True)
    fill(other, 0, 2)
    with pytest.raises(ArchiveError, match="holds an archive already"):
        transfer.copy(source, other, silent)
    with other.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(article)) == 2


def test_a_backup_of_postgresql_is_a_file(source: Archive, postgres, tmp_path: Path, command) -> None:
    """And is restored into another database."""
    url, other = postgres.empty(), postgres.empty()
    assert command("archive", "restore", source.name, AGGREGATOR_ARCHIVE=url).returncode == 0
    done = command("archive", "backup", str(tmp_path / "backup.db"), AGGREGATOR_ARCHIVE=url)
    assert done.returncode == 0, done.stderr
    assert command("archive", "restore", str(tmp_path / "backup.db"), AGGREGATOR_ARCHIVE=other).returncode == 0
    with Archive.open(other).reading() as one, source.reading() as first:
        assert transfer.sums(one) == transfer.sums(first)
