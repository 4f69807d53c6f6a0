"""What the archive keeps to tell reprints and stories: traces of texts, keys to find them by, links, places.

Every statement touches a bounded number of rows: a key of reprints holds at most `BUCKET` articles, under one of stories
only those around a moment are read, and nothing is read at start. Lists of numbers are written into the statement: a thousand bound parameters cost
SQLAlchemy more than SQLite needs for the whole query.
"""

from __future__ import annotations

import math
import zlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from aggregator.dedup import groups, nearby, reprint, story
from aggregator.dedup.groups import Copy
from aggregator.dedup.reprint import Fingerprint, Likeness
from aggregator.dedup.story import Face
from aggregator.store.schema import (
    place,
    relation_verdict,
    reprint_key,
    reprint_link,
    story_key,
    story_link,
    trace,
)

BUCKET = 48
"""Articles under one key of reprints. A key that many texts share is a common phrase or a bulletin's frame."""
CHUNK = 4000
"""Numbers in one IN list."""
SPAN = 4 * 24 * 60
"""Minutes in a span of `story_key`, which keeps what is looked at together in few pages. Longer than a story's window."""
TIE_BITS = 20
ALWAYS = 99
"""Stands for the keys that two articles share where their link does not hang on keys."""
MOST_LINKED = 240
"""Articles of one neighbourhood that are looked at together; beyond it lies a topic and not a story."""
NEIGHBOURS = 25
"""So many more for each article that is placed."""
MOST_LINKS, LINKS = 6_000, 400
"""Links of stories that are read together, and for each article that is placed."""
COPIES = 3
"""Further articles that are looked at for each one that is placed, among its copies or for a lost link."""
MANY = 32
"""Articles under one key, within a window, beyond which not all of them are read."""
AT_ONCE = 1000
"""Keys whose articles are read together."""
MOST_PAIRS = 10_000
"""Links read in one step around some articles, more than a hundred articles and their stories have. Of a text
that thousands repeat every copy is linked with the same few: one step on from these lie the links of all, which take
hundreds of megabytes and say nothing new."""
_ONCE = {"compiled_cache": None}
"""A statement with its numbers in it is never used again: SQLAlchemy must not keep five hundred of them."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Pair = tuple[int, int]
Run = tuple[int, int, int]
"""A key, and the first and last of some moments."""


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
    for part in chunked(ids):
        _unlink(connection, among(connection, "SELECT b, a FROM story_link", "a", part))
    for table, column in ((reprint_link, "a"), (reprint_link, "b"), (story_link, "a"), (trace, "article_id")):
        for part in chunked(ids):
            connection.execute(sa.delete(table).where(table.c[column].in_(part)))
    for one in old:
        for key in one.print.keys:
            connection.execute(
                sa.delete(reprint_key).where(reprint_key.c.key == key, reprint_key.c.article_id == one.id)
            )
        mine = (
            story_key.c.span == _span(one.moment),
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


_ROWS = """
WITH w(span, key, first, last) AS (VALUES {})
SELECT w.key, w.first, w.last, s.moment, s.article_id FROM w CROSS JOIN story_key s
WHERE s.span = w.span AND s.key = w.key AND s.moment >= coalesce((
    SELECT b.moment FROM story_key b WHERE b.span = w.span AND b.key = w.key AND b.moment < w.first
    ORDER BY b.moment DESC LIMIT 1 OFFSET {}
), 0) AND s.moment <= coalesce((
    SELECT b.moment FROM story_key b WHERE b.span = w.span AND b.key = w.key AND b.moment > w.last
    ORDER BY b.moment LIMIT 1 OFFSET {}
), {})
"""


def story_rows(connection: sa.Connection, wanted: Collection[Pair]) -> dict[Pair, nearby.Row]:
    """What stands under each key around a moment (`wanted`: keys and moments): at least as many articles on either
    side as meet, as far as there are and a story's window reaches.

    Most keys have few articles, and all of them are read at once; of the others only those around each moment.
    """
    few = _few(connection, wanted)
    found = {(key, moment): few[_span(moment), key] for key, moment in wanted if (_span(moment), key) in few}
    return found | _around_moments(connection, [place for place in wanted if place not in found])


_MANY: set[int] = set()
"""Keys that were seen with many articles, in whichever archive: a hint that spares reading all of these again."""
_MANY_AT_MOST = 50_000


def _few(connection: sa.Connection, wanted: Collection[Pair]) -> dict[Pair, nearby.Row]:
    """By span and key everything that is within a window of a moment in this span."""
    sought: dict[int, set[int]] = defaultdict(set)
    spans: dict[int, set[int]] = defaultdict(set)
    last = _last_span(connection)
    for key, moment in wanted:
        if key not in _MANY:
            spans[_span(moment)].add(key)
            for near in {_span(moment - _WINDOW), _span(moment), min(_span(moment + _WINDOW), last)}:
                sought[near].add(key)
    found: dict[Pair, nearby.Row] = {}
    many: set[int] = set()
    for span, keys in sought.items():
        rows, crowded = _whole_rows(connection, span, keys)
        found |= rows
        many |= crowded
    if len(_MANY) > _MANY_AT_MOST:
        _MANY.clear()
    _MANY.update(many)
    return {
        (span, key): sorted(chain.from_iterable(found.get((near, key), ()) for near in (span - 1, span, span + 1)))
        for span, keys in spans.items()
        for key in keys - many
    }


def _last_span(connection: sa.Connection) -> int:
    """The last span in which anything stands: news mostly come last, and nobody need look behind it."""
    return int(rows_of(connection, "SELECT coalesce(max(span), 0) FROM story_key")[0][0])


def _whole_rows(
    connection: sa.Connection, span: int, keys: Collection[int]
) -> tuple[dict[Pair, nearby.Row], set[int]]:
    """By span and key all that stands there; and the keys with many articles, of which not all may have been read."""
    found: dict[Pair, nearby.Row] = defaultdict(list)
    many: set[int] = set()
    query = f"SELECT key, moment, article_id FROM story_key WHERE span = {span:d}"  # noqa: S608 - a number of ours
    every = sorted(keys)
    for start in range(0, len(every), AT_ONCE):
        part = every[start : start + AT_ONCE]
        rows = list(among(connection, query, "key", part, f" LIMIT {MOST_PAIRS}"))
        for key, entries in groupby(rows, key=itemgetter(0)):
            found[span, key] += map(itemgetter(1, 2), entries)
        many.update(
            part if len(rows) == MOST_PAIRS else (key for key in part if len(found.get((span, key), ())) > MANY)
        )
    return found, many


def _around_moments(connection: sa.Connection, wanted: Collection[Pair]) -> dict[Pair, nearby.Row]:
    runs = _runs(wanted)
    found: dict[Run, nearby.Row] = {run: [] for run in runs}
    _look(connection, found, [(_span(run[1]), run) for run in found])
    beyond = []
    for run, row in found.items():
        _, first, last = run
        span, before, upto = _span(first), bisect_left(row, (first, 0)), bisect_left(row, (last + 1, 0))
        if before < nearby.BETWEEN and _span(first - _WINDOW) < span:
            beyond.append((span - 1, run))
        if len(row) - upto < nearby.BETWEEN and _span(last + _WINDOW) > span:
            beyond.append((span + 1, run))
    _look(connection, found, beyond)
    return {(run[0], moment): found[run] for run, moments in runs.items() for moment in moments}


def _runs(wanted: Collection[Pair]) -> dict[Run, list[int]]:
    """Moments of one key that lie close together in one span, which are looked up at once, by key, first and last."""
    found: dict[Run, list[int]] = {}
    for key, places in groupby(sorted(wanted), key=itemgetter(0)):
        run: list[int] = []
        for _, moment in places:
            if run and (moment - run[-1] > _CLOSE or _span(moment) != _span(run[0])):
                found[key, run[0], run[-1]] = run
                run = []
            run.append(moment)
        found[key, run[0], run[-1]] = run
    return found


def _look(connection: sa.Connection, found: dict[Run, nearby.Row], places: Sequence[tuple[int, Run]]) -> None:
    """Add what stands in these spans under these keys around these moments."""
    last = nearby.BETWEEN - 1
    for part in _parts(sorted((span, *run) for span, run in places)):
        query = _ROWS.format(",".join(map(str, part)), last, last, 1 << 62)
        for where, rows in groupby(rows_of(connection, query), key=itemgetter(0, 1, 2)):
            found[where] += map(itemgetter(3, 4), rows)
    for row in found.values():
        row.sort()


_CLOSE = 60 << TIE_BITS
"""Moments no further apart are looked up together."""
_WINDOW = int(story.WINDOW.total_seconds() // 60) << TIE_BITS


def _span(moment: int) -> int:
    return (moment >> TIE_BITS) // SPAN


_LINKED = """
WITH w(a, b) AS (VALUES {}) SELECT w.a, w.b, keys FROM w CROSS JOIN story_link
WHERE story_link.a = w.a AND story_link.b = w.b AND keys < {}
"""


def take_back(connection: sa.Connection, parted: Mapping[Pair, int]) -> set[int]:
    """Of linked pairs that no longer meet under so many of their keys, forget those that meet under too few; gives
    the articles of one story that lost their link. What two stories lose between them parts nobody: none of their
    articles were joined by it, and now they would be less.
    """
    torn: list[Pair] = []
    left: list[dict[str, int]] = []
    for part in _parts(sorted(parted)):
        for a, b, keys in rows_of(connection, _LINKED.format(",".join(map(str, part)), ALWAYS)):
            number = keys - parted[a, b]
            if number < nearby.SHARED:
                torn += ((a, b), (b, a))
            else:
                left += ({"one": a, "other": b, "left": number}, {"one": b, "other": a, "left": number})
    if left:
        connection.execute(sa.update(story_link).where(*_THIS).values(keys=sa.bindparam("left")), left)
    _unlink(connection, torn)
    at = placed(connection, {one for one, _ in torn})
    return {one for one, other in torn if at.get(one, NOWHERE)[0] == at.get(other, NOWHERE)[0] is not None}


_THIS = (story_link.c.a == sa.bindparam("one"), story_link.c.b == sa.bindparam("other"))


def _unlink(connection: sa.Connection, torn: Iterable[Pair]) -> None:
    """Take out story links from this side."""
    rows = [{"one": a, "other": b} for a, b in torn]
    if rows:
        connection.execute(sa.delete(story_link).where(*_THIS), rows)


def put_keys(connection: sa.Connection, reprint_keys: Iterable[Pair], fresh: Iterable[Trace]) -> None:
    """Enter articles under their keys: (key, article) of reprints, and those of stories. In the order of the index."""
    _insert(connection, reprint_key, ("key", "article_id"), sorted(reprint_keys))
    rows = [(_span(at), key, at, one.id) for one in fresh for at in [one.moment] for key in set(one.face.keys())]
    _insert(connection, story_key, ("span", "key", "moment", "article_id"), sorted(rows))


def put_links(
    connection: sa.Connection, copies: Mapping[Pair, Likeness], scores: Mapping[Pair, float], keys: Mapping[Pair, int]
) -> None:
    """Note what was judged of pairs (a < b), and under how many keys they meet: ALWAYS for those not in `keys`."""
    likenesses = [(a, b, like.share, like.of_longer) for (a, b), like in sorted(copies.items())]
    _insert(connection, reprint_link, ("a", "b", "share", "of_longer"), likenesses)
    judged = {pair: (round(score * groups.PARTS), keys.get(pair, ALWAYS)) for pair, score in scores.items()}
    rows = [(*pair, *said) for (a, b), said in judged.items() for pair in ((a, b), (b, a))]
    _insert(connection, story_link, ("a", "b", "score", "keys"), sorted(rows))


def copies_around(connection: sa.Connection, ids: Collection[int]) -> dict[Pair, Likeness]:
    """All reprint links among everything that is linked with these articles, near or far."""
    near = _around(connection, "SELECT a, b, share, of_longer FROM reprint_link", ids)
    return {pair: Likeness(*values) for pair, values in near.items()}


def likenesses_of(connection: sa.Connection, ids: Collection[int]) -> dict[Pair, Likeness]:
    """All reprint links of these articles."""
    found = _with_one_of(connection, "SELECT a, b, share, of_longer FROM reprint_link", ids)
    return {(a, b): Likeness(*values) for a, b, *values in found}


def scores_of(connection: sa.Connection, ids: Collection[int]) -> tuple[dict[int, dict[int, int]], set[Pair]]:
    """All story links of these articles: of each the others and what they score, in millionths. And those pairs that
    do not hang on keys, as reprints.
    """
    query = "SELECT a, b, score, keys FROM story_link"
    rows = sorted(_bounded(connection, query, "a", "b", ids, 2 * MOST_PAIRS))  # both sides of a link are one here
    found = {a: dict(map(itemgetter(1, 2), mine)) for a, mine in groupby(rows, key=itemgetter(0))}
    return found, {(a, b) if a < b else (b, a) for a, b, _, keys in rows if keys == ALWAYS}


def _with_one_of(connection: sa.Connection, query: str, ids: Collection[int]) -> Iterator[Any]:
    """The links with one of these articles on either side."""
    yield from _bounded(connection, query, "a", "b", ids, MOST_PAIRS)
    yield from _bounded(connection, query, "b", "a", ids, MOST_PAIRS)


def _bounded(
    connection: sa.Connection, query: str, side: str, other: str, ids: Collection[int], most: int
) -> list[Any]:
    """The links with one of these articles on this side; of more than `most` the latest, which were asked for."""
    found = list(among(connection, query, side, ids, f" LIMIT {most}"))
    if len(found) >= most:
        order = f" ORDER BY {side} DESC, {other} DESC LIMIT {most}"
        found = list(islice(among(connection, query, side, ids, order), most))
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
    _unlink(connection, [pair for a, b in pairs for pair in ((a, b), (b, a))])
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
    for table in (reprint_key, story_key, reprint_link, story_link, trace):
        connection.execute(sa.delete(table))


def among(
    connection: sa.Connection, selected: str, column: str, numbers: Iterable[int], ending: str = ""
) -> Iterator[Any]:
    """The rows of `selected` (`SELECT ... FROM ... [WHERE ...]`) of which the column holds one of these numbers."""
    joint = "AND" if " WHERE " in selected else "WHERE"
    for part in chunked(numbers):
        yield from rows_of(
            connection, f"{selected} {joint} {column} IN ({','.join(map(str, map(int, part)))}){ending}"
        )


def rows_of(connection: sa.Connection, statement: str) -> Sequence[Any]:
    """The rows of a statement without parameters, as the driver gives them: SQLAlchemy's rows cost more than SQLite's."""
    result = connection.exec_driver_sql(statement, execution_options=_ONCE)
    assert result.cursor is not None  # noqa: S101 - a SELECT has one
    rows: Sequence[Any] = result.cursor.fetchall()
    result.close()
    return rows


def _insert(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[tuple[float, ...]]
) -> None:
    """One statement for all rows in PostgreSQL; for SQLite, which then has nothing to read, one row after the other."""
    opening = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES"
    if rows and connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"{opening} ({', '.join('?' * len(columns))})", list(rows))
        return
    for part in _parts(rows):
        connection.exec_driver_sql(f"{opening} {','.join(map(str, part))}", execution_options=_ONCE)


def _parts(rows: Sequence[tuple[float, ...]]) -> Iterator[Sequence[tuple[float, ...]]]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def chunked(numbers: Iterable[int]) -> Iterator[list[int]]:
    """The distinct numbers in ascending order, `CHUNK` at a time."""
    every = sorted(set(numbers))
    for start in range(0, len(every), CHUNK):
        yield every[start : start + CHUNK]
