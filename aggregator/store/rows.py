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
from aggregator.dedup.nearby import Entries, Numbers, Places
from aggregator.store.relations import TIE_BITS, span_of
from aggregator.store.statements import parts, rows_of

_CLOSE = 60 << TIE_BITS
"""Moments no further apart are looked up together."""
_WINDOW = int(story.WINDOW.total_seconds() // 60) << TIE_BITS


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
        apart = (np.diff(keys) > 0) | (np.diff(moments) > _CLOSE) | (np.diff(span_of(moments)) > 0)
        starts = np.flatnonzero(np.append(True, apart))
        return cls(keys[starts], moments[starts], moments[np.append(starts[1:], len(keys)) - 1])


def around(connection: sa.Connection, places: Places) -> Entries:
    """What stands under each key around the moments wanted: at least as many articles on either side as meet, as far as
    there are and a story's window reaches. Some are named twice.
    """
    numbers, moments = places.wanted()
    if not len(numbers):
        return Entries(numbers, numbers, numbers)
    _let_gather(connection, "off")
    found = _Look(connection, places.keys, _Runs.of(numbers, moments)).around()
    _let_gather(connection, "on")
    return found


def _let_gather(connection: sa.Connection, said: str) -> None:
    """PostgreSQL believes that a key has few articles, and would read and sort all for the latest; off, it walks along
    its index. A transaction that fails forgets it.
    """
    if connection.dialect.name == "postgresql":
        rows_of(connection, f"SELECT set_config('enable_bitmapscan', '{said}', true)")


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
    WITH w({columns}) AS (VALUES {listed})
    SELECT number, (SELECT {joined}(moment || ' ' || article_id, ' ') FROM ({rows}) s) FROM w
"""
_SPANS = "SELECT (SELECT min(span) FROM story_key), (SELECT max(span) FROM story_key)"
"""One by one, so that each is read from an end of the index."""
_HERE = "WHERE story_key.span = w.span AND story_key.key = w.key"
_NOTHING: Numbers = np.zeros(0, dtype=np.int64)


class _Look:
    """Reads what stands under keys around runs."""

    def __init__(self, connection: sa.Connection, keys: Numbers, runs: _Runs) -> None:
        self._connection, self._keys, self._runs = connection, keys, runs
        self._spans = span_of(runs.first)

    def around(self) -> Entries:
        """In each run's span; and in those before and behind it where more is wanted and a window reaches there."""
        runs, spans = self._runs, self._spans
        first, last = rows_of(self._connection, _SPANS)[0]
        if first is None:
            return _joined([])
        here, before, after = self._here()
        early = (before < nearby.BETWEEN) & (span_of(runs.first - _WINDOW) < spans) & (spans > first)
        late = (after < nearby.BETWEEN) & (span_of(runs.last + _WINDOW) > spans) & (spans < last)
        earlier = self._end(_LATEST, runs.keys[early], spans[early] - 1)
        return _joined([*here, earlier, self._end(_EARLIEST, runs.keys[late], spans[late] + 1)])

    def _here(self) -> tuple[Sequence[Entries], Numbers, Numbers]:
        """What stands in each run's span; and how many there are before the run and after it.

        The latest under a key are read first: often they are all that is wanted, since news mostly come last.
        """
        runs = self._runs
        starts = np.append(True, (np.diff(runs.keys) > 0) | (np.diff(self._spans) > 0))
        keys, place = runs.keys[starts], np.cumsum(starts) - 1
        which, moments, ids = self._read(_LATEST, keys, self._spans[starts])
        newest = np.full(len(keys), np.iinfo(np.int64).min)
        np.maximum.at(newest, which, moments)
        before = np.bincount(which, minlength=len(keys))[place]
        behind = (before == nearby.BETWEEN) & (newest[place] >= runs.first)
        enough = np.zeros(len(keys), dtype=np.bool_)
        enough[place[~behind]] = True
        taken = enough[which]
        latest = Entries(keys[which[taken]], moments[taken], ids[taken])
        which, moments, ids = self._whole(np.flatnonzero(behind))
        earlier, later = (
            np.bincount(which[side], minlength=len(before))
            for side in (moments < runs.first[which], moments > runs.last[which])
        )
        return [latest, Entries(runs.keys[which], moments, ids)], np.where(behind, earlier, before), later

    def _whole(self, which: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Of these runs in their spans which one it is, moments, and articles."""
        runs = self._runs
        bounds = {"first": runs.first[which], "last": runs.last[which]}
        found, moments, ids = self._read(_WHOLE, runs.keys[which], self._spans[which], **bounds)
        return which[found], moments, ids

    def _end(self, rows: str, keys: Numbers, spans: Numbers) -> Entries:
        """The first or the last under keys in spans, each read once."""
        if not len(keys):
            return Entries(_NOTHING, _NOTHING, _NOTHING)
        wide = len(self._keys)
        spans, keys = divmod(np.unique(spans * wide + keys), wide)
        which, *rest = self._read(rows, keys, spans)
        return Entries(keys[which], *rest)

    def _read(self, rows: str, keys: Numbers, spans: Numbers, **more: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """The numbers of the places asked for, and the moments and articles found there."""
        if not len(keys):
            return (_NOTHING,) * 3
        columns = {"number": np.arange(len(keys)), "span": spans, "key": self._keys[keys], **more}
        places = list(zip(*(column.tolist() for column in columns.values()), strict=True))
        said = {
            "columns": ", ".join(columns),
            "joined": "group_concat" if self._connection.dialect.name == "sqlite" else "string_agg",
            "rows": rows.format(here=_HERE, most=nearby.BETWEEN),
        }
        texts: list[Any] = []
        for part in parts(places):
            texts += rows_of(self._connection, _TEXTS.format(listed=",".join(map(str, part)), **said))
        return _parsed([(number, text) for number, text in texts if text])


def _parsed(texts: Sequence[tuple[int, str]]) -> tuple[Numbers, Numbers, Numbers]:
    """Numbers of places, and what was found there, moments and articles in turn with a space between."""
    found = np.fromstring(" ".join([text for _, text in texts]), dtype=np.int64, sep=" ")
    sizes = [text.count(" ") // 2 + 1 for _, text in texts]
    return np.repeat(np.array([number for number, _ in texts], dtype=np.int64), sizes), found[::2], found[1::2]


def _joined(parts: Sequence[Entries]) -> Entries:
    return Entries(
        *(np.concatenate([_NOTHING, *(getattr(part, name) for part in parts)]) for name in ("keys", "moments", "ids"))
    )
