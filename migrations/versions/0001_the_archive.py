"""The archive as first released.

Written out in full and never to be changed: what `aggregator.store` says today may move on, this is what was.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.String(24).with_variant(sa.DateTime(timezone=True), "postgresql")

SEARCH = (
    "CREATE VIRTUAL TABLE article_fts USING fts5(terms, content='', detail=none, tokenize='ascii')",
    "INSERT INTO article_fts(article_fts, rank) VALUES('hashsize', 16777216)",
    "CREATE TABLE article_word(id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE)",
    "CREATE VIRTUAL TABLE article_word_fts USING fts5(word, content='article_word', content_rowid='id', detail=none, tokenize='trigram')",
    "CREATE TABLE article_traditional(docid INTEGER PRIMARY KEY)",
    "CREATE TABLE article_slot(home INTEGER PRIMARY KEY, next INTEGER NOT NULL)",
)
"""SQLite's full-text index."""

POSTGRESQL = (
    "CREATE TABLE article_fts(docid bigint PRIMARY KEY, size integer NOT NULL, folded_title text, folded text, terms tsvector NOT NULL)",
    "CREATE INDEX ix_article_fts_terms ON article_fts USING gin(terms)",
    'CREATE TABLE article_word(word text COLLATE "C" PRIMARY KEY, grams text[] NOT NULL)',
    "CREATE INDEX ix_article_word_grams ON article_word USING gin(grams)",
    "CREATE TABLE article_large(docid bigint PRIMARY KEY)",
    "CREATE TABLE article_slot(home bigint PRIMARY KEY, next bigint NOT NULL)",
    "CREATE UNLOGGED TABLE host_turn(host text PRIMARY KEY, next timestamptz NOT NULL DEFAULT '-infinity', held timestamptz)",
)
"""PostgreSQL's full-text index, and the turns that workers take at a host (forgotten when the server crashes)."""

