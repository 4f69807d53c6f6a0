"""Reading and writing article files: the same bytes again, one line for another title, no hostile file gets through."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from aggregator import dialects
from aggregator.errors import DialectError
from aggregator.model import Article

NOON = datetime(2021, 11, 11, 12, 0, 5, tzinfo=UTC)
POLLED = Article(
    title="It's about methane", html='<p>a</p><img alt="" src="https://example.org/a.png">', text="a", outlet="Example",
    author="A. Person", categories=("News", "Climate"), published=NOON, captured=NOON, link="https://example.org/1",
)  # fmt: skip
HEXO = """
---
title: 'It''s about methane'
categories:\x20
 - News
 - Climate
headimg: 'https://example.org/a.png'
author: Example
comments: false
date: Thu, 11 Nov 2021 12:00:05 GMT
thumbnail: 'https://example.org/a.png'
---

<div>   \n<p>a</p><img alt="" src="https://example.org/a.png">

  \n</div>
            """
JEKYLL = """---
layout: post
title: "It's about methane"
date: 2021-11-11T12:00:05.000Z
author: Example
from: https://example.org/1
tags: [ News, Climate ]
categories: [ News, Climate ]
---
<!--1636632005000-->
[It's about methane](https://example.org/1)
------

<div>
<p>a</p><img alt="" src="https://example.org/a.png">
</div>
"""
FEEDX = JEKYLL.split("---\n", 2)[2].replace("<div>\n", "").replace("\n</div>", "")
MARKDOWN = "# Methane\n\n# Methane\n\nOne **bold** paragraph,\nof two lines.\n\n## Part\n\n- a\n- b <c> & d\n\n<div>raw</div>\n\n\n* x\n\n"
FILES = {"hexo": HEXO, "jekyll": JEKYLL, "feedx": FEEDX, "markdown": MARKDOWN}

# Heads that other programs write, and people; each in place of the lines between the marks.
ODD_HEADS = [
    "title: x",
    "title: Climate: what now",  # YAML forbids it, and generators write it
    'title: "say "no" now"',
    "title: 'it's late'",
    'title: "caf\\u00e9"',
    'title: "\u4e2d\\u6587"',
    "title:   'wide'   # why",
    "title : x",
    "title:\tx",
    "title: [\u5f71] news",
    "title: @home",
    "title: x\nunknown:\n  deep:\n    - 1\n    - {a: b}\n# a comment\n\nlast: |\n  two\n  lines",
    "title: x\ntags: [a, 'b, c', \"d\"]\ncategories: [a,b , c]",
    "title: x\ncategories:\n- a\n-  'b'\n- \"c\"",
    "title: x\ncategories: one",
    "title: x\ncategories:",
    "title: x\ncategories: []",
    "title: x\ncategories:\n - [a, b]\n - c",
    "title: x\ndate: 2021-11-11 12:00:05\nauthor:\nheadimg: ''",
    "title: x\ndate: 2021-11-11T12:00:05+08:00",
    "title: x\ndate: some day",
    "title: x\ndate: 2021-11-11\ncomments: true\nthumbnail: a\nheadimg: b",
    "title: x\nlink: https://example.org/?a=b#c\nclauses:\n - a/1\n - a/2",
    "title: x\nauthor: &a y\nother: *a",
    "a: &a [x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b]\ntitle: x",
    "x: 1\nx: 2\ntitle: x",
    "title: \u2028x",
    "title: x\t\nauthor:   \ndate: ",
]


def hexo_file(head: str, body: str = "\n<p>b</p>\n") -> bytes:
    """A file with these lines as its head."""
    return f"---\n{head}\n---\n{body}".encode()


def changed_lines(before: bytes, after: bytes) -> list[bytes]:
    """The lines of the first that are others in the second."""
    one, two = before.split(b"\n"), after.split(b"\n")
    assert len(one) == len(two)
    return [line for line, other in zip(one, two, strict=True) if line != other]


@pytest.mark.parametrize("name", FILES)
def test_each_dialect_is_detected_and_written_again(name):
    """A file tells its dialect, and reading and writing it gives its bytes."""
    data = FILES[name].encode()
    article = dialects.read(data, "a.md")
    assert dialects.detect(data) == article.dialect == name
    assert article.origin == "a.md"
    assert dialects.write(article, name) == data


@pytest.mark.parametrize("name", ["hexo", "jekyll", "feedx"])
def test_a_polled_article_is_written_in_the_usual_form(name):
    """What a poll brings is written exactly as the dialect's usual file, and read back it needs no extra facts."""
    assert dialects.write(POLLED, name).decode() == FILES[name]
    article = dialects.read(FILES[name].encode())
    assert not article.extra
    assert (article.title, article.html, article.published) == (POLLED.title, POLLED.html, NOON)


def test_the_real_files_come_back_byte_for_byte(shared: Path):
    """The seeds and all posts: the same bytes, and with another title only the lines that hold it differ."""
    paths = [*sorted((shared / "seeds").glob("*.txt")), *sorted((shared / "corpus" / "posts").rglob("*.md"))]
    found = dict.fromkeys(dialects.DIALECTS, 0)
    for path in paths:
        data = path.read_bytes()
        article = dialects.read(data, path.name)
        article = replace(article, extra=json.loads(json.dumps(article.extra)))
        found[str(article.dialect)] += 1
        assert dialects.write(article, str(article.dialect)) == data
        other = dialects.write(replace(article, title="Another"), str(article.dialect))
        for line in changed_lines(data, other):
            assert article.title in line.decode().replace("\xa0", " ")
        assert len(json.dumps(article.extra)) < 400
    assert found == {"hexo": 3, "feedx": 1, "jekyll": 1020, "markdown": 1}


def test_polled_seeds_give_the_seed_files(shared: Path):
    """Articles made of what a feed sends for the hexo seeds are written as those files."""
    for path in sorted((shared / "seeds").glob("*.txt")):
        read = dialects.read(path.read_bytes())
        if read.dialect == "hexo":
            sent = replace(read, dialect=None, extra={}, headimg="", author="somebody", html=read.html + "\n")
            assert dialects.write(sent, "hexo") == path.read_bytes()


@pytest.mark.parametrize("head", ODD_HEADS)
@pytest.mark.parametrize("body", ["\n<p>b</p>\n", "", "plain *text*\n\nand more", "\n<div>\nx\n</div>\n\n"])
def test_odd_heads_come_back(head, body):
    """Other quoting, order, unknown keys and bodies are read, written again, and hold another title on one line."""
    data = hexo_file(head, body)
    article = dialects.read(data)
    assert article.title.strip() in {
        "x", "Climate: what now", 'say "no" now', "it's late", "caf\u00e9", "\u4e2d\u6587", "wide", "[\u5f71] news", "@home",
    }  # fmt: skip
    assert dialects.write(article, "hexo") == data
    other = dialects.write(replace(article, title="It's: [new] # one"), "hexo")
    assert len(changed_lines(data, other)) == 1
    assert dialects.read(other).title == "It's: [new] # one"


def test_the_values_of_odd_heads_are_read():
    """Lists in both styles, quoted values and dates with an offset mean what YAML says."""
    article = dialects.read(
        hexo_file("title: x\ncategories: [a, 'b, c', \"d\"]\nauthor: 'O''Neil'\ndate: 2021-11-11T20:00:05+08:00")
    )
    assert article.categories == ("a", "b, c", "d")
    assert (article.author, article.published) == ("O'Neil", NOON)
    assert dialects.read(hexo_file("title: x\ncategories:\n- a\n-  'b'")).categories == ("a", "b")


def test_another_value_changes_its_own_line():
    """Author, date, categories and link are rendered from the article, not from what was read."""
    for name in ("hexo", "jekyll"):
        data = FILES[name].encode()
        article = replace(dialects.read(data), author="No: one", categories=("a, b",))
        again = dialects.read(dialects.write(article, name))
        assert (again.author, again.categories) == ("No: one", ("a, b",))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", ["bom", "crlf", "both"])
def test_marks_and_line_ends_are_kept(name, change):
    """A byte-order mark and CRLF come back; the article's own text has neither."""
    text = FILES[name].replace("\n", "\r\n") if change != "bom" else FILES[name]
    data = text.encode("utf-8-sig" if change != "crlf" else "utf-8")
    article = dialects.read(data)
    assert dialects.write(article, name) == data
    assert "\r" not in article.html
    assert article.title == dialects.read(FILES[name].encode()).title


def test_link_and_clauses_can_stand_in_the_head():
    """`with_meta` adds both, a reader of them gets the link, and writing again replaces rather than repeats."""
    meta = {"link": "https://example.org/x", "clauses": ["sunnylands-2023/10", "glasgow-2021/3"]}
    for name in ("hexo", "jekyll"):
        data = dialects.write(replace(POLLED, link="https://example.org/x"), name, with_meta=meta)
        article = dialects.read(data)
        assert article.link == "https://example.org/x"
        assert dialects.write(article, name) == data == dialects.write(article, name, with_meta=meta)
        head = YAML(typ="safe", pure=True).load(data.decode().split("---\n")[1])
        assert head["clauses"] == meta["clauses"]
        assert dialects.read(dialects.write(POLLED, name, with_meta={"link": "", "clauses": []})).title == POLLED.title


def test_feedx_tells_capture_and_publication():
    """The comment is the capture; a leading date is the publication and no part of the HTML."""
    data = b"<!--1636632005000-->\n[t](https://example.org/)\n------\n\n<div><i>Wed, 10 Nov 2021 20:36:28 GMT</i></div><p>x</p>\n"
    article = dialects.read(data)
    assert article.captured == NOON
    assert article.published == datetime(2021, 11, 10, 20, 36, 28, tzinfo=UTC)
    assert article.html == "<p>x</p>"
    assert dialects.write(replace(article, dialect=None, extra={}), "feedx") == data
    assert dialects.read(dialects.write(article, "jekyll")).published == article.published


def test_markdown_becomes_html():
    """Paragraphs, headings and bold are tags, everything else literal text or raw HTML."""
    html = dialects.read(MARKDOWN.encode()).html
    assert html.split("\n\n") == [
        "<p>One <strong>bold</strong> paragraph,\nof two lines.</p>", "<h2>Part</h2>", "<p>- a\n- b &lt;c&gt; &amp; d</p>",
        "<div><div>raw</div></div>", "<p>* x</p>",
    ]  # fmt: skip


def test_any_html_can_be_read_as_markdown():
    """Words, links and headings of a polled article stay; scripts and their links go."""
    html = '<h1>A</h1><p>b <a href="https://example.org/">c</a><a href="javascript:x()">d</a><script>e</script></p><ul><li>f'
    data = dialects.write(replace(POLLED, title="t [x](y)", html=html), "markdown").decode()
    assert data == "# t \\[x\\](y)\n\n## A\n\nb [c](<https://example.org/>)d\n\n- f\n"
    assert dialects.read(data.encode()).title == "t [x](y)"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"hello", "no known dialect"),
        (b"---\ntitle: x\n", "not closed"),
        (b"---\nauthor: x\n---\n", "no title"),
        (b"---\ntitle: x\ntitle: y\n---\n", "stands twice"),
        (b"---\ntitle: *a\n---\n", "no title"),
        (b"---\ntitle: |\n  x\n---\n", "no title"),
        (b"---\ntitle: x\n---\n\x00", "NUL"),
        (b"\xff\xfe-\x00-\x00", "NUL"),
        ("---\ntitle: \u4e2d\n---\n".encode("gbk"), "not UTF-8"),
        (b"---\n" + b"a: b\n" * 3000 + b"title: x\n---\n", "more than"),
    ],
)
def test_what_cannot_be_read_gets_a_sentence(data, words):
    """A broken file is refused with one line that names it."""
    with pytest.raises(DialectError, match=words) as caught:
        dialects.read(data, "bad.md")
    assert str(caught.value).startswith("bad.md: ")
    assert "\n" not in str(caught.value)


