"""The one way out: sockets that are checked when they are opened and bounded for as long as they live.

An httpx transport over httpcore's pool, with a network backend of our own. The backend resolves the name itself,
looks at every answer and connects to the very address it looked at, so that an answer that changes in between
(DNS rebinding) changes nothing. All timeouts that come through are *instants* of the monotonic clock, not durations:
a server that sends one byte a second meets the same end as one that sends none.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

from aggregator.errors import FetchError
from aggregator.fetch.guard import Exceptions, address_class

HEAD_LIMIT = 256 * 1024
"""Bytes before a body begins, informational responses and one read-ahead of 64 kB included."""

CONNECTIONS = 4
"""Kept open by a transport, which serves one exchange at a time."""

_LOOKUPS = threading.BoundedSemaphore(64)  # look-ups that hang cannot be ended; this many may hang at once


def _left(deadline: float | None, host: str) -> float:
    if deadline is None:
        raise FetchError(f"{host} was asked without a time limit.", "timeout")
    left = deadline - time.monotonic()
    if left <= 0:
        raise FetchError(
            f"{host} did not finish answering within the feed's time limit; it is asked again later.", "timeout"
        )
    return left


class Stale(Exception):
    """A connection that was kept open had been closed by the server just as it was used again."""


class GuardedStream(httpcore.NetworkStream):
    """A connected socket with an end in time and a bound on what may be received."""

    def __init__(self, sock: socket.socket, host: str) -> None:
        self._sock = sock
        self._host = host
        self._budget = HEAD_LIMIT
        self._fresh = True
        self._answered = 0

    def expect(self, size: int) -> None:
        """After the head: `size` bytes may still come, framing included."""
        self._budget = size

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has arrived, at most `max_bytes`. Raises FetchError at the deadline or beyond the budget."""
        self._sock.settimeout(_left(timeout, self._host))
        try:
            data = self._sock.recv(max_bytes)
        except TimeoutError:
            _left(0.0, self._host)
            raise
        except OSError as error:
            self._check_stale()
            raise FetchError(
                f"{self._host} broke the connection ({_reason(error)}); it is asked again later.", "connection"
            ) from error
        self._budget -= len(data)
        if self._budget < 0:
            raise FetchError(f"{self._host} sent more than its answer may hold and was cut off.", "size")
        if self._fresh:
            if not data:
                self._check_stale()
            self._fresh = False
            self._answered += 1
            data = _legible(data)
        return data

    def _check_stale(self) -> None:
        if self._fresh and self._answered:
            self.close()
            raise Stale

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send a request; a new head may follow."""
        if not buffer:
            return
        self._budget = HEAD_LIMIT
        self._fresh = True
        self._sock.settimeout(_left(timeout, self._host))
        try:
            self._sock.sendall(buffer)
        except TimeoutError:
            _left(0.0, self._host)
        except OSError as error:
            # httpcore then reads what the server may have said before it closed.
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same stream inside TLS; the certificate must name the host."""
        self._sock.settimeout(_left(timeout, self._host))
        try:
            return GuardedStream(ssl_context.wrap_socket(self._sock, server_hostname=server_hostname), self._host)
        except TimeoutError:
            self.close()
            _left(0.0, self._host)
            raise
        except (OSError, ValueError) as error:
            self.close()
            why = getattr(error, "verify_message", "") or _reason(error)
            raise FetchError(f"{self._host} has no valid TLS certificate or speaks no TLS ({why}).", "tls") from error

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks: whether TLS is spoken, whether an idle socket has become readable."""
        if info == "ssl_object":
            return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        if info == "is_readable":
            if self._sock.fileno() < 0:
                return True
            waiting = select.poll()
            waiting.register(self._sock, select.POLLIN)
            return bool(waiting.poll(0))
        return None


_CONTROLS = bytes.maketrans(b"\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f", b"\x7f" * 12)


def _legible(data: bytes) -> bytes:
    """The start of an answer with controls in its head made DEL, which h11 lets through and we never send back.

    One odd byte in an ETag would otherwise cost the whole feed.
    """
    end = data.find(b"\r\n\r\n")
    return data[:end].translate(_CONTROLS) + data[end:] if end > 0 else data


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def resolve(host: str, port: int, deadline: float) -> list[str]:
    """Addresses of a host in the resolver's order, each once; FetchError when there are none in time.

    The system's resolver takes no timeout, so it runs in a thread that is left behind at the deadline.
    """
    answer: list[str] = []
    failure: list[BaseException] = []
    done = threading.Event()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.extend(dict.fromkeys(str(entry[4][0]) for entry in found))
        except (OSError, UnicodeError) as error:
            failure.append(error)
        finally:
            _LOOKUPS.release()
            done.set()

    if not _LOOKUPS.acquire(timeout=_left(deadline, host)):
        _left(0.0, host)
    threading.Thread(target=look_up, name="lookup", daemon=True).start()
    if not done.wait(_left(deadline, host)):
        raise FetchError(f"The name {host} was not resolved in time; check the machine's DNS.", "dns")
    if not answer:
        raise FetchError(f"The name {host} does not resolve; check its spelling and the machine's DNS.", "dns") from (
            failure[0] if failure else None
        )
    return answer


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections to public addresses, and to the operator's exceptions, only."""

    def __init__(self, allow: Exceptions) -> None:
        self._allow = allow

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve, check every answer, connect to the first that accepts."""
        _left(timeout, host)
        deadline = timeout or 0.0
        addresses = _literal(host) or resolve(host, port, deadline)
        if not self._allow.has(host, port):
            for address in addresses:
                if why := address_class(address):
                    raise FetchError(
                        f"{host} leads to {address}, {why}, and is not asked; "
                        f'`network.allow: ["{host}:{port}"]` in feeds.yaml would allow it.',
                        "refused",
                    )
        return GuardedStream(_connect(addresses, host, port, deadline), host)

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Any:
        """Never."""
        raise FetchError(f"{path} is a local socket and is not asked.", "refused")


def _literal(host: str) -> list[str]:
    """The host itself where it is an address in its plain spelling; decimal and octal go through the resolver."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return [socket.inet_ntop(family, socket.inet_pton(family, host))]
        except (OSError, ValueError):
            continue
    return []


