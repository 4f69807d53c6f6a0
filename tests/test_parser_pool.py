"""Parsing in children with limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aggregator.errors import ParseError
from aggregator.parse import parse_feed
from aggregator.parser_pool import ParserPool

HOW = {
    "content_type": "application/rss+xml",
    "url": "https://example.com/feed",
    "timezone": "Asia/Shanghai",
    "now": datetime(2026, 11, 21, 4, 0, tzinfo=UTC),
}
FEED = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0"><channel><title>气候</title><link>https://example.com/</link><language>zh-cn</language><ttl>15</ttl>
<item><title>第一条</title><guid>a</guid><link>/a</link><pubDate>2021-11-11 10:17</pubDate><category>能源</category>
<author>张三</author><description>&lt;p&gt;正文&lt;/p&gt;</description></item>
<item><title>第二条</title><pubDate>不久</pubDate></item></channel></rss>""".encode()
SLOW = b'<rss version="2.0"><channel>' + b"<item><title>x</title></item>" * 9_000 + b"</channel></rss>"


def is_running(pid):
    """Whether a process exists and is no zombie."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def pids(pool):
    """The processes of the pool's idle children."""
    return [child._process.pid for child in pool._idle]


def test_same_as_without_a_child():
    """A document is the same from a child as from `parse_feed`."""
    with ParserPool() as pool:
        assert pool.parse(FEED, **HOW) == parse_feed(FEED, **HOW)


def test_one_child_serves_many_feeds():
    """A child is started when it is first needed and then reused."""
    with ParserPool() as pool:
        assert pids(pool) == []
        pool.parse(FEED, **HOW)
        first = pids(pool)
        for _ in range(5):
            pool.parse(FEED, **HOW)
        assert pids(pool) == first


def test_no_feed():
    """What is no feed is the same ParseError as without a child, and the child lives on."""
    with ParserPool() as pool:
        with pytest.raises(ParseError, match="HTML page"):
            pool.parse(b"<html><body>hello</body></html>", **HOW)
        assert len(pids(pool)) == 1


def test_too_much_time():
    """A feed that takes more CPU than allowed fails alone; the next one is read."""
    with ParserPool(cpu=0.2) as pool:
        with pytest.raises(ParseError, match=r"took more than 0\.2 s of CPU"):
            pool.parse(SLOW, **HOW)
        assert len(pool.parse(FEED, **HOW).entries) == 2


def test_too_much_memory():
    """A feed that needs more memory than allowed fails alone; the next one is read."""
    body = FEED.replace("正文".encode(), "中".encode() * 8_000_000)
    with ParserPool(memory=120 * 2**20) as pool:
        with pytest.raises(ParseError, match=r"120 MB|memory"):
            pool.parse(body, **HOW)
        assert len(pool.parse(FEED, **HOW).entries) == 2


def test_child_killed_while_idle():
    """An idle child that something killed is replaced without anybody noticing."""
    with ParserPool() as pool:
        pool.parse(FEED, **HOW)
        (pid,) = pids(pool)
        os.kill(pid, signal.SIGKILL)
        while is_running(pid):
            time.sleep(0.01)
        assert len(pool.parse(FEED, **HOW).entries) == 2
        assert pids(pool) != [pid]


def test_child_killed_at_work():
    """A child killed at work fails its feed with a sentence."""
    with ParserPool() as pool:
        pool.parse(FEED, **HOW)
        (pid,) = pids(pool)
        killer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
        killer.start()
        with pytest.raises(ParseError, match="ended its parser"):
            pool.parse(SLOW, **HOW)
        killer.join()


def test_recycled():
    """After so many documents a child is replaced, and reaped."""
    with ParserPool(recycle=2) as pool:
        pool.parse(FEED, **HOW)
        (first,) = pids(pool)
        pool.parse(FEED, **HOW)
        assert pids(pool) == []
        assert not is_running(first)
        assert len(pool.parse(FEED, **HOW).entries) == 2


def test_threads():
    """Threads share the children, never more than the size, and each gets its own answer."""
    bodies = [FEED.replace("第一条".encode(), f"第{i}条".encode()) for i in range(40)]
    with ParserPool(size=2) as pool, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda body: pool.parse(body, **HOW).entries[0].title, bodies))
        assert found == [f"第{i}条" for i in range(40)]
        assert 1 <= len(pids(pool)) <= 2


def test_close_leaves_nothing():
    """Closing ends and reaps the children."""
    pool = ParserPool()
    pool.parse(FEED, **HOW)
    (pid,) = pids(pool)
    pool.close()
    assert not Path(f"/proc/{pid}").exists() or not is_running(pid)


def test_no_secrets_in_the_child(monkeypatch):
    """A child does not get the environment, where credentials are."""
    monkeypatch.setenv("AGGREGATOR_SMTP_PASSWORD", "hidden")
    with ParserPool() as pool:
        pool.parse(FEED, **HOW)
        environment = Path(f"/proc/{pids(pool)[0]}/environ")
        if environment.exists():
            assert b"hidden" not in environment.read_bytes()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_ends_with_its_parent(end):
    """However the parent ends, the child ends too."""
    script = textwrap.dedent(f"""
        import time
        from datetime import UTC, datetime
        from aggregator.parser_pool import ParserPool
        pool = ParserPool()
        pool.parse({FEED!r}, content_type=None, url="https://example.com", timezone="UTC", now=datetime.now(UTC))
        print(pool._idle[0]._process.pid, flush=True)
        time.sleep(60)
    """)
    root = Path(__file__).resolve().parent.parent
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=root)
    pid = int(parent.stdout.readline())
    assert is_running(pid)
    parent.send_signal(end)
    parent.wait()
    parent.stdout.close()
    for _ in range(500):
        if not is_running(pid):
            break
        time.sleep(0.01)
    assert not is_running(pid)


def test_a_large_parent_keeps_its_children():
    """A child is used again although its parent holds more memory than a child may (Linux counts it as the child's)."""
    held = bytearray(300 * 1024 * 1024)
    with ParserPool(1) as pool:
        pool.page(b"<p>one", {"url": "https://news.example/", "keep": ["p"]})
        [first] = pids(pool)
        pool.page(b"<p>two", {"url": "https://news.example/", "keep": ["p"]})
        assert pids(pool) == [first]
    assert held
