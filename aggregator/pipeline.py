"""The story from top to bottom: read this file first.

    poll      for each due feed, in parallel:  ask ─ fetch, parse, normalize ─> Brought
              then one after the other, many feeds a transaction:
    take_in       what one feed brought, with its new state; a feed that fails never stops another
    admit         same entry? ─> new, a further revision, or known already; tags; reprints; stories
    catch_up      where many feeds bring much, reprints and stories of all of it in the end, in the order of time

No transaction is open while the network is busy or a feed is being parsed. A feed's validators are stored in the
transaction that stores its articles, so that a crash in between makes it ask again instead of losing them.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, StatementError

from aggregator import normalize, polite, rawitems, turn
from aggregator.dedup import identity
from aggregator.errors import AggregatorError, FeedError
from aggregator.model import (
    Arrival,
    Article,
    ArticleId,
    Document,
    Entry,
    Feed,
    FeedState,
    Fetched,
    PollReport,
    PollStatus,
    Tags,
    Validators,
)
from aggregator.store import articles, feeds, known, tags, unrelated
from aggregator.store.archive import Archive
from aggregator.tag_review import judged

GROUP = 128
"""Feeds in one transaction at the most: a commit costs the same for one feed as for many."""

TEXTS = 200
"""Articles in one transaction: what relating them needs waits in memory, and other writers wait for the lock."""

FEW, AHEAD = 32, 160
"""Feeds asked for and not yet stored, where they bring much and where they bring little: it waits in memory."""

MANY = 50_000
"""Articles that wait for being compared at the most, while more keep coming."""

SOON = 0.2
"""Seconds that what has come waits for what comes next, to be stored with it."""

NOT_MODIFIED = 304


Fetching = Callable[[Feed, str, Validators, datetime], Fetched]
"""One conditional GET of an address of a feed; raises FetchError."""
Parsing = Callable[[Fetched, Feed, datetime], Document]
"""One feed document to entries; raises ParseError."""
Tagging = Callable[[Article], Tags]
"""The clauses of one article."""


Storing = Callable[[Sequence["Brought"], "Parts"], list[PollReport]]
"""Stores what a group of feeds brought, as `take_in` does."""


@dataclass(frozen=True)
class Parts:
    """The effects a poll needs, wired by `app`; tests put functions in their place."""

    archive: Archive
    fetch: Fetching
    parse: Parsing
    tag: Tagging
    clock: Callable[[], datetime]
    workers: int = 16
    stopped: Callable[[], bool] = field(default=lambda: False)
    complete: Callable[[Article, Feed], Article] = field(default=lambda article, _feed: article)
    """Gives an article its page's text, where the feed asks for full text; called for what is new or revised,
    in the fetching thread, and never raises: a page that fails leaves the feed's text and says so."""


@dataclass(frozen=True)
class Brought:
    """What asking one feed came to: an outcome for its state, and articles when there is something to read."""

    feed: Feed
    state: FeedState
    outcome: turn.Outcome
    articles: tuple[Article, ...] = ()
    old: int = 0
    """Entries that were left unread because their bytes stood in the last document too."""
    pages: Mapping[int, Article] = field(default_factory=dict)
    """By index in `articles`: the same article with its page's text. What an entry is, is judged by the feed's."""
    names: known.Names | None = None
    """What `articles` may be known by; worked out where it disturbs nobody, in the fetching thread."""


