"""Bodies decompressed under a limit: the limit holds for what comes out, while it comes out.

500 bytes can unfold to hundreds of megabytes in a single call (reference/libraries.md, gotcha 1), so every call to zlib
gets a maximum and the rest waits. Only gzip and deflate exist here, one layer of either.
"""

from __future__ import annotations

import itertools
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Self

from aggregator.errors import FetchError

_GZIP = b"\x1f\x8b"
_PIECE = 256 * 1024

LARGE = 1_000_000
"""Bytes from which a body counts as large; the median feed has some 50 kB, one in a hundred more than 1 MB."""

_LARGE_ONES = threading.BoundedSemaphore(2)


class _Inflater:
    """One compressed stream, gzip members in a row included; gives what it holds in bounded pieces."""

    def __init__(self, coding: str, host: str) -> None:
        self._coding = coding
        self._host = host
        self._engine: zlib._Decompress | None = None
        self._members = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What comes out of `data`; FetchError on damage."""
        while data and not self._is_padding(data):
            engine = self._engine = self._engine or self._start(data)
            try:
                yield engine.decompress(data, _PIECE)
            except zlib.error as error:
                message = f"{self._host} sent damaged {self._coding} data; it is asked again later."
                raise FetchError(message, "encoding") from error
            data = engine.unconsumed_tail
            if engine.eof:
                data, self._engine = engine.unused_data, None
                self._members += 1

    def _is_padding(self, data: bytes) -> bool:
        """Whether this follows the last member and starts no other."""
        follows = self._members > 0 and self._engine is None
        return follows and not (self._coding == "gzip" and data.startswith(_GZIP[:1]))

    def _start(self, data: bytes) -> zlib._Decompress:
        if self._coding == "gzip":
            return zlib.decompressobj(31)
        # RFC 9110 8.4.1.2 means zlib; some servers send the bare stream. The zlib header is a multiple of 31.
        wrapped = len(data) > 1 and data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0
        return zlib.decompressobj(15 if wrapped else -15)

    def finish(self) -> None:
        """FetchError where the stream ends early."""
        if self._engine is not None:
            message = f"{self._host} sent {self._coding} data that ends early; it is asked again later."
            raise FetchError(message, "encoding")


def too_big(host: str, limit: int) -> FetchError:
    """What is raised when a body passes the limit."""
    return FetchError(
        f"{host} sent more than the {limit / 1_000_000:g} MB this feed may have; raise `max_size` if that is right.",
        "size",
    )


def coding_of(header: str, host: str) -> str | None:
    """`gzip`, `deflate` or None from Content-Encoding; FetchError for others and for more than one."""
    named = [name for name in (part.strip().lower() for part in header.split(",")) if name not in ("", "identity")]
    if not named:
        return None
    coding = named[0].removeprefix("x-")
    if len(named) > 1 or coding not in ("gzip", "deflate"):
        raise FetchError(f"{host} sent an encoding that was not offered (only gzip and deflate are).", "encoding")
    return coding


class _Room:
    """Permission to grow large: two bodies at a time, so that many large ones at once do not fill the memory."""

    def __init__(self, host: str, deadline: float) -> None:
        self._host = host
        self._deadline = deadline
        self._held = False

    def claim(self, size: int) -> None:
        """Wait for one of the places once a body is large; FetchError at the deadline."""
        if self._held or size < LARGE:
            return
        if not _LARGE_ONES.acquire(timeout=max(self._deadline - time.monotonic(), 0)):
            raise FetchError(
                f"{self._host} sends a large body while others are being read; it is asked again.", "timeout"
            )
        self._held = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._held:
            _LARGE_ONES.release()


def body(chunks: Iterable[bytes], coding: str | None, host: str, limit: int, deadline: float) -> bytes:
    """The whole body, decompressed, at most `limit` bytes. Raises FetchError beyond it or on damage.

    gzip without its label is recognised, text under a gzip label is taken as it is. `deadline` is an instant of the
    monotonic clock.
    """
    # A list of pieces, not one growing buffer: what is copied again and again in many threads stays with the process.
    parts: list[bytes] = []
    size = 0
    with _Room(host, deadline) as room:
        for part in _plain(chunks, coding, host):
            parts.append(part)
            size += len(part)
            room.claim(size)
            if size > limit:
                raise too_big(host, limit)
        return b"".join(parts)


def _plain(chunks: Iterable[bytes], coding: str | None, host: str) -> Iterator[bytes]:
    """The body's bytes in pieces, decompressed where they are compressed."""
    source = iter(chunks)
    head = b""
    for chunk in source:
        head += chunk
        if len(head) > 1:
            break
    if coding != "deflate" and not head.startswith(_GZIP):
        yield head
        yield from source
        return
    inflater = _Inflater(coding or "gzip", host)
    for chunk in itertools.chain([head] if head else [], source):
        yield from inflater.pieces(chunk)
    inflater.finish()
