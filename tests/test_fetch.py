"""Fetching: what is sent, what of an answer counts, how failures are said; against a function and real sockets."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
import zlib
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.errors import FetchError
from aggregator.fetch import Fetcher, NetworkPolicy
from aggregator.fetch.challenge import is_challenge
from aggregator.fetch.inflate import body, coding_of
from aggregator.model import Validators

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
LIMITS = {"timeout": timedelta(seconds=5), "max_size": 100_000, "now": NOW}
RSS = b"<rss version='2.0'><channel><title>t</title></channel></rss>"


class Server:
    """A web as a function: URLs to answers; remembers what it was asked."""

    def __init__(self, answers: dict[str, httpx.Response]) -> None:
        self.answers = answers
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.requests.append(request)
        return self.answers.get(str(request.url).partition("?")[0], httpx.Response(404))

    def fetcher(self, **policy) -> Fetcher:
        """A fetcher whose only network this is."""
        return Fetcher(NetworkPolicy(**{"pause": timedelta(0), **policy}), httpx.MockTransport(self))


def web(**answers: httpx.Response) -> Server:
    """Answers of https://news.example by path."""
    return Server({f"https://news.example/{path}": answer for path, answer in answers.items()})


def to(url: str, code: int = 302) -> httpx.Response:
    """A redirect."""
    return httpx.Response(code, headers={"Location": url})


def failure(fetcher: Fetcher, url: str, **more) -> FetchError:
    """The error of a fetch that must fail."""
    with pytest.raises(FetchError) as caught:
        fetcher.fetch(url, **{**LIMITS, **more})
    return caught.value


# --- what is sent and what comes back -------------------------------------------------------------------------------


def test_a_plain_answer():
    """Body, type, validators and freshness of a good answer come through, the validators byte for byte."""
    headers = {
        "ETag": 'W/"a b"',
        "Last-Modified": "Mon, 05 Jan 2026 07:00:00 GMT",
        "Content-Type": "text/xml",
        "Cache-Control": "max-age=60",
    }
    server = web(feed=httpx.Response(200, content=RSS, headers=headers))
    found = server.fetcher().fetch("https://news.example/feed", **LIMITS)
    assert (found.status, found.body, found.content_type) == (200, RSS, "text/xml")
    assert found.validators == Validators('W/"a b"', "Mon, 05 Jan 2026 07:00:00 GMT")
    assert found.max_age == timedelta(minutes=1)
    assert found.permanent_url is None


def test_a_conditional_request():
    """Both validators are sent as they came; a 304 keeps them, or takes the new ones."""
    server = web(feed=httpx.Response(304, headers={"ETag": '"2"'}))
    found = server.fetcher(contact="https://desk.example/\r\nX: y").fetch(
        "https://news.example/feed", Validators('"1"', "yesterday"), **LIMITS
    )
    sent = server.requests[0].headers
    assert (sent["if-none-match"], sent["if-modified-since"]) == ('"1"', "yesterday")
    assert sent["accept-encoding"] == "gzip, deflate"
    assert sent["user-agent"].startswith("aggregator/")
    assert "https://desk.example/" in sent["user-agent"]
    assert "\n" not in sent["user-agent"]
    assert "cookie" not in sent
    assert (found.status, found.body) == (304, b"")
    assert found.validators == Validators('"2"', "yesterday")


def test_304_without_a_question():
    """A 304 to a request without validators is an error: nothing is known that could be unchanged."""
    assert failure(web(feed=httpx.Response(304)).fetcher(), "https://news.example/feed").code == 304


@pytest.mark.parametrize("etag", ['"' + "e" * 2000 + '"', '"a\x7fb"'])
def test_validators_that_cannot_be_sent_back(etag):
    """A validator that is huge or holds controls is not kept."""
    found = web(feed=httpx.Response(200, content=RSS, headers={"ETag": etag})).fetcher()
    assert found.fetch("https://news.example/feed", **LIMITS).validators == Validators()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (204, "empty"),
        (206, "http"),
        (401, "auth"),
        (403, "denied"),
        (404, "missing"),
        (410, "gone"),
        (429, "throttled"),
        (500, "http"),
        (999, "http"),
    ],
)
def test_statuses(code, kind):
    """Every status but 200, 201, 203 and 304 is an error that names host and status."""
    error = failure(web(feed=httpx.Response(code, content=RSS)).fetcher(), "https://news.example/feed")
    assert (error.kind, error.code) == (kind, code)
    assert str(error).startswith(f"news.example answered {code}")


