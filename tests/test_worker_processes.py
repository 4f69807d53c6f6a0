"""Workers as processes on one PostgreSQL archive: killed, restarted, listening, and their queue upgraded."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psycopg
import pytest
from procrastinate.schema import SchemaManager

from aggregator.app import now
from aggregator.errors import ArchiveVersion
from aggregator.store import maintenance
from aggregator.store.archive import Archive
from aggregator.store.workers import workers as look
from aggregator.worker import prepare
from tests.desk import join, make_desk
from tests.picture import picture
from tests.press import free_port
from tests.test_smtp import Chaos, _free_ports

pytestmark = pytest.mark.databases("postgresql")
KILLS = int(os.environ.get("AGGREGATOR_KILLS", "2"))


class Workers:
    """`aggregator run` several times over; killed ones are started again."""

    def __init__(self, url: str, feeds: Path, folder: Path, **environ: str) -> None:
        self.url = url
        self.command = [sys.executable, "-m", "aggregator", "--archive", url, "--feeds", str(feeds), "run"]
        self.environ = {**os.environ, **environ}
        self.path = folder / "workers.log"
        self.log = self.path.open("w")
        self.running: list[subprocess.Popen] = []

    def start(self, count: int = 1) -> None:
        """So many more."""
        for _ in range(count):
            self.running.append(subprocess.Popen(self.command, stderr=self.log, env=self.environ))

    def kill(self, which: int) -> None:
        """Kill -9, and another in its place."""
        victim = self.running.pop(which)
        victim.kill()
        victim.wait()
        self.start()

    def talking_to(self, port: int) -> list[int]:
        """Which of them have a connection to this port of the loopback at this moment."""
        return [number for number, one in enumerate(self.running) if port in _remote_ports(one.pid)]

    def wait_for(self, seen: Callable[[], object], seconds: float = 180) -> None:
        """Until something is so."""
        for _ in range(int(seconds * 5)):
            if seen():
                return
            assert all(one.poll() is None for one in self.running), self.path.read_text()
            time.sleep(0.2)
        raise AssertionError(self.path.read_text()[-3000:])

    def polled(self) -> int:
        """How many feeds have been polled and are not due."""
        return ask(self.url, "SELECT count(*) FROM feed WHERE next_due > now()")

    def end(self) -> set[int]:
        """SIGTERM to all, once they listen to it; their statuses."""
        self.wait_for(lambda: all(f"pid={one.pid}" in self.path.read_text() for one in self.running))
        for one in self.running:
            one.send_signal(signal.SIGTERM)
        return {one.wait(timeout=30) for one in self.running}


def ask(url: str, query: str) -> int:
    """One number from a database."""
    with psycopg.connect(url) as connection:
        (found,) = connection.execute(query).fetchone() or (0,)
        return int(found)


def _remote_ports(pid: int) -> set[int]:
    """The ports that a process is connected to by IPv4."""
    sockets = {}
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "01":  # established
                sockets[f"socket:[{words[9]}]"] = int(words[2].rpartition(":")[2], 16)
    ports = set()
    with suppress(OSError):
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                ports.add(sockets.get(str(handle.readlink()), 0))
    return ports


class Press:
    """The workload server with 60 feeds on ten hosts, each feed answering a little late (tests/press.py)."""

    def __init__(self, script: Path, folder: Path) -> None:
        self.port = free_port(10)
        options = ["--feeds", "60", "--entries", "6", "--hosts", "10", "--port", str(self.port), "--latency-ms", "150"]
        command = [sys.executable, str(Path(__file__).with_name("press.py")), str(script), *options]
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.server.stdout is not None
        self.server.stdout.readline()
        allow = json.dumps([f"127.0.0.{host}:{self.port}" for host in range(1, 11)])
        lines = [f"network: {{allow: {allow}, pause: 0s, per_host: 1, parallel: 4}}"]
        lines += ["contact: https://contact.example/", "mail: {from: desk@example.com}", "feeds:"]
        lines += [
            f"  - {{id: f{n}, url: 'http://127.0.0.{n % 10 + 1}:{self.port}/feed/{n}.xml', outlet: O{n % 25}}}"
            for n in range(60)
        ]
        self.feeds = folder / "feeds.yaml"
        self.feeds.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def get(self, path: str) -> dict:
        """One of its own pages."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=60).json()

    def most_at_a_host(self) -> int:
        """The most requests that any host had at a time."""
        return max(self.get("/_hosts")["most"].values())


