"""Reprints and stories of newly stored texts: find what may belong together, judge it, place it.

    relate ─ link     traces of the new texts; candidates by shared keys; judged pairs become links
           └ settle   around the new links: originals and reprints, stories; ids stay, merges are remembered

The order of arrival does not matter. Which articles are compared depends on their places in time under their keys
(`dedup.nearby`), a link on the two texts alone, and places on links and analysts' words alone, of which as many are
looked at as decide (`groups.Linkage`). An article that comes late takes its place among those that are there: it may
become the original of its copies, and come between two that were compared across it, whose link is then taken back.
Exact up to the bounds on what is read for one batch (`NEIGHBOURS`, `LINKS`), which are met where thousands of
articles a day share their weightiest words. Then neighbours are left out, and a story of which not all was looked at
stays what it is: a topic never grows into one story.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice
from typing import Generic, TypeVar

import numpy as np
import sqlalchemy as sa

from aggregator import memory
from aggregator.dedup import groups, nearby, reprint, story
from aggregator.dedup.folding import Indexes
from aggregator.dedup.nearby import Places
from aggregator.dedup.reprint import Fingerprint, Likeness
from aggregator.dedup.story import Face
from aggregator.errors import AggregatorError
from aggregator.model import Article
from aggregator.store import articles, links, relations, rows, stories, unrelated
from aggregator.store.archive import Archive
from aggregator.store.relations import Pair, Trace

Kept = TypeVar("Kept")
One = TypeVar("One")
BATCH = 250
"""Articles related at a time: what is read of their neighbourhoods is held for all of them."""
FLOOR = groups.JOINS
"""Scores below are not noted: alone they join nothing."""
SAME_TEXT, SAID = 6.0, 12.0
"""Scores of reprints, and of what an analyst put together."""
ONE_STORY, TWO_STORIES, NOT_A_REPRINT = "one story", "two stories", "not a reprint"
"""What an analyst may say of two articles."""
_SILENCE: dict[str, set[Pair]] = {ONE_STORY: set(), TWO_STORIES: set(), NOT_A_REPRINT: set()}
AHEAD = timedelta(hours=24)
"""A date further in the future than this is a mistake; first seen counts instead."""


def relate(connection: sa.Connection, stored: Sequence[Article], now: datetime) -> frozenset[int]:
    """Relate new and revised articles to all others; the ids of those that are reprints.

    In the order of time, so that what is looked up together lies together, whatever feeds they came from.
    """
    for some in _batches(sorted(stored, key=lambda one: _when(one, now)), BATCH):
        torn = link(connection, _traces(some, now), {one.id: one.text for one in some})
        settle(connection, [one.id for one in some], torn)
    placed = relations.placed(connection, [one.id for one in stored])
    return frozenset(identity for identity, (_, original) in placed.items() if original is not None)


def catch_up(archive: Archive, now: datetime, stopped: Callable[[], bool] = lambda: False) -> frozenset[int]:
    """Relate what was stored without it, in the order of time, a transaction for each part; those that are reprints.

    Of a part that cannot be related only the articles that are to blame are left out; `archive check` counts them.
    What is not reached when `stopped` says so waits for the next time.
    """
    with archive.reading() as connection:
        waiting = unrelated.in_time(connection)
    reprints: frozenset[int] = frozenset()
    for number, some in enumerate(_batches(waiting, BATCH), 1):
        if stopped():
            break
        reprints |= _caught_up(archive, some, now)
        if number % 5 == 0:
            memory.give_back()
    return reprints


def _caught_up(archive: Archive, ids: Sequence[int], now: datetime) -> frozenset[int]:
    try:
        with archive.writing() as connection:
            return relate(connection, unrelated.take(connection, ids), now)
    except (sa.exc.OperationalError, AggregatorError):
        raise  # the archive's trouble, and not an article's
    except Exception:  # noqa: BLE001 - whatever is the matter with one text, the others are related
        if len(ids) > 1:
            half = len(ids) // 2
            return _caught_up(archive, ids[:half], now) | _caught_up(archive, ids[half:], now)
    with archive.writing() as connection:
        unrelated.take(connection, ids)
    return frozenset()


def recalculate(connection: sa.Connection, now: datetime | None = None) -> None:
    """Derive every link and place again from the articles; stories keep their ids, analysts' words hold."""
    relations.clear(connection)
    unrelated.clear(connection)
    ids = []
    for batch in _batches(articles.every(connection), BATCH):
        seen = now or max(article.first_seen for article in batch if article.first_seen)
        link(connection, _traces(batch, seen), {one.id: one.text for one in batch})
        ids += [article.id for article in batch]
    relations.link_by_word(connection, SAID)
    for some in _batches(ids, BATCH):
        settle(connection, some)


