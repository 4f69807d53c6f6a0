"""From plain rows to a Digest: by agreement, then clause, then story; outlets named, copies counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from aggregator.digest.values import (
    AgreementPart,
    Carrier,
    Change,
    ClausePart,
    CoverageRow,
    Digest,
    Item,
    Names,
    Outage,
    Quote,
    StoryPart,
)
from aggregator.model import Evidence

TITLE = 160
"""Characters of a title that are shown: three lines of a phone."""
QUOTE = 200
"""Width of a quote, a Chinese character being two wide: the sentence that shows a clause, or its part around the words
that matched; about six lines of a phone."""
CARRIERS = 8
CHANGES = 12
OUTAGES = 8
ROWS = 40
"""Lines of each kind that a mail names before it counts."""
# Control characters, line ends of every kind, marks that turn the direction of what follows, and code points that are
# no characters (HTML forbids those of every plane).
_NO_CHARACTERS = "".join(chr((plane << 16) + last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_UNSHOWN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufdd0-\ufdef"
    + _NO_CHARACTERS
    + "]"
)


def line(text: str, limit: int = TITLE) -> str:
    """Text from outside as one harmless line, cut at `limit`; doing it twice changes nothing."""
    flat = " ".join(_UNSHOWN.sub(" ", text[: limit * 8]).split())
    return flat if len(flat) <= limit else f"{flat[: limit - 1].rstrip()}…"


def web_link(url: str | None) -> str | None:
    """An address that may stand in a mail: http or https, printable, without blanks, not endless."""
    if not url or len(url) > 1500 or not re.fullmatch(r"https?://[^\s<>\"'`\\{}|^]+", url, re.IGNORECASE):  # noqa: PLR2004
        return None
    return url if url.isprintable() else None


def quote_of(evidence: Evidence) -> Quote:
    """One line of evidence, cut around its marked words; positions are kept while characters are replaced."""
    text = _UNSHOWN.sub(" ", re.sub(r"\s", " ", evidence.quote))
    spans = [(max(a - evidence.start, 0), min(b - evidence.start, len(text))) for a, b in evidence.words]
    marks = _disjoint(span for span in spans if span[0] < span[1])
    room = QUOTE // 2 if sum(char > "\u2e7f" for char in text) * 2 > len(text) else QUOTE
    if len(text) <= room:
        return Quote(text, tuple(marks))
    middle = (marks[0][0] + min(marks[-1][1], marks[0][0] + room)) // 2 if marks else room // 2
    start = max(0, min(middle - room // 2, len(text) - room))
    end = start + room
    before, after = ("…" if start else ""), ("…" if end < len(text) else "")
    moved = [
        (max(a, start) - start + len(before), min(b, end) - start + len(before))
        for a, b in marks
        if a < end and b > start
    ]
    return Quote(f"{before}{text[start:end]}{after}", tuple(moved))


def _disjoint(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def compose(
    frame: Digest,
    items: Sequence[Item],
    names: Names,
    *,
    changes: Sequence[Change] = (),
    weeks: Mapping[str, Sequence[int]] | None = None,
    outages: Sequence[Outage] = (),
    wanted_clauses: Iterable[str] = (),
) -> Digest:
    """Fill a digest's frame (language, period, addresses) with what the period brought.

    `weeks` has the articles of each clause in eight weeks, `wanted_clauses` are those whose coverage is of interest.
    """
    agreements = _agreements(items, names, frame.language)
    covered = {clause.clause for agreement in agreements for clause in agreement.clauses if clause.clause}
    rows, quiet = _coverage(covered | set(wanted_clauses), weeks or {}, names, frame.language)
    return replace(
        frame,
        agreements=agreements,
        articles=len({item.id for item in items}),
        changes=tuple(_tidy(change) for change in changes[:CHANGES]),
        more_changes=max(len(changes) - CHANGES, 0),
        outages=tuple(outages[:OUTAGES]),
        more_outages=max(len(outages) - OUTAGES, 0),
        coverage=rows,
        quiet=quiet,
    )


def _agreements(items: Sequence[Item], names: Names, language: str) -> tuple[AgreementPart, ...]:
    """The items under each agreement and clause, agreements in the catalogue's order, the rest at the end."""
    filed: dict[str, dict[str, list[Item]]] = {}
    for item in items:
        for clause in item.quotes:
            filed.setdefault(clause.rpartition("/")[0], {}).setdefault(clause, []).append(item)
        spoken = {clause.rpartition("/")[0] for clause in item.quotes}
        for agreement in item.agreements:
            if agreement not in spoken:
                filed.setdefault(agreement, {}).setdefault("", []).append(item)
        if not item.quotes and not item.agreements:
            filed.setdefault("", {}).setdefault("", []).append(item)
    order = sorted(filed, key=lambda one: (not one, names.order(f"{one}/0")))
    return tuple(
        AgreementPart(
            agreement,
            line(names.agreement(agreement, language)) if agreement else "",
            tuple(
                ClausePart(
                    clause, line(names.clause(clause, language)), _stories(filed[agreement][clause], clause, language)
                )
                for clause in sorted(filed[agreement], key=lambda one: (not one, names.order(one)))
            ),
        )
        for agreement in order
    )


