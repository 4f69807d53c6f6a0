"""YAML as plain data with the line of every value: no anchors, aliases, tags, duplicate keys or surprises.

Files that people write by hand (feeds.yaml, an agreement) are read through here, so that a mistake is answered with
its line. Scalars follow the YAML 1.2 core schema: `no` and `12:30` are strings. The one owner of ruamel.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}

Path = tuple[str | int, ...]


class YamlProblem(Exception):
    """What is wrong with a YAML text; the message starts with `name:line:column`."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Plain data (dict, list, str, int, float, bool, None) and where each value stands."""

    name: str
    data: Any
    marks: dict[Path, tuple[int, int]]

    def where(self, path: Path = ()) -> str:
        """`name:line:column` of the value at a path, or of the nearest value that holds it; both count from 1."""
        while path and path not in self.marks:
            path = path[:-1]
        line, column = self.marks.get(path, (1, 1))
        return f"{self.name}:{line}:{column}"


def load_yaml(text: str, name: str) -> Loaded:
    """Read one YAML document.

    Raises:
        YamlProblem: what is not YAML, larger than 1 MB, nested deeper than 20, or uses an anchor, an alias, a merge
            key, a tag, a second document or one key twice.

    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise YamlProblem(f"{name}:1:1: the file is larger than {MAX_BYTES // 1_000_000} MB")
    try:
        return _read(text, name, pure=False)
    except (YAMLError, ValueError):
        # libyaml is twenty times as fast and knows YAML 1.1 alone; ruamel's own parser decides in doubt.
        return _decided(text, name)


def _read(text: str, name: str, *, pure: bool) -> Loaded:
    reader = _Reader(name, {})
    data = reader.document(iter(YAML(typ="safe", pure=pure).parse(text)))
    return Loaded(name, data, reader.marks)


def _decided(text: str, name: str) -> Loaded:
    try:
        return _read(text, name, pure=True)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise YamlProblem(f"{name}:{place}: {error.problem or error.context}") from None
    except (YAMLError, ValueError) as error:
        raise YamlProblem(f"{name}:1:1: {str(error).splitlines()[0]}") from None


@dataclass(frozen=True, slots=True)
class _Reader:
    """Builds data from events, one method a kind of node; `marks` is filled as values are met."""

    name: str
    marks: dict[Path, tuple[int, int]]

    def document(self, events: Iterator[Event]) -> Any:
        data, documents = None, 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self.problem(event, "one document a file, please")
            elif isinstance(event, NodeEvent):
                data = self.value(event, events, ())
        return data

    def value(self, event: Event, events: Iterator[Event], path: Path) -> Any:
        self.refuse(event, path)
        self.marks[path] = (event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, MappingStartEvent):
            return self.mapping(events, path)
        if isinstance(event, SequenceStartEvent):
            return self.sequence(events, path)
        assert isinstance(event, ScalarEvent)  # noqa: S101 - the only node that is left
        return _scalar(event)

    def refuse(self, event: Event, path: Path) -> None:
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise self.problem(event, "anchors and aliases are not read; write the value out")
        if getattr(event, "tag", None) or getattr(event, "ctag", None):
            raise self.problem(event, "tags (!…) are not read")
        if len(path) > MAX_DEPTH:
            raise self.problem(event, f"nested deeper than {MAX_DEPTH} levels")

    def mapping(self, events: Iterator[Event], path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            if not isinstance(event, ScalarEvent):
                raise self.problem(event, "a key must be a word")
            self.refuse(event, path)
            key = str(event.value)
            if key == "<<":
                raise self.problem(event, "merge keys are not read; write the values out")
            if key in found:
                raise self.problem(event, f"the key {key!r} stands here twice")
            found[key] = self.value(next(events), events, (*path, key))
        return found

    def sequence(self, events: Iterator[Event], path: Path) -> list[Any]:
        found: list[Any] = []
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            found.append(self.value(event, events, (*path, len(found))))
        return found

    def problem(self, event: Event, message: str) -> YamlProblem:
        mark = event.start_mark
        return YamlProblem(f"{self.name}:{mark.line + 1}:{mark.column + 1}: {message}")


def _scalar(event: ScalarEvent) -> Any:
    text = str(event.value)
    if not event.implicit[0]:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
