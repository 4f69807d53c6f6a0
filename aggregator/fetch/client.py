"""One GET, as a guest: conditional, guarded at every hop, bounded in bytes and in time, its failures one sentence.

    fetch ── check_url ── request ── redirect? (again from the start) ── status ── body under the limit ── Fetched

httpx requests over `transport.GuardedTransport`; redirects are followed here, because each one has to be checked and
counted. There is no cookie jar, no proxy from the environment, and credentials go to the host they were written for.
"""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Self
from urllib.parse import unquote

import httpx

from aggregator import addresses, polite
from aggregator.errors import FetchError
from aggregator.fetch.challenge import is_challenge
from aggregator.fetch.guard import Exceptions, brief, check_url
from aggregator.fetch.hosts import HostLimits
from aggregator.fetch.inflate import body, coding_of, too_big
from aggregator.fetch.localfile import read_file
from aggregator.fetch.transport import CONNECTIONS, GuardedTransport, Stale
from aggregator.model import Fetched, Validators

MAX_REDIRECTS = 5
MAX_HEADERS = 1000
MAX_VALIDATOR = 1024
"""Longer validators are not kept: they would be sent with every request. The longest real ones have some 100."""

THROTTLED = timedelta(minutes=1)
"""How long a whole host is left alone after 429 without a `Retry-After`, or with a shorter one."""

LONGEST_HOLD = timedelta(minutes=15)
"""And the longest with one: the feed that was told waits in full, its neighbours need not."""

FEED_TYPES = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"
PAGE_TYPES = "text/html, application/xhtml+xml, */*;q=0.5"

_FEEDS = FEED_TYPES.encode()
_REDIRECTS = {301, 302, 303, 307, 308}
_PERMANENT = {301, 308}
_GOOD = {200, 201, 203}
_FRAMING = 1 << 20  # chunk sizes, trailers: what a body of the allowed size may need beyond itself
_NO_VALIDATORS = Validators()


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """What the operator decided about going out.

    `contact` stands in the User-Agent; `allow` holds exact `host:port` exceptions from the guard; `rsshub` the
    `host:port` of RSSHub instances, limited per route, whose URLs `sign` completes with the access code just before
    they are sent; `pause` lies between two requests to one host, the operator's own under `allow` excepted unless
    `pause_all`.
    """

    contact: str | None = None
    allow: frozenset[str] = frozenset()
    user_agent: str = "aggregator/0.1"
    pause: timedelta = timedelta(seconds=1)
    pause_all: bool = False
    per_host: int = 1
    allow_files: bool = False
    rsshub: frozenset[str] = frozenset()
    sign: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True)
