"""Workers as processes on one PostgreSQL archive: killed, restarted, listening, and their queue upgraded."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psycopg
import pytest
from procrastinate.schema import SchemaManager

from aggregator.errors import ArchiveVersion
from aggregator.store import articles, maintenance
from aggregator.store.archive import Archive
from aggregator.worker import prepare

KILLS = int(os.environ.get("AGGREGATOR_KILLS", "3"))


class Workers:
    """`aggregator run` several times over; killed ones are started again."""

    def __init__(self, url: str, feeds: Path, folder: Path) -> None:
        self.command = [sys.executable, "-m", "aggregator", "--archive", url, "--feeds", str(feeds), "run"]
        self.log = (folder / "workers.log").open("w")
        self.running: list[subprocess.Popen] = []

    def start(self) -> None:
        """One more."""
        environ = {**os.environ, "AGGREGATOR_SMTP_PASSWORD": ""}
        self.running.append(subprocess.Popen(self.command, stderr=self.log, env=environ))

    def kill(self, which: int) -> None:
        """Kill -9, and another in its place."""
        victim = self.running.pop(which)
        victim.kill()
        victim.wait()
        self.start()

    def end(self) -> list[int]:
        """SIGTERM to all; their statuses."""
        for one in self.running:
            one.send_signal(signal.SIGTERM)
        self.log.close()
        return [one.wait(timeout=30) for one in self.running]


@pytest.fixture
def press(shared: Path, tmp_path: Path):
    """The workload server with 60 feeds on ten hosts, each feed answering a little late."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--feeds", "60", "--entries", "8", "--hosts", "10", "--port", str(port), "--latency-ms", "150"]
    server = subprocess.Popen(
        [sys.executable, str(shared / "bench" / "workload.py"), "serve", *options], stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    server.stdout.readline()
    allow = json.dumps([f"127.0.0.{host}:{port}" for host in range(1, 11)])
    lines = [f"network: {{allow: {allow}, parallel: 4}}", "contact: https://contact.example/", "feeds:"]
    lines += [
        f"  - {{id: f{n}, url: 'http://127.0.0.{n % 10 + 1}:{port}/feed/{n}.xml', title: F{n}, outlet: O{n % 25}}}"
        for n in range(60)
    ]
    path = tmp_path / "feeds.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    yield path, port
    server.terminate()
    server.wait()
    server.stdout.close()


def stored(url: str) -> list[tuple]:
    """The articles of an archive, ids and times aside."""
    with Archive.open(url).reading() as connection:
        return sorted((one.feed, one.guid, one.title, one.text, one.revision) for one in articles.every(connection))


def settled(url: str, expected: int) -> None:
    """Until so many feeds were polled and no job is left; two minutes at the most."""
    archive = Archive.open(url)
    for _ in range(600):
        with archive.reading() as connection:
            polled = connection.exec_driver_sql("SELECT count(*) FROM feed WHERE next_due > now()").scalar_one()
        if polled == expected:
            archive.close()
            return
        time.sleep(0.2)
    raise AssertionError(f"{polled} of {expected} feeds were polled")


def test_killed_workers_lose_nothing_and_do_nothing_twice(postgres, press, tmp_path: Path, shared: Path) -> None:
    """Three workers, one of them killed again and again while polling; the archive is that of one embedded process.

    AGGREGATOR_KILLS sets how often (3).
    """
    feeds, port = press
    url = postgres.database()
    workers = Workers(url, feeds, tmp_path)
    chance = random.Random(5)
    for _ in range(3):
        workers.start()
    time.sleep(2.5)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.1, 0.9))
        workers.kill(chance.randrange(3))
    settled(url, 60)
    assert set(workers.end()) == {0}
    asked = httpx.get(f"http://127.0.0.1:{port}/_stats", trust_env=False).json()
    alone = str(tmp_path / "alone.db")
    command = [sys.executable, "-m", "aggregator", "--archive", alone, "--feeds", str(feeds), "poll"]
    subprocess.run(command, check=True, timeout=120)
    assert stored(url) == stored(alone)
    assert maintenance.check(Archive.open(url), lambda _line: None) == []
    assert asked["requests"] <= 60 + 8 * (KILLS + 1) + 10 if "requests" in asked else True


# --- the queue ----------------------------------------------------------------------------------------------------


def shape_of(url: str) -> set[tuple]:
    """Functions, columns, indexes, triggers and states of a queue."""
    with psycopg.connect(url) as connection:
        return {
            row
            for query in (
                "SELECT proname, pg_get_function_identity_arguments(oid), prosrc FROM pg_proc"
                " WHERE pronamespace = 'public'::regnamespace",
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
        connection.execute("INSERT INTO procrastinate_jobs(task_name) VALUES ('poll')")
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
        ArchiveVersion, match="made by a newer Procrastinate .* install the same version on every host"
    ):
        prepare(url)
    assert shape_of(url) == before
