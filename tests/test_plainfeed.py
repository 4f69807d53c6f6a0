"""The quick reader of plain feeds against feedparser: the same fields, or none."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.errors import ParseError
from aggregator.parse import feed, plainfeed, xmlfeed
from aggregator.parse.charset import decode
from aggregator.parse.mend import FEED_ROOTS, mend, root

OF_THE_FEED = ("title", "link", "language", "ttl", "sy_updateperiod", "sy_updatefrequency")


def same(text: str) -> bool:
    """Whether the quick way was taken; fails where it does not give what feedparser does."""
    if plainfeed.read(text) is None:
        return False
    quick, slow = xmlfeed.read(text), xmlfeed._read(text)
    assert quick[1:] == slow[1:]
    assert [quick[0].get(name) for name in OF_THE_FEED] == [slow[0].get(name) for name in OF_THE_FEED]
    return True


RSS = """<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:slash="http://purl.org/rss/1.0/modules/slash/"
 xmlns:media="http://search.yahoo.com/mrss/" xmlns:atom="http://www.w3.org/2005/Atom"><channel>{head}{entries}{tail}</channel></rss>"""
ATOM = '<feed xmlns="http://www.w3.org/2005/Atom"{lang}>{head}{entries}{tail}</feed>'

WORDS = st.sampled_from(
    [
        "", " ", "Rain", "雨", "caf\u00e9", "cafÃ©", "a\u0093b\u0094", "one &amp; two", "&lt;b&gt;bold&lt;/b&gt;", "&amp;eacute;t&amp;eacute;",
        "<![CDATA[<p>Rain &amp; sun</p>]]>", "<![CDATA[1 < 2 &nbsp; 3]]>", " padded \n twice ", "https://o.example/1", "&lt;nosuch&gt;x&lt;/nosuch&gt;",
        "https://o.example/?a=1&amp;b=2", "https:///o.example/2", "/3.html", "a@o.example (Ann)", "Ann", "<b>in</b>", "<!-- c -->x", "x" * 1100,
    ]
)  # fmt: skip
DATES = st.sampled_from(["Thu, 11 Nov 2021 02:17:41 GMT", "2021-11-11T02:17:41Z", "2021年11月11日", "", "soon"])


def element(name: str, words: st.SearchStrategy[str], *attributes: str) -> st.SearchStrategy[str]:
    """An element, sometimes with an attribute."""
    return st.builds(
        lambda said, attribute: f"<{name}{attribute}>{said}</{name}>",
        words,
        st.sampled_from(("", "", "", *attributes)),
    )


ITEM = st.lists(
    st.one_of(
        element("title", WORDS, ' type="html"'),
        element("link", WORDS, ' rel="self"'),
        element("guid", WORDS, ' isPermaLink="false"', ' isPermaLink="true"', ' ispermalink="x"'),
        element("pubDate", DATES),
        element("dc:date", DATES),
        element("description", WORDS, ' type="text"'),
        element("content:encoded", WORDS),
        element("dc:creator", WORDS),
        element("author", WORDS),
        element("category", WORDS, ' domain="d"'),
        st.just("<category>Rain</category>"),
        element("comments", WORDS),
        element("slash:comments", st.just("3")),
        element("media:title", WORDS),
        element("source", WORDS, ' url="https://s.example/"'),
        st.sampled_from(
            [
                '<enclosure url="https://o.example/a.mp3" length="1" type="audio/mpeg"/>',
                '<atom:link href="/x" rel="self"/>',
            ]
        ),
    ),
    max_size=7,
)
ENTRY = st.lists(
    st.one_of(
        element("title", WORDS, ' type="html"', ' type="text"', ' type="xhtml"', ' xml:lang="fr"'),
        element("id", WORDS),
        element("published", DATES),
        element("updated", DATES),
        element("summary", WORDS, ' type="html"', ' type="TEXT"', ' type="image/png"'),
        element("content", WORDS, ' type="html"', ' type="text/html"', ' src="https://o.example/"', ' type="plain"'),
        st.sampled_from(
            [
                '<link href="https://o.example/1"/>',
                '<link rel="alternate" type="text/html" href="https://o.example/2?a=1&amp;b=2"/>',
                '<link rel="alternate" type="application/pdf" href="https://o.example/3"/>',
                '<link rel="self" href="https://o.example/4"/>',
                '<link rel="Alternate" href="/5"/>',
                '<category term="t"/>',
                '<category term="t" label="l" scheme="s"/>',
                '<category label="l"/>',
                "<category>said</category>",
                "<author><name>Ann</name></author>",
                "<author><name> Ann </name><email>a@o.example</email><uri>https://o.example/ann</uri></author>",
                "<author><email>b@o.example</email></author>",
                "<author>bare</author>",
                "<contributor><name>C</name></contributor>",
            ]
        ),
    ),
    max_size=7,
)
RSS_LINK, ATOM_LINK = "<link>https://o.example/a</link>", '<link href="https://o.example/a"/>'
RSS_HEAD = st.lists(
    st.one_of(
        element("title", WORDS, ' type="html"'),
        element("link", WORDS, ' rel="self"'),
        element("language", st.sampled_from(["zh-cn", "en", "", "fr_CA", "<b>x</b>"])),
        element("ttl", st.sampled_from(["60", " 5 ", "", "soon"])),
        element("description", WORDS),
        element("lastBuildDate", DATES),
        element("pubDate", DATES),
        element("generator", WORDS, ' uri="https://g.example/"'),
        element("copyright", WORDS),
        element("managingEditor", WORDS),
        element("dc:creator", WORDS),
        element("category", WORDS),
        st.sampled_from(
            [
                '<atom:link href="https://o.example/feed" rel="self" type="application/rss+xml"/>',
                "<image><url>u</url><title>i</title><link>l</link></image>",
                "stray words",
                "<guid>1</guid>",
            ]
        ),
    ),
    max_size=6,
).map("".join)
ATOM_HEAD = st.lists(
    st.one_of(
        element("title", WORDS, ' type="html"'),
        element("subtitle", WORDS, ' type="html"'),
        element("id", WORDS),
        element("updated", DATES),
        element("generator", WORDS, ' uri="https://g.example/"'),
        element("rights", WORDS),
        st.sampled_from(
            [
                '<link href="https://o.example/"/>',
                '<link rel="alternate" type="text/html" href="/home?a=1&amp;b=2"/>',
                '<link rel="alternate" type="text/html" href="https:///o.example/x"/>',
                '<link rel="self" href="https://o.example/feed"/>',
                '<link rel="hub" href="https://h.example/"/>',
                '<link rel="next" href="https://o.example/2"/>',
                "<author><name>Desk</name></author>",
                "stray words",
            ]
        ),
    ),
    max_size=6,
).map("".join)
HEAD = st.sampled_from(
    [
        "<title>Paper</title><link>https://o.example/</link>",
        "<title>报</title><language>zh-cn</language><ttl>60</ttl><image><url>u</url><title>i</title><link>l</link></image>",
        "",
        "<author><name>Desk</name></author><title>T</title>",
        "<title>&lt;item&gt;</title><!-- <item> <entry> -->",
        "<managingEditor>e@o.example (Ed)</managingEditor><textInput><title>s</title></textInput>",
    ]
)
TAIL = st.sampled_from(["", "", "", "\n", "<title>late</title>", "<!-- </item> </entry> -->"])


@given(st.lists(ITEM, min_size=1, max_size=3), HEAD | RSS_HEAD, TAIL, st.booleans())
@settings(max_examples=int(os.environ.get("AGGREGATOR_EXAMPLES", "150")))
def test_rss_is_read_as_by_feedparser(items, head, tail, linked) -> None:
    """Elements in any order, number and kind."""
    entries = "\n".join(f"<item>{RSS_LINK if linked else ''}{''.join(item)}</item>" for item in items)
    same(RSS.format(head=head, entries=entries, tail=tail))


@given(
    st.lists(ENTRY, min_size=1, max_size=3),
    HEAD | ATOM_HEAD,
    TAIL,
    st.booleans(),
    st.sampled_from(["", ' xml:lang="zh_CN"', ' xml:lang=""']),
)
@settings(max_examples=int(os.environ.get("AGGREGATOR_EXAMPLES", "150")))
def test_atom_is_read_as_by_feedparser(members, head, tail, linked, lang) -> None:
    """Elements in any order, number and kind."""
    entries = "\n".join(f"<entry>{ATOM_LINK if linked else ''}{''.join(entry)}</entry>" for entry in members)
    same(ATOM.format(head=head, entries=entries, tail=tail, lang=lang))


def test_plain_feeds_take_the_quick_way() -> None:
    """What most blogs and papers send."""
    item = (
        "<item><title>Rain</title><link>https://o.example/1</link><guid>1</guid><pubDate>Thu, 11 Nov 2021 02:17:41 GMT</pubDate>"
        "<dc:creator>Ann</dc:creator><category>Weather</category><description>It rained.</description>"
        "<content:encoded><![CDATA[<p>It rained.</p>]]></content:encoded></item>"
    )
    entry = (
        '<entry><id>1</id><title type="html">Rain</title><link href="https://o.example/1"/><updated>2021-11-11T02:17:41Z</updated>'
        '<author><name>Ann</name></author><content type="html">&lt;p&gt;It rained.&lt;/p&gt;</content></entry>'
    )
    assert same(RSS.format(head="<title>Paper</title>", entries=item, tail=""))
    assert same(ATOM.format(head="<title>Paper</title>", entries=entry, tail="", lang=""))


@pytest.mark.parametrize(
    "text",
    [
        "<rss version='2.0' xmlns:dc='urn:other'><channel><item><link>https://o.example/</link></item></channel></rss>",
        "<rss version='2.0'><channel><item><link>https://o.example/</link></item><title>late</title></channel></rss>",
        "<rss version='2.0'><channel><item><link>https://o.example/</link></channel></rss>",
        "<rss version='2.0'><channel><item xml:base='/x'><link>1</link></item></channel></rss>",
    ],
)
def test_doubt_is_left_to_feedparser(text: str) -> None:
    """Another meaning of a known prefix, entries that do not stand last, faults, bases."""
    assert plainfeed.read(text) is None


def test_what_a_plain_feed_says_of_itself_takes_the_quick_way() -> None:
    """The head of an ordinary feed is read here; where it holds more, feedparser is asked."""
    head = "<title>Paper</title><link>https://o.example/</link><description>News</description><ttl>60</ttl>"
    item = "<item><link>https://o.example/1</link></item>"
    plain = plainfeed.read(RSS.format(head=head, entries=item, tail=""))
    assert plain.feed["link"] == "https://o.example/"
    more = plainfeed.read(RSS.format(head=f"{head}<image><url>u</url></image>", entries=item, tail=""))
    assert (more.feed, len(more.entries)) == (None, 1)


def test_every_real_feed_is_read_as_by_feedparser(shared: Path) -> None:
    """All files of the shared corpus; some take the quick way."""
    quick = 0
    for path in sorted(shared.glob("corpus/feeds/**/*")):
        if not path.is_file():
            continue
        text = decode(path.read_bytes(), None).text
        name, start, subset = root(text)
        if name in FEED_ROOTS:
            try:
                quick += same(mend(text[start:], subset))
            except ParseError:
                continue
    assert quick


@given(st.from_regex(feed._WHOLE, fullmatch=True))
def test_a_whole_address_is_what_resolving_makes_of_it(link: str) -> None:
    """What is taken for an address without being resolved is the same after resolving, and has a host."""
    assert urljoin("https://base.example/a/b?c#d", link) == urljoin("http://base.example/a", link) == link
    assert urlsplit(link).hostname
