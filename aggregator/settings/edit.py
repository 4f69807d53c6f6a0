"""Feeds added to and removed from the text of feeds.yaml, every other byte of it kept.

ruamel's round trip moves comments and line breaks here and there; the places that `document` notes for every node
allow the lines concerned to be exchanged instead. The result is read again before it is given back.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from aggregator.errors import SettingsError, UsageError
from aggregator.settings.document import Broken, Node, decode, read
from aggregator.settings.load import derived_id, loads

_ORDER = ("id", "title", "url", "urls", "outlet", "categories", "interval", "lang", "fulltext")


def edit_feeds(
    text: str, *, add: Iterable[Mapping[str, Any]] = (), remove: Collection[str] = (), path: Path | None = None
) -> str:
    """The text of feeds.yaml with feeds added at the end and others, named by id or address, removed.

    `add` holds mappings as feeds.yaml has them: id, title, url, outlet, categories, ... Comments and layout stay;
    what stands inside a removed feed's lines goes with it. Raises UsageError for a feed to remove that is not there,
    SettingsError when the text is no feeds.yaml or what is added is a mistake; `path` names the file in messages.
    """
    path = path or Path("feeds.yaml")
    before, added, new = _plain(text, path), [dict(feed) for feed in add], text
    gone: set[int] = set()
    if remove:
        new, gone = _without(new, set(remove), path)
    if added:
        new = _with(new, added, path)
    loads(new.encode(), {}, path)
    kept = [feed for number, feed in enumerate(before) if number not in gone]
    after = _plain(new, path)
    if after[: len(kept)] != kept or len(after) != len(kept) + len(added):
        raise SettingsError(f"{path}: is laid out in a way that cannot be edited line by line; change it by hand")
    return new


def _plain(text: str, path: Path) -> list[Any]:
    feeds = _feeds(text, path).plain()
    return feeds if isinstance(feeds, list) else []


def _feeds(text: str, path: Path) -> Node:
    """The list of feeds; an empty one where the file has none."""
    try:
        root = read(decode(text.encode()))
    except Broken as broken:
        raise SettingsError("\n".join(f"{path}:{mistake}" for mistake in broken.mistakes)) from None
    feeds = root.step("feeds") if root else None
    return feeds or Node(None, (-1, 0))


# --- removing ---------------------------------------------------------------------------------------------------


def _without(text: str, remove: set[str], path: Path) -> tuple[str, set[int]]:
    feeds = _feeds(text, path)
    items = feeds.value if isinstance(feeds.value, list) else []
    going = [number for number, item in enumerate(items) if _names(item) & remove]
    found = {name for number in going for name in _names(items[number])}
    if missing := sorted(remove - found):
        known = [name for item in items for name in _names(item)]
        near = get_close_matches(missing[0], known, 1)
        hint = f"did you mean {near[0]}?" if near else "`aggregator feeds list` shows them"
        raise UsageError(f"{path} has no feed {missing[0]}; {hint}")
    lines = text.splitlines(keepends=True)
    if feeds.flow:
        return _flow(text, feeds, [item for number, item in enumerate(items) if number not in going]), set(going)
    for number in reversed(going):
        first, after = _first_line(items[number], lines), _last_line(items[number], lines) + 1
        blank_after = after == len(lines) or not lines[after].strip() or number == len(items) - 1
        if blank_after and not lines[first - 1].strip() and number:
            first -= 1  # the empty line that set it off
        del lines[first:after]
    if len(going) == len(items) and feeds.key:
        line = feeds.key[0]
        lines[line] = re.sub(r"^(feeds|[\"']feeds[\"']) *:", r"\g<0> []", lines[line], count=1)
    return "".join(lines), set(going)


def _names(item: Node) -> set[str]:
    """What a feed may be called: its id, given or derived, and its addresses."""
    given = item.plain()
    if not isinstance(given, dict):
        return set()
    stated = given.get("url") or given.get("urls") or []
    urls = [stated] if isinstance(stated, str) else [url for url in stated if isinstance(url, str)]
    return {given.get("id") or (derived_id(urls[0]) if urls else "")} | set(urls)


def _first_line(item: Node, lines: list[str]) -> int:
    """The line of the dash: above the value when that starts on a line of its own."""
    line = item.start[0]
    while not re.match(r" *-(\s|$)", lines[line]):
        line -= 1
    return line


def _last_line(item: Node, lines: list[str]) -> int:
    """The last line with something of the item in it, comments that are indented below its dash included."""
    line = _end(item)
    while not lines[line].strip():
        line -= 1  # a block of text ends where the next thing begins
    last = line
    dash = _indent(lines[_first_line(item, lines)])
    while line + 1 < len(lines) and (not lines[line + 1].strip() or _indent(lines[line + 1]) > dash):
        line += 1
        last = line if lines[line].strip() else last
    return last


def _end(node: Node) -> int:
    """The last line of a node's values; the end of a block that the parser states lies after its comments."""
    if node.flow or not isinstance(node.value, list | dict):
        return node.end[0] if node.end[1] else max(node.start[0], node.end[0] - 1)
    inner = node.value if isinstance(node.value, list) else list(node.value.values())
    return max([_end(child) for child in inner] + [child.key[0] for child in inner if child.key] + [node.start[0]])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


