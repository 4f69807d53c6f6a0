"""Story links: with which others an article may be on one event. All links of an article are one value, an array.

Hundreds of links are looked at for every article that comes; with a row for each, reading them cost most of what
stories cost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from aggregator.store.schema import article, story_links
from aggregator.store.statements import among, chunked

LINK = np.dtype([("other", "<u4"), ("score", "<i4"), ("keys", "u1")])
"""A link as it is kept, nine bytes: the other article, the log odds in millionths, and under how many keys they meet."""
ALWAYS = 99
"""Stands for the keys that two articles share where their link does not hang on keys."""
MOST = 1000
"""The latest links of one article that are read for stories. Of a text that thousands repeat every copy is linked with
the same few, and what these have in common with all others says nothing new."""
Pair = tuple[int, int]
Links = npt.NDArray[np.void]
Numbers = npt.NDArray[np.uint64]
_HALF = np.uint64(32)


def put(connection: sa.Connection, scores: Mapping[Pair, tuple[int, int]]) -> None:
    """Note of pairs that have no link what they score, in millionths, and under how many keys they meet."""
    if not scores:
        return
    pairs = np.array(list(scores), dtype=np.uint64)
    said = np.array(list(scores.values()), dtype=np.int64)
    fresh = np.zeros(2 * len(pairs), dtype=LINK)
    fresh["other"] = np.concatenate([pairs[:, 1], pairs[:, 0]])
    fresh["score"], fresh["keys"] = np.tile(said[:, 0], 2), np.tile(said[:, 1], 2)
    owners = np.concatenate([pairs[:, 0], pairs[:, 1]])
    old_owners, old = _read(connection, np.unique(owners).tolist())
    _write(connection, np.concatenate([old_owners, owners]), np.concatenate([old, fresh]))


def of(connection: sa.Connection, ids: Iterable[int], above: int = 0) -> tuple[dict[int, dict[int, int]], set[Pair]]:
    """Of each of these articles the others that it is linked with, and how much more than `above` they score; and those
    pairs that do not hang on keys, as reprints.
    """
    rows = list(among(connection, _latest(MOST), "article_id", ids))
    links = np.frombuffer(b"".join([kept for _, kept in rows]), dtype=LINK)
    others, scores = links["other"].tolist(), (links["score"] - above).tolist()
    found, at, always = {}, 0, links["keys"] == ALWAYS
    for owner, kept in rows:
        end = at + len(kept) // LINK.itemsize
        found[owner] = dict(zip(others[at:end], scores[at:end], strict=True))
        at = end
    sure = np.flatnonzero(always)
    owners = _owners(rows)[sure].tolist()
    return found, {(a, b) if a < b else (b, a) for a, b in zip(owners, links["other"][sure].tolist(), strict=True)}


def loosen(connection: sa.Connection, parted: Mapping[Pair, int], least: int) -> list[Pair]:
    """Linked pairs meet under so many of their keys less; those that then meet under fewer than `least` lose their
    link, and are given.
    """
    if not parted:
        return []
    owners, links = _read(connection, {a for a, _ in parted})
    pairs = np.array(list(parted), dtype=np.uint64)
    less = np.array(list(parted.values()), dtype=np.int64)
    codes, order = _sorted(_codes(pairs[:, 0], pairs[:, 1]))
    which, there = _found(_codes(owners, links["other"]), codes)
    there &= links["keys"] != ALWAYS
    left = links["keys"][there].astype(np.int64) - less[order][which[there]]
    left[left < least] = 0
    a, b = owners[there], links["other"][there].astype(np.uint64)
    _change(connection, np.concatenate([a, b]), np.concatenate([b, a]), np.tile(left, 2))
    torn = left == 0
    return list(zip(a[torn].tolist(), b[torn].tolist(), strict=True))


def take_out(connection: sa.Connection, pairs: Collection[Pair]) -> None:
    """Forget the links of these pairs."""
    if pairs:
        both = np.array([*pairs, *((b, a) for a, b in pairs)], dtype=np.uint64)
        _change(connection, both[:, 0], both[:, 1], np.zeros(len(both), dtype=np.int64))


def forget(connection: sa.Connection, ids: Collection[int]) -> None:
    """Forget all links of these articles, on the other side too."""
    for part in chunked(ids):
        owners, links = _read(connection, part)
        others = links["other"].astype(np.uint64)
        connection.execute(sa.delete(story_links).where(story_links.c.article_id.in_(part)))
        _change(connection, others, owners, np.zeros(len(others), dtype=np.int64))


def leading_nowhere(connection: sa.Connection) -> int:
    """How many links lead to or from an article that is not there."""
    there = np.array(
        connection.execute(sa.select(article.c.id).order_by(article.c.id)).scalars().all(), dtype=np.uint64
    )
    count = 0
    for part in chunked(connection.execute(sa.select(story_links.c.article_id)).scalars()):
        owners, links = _read(connection, part)
        known = _found(owners, there)[1] & _found(links["other"].astype(np.uint64), there)[1]
        count += int(np.count_nonzero(~known))
    return count


def every(connection: sa.Connection) -> Iterator[tuple[int, int, int, int]]:
    """All links from either side: an article, the other, the score in millionths, the keys under which they meet."""
    owners, links = _read(connection, connection.execute(sa.select(story_links.c.article_id)).scalars())
    yield from zip(owners.tolist(), *(links[name].tolist() for name in ("other", "score", "keys")), strict=True)


_ALL = "SELECT article_id, links FROM story_links"


def _latest(most: int) -> str:
    size = most * LINK.itemsize
    kept = f"CASE WHEN length(links) > {size:d} THEN substr(links, length(links) - {size - 1:d}) ELSE links END"
    return f"SELECT article_id, {kept} FROM story_links"  # noqa: S608 - numbers of ours


_PUT = sa.text(
    "INSERT INTO story_links (article_id, links) VALUES (:article, :links)"
    " ON CONFLICT (article_id) DO UPDATE SET links = excluded.links"
)


def _read(connection: sa.Connection, ids: Iterable[int]) -> tuple[Numbers, Links]:
    """All links of these articles, and whose each is."""
    rows = list(among(connection, _ALL, "article_id", ids))
    return _owners(rows), np.frombuffer(b"".join([kept for _, kept in rows]), dtype=LINK)


def _owners(rows: Sequence[tuple[int, bytes]]) -> Numbers:
    sizes = [len(kept) // LINK.itemsize for _, kept in rows]
    return np.repeat(np.array([owner for owner, _ in rows], dtype=np.uint64), sizes)


def _write(connection: sa.Connection, owners: Numbers, links: Links) -> None:
    """These are all links of these articles from now on, in this order."""
    owners, order = _sorted(owners)
    said = links[order].tobytes()
    which, begins = np.unique(owners, return_index=True)
    edges = [*(LINK.itemsize * begins).tolist(), len(said)]
    rows = [
        {"article": owner, "links": said[start:end]}
        for owner, start, end in zip(which.tolist(), edges, edges[1:], strict=False)
    ]
    if rows:
        connection.execute(_PUT, rows)


def _change(connection: sa.Connection, owners: Numbers, others: Numbers, keys: npt.NDArray[np.int64]) -> None:
    """From this side links have so many keys from now on; those with none go."""
    if not len(owners):
        return
    mine, links = _read(connection, np.unique(owners).tolist())
    codes, order = _sorted(_codes(owners, others))
    which, there = _found(_codes(mine, links["other"]), codes)
    links = links.copy()
    links["keys"][there] = keys[order][which[there]]
    kept = links["keys"] > 0
    _write(connection, mine[kept], links[kept])
    if bare := np.setdiff1d(mine, mine[kept]).tolist():
        for part in chunked(bare):
            connection.execute(sa.delete(story_links).where(story_links.c.article_id.in_(part)))


def _codes(one: npt.NDArray[np.unsignedinteger], other: npt.NDArray[np.unsignedinteger]) -> Numbers:
    codes: Numbers = one.astype(np.uint64) << _HALF | other.astype(np.uint64)
    return codes


def _sorted(numbers: Numbers) -> tuple[Numbers, npt.NDArray[np.intp]]:
    order = np.argsort(numbers, kind="stable")
    return numbers[order], order


def _found(numbers: Numbers, among_: Numbers) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Where each of these numbers stands among sorted ones, and whether it does."""
    if not len(among_):
        return np.zeros(len(numbers), dtype=np.intp), np.zeros(len(numbers), dtype=np.bool_)
    at = np.minimum(np.searchsorted(among_, numbers), len(among_) - 1)
    return at, among_[at] == numbers