def test_an_unknown_dialect_is_named():
    """A dialect that does not exist is said to be unknown."""
    for call in (dialects.write, dialects.file_name):
        with pytest.raises(DialectError, match="'html'"):
            call(POLLED, "html")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
NASTY = st.lists(
    st.sampled_from(["---", "\n", ": ", "'", '"', "# ", "\\", "](", "[", ")", " - ", "a", "\u4e2d", "\u2028", "&a"])
).map("".join)


@settings(max_examples=150, deadline=None)
@given(title=TEXT | NASTY, author=TEXT | NASTY, categories=st.lists(TEXT | NASTY, max_size=3), html=TEXT | NASTY)
def test_any_article_comes_back_from_a_head(title, author, categories, html):
    """Whatever the words are, a head gives them back and the file is written again byte for byte."""
    article = Article(
        title=title, html=f"<p>{html}</p>", text="", author=author, categories=tuple(categories), published=NOON
    )
    for name in ("hexo", "jekyll"):
        data = dialects.write(article, name)
        again = dialects.read(data)
        assert (again.title, again.html.replace("\r\n", "\n")) == (title, article.html.replace("\r\n", "\n"))
        assert (again.author or "", again.categories, again.published) == (author, article.categories, NOON)
        assert dialects.write(again, name) == data