# --- adding -----------------------------------------------------------------------------------------------------


def _with(text: str, added: Sequence[dict[str, Any]], path: Path) -> str:
    feeds = _feeds(text, path)
    lines = text.splitlines(keepends=True)
    newline = "\r\n" if "\r\n" in text else "\n"
    items = feeds.value if isinstance(feeds.value, list) else []
    if feeds.flow and items:
        raise SettingsError(
            f"{path}:{feeds.start[0] + 1}:{feeds.start[1] + 1}: feeds: stands in brackets; "
            "write one feed a line, each after a dash, so that feeds can be added"
        )
    if items:
        indent, place = _indent(lines[_first_line(items[-1], lines)]), _last_line(items[-1], lines) + 1
    elif feeds.key:
        line = feeds.key[0]
        lines[line] = re.sub(r":\s*(\[\s*\]|~|null)", ":", lines[line], count=1)
        indent, place = 2, line + 1
    else:
        indent, place = 2, len(lines) + 1
        lines.append("feeds:")
    spaced = len(items) > 1 and any(not line.strip() for line in lines[_first_line(items[-2], lines) : place])
    blocks = [(newline if spaced else "") + _block(feed, indent, newline) for feed in added]
    return "".join([*_ended(lines[:place], newline), *blocks, *lines[place:]])


def _ended(lines: list[str], newline: str) -> list[str]:
    """Lines that all end; the last of a file, and a new one, may not."""
    return [line if line.endswith(("\n", "\r")) else line + newline for line in lines]


def _block(feed: dict[str, Any], indent: int, newline: str) -> str:
    """One feed as lines of YAML, quoted by ruamel where it must be."""
    names = [*(name for name in _ORDER if name in feed), *(name for name in feed if name not in _ORDER)]
    ordered = {name: _writable(feed[name]) for name in names if feed[name] not in (None, "", [], ())}
    writer = YAML(typ="rt", pure=True)
    writer.width = 10_000
    writer.allow_unicode = True
    out = io.StringIO()
    writer.dump(ordered, out)
    rows = out.getvalue().rstrip("\n").split("\n")
    return "".join(" " * indent + ("- " if number == 0 else "  ") + row + newline for number, row in enumerate(rows))


def _writable(value: Any) -> Any:
    """Lists in brackets as people write them; text without what no YAML may hold."""
    if isinstance(value, str):
        return "".join(char for char in value if char.isprintable())
    if isinstance(value, list | tuple):
        row = CommentedSeq([_writable(part) for part in value])
        row.fa.set_flow_style()
        return row
    return value


def _flow(text: str, feeds: Node, kept: list[Node]) -> str:
    """The text with a list in brackets rewritten to the items kept, each as it was."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def offset(place: tuple[int, int]) -> int:
        return starts[place[0]] + place[1]

    inner = ", ".join(text[offset(item.start) : offset(item.end)] for item in kept)
    return text[: offset(feeds.start)] + "[" + inner + "]" + text[offset(feeds.end) :]
