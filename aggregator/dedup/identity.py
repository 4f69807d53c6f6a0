"""The same item: which stored article an entry of a feed is, and whether it brings a new text.

    wanted = wanted_of(arrivals)                  what to ask the archive for, in one statement each
    decisions = decide(arrivals, known, text_of)  NEW, REVISED or UNCHANGED, oldest first

An entry is known by its GUID within its feed, else by its canonical address within its outlet, else by title and
text. Each of these may lie, and the rules below say when it is not believed:

- A GUID or address that several entries of one document share, or a site's front page, tells nothing by itself.
- An outlet that gives a known GUID to a text with another address, title and body has written another article
  (both are kept); so has one that puts another text with another GUID under a known address.
- GUIDs and query strings that change at each poll are seen through by address, then by title and text.
- A text that stood there before is a revision only as often as an editor might take a change back (`TAKEN_BACK`):
  two servers with two versions, or two entries with one GUID, must not fill the archive with the same two texts.
- A text of which only the digits change (a clock, a counter) stops being revised after `COUNTER_REVISIONS`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Protocol

from aggregator.dedup.addresses import canonical_url, forms, is_front_page, same_place, without_www
from aggregator.model import Arrival, Article, ArticleId
from aggregator.text import fold, without_tags

__all__ = ["Decision", "Stored", "Wanted", "canonical_url", "content_key", "decide", "guid_key", "wanted_of"]

TAKEN_BACK = 2
"""How often a text may come back after another one stood in its place."""
COUNTER_REVISIONS = 24
"""Revisions that differ in digits only; lemon24/reader stops content-only updates at the same number."""
MOST_REVISIONS = 500
"""No article changes more often than this; a text that does is generated anew at each request."""
LONGEST_GUID = 512
"""Longer GUIDs are kept as their hash: PostgreSQL's index takes keys of 2,700 bytes at most."""