VIEWS = {
    "sqlite": (
        "CREATE VIEW all_articles AS\nSELECT a.id, a.outlet, a.feed, a.title, a.url, a.lang, a.author, a.published, a.captured, a.first_seen,\n       coalesce(a.published, a.first_seen) AS dated, substr(coalesce(a.published, a.first_seen), 1, 10) AS day, date(substr(coalesce(a.published, a.first_seen), 1, 10), '-6 days', 'weekday 1') AS week, substr(coalesce(a.published, a.first_seen), 1, 7) || '-01' AS month, a.revision, p.story_id, p.reprint_of, length(a.text) AS characters, a.text\nFROM article a LEFT JOIN place p ON p.article_id = a.id",
        "CREATE VIEW coverage AS\nSELECT t.agreement, t.clause, t.score, json_extract(t.evidence, '$[0].quote') AS quote, a.id AS article_id, a.outlet, a.title, a.url, a.lang,\n       coalesce(a.published, a.first_seen) AS dated, substr(coalesce(a.published, a.first_seen), 1, 10) AS day, date(substr(coalesce(a.published, a.first_seen), 1, 10), '-6 days', 'weekday 1') AS week, substr(coalesce(a.published, a.first_seen), 1, 7) || '-01' AS month, p.story_id, p.reprint_of\nFROM clause_tag t JOIN article a ON a.id = t.article_id LEFT JOIN place p ON p.article_id = a.id\nWHERE t.relation = 'discusses'",
        "CREATE VIEW evidence AS\nSELECT t.agreement, t.clause, t.relation, t.score, t.catalogue, json_extract(e.value, '$.field') AS field, json_extract(e.value, '$.start') AS starts, json_extract(e.value, '$.end') AS ends,\n       json_extract(e.value, '$.quote') AS quote, json_extract(e.value, '$.rule') AS rule, a.id AS article_id, a.outlet, a.title, a.url, a.lang, coalesce(a.published, a.first_seen) AS dated, substr(coalesce(a.published, a.first_seen), 1, 10) AS day, date(substr(coalesce(a.published, a.first_seen), 1, 10), '-6 days', 'weekday 1') AS week, substr(coalesce(a.published, a.first_seen), 1, 7) || '-01' AS month\nFROM clause_tag t JOIN article a ON a.id = t.article_id CROSS JOIN json_each(t.evidence) e",
        "CREATE VIEW outlet_weeks AS\nSELECT a.outlet, date(substr(coalesce(a.published, a.first_seen), 1, 10), '-6 days', 'weekday 1') AS week, count(*) AS articles, count(p.reprint_of) AS reprints\nFROM article a LEFT JOIN place p ON p.article_id = a.id\nGROUP BY a.outlet, date(substr(coalesce(a.published, a.first_seen), 1, 10), '-6 days', 'weekday 1')",
        "CREATE VIEW clause_weeks AS\nSELECT t.agreement, t.clause, a.outlet, date(substr(coalesce(a.published, a.first_seen), 1, 10), '-6 days', 'weekday 1') AS week, count(*) AS articles\nFROM clause_tag t JOIN article a ON a.id = t.article_id\nWHERE t.relation = 'discusses'\nGROUP BY t.agreement, t.clause, a.outlet, date(substr(coalesce(a.published, a.first_seen), 1, 10), '-6 days', 'weekday 1')",
        "CREATE VIEW story_articles AS\nSELECT s.id AS story_id, s.headline, a.id AS article_id, a.outlet, a.title, a.url, a.lang, coalesce(a.published, a.first_seen) AS dated, substr(coalesce(a.published, a.first_seen), 1, 10) AS day, date(substr(coalesce(a.published, a.first_seen), 1, 10), '-6 days', 'weekday 1') AS week, substr(coalesce(a.published, a.first_seen), 1, 7) || '-01' AS month, p.reprint_of\nFROM story s JOIN place p ON p.story_id = s.id JOIN article a ON a.id = p.article_id",
        "CREATE VIEW feed_health AS\nSELECT f.id AS feed, f.title, f.outlet, f.last_poll, f.last_success, f.last_new, f.failing_since, f.last_error,\n       o.since AS down_since, o.kind AS down_kind\nFROM feed f LEFT JOIN outage o ON o.feed = f.id AND o.until IS NULL",
    ),
    "postgresql": (
        "CREATE VIEW all_articles AS\nSELECT a.id, a.outlet, a.feed, a.title, a.url, a.lang, a.author, a.published, a.captured, a.first_seen,\n       coalesce(a.published, a.first_seen) AS dated, to_char(coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, to_char(date_trunc('week', coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS week, to_char(coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC', 'YYYY-MM-01') AS month, a.revision, p.story_id, p.reprint_of, length(a.text) AS characters, a.text\nFROM article a LEFT JOIN place p ON p.article_id = a.id",
        "CREATE VIEW coverage AS\nSELECT t.agreement, t.clause, t.score, t.evidence::json -> 0 ->> 'quote' AS quote, a.id AS article_id, a.outlet, a.title, a.url, a.lang,\n       coalesce(a.published, a.first_seen) AS dated, to_char(coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, to_char(date_trunc('week', coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS week, to_char(coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC', 'YYYY-MM-01') AS month, p.story_id, p.reprint_of\nFROM clause_tag t JOIN article a ON a.id = t.article_id LEFT JOIN place p ON p.article_id = a.id\nWHERE t.relation = 'discusses'",
        "CREATE VIEW evidence AS\nSELECT t.agreement, t.clause, t.relation, t.score, t.catalogue, e ->> 'field' AS field, (e ->> 'start')::integer AS starts, (e ->> 'end')::integer AS ends,\n       e ->> 'quote' AS quote, e ->> 'rule' AS rule, a.id AS article_id, a.outlet, a.title, a.url, a.lang, coalesce(a.published, a.first_seen) AS dated, to_char(coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, to_char(date_trunc('week', coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS week, to_char(coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC', 'YYYY-MM-01') AS month\nFROM clause_tag t JOIN article a ON a.id = t.article_id CROSS JOIN json_array_elements(t.evidence::json) e",
        "CREATE VIEW outlet_weeks AS\nSELECT a.outlet, to_char(date_trunc('week', coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS week, count(*) AS articles, count(p.reprint_of) AS reprints\nFROM article a LEFT JOIN place p ON p.article_id = a.id\nGROUP BY a.outlet, to_char(date_trunc('week', coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC'), 'YYYY-MM-DD')",
        "CREATE VIEW clause_weeks AS\nSELECT t.agreement, t.clause, a.outlet, to_char(date_trunc('week', coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS week, count(*) AS articles\nFROM clause_tag t JOIN article a ON a.id = t.article_id\nWHERE t.relation = 'discusses'\nGROUP BY t.agreement, t.clause, a.outlet, to_char(date_trunc('week', coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC'), 'YYYY-MM-DD')",
        "CREATE VIEW story_articles AS\nSELECT s.id AS story_id, s.headline, a.id AS article_id, a.outlet, a.title, a.url, a.lang, coalesce(a.published, a.first_seen) AS dated, to_char(coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, to_char(date_trunc('week', coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS week, to_char(coalesce(a.published, a.first_seen) AT TIME ZONE 'UTC', 'YYYY-MM-01') AS month, p.reprint_of\nFROM story s JOIN place p ON p.story_id = s.id JOIN article a ON a.id = p.article_id",
        "CREATE VIEW feed_health AS\nSELECT f.id AS feed, f.title, f.outlet, f.last_poll, f.last_success, f.last_new, f.failing_since, f.last_error,\n       o.since AS down_since, o.kind AS down_kind\nFROM feed f LEFT JOIN outage o ON o.feed = f.id AND o.until IS NULL",
    ),
}
"""For people who ask in SQL."""