@pytest.fixture
def press(shared: Path, tmp_path: Path) -> Iterator[Press]:
    """The server, ended with the test."""
    press = Press(shared / "bench" / "workload.py", tmp_path)
    yield press
    press.server.terminate()
    press.server.wait()
    assert press.server.stdout is not None
    press.server.stdout.close()


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Callable[..., Workers]]:
    """Start workers on an archive; what still runs at the end is killed."""
    made: list[Workers] = []

    def start(url: str, feeds: Path, count: int = 3, **environ: str) -> Workers:
        made.append(Workers(url, feeds, tmp_path, **environ))
        made[-1].start(count)
        return made[-1]

    yield start
    for workers in made:
        for one in workers.running:
            if one.poll() is None:
                one.kill()
                one.wait()
        workers.log.close()


def poll_alone(archive: str, feeds: Path) -> None:
    """What one process does, on SQLite."""
    command = [sys.executable, "-m", "aggregator", "--archive", archive, "--feeds", str(feeds), "poll"]
    subprocess.run(command, check=True, timeout=300, stderr=subprocess.DEVNULL)


SAME = ("articles", "revisions", "tags", "reprints")
"""What must be equal. Stories of the workload's made-up words are not equal between two runs of one process either:
so many texts share their keys that the candidates are cut off, and which are left depends on the order of arrival."""


def check_same(url: str, alone: str) -> None:
    """Articles, revisions, tags and reprints of two archives are equal by count and checksum, and the first is sound."""
    found, wanted = picture(url), picture(alone)
    assert {kind: (found.counts[kind], found.sums[kind]) for kind in SAME} == {
        kind: (wanted.counts[kind], wanted.sums[kind]) for kind in SAME
    }
    with closing(Archive.open(url)) as archive:
        assert maintenance.check(archive, lambda _line: None) == []


# --- dying while polling ------------------------------------------------------------------------------------------


