"""Saved searches; an index of the articles that are not in the order of their dates; how far a reindexing is.

Written out in full and never to be changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INSTANT = sa.String(24).with_variant(sa.DateTime(timezone=True), "postgresql")
DISPLACED = {
    "sqlite": "docid - (CAST(strftime('%s', coalesce(published, first_seen)) AS INTEGER) - 946684800) / 4"
    " NOT BETWEEN 0 AND 21599",
    "postgresql": "docid - (CAST(extract(epoch FROM coalesce(published, first_seen) AT TIME ZONE 'UTC') AS bigint)"
    " - 946684800) / 4 NOT BETWEEN 0 AND 21599",
}


def upgrade() -> None:
    """Two tables and an index; nothing that is there changes."""
    op.create_table(
        "saved_search",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created", INSTANT, nullable=False),
        sa.Column("changed", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_saved_search")),
    )
    op.execute("CREATE TABLE article_reindex(upto BIGINT NOT NULL)")
    op.create_index(
        "ix_article_displaced",
        "article",
        [sa.text("coalesce(published, first_seen)"), "docid"],
        sqlite_where=sa.text(DISPLACED["sqlite"]),
        postgresql_where=sa.text(DISPLACED["postgresql"]),
    )
