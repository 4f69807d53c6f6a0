"""Lists of feeds in OPML: other readers' are read with care, ours hold no secret."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.errors import DialectError
from aggregator.model import Feed
from aggregator.opml import Opml, OpmlFeed, read_opml, write_opml
from tests.hostile import CONFIG, hostile

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def _opml(body: str, doctype: str = "", head: str = HEAD) -> bytes:
    return f'{head}{doctype}<opml version="2.0"><head/><body>{body}</body></opml>'.encode()


def _outline(number: int) -> str:
    return f'<outline type="rss" text="报纸 {number}" xmlUrl="https://example.org/{number}"/>'


def _urls(data: bytes) -> list[str]:
    return [feed.url for feed in read_opml(data).feeds]


def test_feeds_come_with_the_folders_around_them():
    """A feed's folders are the outlines it stands in, outermost first; a feed is no folder."""
    data = _opml(f'<outline text="A"><outline title="B">{_outline(1)}{_outline(2)}</outline></outline>{_outline(3)}')
    assert read_opml(data) == Opml(
        (
            OpmlFeed("https://example.org/1", "报纸 1", ("A", "B")),
            OpmlFeed("https://example.org/2", "报纸 2", ("A", "B")),
            OpmlFeed("https://example.org/3", "报纸 3", ()),
        )
    )


@pytest.mark.parametrize("name", ["xmlUrl", "xmlurl", "XMLURL"])
def test_attribute_names_are_read_in_any_case(name):
    """Not every reader spells xmlUrl as the specification does."""
    assert _urls(_opml(f'<OUTLINE TEXT="x" {name}="https://example.org/f"/>')) == ["https://example.org/f"]


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("UTF-8", "UTF-16").encode("utf-16-le"),
        lambda text: text.replace("UTF-8", "UTF-16").encode("utf-16-be"),
        lambda text: text.replace("UTF-8", "GB2312").encode("gbk"),
        lambda text: text.replace("UTF-8", "gb2312").encode(),
        lambda text: text.replace("UTF-8", "Big5").replace("报纸", "報紙").encode("big5"),
        lambda text: text.replace("UTF-8", "nonsense").encode(),
        lambda text: text.encode("gbk"),
    ],
)
def test_titles_arrive_in_any_encoding(encode):
    """Declared rightly, wrongly or not at all."""
    (feed,) = read_opml(encode(_opml(_outline(1)).decode())).feeds
    assert feed.title in {"报纸 1", "報紙 1"}


def test_bare_ampersands_and_html_entities_are_mended():
    """The commonest fault of hand-made lists."""
    data = _opml('<outline text="A &amp; B &nbsp;C &amp;amp; D" xmlUrl="https://example.org/?a=1&b=2&amp;c=3"/>')
    assert read_opml(data).feeds == (OpmlFeed("https://example.org/?a=1&b=2&c=3", "A & B C & D"),)


def test_neighbours_of_broken_markup_are_kept():
    """What stands before and after the fault is read, and the fault is said with its line."""
    for fault in (
        "<broken",
        "</wrong>",
        '<outline text="x" text="y"/>',
        "<outline text=bare xmlUrl=bare/>",
        "\x00<",
        "]]>&<",
    ):
        got = read_opml(_opml(f"{_outline(1)}\n{fault}{_outline(2)}{_outline(3)}"))
        assert [feed.url[-1] for feed in got.feeds][:1] == ["1"]
        assert [feed.url[-1] for feed in got.feeds][-1:] == ["3"]
        assert got.refused[0].startswith("Line 2 is not XML")


def test_addresses_that_cannot_be_polled_are_listed():
    """Bad ones are refused by name, good ones taken, doubles once."""
    bad = ["javascript:alert(1)", "file:///etc/passwd", "", "ftp://x/", "https://example.org/1#again"]
    body = _outline(1) + "".join(f'<outline text="no {n}" xmlUrl="{url}"/>' for n, url in enumerate(bad))
    got = read_opml(_opml(body + '<outline text="feed" xmlUrl="feed://example.org/2"/><outline text="no url"/>'))
    assert [feed.url for feed in got.feeds] == ["https://example.org/1", "http://example.org/2"]
    assert [line.split(":")[0].split(" stands")[0] for line in got.refused] == [f'"no {n}"' for n in range(5)]


