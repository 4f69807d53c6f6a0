"""The archive as first released."""

from __future__ import annotations

from alembic import op

from aggregator.store import gate, search, search_postgres, views
from aggregator.store.schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table, and the database's own full-text index."""
    connection = op.get_bind()
    metadata.create_all(connection, checkfirst=False)
    index = search.DDL if connection.dialect.name == "sqlite" else (*search_postgres.DDL, *gate.DDL)
    for statement in (*index, *views.ddl(connection.dialect.name)):
        op.execute(statement)
