"""Docids: where articles stand in newest-first order, and under which number the search index knows them.

A docid is the article's date in steps of SLOT seconds since 2000, or the next free number: newest first is
descending rowid, with no sort. Steps of a few seconds make the index a fifth smaller than seconds do. Runs of taken
numbers are noted in `article_slot`, so that the next free one of a crowded moment is found at once.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

SLOT = 4
AHEAD = 32
"""Numbers that the archive is asked about at once when a free one is looked for."""


class Docids:
    """Gives out docids for one transaction; what the archive said of them is remembered until `write`.

    Only the holder of the archive's one writing transaction may use it, and every docid given is to be stored in it.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._asked: set[int] = set()
        self._taken: set[int] = set()
        self._stored: dict[int, tuple[int, int] | None] = {}  # runs of the archive, by what was asked for
        self._starts: list[int] = []  # runs found since, in order
        self._ends: dict[int, int] = {}

    def allocate(self, seconds: Sequence[int]) -> list[int]:
        """Free docids for articles dated `seconds` after 2000-01-01 UTC, in their order."""
        slots = [moment // SLOT for moment in seconds]
        self.ask(slots)
        given: dict[int, int] = {}
        for place in sorted(range(len(seconds)), key=seconds.__getitem__):
            slot = slots[place]
            given[place] = slot if slot not in self._taken else self._free(slot)
            self._taken.add(given[place])
        return [given[place] for place in range(len(seconds))]

    def ask(self, docids: Iterable[int]) -> None:
        """Learn which of these numbers an article has; those that were asked about are known already."""
        new = list(set(docids) - self._asked)
        if not new:
            return
        if self._connection.dialect.name == "postgresql":
            self._taken.update(self._connection.scalars(_TAKEN, {"docids": new}))
        else:
            among = "SELECT docid FROM article WHERE docid IN (SELECT value FROM json_each(?))"
            self._taken.update(self._connection.exec_driver_sql(among, (json.dumps(new),)).scalars())
        self._asked.update(new)

    def write(self) -> None:
        """Note the runs of taken numbers that were met."""
        runs = [{"start": start, "end": self._ends[start]} for start in self._starts]
        if runs:
            self._connection.execute(_FORGET_RUNS, runs)
            self._connection.execute(_REMEMBER_RUN, runs)
        self._starts.clear()
        self._ends.clear()
        self._stored.clear()

    def _free(self, slot: int) -> int:
        """The first number after `slot`, which is taken, that no article has; runs of taken ones are jumped over."""
        start, docid = self._run(slot) or (slot, slot + 1)
        while self._is_taken(docid):
            run = self._run(docid)
            docid = run[1] if run else docid + 1
        self._note(start, docid + 1)
        return docid

    def _is_taken(self, docid: int) -> bool:
        if docid not in self._asked:
            self.ask(range(docid, docid + AHEAD))
        return docid in self._taken

    def _run(self, slot: int) -> tuple[int, int] | None:
        """The run of taken numbers around `slot`: its first and the one after its last."""
        place = bisect_right(self._starts, slot) - 1
        if place >= 0 and self._ends[start := self._starts[place]] > slot:
            return start, self._ends[start]
        if slot not in self._stored:
            row = self._before(slot)
            self._stored[slot] = (row.home, row.next) if row is not None and row.next > slot else None
        return self._stored[slot]

    def _before(self, slot: int) -> sa.Row[Any] | None:
        if self._connection.dialect.name == "postgresql":
            return self._connection.execute(_RUN, {"slot": slot}).first()
        return self._connection.exec_driver_sql(_RUN.text.replace(":slot", "?"), (slot,)).first()

    def _note(self, start: int, end: int) -> None:
        """A run; those that lie in it are forgotten."""
        first, last = (bisect_right(self._starts, bound) for bound in (start - 1, end - 1))
        for old in self._starts[first:last]:
            end = max(end, self._ends.pop(old))
        self._starts[first:last] = [start]
        self._ends[start] = end


_TAKEN = sa.text("SELECT docid FROM article WHERE docid IN :docids").bindparams(sa.bindparam("docids", expanding=True))
_RUN = sa.text("SELECT home, next FROM article_slot WHERE home <= :slot ORDER BY home DESC LIMIT 1")
_FORGET_RUNS = sa.text("DELETE FROM article_slot WHERE home >= :start AND home < :end")
_REMEMBER_RUN = sa.text("INSERT INTO article_slot(home, next) VALUES(:start, :end)")
