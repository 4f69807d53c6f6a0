"""The daemon as a process: it polls at start, stops on SIGTERM, re-reads its feeds on SIGHUP, and is alone."""

from __future__ import annotations

import http.client
import signal
import socket
from pathlib import Path
from urllib.parse import urlencode

import pytest


def test_it_polls_at_start_and_stops_when_told(start_daemon, newsroom, tmp_path: Path) -> None:
    """Everything is stored once at start; SIGTERM ends with status 0."""
    daemon = start_daemon(newsroom.feeds_yaml(tmp_path))
    daemon.wait_for(lambda: daemon.articles() == 5)
    assert daemon.end() == 0
    assert daemon.says("stopped")


def test_a_hanging_server_does_not_hold_it_back(start_daemon, newsroom, tmp_path: Path) -> None:
    """A fetch under way is dropped; what other feeds brought is committed."""
    feeds = newsroom.feeds_yaml(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        text = feeds.read_text().replace("allow: [", f'allow: ["127.0.0.1:{port}", ')
        feeds.write_text(f"{text}  - {{id: silent, url: 'http://127.0.0.1:{port}/', timeout: 60s}}\n")
        daemon = start_daemon(feeds)
        daemon.wait_for(lambda: daemon.articles() == 5)
        assert daemon.end() == 0


def test_a_broken_feeds_yaml_keeps_the_old_one(start_daemon, newsroom, tmp_path: Path) -> None:
    """SIGHUP with a mistake says so and goes on; mended, it takes the new list."""
    feeds = newsroom.feeds_yaml(tmp_path)
    good = feeds.read_text()
    daemon = start_daemon(feeds)
    daemon.wait_for(lambda: daemon.articles() == 5)
    feeds.write_text(good.replace("outlet:", "outlett:"))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for(lambda: daemon.says("the old one stays in force"))
    feeds.write_text(good)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for(lambda: daemon.says("feeds.yaml reloaded"))
    assert daemon.end() == 0


@pytest.mark.databases("sqlite")  # on PostgreSQL there may be any number
def test_a_second_daemon_is_sent_away(start_daemon, newsroom, tmp_path: Path, command) -> None:
    """One daemon an archive."""
    feeds = newsroom.feeds_yaml(tmp_path)
    daemon = start_daemon(feeds)
    daemon.wait_for(lambda: daemon.says("started"))
    second = command("run", feeds=feeds)
    assert second.returncode == 1
    assert "another aggregator works on" in second.stderr
    assert daemon.end() == 0


def test_it_tells_systemd(start_daemon, newsroom, tmp_path: Path) -> None:
    """READY=1 goes to $NOTIFY_SOCKET when it is up, STOPPING=1 when it ends."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(60)
        daemon = start_daemon(newsroom.feeds_yaml(tmp_path), NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert notify.recv(100) == b"READY=1"
        assert daemon.end() == 0
        messages = {notify.recv(100)}
        while b"STOPPING=1" not in messages:
            messages.add(notify.recv(100))


def test_it_serves_atom(newsroom, start_daemon, tmp_path: Path) -> None:
    """Where feeds.yaml asks for a listener, any search is an Atom feed; a query that cannot be read is answered 400."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    feeds = newsroom.feeds_yaml(tmp_path)
    feeds.write_text(f"listen: 127.0.0.1:{port}\n{feeds.read_text()}")
    daemon = start_daemon(feeds)
    daemon.wait_for(lambda: daemon.articles() == 5)

    def ask(fields: dict[str, str]) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", f"/atom?{urlencode(fields)}")
        answer = connection.getresponse()
        found = answer.status, answer.read().decode()
        connection.close()
        return found

    status, feed = ask({"q": "甲烷"})
    assert (status, feed.count("<entry>")) == (200, 2)
    assert ask({"clause": "sunnylands-2023/10", "lang": "en"})[1].count("<entry>") == 1
    assert ask({"q": '"open'})[0] == 400
    assert daemon.end() == 0