def poll(
    which: Sequence[Feed], parts: Parts, *, force: bool = False, store: Storing | None = None
) -> Iterator[PollReport]:
    """Ask these feeds now, and yield a report for each as soon as what it brought is committed and compared with all
    that is there; that comes in the end where many bring much.

    A feed told to wait by Retry-After is skipped unless `force`. Stops early, keeping what is committed, when
    `parts.stopped()` says so. `store` stands for `take_in`.
    """
    with parts.archive.reading() as connection:
        states = feeds.states(connection, [feed.id for feed in which])
        left = unrelated.are_there(connection)  # by a poll that was cut short

    def asking(pool: ThreadPoolExecutor) -> Iterator[Future[Brought]]:
        for feed in turn.interleaved(which):
            yield pool.submit(ask, feed, states.get(feed.id) or FeedState(feed.id), parts, force=force)

    storing = _Storing(parts, store, waiting=left)
    pool = ThreadPoolExecutor(max_workers=parts.workers, thread_name_prefix="fetch")
    try:
        for group in _as_completed(asking(pool), parts):
            yield from storing(_undisturbed(group, parts))
        yield from storing.rest()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class _Storing:
    """`take_in` for one group after the other. While full ones come, what they bring is only stored, and compared with
    all others afterwards, in the order of time: news that come between others of the same hours cost several times as
    much. Reports wait for that, since they count reprints. `store`, where given, does all itself.
    """

    def __init__(self, parts: Parts, store: Storing | None, *, waiting: bool) -> None:
        self._parts, self._store, self._waiting = parts, store, waiting
        self._held: list[Taken] = []

    def __call__(self, group: Sequence[Brought]) -> list[PollReport]:
        """The reports of what is stored and compared by now."""
        full = _is_full(group)
        if self._store or not (full or self._waiting):
            return (self._store or take_in)(group, self._parts)
        self._held += _filed(group, self._parts, later=True)
        self._waiting = True
        stored = sum(len(taken.stored) for taken in self._held)
        return [] if full and stored < MANY else self.rest()

    def rest(self) -> list[PollReport]:
        """The other reports, after comparing what waits."""
        held, self._held = self._held, []
        if not self._waiting or self._parts.stopped():
            return [taken.report for taken in held]
        from aggregator.relate import catch_up

        reprints = catch_up(self._parts.archive, self._parts.clock(), self._parts.stopped)
        self._waiting = False
        return [replace(one.report, reprints=len(reprints.intersection(one.stored))) for one in held]


@dataclass
class _Lot:
    """What one caller brought to `Together`, and what became of it."""

    group: Sequence[Brought]
    reports: list[PollReport] | None = None
    error: BaseException | None = None


class Together:
    """`take_in` for several callers in threads: what comes while a transaction runs goes into the next one together.

    A transaction costs the same for one feed as for many; its callers wait for it in any case.
    """

    def __init__(self) -> None:
        self._waiting: list[_Lot] = []
        self._guard = threading.Lock()
        self._turn = threading.Lock()

    def __call__(self, group: Sequence[Brought], parts: Parts) -> list[PollReport]:
        """As `take_in`; raises what the transaction raised in which the group was."""
        lot = _Lot(group)
        with self._guard:
            self._waiting.append(lot)
        with self._turn:
            while lot.reports is None and lot.error is None:
                self._take(self._next(), parts)
        if lot.error is not None:
            raise lot.error
        return lot.reports or []

    def _next(self) -> list[_Lot]:
        with self._guard:
            lots: list[_Lot] = []
            feeds_in_it = 0
            while self._waiting and (not lots or feeds_in_it + len(self._waiting[0].group) <= GROUP):
                lots.append(self._waiting.pop(0))
                feeds_in_it += len(lots[-1].group)
            return lots

    @staticmethod
    def _take(lots: Sequence[_Lot], parts: Parts) -> None:
        try:
            reports = iter(take_in([one for lot in lots for one in lot.group], parts))
        except BaseException as error:  # noqa: BLE001 - everybody whose feeds were in the transaction hears it
            for lot in lots:
                lot.error = error
            return
        for lot in lots:
            lot.reports = [next(reports) for _ in lot.group]


def _as_completed(asked: Iterator[Future[Brought]], parts: Parts) -> Iterator[list[Brought]]:
    """Groups of what has come, as it comes; no more feeds are asked before the first of them is stored than AHEAD, and
    than would bring 3 * TEXTS articles if all brought as many as the last ones did. Less than a group waits for more
    until nothing has come for half a second.
    """
    few = ahead = max(FEW, parts.workers)
    waiting = set(islice(asked, ahead))
    ready: list[Brought] = []
    while waiting and not parts.stopped():
        came = _come(waiting, ready)
        ready += came
        if came:
            each = sum(len(brought.articles) for brought in came) / len(came)
            ahead = max(few, min(AHEAD, int(3 * TEXTS / max(each, 1))))
        while ready and (_is_full(ready) or not came):
            yield _group(ready)
        waiting |= set(islice(asked, max(ahead - len(waiting) - len(ready), 0)))
    while ready:
        yield _group(ready)


def _come(waiting: set[Future[Brought]], ready: Sequence[Brought]) -> list[Brought]:
    """What has come, taken out of `waiting`: all of it where it comes soon, for a transaction costs much of its own."""
    done, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
    if done and not _is_full([*ready, *(future.result() for future in done)]):
        done, _ = wait(waiting, timeout=SOON)
    waiting -= done
    return [future.result() for future in done]


def _group(ready: list[Brought]) -> list[Brought]:
    """Taken out of what is ready: at most GROUP feeds, and no more feeds than bring TEXTS articles."""
    group: list[Brought] = []
    while ready and not _is_full(group):
        group.append(ready.pop())
    return group


