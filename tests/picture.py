"""What an archive holds, apart from ids and from when it was seen: equal pictures, equal archives."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import combinations

from aggregator.store import articles, relations, tags
from aggregator.store.archive import Archive
from aggregator.store.schema import story


@dataclass(frozen=True)
class Picture:
    """How many there are of each kind, and a checksum of them: articles, revisions, tags, reprints, stories."""

    counts: dict[str, int]
    sums: dict[str, str]
    pairs: frozenset[tuple[str, ...]]
    """Every two articles that one story holds."""


def picture(url: str) -> Picture:
    """Of the archive at this address; articles go by their feed and GUID."""
    with closing(Archive.open(url)) as archive, archive.reading() as connection:
        every = list(articles.every(connection))
        names = {one.id: f"{one.feed} {one.guid}" for one in every}
        found = tags.of(connection, list(names))
        placed = relations.placed(connection, names)
        headlines = dict(connection.execute(story.select().with_only_columns(story.c.id, story.c.headline)).all())
        stories = defaultdict(list)
        for identity, (belongs, _original) in placed.items():
            if belongs is not None:
                stories[belongs].append(names[identity])
        kinds = {
            "articles": (
                (names[one.id], one.title, one.text, one.html, one.url, one.outlet, one.lang, str(one.published), one.revision)
                for one in every
            ),
            "revisions": (
                (names[one.id], old.revision, old.title, old.text)
                for one in every
                if one.revision > 1
                for old in articles.history(connection, one.id)
            ),
            "tags": ((names[identity], repr(value)) for identity, value in found.items()),
            "reprints": (
                (names[identity], names[original])
                for identity, (_story, original) in placed.items()
                if original is not None
            ),
            "stories": (  # one whose articles all left but one only keeps its id
                (headlines[identity], *sorted(members)) for identity, members in stories.items() if len(members) > 1
            ),
        }  # fmt: skip
        made = {kind: sorted(json.dumps(row, ensure_ascii=False) for row in rows) for kind, rows in kinds.items()}
    pairs = (pair for members in stories.values() for pair in combinations(sorted(members), 2))
    return Picture(
        {kind: len(rows) for kind, rows in made.items()},
        {kind: _sum(rows) for kind, rows in made.items()},
        frozenset(pairs),
    )


def _sum(rows: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]
