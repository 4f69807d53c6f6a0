"""A pace per host: a pause between two requests, so many at once, routes of an RSSHub instance one by one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx

from aggregator.fetch import Fetcher, NetworkPolicy
from aggregator.fetch.hosts import HostLimits
from aggregator.settings import loads


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """The time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move on."""
        with self._lock:
            self.slept.append(round(seconds, 3))
            self.now += seconds


def limits(clock: Clock, **more) -> HostLimits:
    """Limits with a pause of a second."""
    return HostLimits(timedelta(seconds=1), clock=clock, sleep=clock.sleep, **more)


def visit(hosts: HostLimits, *urls: str) -> None:
    """One request after the other."""
    for url in urls:
        with hosts.turn(httpx.URL(url)):
            pass


def test_a_pause_between_two_requests_to_a_host():
    """The second request to a host waits, whatever its path and scheme's port; one to another host does not."""
    clock = Clock()
    visit(limits(clock), "https://a.example/1", "https://b.example/1", "https://A.example:443/2", "http://a.example/")
    assert clock.slept == [1.0]


def test_routes_of_an_instance_and_opened_hosts():
    """An RSSHub instance waits per route; what the operator opened does not wait at all."""
    clock = Clock()
    hosts = limits(clock, per_route=frozenset({"hub.example"}), free=frozenset({"127.0.0.1:8900", "[::1]:8900"}))
    visit(
        hosts,
        "https://hub.example/sina/a",
        "https://hub.example/sina/b",
        "http://127.0.0.1:8900/x",
        "http://127.0.0.1:8900/x",
    )
    visit(hosts, "http://[::1]:8900/x", "http://[::1]:8900/x")
    assert clock.slept == []
    visit(hosts, "https://hub.example/sina/a")
    assert clock.slept == [1.0]


def test_so_many_at_once():
    """Never more requests at a host than it has slots, from however many threads."""
    hosts = HostLimits(timedelta(0), 2)
    running, most, lock = 0, 0, threading.Lock()

    def work(_number: int) -> None:
        nonlocal running, most
        with hosts.turn(httpx.URL("https://a.example/")):
            with lock:
                running += 1
                most = max(most, running)
            threading.Event().wait(0.005)
            with lock:
                running -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(20)))
    assert most == 2


def test_a_written_pause_holds_for_opened_hosts_too():
    """Hosts under `allow` are not paced by default; a pause that stands in feeds.yaml counts for them as well."""
    for written, free in (("", True), ("pause: 1s, ", False)):
        settings = loads(
            f'network: {{{written}allow: ["127.0.0.1:8900"]}}\nfeeds: []\n'.encode(), {}, Path("feeds.yaml")
        )
        network = settings.network
        policy = NetworkPolicy(allow=network.allow, pause=network.pause, pause_all=network.pause_all)
        one, two = (httpx.URL(f"http://127.0.0.1:8900/{name}") for name in "ab")
        assert (Fetcher(policy).hosts.key(one) != Fetcher(policy).hosts.key(two)) is free
