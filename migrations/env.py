"""Alembic's entry: runs the migrations on the connection that `aggregator.store.archive` hands over.

SQLite's own driver would commit before each DDL statement; the archive's connections begin with BEGIN IMMEDIATE
instead, so that each migration is one transaction and a killed one leaves nothing behind.
"""

from __future__ import annotations

from alembic import context

from aggregator.store.schema import metadata


def run() -> None:
    """Run on the given connection, a transaction for each migration."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        transactional_ddl=True,
        render_as_batch=False,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
