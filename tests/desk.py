"""A desk for the tests of digests: a fresh archive with articles and tags of our own making, and a clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from aggregator import digest, subscribing
from aggregator.digest.values import Names
from aggregator.letters import Desk
from aggregator.mail import Patience, Server
from aggregator.model import Article, ClauseTag, Evidence, Relation, Tags
from aggregator.store import articles, tags
from aggregator.store.archive import Archive
from aggregator.store.subscribers import Wants

START = datetime(2026, 11, 16, 12, tzinfo=UTC)
"""A Monday."""
NAMES = Names(
    {
        "glasgow-2021": {"zh": "格拉斯哥联合宣言", "en": "Joint Glasgow Declaration"},
        "sunnylands-2023": {"en": "Sunnylands"},
    },
    {f"glasgow-2021/{n}": {"zh": f"第{n}条", "en": f"Clause {n}"} for n in range(1, 17)}
    | {"sunnylands-2023/10": {"en": "Methane"}},
)
EVERYTHING = Wants()
RENDERER = digest.Renderer()
QUICK = Patience(greeting=15, dialogue=15, after_data=15, stopping=0.2)


class Clock:
    """The time, set by the test."""

    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        """Now."""
        return self.now

    def go(self, **span):
        """Let time pass; the time after that."""
        self.now += timedelta(**span)
        return self.now


def make_desk(path, **changes):
    """A desk on a new archive."""
    archive = Archive.open(str(path), write=True)
    facts = {"names": NAMES, "operator": "operator@example.org", "patience": QUICK}
    return Desk(archive, RENDERER, "News desk <desk@example.org>", Clock(), **facts | changes)


def sending_to(desk, port, **changes):
    """The same desk with a mail server on this machine."""
    return replace(desk, server=Server("localhost", port, "offered"), **changes)


def tag(text, clause="glasgow-2021/8", words="methane", relation=Relation.DISCUSSES):
    """A clause tag whose evidence is the first sentence of a text."""
    end = text.find(".") + 1 or len(text)
    at = text.find(words)
    spans = ((at, at + len(words)),) if 0 <= at < end else ()
    return ClauseTag(clause, relation, 0.9, (Evidence("text", 0, end, text[:end], "rule", spans),), "1")


_COUNT = iter(range(10**9))


def put(
    desk,
    *,
    title="Methane talks",
    text="Both sides agreed on methane. More words.",
    outlet="BBC",
    clauses=("glasgow-2021/8",),
    **more,
):
    """Store an article that arrives now, tagged; its id."""
    now = desk.clock()
    value = Article(
        title,
        f"<p>{title}</p>",
        text,
        outlet=outlet,
        feed=more.pop("feed", outlet.lower()),
        lang=more.pop("lang", "en"),
        **more,
    )
    with desk.archive.writing() as connection:
        texts = articles.Texts()
        [stored] = articles.add(connection, [(value, f"key{next(_COUNT)}")], now, texts)
        texts.write(connection)
        found = Tags(
            tuple({clause.rpartition("/")[0] for clause in clauses}), tuple(tag(text, clause) for clause in clauses)
        )
        tags.put(connection, [(stored.id, found)])
    return stored.id


def join(
    desk, address="reader@example.com", schedule="daily 08:00", zone="UTC", language="en", wants=EVERYTHING, **more
):
    """Subscribe, without the mail of welcome."""
    one = subscribing.subscribe(desk, address, schedule, zone, language, wants, desk.clock(), **more)
    if not desk.confirm:
        with desk.archive.writing() as connection:
            connection.exec_driver_sql("DELETE FROM digest WHERE kind = 'welcome'")
    return one


def mails(desk, kind="digest"):
    """The outbox, oldest first."""
    from aggregator.store import outbox

    with desk.archive.reading() as connection:
        return [one for one in reversed(outbox.history(connection, limit=10_000)) if one.kind == kind]


def body_of(desk, mail):
    """A mail as Python's email package reads it at its strictest."""
    from email import message_from_bytes, policy

    from aggregator.store import outbox

    with desk.archive.reading() as connection:
        return message_from_bytes(outbox.body(connection, mail.id), policy=policy.default + policy.strict)


def text_of(desk, mail):
    """The plain part."""
    return body_of(desk, mail).get_body(("plain",)).get_content()


def html_of(desk, mail):
    """The HTML part."""
    return body_of(desk, mail).get_body(("html",)).get_content()
