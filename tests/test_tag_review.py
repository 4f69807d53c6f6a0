"""What retagging changes, and what analysts' verdicts do."""

from __future__ import annotations

from aggregator.model import ArticleId, ClauseId, ClauseTag, Evidence, Relation, Tags
from aggregator.tag_review import Precision, diff, judged, precision, summed


def tag(clause: str, start: int = 0, relation: Relation = Relation.DISCUSSES) -> ClauseTag:
    """A tag with one quote."""
    return ClauseTag(ClauseId(clause), relation, 0.8, (Evidence("text", start, start + 5, "quote", "rule"),), "v1")


OLD = Tags(("a",), (tag("a/1"), tag("a/2"), tag("a/4", relation=Relation.TOPICAL)))
NEW = Tags(("a",), (tag("a/2", 9), tag("a/3"), tag("a/4", relation=Relation.TOPICAL)))


def test_diff_tells_gained_lost_and_moved() -> None:
    """Topical clauses do not count; the same clause by another sentence has moved."""
    change = diff(OLD, NEW)
    assert [one.clause for one in change.gained] == ["a/3"]
    assert [one.clause for one in change.lost] == ["a/1"]
    assert [one.clause for one in change.moved] == ["a/2"]
    assert diff(None, Tags()) == diff(OLD, OLD)


def test_changes_are_summed_with_examples() -> None:
    """Per clause, at most three examples of each kind."""
    found = summed((ArticleId(number), diff(OLD, NEW)) for number in range(5))
    assert (found["a/3"].gained, found["a/1"].lost, found["a/2"].moved) == (5, 5, 5)
    assert found["a/3"].examples["gained"] == [(0, "quote"), (1, "quote"), (2, "quote")]


def test_verdicts_outlive_retagging() -> None:
    """A rejected clause stays away; a confirmed one is certain, and stays when no rule finds it any more."""
    found = judged(NEW, {"a/3": "reject", "a/2": "confirm", "a/1": "confirm", "a/9": "confirm"}, OLD)
    assert {one.clause: one.score for one in found.clauses if one.relation is Relation.DISCUSSES} == {
        "a/2": 1.0,
        "a/1": 1.0,
    }
    assert judged(NEW, {}) == NEW


def test_precision_of_verdicts() -> None:
    """Confirmed among those judged."""
    assert precision([("a/1", "confirm"), ("a/1", "reject"), ("a/1", "confirm"), ("a/2", "reject")]) == {
        "a/1": Precision(2, 1),
        "a/2": Precision(0, 1),
    }
    assert round(Precision(2, 1).share, 2) == 0.67