def test_retry_after_by_the_servers_clock():
    """An HTTP date counts from the server's own Date, so that a wrong clock on either side does no harm."""
    headers = {"Date": "Mon, 05 Jan 2015 00:00:00 GMT", "Retry-After": "Mon, 05 Jan 2015 00:02:00 GMT"}
    error = failure(web(feed=httpx.Response(503, headers=headers)).fetcher(), "https://news.example/feed")
    assert error.retry_after == timedelta(minutes=2)


def test_a_throttling_host_is_left_alone():
    """After a 429 the whole host is not asked until the hold has passed, except by force; other hosts are."""
    server = web(a=httpx.Response(429, headers={"Retry-After": "300"}), b=httpx.Response(200, content=RSS))
    server.answers["https://other.example/b"] = httpx.Response(200, content=RSS)
    fetcher = server.fetcher()
    failure(fetcher, "https://news.example/a")
    error = failure(fetcher, "https://news.example/b")
    assert (error.kind, error.retry_after) == ("wait", timedelta(seconds=300))
    assert fetcher.fetch("https://other.example/b", **LIMITS).status == 200
    assert fetcher.fetch("https://news.example/b", **LIMITS, force=True).status == 200
    assert fetcher.fetch("https://news.example/b", **{**LIMITS, "now": NOW + timedelta(seconds=301)}).status == 200


def test_a_throttled_rsshub_route_stalls_no_other():
    """An RSSHub instance is one host with many upstreams: a 429 holds the route alone (FreshRSS #7870)."""
    server = web(a=httpx.Response(429), b=httpx.Response(200, content=RSS))
    fetcher = server.fetcher(rsshub=frozenset({"news.example"}))
    failure(fetcher, "https://news.example/a")
    assert fetcher.fetch("https://news.example/b", **LIMITS).status == 200
    assert failure(fetcher, "https://news.example/a").kind == "wait"


def test_the_access_code_of_rsshub():
    """A route's URL is signed when it is sent and nowhere else: not in the answer, in a message, or to another host."""
    server = web(a=to("https://news.example/b"), b=to("https://other.example/c"), d=httpx.Response(500))
    server.answers["https://other.example/c"] = httpx.Response(200, content=RSS)
    fetcher = server.fetcher(rsshub=frozenset({"news.example:443"}), sign=lambda url: f"{url}?code=hush")
    found = fetcher.fetch("https://news.example/a", **LIMITS)
    assert [str(request.url.query) for request in server.requests] == ["b'code=hush'", "b'code=hush'", "b''"]
    assert "hush" not in repr(found)
    assert "hush" not in str(failure(fetcher, "https://news.example/d"))


# --- redirects ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "permanent"),
    [
        ((301,), True),
        ((308,), True),
        ((301, 308), True),
        ((302,), False),
        ((301, 302), False),
        ((307, 301), False),
        ((303,), False),
    ],
)
def test_only_an_all_permanent_chain_is_permanent(codes, permanent):
    """`permanent_url` is told when every step was a 301 or 308."""
    answers = {f"s{n}": to(f"/s{n + 1}", code) for n, code in enumerate(codes)}
    found = (
        web(**answers, **{f"s{len(codes)}": httpx.Response(200, content=RSS)})
        .fetcher()
        .fetch("https://news.example/s0", **LIMITS)
    )
    assert found.url == f"https://news.example/s{len(codes)}"
    assert found.permanent_url == (found.url if permanent else None)


def test_a_location_with_blanks():
    """A blank that a server forgot to escape is escaped, as browsers do."""
    server = web(a=to("/b c"))
    server.answers["https://news.example/b%20c"] = httpx.Response(200, content=RSS)
    assert server.fetcher().fetch("https://news.example/a", **LIMITS).url == "https://news.example/b%20c"
    assert failure(web(a=to("https://other .example/")).fetcher(), "https://news.example/a").kind == "refused"