def _batches(every: Iterable[One], size: int) -> Iterator[list[One]]:
    source = iter(every)
    while batch := list(islice(source, size)):
        yield batch


def _traces(stored: Sequence[Article], now: datetime) -> list[Trace]:
    whens = [_when(article, now) for article in stored]
    prints = reprint.fingerprints([article.text for article in stored])
    faces = story.faces([(one.title, one.text, when) for one, when in zip(stored, whens, strict=True)])
    return [
        Trace(one.id, when, its_print, face, relations.tie(f"{one.feed}\n{one.guid or one.url or one.title}"))
        for one, when, its_print, face in zip(stored, whens, prints, faces, strict=True)
    ]


def _when(article: Article, now: datetime) -> datetime:
    """When it counts as published."""
    when = article.when or now
    if when > now + AHEAD:
        when = article.first_seen or now
    return relations.whole_minute(when)


# --- links ------------------------------------------------------------------------------------------------------


def link(connection: sa.Connection, fresh: Sequence[Trace], texts: Mapping[int, str]) -> set[int]:
    """Note what the fresh texts are to all that they meet under keys; what was noted of them before is forgotten.

    Gives the articles that lost a link, since fresh ones stand between them now.
    """
    old = relations.traces(connection, [one.id for one in fresh])
    relations.forget(connection, old.values())
    copies, copy_keys = _copy_candidates(connection, fresh)
    relations.put_traces(connection, fresh)
    places = _places(fresh)
    events, parted = _event_candidates(connection, fresh, places, old)
    relations.put_keys(connection, copy_keys, places)
    prints = _Known({one.id: one.print for one in fresh}, partial(relations.prints, connection))
    faces = _Known({one.id: one.face for one in fresh}, partial(relations.faces, connection))
    likenesses = _likenesses(connection, copies, prints, texts)
    scores = _scores(events.keys() | likenesses.keys(), likenesses, faces, prints)
    torn = relations.take_back(connection, parted)
    relations.put_links(connection, likenesses, scores, {p: n for p, n in events.items() if p not in likenesses})
    return torn


class _Known(Generic[Kept]):
    """What is kept of articles, read when it is asked for; articles without a trace are left out."""

    def __init__(self, at_hand: dict[int, Kept], read: Callable[[Collection[int]], dict[int, Kept]]) -> None:
        self._at_hand, self._read = at_hand, read

    def of(self, pairs: Collection[Pair]) -> dict[int, Kept]:
        """By id, for both articles of these pairs."""
        wanted = set(chain.from_iterable(pairs)) - self._at_hand.keys()
        self._at_hand |= self._read(wanted)
        return self._at_hand


def _copy_candidates(connection: sa.Connection, fresh: Sequence[Trace]) -> tuple[set[Pair], set[Pair]]:
    """Pairs that share a key, and the keys to enter. One full key alone says nothing, it is a phrase of many texts;
    but where a text has no other.
    """
    under = relations.under_reprint_keys(connection, {key for one in fresh for key in one.print.keys})
    pairs, enter = set(), set()
    for one in fresh:
        near, full = set[int](), Counter[int]()
        for key in one.print.keys:
            bucket = under.setdefault(key, [])
            if len(bucket) < relations.BUCKET:
                near.update(bucket)
                bucket.append(one.id)
                enter.add((key, one.id))
            else:
                full.update(bucket)
        enough = min(len(set(one.print.keys)), 2)
        near.update(other for other, number in full.items() if number >= enough)
        pairs |= {_pair(one.id, other) for other in near if other != one.id}
    return pairs, enter


def _places(fresh: Sequence[Trace]) -> Places:
    return Places.of([(one.moment, one.id, one.face.term_keys(), one.face.name_keys()) for one in fresh])


def _event_candidates(
    connection: sa.Connection, fresh: Sequence[Trace], places: Places, old: Mapping[int, Trace]
) -> tuple[dict[Pair, int], Counter[Pair]]:
    """Pairs that meet under several keys, and under how many; pairs that do so no more under so many of theirs.

    The fresh articles are not yet entered under their keys. A revised article stands where it stood.
    """
    found = nearby.Rows(places, rows.around(connection, places))
    stood = {(key, one.id) for one in fresh if _stays(one, old) for key in set(old[one.id].face.keys())}
    return found.meeting(), found.parted(stood)


