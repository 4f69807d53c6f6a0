"""Article files into the archive: the same decisions as for a feed, a batch of files a transaction.

A batch that was interrupted leaves nothing; running the same import again passes over what is already there, so an
import is resumed by starting it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aggregator import dialects, files, normalize, pipeline, turn
from aggregator.dedup import identity
from aggregator.errors import DialectError
from aggregator.model import Article, Feed, FeedState, PollStatus
from aggregator.store import tidy
from aggregator.text import clean

BATCH = 500
IMPORTED = Feed(id="", urls=(), title="imported files", outlet="")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: files read, articles by what became of them, and the files refused since the last one."""

    read: int = 0
    new: int = 0
    revised: int = 0
    unchanged: int = 0
    reprints: int = 0
    refused: tuple[str, ...] = ()


def take_files(paths: Iterable[Path], parts: pipeline.Parts) -> Iterator[Progress]:
    """Read every file into the archive; yields after each batch is committed. A bad file stops no other.

    At the end the search index is merged where so much was entered that it is worth it.
    """
    progress = Progress()
    for batch, refused, read in _batches(_articles(paths)):
        if parts.stopped():
            return
        now = parts.clock()
        with parts.archive.writing() as connection:
            brought = _brought(batch)
            filing = pipeline.Filing.of(connection, now, [brought])
            done = filing.admit(brought)
            reprints = len(filing.file(parts.tag))
        progress = Progress(
            progress.read + read,
            progress.new + done.new,
            progress.revised + done.revised,
            progress.unchanged + done.unchanged,
            progress.reprints + reprints,
            refused,
        )
        yield progress
    tidy.tidy(parts.archive.writing, parts.stopped)


def _brought(batch: list[Article]) -> pipeline.Brought:
    """A batch as if a feed had brought it: newest first, as documents list them."""
    return pipeline.Brought(IMPORTED, FeedState(""), turn.Outcome(PollStatus.OK), tuple(reversed(batch)))


def _batches(found: Iterator[Article | str]) -> Iterator[tuple[list[Article], tuple[str, ...], int]]:
    batch: list[Article] = []
    refused: list[str] = []
    for one in found:
        if isinstance(one, str):
            refused.append(one)
        else:
            batch.append(one)
        if len(batch) + len(refused) >= BATCH:
            yield batch, tuple(refused), len(batch) + len(refused)
            batch, refused = [], []
    if batch or refused:
        yield batch, tuple(refused), len(batch) + len(refused)


def _articles(paths: Iterable[Path]) -> Iterator[Article | str]:
    """Each file's article, or a sentence saying why it has none."""
    for path in files.walk(paths):
        if path.suffix.lower() == ".jsonl":
            yield from _json_lines(path)
            continue
        try:
            yield prepared(dialects.read(files.read(path), str(path)))
        except DialectError as error:
            message = str(error)
            yield message if str(path) in message else f"{path}: {message}"


def prepared(article: Article) -> Article:
    """A file's article as the archive keeps it: plain text, language, outlet and canonical address filled in."""
    return normalize.with_text(
        replace(
            article,
            outlet=article.outlet or article.author or (urlsplit(article.link or "").hostname or ""),
            url=article.url or identity.canonical_url(article.link),
        )
    )


def _json_lines(path: Path) -> Iterator[Article | str]:
    """One article a line, as `export --format jsonl` writes them: title and text at the least."""
    try:
        for number, line in files.lines(path):
            try:
                yield prepared(_from_row(json.loads(line), f"{path}:{number}"))
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                yield f"{path}:{number}: not an article: {type(error).__name__} {error}"
    except DialectError as error:
        yield str(error)


def _from_row(row: dict[str, Any], origin: str) -> Article:
    def instant(name: str) -> datetime | None:
        if not (value := row.get(name)):
            return None
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            raise ValueError(f"{name} has no time zone")
        return found

    text = clean(str(row.get("text") or ""))
    html = row.get("html") or "".join(f"<p>{line}</p>\n" for line in _escaped(text).split("\n"))
    return Article(
        title=clean(str(row["title"])),
        html=html,
        text=text,
        feed=str(row.get("feed") or ""),
        outlet=str(row.get("outlet") or ""),
        link=row.get("url"),
        author=row.get("author"),
        published=instant("published"),
        captured=instant("captured"),
        lang=row.get("lang"),
        origin=row.get("origin") or origin,
    )


def _escaped(text: str) -> str:
    import html

    return html.escape(text, quote=False)