def test_a_step_down_to_http_is_not_permanent():
    """A permanent redirect from https to http is followed and not remembered."""
    server = web(a=to("http://news.example/b", 301))
    server.answers["http://news.example/b"] = httpx.Response(200, content=RSS)
    assert server.fetcher().fetch("https://news.example/a", **LIMITS).permanent_url is None


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("file:///etc/passwd", "refused"),
        ("//user@127.0.0.1@x/", "refused"),
        ("http:\\\\127.0.0.1\\", "refused"),
        ("/\\127.0.0.1/", "refused"),
        ("http://[::1", "refused"),
        ("", "redirect"),
        ("/a", "redirect"),
    ],
)
def test_redirects_that_are_not_followed(location, kind):
    """Another scheme, a hidden host, nonsense, nothing, or itself: an error that names who redirects."""
    error = failure(web(a=to(location)).fetcher(), "https://news.example/a")
    assert error.kind == kind
    assert "news.example" in str(error)


def test_redirects_are_counted():
    """Five redirects are followed, a sixth is not."""
    answers = {f"s{n}": to(f"/s{n + 1}") for n in range(9)} | {"s9": httpx.Response(200, content=RSS)}
    assert web(**answers).fetcher().fetch("https://news.example/s4", **LIMITS).status == 200
    assert failure(web(**answers).fetcher(), "https://news.example/s3").kind == "redirect"


def test_credentials_stay_with_their_host():
    """User and password of a URL go to that host alone, not along a redirect, and into nothing that can be read."""
    server = web(a=to("https://news.example/b"), b=to("https://other.example/c", 301))
    server.answers["https://other.example/c"] = httpx.Response(200, content=RSS)
    found = server.fetcher().fetch("https://us%20er:hush@news.example/a", **LIMITS)
    assert [request.headers.get("authorization") for request in server.requests] == ["Basic dXMgZXI6aHVzaA=="] * 2 + [
        None
    ]
    assert "hush" not in repr(found)
    assert "hush" not in str(failure(server.fetcher(), "https://user:hush@news.example/none"))


def test_a_redirect_cannot_give_credentials():
    """What a Location writes before the host is not sent."""
    server = web(a=to("https://a:b@news.example/b"), b=httpx.Response(200, content=RSS))
    server.fetcher().fetch("https://news.example/a", **LIMITS)
    assert "authorization" not in server.requests[1].headers


def test_nothing_is_logged(caplog):
    """The library writes every URL at INFO; here none reaches a log."""
    with caplog.at_level(logging.DEBUG):
        web(feed=httpx.Response(200, content=RSS)).fetcher().fetch(
            "https://u:hush@news.example/feed?key=hush", **LIMITS
        )
    assert "hush" not in caplog.text


# --- bodies ---------------------------------------------------------------------------------------------------------


def soon() -> float:
    """A deadline that is not reached."""
    return time.monotonic() + 60


@given(
    st.binary(max_size=3000), st.integers(1, 500), st.sampled_from(["gzip", "deflate", "raw", "gzip members", None])
)
def test_bodies_come_out_as_they_went_in(data, size, coding):
    """Whatever the coding and however the bytes are cut, the body is the same; over the limit it is an error."""
    packed = {
        "gzip": gzip.compress(data, mtime=0),
        "gzip members": gzip.compress(data[:9], mtime=0) + gzip.compress(data[9:], mtime=0),
        "deflate": zlib.compress(data),
        "raw": zlib.compress(data, 9, -15),
        None: data,
    }[coding]
    if coding is None and data.startswith(b"\x1f\x8b"):
        return
    name = {"gzip members": "gzip", "raw": "deflate"}.get(coding or "", coding)
    chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
    if (
        coding == "raw"
        and len(chunks[0]) > 1
        and chunks[0][0] & 15 == 8
        and int.from_bytes(chunks[0][:2], "big") % 31 == 0
    ):
        return  # a bare stream that begins like a wrapped one cannot be told from it
    assert body(chunks, name, "h", len(data), soon()) == data
    if data:
        with pytest.raises(FetchError) as caught:
            body(chunks, name, "h", len(data) - 1, soon())
        assert caught.value.kind == "size"


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", None]))
@settings(max_examples=200)
def test_any_bytes_are_a_body_or_an_error(data, coding):
    """Random bytes under any coding give a body or a FetchError, nothing else."""
    try:
        assert len(body([data], coding, "h", 1000, soon())) <= 1000
    except FetchError:
        assert data