@settings(max_examples=100, deadline=None)
@given(title=TEXT | NASTY, html=TEXT | NASTY, name=st.sampled_from(["feedx", "markdown"]))
def test_any_article_can_be_written_without_a_head(title, html, name):
    """A title without line breaks comes back, and the file is stable."""
    data = dialects.write(Article(title=title, html=html, text="", published=NOON), name)
    again = dialects.read(data)
    assert again.title.split() == re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", title).split()
    assert dialects.write(again, name) == data


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=60) | NASTY.map(str.encode),
    start=st.sampled_from([b"", b"---\ntitle: ", b"# ", b"---\ntitle: x\n", b"[a](b)\n---\n"]),
)
def test_any_bytes_are_refused_or_kept(data, start):
    """No bytes raise anything but DialectError, and what is accepted is written again."""
    for end in (b"", b"\n---\n"):
        try:
            article = dialects.read(start + data + end)
        except DialectError:
            continue
        assert dialects.write(article, str(article.dialect)) == start + data + end
        json.dumps(article.extra)


HOSTILE = [
    "../../../etc/passwd", "..\\..\\win.ini", "..", ".", "", "  ", "CON", "nul.txt", "a" * 300, "\u4e2d" * 200, "name.", ".hidden",
    "-rf", "~root", 'a:b*?"<>|c', "x\ny", "x\0y", "\u202egnp.exe", "\u200b", "\uff0e\uff0e\uff0fetc", "x\u0300" * 500, "COM1", "\ud800",
    "yes", "a\tb", "1e3", "2025-01-01", "%YAML 1.2", "- item", "a # b", " lead", "trail ", "!!python/object:x", "---\ntitle: y\n---", "Hi\r\nBcc: a@b",
]  # fmt: skip


