"""Where an article stands among the others: its story, what it reprints, and the sources it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from aggregator.dedup.provenance import named_sources
from aggregator.store import relations


@dataclass(frozen=True, slots=True)
class Place:
    """`reprint_of` is the id of the original, None for an original; `provenance` the sources named in the text."""

    story: int | None = None
    reprint_of: int | None = None
    provenance: tuple[str, ...] = ()


def places(connection: sa.Connection, ids: Sequence[int]) -> dict[int, Place]:
    """The place of each of these articles."""
    stands = relations.placed(connection, ids)
    texts = relations.texts(connection, ids)
    return {
        identity: Place(*stands.get(identity, (None, None)), named_sources(texts.get(identity, "")))
        for identity in ids
    }