# Numbers and blanks have an end in it, so that long rows of them cost no more than other text.
# Said by the page at the moment of the request, not by the article: `3小时前`, `阅读 1234`, `5 minutes ago`.
_OF_THE_MOMENT = re.compile(
    r"(?<!\d)\d+\s*(?:秒|分钟|分鐘|小时|小時|天)\s*(?:前|以前|之前)"
    r"|(?:阅读|閱讀|浏览|瀏覽|点击|點擊|评论|評論|点赞|點讚|分享|播放|转发|轉發|收藏)(?:数|數|量|次数|次數)?\s{0,9}[:：(（]?\s{0,9}\d[\d,.]*\s*[万萬]?\s*次?[)）]?"
    r"|\b\d+\s*(?:seconds?|minutes?|mins?|hours?|hrs?)\s+ago\b"
    r"|\b\d[\d,.]{0,20}\s{0,9}(?:views?|comments?|likes?|shares?|reads?|retweets?)\b"
    r"|\b(?:views?|comments?|likes?|shares?|reads?)\s*[:(]\s*\d[\d,.]*\)?",
    re.IGNORECASE,
)
# One of these finds something in every text in which the pattern does, and they take a tenth of its time: each begins
# with one set of characters and minds no case.
_COUNTED = re.compile(
    r"(?:阅读|閱讀|浏览|瀏覽|点击|點擊|评论|評論|点赞|點讚|分享|播放|转发|轉發|收藏)"
    r"(?:数|數|量|次数|次數)?\s{0,9}[:：(（]?\s{0,9}\d"
)
_AGO = re.compile(r"\d\s*(?:秒|分钟|分鐘|小时|小時|天)\s*(?:前|以前|之前)")
_LABELLED = re.compile(r"[:(](?<=[wteds\s].)\s*\d")
_LABELS = ("view", "views", "comment", "comments", "like", "likes", "share", "shares", "read", "reads")
_UNITS = tuple(unit + end for unit in ("second", "minute", "min", "hour", "hr") for end in ("", "s"))
_SAID_OF_NUMBERS = ("view", "comment", "like", "share", "read", "retweet", "ago")
_NEAR = 40
# To a pattern that minds no case, long s, dotless and dotted i are s and i.
_ODD_LETTER = re.compile("[\u017f\u0131\u0307]")
_SOURCE = re.compile(r"""(?:src|href|poster)\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")
_SPACE = bytes(code for code in range(128) if chr(code).isspace())


class Stored(Protocol):
    """What the archive says of an article it holds."""

    @property
    def id(self) -> ArticleId:
        """Ours."""
        ...

    @property
    def feed(self) -> str:
        """The feed it came from."""
        ...

    @property
    def outlet(self) -> str:
        """Who published it."""
        ...

    @property
    def guid(self) -> str | None:
        """As `guid_key` gives it."""
        ...

    @property
    def url(self) -> str | None:
        """Canonical."""
        ...

    @property
    def title(self) -> str:
        """Of the newest revision."""
        ...

    @property
    def content_key(self) -> str:
        """Of the newest revision."""
        ...

    @property
    def revision(self) -> int:
        """Counts from 1."""
        ...

    @property
    def dated(self) -> datetime | None:
        """The date of the newest revision, as the outlet gives it."""
        ...

    @property
    def old_keys(self) -> frozenset[str]:
        """Content keys of the replaced revisions."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """The GUIDs, addresses and content keys under which the archive may hold the arrivals; one key for each arrival."""

    guids: tuple[str, ...]
    urls: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What one arrival is.

    `index` counts in the arrivals; `of` is the stored article that it revises or repeats; `after` is, instead, the
    index of the arrival of the same document whose article it revises or repeats.
    """

    index: int
    arrival: Arrival
    key: str
    of: ArticleId | None = None
    after: int | None = None


def guid_key(guid: str | None) -> str | None:
    """The GUID as compared and stored: composed Unicode, outer white space gone, None when nothing is left, hashed
    when very long. Upper and lower case differ.
    """
    if guid is None:
        return None
    key = unicodedata.normalize("NFC", guid).strip()
    if len(key) > LONGEST_GUID:
        return f"blake2b:{blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"
    return key or None


def content_key(title: str, text: str, html: str = "") -> str:
    """32 hex digits that two arrivals share when their title and plain text say the same.

    White space, markup, counters and "3 hours ago" do not count. Where there is no text, the words and the picture
    addresses of the HTML stand for it.
    """
    body = text if text.strip() else f"{without_tags(html, ' ')} {' '.join(_SOURCE.findall(html))}"
    said = f"{title}\x1f{body}"
    if _counts(said):
        said = _OF_THE_MOMENT.sub(" ", said)
    if said.isascii():
        return blake2b(said.encode().translate(None, _SPACE), digest_size=16).hexdigest()
    said = "".join(said.split())
    return blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _counts(said: str) -> bool:
    """Whether `_OF_THE_MOMENT` may find something."""
    low = said.lower()
    if not said.isascii() and (
        _COUNTED.search(said) or ("前" in said and _AGO.search(said)) or _ODD_LETTER.search(low)
    ):
        return True
    if any(_follows_number(low, word) for word in _SAID_OF_NUMBERS if word in low):
        return True
    return any(not (before := _before(low, at.start())) or before.endswith(_LABELS) for at in _LABELLED.finditer(low))


def _before(low: str, end: int) -> str:
    """What stands before this place, white space left out; of a long row of that, nothing."""
    return low[max(end - _NEAR, 0) : end].rstrip()


def _follows_number(low: str, word: str) -> bool:
    at = low.find(word)
    while at >= 0:
        before = _before(low, at)
        if not before or before.endswith(_UNITS if word == "ago" else (",", ".")) or before[-1].isdecimal():
            return True
        at = low.find(word, at + 1)
    return False


def key_of(article: Article) -> str:
    """The content key of an article."""
    return content_key(article.title, article.text, article.html)


def wanted_of(arrivals: Sequence[Article]) -> Wanted:
    """What to look up for `decide`. Arrivals carry `guid_key` GUIDs and canonical addresses."""
    guids = dict.fromkeys(arrival.guid for arrival in arrivals if arrival.guid)
    urls = dict.fromkeys(
        form for arrival in arrivals if arrival.url and not is_front_page(arrival.url) for form in forms(arrival.url)
    )
    return Wanted(tuple(guids), tuple(urls), tuple(map(key_of, arrivals)))


def decide(
    arrivals: Sequence[Article],
    known: Iterable[Stored],
    text_of: Callable[[ArticleId], str],
    keys: Sequence[str] | None = None,
) -> list[Decision]:
    """One decision for each arrival of one poll of one feed, in the order to carry them out: oldest first.

    Arrivals stand in document order, newest first, all of one feed. `text_of` reads the text of a stored article;
    it is called only where a GUID or an address seems to be used again, or a text never stops changing. `keys` are the
    arrivals' content keys where they are known (`wanted_of`).
    """
    matcher = _Matcher(arrivals, list(known), text_of, keys or list(map(key_of, arrivals)))
    targets: dict[_Target, list[int]] = {}
    for index in reversed(range(len(arrivals))):
        targets.setdefault(matcher.target(index), []).append(index)
    return [
        decision
        for target, members in targets.items()
        for decision in _sequence(target, _oldest_first(members, arrivals), matcher)
    ]


@dataclass(slots=True, eq=False)
class _Target:
    """One article that arrivals of this document belong to: a stored one, or one that the document brings."""

    stored: Stored | None
    first: int | None
    guids: set[str] = field(default_factory=set)
    urls: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Face:
    """What an arrival shows of itself."""

    guid: str | None
    url: str | None
    key: str


class _Matcher:
    """The article of each arrival: stored ones first, then those that the same document brings."""

    def __init__(
        self,
        arrivals: Sequence[Article],
        known: list[Stored],
        text_of: Callable[[ArticleId], str],
        keys: Sequence[str],
    ) -> None:
        self.arrivals = arrivals
        self.text_of = text_of
        self.faces = [
            _Face(arrival.guid, _page(arrival.url), key) for arrival, key in zip(arrivals, keys, strict=True)
        ]
        self._own_guids = frozenset(face.guid for face in self.faces if face.guid)
        self._guids_of_url = _several((face.url, face.guid) for face in self.faces)
        self._stored = {stored.id: _Target(stored, None) for stored in known}
        self._by_guid: dict[str, list[_Target]] = defaultdict(list)
        self._by_url: dict[str, list[_Target]] = defaultdict(list)
        self._by_key: dict[str, list[_Target]] = defaultdict(list)
        for target in self._stored.values():
            self._enter_stored(target)

    def _enter_stored(self, target: _Target) -> None:
        stored = target.stored
        assert stored is not None  # noqa: S101 - made from a stored row three lines above
        arrival = self.arrivals[0] if self.arrivals else None
        ours = arrival is not None and stored.feed == arrival.feed
        if not ours and not (arrival and arrival.outlet and stored.outlet == arrival.outlet):
            return
        if ours and stored.guid:
            self._by_guid[stored.guid].append(target)
        if page := _page(stored.url):
            self._by_url[page].append(target)
        if ours:
            for key in {stored.content_key, *stored.old_keys}:
                self._by_key[key].append(target)

    def target(self, index: int) -> _Target:
        """The article that this arrival is a text of; a new one where nothing stored or seen fits."""
        face = self.faces[index]
        for candidates, fits in (
            (self._by_guid.get(face.guid or "", []), self._fits_guid),
            (self._by_url.get(face.url or "", []), self._fits_url),
            (self._by_key.get(face.key, []), self._fits_key),
        ):
            fitting = [target for target in candidates if fits(index, target)]
            if fitting:
                return self._joined(min(fitting, key=lambda target: self._distance(face, target)), index)
        fresh = _Target(None, index)
        return self._joined(fresh, index)

    def _joined(self, target: _Target, index: int) -> _Target:
        """Enter what the arrival shows, so that later ones of the document find the same article."""
        face = self.faces[index]
        if face.guid:
            target.guids.add(face.guid)
        if face.url:
            target.urls.add(face.url)
        for table, key in ((self._by_guid, face.guid), (self._by_url, face.url), (self._by_key, face.key)):
            if key and target not in table[key]:
                table[key].append(target)
        return target

    def _distance(self, face: _Face, target: _Target) -> tuple[bool, bool, bool, int]:
        guids, urls = self._guids(target), self._urls(target)
        key = target.stored.content_key if target.stored else self.faces[target.first or 0].key
        age = int(target.stored.id) if target.stored else 0
        return face.url not in urls, face.guid not in guids, key != face.key, age

    def _fits_guid(self, index: int, target: _Target) -> bool:
        """The GUID is known; another address with another text says that the outlet used it again."""
        face, urls = self.faces[index], self._urls(target)
        if not face.url or not urls or face.url in urls:
            return True
        return self._alike(index, target)

    def _fits_url(self, index: int, target: _Target) -> bool:
        """The address is known; with another GUID it is believed unless several GUIDs use it or the text is another."""
        face, guids = self.faces[index], self._guids(target)
        if not face.guid or not guids or face.guid in guids:
            return True
        if self._guids_of_url[face.url or ""] > 1 or any(guid in self._own_guids for guid in guids):
            return False
        if target.stored is not None and target.stored.feed != self.arrivals[index].feed:
            return True
        return face.key in self._keys(target) or self._alike(index, target)

    def _fits_key(self, index: int, target: _Target) -> bool:
        """Title and text are known; believed where nothing else tells the two apart."""
        face, guids, urls = self.faces[index], self._guids(target), self._urls(target)
        if face.guid and guids and (target.stored is None or any(guid in self._own_guids for guid in guids)):
            return False
        if not face.url or not urls:
            return True
        return any(same_place(face.url, url) for url in urls)

    def _guids(self, target: _Target) -> set[str]:
        stored = {target.stored.guid} if target.stored and target.stored.guid else set()
        return stored | target.guids

    def _urls(self, target: _Target) -> set[str]:
        page = _page(target.stored.url) if target.stored else None
        return ({page} if page else set()) | target.urls

    def _keys(self, target: _Target) -> frozenset[str]:
        if target.stored is None:
            return frozenset({self.faces[target.first or 0].key})
        return target.stored.old_keys | {target.stored.content_key}

    def _alike(self, index: int, target: _Target) -> bool:
        arrival = self.arrivals[index]
        if (stored := target.stored) is not None:
            return alike(arrival.title, arrival.text, stored.title, lambda: self.text_of(stored.id))
        first = self.arrivals[target.first or 0]
        return alike(arrival.title, arrival.text, first.title, lambda: first.text)


def alike(title: str, text: str, other_title: str, other_text: Callable[[], str]) -> bool:
    """Whether two texts under one GUID can be two versions of one article.

    Yes when the titles agree but for letters (`Teh titel`; a number that differs makes another article of a series),
    or when three fifths of the shorter text's pieces of characters stand in the other, given enough text to tell.
    """
    one, other = fold(title), fold(other_title)
    a, b = _pieces(one), _pieces(other)
    if _DIGITS.findall(one) == _DIGITS.findall(other) and 2 * len(a & b) >= _TITLE_SHARE * (len(a) + len(b)) > 0:
        return True
    if min(len(text), len(old := other_text())) < _ENOUGH:
        return False
    a, b = _pieces(fold(text)), _pieces(fold(old))
    return len(a & b) >= _TEXT_SHARE * min(len(a), len(b))


_TITLE_SHARE, _TEXT_SHARE, _ENOUGH = 0.6, 0.6, 80


def _pieces(text: str) -> set[str]:
    size = 2 if any(char > "\u2e80" for char in text[:200]) else 4
    joined = "".join(char for char in text if char.isalnum())
    return {joined[at : at + size] for at in range(len(joined) - size + 1)}


def _page(url: str | None) -> str | None:
    return None if not url or is_front_page(url) else without_www(url)


def _several(pairs: Iterator[tuple[str | None, str | None]]) -> Counter[str]:
    return Counter(url for url, guid in set(pairs) if url and guid)


_NEVER = datetime.min.replace(tzinfo=UTC)


def _oldest_first(members: list[int], arrivals: Sequence[Article]) -> list[int]:
    """By the date the outlet gives to the version, else by document order reversed (`members` come in that order)."""
    dates = [arrivals[index].updated or arrivals[index].published for index in members]
    if None in dates:
        return members
    return sorted(members, key=lambda index: arrivals[index].updated or arrivals[index].published or _NEVER)


def _sequence(target: _Target, members: list[int], matcher: _Matcher) -> Iterator[Decision]:
    """The decisions for the arrivals of one article, oldest first."""
    stored = target.stored
    identity = stored.id if stored else None
    now = stored.content_key if stored else None
    seen = set(stored.old_keys) | {stored.content_key} if stored else set()
    revision = stored.revision if stored else 0
    first: int | None = None
    for index in members:
        key = matcher.faces[index].key
        newest = index == members[-1]
        if now is None:
            yield Decision(index, Arrival.NEW, key)
            first = index
        elif (
            key == now
            or not _is_revision(key, seen, revision, newest=newest and not _older(matcher.arrivals[index], stored))
            or (stored and not _may_revise(matcher, index, stored, revision))
        ):
            yield Decision(index, Arrival.UNCHANGED, key, identity, first)
            continue
        else:
            yield Decision(index, Arrival.REVISED, key, identity, first)
        now, revision = key, revision + 1
        seen.add(key)


def _is_revision(key: str, seen: set[str], revision: int, *, newest: bool) -> bool:
    """A text that was never here is; one that was, when it is the newest and changes were not taken back too often."""
    return key not in seen or (newest and revision - len(seen) < TAKEN_BACK)


def _older(arrival: Article, stored: Stored | None) -> bool:
    """Whether the arrival is dated before what is stored: an old file read again takes nothing back."""
    date = arrival.updated or arrival.published
    return bool(stored and stored.dated and date and date < stored.dated)


def _may_revise(matcher: _Matcher, index: int, stored: Stored, revision: int) -> bool:
    """No to another feed's shorter version of the text, to endless counters, and to endless change."""
    arrival = matcher.arrivals[index]
    if stored.feed != arrival.feed:
        return len(arrival.text) > len(matcher.text_of(stored.id))
    if revision < COUNTER_REVISIONS:
        return True
    if revision >= MOST_REVISIONS:
        return False
    return _DIGITS.sub("", arrival.text) != _DIGITS.sub("", matcher.text_of(stored.id))