class _Hop:
    """Where the chain of redirects stands."""

    url: httpx.URL
    userinfo: bytes = b""
    permanent: bool = True
    seen: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What stays the same from hop to hop."""

    validators: Validators
    max_size: int
    now: datetime
    accept: bytes


class Fetcher:
    """Sends GET requests under a policy; safe to use from many threads at once.

    `transport`, for tests, is a function's (`httpx.MockTransport`) and serves every request.
    """

    def __init__(self, policy: NetworkPolicy = NetworkPolicy(), transport: httpx.BaseTransport | None = None) -> None:
        self.policy = policy
        free = frozenset() if policy.pause_all else policy.allow
        self.hosts = HostLimits(policy.pause, policy.per_host, free=free, per_route=policy.rsshub)
        self._fixed = transport
        self._exceptions = Exceptions.of(policy.allow)
        self._idle: dict[str, list[httpx.BaseTransport]] = {"http": [], "https": []}
        self._all: list[httpx.BaseTransport] = []
        self._lock = threading.Lock()
        agent = f"{policy.user_agent} (+{policy.contact})" if policy.contact else policy.user_agent
        self._agent = agent.encode("ascii", "replace").translate(None, b"\r\n\x00")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for transport in self._all:
                transport.close()
            self._all.clear()
            self._idle = {"http": [], "https": []}

    def fetch(
        self,
        url: str,
        validators: Validators = _NO_VALIDATORS,
        *,
        timeout: timedelta,
        max_size: int,
        now: datetime,
        accept: str = FEED_TYPES,
        force: bool = False,
    ) -> Fetched:
        """What the URL holds now: status 200, 201 or 203 with a body, or 304 without one.

        `timeout` bounds everything from the look-up to the last byte of the last redirect, waiting for the host's
        turn excepted; `max_size` is in bytes after decompression; `force` asks a host that wants to be left alone.
        Raises FetchError.
        """
        if url.lower().startswith("file:"):
            return read_file(url, validators, max_size, allowed=self.policy.allow_files)
        hop = self._first(url)
        asked = _Asked(validators, max_size, now, accept.encode())
        if not force and (wait := self.hosts.held(hop.url, now)):
            left = round(wait.total_seconds())
            raise FetchError(
                f"{_host(hop.url)} asked to be left alone for another {left} s.", "wait", retry_after=wait
            )
        with self.hosts.turn(hop.url):
            deadline = time.monotonic() + timeout.total_seconds()
            for _ in range(MAX_REDIRECTS + 1):
                found = self._exchange(hop, asked, deadline)
                if isinstance(found, Fetched):
                    return found
                hop = found
        raise FetchError(f"{_host(hop.url)} redirects more than {MAX_REDIRECTS} times; check the address.", "redirect")

    # --- one exchange -------------------------------------------------------------------------------------------

    def _first(self, url: str) -> _Hop:
        check_url(url, self._exceptions)
        return _Hop(*_without_userinfo(_parse(url)))

    def _exchange(self, hop: _Hop, asked: _Asked, deadline: float) -> Fetched | _Hop:
        request = self._request(hop, asked, deadline)
        host = _host(hop.url)
        transport = self._borrow(hop.url.scheme)
        try:
            response = _sent(transport, request)
            try:
                if len(response.headers.raw) > MAX_HEADERS:
                    raise FetchError(f"{host} sent {len(response.headers.raw)} header lines.", "protocol")
                if response.status_code in _REDIRECTS:
                    return self._next(hop, response)
                self._check_status(hop, response, asked)
                return self._fetched(hop, response, asked, deadline)
            finally:
                response.close()
        except httpx.HTTPError as error:  # only from transports that tests put in
            raise FetchError(
                f"{host} did not answer ({type(error).__name__}); it is asked again later.", "connection"
            ) from error
        finally:
            self._idle[hop.url.scheme].append(transport)

    def _request(self, hop: _Hop, asked: _Asked, deadline: float) -> httpx.Request:
        validators = asked.validators
        headers = [
            (b"User-Agent", self._agent),
            (b"Accept", asked.accept),
            (b"Accept-Encoding", b"gzip, deflate"),
        ]
        if validators.etag:
            headers.append((b"If-None-Match", validators.etag.encode("latin-1", "ignore")))
        if validators.last_modified:
            headers.append((b"If-Modified-Since", validators.last_modified.encode("latin-1", "ignore")))
        if hop.userinfo:
            headers.append((b"Authorization", b"Basic " + base64.b64encode(unquote(hop.userinfo.decode()).encode())))
        times = {"connect": deadline, "read": deadline, "write": deadline, "pool": 1.0}
        url = hop.url
        if self.policy.sign and self.hosts.is_rsshub(url):
            url = _parse(self.policy.sign(str(url)))
        return httpx.Request("GET", url, headers=headers, extensions={"timeout": times})

    def _next(self, hop: _Hop, response: httpx.Response) -> _Hop:
        here = _host(hop.url)
        location = _location(response)
        if not location:
            raise FetchError(f"{here} redirects without saying where to; check the address.", "redirect")
        try:
            url = hop.url.join(location).copy_with(fragment=None)
            check_url(str(url) if _relative(location) else location, self._exceptions)
        except FetchError as error:
            raise FetchError(f"{here} redirects to an address that is not asked: {error}", "refused") from error
        except (httpx.InvalidURL, ValueError) as error:
            raise FetchError(f"{here} redirects to an unreadable address {brief(location)}.", "refused") from error
        url, _ = _without_userinfo(url)  # a server cannot give us credentials
        seen = hop.seen | {str(hop.url)}
        if str(url) in seen:
            raise FetchError(f"{here} redirects in a circle; check the address.", "redirect")
        secure = not (hop.url.scheme == "https" and url.scheme == "http")
        permanent = hop.permanent and response.status_code in _PERMANENT and secure
        return _Hop(url, hop.userinfo if _same_place(hop.url, url) else b"", permanent, seen)

    def _check_status(self, hop: _Hop, response: httpx.Response, asked: _Asked) -> None:
        status, now = response.status_code, asked.now
        if status in _GOOD or (status == HTTPStatus.NOT_MODIFIED and asked.validators != _NO_VALIDATORS):
            return
        wait = _retry_after(response, now)
        if _header(response, "cf-mitigated") == "challenge":
            raise FetchError(
                f"{_host(hop.url)} shows a challenge page to robots; ask its owner.", "challenge", code=status
            )
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self.hosts.hold(hop.url, now + min(max(wait or THROTTLED, THROTTLED), LONGEST_HOLD))
        raise _status_error(_host(hop.url), status, wait, redirected=bool(hop.seen))

    def _fetched(self, hop: _Hop, response: httpx.Response, asked: _Asked, deadline: float) -> Fetched:
        host = _host(hop.url)
        unchanged = response.status_code == HTTPStatus.NOT_MODIFIED
        content = self._body(response, host, 0 if unchanged else asked.max_size, deadline)
        if asked.accept == _FEEDS and is_challenge(content):
            raise FetchError(
                f"{host} shows a challenge page to robots instead of the feed; ask its owner.", "challenge"
            )
        given = _validators(response)
        if unchanged:
            had = asked.validators
            given = Validators(given.etag or had.etag, given.last_modified or had.last_modified)
        moved = hop.permanent and hop.seen and not hop.userinfo and not self.hosts.is_rsshub(hop.url)
        return Fetched(
            url=addresses.masked(str(hop.url)),
            status=response.status_code,
            body=content,
            content_type=_header(response, "content-type"),
            validators=given,
            retry_after=_retry_after(response, asked.now),
            max_age=polite.max_age(_header(response, "cache-control")),
            permanent_url=str(hop.url) if moved else None,
        )

    def _body(self, response: httpx.Response, host: str, max_size: int, deadline: float) -> bytes:
        stream = response.extensions.get("network_stream")
        if stream is not None:
            stream.expect(max_size + _FRAMING)
        coding = coding_of(_header(response, "content-encoding") or "", host) if max_size else None
        length = _header(response, "content-length") or ""
        if length.isdecimal() and max_size and int(length[:20]) > max_size:
            raise too_big(host, max_size)
        return body(response.stream, coding, host, max_size, deadline)  # type: ignore[arg-type]  # sync transports only

    # --- connections --------------------------------------------------------------------------------------------

    def _borrow(self, scheme: str) -> httpx.BaseTransport:
        if self._fixed is not None:
            return self._fixed
        try:
            return self._idle[scheme].pop()
        except IndexError:
            with self._lock:
                made = GuardedTransport(self._exceptions, self._tls if scheme == "https" else None)
                self._all.append(made)
            return made

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Loading the certificates takes some 20 ms: once, and only where https is spoken.
        return httpx.create_ssl_context(trust_env=False)


# --- reading answers ------------------------------------------------------------------------------------------------


def _sent(transport: httpx.BaseTransport, request: httpx.Request) -> httpx.Response:
    """The head of the answer; asked again where only kept connections turn out to be closed (each is tried once)."""
    for _ in range(CONNECTIONS):
        try:
            return transport.handle_request(request)
        except Stale:
            continue
    return transport.handle_request(request)


def _parse(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchError(f"{brief(url)} is not a readable address; check it.", "refused") from error
    if not parsed.host:
        raise FetchError(f"{brief(url)} names no host; check it.", "refused")
    return parsed.copy_with(fragment=None) if parsed.fragment else parsed


def _without_userinfo(url: httpx.URL) -> tuple[httpx.URL, bytes]:
    return (url.copy_with(username="", password=""), url.userinfo) if url.userinfo else (url, b"")


def _host(url: httpx.URL) -> str:
    return url.host if url.port is None else f"{url.host}:{url.port}"


def _same_place(one: httpx.URL, other: httpx.URL) -> bool:
    """The same origin, or the same host moving from http to https on the usual ports (as browsers and httpx see it)."""
    if one.host != other.host:
        return False
    same = (one.scheme, one.port) == (other.scheme, other.port)
    return same or (one.scheme == "http" and other.scheme == "https" and one.port is other.port is None)


def _header(response: httpx.Response, name: str) -> str | None:
    """A header's bytes, one character each; never guessed to be another encoding."""
    wanted = name.encode()
    return next((value.decode("latin-1") for key, value in response.headers.raw if key.lower() == wanted), None)


