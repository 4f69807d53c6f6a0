"""How the words of the catalogue are put in Taiwan: 循环 is 迴圈 there, 项目 專案.

OpenCC knows (`text.in_taiwan`), but reading its tables of phrases takes 0.15 s and 45 MB at each start. So what it says
of the built-in agreements stands in `taiwan.txt`, and it is asked only for words that are not there: those of users'
own agreements. `tests/test_tag.py` holds the file against OpenCC, and says how it is written anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources

from aggregator.tag.view import normal
from aggregator.text import in_taiwan

TABLE = "taiwan.txt"
"""A word a line, and after a tab its form in Taiwan where that is another one; both as they stand in a view."""


def put(words: Iterable[str]) -> dict[str, str]:
    """Each word with its form in Taiwan, both as they stand in a view."""
    wanted = list(words)
    known = table()
    if unknown := [word for word in wanted if word not in known]:
        known = {**known, **asked(unknown)}
    return {word: known[word] for word in wanted}


def table() -> Mapping[str, str]:
    """What `taiwan.txt` says."""
    lines = resources.files("aggregator.tag").joinpath(TABLE).read_text(encoding="utf-8").split("\n")
    pairs = (line.partition("\t") for line in lines if line)
    return {word: form or word for word, _tab, form in pairs}


def asked(words: Iterable[str]) -> dict[str, str]:
    """The same from OpenCC itself."""
    wanted = list(words)
    return {word: normal(form) for word, form in zip(wanted, in_taiwan(wanted), strict=True)}


def written(forms: Mapping[str, str]) -> str:
    """The text of the table."""
    return "".join(f"{word}\t{form}\n" if form != word else f"{word}\n" for word, form in sorted(forms.items()))
