"""What a subscriber is written: from the archive's rows to the bytes of a mail.

batch      everything the due digests have in common, read once: articles of the period, tags, coverage, outages
contents   one subscriber's share of it, as a Digest
mail       the Digest as bytes under the size limit, with who asked for it and how to stop it
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote as percent

import sqlalchemy as sa

from aggregator import digest, mail, query, terms
from aggregator.digest.compose import quote_of
from aggregator.digest.values import Change, Digest, Item, Names, Outage, Quote
from aggregator.errors import MailError
from aggregator.matching import Candidate, matches
from aggregator.model import ClauseTag, Relation, Tags
from aggregator.store import feeds, outbox, period, places, search, subscribers, tags
from aggregator.store.archive import Archive
from aggregator.store.subscribers import Subscriber, Wants

OVERLAP = 1000
"""On PostgreSQL transactions may commit in another order than they took their ids: so many are looked at again."""


@dataclass(frozen=True)
class Desk:
    """What writing and sending mails needs, wired by `app`. `operator` is where unsubscribing mails and bad news go,
    `limit` the bytes of one mail; without a `server` mails are written and wait.
    """

    archive: Archive
    renderer: digest.Renderer
    sender: str
    clock: Callable[[], datetime]
    names: Names = field(default_factory=Names)
    catalogue: str = ""
    operator: str | None = None
    public_url: str | None = None
    server: mail.Server | None = None
    patience: mail.Patience = field(default_factory=mail.Patience)
    at_most_once: bool = False
    confirm: bool = False
    images: bool = False
    limit: int = digest.LIMIT
    stopped: Callable[[], bool] = field(default=lambda: False)

    @property
    def domain(self) -> str:
        """The right side of Message-IDs."""
        return mail.sender(self.sender)[1].rpartition("@")[2]


@dataclass(frozen=True)
class Batch:
    """What the digests written at one moment have in common; `upto` is the last article that is in it."""

    upto: int
    items: Mapping[int, tuple[Item, Candidate]]
    revised: Sequence[Mapping[str, Any]]
    tags: Mapping[int, Tags]
    records: Mapping[str, period.Record]
    weeks: Mapping[str, Sequence[int]]
    outages: Sequence[Mapping[str, Any]]
    feeds: Mapping[str, tuple[str, str]]
    outlets: frozenset[str]
    key: str
    installation: str
    saved: Mapping[str, str] = field(default_factory=dict)


def batch(connection: sa.Connection, desk: Desk, after: int, since: datetime, now: datetime) -> Batch:
    """Read what digests for articles above `after` and times from `since` to `now` need; a writing transaction."""
    upto = period.newest_id(connection)
    back = 0 if connection.dialect.name == "sqlite" else OVERLAP
    rows = list(period.arrived(connection, max(after - back, 0), upto))
    return of_rows(connection, desk, rows, since, now, upto)


def of_rows(
    connection: sa.Connection, desk: Desk, rows: Sequence[Mapping[str, Any]], since: datetime, now: datetime,
    upto: int | None = None,
) -> Batch:  # fmt: skip
    """A batch of given rows of articles (`period.arrived`, `period.chosen`)."""
    upto = period.newest_id(connection) if upto is None else upto
    edited = period.revised(connection, since)
    ids = [row["id"] for row in (*rows, *edited)]
    found, rejected = tags.of(connection, ids), period.rejected(connection)
    kept = {identity: _without(found[identity], identity, rejected) for identity in found}
    where = places.places(connection, [row["id"] for row in rows])
    names = period.feed_titles(connection)
    items = {row["id"]: _item(row, kept.get(row["id"], Tags()), where.get(row["id"], places.Place())) for row in rows}
    return Batch(
        upto,
        items,
        edited,
        kept,
        period.records(connection, upto, desk.catalogue),
        period.weeks(connection, now),
        feeds.down_between(connection, since, now),
        names,
        frozenset(
            terms.folded(one)
            for one in {outlet for _title, outlet in names.values()} | {row["outlet"] for row in rows}
        ),
        subscribers.made_up(connection, "key"),
        subscribers.made_up(connection, "installation"),
        search.saved(connection),
    )


def _without(found: Tags, identity: int, rejected: frozenset[tuple[int, str]]) -> Tags:
    """The tags that say something about a clause, without those that an analyst rejected."""
    kept = tuple(
        tag for tag in found.clauses if tag.relation is Relation.DISCUSSES and (identity, tag.clause) not in rejected
    )
    return Tags(found.agreements, kept)


def _item(row: Mapping[str, Any], found: Tags, place: places.Place) -> tuple[Item, Candidate]:
    when = row["published"] or row["first_seen"]
    discussed = {str(tag.clause): _line(tag) for tag in found.clauses}
    named = dict.fromkeys((*found.agreements, *(clause.rpartition("/")[0] for clause in discussed)))
    item = Item(
        id=row["id"],
        title=row["title"],
        outlet=row["outlet"],
        link=row["link"] or row["url"],
        lang=row["lang"],
        when=when,
        quotes=discussed,
        agreements=tuple(named),
        story=place.story,
        original=place.reprint_of,
        image=row["headimg"] or None,
    )
    candidate = Candidate(
        row["title"], row["text"], row["outlet"], row["feed"], row["lang"], when,
        frozenset(named), frozenset(discussed), place.story,
    )  # fmt: skip
    return item, candidate


def _line(tag: ClauseTag) -> Quote | None:
    """One line of evidence: the first sentence of the text in which words matched, else the first there is."""
    spoken = [one for one in tag.evidence if one.field == "text" and one.words]
    best = next(iter(spoken or tag.evidence), None)
    return quote_of(best) if best is not None else None


# --- one subscriber ---------------------------------------------------------------------------------------------


def wanted(wants: Wants, now: datetime, saved: query.Saved) -> query.Node:
    """The query that a subscriber's choices amount to, with what `saved` searches say now; raises QueryError."""
    parts: list[query.Node] = []
    for name, values in (("agreement", wants.agreements), ("clause", wants.clauses)):
        if values:
            parts.append(query.Or(tuple(query.Field(name, value) for value in values)))
    if wants.lang:
        parts.append(query.Field("lang", wants.lang))
    if wants.query.strip():
        parts.append(query.parse(wants.query, now, saved))
    return query.And(tuple(parts))


