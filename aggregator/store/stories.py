"""Stories: their ids through time, their rows, and what is asked of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import sqlalchemy as sa

from aggregator.dedup import groups
from aggregator.store import relations, statements
from aggregator.store.schema import article, story_alias, trace
from aggregator.store.schema import place as places
from aggregator.store.schema import story as table


def place(
    connection: sa.Connection,
    clusters: Sequence[Collection[int]],
    original: Mapping[int, int | None],
    above: Mapping[int, Mapping[int, int]],
    relinked: Collection[int] = (),
) -> None:
    """Write where each article of `original` stands. A story's id stays with most of its articles; of two that become one the older
    id stays and the other is remembered as its alias. Stories of articles with other links than before (`relinked`) are
    described anew. `above` holds what links score above strangers.
    """
    before = relations.placed(connection, original)
    story_of = {member: before.get(member, relations.NOWHERE)[0] for member in original}
    merged_all: set[int] = set()
    first = last = _last_id(connection)
    unseen = _unseen(connection, clusters, before)
    for cluster, (identity, merged) in zip(clusters, _ids(clusters, before, unseen), strict=True):
        story_id = identity
        if identity is None and len(cluster) > 1:
            story_id = last = last + 1
        story_of |= dict.fromkeys(cluster, story_id)
        if merged:
            _remember(connection, merged, story_id)
            merged_all |= merged
    _enter(connection, range(first + 1, last + 1))
    moved = [
        member for member, of in original.items() if before.get(member, relations.NOWHERE) != (story_of[member], of)
    ]
    rows = _rows(connection, moved, story_of, original)
    relations.put_places(connection, rows)
    changed = {row["story_id"] for row in rows} | {before.get(row["article_id"], relations.NOWHERE)[0] for row in rows}
    changed |= {story_of.get(one) for one in relinked}
    described = {one for one in changed | merged_all if one is not None}
    mates: dict[int, set[int]] = {one: set() for one in described}
    for member, its in story_of.items():
        if its in mates:
            mates[its].add(member)
    _describe(connection, described, _weights(mates.values(), above))


def _weights(every: Iterable[Collection[int]], above: Mapping[int, Mapping[int, int]]) -> dict[int, int]:
    """Of each article of these stories what its links within the story score together."""
    found = {}
    for mates in every:
        for member in mates:
            mine = above.get(member, {})
            near = mine.keys() & mates
            found[member] = sum(mine[other] for other in near) + groups.NOTHING * len(near)
    return found


def _rows(
    connection: sa.Connection,
    moved: Sequence[int],
    story_of: Mapping[int, int | None],
    original: Mapping[int, int | None],
) -> list[dict[str, Any]]:
    """What `put_places` takes of these articles."""
    reprints = {(min(one, of), max(one, of)): one for one in moved if (of := original[one]) is not None}
    share = {reprints[pair]: share for pair, share in relations.shares(connection, reprints).items()}
    return [
        {"article_id": one, "story_id": story_of[one], "reprint_of": original[one], "share": share.get(one)}
        for one in moved
    ]


def _ids(
    clusters: Sequence[Collection[int]],
    before: Mapping[int, tuple[int | None, int | None]],
    unseen: Mapping[int, int],
) -> list[tuple[int | None, set[int]]]:
    """For each cluster the id that it keeps, and the ids of stories that it takes in. A story of which most articles
    were not looked at (`unseen`) keeps its id to itself.
    """
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    for number, cluster in enumerate(clusters):
        for member in cluster:
            if (story_id := before.get(member, relations.NOWHERE)[0]) is not None:
                counts[story_id][number] += 1
    won: dict[int, set[int]] = defaultdict(set)
    for story_id, where in counts.items():
        best = min(where, key=lambda number: (-where[number], min(clusters[number])))
        if where[best] >= unseen.get(story_id, 0):
            won[best].add(story_id)
    found = []
    for number in range(len(clusters)):
        mine = won.get(number, set())
        keep = min(mine, default=None)
        found.append((keep, mine - {keep} if keep is not None else set()))
    return found


def _unseen(
    connection: sa.Connection,
    clusters: Sequence[Collection[int]],
    before: Mapping[int, tuple[int | None, int | None]],
) -> dict[int, int]:
    """Of each story how many articles are in no cluster, as where the bound on what is read was met. Those beyond
    MOST_LINKED, of which only the latest are ever read, count as read.
    """
    seen = Counter(before.get(member, relations.NOWHERE)[0] for cluster in clusters for member in cluster)
    sizes = statements.among(
        connection, "SELECT id, articles FROM story", "id", [one for one in seen if one is not None]
    )
    return {story_id: size - seen[story_id] for story_id, size in sizes if size <= relations.MOST_LINKED}


def _last_id(connection: sa.Connection) -> int:
    """The highest id in use; ids of merged stories are never given again."""
    last = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
    gone = connection.scalar(sa.select(sa.func.max(story_alias.c.old))) or 0
    return int(max(last, gone))


def _enter(connection: sa.Connection, ids: Sequence[int]) -> None:
    """Rows for new stories, which `_describe` fills in."""
    blank = {"headline": "", "first_seen": relations.instant(0), "last_seen": relations.instant(0), "articles": 0}
    if ids:
        connection.execute(sa.insert(table), [blank | {"id": identity} for identity in ids])


def _remember(connection: sa.Connection, merged: Collection[int], story_id: int | None) -> None:
    connection.execute(sa.update(places).where(places.c.story_id.in_(merged)).values(story_id=story_id))
    connection.execute(sa.update(story_alias).where(story_alias.c.story_id.in_(merged)).values(story_id=story_id))
    connection.execute(sa.delete(story_alias).where(story_alias.c.old.in_({*merged, story_id})))
    connection.execute(sa.insert(story_alias), [{"old": old, "story_id": story_id} for old in sorted(merged)])


def _describe(connection: sa.Connection, changed: Collection[int], weight: Mapping[int, int]) -> None:
    """Headline, times and size of stories from their articles; stories without articles go. One of more articles than
    are looked at together keeps the headline that it has.
    """
    counted = (
        "SELECT story_id, count(*), min(at), max(at) FROM place JOIN trace ON trace.article_id = place.article_id"
    )
    rows_of_stories = statements.among(connection, counted, "story_id", changed, " GROUP BY story_id")
    sizes: dict[int, tuple[int, int, int]] = {story_id: tuple(size) for story_id, *size in rows_of_stories}
    if empty := set(changed) - sizes.keys():
        connection.execute(sa.delete(table).where(table.c.id.in_(empty)))
    large = [story_id for story_id, (size, *_) in sizes.items() if size > relations.MOST_LINKED]
    headlines = _headlines(connection, sizes.keys() - _headed(connection, large), weight)
    rows = [
        {
            "id_": story_id,
            "first_seen": relations.instant(first),
            "last_seen": relations.instant(last),
            "articles": number,
            "headline": headlines.get(story_id),
        }
        for story_id, (number, first, last) in sizes.items()
    ]
    if rows:
        values: dict[str, Any] = {name: sa.bindparam(name) for name in ("first_seen", "last_seen", "articles")}
        headline = sa.func.coalesce(sa.bindparam("headline", type_=sa.Text), table.c.headline)
        connection.execute(
            sa.update(table).where(table.c.id == sa.bindparam("id_")).values(values | {"headline": headline}), rows
        )


def _headed(connection: sa.Connection, ids: Collection[int]) -> set[int]:
    """Those of these stories that have a headline already."""
    query = "SELECT id FROM story WHERE headline <> ''"
    return {identity for (identity,) in statements.among(connection, query, "id", ids)}


def _headlines(connection: sa.Connection, ids: Collection[int], weight: Mapping[int, int]) -> dict[int, str]:
    """The headline of each of these stories: the title of the article that most others are close to, by `weight`;
    originals before reprints, then the earliest.
    """
    closest: dict[int, list[int]] = {}
    query = "SELECT story_id, place.article_id, at, reprint_of FROM place JOIN trace ON trace.article_id = place.article_id"
    rank: dict[int, tuple[bool, int, int]] = {}
    for story_id, identity, at, of in statements.among(connection, query, "story_id", ids):
        mine = (of is not None, -weight.get(identity, 0), at)
        if story_id not in rank or mine < rank[story_id]:
            rank[story_id], closest[story_id] = mine, []
        if mine == rank[story_id]:
            closest[story_id].append(identity)
    titles = dict(statements.among(connection, "SELECT id, title FROM article", "id", chain(*closest.values())))
    return {story_id: min(titles[one] for one in members) for story_id, members in closest.items()}


@dataclass(frozen=True, slots=True)
class Listed:
    """A story in a list: `voices` counts texts of their own, `copies` their reprints."""

    id: int
    headline: str
    first_seen: datetime
    last_seen: datetime
    outlets: tuple[str, ...]
    articles: tuple[int, ...]
    voices: int
    copies: int


def resolve(connection: sa.Connection, story_id: int) -> int | None:
    """The story's present id, through merges; None for an id that never was."""
    now = connection.scalar(sa.select(story_alias.c.story_id).where(story_alias.c.old == story_id))
    identity = now if now is not None else story_id
    return connection.scalar(sa.select(table.c.id).where(table.c.id == identity))


