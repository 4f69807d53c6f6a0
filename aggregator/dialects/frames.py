"""What stands around an article's HTML in a file, and the shape of the file as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aggregator.errors import DialectError

_OPEN = re.compile(r"\s{0,20}<div>[ \t]{0,20}\n")
_CLOSE = re.compile(r"\s{0,40}</div>\s{0,40}\Z")


def take(body: str, begin: str, end: str) -> tuple[str, dict[str, Any]]:
    """The HTML inside `begin` and `end`, and facts where the file has another frame than that one.

    The usual HTML ends in one newline, which belongs to the frame; any other number is a fact.
    """
    if len(body) >= len(begin) + len(end) and body.startswith(begin) and body.endswith(end):
        inner = body[len(begin) : len(body) - len(end)]
        if not inner.endswith("\n"):
            return inner, {}
    opened = _OPEN.match(body) if begin else None
    closed = _CLOSE.search(body, max(0, len(body) - 100)) if begin else re.search(r"\n{0,20}\Z", body)
    if closed and (opened or not begin) and (not opened or closed.start() >= opened.end()):
        start = opened.end() if opened else 0
        return body[start : closed.start()], {"frame": [body[:start], body[closed.start() :]]}
    return body, {"frame": ["", ""]}


def put(html: str, begin: str, end: str, facts: Mapping[str, Any]) -> str:
    """The HTML in the frame that `take` found, or in the usual one, which holds it without trailing newlines."""
    if "frame" in facts:
        return f"{facts['frame'][0]}{html}{facts['frame'][1]}"
    return begin + html.rstrip("\n") + end


def decode(data: bytes) -> tuple[str, dict[str, Any]]:
    r"""The characters of a file with `\n` for its line ends, and facts on its byte-order mark and line ends.

    Raises DialectError for what is no UTF-8 text.
    """
    if b"\0" in data:
        raise DialectError(f"holds a NUL byte at offset {data.index(0)}: this is not a text file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DialectError(
            f"is not UTF-8 (byte {data[error.start]:#04x} at offset {error.start}); convert it first"
        ) from None
    facts: dict[str, Any] = {}
    if text.startswith("\ufeff"):
        text, facts = text[1:], {"bom": True}
    if "\r\n" in text and text.count("\r") == text.count("\n") == text.count("\r\n"):
        text, facts = text.replace("\r\n", "\n"), facts | {"crlf": True}
    return text, facts


def encode(text: str, facts: Mapping[str, Any]) -> bytes:
    """The bytes of `text`; half a surrogate pair becomes U+FFFD, NUL too, since no file of text can hold them."""
    text = re.sub("[\0\ud800-\udfff]", "\ufffd", text)
    if facts.get("crlf"):
        text = re.sub(r"\r?\n", "\r\n", text)
    return (("\ufeff" if facts.get("bom") else "") + text).encode()


def one_line(text: str) -> str:
    """Text without line breaks or other control characters: each run of them is one blank."""
    return re.sub("[\x00-\x08\n-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
