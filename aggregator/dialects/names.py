"""Names for exported files that are safe on every platform."""

from __future__ import annotations

import re
import unicodedata

from aggregator.errors import DialectError
from aggregator.model import Article

# Separators, what Windows forbids, controls, invisible and direction-changing characters, unassigned and private ones.
_FORBIDDEN = re.compile(r'[/\\:*?"<>|\u2044\u2215\u2024\u2025\uff0f\uff3c\u29f8]')
_BAD_KINDS = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})
_RESERVED = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$|clock\$)(?:\.|\Z)")
MAX_BYTES = 200  # of 255 in most file systems: room for `.md`, a suffix and a temporary name's ending


def safe(text: str, limit: int = MAX_BYTES) -> str:
    """A name for one file or folder: at most `limit` bytes, never empty, hidden, reserved or an option."""
    name = unicodedata.normalize("NFC", text)
    name = "".join(" " if unicodedata.category(char) in _BAD_KINDS else char for char in name)
    name = re.sub(r"\s+", " ", _FORBIDDEN.sub("-", name)).strip(" .-~")
    name = name.encode()[:limit].decode(errors="ignore").rstrip(" .")
    if _RESERVED.match(name):
        name = "_" + name
    return name or "untitled"


def file_name(article: Article, dialect: str, *, suffix: str = "") -> str:
    """A relative path with `/` between its parts.

    hexo: `<category>/<category>/<title>.md`; the others: `2020-12-12/2020-12-12-title.md`, `undated` without a date.
    `suffix` is put before `.md`, for the caller to tell files apart that would have one name.
    Raises DialectError for an unknown dialect.
    """
    end = ("-" + safe(suffix, 40) if suffix else "") + ".md"
    if dialect == "hexo":
        folders = [safe(category, 100) for category in article.categories]
        return "/".join([*folders, safe(article.title, MAX_BYTES - len(end.encode())) + end])
    if dialect not in {"feedx", "jekyll", "markdown"}:
        raise DialectError(f"there is no dialect {dialect!r}")
    moment = article.captured or article.when
    day = moment.date().isoformat() if moment else "undated"
    return f"{day}/{day}-{safe(article.title, MAX_BYTES - len(day) - 1 - len(end.encode()))}{end}"