def listed(
    connection: sa.Connection, condition: sa.ColumnElement[bool] | None = None, limit: int = 50
) -> list[Listed]:
    """Stories of two articles and more of which one meets the condition on `article`, the latest first."""
    query = (
        sa.select(table.c.id).where(table.c.articles > 1).order_by(table.c.last_seen.desc(), table.c.id).limit(limit)
    )
    if condition is not None:
        meeting = sa.select(places.c.story_id).join(article, article.c.id == places.c.article_id).where(condition)
        query = query.where(table.c.id.in_(meeting))
    return told(connection, [identity for (identity,) in connection.execute(query)])


def told(connection: sa.Connection, ids: Sequence[int]) -> list[Listed]:
    """These stories, in this order."""
    rows: dict[int, Any] = {}
    for part in statements.chunked(ids):
        rows |= {row.id: row for row in connection.execute(sa.select(table).where(table.c.id.in_(part)))}
    members: dict[int, list[tuple[int, str, int | None]]] = defaultdict(list)
    query = (
        sa.select(places.c.story_id, article.c.id, article.c.outlet, places.c.reprint_of, trace.c.at)
        .join(article, article.c.id == places.c.article_id)
        .join(trace, trace.c.article_id == article.c.id)
    )
    for part in statements.chunked(ids):
        for story_id, identity, outlet, of, _at in connection.execute(
            query.where(places.c.story_id.in_(part)).order_by(trace.c.at, article.c.id)
        ):
            members[story_id].append((identity, outlet, of))
    return [
        Listed(
            identity,
            rows[identity].headline,
            rows[identity].first_seen,
            rows[identity].last_seen,
            tuple(dict.fromkeys(outlet for _, outlet, _ in members[identity])),
            tuple(one for one, _, _ in members[identity]),
            sum(1 for _, _, of in members[identity] if of is None),
            sum(1 for _, _, of in members[identity] if of is not None),
        )
        for identity in ids
        if identity in rows
    ]