def selected(read: Batch, wants: Wants, now: datetime, after: int) -> list[Item]:
    """The items above an article's id that a subscriber asked for."""
    node = wanted(wants, now, lambda: read.saved)
    return [
        item
        for identity, (item, candidate) in read.items.items()
        if identity > after
        and (not wants.outlets or item.outlet in wants.outlets)
        and matches(node, candidate, read.outlets)
    ]


def interesting(wants: Wants, clause: str) -> bool:
    """Whether a clause (or `agreement/`, for the agreement itself) is one the subscriber asked for."""
    if wants.clauses:
        return clause in wants.clauses
    return not wants.agreements or clause.rpartition("/")[0] in wants.agreements


def contents(
    connection: sa.Connection, desk: Desk, read: Batch, one: Subscriber, until: datetime, now: datetime
) -> tuple[Digest, list[outbox.Covered]]:
    """What one subscriber gets for the time up to `until`, and the ledger of the articles in it."""
    back = 0 if connection.dialect.name == "sqlite" else OVERLAP
    items = selected(read, one.wants, now, one.after_id - back)
    if back:
        early = [item.id for item in items if item.id <= one.after_id]
        known = outbox.told(connection, one.id, early) if early else {}
        items = [item for item in items if item.id > one.after_id or (item.id not in known and item.when >= one.since)]
    changes = (*_records(read, one, until), *_edited(connection, read, one))
    return assembled(desk, read, one, items, changes, until), ledger(items)


def assembled(
    desk: Desk, read: Batch, one: Subscriber, items: Sequence[Item], changes: Sequence[Change], until: datetime
) -> Digest:
    """A digest of some items, addressed to a subscriber."""
    narrowed = [replace(item, quotes=_narrow(item, one.wants), agreements=_named(item, one.wants)) for item in items]
    wanted_clauses = [clause for clause in desk.names.clauses if interesting(one.wants, clause)]
    return digest.compose(
        frame(desk, one, read.key, until),
        narrowed,
        desk.names,
        changes=changes,
        weeks=read.weeks,
        outages=_outages(read, one.wants, one.since, until),
        wanted_clauses=wanted_clauses,
    )


def _narrow(item: Item, wants: Wants) -> dict[str, Quote | None]:
    return {clause: quote for clause, quote in item.quotes.items() if interesting(wants, clause)}


def _named(item: Item, wants: Wants) -> tuple[str, ...]:
    if wants.clauses:
        return ()
    return tuple(one for one in item.agreements if not wants.agreements or one in wants.agreements)


def ledger(items: Iterable[Item], shown: frozenset[int] | None = None) -> list[outbox.Covered]:
    """The rows that say which articles a digest covers, and what is quoted of each."""
    return [
        outbox.Covered(
            item.id,
            shown is None or item.id in shown,
            {clause: quote.text for clause, quote in item.quotes.items() if quote is not None},
        )
        for item in items
    ]


def _records(read: Batch, one: Subscriber, until: datetime) -> list[Change]:
    """Clauses covered for the first time since the last digest, and those silent for longer than ever."""
    changes = []
    for clause, record in read.records.items():
        if not interesting(one.wants, clause):
            continue
        if 0 < one.after_id < record.first_id <= read.upto:
            changes.append(Change("first", clause))
        broken = record.last + max(record.longest, timedelta(days=1))
        if record.articles > 2 and one.since < broken <= until:  # noqa: PLR2004 - two gaps make a habit
            days, longest = (until - record.last) / timedelta(days=1), record.longest / timedelta(days=1)
            changes.append(Change("silent", clause, days=int(days), longest=round(longest)))
    return changes


