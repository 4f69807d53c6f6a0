"""Where an article stands among the others: its story, and what it reprints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from aggregator.store import relations


@dataclass(frozen=True, slots=True)
class Place:
    """`reprint_of` is the id of the original, None for an original."""

    story: int | None = None
    reprint_of: int | None = None


def places(connection: sa.Connection, ids: Sequence[int]) -> dict[int, Place]:
    """The place of each of these articles."""
    found = relations.placed(connection, ids)
    return {identity: Place(*found.get(identity, (None, None))) for identity in ids}