def test_a_bomb_is_cut_while_it_unfolds():
    """1 GiB in 1 MB of gzip stops at the limit, and memory stays with it."""
    import tracemalloc

    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = engine.compress(b" ") + engine.flush(zlib.Z_FULL_FLUSH)
    piece = engine.compress(b" " * (1 << 20)) + engine.flush(zlib.Z_FULL_FLUSH)
    tracemalloc.start()
    with pytest.raises(FetchError, match="more than the 2 MB"):
        body([head + piece * 1024], "gzip", "h", 2_000_000, soon())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6_000_000


@pytest.mark.parametrize(
    ("packed", "coding"),
    [
        (gzip.compress(RSS, mtime=0)[:-9], "gzip"),
        (gzip.compress(RSS, mtime=0)[:-8] + b"\0" * 8, "gzip"),
        (zlib.compress(RSS)[:20], "deflate"),
    ],
    ids=["cut", "checksum", "cut deflate"],
)
def test_damaged_bodies(packed, coding):
    """Compressed data that end early or have a wrong checksum are an error, never half a feed."""
    with pytest.raises(FetchError) as caught:
        body([packed], coding, "h", 10_000, soon())
    assert caught.value.kind == "encoding"


@pytest.mark.parametrize(
    ("header", "coding"),
    [("", None), ("identity", None), ("GZIP", "gzip"), ("x-gzip", "gzip"), ("deflate, identity", "deflate")],
)
def test_codings_that_are_read(header, coding):
    """Names of codings in any case, identity left out."""
    assert coding_of(header, "h") == coding


@pytest.mark.parametrize("header", ["br", "zstd", "gzip, gzip", "gzip, deflate", "x-foo"])
def test_codings_that_were_not_offered(header):
    """brotli, zstd, others, and layers upon layers are refused by their label."""
    with pytest.raises(FetchError, match="not offered"):
        coding_of(header, "h")


def test_a_length_over_the_limit():
    """A Content-Length beyond the limit is refused from the header alone."""
    server = web(feed=httpx.Response(200, content=RSS, headers={"Content-Length": "100001"}))
    assert failure(server.fetcher(), "https://news.example/feed").kind == "size"


@pytest.mark.parametrize(
    ("page", "challenge"),
    [
        (b"<!DOCTYPE html><title>Just a moment...</title>", True),
        ("<html><body>请完成安全验证</body></html>".encode("gbk"), True),
        (b"<html><title>News</title></html>", False),
        (b"<?xml version='1.0'?><rss><channel><title>captcha</title></channel></rss>", False),
    ],
)
def test_challenge_pages(page, challenge):
    """A bot guard's page is told from a feed that mentions one, and is an error of its own kind."""
    assert is_challenge(page) is challenge
    server = web(feed=httpx.Response(200, content=page))
    if challenge:
        assert failure(server.fetcher(), "https://news.example/feed").kind == "challenge"
    else:
        assert server.fetcher().fetch("https://news.example/feed", **LIMITS).body == page


# --- files ----------------------------------------------------------------------------------------------------------


def test_files_only_where_allowed(tmp_path):
    """`file://` is refused unless the operator allows it; then a file is read, and is unchanged until it changes."""
    file = tmp_path / "feed 1.xml"
    file.write_bytes(RSS)
    url = file.as_uri()
    assert failure(Fetcher(), url).kind == "refused"
    fetcher = Fetcher(NetworkPolicy(allow_files=True))
    first = fetcher.fetch(url, **LIMITS)
    assert (first.status, first.body) == (200, RSS)
    assert fetcher.fetch(url, first.validators, **LIMITS).status == 304
    assert failure(fetcher, url, max_size=5).kind == "size"
    assert failure(fetcher, "file:///nowhere/at/all").kind == "missing"
    assert failure(fetcher, "file:///dev/zero").kind == "refused"
    assert failure(fetcher, "file://host/etc/passwd").kind == "refused"
    assert failure(fetcher, "file:///a%00b").kind == "refused"


# --- real sockets ---------------------------------------------------------------------------------------------------