def _stays(one: Trace, old: Mapping[int, Trace]) -> bool:
    return one.id in old and old[one.id].when == one.when


def _pair(a: int, b: int) -> Pair:
    return (a, b) if a < b else (b, a)


def _likenesses(
    connection: sa.Connection, pairs: Collection[Pair], prints: _Known[Fingerprint], texts: Mapping[int, str]
) -> dict[Pair, Likeness]:
    known, at_hand = prints.of(pairs), dict(texts)
    every, _ = _indexed(pairs, known)

    def both(at: int) -> tuple[str, str]:
        a, b = every[at]
        at_hand.update(relations.texts(connection, {a, b} - at_hand.keys()))
        return at_hand[b], at_hand[a]

    judged = reprint.judge_all([(known[b], known[a]) for a, b in every], both)
    return {pair: likeness for pair, likeness in zip(every, judged, strict=True) if likeness}


def _scores(
    pairs: Collection[Pair], copies: Mapping[Pair, Likeness], faces: _Known[Face], prints: _Known[Fingerprint]
) -> dict[Pair, float]:
    """How much the two of each pair attract each other; pairs far apart in time or not above `FLOOR` are left out."""
    known = faces.of(pairs)
    within = story.WINDOW.total_seconds()
    found = {
        (a, b): SAME_TEXT
        for (a, b), likeness in copies.items()
        if not likeness.excerpt and a in known and b in known and abs(known[a].at - known[b].at) <= within
    }
    every, places = _indexed(pairs, known)
    scores = story.attractions([known[one] for one in sorted(known)], places)
    above = np.flatnonzero(scores > FLOOR)
    likely = {every[at]: score for at, score in zip(above.tolist(), scores.take(above).tolist(), strict=True)}
    return _less_conflicts(likely, known, prints) | found


def _indexed(pairs: Collection[Pair], known: Mapping[int, object]) -> tuple[list[Pair], Indexes]:
    """The pairs of which both are known, by their second; and of each the places of second and first among the sorted."""
    every = list(pairs)
    members = np.fromiter(chain.from_iterable(every), np.intp, 2 * len(every)).reshape(-1, 2).T[::-1]
    ids = np.array(sorted(known), dtype=np.intp)
    places = ids.searchsorted(members)
    there = np.flatnonzero((np.append(ids, -1).take(places) == members).all(axis=0))
    order = there.take(places[0].take(there).argsort(kind="stable"))
    return [every[at] for at in order.tolist()], places.take(order, axis=1)


def _less_conflicts(
    likely: Mapping[Pair, float], faces: Mapping[int, Face], prints: _Known[Fingerprint]
) -> dict[Pair, float]:
    """The scores after what other numbers in the same surroundings take from them."""
    known = prints.of(likely.keys())
    found = {}
    for (a, b), score in likely.items():
        _, differ = reprint.conflicts(known[a], known[b])
        left = score + story.conflicting(faces[a], faces[b], differ) if differ else score
        if left > FLOOR:
            found[a, b] = left
    return found


# --- places -----------------------------------------------------------------------------------------------------


def settle(connection: sa.Connection, ids: Collection[int], torn: Collection[int] = ()) -> None:
    """Place these articles, those that lost a link (`torn`), and all whose place hangs on theirs."""
    most = relations.MOST_LINKED + relations.COPIES * len(ids)
    torn = sorted(set(torn) - relations.in_crowded_stories(connection, torn))[-most:]
    ids = {*ids, *torn}
    revised = relations.reprinting(connection, ids)
    original = _originals(connection, {*ids, *revised})
    before = relations.placed(connection, original)
    changed = {*ids, *(one for one, of in original.items() if before.get(one, relations.NOWHERE)[1] != of)}
    known = {before[one][0] for one in changed & before.keys()}
    wanted, kept = _looked_at(connection, changed, known)
    notes = _Notes(connection, original, kept)
    linkage = groups.Linkage(
        notes.of,
        relations.MOST_LINKED + relations.NEIGHBOURS * len(ids),
        relations.MOST_LINKS + relations.LINKS * len(ids),
    )
    done = _followed(connection, linkage, wanted, known)
    clusters = linkage.clusters(done)
    members = {one for cluster in clusters for one in cluster}
    stories.place(connection, clusters, notes.originals_of(members) | original, notes.above, ids)