def test_killed_while_polling(postgres, press: Press, team, tmp_path: Path) -> None:
    """Three workers, always one of them killed that is fetching; the archive is that of one embedded process, and no
    host had two requests at a time. AGGREGATOR_KILLS sets how often (2); then the feeds have news, and a fourth of the kills comes after that.
    """
    url, alone = postgres.database(), str(tmp_path / "alone.db")
    workers = team(url, press.feeds)
    chance = random.Random(5)
    for kills in (KILLS - KILLS // 4, KILLS // 4):
        for _ in range(kills):
            workers.wait_for(lambda: workers.talking_to(press.port) or workers.polled() == 60)
            time.sleep(chance.uniform(0, 0.3))
            workers.kill(chance.choice(workers.talking_to(press.port) or [0, 1, 2]))
        workers.wait_for(lambda: workers.polled() == 60)
        poll_alone(alone, press.feeds)
        check_same(url, alone)
        press.get("/_advance?new=2&upd=1")
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE feed SET next_due = NULL")
    assert workers.end() == {0}
    assert press.most_at_a_host() == 1


def test_restarted_one_after_the_other(postgres, press: Press, team, tmp_path: Path) -> None:
    """SIGTERM to each worker in turn while they poll, another in its place: each ends with 0, and nothing is lost."""
    url, alone = postgres.database(), str(tmp_path / "alone.db")
    workers = team(url, press.feeds)
    for _ in range(3):
        workers.wait_for(lambda: workers.talking_to(press.port) or workers.polled() == 60)
        # A signal before Python listens to it ends any process with the signal's own status.
        workers.wait_for(lambda: f"pid={workers.running[0].pid}" in workers.path.read_text())
        leaving = workers.running.pop(0)
        leaving.send_signal(signal.SIGTERM)
        assert leaving.wait(timeout=30) == 0
        workers.start()
    workers.wait_for(lambda: workers.polled() == 60)
    assert workers.end() == {0}
    poll_alone(alone, press.feeds)
    check_same(url, alone)


# --- dying while mails are sent -----------------------------------------------------------------------------------


@pytest.fixture
def post(shared: Path, tmp_path: Path) -> Iterator[Chaos]:
    """A mail server that accepts everything."""
    ledger = tmp_path / "ledger.jsonl"
    command = [sys.executable, str(shared / "chaos" / "chaos_smtp.py"), "--ledger", str(ledger), "--only", "accept"]
    with subprocess.Popen(
        [*command, "--base-port", str(_free_ports(30))], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        yield Chaos(json.loads(process.stdout.readline()), ledger)
        process.terminate()


READERS = 25


def subscribe(url: str) -> None:
    """Readers of a digest of everything once a minute, empty ones too."""
    desk = make_desk(url, operator=None)
    desk.clock.now = now()
    for number in range(READERS):
        join(desk, f"r{number}@k.example", schedule="* * * * *", empty=True)
    with desk.archive.writing() as connection:  # the first one is due at once
        connection.exec_driver_sql("UPDATE subscriber SET slot = slot - interval '5 minutes'")
    desk.archive.close()


def test_killed_while_mailing(postgres, press: Press, post: Chaos, team) -> None:
    """While feeds bring news and a digest is due every minute, always the worker is killed that sends: each reader has
    every article in exactly one digest, every mail is one that was written down, and a repeat is the same mail.

    AGGREGATOR_KILLS sets how often (1).
    """
    url, port, kills = postgres.database(), post.port("accept"), int(os.environ.get("AGGREGATOR_KILLS", "1"))
    subscribe(url)
    workers = team(url, press.feeds, AGGREGATOR_SMTP_URL=f"smtp://127.0.0.1:{port}")
    chance = random.Random(7)
    for _ in range(kills):
        workers.wait_for(lambda: workers.talking_to(port))
        time.sleep(chance.uniform(0, 0.2))
        workers.kill(chance.choice(workers.talking_to(port) or [0, 1, 2]))
        press.get("/_advance?new=1")
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE feed SET next_due = NULL")
    workers.wait_for(lambda: workers.polled() == 60)
    behind = "SELECT count(*) FROM subscriber WHERE after_id < (SELECT max(id) FROM article)"
    workers.wait_for(lambda: ask(url, behind) == 0)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE subscriber SET state = 'paused'")
    unsent = "SELECT count(*) FROM digest WHERE state IN ('pending', 'sending')"
    workers.wait_for(lambda: ask(url, unsent) == 0)
    assert workers.end() == {0}
    check_mails(url, post, kills)


def check_mails(url: str, post: Chaos, kills: int) -> None:
    """The server's ledger and the archive tell the same."""
    with psycopg.connect(url) as connection:
        digests = connection.execute(
            "SELECT id, message_id, split_part(address, '@', 1), until, state, subscriber_id FROM digest"
            " WHERE kind = 'digest'"
        ).fetchall()
        covered = connection.execute("SELECT digest_id, article_id FROM digest_article").fetchall()
        upto = dict(connection.execute("SELECT id, after_id FROM subscriber").fetchall())
        stored = [identity for (identity,) in connection.execute("SELECT id FROM article ORDER BY id")]
        kinds = dict(connection.execute("SELECT message_id, kind FROM digest").fetchall())
    accepted = Counter(post.accepted("accept", "k.example"))
    known = {(name, identity) for _id, identity, name, *_rest in digests}
    assert {pair for pair in accepted if kinds[pair[1]] == "digest"} <= known, "a mail that was not written down"
    assert {state for *_rest, state, _subscriber in digests} <= {"sent", "replaced"}
    sent = {row[0]: row for row in digests if row[4] == "sent"}
    assert {(row[2], row[1]) for row in sent.values()} <= accepted.keys(), "a mail that was lost"
    periods = Counter((row[2], row[3]) for row in sent.values())
    assert set(periods.values()) == {1}, "two mails of one period"
    assert sum(accepted.values()) - len(accepted) <= kills, "more repeats than kills"
    read = defaultdict(list)
    for digest, article in covered:
        if digest in sent:
            read[sent[digest][5]].append(article)
    assert len(read) == READERS
    for reader, ids in read.items():
        assert sorted(ids) == [identity for identity in stored if identity <= upto[reader]]


# --- what they tell -----------------------------------------------------------------------------------------------


def test_two_on_one_host_share_a_listener(postgres, press: Press, team, command) -> None:
    """The second says so and works all the same; when the first ends, the second listens."""
    url = postgres.database()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    press.feeds.write_text(f"listen: 127.0.0.1:{port}\n{press.feeds.read_text()}")
    workers = team(url, press.feeds, 1)

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False, timeout=30).status_code in (200, 503)
        return False

    workers.wait_for(answers)
    workers.start()
    workers.wait_for(lambda: "another program listens there" in workers.path.read_text())
    workers.wait_for(lambda: workers.polled() == 60)
    first = workers.running.pop(0)
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=30) == 0
    workers.wait_for(lambda: "this worker listens now" in workers.path.read_text() and answers())
    with closing(Archive.open(url)) as archive, archive.reading() as connection:
        seen = look(connection)
    assert seen is not None
    assert seen.alive == 1
    told = command("doctor", feeds=press.feeds, AGGREGATOR_ARCHIVE=url).stdout
    assert re.search(r"workers +1 alive, \d+ jobs in hand, \d+ waiting", told), told
    assert workers.end() == {0}
    told = command("doctor", feeds=press.feeds, AGGREGATOR_ARCHIVE=url).stdout
    assert "nothing is polled; start `aggregator run`" in told, told