def upgrade() -> None:
    """Make every table, the database's own full-text index and the views."""
    dialect = op.get_bind().dialect.name
    _tables()
    for statement in SEARCH if dialect == "sqlite" else POSTGRESQL:
        op.execute(statement)
    for statement in VIEWS[dialect]:
        op.execute(statement)


def _tables() -> None:
    op.create_table(
        "alarm",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alarm")),
    )
    op.create_table(
        "article",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("docid", sa.BigInteger(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("outlet", sa.Text(), nullable=False),
        sa.Column("guid", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("content_key", sa.Text(), nullable=False),
        sa.Column("lang", sa.Text(), nullable=True),
        sa.Column("published", INSTANT, nullable=True),
        sa.Column("updated", INSTANT, nullable=True),
        sa.Column("captured", INSTANT, nullable=True),
        sa.Column("first_seen", INSTANT, nullable=False),
        sa.Column("date_note", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("revised_at", INSTANT, nullable=True),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("categories", sa.JSON(), nullable=False),
        sa.Column("headimg", sa.Text(), server_default="", nullable=False),
        sa.Column("origin", sa.Text(), nullable=True),
        sa.Column("dialect", sa.Text(), nullable=True),
        sa.Column("fulltext", sa.Text(), nullable=True),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_article")),
        sa.UniqueConstraint("docid", name=op.f("uq_article_docid")),
        sqlite_autoincrement=False,
    )
    op.create_index(op.f("ix_article_content_key"), "article", ["content_key"], unique=False)
    op.create_index(
        "ix_article_facets", "article", ["docid", "outlet", "lang", "feed", "published", "first_seen"], unique=False
    )
    op.create_index(op.f("ix_article_feed_guid"), "article", ["feed", "guid"], unique=False)
    op.create_index(op.f("ix_article_outlet_docid"), "article", ["outlet", "docid"], unique=False)
    op.create_index(
        op.f("ix_article_revised_at"),
        "article",
        ["revised_at"],
        unique=False,
        sqlite_where=sa.text("revised_at IS NOT NULL"),
        postgresql_where=sa.text("revised_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_article_url"), "article", ["url"], unique=False)
    op.create_table(
        "clause_record",
        sa.Column("clause", sa.Text(), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last", INSTANT, nullable=False),
        sa.Column("longest_s", sa.BigInteger(), nullable=False),
        sa.Column("articles", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("clause", name=op.f("pk_clause_record")),
    )
    op.create_table(
        "feed",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("outlet", sa.Text(), server_default="", nullable=False),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.Column("body_sha256", sa.Text(), nullable=True),
        sa.Column("next_due", INSTANT, nullable=True),
        sa.Column("not_before", INSTANT, nullable=True),
        sa.Column("last_poll", INSTANT, nullable=True),
        sa.Column("last_success", INSTANT, nullable=True),
        sa.Column("last_new", INSTANT, nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failing_since", INSTANT, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("interval_s", sa.Integer(), nullable=True),
        sa.Column("gone", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("extra", sa.JSON(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed")),
    )
    op.create_table(
        "mail_state",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_mail_state")),
    )
    op.create_table(
        "outage",
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("until", INSTANT, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("feed", "since", name=op.f("pk_outage")),
    )
    op.create_table(
        "relation_verdict",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("a", BIG, autoincrement=False, nullable=False),
        sa.Column("b", BIG, autoincrement=False, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("kind", "a", "b", name=op.f("pk_relation_verdict")),
    )
    op.create_table(
        "reprint_key",
        sa.Column("key", BIG, autoincrement=False, nullable=False),
        sa.Column("article_id", BIG, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("key", "article_id", name=op.f("pk_reprint_key")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reprint_link",
        sa.Column("a", BIG, autoincrement=False, nullable=False),
        sa.Column("b", BIG, autoincrement=False, nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("of_longer", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("a", "b", name=op.f("pk_reprint_link")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_reprint_link_b"), "reprint_link", ["b"], unique=False)
    op.create_table(
        "secret",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secret")),
    )
    op.create_table(
        "story",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("headline", sa.Text(), nullable=False),
        sa.Column("first_seen", INSTANT, nullable=False),
        sa.Column("last_seen", INSTANT, nullable=False),
        sa.Column("articles", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_story")),
    )
    op.create_index(op.f("ix_story_last_seen"), "story", ["last_seen"], unique=False)
    op.create_table(
        "story_alias",
        sa.Column("old", BIG, autoincrement=False, nullable=False),
        sa.Column("story_id", BIG, nullable=False),
        sa.PrimaryKeyConstraint("old", name=op.f("pk_story_alias")),
    )
    op.create_table(
        "story_key",
        sa.Column("span", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", BIG, autoincrement=False, nullable=False),
        sa.Column("article_id", BIG, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("span", "key", "article_id", name=op.f("pk_story_key")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "story_link",
        sa.Column("a", BIG, autoincrement=False, nullable=False),
        sa.Column("b", BIG, autoincrement=False, nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("a", "b", name=op.f("pk_story_link")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_story_link_b"), "story_link", ["b"], unique=False)
    op.create_table(
        "subscriber",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("wants", sa.JSON(), nullable=False),
        sa.Column("empty", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("created", INSTANT, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("slot", INSTANT, nullable=False),
        sa.Column("after_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriber")),
        sa.UniqueConstraint("address", name=op.f("uq_subscriber_address")),
    )
    op.create_index(op.f("ix_subscriber_state_id"), "subscriber", ["state", "id"], unique=False)
    op.create_table(
        "tombstone",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("outlet", sa.Text(), nullable=False),
        sa.Column("guid", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("content_key", sa.Text(), nullable=False),
        sa.Column("removed", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstone")),
    )
    op.create_index(op.f("ix_tombstone_content_key"), "tombstone", ["content_key"], unique=False)
    op.create_index(op.f("ix_tombstone_feed_guid"), "tombstone", ["feed", "guid"], unique=False)
    op.create_index(op.f("ix_tombstone_url"), "tombstone", ["url"], unique=False)
    op.create_table(
        "article_agreement",
        sa.Column("article_id", BIG, nullable=False),
        sa.Column("agreement", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_article_agreement_article_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("article_id", "agreement", name=op.f("pk_article_agreement")),
    )
    op.create_index(
        op.f("ix_article_agreement_agreement_article_id"),
        "article_agreement",
        ["agreement", "article_id"],
        unique=False,
    )
    op.create_table(
        "clause_tag",
        sa.Column("article_id", BIG, nullable=False),
        sa.Column("clause", sa.Text(), nullable=False),
        sa.Column("agreement", sa.Text(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("catalogue", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_clause_tag_article_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("article_id", "clause", name=op.f("pk_clause_tag")),
    )
    op.create_index(
        op.f("ix_clause_tag_agreement_article_id"), "clause_tag", ["agreement", "article_id"], unique=False
    )
    op.create_index(op.f("ix_clause_tag_clause_article_id"), "clause_tag", ["clause", "article_id"], unique=False)
    op.create_table(
        "clause_verdict",
        sa.Column("article_id", BIG, nullable=False),
        sa.Column("clause", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_clause_verdict_article_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("article_id", "clause", name=op.f("pk_clause_verdict")),
    )
    op.create_table(
        "digest",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("subscriber_id", BIG, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.Column("after_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("articles", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lost", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try", INSTANT, nullable=False),
        sa.Column("created", INSTANT, nullable=False),
        sa.Column("claimed", INSTANT, nullable=True),
        sa.Column("sent", INSTANT, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name=op.f("fk_digest_subscriber_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_digest")),
        sa.UniqueConstraint("message_id", name=op.f("uq_digest_message_id")),
        sa.UniqueConstraint("subscriber_id", "kind", "until", name=op.f("uq_digest_subscriber_id_kind_until")),
    )
    op.create_index(op.f("ix_digest_state_next_try"), "digest", ["state", "next_try"], unique=False)
    op.create_table(
        "place",
        sa.Column("article_id", BIG, autoincrement=False, nullable=False),
        sa.Column("story_id", BIG, nullable=True),
        sa.Column("reprint_of", BIG, nullable=True),
        sa.Column("share", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["article_id"], ["article.id"], name=op.f("fk_place_article_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("article_id", name=op.f("pk_place")),
    )
    op.create_index(op.f("ix_place_reprint_of"), "place", ["reprint_of"], unique=False)
    op.create_index(op.f("ix_place_story_id"), "place", ["story_id"], unique=False)
    op.create_table(
        "revision",
        sa.Column("article_id", BIG, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("published", INSTANT, nullable=True),
        sa.Column("updated", INSTANT, nullable=True),
        sa.Column("captured", INSTANT, nullable=True),
        sa.Column("origin", sa.Text(), nullable=True),
        sa.Column("categories", sa.JSON(), nullable=False),
        sa.Column("headimg", sa.Text(), server_default="", nullable=False),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.Column("content_key", sa.Text(), nullable=False),
        sa.Column("replaced_at", INSTANT, nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("html", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_revision_article_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("article_id", "number", name=op.f("pk_revision")),
    )
    op.create_index(op.f("ix_revision_content_key"), "revision", ["content_key"], unique=False)
    op.create_table(
        "trace",
        sa.Column("article_id", BIG, autoincrement=False, nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("print", sa.LargeBinary(), nullable=False),
        sa.Column("face", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["article_id"], ["article.id"], name=op.f("fk_trace_article_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("article_id", name=op.f("pk_trace")),
    )
    op.create_table(
        "digest_article",
        sa.Column("digest_id", BIG, nullable=False),
        sa.Column("article_id", BIG, nullable=False),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest_id"], ["digest.id"], name=op.f("fk_digest_article_digest_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest_id", "article_id", name=op.f("pk_digest_article")),
    )
    op.create_index(op.f("ix_digest_article_article_id"), "digest_article", ["article_id"], unique=False)
    op.create_table(
        "digest_event",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("digest_id", BIG, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["digest_id"], ["digest.id"], name=op.f("fk_digest_event_digest_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_digest_event")),
    )
    op.create_index(op.f("ix_digest_event_digest_id"), "digest_event", ["digest_id"], unique=False)
    op.create_index("ix_article_dated", "article", [sa.text("coalesce(published, first_seen)"), "docid"])