def _edited(connection: sa.Connection, read: Batch, one: Subscriber) -> list[Change]:
    """Articles the subscriber was told of whose quoted sentence is not there any more."""
    since = [row for row in read.revised if row["revised_at"] >= one.since and row["id"] <= one.after_id]
    known = outbox.told(connection, one.id, [row["id"] for row in since]) if since else {}
    changes = []
    for row in since:
        now = {str(tag.clause): _line(tag) for tag in read.tags.get(row["id"], Tags()).clauses}
        whole = _flat(f"{row['title']}\n{row['text']}")
        for clause, before in known.get(row["id"], {}).items():
            if interesting(one.wants, clause) and _flat(before.strip("…")) not in whole:
                after = now.get(clause)
                link = row["link"] or row["url"]
                text = after.text if after else ""
                changes.append(
                    Change(
                        "edited",
                        clause,
                        title=row["title"],
                        outlet=row["outlet"],
                        link=link,
                        before=before,
                        after=text,
                    )
                )
    return changes


def _flat(text: str) -> str:
    return "".join(text.split())


def _outages(read: Batch, wants: Wants, since: datetime, until: datetime) -> list[Outage]:
    """The feeds that were down in the period, the longest first; of other outlets than those asked for, none."""
    found = []
    for row in read.outages:
        title, outlet = read.feeds.get(row["feed"], (row["feed"], ""))
        if wants.outlets and outlet not in wants.outlets:
            continue
        if row["since"] < until and (row["until"] is None or row["until"] > since):
            frozen = row["kind"] in ("frozen", "empty", "silent")
            found.append(Outage(digest.line(title, 60), row["since"], row["until"], frozen, row["error"]))
    return sorted(found, key=lambda one: (one.until or until) - one.since, reverse=True)


# --- the mail ---------------------------------------------------------------------------------------------------


def frame(desk: Desk, one: Subscriber, key: str, until: datetime) -> Digest:
    """An empty digest with everything that says who asked for it, and how to stop it."""
    link, by_mail = unsubscribing(desk, one, key)
    return Digest(
        language=one.language,
        timezone=one.timezone,
        since=one.since,
        until=until,
        agreements=(),
        articles=0,
        why=reasons(one.wants, desk.names, one.language),
        address=one.address,
        schedule=one.schedule,
        unsubscribe_link=link,
        unsubscribe_mail=by_mail,
        images=desk.images,
    )


def reasons(wants: Wants, names: Names, language: str) -> tuple[tuple[str, str], ...]:
    """What was asked for, kind and value, as people call it."""
    kinds = (
        *(("agreement", names.agreement(one, language)) for one in wants.agreements),
        *(("clause", f"{one} {names.clause(one, language)}".strip()) for one in wants.clauses),
        *(("outlet", one) for one in wants.outlets),
        *([("lang", wants.lang)] if wants.lang else []),
        *([("query", wants.query)] if wants.query else []),
    )
    return tuple((kind, digest.line(value)) for kind, value in kinds)


def unsubscribing(desk: Desk, one: Subscriber, key: str) -> tuple[str, str]:
    """The https link (empty without a public address) and the mailto link that end a subscription."""
    token = subscribers.token(key, "unsubscribe", one)
    to = desk.operator or mail.sender(desk.sender)[1]
    by_mail = f"mailto:{percent(to, safe='@')}?subject={percent('unsubscribe ' + token)}"
    return (f"{desk.public_url}/unsubscribe/{token}" if desk.public_url else ""), by_mail


def letter(
    desk: Desk, to: str, language: str, message_id: str, now: datetime, rendered: tuple[str, str, str],
    unsubscribe: tuple[str, ...] = (),
) -> bytes:  # fmt: skip
    """The bytes of a rendered mail; raises MailError."""
    subject, text, html = rendered
    one_click = any(one.startswith("https://") for one in unsubscribe)
    return mail.build(
        mail.Letter(desk.sender, to, subject, text, html, message_id, now, language, unsubscribe, one_click)
    )


def written(
    desk: Desk, value: Digest, message_id: str, now: datetime, limit: int | None = None
) -> tuple[Digest, str, bytes]:
    """A digest that fits its limit, its subject and its bytes; text alone where not even a short page fits."""
    links = tuple(one for one in (value.unsubscribe_link, value.unsubscribe_mail) if one)
    most = min(desk.limit, limit or desk.limit)
    for page, room in ((True, most), (True, most * 9 // 10), (False, most), (False, most * 9 // 10)):
        fitting, (subject, text, html) = digest.fitted(value, desk.renderer.digest, _weight(page=page), room)
        whole = (subject, text, html if page else "")
        made = fitting, subject, letter(desk, value.address, value.language, message_id, now, whole, links)
        if len(made[2]) <= most:
            return made
    raise MailError(
        f"no digest for {value.address} fits into {most:,} bytes; the mail server takes no more", permanent=True
    )


def _weight(*, page: bool) -> Callable[[tuple[str, str, str]], int]:
    return lambda rendered: mail.weight(rendered[1], rendered[2]) if page else mail.weight(rendered[1])
