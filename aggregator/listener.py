"""One small HTTP listener for health, metrics, Atom and unsubscribing: off unless `listen:` in feeds.yaml asks for it.

    with Listener(("127.0.0.1", 8900), routes): ...

A route is a method and a path; a path that ends in `*` takes everything below it, the longest one first. Handlers get
a Request and give a Response; one that raises is answered 500 without a word about why, and said in the log.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from aggregator import log
from aggregator.errors import AggregatorError

PATIENCE = 10.0
"""Seconds for a request to arrive, and for its answer to be taken."""
MOST_AT_ONCE = 16
MOST_BODY = 65_536
"""Bytes of a request's body; unsubscribing needs 26 (RFC 8058)."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: the path without its query, unquoted; the last value of each field of the query and of a form."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""


@dataclass(frozen=True, slots=True)
class Response:
    """The answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Response]
Routes = Mapping[tuple[str, str], Handler]


def routed(routes: Routes, method: str, path: str) -> Handler | None:
    """The handler of a path: the exact one, else the longest `…*` that it begins with. HEAD asks as GET."""
    method = "GET" if method == "HEAD" else method
    if (method, path) in routes:
        return routes[method, path]
    below = [
        place for asked, place in routes if asked == method and place.endswith("*") and path.startswith(place[:-1])
    ]
    return routes[method, max(below, key=len)] if below else None


class Listener:
    """A server in a thread. Raises AggregatorError where the address cannot be listened on."""

    def __init__(self, where: tuple[str, int], routes: Routes) -> None:
        handler = type("Handler", (_Exchange,), {"routes": routes})
        kind = type("Server", (_Server,), {"address_family": socket.AF_INET6 if ":" in where[0] else socket.AF_INET})
        try:
            self._server = kind(where, handler)
        except OSError as error:
            raise AggregatorError(
                f"cannot listen on {where[0]}:{where[1]} ({error.strerror}); write another address at listen: in feeds.yaml"
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="listener", daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def listening(where: tuple[str, int] | None, routes: Routes) -> Iterator[int | None]:
    """A listener for the block, and its port; none where nobody asked for one."""
    if where is None:
        yield None
        return
    with Listener(where, routes) as found:
        yield found.port


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for each exchange, up to a number; whoever comes beyond it is sent away at once."""
        if not self._slots.acquire(blocking=False):
            with suppress(OSError):
                request.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """As in the standard library, and then the slot is free again."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Exchange(BaseHTTPRequestHandler):
    routes: Routes
    timeout = PATIENCE  # of every read and write on the connection
    server_version = "aggregator"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer."""
        self._answer()

    do_HEAD = do_POST = do_GET

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        handler = routed(self.routes, self.command, path)
        if handler is None:
            allowed = any(routed(self.routes, method, path) for method in ("GET", "POST"))
            self._send(Response(405, b"not that way\n") if allowed else Response(404, b"nothing here\n"))
            return
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MOST_BODY:
            self._send(Response(413, b"too long\n"))
            return
        body = self.rfile.read(int(length)) if int(length) else b""
        asked = Request(
            self.command,
            path,
            dict(parse_qsl(parts.query)),
            dict(parse_qsl(body.decode("utf-8", "replace"))),
            {name.lower(): value for name, value in self.headers.items()},
        )
        self._send(_handled(handler, asked))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("Connection", "close")
        for name, value in ({"X-Content-Type-Options": "nosniff"} | dict(response.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing: what is asked here is not news, and unsubscribing addresses are secret."""


def _handled(handler: Handler, asked: Request) -> Response:
    try:
        return handler(asked)
    except Exception as error:  # noqa: BLE001 - the listener outlives any one handler
        log.error("answer failed", path=asked.path.split("/")[1], error=f"{type(error).__name__}: {error}")
        return Response(500, b"that failed; the log says why\n")