def test_entities_are_neither_expanded_nor_fetched(tmp_path):
    """A document that declares an entity is refused at once, before it can grow or open a file."""
    secret = tmp_path / "secret"
    secret.write_text("hush")
    bomb = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    for declared in ('<!ENTITY a0 "x">' + bomb, f'<!ENTITY a0 SYSTEM "{secret.as_uri()}">', '<!ENTITY % a0 "x">'):
        with pytest.raises(DialectError, match="declares the entity a0"):
            read_opml(
                _opml('<outline text="&a9;&a0;" xmlUrl="https://example.org/"/>', f"<!DOCTYPE opml [{declared}]>")
            )
    assert _urls(_opml(_outline(1), '<!DOCTYPE opml SYSTEM "https://example.org/opml.dtd">')) == [
        "https://example.org/1"
    ]


def test_depth_and_size_cost_little():
    """Ten thousand levels with a feed at the bottom, fifty thousand feeds, and markup that never closes."""
    deep = _opml('<outline text="d">' * 10_000 + _outline(1) + "</outline>" * 10_000)
    assert read_opml(deep).feeds[0].folders == ("d",) * 5
    assert len(read_opml(_opml("".join(map(_outline, range(50_000))))).feeds) == 50_000
    for row in ('<outline xmlUrl="', "<outline a='", "<outline " + "a=1 " * 30, "<outline" + " a='b'" * 50):
        with pytest.raises(DialectError, match="names no feed"):
            read_opml(_opml(row * (300_000 // len(row))))


@pytest.mark.parametrize("data", [b"", b"<opml/>", b"<html><p>hello", b"\x00\xff" * 50, b"not xml", b"a" * 10_000_001])
def test_what_holds_no_feed_is_answered_in_a_sentence(data):
    """An empty list is not imported as if it had been one."""
    with pytest.raises(DialectError, match=r"^The OPML .*\.$"):
        read_opml(data)


@pytest.mark.parametrize("name", [name for name in CONFIG if name.endswith(".opml")])
def test_hostile_lists_are_read_or_refused(shared, name):
    """Every hostile list of the shared generator: only one of them holds feeds that may be taken."""
    data = hostile(shared)[f"config/{name}"]
    if name == "opml_evil.opml":
        assert _urls(data) == ["https://example.com/s", "https://example.com/lower"]
        return
    with pytest.raises(DialectError):
        read_opml(data)


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet="<>/\"'= outlinexmUr&;#:http.", max_size=300).map(str.encode))
def test_no_bytes_raise_anything_but_dialect_error(data):
    """Whatever is imported, the answer is a list or a sentence."""
    for wrapped in (data, _opml(data.decode("latin-1") + _outline(1))):
        try:
            read_opml(wrapped)
        except DialectError:
            continue


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=5))
def test_what_is_written_is_read_again(titles):
    """Titles of any kind survive, as one line without control characters."""
    feeds = [
        Feed(
            id=str(n), urls=(f"https://example.org/{n}?a=1&b=<2>",), title=title, outlet="o", categories=("甲", '"乙"')
        )
        for n, title in enumerate(titles)
    ]
    data = write_opml(feeds)
    if not feeds:
        assert b"<body>" in data
        return
    assert [feed.url for feed in read_opml(data).feeds] == [feed.urls[0] for feed in feeds]


def test_no_key_and_no_password_is_written():
    """Neither an RSSHub key or code nor credentials leave in a list; a route without an instance stays a route."""
    feeds = [
        Feed(id="a", urls=("https://me:pw@hub.example/sina?limit=5&code=abc&key=K",), title="甲", outlet="o"),
        Feed(id="b", urls=(), sources=("rsshub://guancha/headline",), title="乙", outlet="o", needs="an instance"),
    ]
    data = write_opml(feeds, title="ours & <mine>")
    assert _urls(data) == ["https://hub.example/sina?limit=5", "rsshub://guancha/headline"]
    assert b"pw" not in data
    assert b"ours &amp; &lt;mine&gt;" in data
