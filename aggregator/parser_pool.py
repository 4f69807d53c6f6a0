"""Feeds are parsed in child processes with limits, so that a hostile one costs its own feed and nothing else.

There is no path around the child: quadratic input cannot be told from good input by its size (`reliability.md` has 5 MB
that take 530 MB and 60 kB that take 20 s), and a child that is reused costs well under a millisecond a feed
(`benchmarks/parsing.py`). A child is a plain `python -m aggregator.parser_pool` that reads requests from its standard input
and ends with it, so it never outlives its parent, however that ends; it gets no environment but the path to itself.

A message is its length in 8 bytes, a JSON value, and for a request the body: nothing that a parser gone wrong could
send back is executed.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from aggregator.errors import ParseError
from aggregator.model import Document, Entry

CPU = 10.0  # seconds for one document, kernel time included
MEMORY = 512 * 1024 * 1024  # bytes of address space of a child
_WALL = 60.0  # seconds, for a child that neither computes nor answers
_PATIENCE = 1.0  # seconds that a child may be at one document before another is started for those that wait
_RECYCLE = 5_000  # documents; a start takes 0.15 s of CPU, memory is flat from the first to the 3,000th
_HEAVY = 200 * 1024  # kilobytes of peak memory after which a child is not used again
_COLLECT = 20  # documents
_LENGTH = struct.Struct(">QQ")


class ParserPool:
    """`parse_feed` in at most `size` child processes, which start when they are needed; for any number of threads.

    Close it, or use it as a context; children end with the process in any case.
    """

    def __init__(self, size: int = 2, *, cpu: float = CPU, memory: int = MEMORY, recycle: int = _RECYCLE) -> None:
        self._limits = {"cpu": cpu, "memory": memory, "recycle": recycle}
        self._slots = threading.BoundedSemaphore(size)
        self._idle: list[_Child] = []
        self._busy = 0
        self._begun = 0.0  # when the newest of the documents at work was begun
        self._back = threading.Condition()
        self._closed = False
        self._finalizer = weakref.finalize(self, _end_all, self._idle)

    def parse(self, body: bytes, *, content_type: str | None, url: str, timezone: str, now: datetime) -> Document:
        """What `parse_feed` returns or raises; ParseError too where a limit ended the child (the next call gets a new one)."""
        request = {"content_type": content_type, "url": url, "timezone": timezone, "now": now.isoformat()}
        return _document(self._asked(request, body))

    def page(self, body: bytes, request: Mapping[str, Any]) -> str:
        """What `fulltext.page` returns or raises for an article's page, under the same limits.

        `request` holds the fields of a `fulltext.Request`.
        """
        return str(self._asked({"page": dict(request)}, body)["html"])

    def _asked(self, request: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        with self._slots:
            answer = self._answer(request, body)
        if "error" in answer:
            raise ParseError(answer["error"], answer["kind"])
        return answer

    def _answer(self, request: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        child, is_spent = self._taken(), True
        try:
            child = child or _Child(self._limits)
            answer = child.ask(request, body)
            is_spent = answer.pop("last", False) or self._closed
        finally:
            if is_spent and child:
                child.end()
            with self._back:
                self._busy -= 1
                if child and not is_spent:
                    self._idle.append(child)
                self._back.notify()
        return answer

    def _taken(self) -> _Child | None:
        """An idle child that is still alive, waited for while another is at work; None where one has to be started.

        A document takes milliseconds, a start a fifth of a second: a second child pays where the first is held up by
        one document, not where many wait for it.
        """
        with self._back:
            while self._busy and not self._idle and (left := self._begun + _PATIENCE - time.monotonic()) > 0:
                self._back.wait(left)
            self._busy += 1
            self._begun = time.monotonic()
            while self._idle:
                child = self._idle.pop()
                if child.is_alive():
                    return child
                child.end()
        return None

    def close(self) -> None:
        """End the idle children; those at work end with their document."""
        self._closed = True
        _end_all(self._idle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _end_all(children: list[_Child]) -> None:
    while children:
        children.pop().end()


class _Child:
    """One child process and its two pipes."""

    def __init__(self, limits: Mapping[str, float]) -> None:
        self._limits = limits
        root = str(Path(__file__).resolve().parent.parent)
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and this module
            [sys.executable, "-m", "aggregator.parser_pool", json.dumps(limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env={"PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8", "PATH": os.defpath},
        )

        if self._process.stdin is None or self._process.stdout is None:
            raise OSError("the child has no pipes")
        self._requests, self._answers = self._process.stdin, self._process.stdout
        os.set_blocking(self._requests.fileno(), False)  # a large body must not block past the deadline

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        """The child's answer; ParseError where it died or was ended for want of one."""
        head = json.dumps(request).encode()
        deadline = time.monotonic() + _WALL
        try:
            _write(self._requests.fileno(), _LENGTH.pack(len(head), len(body)) + head, deadline)
            _write(self._requests.fileno(), body, deadline)
            length, _ = _LENGTH.unpack(_read(self._answers.fileno(), _LENGTH.size, deadline))
            answer: dict[str, Any] = json.loads(_read(self._answers.fileno(), length, deadline))
        except (OSError, EOFError, ValueError) as error:
            raise self._why(error) from error
        return answer

    def _why(self, error: Exception) -> ParseError:
        if isinstance(error, TimeoutError):
            return ParseError(f"did not end being parsed within {_WALL:.0f} s", "cpu")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        if self._process.returncode in {-signal.SIGPROF, -signal.SIGXCPU}:
            return ParseError(f"took more than {self._limits['cpu']:g} s of CPU to parse", "cpu")
        return ParseError(
            f"ended its parser (status {self._process.returncode}; perhaps it needs more than {self._limits['memory'] // 2**20} MB)",
            "memory",
        )

    def end(self) -> None:
        """End the process and reap it; never raises, so that a failure of one feed stays one."""
        for pipe in (self._requests, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            self._process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _write(handle: int, data: bytes, deadline: float) -> None:
    view = memoryview(data)
    while view:
        _await(handle, select.POLLOUT, deadline)
        with contextlib.suppress(BlockingIOError):
            view = view[os.write(handle, view) :]


def _read(handle: int, length: int, deadline: float) -> bytes:
    pieces = []
    while length:
        _await(handle, select.POLLIN, deadline)
        piece = os.read(handle, min(length, 1 << 20))
        if not piece:
            raise EOFError
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _await(handle: int, event: int, deadline: float) -> None:
    poller = select.poll()
    poller.register(handle, event)
    if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError


# --- Document <-> JSON ------------------------------------------------------------------------------------------


def _json(document: Document) -> dict[str, Any]:
    return {
        "title": document.title,
        "link": document.link,
        "lang": document.lang,
        "ttl": document.ttl.total_seconds() if document.ttl else None,
        "notes": document.notes,
        "entries": [_row(entry) for entry in document.entries],
    }


def _row(entry: Entry) -> tuple[Any, ...]:
    published = entry.published.timestamp() if entry.published else None
    updated = entry.updated.timestamp() if entry.updated else None
    return (
        entry.guid,
        entry.link,
        entry.title,
        entry.html,
        entry.author,
        published,
        updated,
        entry.date_note,
        entry.tags,
        entry.lang,
    )


def _document(answer: Mapping[str, Any]) -> Document:
    return Document(
        entries=tuple(_entry(row) for row in answer["entries"]),
        title=answer["title"],
        link=answer["link"],
        lang=answer["lang"],
        ttl=None if answer["ttl"] is None else timedelta(seconds=answer["ttl"]),
        notes=tuple(answer["notes"]),
    )


def _entry(row: list[Any]) -> Entry:
    guid, link, title, html, author, published, updated, date_note, tags, lang = row
    return Entry(guid, link, title, html, author, _instant(published), _instant(updated), date_note, tuple(tags), lang)


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


# --- the child --------------------------------------------------------------------------------------------------


def serve(source: BinaryIO, target: BinaryIO, limits: Mapping[str, float]) -> None:
    """Answer requests until the source ends; a document over the CPU limit ends the process by SIGPROF."""
    import resource

    # Collecting while a document grows costs a sixth of the time and finds nothing; between two it costs nobody.
    gc.set_threshold(200_000, 50, 50)
    import aggregator.parse  # noqa: F401 - only here: the parent has no use for feedparser, 20 MB and 30 ms

    resource.setrlimit(resource.RLIMIT_AS, (int(limits["memory"]),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Linux counts the parent's memory at the start as this process's peak: of a large parent no child would be kept.
    heavy = max(_HEAVY, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides what it means
    gc.freeze()
    for served in range(1, int(limits["recycle"]) + 1):
        head = source.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return
        length, size = _LENGTH.unpack(head)
        request, body = json.loads(source.read(length)), source.read(size)
        signal.setitimer(signal.ITIMER_PROF, limits["cpu"])
        answer = _answered(request, body, limits)
        signal.setitimer(signal.ITIMER_PROF, 0)
        is_spent = served >= limits["recycle"] or answer.get("kind") == "memory"
        is_last = is_spent or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > heavy
        data = json.dumps({**answer, "last": is_last}, ensure_ascii=False).encode()
        target.write(_LENGTH.pack(len(data), 0) + data)
        target.flush()
        if is_last:
            return
        if served % _COLLECT == 0:
            gc.collect()


def _answered(request: dict[str, Any], body: bytes, limits: Mapping[str, float]) -> dict[str, Any]:
    try:
        if "page" in request:
            from aggregator import fulltext  # only where a feed asks for full text

            return {"html": fulltext.page(body, fulltext.Request(**request["page"]))}
        from aggregator.parse import parse_feed

        return _json(parse_feed(body, **{**request, "now": datetime.fromisoformat(request["now"])}))
    except ParseError as error:
        return {"error": str(error), "kind": error.kind}
    except MemoryError:
        return {"error": f"needs more than {int(limits['memory']) // 2**20} MB to parse", "kind": "memory"}


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer, json.loads(sys.argv[1]))
