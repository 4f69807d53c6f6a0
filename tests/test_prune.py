"""Pruning: only what may go goes, nothing that went comes back, and the rest stays whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from aggregator import pipeline
from aggregator.app import App
from aggregator.model import Document, Feed, Fetched, PollReport, Validators
from aggregator.parse import parse_feed
from aggregator.pruning import pruned
from aggregator.query import parse
from aggregator.store import maintenance, prune, search
from aggregator.store.archive import Archive
from aggregator.store.prune import Wish
from aggregator.store.schema import article, tombstone

START = datetime(2024, 1, 10, tzinfo=UTC)
FEED = Feed("one", ("https://one.example/feed",), "头版", "港城日报")
CLIMATE = (
    "中美两国发表阳光之乡声明。声明说，双方将落实各自的国家甲烷行动计划，并启动“21世纪20年代强化气候行动工作组”。"
)


class Press:
    """One feed over a real archive, with a clock."""

    def __init__(self, archive: str, folder: Path) -> None:
        (folder / "feeds.yaml").write_text("feeds: []\n")
        app = App(archive, str(folder / "feeds.yaml"), environ={})
        self.archive = Archive.open(app.url, write=True)
        self.now = START
        self.items: list[tuple[str, str, str]] = []
        self.parts = pipeline.Parts(self.archive, self.fetch, self.parse, app.tagging(), lambda: self.now)

    def fetch(self, feed: Feed, url: str, _validators: Validators, now: datetime) -> Fetched:
        """Everything it shows."""
        items = "".join(
            f"<item><guid>{guid}</guid><title>{title}</title><link>https://one.example/{guid.removeprefix('again-')}.html</link>"
            f"<description>{text}</description></item>"
            for guid, title, text in reversed(self.items)
        )
        return Fetched(url, 200, f"<rss version='2.0'><channel>{items}</channel></rss>".encode(), None)

    @staticmethod
    def parse(fetched: Fetched, feed: Feed, now: datetime) -> Document:
        """As in a child."""
        return parse_feed(fetched.body, content_type=None, url=fetched.url, timezone="UTC", now=now)

    def poll(self) -> PollReport:
        """One round."""
        [report] = pipeline.poll([FEED], self.parts)
        return report

    def titles(self) -> set[str]:
        """What the archive holds."""
        with self.archive.reading() as connection:
            return set(connection.scalars(sa.select(article.c.title)))


@pytest.fixture
def press(tmp_path: Path, archive_url: str) -> Press:
    """Five old articles: two alike, one on an agreement; and a new one."""
    press = Press(archive_url, tmp_path)
    body = "港城地铁公司表示，环线最后一段轨道已经铺通，新线共有二十一座车站，预计每天运送四十万人次，票价不变。"
    press.items = [
        ("m1", "环线铺通", body),
        ("m2", "北滩降雨", "北滩昨夜降雨，道路积水，学校停课一天，市民出行请留意。"),
        ("c1", "中美发表声明", CLIMATE),
        ("m3", "柳镇丰收", "柳镇今年小麦丰收，比去年多一成，农户忙着晾晒和入库。"),
    ]
    press.poll()
    press.now += timedelta(days=400)
    press.items.append(("n1", "云州开学", "云州各校今天开学，新教学楼启用，学生人数创下新高。"))
    press.poll()
    return press


def test_old_articles_go_and_tagged_ones_stay(press: Press) -> None:
    """What discusses an agreement is kept whatever its age; what is new is kept anyway."""
    with press.archive.reading() as connection:
        assert prune.count(connection, Wish(press.now - timedelta(days=365))) == 3
    assert sum(pruned(press.archive, Wish(press.now - timedelta(days=365)), press.now)) == 3
    assert press.titles() == {"中美发表声明", "云州开学"}


def test_the_archive_stays_whole(press: Press) -> None:
    """File, links, search index and stories are verified; what went is found no more, what stayed is."""
    list(pruned(press.archive, Wish(press.now - timedelta(days=365)), press.now))
    assert maintenance.check(press.archive, lambda _line: None) == []
    with press.archive.reading() as connection:
        found = [len(search.find(connection, parse(word, press.now)).ids) for word in ("小麦", "开学")]
    assert found == [0, 1]


def test_what_went_does_not_come_back(press: Press) -> None:
    """The feed still shows all of it: unchanged, edited, and with new GUIDs."""
    list(pruned(press.archive, Wish(press.now - timedelta(days=365)), press.now))
    report = press.poll()
    assert (report.new, report.revised) == (0, 0)
    guid, title, text = press.items[0]
    press.items[0] = (guid, title, text + "本报将继续关注。")
    assert press.poll().new == 0
    press.items = [(f"again-{guid}" if guid != "n1" else guid, title, text) for guid, title, text in press.items]
    assert press.poll().new <= 1, "the edited text under another name is another article; the others are known"
    assert press.titles() >= {"中美发表声明", "云州开学"}
    with press.archive.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tombstone)) == 3


def test_an_outlet_may_be_named(press: Press) -> None:
    """Others are left alone."""
    assert list(pruned(press.archive, Wish(press.now, ("晨报",)), press.now)) == []


def test_nothing_goes_unless_told(press: Press, command) -> None:
    """The command asks for a date, takes none from the future, and can be tried first."""
    assert command("archive", "prune").returncode == 2
    assert command("archive", "prune", "--before", "2999-01-01").returncode == 2
    tried = command("archive", "prune", "--before", "2024-06-01", "--dry-run")
    assert (tried.returncode, tried.stderr) == (0, "3 articles would go\n")
    done = command("archive", "prune", "--before", "2024-06-01")
    assert (done.returncode, done.stderr) == (0, f"3 articles removed from {press.archive.name}\n")


def test_tags_are_what_keeps_them(press: Press) -> None:
    """Without the tagger's findings the same article goes."""
    with press.archive.writing() as connection:
        connection.execute(sa.text("DELETE FROM clause_tag"))
        connection.execute(sa.text("DELETE FROM article_agreement"))
    assert sum(pruned(press.archive, Wish(press.now - timedelta(days=365)), press.now)) == 4