def _stories(items: Sequence[Item], clause: str, language: str) -> tuple[StoryPart, ...]:
    """The stories of some items, the most carried first, then the newest."""
    told: dict[object, list[Item]] = {}
    for item in items:
        told.setdefault(("story", item.story) if item.story is not None else ("text", _root(item)), []).append(item)
    newest = {key: max(item.when for item in group) for key, group in told.items()}
    order = sorted(told, key=lambda key: (-len({_root(item) for item in told[key]}), -newest[key].timestamp()))
    return tuple(_story(told[key], clause, language) for key in order)


def _root(item: Item) -> int:
    return item.original if item.original is not None else item.id


def _story(items: Sequence[Item], clause: str, language: str) -> StoryPart:
    texts: dict[int, list[Item]] = {}
    for item in sorted(items, key=lambda one: (one.when, one.id)):
        texts.setdefault(_root(item), []).append(item)
    # Of each text the original stands for its copies; where only copies came, the first of them.
    leading = [next((one for one in same if one.original is None), same[0]) for same in texts.values()]
    by_outlet: dict[str, Item] = {}
    for item in leading:
        by_outlet.setdefault(item.outlet, item)
    carriers = [
        Carrier(line(one.outlet, 60), web_link(one.link), one.lang, line(one.title)) for one in by_outlet.values()
    ]
    first = next((one for one in leading if one.lang == language), leading[0])
    quoted = next((one for one in (first, *leading, *items) if one.quotes.get(clause)), first)
    headline = line(first.headline or first.title) or "…"
    return StoryPart(
        headline,
        quoted.quotes.get(clause),
        tuple(carriers[:CARRIERS]),
        max(len(carriers) - CARRIERS, 0),
        len(items) - len(by_outlet),
        tuple(item.id for item in items),
        web_link(first.image),
    )


def _coverage(
    clauses: set[str], weeks: Mapping[str, Sequence[int]], names: Names, language: str
) -> tuple[tuple[CoverageRow, ...], int]:
    """A row for each clause that was covered at all in the weeks, and how many were not."""
    spoken = [clause for clause in sorted(clauses, key=names.order) if any(weeks.get(clause, ()))]
    shown = spoken if len(spoken) <= ROWS else sorted(spoken, key=lambda one: -sum(weeks[one]))[:ROWS]
    rows = [
        CoverageRow(clause, line(names.clause(clause, language), 80), tuple(weeks[clause]))
        for clause in sorted(shown, key=names.order)
    ]
    return tuple(rows), len(clauses) - len(rows)


def _tidy(change: Change) -> Change:
    return replace(
        change,
        title=line(change.title),
        outlet=line(change.outlet, 60),
        link=web_link(change.link),
        before=line(change.before, QUOTE),
        after=line(change.after, QUOTE),
    )
