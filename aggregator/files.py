"""Files of articles, in and out: walking folders, reading with a limit, writing so that a crash leaves no half file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from aggregator.errors import DialectError

SUFFIXES = frozenset({".md", ".markdown", ".txt", ".html", ".htm", ".jsonl"})
LIMIT = 20_000_000
"""Bytes of one article file: the largest real one is 0.4 MB."""


def walk(paths: Iterable[Path]) -> Iterator[Path]:
    """The files named, and those in the folders named, in the order of their names; hidden ones are passed over.

    Raises DialectError for a path that does not exist.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(
                found
                for found in path.rglob("*")
                if found.suffix.lower() in SUFFIXES
                and found.is_file()
                and not any(part.startswith(".") for part in found.relative_to(path).parts)
            )
        elif path.exists():
            yield path
        else:
            raise DialectError(f"{path} does not exist")


def read(path: Path) -> bytes:
    """The bytes of one file; raises DialectError naming it when it cannot be read or is too large."""
    try:
        if path.stat().st_size > LIMIT:
            raise DialectError(f"{path} has more than {LIMIT // 1_000_000} MB; that is no article")
        return path.read_bytes()
    except OSError as error:
        raise DialectError(f"{path} cannot be read: {error.strerror}") from error


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a JSON lines file with their numbers, read as it goes; raises DialectError."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise DialectError(f"{path} cannot be read: {error}") from error


def write(path: Path, data: bytes) -> None:
    """Write a whole file or none: beside its place first, then moved. Raises DialectError naming the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(beside).chmod(0o644)
            Path(beside).replace(path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DialectError(f"{path} cannot be written: {error.strerror}") from error
