"""Several workers on one PostgreSQL archive: what they decide at the same time, what they share, and who dies."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
import sqlalchemy as sa

from aggregator import pipeline
from aggregator.model import Document, Entry, Feed, FeedState, Fetched, Tags
from aggregator.store import articles, gate, maintenance, relations
from aggregator.store.archive import Archive
from aggregator.store.schema import article, revision
from aggregator.worker import lock_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

TALKS = (
    "<p>两国代表团周三在港口城市青石举行第三轮会谈，讨论煤矿瓦斯的监测办法。</p>"
    "<p>会谈持续了六个小时，双方交换了各自的排放清单，并同意在明年春天以前核对数据。</p>"
    "<p>代表团团长韩立本说，清单的差别主要来自统计口径，而不是来自测量本身，专家组会先统一口径。</p>"
)
OWN_WORDS = (
    "<p>据现场消息，周三在青石结束的瓦斯监测会谈取得进展，双方代表团互换排放清单。</p>"
    "<p>韩立本对记者表示，双方核对数据的期限是明年春天，统计口径将由专家组先行统一。</p>"
)


def entry(
    guid: str, title: str = "青石会谈：双方交换排放清单", html: str = TALKS, hours: int = 0, link: str = ""
) -> Entry:
    """An entry as a feed states it."""
    when = NOW - timedelta(days=1) + timedelta(hours=hours)
    return Entry(guid=guid, title=title, html=html, link=link or f"https://o.example/{guid}", published=when)


# What two workers bring at the same time: (feed, its entries) each.
TOGETHER = {
    "the same document": (("甲", [entry("1"), entry("2", "博物馆展出海图", "<p>海图。</p>")]),) * 2,
    "the same entry, changed": (("甲", [entry("1")]), ("甲", [entry("1", html=TALKS + "<p>更正：五个小时。</p>")])),
    "the same address in two feeds": (
        ("甲", [entry("1", link="https://o.example/a")]),
        ("甲二", [entry("x", link="https://o.example/a?utm_source=rss")]),
    ),
    "a reprint": (
        ("甲", [entry("1", link="https://o.example/1")]),
        ("乙", [entry("b", html=TALKS + "<p>（责编：某某）</p>", hours=2, link="https://p.example/9")]),
    ),
    "a copy before its original": (
        ("乙", [entry("b", html=TALKS + "<p>（责编：某某）</p>", hours=2, link="https://p.example/9")]),
        ("甲", [entry("1", link="https://o.example/1")]),
    ),
    "one event in other words": (
        ("甲", [entry("1", link="https://o.example/1")]),
        ("丁", [entry("d", "瓦斯监测会谈在青石结束 双方互换排放清单", OWN_WORDS, 5, "https://q.example/7")]),
    ),
    "the same second": (
        ("甲", [entry(f"a{n}", f"甲{n}", f"<p>甲的第{n}篇。</p>") for n in range(5)]),
        ("乙", [entry(f"b{n}", f"乙{n}", f"<p>乙的第{n}篇。</p>") for n in range(5)]),
    ),
    "the same new words": (
        ("甲", [entry("1", "biomethane", "<p>biomethane and electrolysis</p>")]),
        ("乙", [entry("2", "electrolysis", "<p>electrolysis of biomethane, again</p>")]),
    ),
}


class Side:
    """One worker: an archive of its own on the same database, and a hold inside its transaction."""

    def __init__(self, url: str, brought: tuple[str, list[Entry]]) -> None:
        self.archive = Archive.open(url, write=True)
        name, entries = brought
        self.feed = Feed(name, (f"https://{name}.example/feed",), name, name.rstrip("二"))
        self.inside, self.go_on = threading.Event(), threading.Event()
        self.fails = False
        parts = pipeline.Parts(
            self.archive,
            lambda _feed, url, _validators, _now: Fetched(url, 200, b"<rss/>"),
            lambda _fetched, _feed, _now: Document(tuple(entries)),
            self.tag,
            lambda: NOW,
        )
        self.parts = parts
        self.brought = pipeline.ask(self.feed, FeedState(self.feed.id), parts)

    def tag(self, _article) -> Tags:
        """Called inside the transaction: say so, wait, and fail when told to."""
        self.inside.set()
        assert self.go_on.wait(30)
        if self.fails:
            raise KeyboardInterrupt
        return Tags()

    def take_in(self) -> None:
        """Store what was brought; a failure rolls back."""
        try:
            pipeline.take_in([self.brought], self.parts)
        except KeyboardInterrupt:
            assert self.fails

    def start(self) -> threading.Thread:
        """The same in a thread."""
        thread = threading.Thread(target=self.take_in)
        thread.start()
        return thread


def waits(url: str) -> None:
    """Until somebody waits for the writers' lock."""
    archive = Archive.open(url)
    query = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    for _ in range(300):
        with archive.reading() as connection:
            if connection.scalar(query):
                archive.close()
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")