def _connect(addresses: list[str], host: str, port: int, deadline: float) -> socket.socket:
    failure: OSError | None = None
    for index, address in enumerate(addresses[:4]):  # more than four is a pool of which one is enough
        share = _left(deadline, host) / (min(len(addresses), 4) - index)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(share)
            sock.connect((address, port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    why = "no answer in time" if isinstance(failure, TimeoutError) else _reason(failure or OSError())
    raise FetchError(
        f"{host} does not accept connections on port {port} ({why}); it is asked again later.", "connect"
    ) from failure


@contextmanager
def _spoken(host: str) -> Iterator[None]:
    """What httpcore complains about, as one sentence about the host."""
    try:
        yield
    except (httpcore.ProtocolError, httpcore.NetworkError, httpcore.TimeoutException) as error:
        what = "answered with something that is not proper HTTP"
        if "disconnected" in str(error) or "peer closed" in str(error):
            what = "closed the connection before its answer was complete"
        raise FetchError(f"{host} {what}; it is asked again later.", "protocol") from error


class _Body(httpx.SyncByteStream):
    """httpcore's stream as httpx wants it."""

    def __init__(self, stream: Any, host: str) -> None:
        self._stream = stream
        self._host = host

    def __iter__(self) -> Iterator[bytes]:
        with _spoken(self._host):
            yield from self._stream

    def close(self) -> None:
        self._stream.close()


class GuardedTransport(httpx.BaseTransport):
    """HTTP/1.1 over guarded connections; used by one exchange at a time, so a few connections are plenty.

    httpcore looks at each of its connections for each request (reference/performance.md: 50 cost five times 8).
    """

    def __init__(self, allow: Exceptions, context: ssl.SSLContext | None = None) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=CONNECTIONS,
            keepalive_expiry=15.0,
            network_backend=GuardedBackend(allow),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; `extensions["timeout"]` holds instants. Raises FetchError."""
        url = request.url
        asked = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _spoken(url.host):
            answer = self._pool.handle_request(asked)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream, url.host), extensions=answer.extensions
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
