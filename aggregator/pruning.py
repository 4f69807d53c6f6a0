"""Old articles out of the archive, when somebody says so: a batch a transaction, stories placed anew in each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from aggregator import relate
from aggregator.store import prune
from aggregator.store.archive import Archive
from aggregator.store.prune import Wish


def pruned(archive: Archive, wish: Wish, now: datetime) -> Iterator[int]:
    """Remove what the wish allows; yields how many went in each transaction. An interrupted one is simply run again."""
    while True:
        with archive.writing() as connection:
            ids = prune.chosen(connection, wish)
            if not ids:
                return
            relate.settle(connection, prune.remove(connection, ids, now))
        yield len(ids)