@pytest.mark.parametrize("title", HOSTILE)
def test_hostile_titles_make_safe_names_and_heads(title):
    """A title never leaves the export folder and never opens a line in a head; any YAML reader finds it again."""
    article = replace(POLLED, title=title, categories=(title, "b"), outlet=title)
    for name in dialects.DIALECTS:
        path = dialects.file_name(article, name, suffix="2")
        for part in path.split("/"):
            assert part.strip(" .") == part
            assert not part.startswith("-")
            assert len(part.encode()) <= 200
            assert not re.match(r"(?i)(con|nul|com1)(\.|$)", part)
            assert not re.search(r'[\x00-\x1f\\:*?"<>|]', part)
        assert path.endswith("-2.md")
    said = re.sub("[\0\ud800-\udfff]", "\ufffd", title)
    for name in ("hexo", "jekyll"):
        data = dialects.write(article, name)
        assert dialects.read(data).title == said
        head = YAML(typ="safe", pure=True).load(re.split(r"(?m)^---\n", data.decode())[1])
        assert head["title"] == said
        assert head["categories"] == [said, "b"]


def test_long_and_broken_input_is_quick():
    """Runs of blanks, brackets and unclosed tags of many thousands are read or refused in linear time."""
    for piece in (" ", "](", "<img ", "[ ", "'", "**a", "\\n", "\t\r\n", "<!--", "- ", "<![x["):
        run = piece * 50_000
        for start in (
            "---\ntitle: x",
            "---\ntitle: x\ncategories: [",
            "# ",
            "[a",
            "---\ntitle: x\n---\n\n",
            "# x\n\n",
        ):
            try:
                article = dialects.read(f"{start}{run}b\n---\n".encode())
            except DialectError:
                continue
            dialects.write(replace(article, dialect=None), "hexo")
    assert "word" in dialects.write(replace(POLLED, html="<![x[ a <b>word"), "markdown").decode()
