"""The daemon as a process: it polls at start, stops on SIGTERM, re-reads its feeds on SIGHUP, and is alone."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

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


def test_a_second_daemon_is_sent_away(start_daemon, newsroom, tmp_path: Path, command) -> None:
    """One daemon an archive."""
    feeds = newsroom.feeds_yaml(tmp_path)
    daemon = start_daemon(feeds)
    daemon.wait_for(lambda: daemon.says("started"))
    second = command("--archive", str(daemon.archive), "run", feeds=feeds)
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