def _followed(
    connection: sa.Connection, linkage: groups.Linkage, wanted: set[int], known: set[int | None]
) -> set[int]:
    """Tell the stories of these articles, then those of all that shared one with any of them, until none is left."""
    done: set[int] = set()
    while wanted:
        fresh = set(chain.from_iterable(linkage.tell(wanted)))
        done |= fresh
        held = {story_id for story_id, _ in relations.placed(connection, fresh).values()} - known
        known = known | held
        wanted = set() if linkage.is_full else _looked_at(connection, (), held)[0] - done
    return done


def _looked_at(
    connection: sa.Connection, ids: Collection[int], of: Collection[int | None]
) -> tuple[set[int], set[Pair]]:
    """These articles and those of these stories; of a story beyond MOST_LINKED the latest, which stay together.

    Of a text that hundreds repeat each further copy would else have all of them read again.
    """
    near: set[int] = set(ids)
    kept: set[Pair] = set()
    for members in relations.in_stories(connection, [one for one in of if one is not None]).values():
        latest = sorted(members)[-relations.MOST_LINKED :]
        if len(latest) < len(members):
            kept |= {(latest[0], other) for other in latest[1:]}
        near.update(latest)
    return near, kept


def _originals(connection: sa.Connection, ids: Collection[int]) -> dict[int, int | None]:
    """The originals of these articles and of all that are linked with them as copies."""
    likenesses = relations.copies_around(connection, ids)
    concerned = {member for pair in likenesses for member in pair}
    copies = relations.copies(connection, concerned)
    linked = {pair: likeness for pair, likeness in likenesses.items() if pair[0] in copies and pair[1] in copies}
    words = relations.verdicts(connection, concerned)
    return dict.fromkeys(ids) | groups.originals(copies, linked, words[NOT_A_REPRINT])


class _Notes:
    """Reads what is noted of articles for their stories, and remembers it."""

    def __init__(self, connection: sa.Connection, original: Mapping[int, int | None], kept: Collection[Pair]) -> None:
        self._connection = connection
        self._original = dict(original)
        self._kept = kept
        self._has_words = relations.has_verdicts(connection)
        self.above: dict[int, dict[int, int]] = {}

    def of(self, ids: Collection[int]) -> groups.Noted:
        """Scores, reprints within a story's days (linked in any case, with one original), and what analysts said."""
        above, always = links.of(self._connection, ids, groups.NOTHING)
        words = relations.verdicts(self._connection, ids) if self._has_words else _SILENCE
        self.above |= above
        original = self.originals_of({one for pair in always for one in pair})
        copies = {(a, b) for a, b in always if (original[a] or a) == (original[b] or b)}
        together = {*words[ONE_STORY], *copies, *self._kept} - words[TWO_STORIES]
        return groups.Noted(above, together, words[TWO_STORIES])

    def originals_of(self, ids: Collection[int]) -> dict[int, int | None]:
        """The originals of these articles, as they are now."""
        unknown = [one for one in ids if one not in self._original]
        placed = relations.placed(self._connection, unknown)
        self._original |= {one: placed.get(one, relations.NOWHERE)[1] for one in unknown}
        return {one: self._original[one] for one in ids}


# --- what analysts say ------------------------------------------------------------------------------------------


def merge(connection: sa.Connection, ids: Sequence[int], now: datetime) -> int:
    """These stories are one: noted between one article and all others, so that it outlives recalculation.

    Gives the id that the story keeps, the oldest.
    """
    members = relations.in_stories(connection, ids)
    first, *others = sorted(set().union(*members.values()))
    relations.say(connection, ONE_STORY, {(first, other) for other in others}, now)
    relations.link_by_word(connection, SAID)
    settle(connection, [first, *others])
    return min(ids)


def split(connection: sa.Connection, story_id: int, taken: Collection[int], now: datetime) -> None:
    """These articles are another story than the rest of this one, and among themselves one."""
    rest = relations.in_stories(connection, [story_id])[story_id] - set(taken)
    first, *others = sorted(taken)
    relations.say(connection, TWO_STORIES, {(one, other) for one in taken for other in rest}, now)
    relations.say(connection, ONE_STORY, {(first, other) for other in others}, now)
    relations.link_by_word(connection, SAID)
    settle(connection, [*taken, *rest])


def not_a_reprint(connection: sa.Connection, one: int, other: int, now: datetime) -> None:
    """These two are not the same text."""
    relations.say(connection, NOT_A_REPRINT, {(one, other)}, now)
    settle(connection, [one, other])