def state(url: str) -> dict[str, object]:
    """Everything that was decided, without ids: articles, revisions, who reprints whom, which are one story."""
    archive = Archive.open(url)
    assert maintenance.check(archive, lambda _line: None) == []
    with archive.reading() as connection:
        every = list(articles.every(connection))
        name = {one.id: (one.feed, one.guid) for one in every}
        places = relations.placed(connection, [one.id for one in every])
        stories: dict[int, set] = {}
        for identity, (story, _original) in places.items():
            if story is not None:
                stories.setdefault(story, set()).add(name[identity])
        old = sa.select(revision.c.article_id, revision.c.number, revision.c.text)
        found = {
            "articles": sorted((one.feed, one.guid, one.title, one.text, one.revision) for one in every),
            "revisions": sorted((name[row[0]], row[1], row[2]) for row in connection.execute(old)),
            "reprints": sorted((name[one], name[of]) for one, (_, of) in places.items() if of is not None),
            "stories": sorted(sorted(story) for story in stories.values()),
            "docids": len(set(connection.execute(sa.select(article.c.docid)).scalars())) == len(every),
        }
    archive.close()
    return found


@pytest.fixture(scope="module")
def one_process(tmp_path_factory) -> Callable[[str, tuple[int, ...]], dict[str, object]]:
    """What a single process decides on SQLite that takes these in one after the other."""

    @cache
    def decided(what: str, order: tuple[int, ...]) -> dict[str, object]:
        url = str(tmp_path_factory.mktemp("alone") / "archive.db")
        Archive.open(url, write=True).close()
        for index in order:
            side = Side(url, TOGETHER[what][index])
            side.go_on.set()
            side.take_in()
            side.archive.close()
        return state(url)

    return decided


def held_while_the_other_waits(first: Side, second: Side, url: str) -> None:
    """The first is inside its transaction when the second comes."""
    one = first.start()
    assert first.inside.wait(30)
    other = second.start()
    waits(url)
    assert not second.inside.is_set()
    second.go_on.set()
    first.go_on.set()
    one.join(30)
    other.join(30)


def both_at_once(first: Side, second: Side, _url: str) -> None:
    """Whoever gets the lock first."""
    first.go_on.set()
    second.go_on.set()
    threads = [first.start(), second.start()]
    for thread in threads:
        thread.join(30)


def rolled_back_while_the_other_waits(first: Side, second: Side, url: str) -> None:
    """The first fails at the end of its transaction; nothing of it may show."""
    first.fails = True
    held_while_the_other_waits(first, second, url)


def fails(side: Side) -> None:
    """Taking in ends with the database's own error, whichever it is for a connection that is gone."""
    with pytest.raises(Exception):  # noqa: B017, PT011 - which one depends on the statement that was under way
        side.take_in()


def cut_off_while_the_other_waits(first: Side, second: Side, url: str) -> None:
    """The first's connection is lost inside its transaction, as when its machine dies."""
    one = threading.Thread(target=lambda: fails(first))
    one.start()
    assert first.inside.wait(30)
    other = second.start()
    waits(url)
    with Archive.open(url).reading() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l"
            " WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid()"
        )
    second.go_on.set()
    other.join(30)
    first.go_on.set()
    one.join(30)


