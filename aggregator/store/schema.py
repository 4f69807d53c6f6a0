"""The tables. Alembic (`migrations/`) makes and changes them; a test holds the two against each other.

For people who use SQL directly: instants are ISO 8601 text in UTC with milliseconds on SQLite
(`2021-11-10T20:36:28.000Z`, so that they sort and SQLite's date functions read them) and `timestamptz` on
PostgreSQL; `article.html` is packed against `article.text` (`packed`), everything else is plain.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from aggregator.errors import ArchiveError

HEAD = "0005"
"""The migration this program is written for; `archive` compares it without importing Alembic."""


def iso(instant: datetime) -> str:
    """An aware instant as the archive writes it: UTC, milliseconds, `Z`.

    >>> iso(datetime(2021, 11, 10, 20, 36, 28, tzinfo=UTC))
    '2021-11-10T20:36:28.000Z'
    """
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC; text on SQLite, `timestamptz` on PostgreSQL. Naive values are refused."""

    impl = sa.String(24)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        """`timestamptz` where there is one."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.String(24))
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        """Refuse naive instants: they say nothing without a place."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return iso(value) if dialect.name == "sqlite" else value.replace(microsecond=value.microsecond // 1000 * 1000)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """An aware datetime in UTC, or None."""
        if value is None:
            return None
        return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)


class Packed(TypeDecorator[str]):
    """Text stored zlib-compressed: level 6 halves HTML at 75 microseconds for 3.5 KB (reference measurement)."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> bytes | None:
        """Compress."""
        return None if value is None else zlib.compress(value.encode("utf-8", "surrogatepass"), 6)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> str | None:
        """Give back exactly what was stored."""
        return None if value is None else zlib.decompress(value).decode("utf-8", "surrogatepass")


def packed(html: str, text: str) -> bytes:
    """HTML as the archive keeps it: zlib with the article's plain text as preset dictionary (RFC 1950, 2.2).

    What is left of 3.3 KB is then 0.25 KB instead of 1.8, in half the time: the words stand in the text already.
    """
    packer = zlib.compressobj(6, zdict=_bytes(text)) if text else zlib.compressobj(6)
    return packer.compress(_bytes(html)) + packer.flush()


def unpacked(data: bytes, text: str) -> str:
    """The HTML again, byte for byte; raises ArchiveError where the text is not the one it was packed against.

    HTML that was packed by itself (by earlier versions) is read too: the stream says whether it has a dictionary.
    """
    unpacker = zlib.decompressobj(zdict=_bytes(text)) if data[1] & _HAS_DICTIONARY else zlib.decompressobj()
    try:
        return (unpacker.decompress(data) + unpacker.flush()).decode("utf-8", "surrogatepass")
    except zlib.error as error:
        raise ArchiveError(
            f"the HTML of the article that begins with {text[:30]!r} cannot be unpacked: its text was changed ({error})"
        ) from error


_HAS_DICTIONARY = 0x20


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


# PostgreSQL's conditions of partial indexes stand in the migrations alone: `postgresql_where` imports its whole dialect, a
# twentieth of the time a poll starts in.
metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
Big = sa.BigInteger().with_variant(sa.Integer, "sqlite")

