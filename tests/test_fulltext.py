"""Articles' pages: which part is the article, when the feed's text stays, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from aggregator import discover, fulltext, normalize
from aggregator.errors import FetchError, ParseError
from aggregator.fetch import Fetcher, NetworkPolicy, Pages
from aggregator.model import Article, Feed, Fetched
from aggregator.parser_pool import ParserPool

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
FEED = Feed("f", ("https://news.example/feed",), "F", "F", fulltext=True)
LONG = "".join(
    f"<p>第{n}段讲的是甲烷排放的测量办法，以及两国的专家下一步要一起做的工作，内容很长。</p>" for n in range(8)
)
ARTICLE = normalize.with_text(
    Article("两国讨论甲烷排放", "<p>第0段讲的是甲烷排放的测量办法。</p>\n", "", link="https://news.example/a/1.html")
)


def page(html: str, url: str = "https://news.example/a/1.html", encoding: str = "utf-8") -> Fetched:
    """An answer with a page."""
    return Fetched(url, 200, html.encode(encoding), content_type="text/html")


def completed(html: str, article: Article = ARTICLE, feed: Feed = FEED, url: str = "") -> Article:
    """The article after its page was fetched."""
    return fulltext.completed(
        article, lambda asked: page(html, url or asked), reader(article, feed), normalize.with_text
    )


def reader(article: Article = ARTICLE, feed: Feed = FEED):
    """What takes an article out of its page."""
    return lambda found: fulltext.page(found.body, fulltext.request(found, article, feed))


def test_the_page_is_fuller():
    """A page that holds more replaces the feed's text, without what is around the article."""
    html = f"<title>两国讨论甲烷排放</title><nav><a href=/>首页</a></nav><div class=main><h1>两国讨论甲烷排放</h1>{LONG}</div>"
    found = completed(html)
    assert found.fulltext == "page"
    assert "第7段" in found.text
    assert "首页" not in found.text
    assert found.title == ARTICLE.title


def test_the_feed_holds_as_much():
    """Where the page has no more, the feed's own HTML stays, byte for byte."""
    whole = normalize.with_text(replace(ARTICLE, html=LONG + "\n", text=""))
    found = completed(f"<h1>两国讨论甲烷排放</h1><div>{LONG}</div>", whole)
    assert found == replace(whole, fulltext="feed")


@pytest.mark.parametrize(
    ("html", "word"),
    [
        (
            "<h1>请先登录</h1>" + "<p>登录以后可以使用全部的功能，欢迎注册成为会员，客服电话见网页下方。</p>" * 9,
            "something else",
        ),
        (f"<h1>两国讨论甲烷排放</h1>{LONG}<a href='1_2.html'>下一页</a>", "one of several"),
        (f"<link rel=next href='/a/1_2.html'><h1>两国讨论甲烷排放</h1>{LONG}", "one of several"),
        ("<title>两国讨论甲烷排放</title>", "no article"),
    ],
)
def test_the_page_cannot_be_used(html, word):
    """A page in parts, one without an article, one that shows something else: the feed's text stays, and why is said."""
    found = completed(html)
    assert found.text == ARTICLE.text
    assert found.html == ARTICLE.html
    assert word in found.fulltext


def test_other_pages_of_a_list_do_not_make_an_article_paged():
    """A `next page` link to another article is no continuation."""
    assert completed(f"<h1>两国讨论甲烷排放</h1>{LONG}<a href='/a/2.html'>下一页</a>").fulltext == "page"


def test_a_failed_page():
    """A page that does not come leaves the feed's text with the reason."""

    def fails(_url):
        raise FetchError("news.example answered 503.", "http")

    found = fulltext.completed(ARTICLE, fails, str, normalize.with_text)
    assert found == replace(ARTICLE, fulltext="feed: news.example answered 503.")


def test_selectors_of_a_feed():
    """A feed's own `keep` and `drop` decide, in this order of elements."""
    feed = replace(FEED, keep=(".body",), drop=(".ad", "script"))
    html = f"<p>{'别的文字。' * 40}</p><div class=body><p>两国讨论甲烷排放</p>{LONG}<p class=ad>买这个</p><script>x</script></div>"
    found = completed(html, feed=feed)
    assert found.fulltext == "page"
    assert "买这个" not in found.html
    assert "别的文字" not in found.html
    assert "<script" not in found.html


@pytest.mark.parametrize("name", ["artibody", "article"])
def test_sina_templates(name):
    """Both of Sina's templates are known, their advertisements and QR blocks are not taken."""
    url = "https://finance.sina.com.cn/china/2026-01-05/doc-x.shtml"
    html = f"<h1>两国讨论甲烷排放</h1><div id={name}>{LONG}<div class=appendQr_wrap>扫码下载</div></div><div>{'相关新闻' * 90}</div>"
    found = completed(html, replace(ARTICLE, link=url))
    assert found.fulltext == "page"
    assert "扫码" not in found.text
    assert "相关新闻" not in found.text


