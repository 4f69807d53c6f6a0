"""Order matches by BM25 in two steps, since the index keeps no frequencies and FTS5's own bm25() is 0 without them.

First every match is scored by what the index knows: which words it has, which stand in its title, how many different
terms it has. Then the best RESCORED are scored again by how often the words really stand in title and text.
BM25 with k1 = 1.2 and b = 0.75 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009); a word in the
title counts as TITLE_WEIGHT more in the text.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from aggregator import terms

K1 = 1.2
B = 0.75
TITLE_WEIGHT = 3
RESCORED = 100
CANDIDATES = 500
"""Texts looked at for an exact count unless told otherwise: 5 microseconds each, 20 if traditional."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A wanted word: folded, where it may stand, and what the index is asked for it (None: it cannot tell).

    `always` says that every match has it: the word alone, or one of those that are ANDed.
    """

    needle: str
    title_only: bool
    anywhere: str | None
    in_title: str | None
    always: bool = False


class Index(Protocol):
    """What ranking asks of an index."""

    def articles(self) -> int:
        """How many articles there are, about."""

    def having(self, match: str | None, low: int, high: int) -> set[int]:
        """Which articles between two docids the index gives for an expression."""

    def count(self, match: str | None, low: int, high: int) -> int:
        """How many they are."""

    def sizes(self, docids: Sequence[int]) -> dict[int, int]:
        """How many different terms each article has."""

    def folded(self, docids: Sequence[int]) -> Sequence[tuple[int, str, str]]:
        """Docid, title and text of these articles, folded."""


def ordered(index: Index, docids: Sequence[int], leaves: Sequence[Leaf]) -> list[int]:
    """The docids (given newest first), best first; among equals the newest."""
    if len(docids) < 2 or not leaves:  # noqa: PLR2004 - nothing to order
        return list(docids)
    first, weights = _by_index(index, docids, leaves)
    best = sorted(docids, key=first.__getitem__, reverse=True)  # stable: equals stay newest first
    again = _by_text(index, best[:RESCORED], leaves, weights)
    return sorted(again, key=lambda docid: (-again[docid], -docid)) + best[RESCORED:]


def _by_index(
    index: Index, docids: Sequence[int], leaves: Sequence[Leaf]
) -> tuple[dict[int, float], dict[Leaf, float]]:
    """A score for each match, and the weight of each word: its rarity among the articles of that time."""
    low, high = min(docids), max(docids)
    sizes = index.sizes(docids)
    mean = sum(sizes.values()) / max(len(sizes), 1) or 1.0
    everything = index.articles()
    scores = dict.fromkeys(docids, 0.0)
    weights: dict[Leaf, float] = {}
    for leaf in leaves:
        anywhere = scores.keys() if leaf.always else scores.keys() & index.having(leaf.anywhere, low, high)
        often_at_all = index.count(leaf.anywhere, low, high) if len(leaves) > 1 else 1
        weights[leaf] = weight = math.log(1 + (everything - often_at_all + 0.5) / (often_at_all + 0.5))
        titled = index.having(leaf.in_title, low, high)
        plain, special = K1 + 1, (1 + TITLE_WEIGHT) * (K1 + 1)
        for docid in anywhere:
            length = K1 * (1 - B + B * sizes.get(docid, mean) / mean)
            share = special / (1 + TITLE_WEIGHT + length) if docid in titled else plain / (1 + length)
            scores[docid] += weight * share
    return scores, weights


def _by_text(
    index: Index, docids: Sequence[int], leaves: Sequence[Leaf], weights: dict[Leaf, float]
) -> dict[int, float]:
    """Scores by how often the words really stand in these articles."""
    rows = index.folded(docids)
    mean = sum(len(text) for _docid, _title, text in rows) / max(len(rows), 1) or 1.0
    scores = {}
    for docid, title, text in rows:
        length = (len(title) + len(text)) / mean
        score = 0.0
        for leaf in leaves:
            often = (1 + TITLE_WEIGHT) * title.count(leaf.needle)
            often += 0 if leaf.title_only else text.count(leaf.needle)
            score += weights[leaf] * _saturated(often, length)
        scores[docid] = score
    return scores


def _saturated(often: float, length: float) -> float:
    """BM25's share of one word: grows with its frequency, ever more slowly, and less in longer texts."""
    return often * (K1 + 1) / (often + K1 * (1 - B + B * length))


@dataclass(frozen=True, slots=True)
class Fts5:
    """SQLite's index."""

    connection: sqlite3.Connection

    def articles(self) -> int:
        """How many articles there are, about."""
        return int(self.connection.execute("SELECT max(id) FROM article").fetchone()[0])

    def having(self, match: str | None, low: int, high: int) -> set[int]:
        """Which articles between two docids the index gives for an expression."""
        if match is None:
            return set()
        sql = "SELECT rowid FROM article_fts WHERE article_fts MATCH ? AND rowid BETWEEN ? AND ?"
        return {row[0] for row in self.connection.execute(sql, (match, low, high))}

    def count(self, match: str | None, low: int, high: int) -> int:
        """How many they are."""
        if match is None:
            return 0
        sql = "SELECT count(*) FROM article_fts WHERE article_fts MATCH ? AND rowid BETWEEN ? AND ?"
        return int(self.connection.execute(sql, (match, low, high)).fetchone()[0])

    def sizes(self, docids: Sequence[int]) -> dict[int, int]:
        """How many different terms each article has, as FTS5 keeps it."""
        rows = self.connection.execute(
            "SELECT d.id, d.sz FROM json_each(?) j CROSS JOIN article_fts_docsize d ON d.id = j.value",
            (json.dumps(list(docids)),),
        )
        return {docid: varint(blob) for docid, blob in rows}

    def folded(self, docids: Sequence[int]) -> list[tuple[int, str, str]]:
        """Docid, title and text of these articles, folded."""
        rows = self.connection.execute(
            "SELECT docid, title, text, docid IN article_traditional FROM article"
            " WHERE docid IN (SELECT value FROM json_each(?))",
            (json.dumps(list(docids)),),
        )
        return [
            (docid, terms.folded(title), terms.folded(text)) if traditional else (docid, title.lower(), text.lower())
            for docid, title, text, traditional in rows
        ]


@cache
def varint(blob: bytes) -> int:
    """SQLite's variable-length integer, in which FTS5 stores a document's number of terms."""
    value = 0
    for byte in blob:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the high bit says that more follows
            break
    return value
