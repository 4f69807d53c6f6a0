"""HTML packed against the plain text of its row."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.errors import ArchiveError
from aggregator.store.schema import packed, unpacked

TEXTS = st.text(st.characters(exclude_categories=()), max_size=200)


@given(TEXTS, TEXTS)
def test_what_is_packed_comes_out_again(html: str, text: str) -> None:
    """Any HTML against any text, lone surrogates included."""
    assert unpacked(packed(html, text), text) == html


def test_html_costs_little_beside_its_text() -> None:
    """Words that stand in the text are not kept a second time."""
    chance = random.Random(1)
    words = ["".join(chr(0x4E00 + chance.randrange(3000)) for _ in range(60)) for _ in range(15)]
    html = "".join(f"<p>{paragraph}</p>" for paragraph in words)
    assert len(packed(html, "\n".join(words))) * 5 < len(zlib.compress(html.encode(), 6))


def test_html_of_earlier_versions_is_read() -> None:
    """It was packed by itself."""
    assert unpacked(zlib.compress("<p>旧</p>".encode(), 6), "旧") == "<p>旧</p>"


def test_a_text_that_was_changed_is_named() -> None:
    """Nothing else can come out than what went in."""
    with pytest.raises(ArchiveError, match=r"'another text'.*its text was changed"):
        unpacked(packed("<p>one text</p>", "one text"), "another text")
