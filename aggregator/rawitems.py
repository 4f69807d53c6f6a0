"""Which items of a feed document are new, judged on their bytes before anything is parsed.

In a steady state nineteen of twenty items are old, and parsing costs more than all the rest. A document is cut into
its head, its items and its tail; items whose bytes were there at the last poll are left out, and what remains is a
smaller document of the same feed. The cut is made only where it is certain: nothing but white space between items, and
every item with a GUID (or id) or a link that no other item of the document shares, because identity judges shared
ones by looking at all of them. Wherever there is doubt the whole document is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise
from typing import Any

MOST = 500
"""Items remembered of one feed; longer documents are parsed whole."""

# No piece of a pattern passes a "<" and an item without an end ends the search: the time grows with the size only.
_START = re.compile(rb"<(item|entry)(?:\s[^<>]*)?>")
_END = {name: re.compile(rb"</" + name + rb"\s*>") for name in (b"item", b"entry")}
_NAME = re.compile(rb"<(guid|id|link)\b([^<>]*)>(?:([^<]*)</\1\s*>)?", re.DOTALL)
_HREF = re.compile(rb"""href\s*=\s*["']([^"']*)["']""")
# What a channel says anew at each request; everything else in a head may change what its items mean.
_CLOCK = re.compile(rb"<(lastBuildDate|pubDate|updated|dc:date|generator|ttl)\b[^<>]*>[^<]*</\1\s*>")


@dataclass(frozen=True)
class Items:
    """A document in pieces: `head + items… + tail` is the document less the white space between items."""

    head: bytes
    items: tuple[bytes, ...]
    tail: bytes

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """16 hex digits for each item's bytes."""
        return tuple(blake2b(item, digest_size=8).hexdigest() for item in self.items)

    @cached_property
    def frame(self) -> str:
        """16 hex digits for the head and tail, less the clock in it."""
        return blake2b(_CLOCK.sub(b"", self.head) + b"\0" + self.tail, digest_size=8).hexdigest()

    def only(self, kept: Sequence[int]) -> bytes:
        """The document with these items alone, in their order."""
        return self.head + b"\n".join(self.items[index] for index in kept) + self.tail


def split(body: bytes) -> Items | None:
    """The pieces of a document; None where the cut is not certain."""
    spans = _spans(body)
    if not 0 < len(spans) <= MOST:
        return None
    if any(body[end:start].strip() for (_, end), (start, _) in pairwise(spans)):
        return None
    items = tuple(body[start:end] for start, end in spans)
    if not _told_apart(items):
        return None
    return Items(body[: spans[0][0]], items, body[spans[-1][1] :])


def _spans(body: bytes) -> list[tuple[int, int]]:
    """Where the items stand, of at most one more than MOST; none where one has no end."""
    spans: list[tuple[int, int]] = []
    at = 0
    while len(spans) <= MOST and (start := _START.search(body, at)):
        end = _END[start[1]].search(body, start.end())
        if end is None:
            return []
        at = end.end()
        spans.append((start.start(), at))
    return spans


def _told_apart(items: Sequence[bytes]) -> bool:
    """Whether every item has a GUID or a link, and shares neither with another one."""
    seen: set[bytes] = set()
    for item in items:
        names = _names(item)
        if not names or names & seen:
            return False
        seen |= names
    return True


def _names(item: bytes) -> set[bytes]:
    names = set()
    for kind, attributes, text in _NAME.findall(item):
        href = _HREF.search(attributes) if kind == b"link" else None
        said = (href[1] if href else text).strip()
        if said:
            names.add(said)
    return names


def fresh(items: Items, memory: Mapping[str, Any] | None) -> list[int] | None:
    """The indexes of items whose bytes are not in the memory; None when the memory does not fit the document."""
    if not memory or memory.get("frame") != items.frame:
        return None
    known = memory.get("items", {})
    return [index for index, key in enumerate(items.keys) if key not in known]


def remembered(items: Items, dates: Mapping[int, datetime | None], memory: Mapping[str, Any] | None) -> dict[str, Any]:
    """What to keep for the next poll: the frame, and each item's key with its date in seconds (0 for none).

    `dates` are those of the items that were parsed, by index; the others keep theirs from the old memory.
    """
    known = (memory or {}).get("items", {})
    kept = {
        key: _seconds(dates[index]) if index in dates else known.get(key, 0) for index, key in enumerate(items.keys)
    }
    return {"frame": items.frame, "items": kept}


def known_dates(items: Items, left_out: Sequence[int], memory: Mapping[str, Any]) -> list[datetime | None]:
    """The dates of items that were left out."""
    known, keys = memory["items"], items.keys
    return [datetime.fromtimestamp(known[keys[index]], UTC) if known.get(keys[index]) else None for index in left_out]


def _seconds(date: datetime | None) -> int:
    return int(date.timestamp()) if date else 0
