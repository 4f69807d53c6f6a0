"""Articles stand under the keys of stories in the order of time; a link knows how many keys it hangs on.

Written out in full and never to be changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """The keys are moved; of links that are there the number of keys is unknown, and 99 stands for always."""
    op.execute(
        "CREATE TABLE story_row AS SELECT span, key, CAST(at AS BIGINT) * 1048576 AS moment, trace.article_id"
        " FROM story_key JOIN trace ON trace.article_id = story_key.article_id"
    )
    op.drop_table("story_key")
    op.create_table(
        "story_key",
        sa.Column("span", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", BIG, autoincrement=False, nullable=False),
        sa.Column("moment", BIG, autoincrement=False, nullable=False),
        sa.Column("article_id", BIG, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("span", "key", "moment", "article_id", name=op.f("pk_story_key")),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO story_key SELECT span, key, moment, article_id FROM story_row")
    op.drop_table("story_row")
    op.add_column("story_link", sa.Column("keys", sa.Integer(), server_default="99", nullable=False))
