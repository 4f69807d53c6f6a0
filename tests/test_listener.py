"""The HTTP listener: health, metrics, routes, and clients that behave badly."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aggregator.errors import AggregatorError
from aggregator.health import health
from aggregator.listener import MOST_AT_ONCE, Listener, Request, Response, routed
from aggregator.metrics import Metrics, Reading
from aggregator.model import PollReport, PollStatus
from aggregator.store.census import Census

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CENSUS = Census(
    7, {'港城"日报"': NOW - timedelta(hours=2)}, {"discusses": 3}, {"sent": 2}, 4, 1, NOW - timedelta(minutes=1)
)


def seen() -> Reading:
    """One look at an archive."""
    return Reading(CENSUS, 1000, 2000, NOW)


def broken() -> Reading:
    """An archive that cannot be read."""
    raise OSError("gone")


def echo(asked: Request) -> Response:
    """What was asked, as JSON."""
    return Response(200, json.dumps([asked.method, asked.path, dict(asked.query), dict(asked.form)]).encode())


def fail(_asked: Request) -> Response:
    """A handler with a defect."""
    raise ValueError("secret")


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A listener with a few routes."""
    routes = {("GET", "/echo"): echo, ("POST", "/echo/*"): echo, ("GET", "/fail"): fail}
    with Listener(("127.0.0.1", 0), routes) as found:
        yield found


def ask(listener: Listener, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    """One exchange."""
    connection = http.client.HTTPConnection("127.0.0.1", listener.port, timeout=30)
    connection.request(method, path, body)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_routes(listener: Listener) -> None:
    """Exact paths, everything below a path, forms and queries, and what is not there."""
    assert json.loads(ask(listener, "GET", "/echo?a=1&a=2")[1]) == ["GET", "/echo", {"a": "2"}, {}]
    assert json.loads(ask(listener, "POST", "/echo/x", "b=%E4%B8%AD")[1]) == ["POST", "/echo/x", {}, {"b": "中"}]
    assert ask(listener, "HEAD", "/echo") == (200, b"")
    assert [ask(listener, *asked)[0] for asked in (("GET", "/no"), ("POST", "/echo"), ("DELETE", "/echo"))] == [
        404,
        405,
        501,
    ]


def test_the_longest_route_answers() -> None:
    """`/a/b/*` comes before `/a/*`."""
    one, other = (lambda _asked: Response(201)), (lambda _asked: Response(202))
    assert routed({("GET", "/a/*"): one, ("GET", "/a/b/*"): other}, "GET", "/a/b/c") is other


def test_a_defect_is_500_and_says_nothing(listener: Listener) -> None:
    """The reason stands in the log, not in the answer."""
    status, body = ask(listener, "GET", "/fail")
    assert status == 500
    assert b"secret" not in body


def test_bad_clients_do_no_harm(listener: Listener) -> None:
    """Silent connections, nonsense, endless headers and long bodies; the next one is served."""
    silent = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(3)]
    for data in (
        b"\x00\xff nonsense\r\n\r\n",
        b"GET /echo HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n",
        b"GET " + b"/" * 70_000,
    ):
        with socket.create_connection(("127.0.0.1", listener.port), timeout=30) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            client.recv(100)
    assert ask(listener, "POST", "/echo/x", "x" * 70_000)[0] == 413
    assert ask(listener, "GET", "/echo")[0] == 200
    for client in silent:
        client.close()


def test_a_crowd_is_sent_away(listener: Listener) -> None:
    """Only so many exchanges run at once; the rest is answered 503 and not queued."""
    waiting = [socket.create_connection(("127.0.0.1", listener.port), timeout=30) for _ in range(MOST_AT_ONCE)]
    with socket.create_connection(("127.0.0.1", listener.port), timeout=30) as late:
        assert late.recv(100).startswith(b"HTTP/1.1 503")
    for client in waiting:
        client.close()


def test_an_address_in_use_is_one_sentence(listener: Listener) -> None:
    """It names the address and where to change it."""
    with pytest.raises(AggregatorError, match=rf"cannot listen on 127.0.0.1:{listener.port} .*listen: in feeds.yaml"):
        Listener(("127.0.0.1", listener.port), {})


def test_metrics_are_read_by_prometheus() -> None:
    """Prometheus' own parser reads every series that is promised, odd names of outlets included."""
    metrics = Metrics(seen)
    metrics.count(PollReport("front", PollStatus.OK, new=2, unchanged=5))
    metrics.count(PollReport("world", PollStatus.FAILED, kind="dns"))
    families = {family.name: family for family in text_string_to_metric_families(metrics.text().decode())}
    samples = {(one.name, *one.labels.values()): one.value for family in families.values() for one in family.samples}
    assert samples["aggregator_polls_total", "front", "ok"] == 1
    assert samples["aggregator_entries_total", "new"] == 2
    assert samples["aggregator_failures_total", "dns"] == 1
    assert samples["aggregator_newest_article_seconds", '港城"日报"'] == 7200
    assert samples["aggregator_last_success_seconds",] == 60
    assert samples["aggregator_feeds_due",] == 4
    assert samples["aggregator_digests", "sent"] == 2
    assert samples["aggregator_tags", "discusses"] == 3
    assert samples["aggregator_archive_bytes",] == 1000


def test_metrics_survive_an_archive_that_cannot_be_read() -> None:
    """The counters are still told, and one series says what is wrong."""
    assert b"aggregator_archive_up 0.0" in Metrics(broken).text()


@pytest.mark.parametrize(
    ("read", "paused", "late", "status"),
    [
        (seen, None, [], 200),
        (seen, "the disk is full", [], 503),
        (seen, None, ["poll hangs"], 503),
        (broken, None, [], 503),
    ],
)
def test_health(read, paused, late, status: int) -> None:
    """200 while all is well; 503 with the troubles named."""
    found = health(read, paused, late)
    answer = json.loads(found.body)
    assert found.status == status
    assert (answer["status"] == "ok") == (status == 200)
    assert len(answer["troubles"]) == (status == 503)
