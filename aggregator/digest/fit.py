"""Keep a mail small: what is left out is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from aggregator.digest.values import AgreementPart, ClausePart, Digest

T = TypeVar("T")
LIMIT = 100_000
"""Bytes of the whole message. Large providers cut a mail off at about 102 kB and hide its end."""

ENOUGH = 0.95
"""A mail this full is full."""


def fitted(
    digest: Digest, make: Callable[[Digest], T], size: Callable[[T], int], limit: int = LIMIT
) -> tuple[Digest, T]:
    """The digest with as many lines as fit, and what `make` made of it.

    Lines are dropped from the end of every clause evenly: each clause keeps its first story before any has a second.
    """
    made = make(digest)
    full = size(made)
    if full <= limit:
        return digest, made
    low, high = 0, len(digest.stories)
    best = trimmed(digest, 0)
    made = make(best)
    below, above = size(made), full
    while high - low > 1 and below < limit * ENOUGH:
        # Lines weigh about the same, so the place where the limit falls is guessed, and bisected where that fails.
        guess = low + int((high - low) * (limit - below) / max(above - below, 1) * ENOUGH)
        middle = min(max(guess, low + 1), high - 1)
        candidate = trimmed(digest, middle)
        tried = make(candidate)
        weight = size(tried)
        if weight <= limit:
            low, best, made, below = middle, candidate, tried, weight
        else:
            high, above = middle, weight
    return best, made


def trimmed(digest: Digest, keep: int) -> Digest:
    """The digest with at most `keep` story lines; articles that no line stands for any more are counted."""
    ranked = sorted(
        (rank, place, number)
        for place, clause in enumerate(_clauses(digest))
        for rank, number in enumerate(range(len(clause.stories)))
    )
    kept = {(place, number) for _rank, place, number in ranked[:keep]}
    place = -1
    agreements = []
    for agreement in digest.agreements:
        clauses = []
        for clause in agreement.clauses:
            place += 1
            stories = tuple(story for number, story in enumerate(clause.stories) if (place, number) in kept)
            left = {one for story in clause.stories if story not in stories for one in story.articles}
            if stories:
                clauses.append(replace(clause, stories=stories, omitted=len(left)))
        if clauses:
            agreements.append(AgreementPart(agreement.agreement, agreement.name, tuple(clauses)))
    part = replace(digest, agreements=tuple(agreements))
    return replace(part, omitted=digest.articles - len(part.shown()))


def _clauses(digest: Digest) -> list[ClausePart]:
    return [clause for agreement in digest.agreements for clause in agreement.clauses]
