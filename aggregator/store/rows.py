"""The rows in which articles stand under keys of stories: what is read around some moments.

Every statement touches a bounded number of rows: of a key with thousands of articles only those around a moment are
read. News mostly come last, so the latest under a key are read first, and often are enough. Numbers come as one text
for each key: that takes a third of the time that a row for each article takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from aggregator.dedup import nearby, story
from aggregator.dedup.nearby import Entries, Marks, Numbers, Places
from aggregator.store.relations import CHUNK, SPAN, TIE_BITS, rows_of

_CLOSE = 60 << TIE_BITS
"""Moments no further apart are looked up together."""
_WINDOW = int(story.WINDOW.total_seconds() // 60) << TIE_BITS
_AT_ONCE = 1000
"""Runs whose articles are read together."""


def _spans(moments: Numbers) -> Numbers:
    found: Numbers = (moments >> TIE_BITS) // SPAN
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Numbers of keys, and the first and last of some moments that lie close together in one span."""

    keys: Numbers
    first: Numbers
    last: Numbers

    @classmethod
    def of(cls, keys: Numbers, moments: Numbers) -> _Runs:
        """All moments of each key, as few runs as may be."""
        order = np.lexsort((moments, keys))
        keys, moments = keys[order], moments[order]
        apart = (np.diff(keys) > 0) | (np.diff(moments) > _CLOSE) | (np.diff(_spans(moments)) > 0)
        starts = np.flatnonzero(np.append(True, apart))
        return cls(keys[starts], moments[starts], moments[np.append(starts[1:], len(keys)) - 1])


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """What was read: for which run, the moment and the article."""

    runs: Numbers
    moments: Numbers
    ids: Numbers

    def only(self, which: Marks) -> _Read:
        """Some of it."""
        return _Read(self.runs[which], self.moments[which], self.ids[which])

    @staticmethod
    def joined(parts: Sequence[_Read]) -> _Read:
        """All of these."""
        names = ("runs", "moments", "ids")
        return _Read(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def around(connection: sa.Connection, places: Places) -> Entries:
    """What stands under each key around the moments wanted: at least as many articles on either side as meet, as far as
    there are and a story's window reaches. A few may be named twice.
    """
    numbers, moments = places.wanted()
    if not len(numbers):
        return Entries(numbers, moments, moments)
    runs = _Runs.of(numbers, moments)
    look = _Look(connection, places.keys[runs.keys], runs)
    found = look.here()
    at = _spans(runs.first)
    before = np.bincount(found.runs[found.moments < runs.first[found.runs]], minlength=len(at))
    after = np.bincount(found.runs[found.moments > runs.last[found.runs]], minlength=len(at))
    earlier = np.flatnonzero((before < nearby.BETWEEN) & (_spans(runs.first - _WINDOW) < at))
    later = np.flatnonzero(
        (after < nearby.BETWEEN) & (_spans(runs.last + _WINDOW) > at) & (at < _last_span(connection))
    )
    every = _Read.joined([found, look.at(_LATEST, earlier, at[earlier] - 1), look.at(_EARLIEST, later, at[later] + 1)])
    return Entries(runs.keys[every.runs], every.moments, every.ids)


def _last_span(connection: sa.Connection) -> int:
    """The last span in which anything stands: news mostly come last, and nobody need look behind it."""
    return int(rows_of(connection, "SELECT coalesce(max(span), 0) FROM story_key")[0][0])


_LATEST = "SELECT moment, article_id FROM story_key {here} ORDER BY moment DESC, article_id DESC LIMIT {most}"
_EARLIEST = "SELECT moment, article_id FROM story_key {here} ORDER BY moment, article_id LIMIT {most}"
_WHOLE = """
    SELECT * FROM (
        SELECT moment, article_id FROM story_key {here} AND moment < w.first
        ORDER BY moment DESC, article_id DESC LIMIT {most}
    ) earlier
    UNION ALL SELECT moment, article_id FROM story_key {here} AND moment >= w.first AND moment <= w.last
    UNION ALL SELECT * FROM (
        SELECT moment, article_id FROM story_key {here} AND moment > w.last
        ORDER BY moment, article_id LIMIT {most}
    ) later
"""
_TEXTS = """
    WITH w(number, span, key, first, last) AS (VALUES {runs})
    SELECT number, (SELECT {joined}(moment || ' ' || article_id, ' ') FROM ({rows}) s) FROM w
"""
_HERE = "WHERE story_key.span = w.span AND story_key.key = w.key"


class _Look:
    """Reads what stands under the keys of these runs."""

    def __init__(self, connection: sa.Connection, keys: Numbers, runs: _Runs) -> None:
        self._connection, self._keys, self._runs = connection, keys, runs
        self._joined = "group_concat" if connection.dialect.name == "sqlite" else "string_agg"

    def here(self) -> _Read:
        """What is in the spans of the runs. Where more than the latest were wanted of most, all is read at once."""
        spans, found, late = _spans(self._runs.first), [], 0.0
        for start in range(0, len(spans), _AT_ONCE):
            part = np.arange(start, min(start + _AT_ONCE, len(spans)))
            if late < 1 / 2:
                read = self.at(_LATEST, part, spans[part])
                behind = self._left_out(read, part)
                found.append(read.only(~behind[read.runs - start]))
                part = part[behind]
            whole = self.at(_WHOLE, part, spans[part])
            found.append(whole)
            late = len(np.unique(whole.runs[whole.moments >= self._runs.first[whole.runs]])) / _AT_ONCE
        return _Read.joined(found)

    def _left_out(self, read: _Read, part: Numbers) -> Marks:
        """Of which runs the latest are not all that is wanted: there are more, and not all are before the run."""
        number = np.bincount(read.runs - part[0], minlength=len(part))
        behind = np.bincount((read.runs - part[0])[read.moments >= self._runs.first[read.runs]], minlength=len(part))
        found: Marks = (number == nearby.BETWEEN) & (behind > 0)
        return found

    def at(self, rows: str, which: Numbers, spans: Numbers) -> _Read:
        """What stands under the keys of these runs in these spans."""
        runs, wanted = self._runs, rows.format(here=_HERE, most=nearby.BETWEEN)
        columns = (which, spans, self._keys[which], runs.first[which], runs.last[which])
        places = list(zip(*(column.tolist() for column in columns), strict=True))
        read: list[Any] = []
        for start in range(0, len(places), CHUNK):
            listed = ",".join(map(str, places[start : start + CHUNK]))
            read += rows_of(self._connection, _TEXTS.format(runs=listed, joined=self._joined, rows=wanted))
        return _parsed([(number, text) for number, text in read if text])


def _parsed(texts: Sequence[tuple[int, str]]) -> _Read:
    """Of runs moments and articles in turn, with a space between."""
    numbers = np.fromstring(" ".join([text for _, text in texts]), dtype=np.int64, sep=" ")
    sizes = [text.count(" ") // 2 + 1 for _, text in texts]
    runs = np.repeat(np.array([number for number, _ in texts], dtype=np.int64), sizes)
    return _Read(runs, numbers[::2], numbers[1::2])
