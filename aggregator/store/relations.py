"""What the archive keeps to tell reprints and stories: traces of texts, keys to find them by, links, places.

Every statement touches a bounded number of rows: a key of reprints holds at most `BUCKET` articles, under one of stories
only those around a moment are read, and nothing is read at start. Lists of numbers are written into the statement: a thousand bound parameters cost
SQLAlchemy more than SQLite needs for the whole query.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa

from aggregator.dedup import groups, nearby, reprint, story
from aggregator.dedup.groups import Copy
from aggregator.dedup.nearby import Places
from aggregator.dedup.reprint import Fingerprint, Likeness
from aggregator.dedup.story import Face
from aggregator.store import links
from aggregator.store.schema import (
    place,
    relation_verdict,
    reprint_key,
    reprint_link,
    story_key,
    story_links,
    trace,
)
from aggregator.store.statements import among, chunked, insert, parts, rows_of

BUCKET = 48
"""Articles under one key of reprints. A key that many texts share is a common phrase or a bulletin's frame."""
SPAN = 4 * 24 * 60
"""Minutes in a span of `story_key`, which keeps what is looked at together in few pages. Longer than a story's window."""
TIE_BITS = 20
MOST_LINKED = 240
"""Articles of one neighbourhood that are looked at together; beyond it lies a topic and not a story."""
NEIGHBOURS = 25
"""So many more for each article that is placed."""
MOST_LINKS, LINKS = 6_000, 400
"""Links of stories that are read together, and for each article that is placed."""
COPIES = 3
"""Further articles that are looked at for each one that is placed, among its copies or for a lost link."""
MOST_PAIRS = 10_000
"""Links read in one step around some articles, more than a hundred articles and their stories have. Of a text
that thousands repeat every copy is linked with the same few: one step on from these lie the links of all, which take
hundreds of megabytes and say nothing new."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Trace:
    """What is kept of one text: its fingerprint and its face."""

    id: int
    when: datetime
    print: Fingerprint
    face: Face
    tie: int = 0
    """Orders articles of one minute, whatever their ids are; not read again."""

    @property
    def moment(self) -> int:
        """Where it stands among others: the minute, and `tie`."""
        return minutes(self.when) << TIE_BITS | self.tie


def tie(said: str) -> int:
    """A number for `Trace.tie` from what tells an article from others."""
    return zlib.crc32(said.encode("utf-8", "surrogatepass")) >> 32 - TIE_BITS


def minutes(when: datetime) -> int:
    """Whole minutes since 1970."""
    return int((when - _EPOCH).total_seconds() // 60)


def instant(at: int) -> datetime:
    """The instant so many minutes after 1970 began."""
    return _EPOCH + timedelta(minutes=at)


def whole_minute(when: datetime) -> datetime:
    """The instant as `trace` keeps it, so that a face read again compares as when it was new."""
    return instant(minutes(when))


def traces(connection: sa.Connection, ids: Iterable[int]) -> dict[int, Trace]:
    """The traces of these articles; those without are left out."""
    ids = list(ids)
    known, seen = faces(connection, ids), prints(connection, ids)
    return {identity: Trace(identity, face.when, seen[identity], face) for identity, face in known.items()}


def prints(connection: sa.Connection, ids: Iterable[int]) -> dict[int, Fingerprint]:
    """The fingerprints of these articles; those without are left out."""
    rows = _kept(connection, "SELECT article_id, print FROM trace", ids, reprint.is_current)
    return reprint.remembered({identity: bytes(said) for identity, said in rows})


def faces(connection: sa.Connection, ids: Iterable[int]) -> dict[int, Face]:
    """The faces of these articles; those without are left out."""
    rows = _kept(connection, "SELECT article_id, face, at FROM trace", ids, story.is_current)
    return story.remembered({identity: (bytes(face), 60 * at) for identity, face, at in rows})


def _kept(
    connection: sa.Connection, query: str, ids: Iterable[int], is_current: Callable[[bytes], bool]
) -> list[Sequence[Any]]:
    """The rows of these articles; what an earlier version of the program kept is made anew from the articles."""
    rows = list(among(connection, query, "article_id", ids))
    if old := [row[0] for row in rows if not is_current(row[1])]:
        _renew(connection, old)
        rows = [row for row in rows if is_current(row[1])] + list(among(connection, query, "article_id", old))
    return rows


def _renew(connection: sa.Connection, ids: Sequence[int]) -> None:
    query = "SELECT article_id, at, title, text FROM trace JOIN article ON article.id = article_id"
    old = list(among(connection, query, "article_id", ids))
    prints = reprint.fingerprints([text for *_, text in old])
    faces = story.faces([(title, text, instant(at)) for _, at, title, text in old])
    rows = [
        {"id_": identity, "print": its_print.packed(), "face": face.packed()}
        for (identity, *_), its_print, face in zip(old, prints, faces, strict=True)
    ]
    values: dict[str, Any] = {"print": sa.bindparam("print"), "face": sa.bindparam("face")}
    connection.execute(sa.update(trace).where(trace.c.article_id == sa.bindparam("id_")).values(values), rows)


def copies(connection: sa.Connection, ids: Iterable[int]) -> dict[int, Copy]:
    """When these articles count as published and how long their texts are."""
    query = f"SELECT article_id, at, substr(print, 1, {reprint.HEADING}) FROM trace"  # noqa: S608 - a number of ours
    return {
        identity: Copy(instant(at), *reprint.length_and_tie(bytes(heading)))
        for identity, at, heading in among(connection, query, "article_id", ids)
    }


def texts(connection: sa.Connection, ids: Iterable[int]) -> dict[int, str]:
    """The plain texts of these articles."""
    return dict(among(connection, "SELECT id, text FROM article", "id", ids))


def put_traces(connection: sa.Connection, fresh: Sequence[Trace]) -> None:
    """Store traces of articles that have none."""
    if fresh:
        rows = [
            {"article_id": one.id, "at": minutes(one.when), "print": one.print.packed(), "face": one.face.packed()}
            for one in fresh
        ]
        connection.execute(sa.insert(trace), rows)


def forget(connection: sa.Connection, old: Collection[Trace]) -> None:
    """Take out everything that was derived from these texts, except places and what analysts said."""
    ids = [one.id for one in old]
    links.forget(connection, ids)
    for table, column in ((reprint_link, "a"), (reprint_link, "b"), (trace, "article_id")):
        for part in chunked(ids):
            connection.execute(sa.delete(table).where(table.c[column].in_(part)))
    for one in old:
        for key in one.print.keys:
            connection.execute(
                sa.delete(reprint_key).where(reprint_key.c.key == key, reprint_key.c.article_id == one.id)
            )
        mine = (
            story_key.c.span == span_of(one.moment),
            story_key.c.article_id == one.id,
            story_key.c.key.in_(one.face.keys()),
        )
        connection.execute(sa.delete(story_key).where(*mine))


def under_reprint_keys(connection: sa.Connection, keys: Iterable[int]) -> dict[int, list[int]]:
    """The articles under each of these keys."""
    found: dict[int, list[int]] = defaultdict(list)
    for key, identity in among(connection, "SELECT key, article_id FROM reprint_key", "key", keys):
        found[key].append(identity)
    return found


At = TypeVar("At", int, nearby.Numbers)


def span_of(moment: At) -> At:
    """The span of `story_key` in which this moment lies, or each of these."""
    return (moment >> TIE_BITS) // SPAN


def take_back(connection: sa.Connection, parted: Mapping[Pair, int]) -> set[int]:
    """Of linked pairs that no longer meet under so many of their keys, forget those that meet under too few; gives
    the articles of one story that lost their link. What two stories lose between them parts nobody: none of their
    articles were joined by it, and now they would be less.
    """
    torn = links.loosen(connection, parted, nearby.SHARED)
    at = placed(connection, {one for pair in torn for one in pair})
    together = [pair for pair in torn if len({at.get(one, NOWHERE)[0] for one in pair}) == 1]
    return {one for pair in together for one in pair if at.get(one, NOWHERE)[0] is not None}


def put_keys(connection: sa.Connection, reprint_keys: Iterable[Pair], places: Places) -> None:
    """Enter articles under their keys: (key, article) of reprints, and those of stories. In the order of the index."""
    insert(connection, reprint_key, ("key", "article_id"), sorted(reprint_keys))
    mine = places.stand()
    spans = span_of(mine.moments)
    order = np.lexsort((mine.moments, mine.keys, spans))
    columns = (spans, places.keys[mine.keys], mine.moments, mine.ids)
    rows = list(zip(*(column[order].tolist() for column in columns), strict=True))
    insert(connection, story_key, ("span", "key", "moment", "article_id"), rows)


def put_links(
    connection: sa.Connection, copies: Mapping[Pair, Likeness], scores: Mapping[Pair, float], keys: Mapping[Pair, int]
) -> None:
    """Note what was judged of pairs (a < b), and under how many keys they meet: ALWAYS for those not in `keys`."""
    likenesses = [(a, b, like.share, like.of_longer) for (a, b), like in sorted(copies.items())]
    insert(connection, reprint_link, ("a", "b", "share", "of_longer"), likenesses)
    judged = {pair: (round(score * groups.PARTS), keys.get(pair, links.ALWAYS)) for pair, score in scores.items()}
    links.put(connection, judged)


def copies_around(connection: sa.Connection, ids: Collection[int]) -> dict[Pair, Likeness]:
    """All reprint links among everything that is linked with these articles, near or far."""
    near = _around(connection, "SELECT a, b, share, of_longer FROM reprint_link", ids)
    return {pair: Likeness(*values) for pair, values in near.items()}


_SHARES = """
WITH w(a, b) AS (VALUES {}) SELECT w.a, w.b, share FROM w CROSS JOIN reprint_link
WHERE reprint_link.a = w.a AND reprint_link.b = w.b
"""


def shares(connection: sa.Connection, pairs: Iterable[Pair]) -> dict[Pair, float]:
    """Of those of these pairs (a < b) that are linked as reprints, how much of the shorter text the longer one holds."""
    found: dict[Pair, float] = {}
    for part in parts(sorted(pairs)):
        rows = rows_of(connection, _SHARES.format(",".join(map(str, part))))
        found |= {(a, b): share for a, b, share in rows}
    return found


def _with_one_of(connection: sa.Connection, query: str, ids: Collection[int]) -> Iterator[Any]:
    """The links with one of these articles on either side."""
    yield from _bounded(connection, query, "a", "b", ids)
    yield from _bounded(connection, query, "b", "a", ids)


def _bounded(connection: sa.Connection, query: str, side: str, other: str, ids: Collection[int]) -> list[Any]:
    """The links with one of these articles on this side; of more than MOST_PAIRS the latest, which were asked for."""
    found = list(among(connection, query, side, ids, f" LIMIT {MOST_PAIRS}"))
    if len(found) >= MOST_PAIRS:
        order = f" ORDER BY {side} DESC, {other} DESC LIMIT {MOST_PAIRS}"
        found = list(islice(among(connection, query, side, ids, order), MOST_PAIRS))
    return found


def reprinting(connection: sa.Connection, ids: Collection[int]) -> set[int]:
    """The articles that stand as reprints of these."""
    query = "SELECT article_id FROM place"
    return {identity for (identity,) in among(connection, query, "reprint_of", ids)}


def _around(connection: sa.Connection, query: str, ids: Collection[int]) -> dict[Pair, tuple[float, ...]]:
    """The links within the neighbourhood of these articles, and what is noted of them, the strength first. Of more
    neighbours than are looked at together the closest are.
    """
    most = MOST_LINKED + COPIES * len(ids)
    found: dict[Pair, tuple[float, ...]] = {}
    seen, fresh = set(ids), set(ids)
    while fresh and len(seen) < most:
        strength: dict[int, float] = {}
        for a, b, *values in _with_one_of(connection, query, fresh):
            found[a, b] = tuple(values)
            for member in (a, b):
                if member not in seen:
                    strength[member] = max(strength.get(member, -math.inf), values[0])
        closest = sorted(strength, key=lambda member: (-strength[member], member))
        fresh = set(closest[: most - len(seen)])
        seen |= fresh
    return {pair: values for pair, values in found.items() if pair[0] in seen and pair[1] in seen}


def has_verdicts(connection: sa.Connection) -> bool:
    """Whether analysts have said anything."""
    return bool(rows_of(connection, "SELECT 1 FROM relation_verdict LIMIT 1"))


def verdicts(connection: sa.Connection, ids: Collection[int]) -> dict[str, set[Pair]]:
    """What analysts said of pairs with one of these articles, by kind."""
    found: dict[str, set[Pair]] = defaultdict(set)
    for side in ("a", "b"):
        for kind, a, b in among(connection, "SELECT kind, a, b FROM relation_verdict", side, ids):
            found[kind].add((a, b))
    return found


def say(connection: sa.Connection, kind: str, pairs: Iterable[Pair], now: datetime) -> None:
    """Note an analyst's word on pairs of articles; said twice it is noted once."""
    for a, b in {(min(pair), max(pair)) for pair in pairs}:
        here = (relation_verdict.c.a == a, relation_verdict.c.b == b)
        connection.execute(sa.delete(relation_verdict).where(*here))
        connection.execute(sa.insert(relation_verdict).values(kind=kind, a=a, b=b, at=now))