def _retry_after(response: httpx.Response, now: datetime) -> timedelta | None:
    """Counted from the server's own clock where it tells it: ours or its may be wrong."""
    value = _header(response, "retry-after")
    if value is None:
        return None
    return polite.retry_after(value, polite.http_date(_header(response, "date") or "") or now)


def _location(response: httpx.Response) -> str:
    raw = (_header(response, "location") or "").encode("latin-1")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.strip(" ").replace(" ", "%20")  # as browsers do; in a host's place it is refused all the same


def _relative(location: str) -> bool:
    """Whether a Location names no scheme and no host of its own that joining could hide."""
    return not location.startswith(("\\", "/\\")) and ":" not in location.split("/", 1)[0].split("?", 1)[0]


def _validators(response: httpx.Response) -> Validators:
    return Validators(_sendable(_header(response, "etag")), _sendable(_header(response, "last-modified")))


def _sendable(value: str | None) -> str | None:
    """A validator that can be sent back as it came; None where it cannot (controls, megabytes)."""
    ok = value and len(value) <= MAX_VALIDATOR and not any(char < " " or char == "\x7f" for char in value)
    return value if ok else None


_LATER = ("http", "it is asked again later")
_ADVICE: Mapping[int, tuple[str, str]] = {
    204: ("empty", "nothing came; it is asked again later"),
    205: ("empty", "nothing came; it is asked again later"),
    304: ("http", "although nothing was known of it before; its server is misconfigured"),
    401: ("auth", "it wants a user name and password: write them into the feed's URL"),
    403: ("denied", "it refuses us; a contact in feeds.yaml or another URL may help"),
    404: ("missing", "the feed is not there; look for its new address"),
    410: ("gone", "the feed is gone for good; remove it or give another URL"),
    429: ("throttled", "we asked too often; it is left alone for a while"),
}


def _status_error(host: str, status: int, wait: timedelta | None, *, redirected: bool) -> FetchError:
    # The server's own reason phrase is not repeated: it may hold anything.
    name = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "no known status"
    # Where a redirect leads to may be gone for now only: a feed is retired by its own address alone.
    kind, advice = _ADVICE.get(404 if redirected and status == HTTPStatus.GONE else status, _LATER)
    return FetchError(f"{host} answered {status} ({name}): {advice}.", kind, code=status, retry_after=wait)
