"""The values that flow through the pipeline: frozen, made at one boundary and read at the next.

    Feed ── fetch ──> Fetched ── parse ──> Document[Entry] ── normalize ──> Article ── admit ──> archive
                                                                     └── reprint, story, clause tags

Words: an *entry* is what a feed states; an *article* is our normalized text of it; a *story* is the articles on one
event; a *reprint* is the same text in another place; a *clause* is the numbered unit of an agreement, written
`sunnylands-2023/10`; *evidence* is a quote with its span. Every instant is an aware datetime in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NewType

ArticleId = NewType("ArticleId", int)
ClauseId = NewType("ClauseId", str)

# --- feeds ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Feed:
    """One line of feeds.yaml: where to ask, how often, and whose words the entries are.

    `urls` are tried in order, after `rsshub://` has been resolved; empty when it needs an RSSHub instance
    (`needs` then says so in words); `sources` are the same as feeds.yaml has them. `keep` and `drop` are CSS
    selectors for full-text pages, `line` is where the feed stands in feeds.yaml.
    """

    id: str
    urls: tuple[str, ...]
    title: str
    outlet: str
    categories: tuple[str, ...] = ()
    interval: timedelta = timedelta(minutes=30)
    min_interval: timedelta = timedelta(minutes=5)
    max_interval: timedelta = timedelta(days=1)
    timeout: timedelta = timedelta(seconds=20)
    max_size: int = 10_000_000
    timezone: str = "UTC"
    lang: str | None = None
    fulltext: bool = False
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    needs: str | None = None
    line: int = 0
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server gave to ask again with (RFC 9110 13.1): kept byte for byte, quotes included."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class FeedState:
    """What the archive remembers of a feed between two polls.

    `interval` is the one its rhythm led to. `extra` holds what only `polite` and `verdict` read: `from` (the address
    the validators belong to), `full` (last answer with a body), `moved` and `active` (a permanent redirect, an address
    that took over), `news` and `hours` (entries seen to arrive, over how long, fading), `peak` (the fullest hours),
    `window` and `known` (entries in the last document, share known before), `dated`, `newest`, `gap` (from its dates),
    `overrun`, `ttl`, and after a failure its `kind`.
    """

    feed: str
    validators: Validators = Validators()
    body_sha256: str | None = None
    next_due: datetime | None = None
    not_before: datetime | None = None
    last_poll: datetime | None = None
    last_success: datetime | None = None
    last_new: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    last_error: str | None = None
    interval: timedelta | None = None
    gone: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def retired(self, urls: tuple[str, ...]) -> bool:
        """Whether it answered 410 at the addresses it still has; another address in feeds.yaml revives it."""
        return self.gone and self.extra.get("gone_at") in (None, list(urls))


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer of a server, its body decompressed and cut at the limit: bytes, never decoded here.

    `status` 304 has an empty body. `retry_after` and `max_age` are durations from the response's instant.
    `permanent_url` is where a chain made of 301 and 308 only ended.
    """

    url: str
    status: int
    body: bytes
    content_type: str | None = None
    validators: Validators = Validators()
    retry_after: timedelta | None = None
    max_age: timedelta | None = None
    permanent_url: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What a feed states about one article, as stated.

    `html` is the fullest body as the feed sent it. `published` and `updated` are None when absent or unreadable;
    `date_note` then holds what was written there. `guid` is an opaque string.
    """

    guid: str | None
    link: str | None
    title: str
    html: str
    author: str | None = None
    published: datetime | None = None
    updated: datetime | None = None
    date_note: str | None = None
    tags: tuple[str, ...] = ()
    lang: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed feed: its entries in document order, and what it says about its own rhythm.

    `ttl` is RSS `<ttl>` or `sy:updatePeriod / sy:updateFrequency`. `notes` are sentences for the operator
    (a wrong encoding that was mended, entries left out).
    """

    entries: tuple[Entry, ...]
    title: str | None = None
    link: str | None = None
    lang: str | None = None
    ttl: timedelta | None = None
    notes: tuple[str, ...] = ()


# --- articles ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Article:
    """One normalized text.

    `html` is what the outlet sent, `text` the plain words people read (paragraphs separated by one newline), the
    basis of search, duplicates and tags. `url` is canonical, `link` as stated. `published` is what the outlet says,
    `captured` when somebody fetched it, `first_seen` when this archive did. `extra` holds what only the dialect of
    its file needs to write the same bytes again. `id` is ours, 0 until stored, and never the GUID.
    """

    title: str
    html: str
    text: str
    feed: str = ""
    outlet: str = ""
    guid: str | None = None
    link: str | None = None
    url: str | None = None
    author: str | None = None
    categories: tuple[str, ...] = ()
    headimg: str = ""
    published: datetime | None = None
    updated: datetime | None = None
    captured: datetime | None = None
    first_seen: datetime | None = None
    date_note: str | None = None
    lang: str | None = None
    origin: str | None = None
    dialect: str | None = None
    fulltext: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    id: ArticleId = ArticleId(0)
    revision: int = 1

    @property
    def when(self) -> datetime | None:
        """When it counts as published: the outlet's date, else the capture, else first seen."""
        return self.published or self.captured or self.first_seen


# --- what an arrival is -----------------------------------------------------------------------------------------


class Arrival(StrEnum):
    """What became of one entry."""

    NEW = "new"
    REVISED = "revised"
    UNCHANGED = "unchanged"


# --- clause tags ------------------------------------------------------------------------------------------------


class Relation(StrEnum):
    """How an article stands to a clause (gold/clauses/GUIDELINE.md)."""

    DISCUSSES = "discusses"
    TOPICAL = "topical"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A quote with its span: `getattr(article, field)[start:end] == quote`; `rule` names what fired."""

    field: str
    start: int
    end: int
    quote: str
    rule: str = ""
    words: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ClauseTag:
    """One finding: the clause, how the article stands to it, how sure (0 to 1), and the sentences that show it."""

    clause: ClauseId
    relation: Relation
    score: float
    evidence: tuple[Evidence, ...]
    catalogue: str = ""


@dataclass(frozen=True, slots=True)
class Tags:
    """All findings for one article: the agreements it identifies, and the clauses."""

    agreements: tuple[str, ...] = ()
    clauses: tuple[ClauseTag, ...] = ()


# --- reports ----------------------------------------------------------------------------------------------------


class PollStatus(StrEnum):
    """How a feed's turn ended; scripts read these words."""

    OK = "ok"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    SKIPPED = "skipped"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class PollReport:
    """One feed's turn, counted in entries; `error` is a sentence, `kind` one word for metrics."""

    feed: str
    status: PollStatus
    new: int = 0
    revised: int = 0
    unchanged: int = 0
    reprints: int = 0
    error: str | None = None
    kind: str | None = None
    notes: tuple[str, ...] = ()