def link_by_word(connection: sa.Connection, score: float) -> None:
    """Note a story link for each pair that an analyst put together."""
    query = sa.select(relation_verdict.c.a, relation_verdict.c.b).where(relation_verdict.c.kind == "one story")
    pairs = [(a, b) for a, b in connection.execute(query).fetchall()]
    links.take_out(connection, pairs)
    put_links(connection, {}, dict.fromkeys(pairs, score), {})


NOWHERE: tuple[int | None, int | None] = (None, None)
"""The story and the original of an article that has neither."""


def placed(connection: sa.Connection, ids: Iterable[int]) -> dict[int, tuple[int | None, int | None]]:
    """The story and the original of each of these articles that has either."""
    query = "SELECT article_id, story_id, reprint_of FROM place"
    return {identity: (story_id, of) for identity, story_id, of in among(connection, query, "article_id", ids)}


def in_stories(connection: sa.Connection, stories: Iterable[int]) -> dict[int, set[int]]:
    """The articles of these stories."""
    found: dict[int, set[int]] = defaultdict(set)
    for story_id, identity in among(connection, "SELECT story_id, article_id FROM place", "story_id", stories):
        found[story_id].add(identity)
    return found


def in_crowded_stories(connection: sa.Connection, ids: Iterable[int]) -> set[int]:
    """Those of these articles whose stories have more than MOST_LINKED, which no lost link takes apart."""
    joined = "SELECT article_id FROM place JOIN story ON story.id = place.story_id"
    query = f"{joined} WHERE story.articles > {MOST_LINKED}"
    return {identity for (identity,) in among(connection, query, "article_id", ids)}


def put_places(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replace the places of these articles (`article_id`, `story_id`, `reprint_of`, `share`)."""
    if not rows:
        return
    for part in chunked([row["article_id"] for row in rows]):
        connection.execute(sa.delete(place).where(place.c.article_id.in_(part)))
    kept = [dict(row) for row in rows if row["story_id"] is not None or row["reprint_of"] is not None]
    if kept:
        connection.execute(sa.insert(place), kept)


def clear(connection: sa.Connection) -> None:
    """Take out everything derived; what analysts said, the stories and their aliases stay."""
    for table in (reprint_key, story_key, reprint_link, story_links, trace):
        connection.execute(sa.delete(table))
