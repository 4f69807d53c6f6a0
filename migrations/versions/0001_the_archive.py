"""The archive as first released."""

from __future__ import annotations

from alembic import op

from aggregator.store import views
from aggregator.store.schema import metadata
from aggregator.store.search import DDL

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table, and SQLite's full-text index."""
    connection = op.get_bind()
    metadata.create_all(connection, checkfirst=False)
    if connection.dialect.name == "sqlite":
        for statement in DDL:
            op.execute(statement)
    for statement in views.ddl(connection.dialect.name):
        op.execute(statement)
