"""From what a feed states to plain text, first image and language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model import Entry, Feed
from aggregator.normalize import article, first_image, from_markdown, plain_text

FEED = Feed("x", ("https://x.example/f",), "X", "X社", ("新闻", "X社"))


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>一段。</p><p>二段。</p>", "一段。\n二段。"),
        # inline elements stand inside words: nothing may come between their parts
        ("<p>建立“<b>工作</b>组”</p>", "建立“工作组”"),
        ("一行<br>二行<br/>三行", "一行\n二行\n三行"),
        ("<p>　　缩进的段落　</p>", "缩进的段落"),
        ("<p>a\n  wrapped\n line</p>", "a wrapped line"),
        ("<p>x</p><script>alert(1)</script><style>p{}</style><!-- c --><p>y</p>", "x\ny"),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
        ("<table><tr><td>甲</td><td>乙</td></tr><tr><td>1</td><td>2</td></tr></table>", "甲 乙\n1 2"),
        ("&lt;b&gt; &amp; &hellip;", "<b> & …"),
        ("no markup at all", "no markup at all"),
        ("", ""),
        # house lines
        ("<p>原标题：旧的题目</p><p>正文。</p><p>责任编辑：张三</p>", "正文。"),
        ("<p>正文。</p><p>获取更多RSS：</p><p><a href='https://m.example'>https://m.example</a></p>", "正文。"),
        ("<p>正文。</p><p>扫描下方二维码关注我们</p>", "正文。"),
        # an attribution after each paragraph
        (
            "".join(f"<p>第{n}段。</p><p>本文转自某站 https://s.example/1</p>" for n in "一二三"),
            "第一段。\n第二段。\n第三段。",
        ),
        # furniture by class, id and style
        ("<p>正文很长很长。</p><div class='appendQr_wrap'>扫码</div>", "正文很长很长。"),
        ("<p>正文很长很长。</p><div id='dfp-ad-imu1'>买它</div>", "正文很长很长。"),
        ("<p>正文很长<span style='display:none'>暗字</span>很长。</p>", "正文很长很长。"),
        # a container that holds most of the words is the article, whatever it is called
        ("<div class='share-content related'><p>正文很长很长。</p></div>", "正文很长很长。"),
        # words that only look like furniture
        ("<p class='header-loading'>shadow reading</p>", "shadow reading"),
    ],
)
def test_plain_text(html: str, text: str) -> None:
    """Paragraphs are kept, furniture goes, inline markup joins."""
    assert plain_text(html) == text


def test_deep_nesting_keeps_its_words() -> None:
    """A hundred thousand levels neither overflow the stack nor lose the text."""
    assert plain_text("<div>" * 100_000 + "深处" + "</div>" * 100_000) == "深处"


def test_crowds_of_tags_keep_their_words() -> None:
    """Of a hundred thousand tags no tree is built: paragraphs stay apart, words whole, scripts out."""
    some = "".join(f"<p>para<b>graph</b> &amp; <a href=x>link {number}</a></p>" for number in range(20_000))
    html = (
        f"<script>if (a<b) x('<p>no</p>')</script>{some}<style>p {{color: red}}</style><div>尾</div><script>for ever"
    )
    lines = plain_text(html).split("\n")
    assert (len(lines), lines[0], lines[-2:]) == (20_001, "paragraph & link 0", ["paragraph & link 19999", "尾"])


@pytest.mark.parametrize(
    ("html", "image"),
    [
        ('<p>x</p><img src="https://a.example/1.jpg"><img src="2.jpg">', "https://a.example/1.jpg"),
        ('<img src="data:image/gif;base64,AA"><img data-src="//a.example/2.jpg">', "//a.example/2.jpg"),
        ("<p>none</p>", ""),
    ],
)
def test_first_image(html: str, image: str) -> None:
    """The first image that is one, as stated."""
    assert first_image(html) == image


def test_an_entry_becomes_an_article() -> None:
    """The HTML stays as sent and ends in one newline; outlet and categories come from the feed."""
    made = article(Entry("g1", "https://x.example/1", "题目\x00", "<p>气候会议今天开幕。</p>\n\n"), FEED)
    assert (made.html, made.text, made.title) == ("<p>气候会议今天开幕。</p>\n", "气候会议今天开幕。", "题目")
    assert (made.outlet, made.categories, made.lang, made.guid) == ("X社", ("新闻", "X社"), "zh", "g1")


def test_markdown_to_text() -> None:
    """Marks of Markdown go, its words stay."""
    source = "# 题目\n\n**工作组**将*定期*会面。\n\n- 一、[链接](https://a.example)\n\n> 引文 ![图](x.png)"
    assert from_markdown(source) == "题目\n工作组将定期会面。\n一、链接\n引文"


@given(st.text(max_size=300))
def test_anything_gives_lines_without_outer_space(source: str) -> None:
    """Whatever comes in, lines come out that are stripped, non-empty and free of control characters."""
    lines = plain_text(source).split("\n")
    assert lines == [""] or all(line and line == line.strip() and "\x00" not in line for line in lines)


@given(st.lists(st.sampled_from(["<p>", "</p>", "<div class=ad>", "</div>", "<b>", "字", "word ", "<", "&", "<br>"])))
def test_text_is_stable_under_any_markup(pieces: list[str]) -> None:
    """Broken markup raises nothing."""
    assert isinstance(plain_text("".join(pieces)), str)
