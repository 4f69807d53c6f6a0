"""The archive as first released."""

from __future__ import annotations

from alembic import op

from aggregator.store.schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    metadata.create_all(op.get_bind(), checkfirst=False)