class Sockets:
    """A server that says exactly these bytes, one list of pieces per connection, with pauses where a number stands."""

    def __init__(self, *scripts) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._scripts = scripts
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for script in self._scripts:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                for piece in script:
                    try:
                        self._play(connection, piece)
                    except OSError:
                        break

    def _play(self, connection, piece) -> None:
        if piece == "request":
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(4096)
        elif isinstance(piece, bytes):
            connection.sendall(piece)
        else:
            time.sleep(piece)

    def fetcher(self) -> Fetcher:
        """One that may ask it."""
        return Fetcher(NetworkPolicy(allow=frozenset({f"127.0.0.1:{self.port}"})))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listening.close()
        self._thread.join(5)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


def test_a_trickle_ends_at_the_deadline():
    """A byte now and then never trips a timeout per read; the total deadline ends it."""
    trickle = [piece for _ in range(400) for piece in (b"x", 0.05)]
    with Sockets(["request", b"HTTP/1.1 200 OK\r\n\r\n", *trickle]) as server, server.fetcher() as fetcher:
        begin = time.monotonic()
        error = failure(fetcher, server.url, timeout=timedelta(seconds=0.4))
        assert error.kind == "timeout"
        assert time.monotonic() - begin < 10


def test_a_kept_connection_that_was_closed():
    """A connection that the server closed just before it is used again is replaced without a word."""
    with (
        Sockets(["request", HEAD + b"ok", "request"], ["request", HEAD + b"ok"]) as server,
        server.fetcher() as fetcher,
    ):
        assert fetcher.fetch(server.url, **LIMITS).body == b"ok"
        assert fetcher.fetch(server.url, **LIMITS).body == b"ok"


def test_a_connection_is_kept():
    """Two answers come over one connection."""
    with Sockets(["request", HEAD + b"ok", "request", HEAD + b"ok"]) as server, server.fetcher() as fetcher:
        assert [fetcher.fetch(server.url, **LIMITS).body for _ in range(2)] == [b"ok", b"ok"]


@pytest.mark.parametrize(
    "answer",
    [
        [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 20_000],
        [b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 100_000],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"T: t\r\n" * 100_000],
        [b"HTTP/1.1 200 OK\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(1500)) + b"Content-Length: 0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nxxxxxx"],
        [b"\x00\x01\r\n\r\n"],
        [b"<rss/>"],
        [],
        [HEAD + b"o"],
    ],
)
def test_answers_that_are_no_http(answer):
    """Endless heads, broken framing, other protocols, nothing: an error in one sentence, soon."""
    with Sockets(["request", *answer]) as server, server.fetcher() as fetcher:
        error = failure(fetcher, server.url)
    assert error.kind in {"protocol", "size", "connection"}
    assert "127.0.0.1" in str(error)


def test_an_odd_byte_in_a_head_costs_only_its_header():
    """A control character in an ETag does not lose the feed, and is never sent back."""
    answer = b'HTTP/1.1 200 OK\r\nETag: "a\x0bb"\r\nContent-Length: 2\r\n\r\nok'
    with Sockets(["request", answer]) as server, server.fetcher() as fetcher:
        found = fetcher.fetch(server.url, **LIMITS)
    assert (found.body, found.validators) == (b"ok", Validators())


def test_nobody_listens():
    """A refused connection is an error that names host and port."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    fetcher = Fetcher(NetworkPolicy(allow=frozenset({f"127.0.0.1:{port}"})))
    error = failure(fetcher, f"http://127.0.0.1:{port}/")
    assert error.kind == "connect"
    assert str(port) in str(error)


def test_no_proxy_from_the_environment(monkeypatch):
    """A proxy that the environment names is not used: it would resolve names where the guard does not look."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9/")
    with Sockets(["request", HEAD + b"ok"]) as server, server.fetcher() as fetcher:
        assert fetcher.fetch(server.url, **LIMITS).body == b"ok"


def test_a_name_that_hangs(monkeypatch):
    """A resolver that does not answer holds nobody beyond the deadline."""
    waiting = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: waiting.wait(60) and [])
    begin = time.monotonic()
    error = failure(Fetcher(), "http://slow.example/", timeout=timedelta(seconds=0.2))
    waiting.set()
    assert error.kind in {"dns", "timeout"}
    assert time.monotonic() - begin < 10
