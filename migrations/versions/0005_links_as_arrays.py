"""All story links of an article are one value: nine bytes for each. Articles may wait for being compared.

Written out in full and never to be changed.
"""

from __future__ import annotations

import struct
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AT_ONCE = 2000


def upgrade() -> None:
    """The links of each article are put together."""
    connection = op.get_bind()
    made = op.create_table(
        "story_links",
        sa.Column("article_id", BIG, autoincrement=False, nullable=False),
        sa.Column("links", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("article_id", name=op.f("pk_story_links")),
    )
    link, last = struct.Struct("<IiB"), -1
    while (
        ids := connection.execute(
            sa.text("SELECT DISTINCT a FROM story_link WHERE a > :last ORDER BY a LIMIT :most"),
            {"last": last, "most": AT_ONCE},
        )
        .scalars()
        .all()
    ):
        found = connection.execute(
            sa.text("SELECT a, b, score, keys FROM story_link WHERE a > :last AND a <= :upto ORDER BY a, b"),
            {"last": last, "upto": ids[-1]},
        )
        rows = [
            {"article_id": a, "links": b"".join(link.pack(*row[1:]) for row in mine)}
            for a, mine in groupby(found, key=itemgetter(0))
        ]
        connection.execute(sa.insert(made), rows)
        last = ids[-1]
    op.drop_table("story_link")
    op.create_table(
        "unrelated",
        sa.Column("article_id", BIG, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"], ["article.id"], name=op.f("fk_unrelated_article_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("article_id", name=op.f("pk_unrelated")),
    )
