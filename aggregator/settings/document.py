"""YAML in a strict dialect: mappings, lists and text, each with its place; every scalar is the text as written.

No anchors, aliases, merge keys or tags: 535 bytes of those can take a minute. They are refused on the parser's
events, before anything is composed. No type guessing either: `no`, `1.10` and `2025-01-01` stay what they are, and
whoever reads the tree decides. The one owner of ruamel.yaml, with `edit`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_VALUES = 150_000  # nine thousand feeds have a hundred thousand; more only costs seconds
_MAX_MISTAKES = 100
_NULL = {"", "~", "null", "Null", "NULL"}
# YAML 1.2, 5.1: what may not stand in a document.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong: line and column count from 1, `where` is a path such as feeds.1.interval."""

    line: int
    column: int
    where: str
    what: str

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: " if self.line else ""
        return place + (f"{self.where}: " if self.where else "") + self.what


class Broken(Exception):
    """The text is no such document; `mistakes` say why."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


@dataclass(slots=True)
class Node:
    """A piece of the document: `value` is None, text, a list of nodes, or a mapping of names to nodes.

    Lines and columns count from 0 and are those of the value; `key` is where the name stands in a mapping.
    """

    value: str | list[Node] | dict[str, Node] | None
    start: tuple[int, int]
    end: tuple[int, int] = (0, 0)
    key: tuple[int, int] | None = None
    flow: bool = False

    def plain(self) -> Any:
        """The same as None, str, list and dict."""
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        if isinstance(self.value, dict):
            return {name: node.plain() for name, node in self.value.items()}
        return self.value

    def at(self, loc: Sequence[str | int]) -> tuple[Loc, Node]:
        """The node a path leads to, or the last one on the way, with the part of the path that exists."""
        node: Node = self
        for depth, step in enumerate(loc):
            found = node.step(step)
            if found is None:
                return tuple(loc[:depth]), node
            node = found
        return tuple(loc), node

    def step(self, step: str | int) -> Node | None:
        """The entry of that name or number."""
        if isinstance(self.value, dict):
            return self.value.get(str(step))
        if isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            return self.value[step]
        return None

    def mistake(self, loc: Sequence[str | int], what: str) -> Mistake:
        """A mistake at a path; what is missing is reported where it should be."""
        _, node = self.at(loc)
        line, column = node.key or node.start
        return Mistake(line + 1, column + 1, ".".join(map(str, loc)), what)


def decode(data: bytes) -> str:
    """The text of a file; raises Broken when it is too large, not UTF-8, or not text."""
    if len(data) > MAX_BYTES:
        raise Broken(Mistake(0, 0, "", f"is {len(data):,} bytes; at most {MAX_BYTES:,} are read"))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Broken(Mistake(1, 1, "", "is UTF-16; save it as UTF-8"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = data.count(b"\n", 0, wrong.start) + 1
        column = wrong.start - data.rfind(b"\n", 0, wrong.start)
        raise Broken(Mistake(line, column, "", "is not UTF-8; save the file as UTF-8")) from None
    if found := _UNPRINTABLE.search(text):
        line, column = text.count("\n", 0, found.start()) + 1, found.start() - text.rfind("\n", 0, found.start())
        raise Broken(Mistake(line, column, "", f"holds the control character U+{ord(found[0]):04X}; remove it"))
    return text


def read(text: str) -> Node | None:
    """The tree of a document, None when it holds nothing; raises Broken with everything that is wrong with its form."""
    with suppress(YAMLError, ValueError, OverflowError, Broken):
        # libyaml is twenty times as fast and knows YAML 1.1 alone; ruamel's own parser decides in doubt.
        return _read(_Builder(), text, pure=False)
    builder = _Builder()
    try:
        return _read(builder, text, pure=True)
    except MarkedYAMLError as wrong:
        raise Broken(*builder.mistakes, _syntax(wrong, text)) from None
    except (YAMLError, ValueError, OverflowError) as wrong:
        first = str(wrong).partition("\n")[0]
        raise Broken(*builder.mistakes, Mistake(1, 1, "", f"is not YAML: {first}")) from None


def _read(builder: _Builder, text: str, *, pure: bool) -> Node | None:
    root = builder.document(iter(YAML(typ="safe", pure=pure).parse(text)))
    if builder.mistakes:
        raise Broken(*builder.mistakes)
    return root


def _syntax(wrong: MarkedYAMLError, text: str) -> Mistake:
    at_end = "end of stream" in (wrong.problem or "")
    mark = wrong.context_mark if at_end and wrong.context_mark else wrong.problem_mark or wrong.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.splitlines()
    here = lines[line] if line < len(lines) else ""
    if "\t" in here[: column + 1]:
        return Mistake(line + 1, here.index("\t") + 1, "", "is indented with a tab; YAML wants spaces")
    what = " ".join(str(part) for part in (wrong.context, wrong.problem) if part)
    hint = "" if not re.search(r"[\"'\[{]", here) else "; is a quote or bracket left open?"
    return Mistake(line + 1, column + 1, "", f"is not YAML: {what}{hint}")


@dataclass(slots=True)
class _Builder:
    """Turns the parser's events into nodes, one look each, and notes what this dialect does not know."""

    mistakes: list[Mistake] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    values: int = 0

    def note(self, event: Any, loc: Loc, what: str) -> None:
        mark = event.start_mark
        self.mistakes.append(Mistake(mark.line + 1, mark.column + 1, ".".join(map(str, loc)), what))
        if len(self.mistakes) >= _MAX_MISTAKES:
            raise Broken(*self.mistakes)

    def document(self, stream: Iterator[Any]) -> Node | None:
        root: Node | None = None
        for event in stream:
            if isinstance(event, events.DocumentStartEvent):
                if root is not None:
                    self.note(event, (), "a second document starts here; keep one, without a line of three dashes")
                    raise Broken(*self.mistakes)
                if event.tags or event.version:
                    self.note(event, (), "remove the lines that start with %")
            elif isinstance(event, events.NodeEvent):
                root = self.node(event, stream, ())
        return root if root is not None and root.value is not None else None

    def node(self, event: Any, stream: Iterator[Any], loc: Loc) -> Node:
        mark = event.start_mark
        node = Node(None, (mark.line, mark.column), (event.end_mark.line, event.end_mark.column))
        self.values += 1
        if len(loc) > MAX_DEPTH or self.values > MAX_VALUES:
            deep = f"is nested more than {MAX_DEPTH} deep"
            self.note(event, (), deep if len(loc) > MAX_DEPTH else f"holds more than {MAX_VALUES:,} values")
            raise Broken(*self.mistakes)
        if event.anchor is not None and event.anchor not in self.anchors:  # each is said once
            self.anchors.add(event.anchor)
            self.note(event, loc, f"anchors and aliases ({event.anchor}) are not read here; write the values out")
        if isinstance(event, events.AliasEvent):
            return node
        if event.ctag is not None and event.tag is not None:
            self.note(event, loc, f"the tag {event.tag} is not read here; write the plain value")
        if isinstance(event, events.ScalarEvent):
            plain = not event.style and event.value in _NULL
            node.value = None if plain else _joined(event.value)
        elif isinstance(event, events.SequenceStartEvent):
            self.sequence(node, event, stream, loc)
        else:
            self.mapping(node, event, stream, loc)
        return node

    def sequence(self, node: Node, event: Any, stream: Iterator[Any], loc: Loc) -> None:
        items: list[Node] = []
        for inner in stream:
            if isinstance(inner, events.SequenceEndEvent):
                node.end = (inner.end_mark.line, inner.end_mark.column)
                break
            items.append(self.node(inner, stream, (*loc, len(items))))
        node.value, node.flow = items, bool(event.flow_style)

    def mapping(self, node: Node, event: Any, stream: Iterator[Any], loc: Loc) -> None:
        entries: dict[str, Node] = {}
        for inner in stream:
            if isinstance(inner, events.MappingEndEvent):
                node.end = (inner.end_mark.line, inner.end_mark.column)
                break
            name = self.name(inner, stream, loc)
            value = self.node(next(stream), stream, (*loc, name))
            value.key = (inner.start_mark.line, inner.start_mark.column)
            if name == "<<":
                self.note(inner, loc, "merge keys (<<) are not read here; write the values out")
            elif name in entries:
                first = entries[name].key or (0, 0)
                self.note(inner, (*loc, name), f"stands here a second time, first in line {first[0] + 1}; keep one")
            else:
                entries[name] = value
        node.value, node.flow = entries, bool(event.flow_style)

    def name(self, event: Any, stream: Iterator[Any], loc: Loc) -> str:
        node = self.node(event, stream, (*loc, "?"))
        if isinstance(node.value, str):
            return node.value
        self.note(event, loc, "the name before a colon must be a plain word")
        return f"?{len(self.mistakes)}"


def _joined(text: str) -> str:
    """Text whose escaped surrogate pairs (as JSON writes an emoji) are characters; a lone half becomes U+FFFD."""
    if text.isascii() or not re.search("[\ud800-\udfff]", text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
