"""A world of made-up news: feeds in Chinese and English with full HTML bodies, on a loopback server that moves in time.

    python benchmarks/newsworld.py --feeds 200 --entries 20 [--port 0] [--seed 1]

Every byte is a function of (seed, feed, serial, revision), so two runs see the same feeds. A fifth of the entries are
another feed's text, edited (cut, marked, with a line added), or tell of the same people with other words. On the same
port, `/feed/N.xml` answers conditional requests (ETag, Last-Modified), and the world moves on by

    /_advance?new=1&upd=0    one entry more in each feed, the oldest falls off; `upd` of the others get another text
    /_reset                  back to the beginning
    /_stats                  JSON: answers by status since the last of these two

Standard library only; the peers' benchmark starts it as a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
from bisect import bisect
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from itertools import accumulate
from urllib.parse import parse_qs, urlsplit

BEGIN = datetime(2025, 10, 1, tzinfo=UTC)
CHINESE, COPIES, RELATED = 0.7, 0.12, 0.08
"""Shares of the feeds and of their entries."""
BYTES = (1000, 7500)
"""The least and the most of a body; sizes are spread evenly on a logarithmic scale, 3.4 KB on average."""

_STARTS = [
    "b",
    "ch",
    "d",
    "f",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "qu",
    "r",
    "s",
    "sh",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
]
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "ou"]
_ENDS = ["", "n", "r", "st", "nd", "l", "m", "ck", "s"]
_GLUE = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "a",
    "is",
    "that",
    "for",
    "on",
    "with",
    "as",
    "was",
    "by",
    "at",
    "from",
    "has",
    "said",
    "its",
    "will",
]
_PUNCTUATION = {"zh": ("，", "。"), "en": (", ", ". ")}


class Words:
    """A vocabulary: common words often, rare ones seldom (Zipf), and names."""

    def __init__(self, seed: int, lang: str) -> None:
        self._random = random.Random(f"{seed} {lang}")
        self.lang = lang
        make = self._chinese if lang == "zh" else self._english
        self.common = [make() for _ in range(9000)]
        self._sums = list(accumulate(1 / (rank + 4) ** 0.9 for rank in range(len(self.common))))
        self.names = [self._name() for _ in range(2500)]

    def _chinese(self) -> str:
        """Two or three of the 3,755 characters of GB 2312's first level, the first ones oftener."""
        found = ""
        for _ in range(self._random.choice((2, 2, 2, 3))):
            place = int(self._random.random() ** 2 * 3755)
            found += bytes((0xB0 + place // 94, 0xA1 + place % 94)).decode("gb2312")
        return found

    def _english(self) -> str:
        pick = self._random.choice
        return "".join(pick(_STARTS) + pick(_VOWELS) for _ in range(pick((1, 2, 2, 3)))) + pick(_ENDS)

    def _name(self) -> str:
        if self.lang == "zh":
            return self._chinese() + self._random.choice(("公司", "大学", "委员会", "集团", "市", "先生", "研究所"))
        return f"{self._english().title()} {self._english().title()}"

    def some(self, chance: random.Random, number: int) -> list[str]:
        """So many words, as often as their rank says."""
        most = self._sums[-1]
        return [self.common[bisect(self._sums, chance.random() * most)] for _ in range(number)]


@dataclass(frozen=True)
class Story:
    """One article before it is dressed in markup."""

    title: str
    paragraphs: tuple[str, ...]


class World:
    """What each feed says at a time: `serials` are numbered upwards, the newest first in the document."""

    def __init__(self, feeds: int, entries: int, seed: int = 1) -> None:
        self.feeds, self.entries, self.seed = feeds, entries, seed
        self._words = {lang: Words(seed, lang) for lang in ("zh", "en")}
        self._dressed: dict[tuple[int, int, int], str] = {}
        self.reset()

    def reset(self) -> None:
        """The beginning: serials 0 to entries - 1, none revised."""
        self.moves, self.newest, self.revised = 0, self.entries - 1, dict[int, int]()

    def advance(self, new: int, upd: int) -> None:
        """So many entries more in each feed, and another text for so many of those that were there."""
        self.moves += 1
        self.newest += new
        for serial in range(self.newest - new, self.newest - new - upd, -1):
            self.revised[serial] = self.revised.get(serial, 0) + 1

    @property
    def modified(self) -> datetime:
        """When the feeds were last changed."""
        return BEGIN + timedelta(hours=self.newest + 1, minutes=self.moves)

    def chance(self, *key: object) -> random.Random:
        """Dice that fall the same way for the same key."""
        return random.Random(f"{self.seed} {key}")

    def lang(self, feed: int) -> str:
        """`zh` or `en`."""
        return "zh" if self.chance("lang", feed).random() < CHINESE else "en"

    def story(self, feed: int, serial: int, revision: int = 0) -> Story:
        """The text of one entry."""
        chance, lang = self.chance("role", feed, serial), self.lang(feed)
        role = chance.random()
        other = self._other(feed, chance) if role < COPIES + RELATED else None
        if other is None:
            found = self._written((feed, serial), lang, (feed, serial))
        elif role < COPIES:
            found = self._edited(self._written(other, lang, other), chance, feed)
        else:
            found = self._written((feed, serial), lang, other)
        if revision:
            again = self.chance("revised", feed, serial, revision)
            found = Story(found.title, (*found.paragraphs, self._sentence(again, lang, ())))
        return found

    def _other(self, feed: int, chance: random.Random) -> tuple[int, int] | None:
        """An original of another feed in the same language."""
        for _ in range(40):
            other, serial = chance.randrange(self.feeds), chance.randrange(self.entries)
            role = self.chance("role", other, serial).random()
            if other != feed and self.lang(other) == self.lang(feed) and role >= COPIES + RELATED:
                return other, serial
        return None

    def _written(self, key: tuple[int, int], lang: str, about: tuple[int, int]) -> Story:
        names = self.chance("names", *about).choices(self._words[lang].names, k=4)
        chance = self.chance("text", *key)
        left = BYTES[0] * (BYTES[1] / BYTES[0]) ** chance.random() * 0.85  # the rest is markup
        paragraphs = []
        while left > 0:
            paragraphs.append(
                "".join(self._sentence(chance, lang, names) for _ in range(chance.randrange(2, 5))).strip()
            )
            left -= len(paragraphs[-1].encode())
        title = ("" if lang == "zh" else " ").join([names[0], *self._words[lang].some(chance, 5)])
        return Story(title, tuple(paragraphs))

    def _sentence(self, chance: random.Random, lang: str, names: tuple[str, ...] | list[str]) -> str:
        comma, stop = _PUNCTUATION[lang]
        clauses = []
        for _ in range(chance.randrange(1, 4)):
            words = self._words[lang].some(chance, chance.randrange(3, 8))
            if names and chance.random() < 0.4:
                words.insert(chance.randrange(len(words) + 1), chance.choice(names))
            if chance.random() < 0.25:
                words.append(str(chance.randrange(1, 2000)))
            if lang == "en":
                words = [
                    part
                    for word in words
                    for part in ((word, chance.choice(_GLUE)) if chance.random() < 0.5 else (word,))
                ]
            clauses.append(("" if lang == "zh" else " ").join(words))
        return comma.join(clauses) + stop

    def _edited(self, story: Story, chance: random.Random, feed: int) -> Story:
        """As another outlet prints it: cut at the end, stray marks within, a line of its own, another headline."""
        paragraphs = list(story.paragraphs)
        kind = chance.randrange(4)
        if kind in (0, 3) and len(paragraphs) > 2:
            paragraphs = paragraphs[: max(2, int(len(paragraphs) * chance.uniform(0.6, 0.9)))]
        if kind in (1, 3):
            paragraphs = [self._marked(paragraph, chance) for paragraph in paragraphs]
        if kind in (2, 3):
            paragraphs.insert(
                chance.randrange(len(paragraphs)), "点击下载本站应用" if self.lang(feed) == "zh" else "Get our app"
            )
        return Story(f"{story.title} | {feed}" if chance.random() < 0.5 else story.title, tuple(paragraphs))

    @staticmethod
    def _marked(text: str, chance: random.Random) -> str:
        characters = list(text)
        for _ in range(max(1, len(text) // 80)):
            characters.insert(chance.randrange(len(characters)), chance.choice("\u200b·■ \u3000*"))
        return "".join(characters)

    def document(self, feed: int, base: str) -> bytes:
        """The feed as RSS 2.0, or as Atom where its number can be divided by three."""
        serials = range(self.newest, self.newest - self.entries, -1)
        atom = feed % 3 == 0
        entries = "".join(self._entry(feed, serial, atom=atom, base=base) for serial in serials)
        name = f"第{feed}号报" if self.lang(feed) == "zh" else f"Paper {feed}"
        if atom:
            return (
                f'<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:news:{feed}</id>'
                f'<title>{name}</title><link href="{base}/{feed}/"/><updated>{self.modified:%Y-%m-%dT%H:%M:%SZ}</updated>\n'
                f"{entries}</feed>\n"
            ).encode()
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/">'
            f"<channel><title>{name}</title><link>{base}/{feed}/</link><description>{name}</description>"
            f"<lastBuildDate>{format_datetime(self.modified)}</lastBuildDate>\n{entries}</channel></rss>\n"
        ).encode()

    def _entry(self, feed: int, serial: int, *, atom: bool, base: str) -> str:
        revision = self.revised.get(serial, 0)
        key = (feed, serial, revision)
        if key not in self._dressed:
            self._dressed[key] = self._dress(feed, serial, revision, atom=atom, base=base)
        return self._dressed[key]

    def _dress(self, feed: int, serial: int, revision: int, *, atom: bool, base: str) -> str:
        story = self.story(feed, serial, revision)
        link = f"{base}/{feed}/{serial}.html"
        date = BEGIN + timedelta(hours=serial, seconds=self.chance("date", feed, serial).randrange(3600))
        changed = date + timedelta(minutes=10 * revision)
        body = escape(self._html(story, feed, serial, base), quote=False)
        title, summary = escape(story.title), escape(story.paragraphs[0][:100])
        if atom:
            return (
                f'<entry><id>urn:news:{feed}:{serial}</id><title>{title}</title><link rel="alternate" href="{link}"/>'
                f"<published>{date:%Y-%m-%dT%H:%M:%SZ}</published><updated>{changed:%Y-%m-%dT%H:%M:%SZ}</updated>"
                f'<summary>{summary}</summary><content type="html">{body}</content></entry>\n'
            )
        return (
            f'<item><title>{title}</title><link>{link}</link><guid isPermaLink="false">urn:news:{feed}:{serial}</guid>'
            f"<pubDate>{format_datetime(changed)}</pubDate><description>{summary}</description>"
            f"<content:encoded>{body}</content:encoded></item>\n"
        )

    def _html(self, story: Story, feed: int, serial: int, base: str) -> str:
        dice = self.chance("markup", feed, serial)
        pieces = []
        if dice.random() < 0.5:
            picture = f'<img src="{base}/{feed}/{serial}.jpg" alt="" width="640">'
            pieces.append(f"<figure>{picture}<figcaption>{escape(story.title[:12])}</figcaption></figure>")
        for number, paragraph in enumerate(story.paragraphs):
            words = escape(paragraph, quote=False)
            if number % 4 == 1 and "&" not in words[:9]:
                words = f'<a href="{base}/{feed}/{number}" target="_blank">{words[:9]}</a>{words[9:]}'
            if number % 5 == 2 and "&" not in words[:7]:
                words = f"<strong>{words[:7]}</strong>{words[7:]}"
            style = dice.choice(('<p style="text-indent:2em">', "<p>"))
            pieces.append(f"<blockquote>{style}{words}</p></blockquote>" if number % 7 == 5 else f"{style}{words}</p>")
        return "".join(pieces)


# --- server -----------------------------------------------------------------------------------------------------


class Site:
    """The world behind HTTP: documents are made once a move, so that answering costs next to nothing."""

    def __init__(self, world: World) -> None:
        self.world, self.base = world, ""
        self.answers: dict[bytes, tuple[bytes, bytes, bytes]] = {}
        self.asked: dict[str, int] = {}

    def publish(self) -> None:
        """Make every document as it now is; the count of answers begins anew."""
        modified = format_datetime(self.world.modified, usegmt=True)
        for feed in range(self.world.feeds):
            body = self.world.document(feed, self.base)
            tag = f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"'
            kind = "application/atom+xml" if feed % 3 == 0 else "application/rss+xml"
            given = f"ETag: {tag}\r\nLast-Modified: {modified}\r\n"
            full = (
                f"HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\n{given}Content-Length: {len(body)}\r\n\r\n"
            )
            path = f"/feed/{feed}.xml".encode()
            self.answers[path] = (
                tag.encode(),
                full.encode() + body,
                f"HTTP/1.1 304 Not Modified\r\n{given}\r\n".encode(),
            )
        self.asked = {"200": 0, "304": 0, "404": 0}

    def answer(self, request: bytes) -> bytes:
        """The whole answer to a request's head."""
        path = request.split(b" ", 2)[1]
        if path in self.answers:
            tag, full, same = self.answers[path]
            known = tag in _header(request, b"if-none-match") or (
                _header(request, b"if-modified-since")
                and not _header(request, b"if-none-match")
                and _header(request, b"if-modified-since") in same
            )
            self.asked["304" if known else "200"] += 1
            return same if known else full
        return self._control(urlsplit(path.decode("latin-1")))

    def _control(self, asked) -> bytes:
        wanted = {name: int(values[0]) for name, values in parse_qs(asked.query).items()}
        if asked.path == "/_advance":
            self.world.advance(wanted.get("new", 1), wanted.get("upd", 0))
            self.publish()
        elif asked.path == "/_reset":
            self.world.reset()
            self.publish()
        elif asked.path != "/_stats":
            self.asked["404"] += 1
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        said = json.dumps(self.asked).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(said) + said


def _header(request: bytes, name: bytes) -> bytes:
    """The value of a request's header, empty where there is none."""
    at = request.lower().find(b"\r\n" + name + b":")
    return request[at + len(name) + 3 : request.find(b"\r\n", at + 2)].strip() if at >= 0 else b""


class Connection(asyncio.Protocol):
    """One client: requests without bodies, answered in order."""

    def __init__(self, site: Site) -> None:
        self.site, self.waiting = site, b""

    def connection_made(self, transport):
        """Remember whom to answer."""
        self.transport = transport

    def data_received(self, data):
        """Answer every request that is complete."""
        *requests, self.waiting = (self.waiting + data).split(b"\r\n\r\n")
        for request in requests:
            self.transport.write(self.site.answer(request + b"\r\n"))
            if b"close" in _header(request + b"\r\n", b"connection").lower():
                self.transport.close()


async def serve(world: World, port: int) -> None:
    """Listen, make the documents, and say the port."""
    site = Site(world)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(site), "127.0.0.1", port)
    port = server.sockets[0].getsockname()[1]
    site.base = f"http://127.0.0.1:{port}"
    site.publish()
    print(port, flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until ended."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--feeds", type=int, default=200)
    options.add_argument("--entries", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--port", type=int, default=0)
    asked = options.parse_args()
    asyncio.run(serve(World(asked.feeds, asked.entries, asked.seed), asked.port))


if __name__ == "__main__":
    main()