def _is_full(group: Sequence[Brought]) -> bool:
    return len(group) >= GROUP or sum(len(brought.articles) for brought in group) >= TEXTS


def _undisturbed(group: list[Brought], parts: Parts) -> list[Brought]:
    """Without the failures that stopping makes: whoever stops us may end the parsers first."""
    if not parts.stopped():
        return group
    return [brought for brought in group if brought.outcome.status is not PollStatus.FAILED]


def ask(feed: Feed, state: FeedState, parts: Parts, *, force: bool = False) -> Brought:
    """One feed's turn up to the archive: fetch, parse, normalize. Never raises for what a feed can do wrong."""
    now = parts.clock()
    if (not force or not feed.urls) and (outcome := turn.skipped(feed, state, now)):
        return Brought(feed, state, outcome)
    try:
        url, fetched = _first_answer(feed, state, parts, now)
        digest = hashlib.sha256(fetched.body).hexdigest()
        if fetched.status == NOT_MODIFIED or digest == state.body_sha256:
            return Brought(feed, state, turn.Outcome(PollStatus.UNCHANGED, url=url, fetched=_light(fetched)))
        reading = _read(feed, state, fetched, parts, now)
        brought = tuple(_article(entry, feed) for entry in reading.document.entries)
        names = names_of(feed.id, brought)
        pages = _pages(feed, brought, names, parts) if feed.fulltext else {}
    except FeedError as error:
        return Brought(feed, state, turn.failure(error))
    except Exception as error:  # noqa: BLE001 - whatever a feed sends, it stops nobody but itself
        return Brought(feed, state, turn.failure(FeedError(f"defect: {type(error).__name__}: {error}", "defect")))
    outcome = turn.Outcome(
        PollStatus.OK,
        url=url,
        fetched=_light(fetched),
        body_sha256=digest,
        ttl=reading.document.ttl,
        notes=reading.document.notes,
        window=polite.window(reading.dates, now),
        items=reading.memory,
    )
    return Brought(feed, state, outcome, brought, reading.old, pages, names)


@dataclass(frozen=True)
class Reading:
    """A document as far as it had to be read; `dates` are those of all its entries, `memory` is for the next poll."""

    document: Document
    dates: Sequence[datetime | None]
    old: int = 0
    memory: Mapping[str, Any] | None = None


def _read(feed: Feed, state: FeedState, fetched: Fetched, parts: Parts, now: datetime) -> Reading:
    """Parse what is new in a document, or all of it where that is not certain."""
    items = rawitems.split(fetched.body)
    memory = state.extra.get("items")
    new = rawitems.fresh(items, memory) if items else None
    if items is None or new is None or len(new) == len(items.items):
        document = parts.parse(fetched, feed, now)
        dates = [entry.published for entry in document.entries]
        fits = items is not None and len(dates) == len(items.items)
        kept = rawitems.remembered(items, dict(enumerate(dates)), None) if items and fits else None
        return Reading(document, dates, memory=kept)
    old = sorted(set(range(len(items.items))) - set(new))
    document = Document(())
    if new:
        document = parts.parse(replace(fetched, body=items.only(new)), feed, now)
        if len(document.entries) != len(new):
            return _read(feed, replace(state, extra={}), fetched, parts, now)
    dates = [entry.published for entry in document.entries]
    kept = rawitems.remembered(items, dict(zip(new, dates, strict=True)), memory)
    return Reading(document, dates + rawitems.known_dates(items, old, memory or {}), len(old), kept)


def _pages(feed: Feed, arrived: Sequence[Article], names: known.Names, parts: Parts) -> dict[int, Article]:
    """The pages of what the archive does not know yet; looked up before the writing transaction opens."""
    with parts.archive.reading() as connection:
        decisions = decide(connection, arrived, names, known.look_up(connection, [names]))
    wanted = [decision.index for decision in decisions if decision.arrival is not Arrival.UNCHANGED]
    return {index: parts.complete(arrived[index], feed) for index in wanted if not parts.stopped()}


def _first_answer(feed: Feed, state: FeedState, parts: Parts, now: datetime) -> tuple[str, Fetched]:
    """The answer of the first address that gives one; the error that tells most when none does."""
    errors: list[FeedError] = []
    for url in turn.addresses(feed, state):
        try:
            return url, parts.fetch(feed, url, turn.validators_for(url, state), now)
        except FeedError as error:
            # Without the traceback: it would hold what had been read so far, and this list.
            errors.append(error.with_traceback(None))
    raise turn.telling(errors)