def test_a_database_that_goes_away_is_said_once(postgres, press: Press, team) -> None:
    """The worker waits for it, says so in one line and when it is back, and goes on."""
    if not hasattr(postgres, "restart"):
        pytest.skip("the server of AGGREGATOR_TEST_POSTGRES is not ours to stop")
    url = postgres.database()
    workers = team(url, press.feeds, 1)
    workers.wait_for(lambda: "started" in workers.path.read_text() and workers.polled() > 10)
    with postgres.restart():
        workers.wait_for(lambda: "the database is not there" in workers.path.read_text())
        time.sleep(3)
    workers.wait_for(lambda: "the database is back" in workers.path.read_text())
    workers.wait_for(lambda: workers.polled() == 60)
    assert workers.end() == {0}
    said = workers.path.read_text()
    assert said.count("the database is not there") == 1
    assert said.count("error connecting") <= 1


# --- the queue ----------------------------------------------------------------------------------------------------


def shape_of(url: str) -> set[tuple]:
    """Functions, columns, indexes, triggers and states of a queue."""
    with psycopg.connect(url) as connection:
        return {
            row
            for query in (
                "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
                "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'",
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
                "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal",
                "SELECT enumlabel, enumtypid::regtype::text FROM pg_enum",
            )
            for row in connection.execute(query)
        }


def test_an_older_queue_is_upgraded(postgres) -> None:
    """By Procrastinate's own steps, its jobs kept; the same tables as a new one has; a second time nothing is done."""
    steps = sorted(Path(SchemaManager.get_migrations_path()).glob("[0-9]*.sql"))
    old, new = postgres.empty(), postgres.empty()
    with psycopg.connect(old, autocommit=True) as connection:
        for step in steps[:-4]:
            connection.execute(step.read_text())
        connection.execute(f"COMMENT ON TABLE procrastinate_jobs IS '{steps[-5].stem}'")
        connection.execute("INSERT INTO procrastinate_jobs(task_name, queue_name) VALUES ('poll', 'default')")
    for url in (old, old, new):
        prepare(url)
    assert shape_of(old) == shape_of(new)
    with psycopg.connect(old) as connection:
        assert connection.execute("SELECT task_name FROM procrastinate_jobs").fetchall() == [("poll",)]


def test_a_newer_queue_is_refused(postgres) -> None:
    """The sentence says what to do; nothing is touched."""
    url = postgres.empty()
    prepare(url)
    with psycopg.connect(url) as connection:
        connection.execute("COMMENT ON TABLE procrastinate_jobs IS '99.00.00_01_pre_something'")
    before = shape_of(url)
    with pytest.raises(
        ArchiveVersion, match=r"made by a newer Procrastinate .* install the same version on every host"
    ):
        prepare(url)
    assert shape_of(url) == before
