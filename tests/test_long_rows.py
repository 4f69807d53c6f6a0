"""What runs outside the parser's child takes time in proportion to the size, whatever stands in it.

Each text here took seconds to minutes while a pattern looked from every place through all that follows. A test would
not end in its time if that came back; nothing is measured.
"""

from __future__ import annotations

import pytest

from aggregator import normalize, rawitems
from aggregator.dedup.identity import content_key
from aggregator.text import without_tags

LONG = 600_000
ROWS = [
    "<a",
    "<",
    "<?",
    "<!--",
    "</",
    "<p ",
    "id=",
    "class='",
    "style=",
    "display:",
    "href=",
    "1,",
    "1",
    "1 ",
    " ",
    "阅读 ",
]


@pytest.mark.parametrize("piece", ROWS)
def test_a_row_of_one_piece_becomes_text(piece: str) -> None:
    """The words of a fragment are found, and its first image looked for, in one pass."""
    html = piece * (LONG // len(piece)) + "<p>end</p>"
    assert "end" in normalize.plain_text(html) or piece in {"<a", "<", "<?", "<!--", "</", "<p ", "class='"}
    normalize.first_image(html)


@pytest.mark.parametrize("piece", ROWS)
def test_a_row_of_one_piece_has_a_content_key(piece: str) -> None:
    """As text, with a counter's word, and as the HTML that stands for a text that is missing."""
    row = piece * (LONG // len(piece))
    assert len({content_key("t", f"likes {row}前"), content_key("t", "", row), content_key("t", f"阅读{row}")}) == 3


@pytest.mark.parametrize(
    "piece", [b"<item>", b"<item ", b"<entry>", b"<item><id", b"<ttl", b"</item ", b"<item><link href="]
)
def test_a_row_of_item_starts_is_left_to_the_parser(piece: bytes) -> None:
    """A document of items that never end is not cut."""
    assert rawitems.split(piece * (LONG // len(piece))) is None


@pytest.mark.parametrize(
    ("html", "text"),
    [("a<b>c", "a|c"), ("a<b", "a<b"), ("<<b>c<d", "|c<d"), ("1 > 2", "1 > 2"), ("", ""), ("<a\n<b>>", "|>")],
)
def test_tags_go_and_an_open_end_stays(html: str, text: str) -> None:
    """Only what is closed is a tag."""
    assert without_tags(html, "|") == text


def test_unquoted_and_quoted_names_of_furniture_are_seen() -> None:
    """An advertisement is left out whichever attribute says that it is one."""
    for attribute in ('class="dfp-ad"', "class=dfp-ad", 'id=x class="ads"', 'style="color: red; display: none"'):
        html = f"<p>The summit ended with a joint statement.</p><div {attribute}>Buy now</div>"
        assert normalize.plain_text(html) == "The summit ended with a joint statement."
