"""Front matter: the lines between `---` and `---` as a list of entries, each exact.

An entry is a small mapping that can stand in JSON. `key` names a line whose value an `Article` holds: the entry then
has only the quoting (`style`), the blanks after the colon (`gap`) and what follows the value (`end`), each left out
where it is the usual one; the value is rendered from the article. A list has `list`: `block` or `flow`, and how its
items are set. Any other line is kept as `line`, with the lines that belong to it. Nothing is ever expanded: an
alias or a tag in a line that the article does not need is only carried along, and refused where it is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aggregator.dialects import scalars
from aggregator.dialects.scalars import Scalar
from aggregator.errors import DialectError

Entry = Mapping[str, Any]
Value = str | tuple[str, ...]

_KEY = re.compile(r"([A-Za-z_][\w-]*)([ \t]*:)(?:([ \t]+)(.*)|([ \t\r]*))\Z")
_ITEM = re.compile(r"([ \t]*-[ \t]+)(.*)\Z")
_FLOW = re.compile(r"(\[[ \t]*)(.*?)([ \t]*\])([ \t\r]*(?:[ \t]#.*)?)\Z")
_FLOW_ITEM = re.compile(r"""((?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,'"\[\]{}][^,\[\]{}]*?))([ \t]*,[ \t]*|\Z)""")
MAX_FLOW = 4_000  # characters of a list on one line
MAX_LINES = 2_000  # far above any head written by hand; a longer one is not a head


def parse(lines: Sequence[str], keys: frozenset[str], lists: frozenset[str]) -> tuple[list[Entry], dict[str, Value]]:
    """The entries of a head, and the values of `keys` and `lists` that could be read.

    Raises DialectError for a key of ours that stands twice. A line number in a message counts from 1 in the head.
    """
    entries: list[Entry] = []
    values: dict[str, Value] = {}
    for number, block in _blocks(lines):
        found = _KEY.match(block[0])
        key = found[1] if found else ""
        if key in values or any(entry.get("key") == key for entry in entries if key):
            raise DialectError(f"line {number} of the head: {key} stands twice; keep one of them")
        read: tuple[Entry, Value] | None = None
        if found and key in lists:
            read = _list(found, block)
        if found and read is None and key in keys | lists and len(block) == 1:
            read = _scalar(found)
        if read is None:
            entries.append({"line": "\n".join(block)})
            continue
        entry, value = read
        entries.append({"key": key, **entry})
        values[key] = (value,) if key in lists and isinstance(value, str) and value else value
    return entries, values


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Each top-level line with the lines that belong to it (indented, blank or list items), numbered from 1."""
    if len(lines) > MAX_LINES:
        raise DialectError(f"the head has {len(lines)} lines, more than {MAX_LINES}: this is not an article's head")
    start = 0
    for number, line in enumerate(lines):
        if number and not line.startswith((" ", "\t", "- ")) and line.strip():
            yield start + 1, list(lines[start:number])
            start = number
    if lines:
        yield start + 1, list(lines[start:])


def _scalar(found: re.Match[str]) -> tuple[Entry, str] | None:
    if found[4] is None or found[4] == "":
        return _entry(found, style="empty"), ""
    scalar = scalars.parse(found[4])
    if scalar is None:
        return None
    return _entry(found, style=scalar.style, end=scalar.end), scalar.value


def _entry(found: re.Match[str], **facts: Any) -> Entry:
    """Facts without the usual ones: `:` directly after the key, one blank, a bare value, nothing behind it."""
    usual = {"colon": ":", "gap": " ", "style": "bare", "end": ""}
    gap = found[3] if found[3] is not None else found[5]
    facts |= {"colon": found[2], "gap": gap}
    return {name: fact for name, fact in facts.items() if usual.get(name) != fact}


def _list(found: re.Match[str], block: list[str]) -> tuple[Entry, tuple[str, ...]] | None:
    rest = found[4] or ""
    if len(block) > 1:
        return None if rest.strip() else _block_list(found, block[1:])
    return _flow_list(found, rest)


def _block_list(found: re.Match[str], lines: list[str]) -> tuple[Entry, tuple[str, ...]] | None:
    items = []
    for line in lines:
        item = _ITEM.match(line)
        scalar = scalars.parse(item[2]) if item else None
        if not item or scalar is None or (not scalar.value and scalar.style in {"bare", "naive"}):
            return None
        items.append((item[1], scalar))
    entry = _entry(found, list="block", items=_items([(mark, s.style, s.end) for mark, s in items], " - "))
    return entry, tuple(scalar.value for _, scalar in items)


def _flow_list(found: re.Match[str], rest: str) -> tuple[Entry, tuple[str, ...]] | None:
    outer = _FLOW.match(rest) if len(rest) <= MAX_FLOW else None
    if not outer:
        return None
    items, at, inner = [], 0, outer[2]
    while at < len(inner):
        item = _FLOW_ITEM.match(inner, at)
        scalar = scalars.parse(item[1]) if item else None
        if not item or scalar is None or scalar.end or item.end() == at or (item[2] and item.end() == len(inner)):
            return None
        items.append((item[2], scalar))
        at = item.end()
    commas = [(comma if number < len(items) - 1 else ", ", s.style, "") for number, (comma, s) in enumerate(items)]
    entry = _entry(found, list="flow", open=outer[1], close=outer[3], end=outer[4], items=_items(commas, ", "))
    return entry, tuple(scalar.value for _, scalar in items)


def _items(facts: list[tuple[str, str, str]], mark: str) -> list[list[str]]:
    """How each item is set; nothing when all are set alike in the usual way, one when all are alike."""
    usual = (mark, "bare", "")
    if all(fact == usual for fact in facts):
        return []
    return [list(facts[0])] if len(set(facts)) == 1 else [list(fact) for fact in facts]


def render(entries: Sequence[Entry], values: Mapping[str, Value]) -> str:
    """The lines of a head, each with its line end. `values` has one for each `key` among the entries."""
    return "".join(_rendered(entry, values) + "\n" for entry in entries)


def _rendered(entry: Entry, values: Mapping[str, Value]) -> str:
    if "line" in entry:
        return str(entry["line"])
    key, value = str(entry["key"]), values[str(entry["key"])]
    begin = key + str(entry.get("colon", ":")) + str(entry.get("gap", " "))
    end = str(entry.get("end", ""))
    if "list" in entry:
        return begin + _rendered_list(entry, (value,) if isinstance(value, str) else value, end)
    text = value if isinstance(value, str) else ", ".join(value)
    style = str(entry.get("style", "bare"))
    if not text and style in {"empty", "bare"}:
        return begin + end if style == "empty" else begin.rstrip() + end
    if style == "empty":
        begin, style = (begin if begin.endswith((" ", "\t")) else begin + " "), "bare"
    return begin + scalars.render(Scalar(text, style, end))


def _rendered_list(entry: Entry, values: Sequence[str], end: str) -> str:
    block = entry["list"] == "block"
    facts = entry.get("items") or [[" - " if block else ", ", "bare", ""]]
    facts = [facts[min(number, len(facts) - 1)] for number in range(len(values))]
    if block and values:
        lines = (
            mark + scalars.render(Scalar(value, style, tail))
            for value, (mark, style, tail) in zip(values, facts, strict=True)
        )
        return "\n" + "\n".join(lines)
    if block:
        return "[]"
    written = ""
    for number, (value, (comma, style, _)) in enumerate(zip(values, facts, strict=True)):
        written += _flow_item(value, style) + (comma if number < len(values) - 1 else "")
    return str(entry.get("open", "[")) + written + str(entry.get("close", "]")) + end


def _flow_item(value: str, style: str) -> str:
    """In brackets a bare value must hold no comma or bracket either."""
    bare = style in {"bare", "naive"}
    return scalars.render(Scalar(value, "single" if bare and re.search(r"[,\[\]{}'\"]|: ", value) else style))
