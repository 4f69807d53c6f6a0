"""Tags under review: what a changed catalogue would gain and lose, and what analysts said of single tags.

A verdict outlives retagging: a rejected tag stays away, a confirmed one stays even when no rule finds it any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from aggregator.model import ArticleId, ClauseId, ClauseTag, Relation, Tags

CONFIRM, REJECT = "confirm", "reject"
EXAMPLES = 3  # of each kind a clause


@dataclass(frozen=True, slots=True)
class Change:
    """What retagging one article would change: clauses discussed that it gains, loses, or shows by other sentences."""

    gained: tuple[ClauseTag, ...] = ()
    lost: tuple[ClauseTag, ...] = ()
    moved: tuple[ClauseTag, ...] = ()


@dataclass(slots=True)
class ClauseChanges:
    """The changes of one clause over many articles, with a few examples as (article, quote)."""

    gained: int = 0
    lost: int = 0
    moved: int = 0
    examples: dict[str, list[tuple[ArticleId, str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Precision:
    """What the verdicts on one clause come to."""

    confirmed: int
    rejected: int

    @property
    def share(self) -> float:
        """Confirmed tags among those judged, 0 to 1."""
        return self.confirmed / ((self.confirmed + self.rejected) or 1)


def discussed(tags: Tags | None) -> dict[ClauseId, ClauseTag]:
    """The clauses that an article discusses, by id."""
    return {one.clause: one for one in tags.clauses if one.relation is Relation.DISCUSSES} if tags else {}


def diff(old: Tags | None, new: Tags) -> Change:
    """What changed between two taggings of one text; topical clauses do not count."""
    before, after = discussed(old), discussed(new)
    return Change(
        gained=tuple(tag for clause, tag in after.items() if clause not in before),
        lost=tuple(tag for clause, tag in before.items() if clause not in after),
        moved=tuple(
            tag for clause, tag in after.items() if clause in before and _places(before[clause]) != _places(tag)
        ),
    )


def _places(tag: ClauseTag) -> set[tuple[str, int, int]]:
    return {(one.field, one.start, one.end) for one in tag.evidence}


def judged(new: Tags, verdicts: Mapping[str, str], old: Tags | None = None) -> Tags:
    """Tags with an analyst's verdicts (clause id to `confirm` or `reject`) applied.

    A rejected clause is left out. A confirmed one counts as certain; where the new tags lack it, that of `old` stays.
    """
    found = {one.clause: one for one in new.clauses}
    for clause, verdict in verdicts.items():
        if verdict == REJECT:
            found = {key: tag for key, tag in found.items() if key != clause}
        elif tag := found.get(ClauseId(clause)) or discussed(old).get(ClauseId(clause)):
            found = {**found, tag.clause: replace(tag, relation=Relation.DISCUSSES, score=1.0)}
    agreements = dict.fromkeys((*new.agreements, *(key.rpartition("/")[0] for key in found)))
    return Tags(tuple(agreements) if found else new.agreements, tuple(found.values()))


def summed(changes: Iterable[tuple[ArticleId, Change]]) -> dict[str, ClauseChanges]:
    """The changes of many articles, per clause, with examples of each kind."""
    found: dict[str, ClauseChanges] = {}
    for article, change in changes:
        for kind, tags in (("gained", change.gained), ("lost", change.lost), ("moved", change.moved)):
            for tag in tags:
                one = found.setdefault(tag.clause, ClauseChanges())
                setattr(one, kind, getattr(one, kind) + 1)
                shown = one.examples.setdefault(kind, [])
                if len(shown) < EXAMPLES:
                    shown.append((article, tag.evidence[0].quote if tag.evidence else ""))
    return dict(sorted(found.items()))


def precision(verdicts: Iterable[tuple[str, str]]) -> dict[str, Precision]:
    """Per clause what verdicts, as (clause, verdict), imply."""
    counted = Counter(verdicts)
    clauses = sorted({clause for clause, _verdict in counted})
    return {one: Precision(counted[one, CONFIRM], counted[one, REJECT]) for one in clauses}
