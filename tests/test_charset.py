"""Which encoding a feed is in, whatever it declares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.parse.charset import decode

CHINESE = "国家发展改革委就气候变化答记者问：“双碳”目标怎样落实？「附全文」"
TRADITIONAL = "氣候變遷大會今日閉幕，與會國家同意逐步減少用煤。"


def feed(words, label=None):
    """A small feed that declares the label."""
    encoding = f' encoding="{label}"' if label else ""
    return f'<?xml version="1.0"{encoding}?>\n<rss><channel><title>{words}</title></channel></rss>'


@pytest.mark.parametrize("label", [None, "utf-8", "gb2312", "iso-8859-1", "us-ascii", "big5", "utf-16", "none"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_simplified(codec, label):
    """Simplified Chinese arrives without a wrong character, whatever is declared."""
    document = feed(CHINESE, label)
    assert decode(document.encode(codec)).text == document


@pytest.mark.parametrize("label", [None, "utf-8", "gbk", "big5", "iso-8859-1"])
def test_traditional(label):
    """Big5 is told from GB18030 by its characters, whatever is declared."""
    document = feed(TRADITIONAL, label)
    assert decode(document.encode("big5")).text == document


@pytest.mark.parametrize(
    ("words", "codec"),
    [("日本語の記事のタイトル", "shift_jis"), ("日本語の記事のタイトル", "euc_jp"), ("한국어 기사 제목", "euc_kr")],
)
def test_neighbours(words, codec):
    """Japanese and Korean encodings are recognised although they declare UTF-8."""
    assert words in decode(feed(words, "UTF-8").encode(codec)).text


@pytest.mark.parametrize(
    ("words", "label", "codec"),
    [
        ("Le sommet a été prolongé d'une journée", "iso-8859-1", "latin-1"),
        ("Le sommet a été prolongé d'une journée", None, "cp1252"),
        ("“Curly quotes” – and dashes", "iso-8859-1", "cp1252"),  # the label means windows-1252 to every browser
        ("Климатический саммит завершён", "windows-1251", "cp1251"),
        ("Климатический саммит завершён", "koi8-r", "koi8-r"),
        ("日本語", "iso-2022-jp", "iso2022_jp"),
        ("镕基堃喆囍", "gb2312", "gbk"),
        ("𠮷野家 㐂", "gbk", "gb18030"),
        ("香港咗嘅", "big5", "big5hkscs"),
    ],
)
def test_declared(words, label, codec):
    """A true declaration is believed, with the labels meaning what browsers take them for."""
    assert words in decode(feed(words, label).encode(codec)).text


def test_few_characters_that_look_like_utf8():
    """GBK bytes that happen to be valid UTF-8 are read as declared."""
    document = feed("模校", "gbk")
    assert document.encode("gbk").decode("utf-8") != document
    assert decode(document.encode("gbk")).text == document


def test_header_counts():
    """The charset of the Content-Type header is a witness like the declaration."""
    document = feed("Климат")
    assert decode(document.encode("cp1251"), "application/rss+xml; charset=Windows-1251").text == document


@pytest.mark.parametrize(
    "label", ["punycode", "idna", "unicode_escape", "zlib_codec", "utf-7", "rot13", "undefined", "../x"]
)
def test_only_known_labels(label):
    """No codec outside the WHATWG labels is ever used."""
    assert "+ADw-\\u4e2d" in decode(feed("+ADw-\\u4e2d", label).encode()).text


def test_one_fault_is_one_mark():
    """A faulty byte in a long UTF-8 text costs one character, not the encoding."""
    body = feed(CHINESE * 5, "utf-8").encode() + b"\xe4\xb8 end"
    found = decode(body)
    assert found.text == feed(CHINESE * 5, "utf-8") + "\ufffd end"
    assert "UTF-8" in found.note


def test_cut_in_a_character():
    """A document that ends in the middle of a character loses that character only."""
    for codec in ("utf-8", "gb18030"):
        body = feed(CHINESE, codec).encode(codec) + "气".encode(codec)[:-1]
        assert decode(body).text == feed(CHINESE, codec)


def test_note():
    """A wrong declaration is told to the operator, a right one is not, and plain ASCII is always right."""
    assert decode(feed(CHINESE, "utf-8").encode("gbk")).note == "it declares utf-8, but is GB18030"
    assert decode(feed(CHINESE, "gb2312").encode("gbk")).note is None
    assert decode(feed("plain", "gb2312").encode()).note is None
    assert decode(feed(CHINESE).encode()).note is None
    assert "unknown" in decode(feed(CHINESE, "utf8mb4").encode()).note


@given(st.binary(max_size=300), st.sampled_from([None, "text/xml; charset=gbk", "charset=utf-16", "charset='"]))
def test_never_raises(body, content_type):
    """Any bytes become text that can be encoded again."""
    decode(body, content_type).text.encode("utf-8")


HAN = st.text(st.characters(codec="gb2312", min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=30, max_size=80)


@given(HAN, st.sampled_from(["utf-8", "utf-16", "gb2312"]))
def test_any_han_survives_when_declared(words, codec):
    """Han characters in their declared encoding come back as they are."""
    assert words in decode(feed(words, codec).encode(codec)).text