feed = sa.Table(
    "feed",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("title", sa.Text, nullable=False, server_default=""),
    sa.Column("outlet", sa.Text, nullable=False, server_default=""),
    sa.Column("etag", sa.Text),
    sa.Column("last_modified", sa.Text),
    sa.Column("body_sha256", sa.Text),
    sa.Column("next_due", Instant),
    sa.Column("not_before", Instant),
    sa.Column("last_poll", Instant),
    sa.Column("last_success", Instant),
    sa.Column("last_new", Instant),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failing_since", Instant),
    sa.Column("last_error", sa.Text),
    sa.Column("interval_s", sa.Integer),
    sa.Column("gone", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("extra", sa.JSON, nullable=False, server_default="{}"),
)

outage = sa.Table(
    "outage",
    metadata,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("since", Instant, primary_key=True),
    sa.Column("until", Instant),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
)
"""When a feed was down or frozen: silence in such a time may be ours."""

article = sa.Table(
    "article",
    metadata,
    sa.Column("id", Big, primary_key=True, autoincrement=True),
    sa.Column("docid", sa.BigInteger, nullable=False, unique=True),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("outlet", sa.Text, nullable=False),
    sa.Column("guid", sa.Text),
    sa.Column("url", sa.Text),
    sa.Column("link", sa.Text),
    sa.Column("content_key", sa.Text, nullable=False),
    sa.Column("lang", sa.Text),
    sa.Column("published", Instant),
    sa.Column("updated", Instant),
    sa.Column("captured", Instant),
    sa.Column("first_seen", Instant, nullable=False),
    sa.Column("date_note", sa.Text),
    sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
    sa.Column("revised_at", Instant),
    sa.Column("author", sa.Text),
    sa.Column("categories", sa.JSON, nullable=False),
    sa.Column("headimg", sa.Text, nullable=False, server_default=""),
    sa.Column("origin", sa.Text),
    sa.Column("dialect", sa.Text),
    sa.Column("fulltext", sa.Text),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("html", sa.LargeBinary, nullable=False),
    sa.Index(None, "feed", "guid"),
    sa.Index(None, "url"),
    sa.Index(None, "content_key"),
    sa.Index(None, "outlet", "docid"),
    sa.Index(
        None,
        "revised_at",
        sqlite_where=sa.text("revised_at IS NOT NULL"),
    ),
    # What search filters by, beside the text: one small index instead of the rows with their texts.
    sa.Index("ix_article_facets", "docid", "outlet", "lang", "feed", "published", "first_seen"),
    sqlite_autoincrement=False,
)

DISPLACED = {
    "sqlite": "docid - (CAST(strftime('%s', coalesce(published, first_seen)) AS INTEGER) - 946684800) / 4"
    " NOT BETWEEN 0 AND 21599",
    "postgresql": "docid - (CAST(extract(epoch FROM coalesce(published, first_seen) AT TIME ZONE 'UTC') AS bigint)"
    " - 946684800) / 4 NOT BETWEEN 0 AND 21599",
}
"""Of an article whose docid is not within a day after its date (`search`): corrected later, or one of very many."""

sa.Index(
    "ix_article_displaced",
    sa.func.coalesce(article.c.published, article.c.first_seen),
    article.c.docid,
    sqlite_where=sa.text(DISPLACED["sqlite"]),
)
sa.Index("ix_article_dated", sa.func.coalesce(article.c.published, article.c.first_seen), article.c.docid)

revision = sa.Table(
    "revision",
    metadata,
    sa.Column("article_id", Big, sa.ForeignKey("article.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("link", sa.Text),
    sa.Column("author", sa.Text),
    sa.Column("published", Instant),
    sa.Column("updated", Instant),
    sa.Column("captured", Instant),
    sa.Column("origin", sa.Text),
    sa.Column("categories", sa.JSON, nullable=False),
    sa.Column("headimg", sa.Text, nullable=False, server_default=""),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("content_key", sa.Text, nullable=False),
    sa.Column("replaced_at", Instant, nullable=False),
    sa.Column("text", Packed, nullable=False),
    sa.Column("html", sa.LargeBinary, nullable=False),
    sa.Index(None, "content_key"),
)
"""The texts that a later revision of the same article replaced; `article` itself holds the newest."""

article_agreement = sa.Table(
    "article_agreement",
    metadata,
    sa.Column("article_id", Big, sa.ForeignKey("article.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("agreement", sa.Text, primary_key=True),
    sa.Index(None, "agreement", "article_id"),
)

clause_tag = sa.Table(
    "clause_tag",
    metadata,
    sa.Column("article_id", Big, sa.ForeignKey("article.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("clause", sa.Text, primary_key=True),
    sa.Column("agreement", sa.Text, nullable=False),
    sa.Column("relation", sa.Text, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("catalogue", sa.Text, nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Index(None, "clause", "article_id"),
    sa.Index(None, "agreement", "article_id"),
)
"""What the tagger found; `evidence` is a list of {field, start, end, quote, rule, words}."""

clause_verdict = sa.Table(
    "clause_verdict",
    metadata,
    sa.Column("article_id", Big, sa.ForeignKey("article.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("clause", sa.Text, primary_key=True),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("rule", sa.Text),
    sa.Column("at", Instant, nullable=False),
)
"""What an analyst said of a tag (`confirm` or `reject`); outlives retagging."""

secret = sa.Table(
    "secret",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
"""What this installation made up once: its name for Message-IDs, and the key that signs unsubscribe links."""

subscriber = sa.Table(
    "subscriber",
    metadata,
    sa.Column("id", Big, primary_key=True, autoincrement=True),
    sa.Column("address", sa.Text, nullable=False, unique=True),
    sa.Column("schedule", sa.Text, nullable=False),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("wants", sa.JSON, nullable=False),
    sa.Column("empty", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("nonce", sa.Text, nullable=False),
    sa.Column("created", Instant, nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.Column("slot", Instant, nullable=False),
    sa.Column("after_id", sa.BigInteger, nullable=False),
    sa.Index(None, "state", "id"),
)
"""Who gets digests: `wants` is {agreements, clauses, outlets, lang, query}. The last digest ended at `since` and with
the article `after_id`; `slot` is the last time of the schedule that was dealt with."""

digest = sa.Table(
    "digest",
    metadata,
    sa.Column("id", Big, primary_key=True, autoincrement=True),
    sa.Column("subscriber_id", Big, sa.ForeignKey("subscriber.id", ondelete="CASCADE")),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.Column("until", Instant, nullable=False),
    sa.Column("after_id", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("last_id", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("message_id", sa.Text, nullable=False, unique=True),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("articles", sa.Integer, nullable=False, server_default="0"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lost", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_try", Instant, nullable=False),
    sa.Column("created", Instant, nullable=False),
    sa.Column("claimed", Instant),
    sa.Column("sent", Instant),
    sa.Column("error", sa.Text),
    sa.UniqueConstraint("subscriber_id", "kind", "until"),
    sa.Index(None, "state", "next_try"),
)
"""The outbox: each mail is written down before it is sent, its bytes fixed (zlib). States: pending, sending, sent,
unknown (handed over, never confirmed), failed, replaced (by the next, before it could leave). `lost` counts tries whose outcome nobody knows."""

digest_article = sa.Table(
    "digest_article",
    metadata,
    sa.Column("digest_id", Big, sa.ForeignKey("digest.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("article_id", Big, primary_key=True),
    sa.Column("shown", sa.Boolean, nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Index(None, "article_id"),
)
"""Which articles a digest covers, whether they are named in it (else only counted), and what was quoted per clause."""

digest_event = sa.Table(
    "digest_event",
    metadata,
    sa.Column("id", Big, primary_key=True, autoincrement=True),
    sa.Column("digest_id", Big, sa.ForeignKey("digest.id", ondelete="CASCADE"), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False, server_default=""),
    sa.Index(None, "digest_id"),
)
"""What happened to a mail, in order: created, sending, sent, temporary, permanent, unknown, interrupted, again."""

clause_record = sa.Table(
    "clause_record",
    metadata,
    sa.Column("clause", sa.Text, primary_key=True),
    sa.Column("first_id", sa.BigInteger, nullable=False),
    sa.Column("last", Instant, nullable=False),
    sa.Column("longest_s", sa.BigInteger, nullable=False),
    sa.Column("articles", sa.Integer, nullable=False),
)
"""When each clause was first and last covered, and its longest silence, kept so that no digest has to read the whole
archive for it; `mail_state` says up to which article it goes."""

mail_state = sa.Table(
    "mail_state",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)
"""What sending remembers between rounds: how long to leave a failing mail server alone, and its size limit."""

# --- reprints and stories -----------------------------------------------------------------------------------------

trace = sa.Table(
    "trace",
    metadata,
    sa.Column(
        "article_id", Big, sa.ForeignKey("article.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    sa.Column("at", sa.Integer, nullable=False),
    sa.Column("print", sa.LargeBinary, nullable=False),
    sa.Column("face", sa.LargeBinary, nullable=False),
)
"""What is kept of each text to compare it: `at` in minutes since 1970, and the packed forms of `dedup`."""

reprint_key = sa.Table(
    "reprint_key",
    metadata,
    sa.Column("key", Big, primary_key=True, autoincrement=False),
    sa.Column("article_id", Big, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""By which texts find each other: hashes of pieces of text, at most `relations.BUCKET` articles under each."""

story_key = sa.Table(
    "story_key",
    metadata,
    sa.Column("span", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", Big, primary_key=True, autoincrement=False),
    sa.Column("moment", Big, primary_key=True, autoincrement=False),
    sa.Column("article_id", Big, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""By which articles on one event find each other: in the order of time (`moment`: minutes since 1970 and 20 bits of the
text), kept together by the four days (`span`) they were published in."""

reprint_link = sa.Table(
    "reprint_link",
    metadata,
    sa.Column("a", Big, primary_key=True, autoincrement=False),
    sa.Column("b", Big, primary_key=True, autoincrement=False),
    sa.Column("share", sa.Float, nullable=False),
    sa.Column("of_longer", sa.Float, nullable=False),
    sa.Index(None, "b"),
    sqlite_with_rowid=False,
)
"""Two articles (a < b) that are one text: the share of the shorter in the longer, and what that is of the longer."""

story_links = sa.Table(
    "story_links",
    metadata,
    sa.Column("article_id", Big, primary_key=True, autoincrement=False),
    sa.Column("links", sa.LargeBinary, nullable=False),
)
"""With which others an article may be on one event, nine bytes each (`links.LINK`); a link stands with both."""

place = sa.Table(
    "place",
    metadata,
    sa.Column(
        "article_id", Big, sa.ForeignKey("article.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    sa.Column("story_id", Big),
    sa.Column("reprint_of", Big),
    sa.Column("share", sa.Float),
    sa.Index(None, "story_id"),
    sa.Index(None, "reprint_of"),
)
"""Where an article stands: its story, and the original that it reprints; articles without either have no row."""

story = sa.Table(
    "story",
    metadata,
    sa.Column("id", Big, primary_key=True, autoincrement=True),
    sa.Column("headline", sa.Text, nullable=False),
    sa.Column("first_seen", Instant, nullable=False),
    sa.Column("last_seen", Instant, nullable=False),
    sa.Column("articles", sa.Integer, nullable=False),
    sa.Index(None, "last_seen"),
)

story_alias = sa.Table(
    "story_alias",
    metadata,
    sa.Column("old", Big, primary_key=True, autoincrement=False),
    sa.Column("story_id", Big, nullable=False),
)
"""Ids of stories that were merged into an older one."""

unrelated = sa.Table(
    "unrelated",
    metadata,
    sa.Column(
        "article_id", Big, sa.ForeignKey("article.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
)
"""Articles that wait for being compared with the others, reprints and stories."""

relation_verdict = sa.Table(
    "relation_verdict",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("a", Big, primary_key=True, autoincrement=False),
    sa.Column("b", Big, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False),
)
"""What an analyst said of two articles (a < b): `one story`, `two stories`, `not a reprint`; outlives recalculation."""

# --- what analysts keep -------------------------------------------------------------------------------------------

saved_search = sa.Table(
    "saved_search",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("created", Instant, nullable=False),
    sa.Column("changed", Instant, nullable=False),
)
"""Queries by name: `saved:NAME` in another query stands for one, in whatever it says when that is read."""

# --- what keeps house ---------------------------------------------------------------------------------------------

tombstone = sa.Table(
    "tombstone",
    metadata,
    sa.Column("id", Big, primary_key=True, autoincrement=True),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("outlet", sa.Text, nullable=False),
    sa.Column("guid", sa.Text),
    sa.Column("url", sa.Text),
    sa.Column("content_key", sa.Text, nullable=False),
    sa.Column("removed", Instant, nullable=False),
    sa.Index(None, "feed", "guid"),
    sa.Index(None, "url"),
    sa.Index(None, "content_key"),
)
"""What `archive prune` removed, and nothing of its words: a feed that still shows it does not bring it back as new."""

alarm = sa.Table(
    "alarm",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("sentence", sa.Text, nullable=False),
    sa.Column("since", Instant, nullable=False),
)
"""The troubles that the operator has been told of and that last."""