def test_guancha_is_asked_for_the_unfolded_page():
    """Guancha's whole text stands on `_s.shtml`; other addresses stay as they are."""
    assert (
        fulltext.page_address("https://www.guancha.cn/internation/2026_01_05_123456.shtml")
        == "https://www.guancha.cn/internation/2026_01_05_123456_s.shtml"
    )
    for url in (
        "https://www.guancha.cn/internation/2026_01_05_123456_s.shtml",
        "https://news.example/2026_01_05_1.shtml",
    ):
        assert fulltext.page_address(url) == url


def test_gbk_page():
    """A page in GBK without a declaration is read as such."""
    html = f"<h1>两国讨论甲烷排放</h1><div>{LONG}</div>"
    found = fulltext.completed(ARTICLE, lambda url: page(html, url, "gb18030"), reader(), normalize.with_text)
    assert found.fulltext == "page"
    assert "甲烷" in found.text


def test_a_page_that_takes_for_ever():
    """A page that no extractor ends with costs its child the time it may have, and the feed's text stays."""
    html = "<h1>两国讨论甲烷排放</h1>" + "<p>foo bar foo bar foo, bar. foo bar" * 49_900
    with ParserPool(1, cpu=1) as pool:
        found = fulltext.completed(
            ARTICLE,
            lambda url: page(html, url),
            lambda got: pool.page(got.body, {"url": got.url}),
            normalize.with_text,
        )
        good = pool.page(f"<p>{LONG}".encode(), {"url": "https://news.example/", "keep": ["p"]})
    assert found == replace(ARTICLE, fulltext="feed: took more than 1 s of CPU to parse")
    assert "第7段" in good


# --- robots.txt -----------------------------------------------------------------------------------------------------


class Site:
    """A site as a function: paths to bodies, or to a status."""

    def __init__(self, **pages: str | int) -> None:
        self.pages = {f"/{name.replace('_', '.')}": body for name, body in pages.items()}
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.asked.append(request.url.path)
        found = self.pages.get(request.url.path, 404)
        return httpx.Response(found) if isinstance(found, int) else httpx.Response(200, text=found)

    def pages_of(self) -> Pages:
        """Pages over this site."""
        return Pages(Fetcher(NetworkPolicy(pause=timedelta(0)), httpx.MockTransport(self)))


def test_robots_txt_is_asked_once_and_respected():
    """A forbidden page is not fetched, an allowed one is, and robots.txt is kept for a day."""
    site = Site(robots_txt="User-agent: *\nDisallow: /private", a="A", private="P")
    pages = site.pages_of()
    assert pages.get("https://news.example/a", NOW).body == b"A"
    with pytest.raises(FetchError, match="robots") as caught:
        pages.get("https://news.example/private", NOW)
    assert caught.value.kind == "robots"
    assert site.asked == ["/robots.txt", "/a"]
    pages.get("https://news.example/a", NOW + timedelta(days=1, seconds=1))
    assert site.asked == ["/robots.txt", "/a", "/robots.txt", "/a"]


@pytest.mark.parametrize(("status", "permitted"), [(404, True), (403, True), (500, False), (503, False), (429, False)])
def test_without_robots_txt(status, permitted):
    """No robots.txt permits everything, one that cannot be had nothing (RFC 9309 2.3.1)."""
    pages = Site(robots_txt=status, a="A").pages_of()
    if permitted:
        assert pages.get("https://news.example/a", NOW).body == b"A"
    else:
        with pytest.raises(FetchError, match=r"robots|left alone"):
            pages.get("https://news.example/a", NOW)


# --- autodiscovery --------------------------------------------------------------------------------------------------


def test_feeds_named_by_a_page():
    """Only http and https links of feed types are proposed, resolved, each once, comments last."""
    html = """<head><base href="https://news.example/sub/">
      <link rel="alternate" type="application/rss+xml" href="file:///etc/passwd">
      <link rel="alternate" type="application/rss+xml" href="javascript:alert(1)">
      <link rel="alternate" type="application/rss+xml" href="http://[::1">
      <link rel="stylesheet" type="text/css" href="a.css">
      <link rel="alternate" hreflang="en" href="/en">
      <link rel="alternate" type="application/rss+xml" title="Comments" href="/comments/feed">
      <link rel="ALTERNATE home" type="application/atom+xml; charset=utf-8" title="News" href="atom.xml#x">
      <link rel="alternate" type="application/atom+xml" href="atom.xml"></head>"""
    found = discover.links(html, "https://news.example/")
    assert [(link.url, link.title) for link in found] == [
        ("https://news.example/sub/atom.xml", "News"),
        ("https://news.example/comments/feed", "Comments"),
    ]
    assert discover.guesses("https://news.example/a/b?c")[0] == "https://news.example/feed"


def test_crowds_of_attributes_are_not_read() -> None:
    """An element with thousands of attributes keeps the first of them, and its text is the article."""
    crowd = " ".join(f"data-a{number}=1" for number in range(5000))
    found = fulltext.page(
        f"<body><div id=story {crowd}>{LONG}</div>".encode(), fulltext.Request("https://a.example/1")
    )
    assert "第7段" in found
    assert "data-a4999" not in found


def test_crowds_of_tags_are_not_read() -> None:
    """Half a million tags would take half a minute; the feed's text stays, and why is said."""
    with pytest.raises(ParseError, match="more than 50,000 tags"):
        fulltext.page(b"<br>" * 500_000, fulltext.Request("https://press.example/"))
