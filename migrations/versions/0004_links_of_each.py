"""Links of stories are kept for either article, so that one look finds all of its, and scores are whole numbers.

Written out in full and never to be changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Every link is entered a second time, from the other side; a score is kept in millionths."""
    op.execute(
        "CREATE TABLE story_row AS SELECT a, b, CAST(round(score * 1000000) AS INTEGER) AS score, keys FROM story_link"
    )
    op.drop_table("story_link")
    op.create_table(
        "story_link",
        sa.Column("a", BIG, autoincrement=False, nullable=False),
        sa.Column("b", BIG, autoincrement=False, nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("keys", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("a", "b", name=op.f("pk_story_link")),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO story_link SELECT a, b, score, keys FROM story_row")
    op.execute("INSERT INTO story_link SELECT b, a, score, keys FROM story_row")
    op.drop_table("story_row")