def _light(fetched: Fetched) -> Fetched:
    return replace(fetched, body=b"")


def _article(entry: Entry, feed: Feed) -> Article:
    article = normalize.article(entry, feed)
    return replace(article, guid=identity.guid_key(article.guid), url=identity.canonical_url(article.link))


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one feed's articles: the report, and the ids of those stored."""

    report: PollReport
    stored: frozenset[int]


def take_in(group: Sequence[Brought], parts: Parts) -> list[PollReport]:
    """Store what a group of feeds brought, and their new states, in one transaction.

    A feed whose data the archive refuses is rolled back to its savepoint and counts as failed; its validators stay
    old, so it is asked again. Where a group as a whole cannot be filed, each feed gets a transaction of its own, so
    that one whose texts make a later step fail holds up no other.
    """
    return [taken.report for taken in _filed(group, parts, later=False)]


def _filed(group: Sequence[Brought], parts: Parts, *, later: bool) -> list[Taken]:
    """As `take_in`; `later` leaves it to others to compare what is new."""
    try:
        return _filed_at_once(group, parts, later=later)
    except (OperationalError, AggregatorError):
        raise  # the archive's trouble, and not a feed's
    except Exception as error:
        if len(group) > 1:
            return [taken for brought in group for taken in _filed([brought], parts, later=later)]
        if not group[0].articles:
            raise
        why = FeedError(f"could not be filed: {type(error).__name__}: {error}", "defect")
        failed = replace(group[0], outcome=turn.failure(why), articles=(), pages={})
        return _filed_at_once([failed], parts, later=later)


def _filed_at_once(group: Sequence[Brought], parts: Parts, *, later: bool) -> list[Taken]:
    now = parts.clock()
    with parts.archive.writing() as connection:
        filing, admitted = _admitted(connection, now, group)
        reprints = filing.file(parts.tag, later=later)
        reported = [_reported(brought, what, reprints) for brought, what in admitted]
        _remember(connection, reported, now)
    return [
        Taken(report, frozenset(one.id for one in what.stored) if isinstance(what, Admitted) else frozenset())
        for (_brought, report), (_, what) in zip(reported, admitted, strict=True)
    ]


def _admitted(
    connection: sa.Connection, now: datetime, group: Sequence[Brought]
) -> tuple[Filing, list[tuple[Brought, Admitted | FeedError]]]:
    """All of the group at once; where that fails, each feed in a savepoint of its own."""
    filing = Filing.of(connection, now, group)
    if not any(brought.articles for brought in group):
        return filing, [(brought, Admitted()) for brought in group]
    try:
        with connection.begin_nested():
            return filing, [(brought, filing.admit(brought)) for brought in group]
    except (IntegrityError, DataError, StatementError, ValueError) as error:
        if isinstance(error, OperationalError):
            raise
    filing = Filing.of(connection, now, group)
    return filing, [(brought, _stored_or_failed(filing, brought)) for brought in group]


def _stored_or_failed(filing: Filing, brought: Brought) -> Admitted | FeedError:
    waiting = dict(filing.texts.waiting)
    try:
        with filing.connection.begin_nested():
            return filing.admit(brought)
    except (IntegrityError, DataError, StatementError, ValueError) as error:
        if isinstance(error, OperationalError):
            raise
        filing.texts.waiting = waiting
        return FeedError(f"could not be stored: {error}", "store")


def _reported(
    brought: Brought, admitted: Admitted | FeedError, reprints: frozenset[int]
) -> tuple[Brought, PollReport]:
    if isinstance(admitted, FeedError):
        brought, admitted = replace(brought, outcome=turn.failure(admitted)), Admitted()
    return brought, PollReport(
        brought.feed.id,
        brought.outcome.status,
        new=admitted.new,
        revised=admitted.revised,
        unchanged=admitted.unchanged + brought.old,
        reprints=sum(article.id in reprints for article in admitted.stored),
        error=brought.outcome.error,
        kind=brought.outcome.kind,
        notes=brought.outcome.notes,
    )


def _remember(connection: sa.Connection, reported: Sequence[tuple[Brought, PollReport]], now: datetime) -> None:
    """The feeds' new states; those that were not asked keep theirs."""
    after = [
        (brought, turn.after(brought.feed, brought.state, brought.outcome, report, now))
        for brought, report in reported
        if brought.outcome.status is not PollStatus.SKIPPED
    ]
    feeds.save_all(connection, [(brought.feed, state) for brought, state in after])
    for brought, state in after:
        if state.failing_since:
            kind, error = brought.outcome.kind or "other", brought.outcome.error or ""
            feeds.note_outage(connection, brought.feed.id, state.failing_since, kind, error)
        elif brought.state.failing_since:
            feeds.end_outage(connection, brought.feed.id, now)


