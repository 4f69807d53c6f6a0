"""Snippets: the match is in them, marked, and they fit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aggregator.snippet import fitted, matches, padded, snippet, width

LONG = "大会于周三开幕。" * 40 + "美國與中國就甲烷減排達成一致，雙方將提交方案。" + "各方继续磋商。" * 40


def test_shows_the_match_in_the_script_of_the_source():
    """A simplified query marks traditional text as it stands."""
    piece = snippet(LONG, ["减排"], 60)
    assert [piece.text[start:end] for start, end in piece.spans] == ["減排"]
    assert piece.text.startswith("…美國與中國")
    assert piece.text.endswith("…")


def test_fits_the_columns():
    """Chinese characters take two columns."""
    assert 50 <= width(snippet(LONG, ["减排"], 60).text) <= 60


def test_without_a_match_it_is_the_beginning():
    """A hit in the title only."""
    piece = snippet(LONG, ["核电"], 40)
    assert piece.text.startswith("大会于周三开幕")
    assert piece.spans == ()


def test_prefers_the_place_with_more_of_the_words():
    """Several words near one another are the better evidence."""
    text = "Methane. " + "Nothing here at all. " * 30 + "Cuts of methane were pledged by both. " + "More. " * 30
    assert "pledged" in snippet(text, ["methane", "pledged"], 60).text


def test_is_one_line():
    """Paragraphs become blanks."""
    assert "\n" not in snippet("甲烷\n\n减排\t合作", ["减排"]).text


def test_joins_overlapping_matches():
    """Two words that overlap are one mark."""
    assert matches("气候变化大会", ["气候变化", "变化大会"]) == [(0, 6)]


@given(st.text(max_size=200), st.text(min_size=1, max_size=5), st.integers(0, 80))
def test_always_fits_and_spans_hold(text, needle, columns):
    """Any text, any needle, any width."""
    piece = snippet(text, [needle], columns)
    assert width(piece.text) <= max(columns, 4)
    assert all(0 <= start < end <= len(piece.text) for start, end in piece.spans)
    assert matches(text.lower(), [needle]) is not None


@given(st.text(max_size=40), st.integers(1, 30))
def test_padding_is_exact(text, columns):
    """Cells line up."""
    line = "".join(text.split())
    assert width(padded(line, columns)) == columns
    assert width(fitted(line, columns)) <= columns