# What happens, and in which orders one process may have done the same (indices of the sides).
INTERLEAVINGS = {
    held_while_the_other_waits: ((0, 1),),
    both_at_once: ((0, 1), (1, 0)),
    rolled_back_while_the_other_waits: ((1,),),
    cut_off_while_the_other_waits: ((1,),),
}


@pytest.mark.parametrize("what", TOGETHER)
@pytest.mark.parametrize("how", INTERLEAVINGS, ids=lambda how: how.__name__)
def test_what_two_workers_decide_is_what_one_would(postgres, one_process, what: str, how) -> None:
    """The table of interleavings: same entry, revision, reprint, story, docid and vocabulary."""
    url, sides = postgres.database(), TOGETHER[what]
    first, second = Side(url, sides[0]), Side(url, sides[1])
    how(first, second, url)
    first.archive.close()
    second.archive.close()
    assert state(url) in [one_process(what, order) for order in INTERLEAVINGS[how]]


def test_ids_are_in_the_order_of_their_commits(postgres) -> None:
    """A digest's "everything after article N" misses nothing: no smaller id is committed later."""
    url = postgres.database()
    sides = [
        Side(url, (f"f{n}", [entry(f"{n}-{m}", f"{n}.{m}", f"<p>{n}.{m}</p>") for m in range(5)])) for n in range(6)
    ]
    seen: list[int] = []
    threads = []
    for side in sides:
        side.go_on.set()
        threads.append(side.start())
    reader = Archive.open(url)
    while any(thread.is_alive() for thread in threads):
        with reader.reading() as connection:
            found = list(connection.execute(sa.select(article.c.id).order_by(article.c.id)).scalars())
        assert found[: len(seen)] == seen
        seen = found
    for one in sides:
        one.archive.close()
    reader.close()


# --- hosts --------------------------------------------------------------------------------------------------------


def test_workers_share_a_hosts_turns(postgres) -> None:
    """Two workers, two slots, a pause: never more at once, never sooner; another host does not wait."""
    archives = [Archive.open(postgres.database(), write=True)]
    archives.append(Archive.open(archives[0].conninfo))
    pause = 0.05
    gates = [one.gate(timedelta(seconds=pause), 2) for one in archives]
    began, running, most = [], [], []
    lock = threading.Lock()

    def ask(gate_: gate.Gate) -> None:
        with gate_.turn("o.example:443"):
            with lock:
                began.append(time.monotonic())
                running.append(1)
                most.append(len(running))
            time.sleep(0.02)
            with lock:
                running.pop()

    threads = [threading.Thread(target=ask, args=(gates[n % 2],)) for n in range(10)]
    first = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(began) == 10
    assert max(most) <= 2
    # A thread may notice its own turn late, so that two are seen close together; none may be seen before its time.
    assert all(at >= first + turn * pause * 0.99 for turn, at in enumerate(sorted(began)))
    until = NOW + timedelta(hours=1)
    gates[0].hold("o.example:443", until)
    assert gates[1].held("o.example:443") == until
    assert gates[1].held("p.example:443") is None
    for one in archives:
        one.close()


def test_a_dead_workers_slot_is_free_again(postgres) -> None:
    """A slot is a lock of the connection: it ends with it."""
    archive = Archive.open(postgres.database(), write=True)
    code = (
        "import sys, time; from datetime import timedelta; from aggregator.store.archive import Archive\n"
        f"with Archive.open({archive.conninfo!r}).gate(timedelta(0), 1).turn('o'): print('in', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "in\n"
        holder.kill()
        holder.wait()
    with archive.gate(timedelta(0), 1).turn("o"):
        pass
    archive.close()


def feed_at(name: str, url: str) -> Feed:
    """A feed at an address."""
    return Feed(name, (url,), name, name)


def test_feeds_of_one_host_are_polled_under_one_lock() -> None:
    """Case and user names do not matter; hosts without limits are spread."""
    one, two = feed_at("1", "https://o.example/1"), feed_at("2", "https://me@O.example/2")
    assert lock_of(one, frozenset()) == lock_of(two, frozenset()) == "host:o.example"
    spread = {lock_of(replace(one, id=str(n)), frozenset({"o.example"})) for n in range(100)}
    assert len(spread) == 4