@dataclass(frozen=True)
class Admitted:
    """What became of a set of articles: those now stored as new or revised, and the counts."""

    stored: tuple[Article, ...] = ()
    new: int = 0
    revised: int = 0
    unchanged: int = 0


@dataclass
class Filing:
    """One transaction's work: articles are admitted feed by feed, then indexed, tagged and related all at once."""

    connection: sa.Connection
    now: datetime
    lookup: known.Lookup
    texts: articles.Texts = field(default_factory=articles.Texts)
    fresh: dict[ArticleId, Article] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: sa.Connection, now: datetime, group: Iterable[Brought]) -> Filing:
        """For a group that is to be admitted: the archive is asked once for all that any of it may be."""
        names = [brought.names or names_of(brought.feed.id, brought.articles) for brought in group if brought.articles]
        filing = cls(connection, now, known.look_up(connection, names))
        filing.texts.foresee(connection, [article for brought in group for article in brought.articles], now)
        return filing

    def admit(self, brought: Brought) -> Admitted:
        """Decide for each article whether it is new, a revision, or known; store what is not known."""
        if not brought.articles:
            return Admitted()
        names = brought.names or names_of(brought.feed.id, brought.articles)
        decisions = decide(self.connection, brought.articles, names, self.lookup)
        values = {**dict(enumerate(brought.articles)), **brought.pages}
        new = [one for one in decisions if one.arrival is Arrival.NEW]
        added = articles.add(self.connection, [(values[one.index], one.key) for one in new], self.now, self.texts)
        stored = {one.index: article for one, article in zip(new, added, strict=True)}
        revised = [one for one in decisions if one.arrival is Arrival.REVISED]
        for one in revised:  # oldest first, and each after the new article that it may revise
            of = stored[one.after].id if one.after is not None else one.of or ArticleId(0)
            stored[one.index] = articles.revise(self.connection, of, values[one.index], one.key, self.now, self.texts)
        for one in (*new, *revised):
            self.lookup.changed(stored[one.index], one.key)
        newest = {article.id: article for article in stored.values()}
        self.fresh.update(newest)
        unchanged = len(decisions) - len(new) - len(revised)
        return Admitted(tuple(newest.values()), len(new), len(revised), unchanged)

    def _tagged(self, stored: Sequence[Article], tag: Tagging) -> Iterator[tuple[ArticleId, Tags]]:
        """The tags of each article; what an analyst said of an earlier revision's tag holds for the new one."""
        revised = [article.id for article in stored if article.revision > 1]
        said = tags.said_of(self.connection, revised)
        old = tags.of(self.connection, list(said))
        for article in stored:
            found = tag(article)
            yield article.id, judged(found, said[article.id], old.get(article.id)) if article.id in said else found

    def file(self, tag: Tagging, *, later: bool = False) -> frozenset[int]:
        """Index, tag and relate everything admitted, or note that it is to be related `later`; the ids of those that
        turned out to be reprints.
        """
        stored = tuple(self.fresh.values())
        if not stored:
            return frozenset()
        self.texts.write(self.connection)
        tags.put(self.connection, self._tagged(stored, tag))
        if later:
            unrelated.put(self.connection, [one.id for one in stored])
            return frozenset()
        from aggregator.relate import relate  # numpy and all of dedup: a poll that brings nothing needs neither

        return relate(self.connection, stored, self.now)


def names_of(feed: str, arrived: Sequence[Article]) -> known.Names:
    """What a feed's articles may be known by."""
    wanted = identity.wanted_of(arrived)
    return known.Names(feed, wanted.guids, wanted.urls, wanted.keys)


def decide(
    connection: sa.Connection, arrived: Sequence[Article], names: known.Names, lookup: known.Lookup
) -> list[identity.Decision]:
    """What each article is, by what the archive knows under its names (`names_of` these articles).

    What was removed from the archive (`archive prune`) is known too, and no text of it is a revision.
    """
    decisions = identity.decide(arrived, lookup.of(names), lambda of: articles.text_of(connection, of), names.keys)
    return [replace(one, arrival=Arrival.UNCHANGED) if one.of is not None and one.of < 0 else one for one in decisions]
