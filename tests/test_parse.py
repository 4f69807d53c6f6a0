"""Feeds of every format and fault, as documents."""

from __future__ import annotations

import gzip
import html
import io
import json
import random
import subprocess
import sys
import warnings
from datetime import UTC, datetime, timedelta

import feedparser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.errors import ParseError
from aggregator.model import Document
from aggregator.parse import parse_feed

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
URL = "https://news.example.com/feeds/all.xml"


def parse(body, content_type=None, url=URL, timezone="Asia/Shanghai"):
    """`parse_feed` with a Chinese outlet's settings."""
    body = body.encode() if isinstance(body, str) else body
    return parse_feed(body, content_type=content_type, url=url, timezone=timezone, now=NOW)


def rss(items, *, link="https://news.example.com/", head='<?xml version="1.0" encoding="UTF-8"?>', extra=""):
    """A feed of RSS 2.0 around items."""
    return f'{head}\n<rss version="2.0"><channel><title>t</title><link>{link}</link>{extra}{items}</channel></rss>'


def one(entry, **more):
    """The only entry of a feed of RSS 2.0 with this inside its item."""
    (found,) = parse(rss(f"<item>{entry}</item>", **more)).entries
    return found


# --- formats ----------------------------------------------------------------------------------------------------

RSS20 = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>气候新闻</title><link>https://news.example.com/</link><language>zh-cn</language><ttl>30</ttl>
<item><title>各方同意减少甲烷</title><link>/a/1.html</link><guid isPermaLink="false">n-1</guid>
<dc:creator>李记者</dc:creator><category>能源</category><category>气候</category>
<pubDate>Thu, 11 Nov 2021 10:17:41 +0800</pubDate><description>短</description>
<content:encoded><![CDATA[<p class='x'>正文&nbsp;&#39;引用&#39;<br>第二行</p>]]></content:encoded></item>
</channel></rss>"""

RSS091 = """<?xml version="1.0"?><!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN"
"http://my.netscape.com/publish/formats/rss-0.91.dtd">
<rss version="0.91"><channel><title>old</title><link>https://old.example.com/</link>
<item><title>first</title><link>https://old.example.com/1</link><description>one</description></item></channel></rss>"""

RSS10 = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:sy="http://purl.org/rss/1.0/modules/syndication/">
<channel rdf:about="https://rdf.example.com/"><title>rdf</title><link>https://rdf.example.com/</link>
<sy:updatePeriod>hourly</sy:updatePeriod><sy:updateFrequency>2</sy:updateFrequency></channel>
<item rdf:about="https://rdf.example.com/1"><title>first</title><link>https://rdf.example.com/1</link>
<dc:date>2021-11-11T10:17:41+08:00</dc:date><description>one</description></item></rdf:RDF>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en" xml:base="https://atom.example.com/blog/">
<title>atom</title><link href="."/><author><name>The Editors</name></author>
<entry><id>urn:uuid:1</id><title type="html">Methane &amp;amp; &lt;b&gt;coal&lt;/b&gt;</title><link href="2021/1"/>
<link rel="enclosure" href="a.mp3"/><published>2021-11-11T02:17:41Z</published><updated>2021-11-12T00:00:00Z</updated>
<category term="climate" label="Climate"/><summary type="text">1 &lt; 2</summary></entry>
<entry xml:lang="zh"><id>urn:uuid:2</id><title>二</title><author><name>王</name></author><updated>2021-11-13T00:00:00Z</updated>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>A <em>B</em> &amp; C</p></div></content></entry></feed>"""

JSON = {
    "version": "https://jsonfeed.org/version/1.1",
    "title": "json",
    "home_page_url": "https://json.example.com/",
    "language": "zh",
    "authors": [{"name": "编辑部"}],
    "items": [
        {
            "id": 7,
            "url": "https://json.example.com/7",
            "title": "七",
            "content_html": "<p>正文</p>",
            "date_published": "2021-11-11T10:17:41+08:00",
            "tags": ["气候"],
        },
        {"id": "8", "content_text": "a < b\n\nc", "authors": [{"name": "张"}], "date_published": 5},
    ],
}


def test_rss20():
    """RSS 2.0: every field, the fullest body exactly as it was sent."""
    document = parse(RSS20)
    (entry,) = document.entries
    assert (document.title, document.link, document.lang) == ("气候新闻", "https://news.example.com/", "zh-cn")
    assert document.ttl == timedelta(minutes=30)
    assert entry.guid == "n-1"
    assert entry.link == "https://news.example.com/a/1.html"
    assert entry.title == "各方同意减少甲烷"
    assert entry.html == "<p class='x'>正文&nbsp;&#39;引用&#39;<br>第二行</p>"
    assert entry.author == "李记者"
    assert entry.tags == ("能源", "气候")
    assert entry.published == datetime(2021, 11, 11, 2, 17, 41, tzinfo=UTC)
    assert entry.updated is None
    assert entry.lang == "zh-cn"


def test_rss091():
    """RSS 0.91 with Netscape's document type."""
    (entry,) = parse(RSS091).entries
    assert (entry.title, entry.link, entry.html) == ("first", "https://old.example.com/1", "one")


def test_rss10():
    """RSS 1.0: the date is Dublin Core's, the identifier rdf:about, the rhythm the Syndication module's."""
    document = parse(RSS10)
    (entry,) = document.entries
    assert entry.guid == "https://rdf.example.com/1"
    assert entry.published == datetime(2021, 11, 11, 2, 17, 41, tzinfo=UTC)
    assert document.ttl == timedelta(minutes=30)


def test_atom():
    """Atom: types of text, xml:base, inherited author, language and dates."""
    first, second = parse(ATOM).entries
    assert first.guid == "urn:uuid:1"
    assert first.link == "https://atom.example.com/blog/2021/1"
    assert first.title == "Methane & coal"
    assert first.html == "1 &lt; 2"
    assert first.author == "The Editors"
    assert first.tags == ("climate",)
    assert (first.lang, second.lang) == ("en", "zh")
    assert first.updated == datetime(2021, 11, 12, tzinfo=UTC)
    assert second.published == second.updated == datetime(2021, 11, 13, tzinfo=UTC)
    assert second.html == "<p>A <em>B</em> &amp; C</p>"
    assert second.author == "王"
    assert second.link is None


def test_json_feed():
    """JSON Feed: numbers as identifiers, plain text as paragraphs, members of a wrong type ignored."""
    first, second = parse(json.dumps(JSON)).entries
    assert (first.guid, first.link, first.title, first.html) == (
        "7",
        "https://json.example.com/7",
        "七",
        "<p>正文</p>",
    )
    assert (first.author, first.tags, first.lang) == ("编辑部", ("气候",), "zh")
    assert first.published == datetime(2021, 11, 11, 2, 17, 41, tzinfo=UTC)
    assert second.html == "<p>a &lt; b</p>\n<p>c</p>"
    assert (second.author, second.published) == ("张", None)


def test_upper_case_and_prefixed():
    """Feeds whose elements are upper-case or carry a prefix are feeds."""
    assert len(parse("<RSS><CHANNEL><ITEM><TITLE>a</TITLE></ITEM></CHANNEL></RSS>").entries) == 1
    prefixed = '<a:feed xmlns:a="http://www.w3.org/2005/Atom"><a:entry><a:title>x</a:title></a:entry></a:feed>'
    assert parse(prefixed).entries[0].title == "x"


def test_gzip_that_does_not_say_so():
    """A body that is still gzipped is unpacked."""
    assert len(parse(gzip.compress(RSS20.encode())).entries) == 1


def test_empty_feed_is_fine():
    """A feed without entries is a document, not a failure."""
    assert parse("<rss/>").entries == ()
    assert parse(rss("")).entries == ()
    assert parse('{"version": "https://jsonfeed.org/version/1", "title": "x", "items": []}').entries == ()


# --- fields -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "title"),
    [
        ("AT&amp;T", "AT&T"),
        ("AT&amp;amp;T", "AT&T"),
        ("1 &lt; 2", "1 < 2"),
        ("&lt;b&gt;bold&lt;/b&gt; title", "bold title"),
        ("<![CDATA[A <i>B</i> C]]>", "A B C"),
        ("  two\n   lines ", "two lines"),
        ("中文　标题  两个空格", "中文　标题  两个空格"),  # blanks inside a line are the outlet's
        ("caf&eacute; &nbsp;&mdash; &hellip;", "café \u00a0— …"),
        ("tab\tand\u2028break", "tab and break"),
        ("Say &quot;no&quot;", 'Say "no"'),
        ("List&lt;String&gt; in Java", "List<String> in Java"),
        ("a&#0;b&#xD83D;&#xDE00;c", "ab😀c"),
    ],
)
def test_title(stated, title):
    """A title is one line of plain text, read as the author meant it."""
    assert one(f"<title>{stated}</title>").title == title


BODIES = [
    "<p>a &amp; b &lt;c&gt; &nbsp; &#39;d&#39; &quot;e&quot;</p>",
    "<IMG SRC=a.png><br/><BR><p align=center>unquoted",
    "<script>alert('x')</script><iframe src='//x'></iframe><style>p{}</style>",
    "<p>换行\n\n  缩进\t制表</p><!-- 评论 -->",
    "plain words, 1 < 2 && 3 > 2",
    '<a href="relative?a=1&b=2">x</a>',
    "naïve “quotes” — é",
]


@pytest.mark.parametrize("body", BODIES)
def test_html_is_kept_as_sent(body):
    """The HTML is what the feed carried: nothing sanitised, resolved, closed or decoded."""
    assert one(f"<description><![CDATA[{body}]]></description>").html == body
    assert one(f"<description>{html.escape(body)}</description>").html == body


@pytest.mark.parametrize("body", BODIES)
def test_html_is_kept_beside_a_fault(body):
    """A faulty entry is still one entry, and neither loses nor rewrites those around it."""
    item = f"<item><title>a</title><description><![CDATA[{body}]]></description></item>"
    entries = parse(rss(item + "<item><guid>b</guid><title>b</wrong></item>" + item)).entries
    assert [entry.title for entry in entries] == ["a", "", "a"]
    assert [entry.html for entry in entries] == [body, "", body]
    assert entries[1].guid == "b"


def test_prefix_without_a_namespace():
    """Entries with an undeclared prefix are read as strictly as others."""
    body = "<p>&#39;a&#39; &nbsp;</p>"
    entry = one(
        f"<media:thumbnail url='x'/><dc:creator>王</dc:creator><content:encoded><![CDATA[{body}]]></content:encoded>"
    )
    assert (entry.html, entry.author) == (body, "王")


def test_fullest_body():
    """Of several bodies the longest is taken, wherever it stands."""
    assert one("<description>a long summary</description><description>short</description>").html == "a long summary"


def test_two_entries_with_one_guid():
    """Two entries with one GUID are both kept, in document order."""
    entries = parse(
        rss("<item><guid>1</guid><title>a</title></item><item><guid>1</guid><title>b</title></item>")
    ).entries
    assert [(entry.guid, entry.title) for entry in entries] == [("1", "a"), ("1", "b")]


@pytest.mark.parametrize(
    ("stated", "link"),
    [
        ("<link>https://other.example.com/x?a=1&amp;b=2</link>", "https://other.example.com/x?a=1&b=2"),
        ("<link>/x</link>", "https://news.example.com/x"),
        ("<link>//cdn.example.com/x</link>", "https://cdn.example.com/x"),
        ("<link>\n  https://news.example.com/x\n</link>", "https://news.example.com/x"),
        ("<guid>https://news.example.com/g</guid>", "https://news.example.com/g"),
        ("<guid isPermaLink='false'>https://news.example.com/g</guid>", None),
        ("<guid>urn:1</guid>", None),
        ("<link>javascript:alert(1)</link>", None),
        ("<link>http://[::1</link>", None),
        ("<link>file:///etc/passwd</link>", None),
        ("", None),
    ],
)
def test_link(stated, link):
    """A link is an absolute web address or None; the GUID stands in for it only where it is a permalink."""
    assert one(stated).link == link


def test_dates():
    """An unreadable date is None and its text is kept; a missing one leaves no note."""
    unread = one("<pubDate>不久 &lt;b&gt;以前&lt;/b&gt;</pubDate>")
    assert (unread.published, unread.date_note) == (None, "不久 以前")
    assert (one("").published, one("").date_note) == (None, None)
    later = one("<pubDate>Fri, 01 Jan 2100 00:00:00 GMT</pubDate>")
    assert (later.published, later.date_note) == (None, "Fri, 01 Jan 2100 00:00:00 GMT")
    assert one("<pubDate>2021年11月11日 10:17</pubDate>").published == datetime(2021, 11, 11, 2, 17, tzinfo=UTC)
    assert one("<pubDate>3小时前</pubDate>").published == NOW - timedelta(hours=3)


@pytest.mark.parametrize(
    ("extra", "ttl"),
    [
        ("<ttl>60</ttl>", timedelta(hours=1)),
        ("<ttl>0</ttl>", None),
        ("<ttl>soon</ttl>", None),
        ("", None),
    ],
)
def test_ttl(extra, ttl):
    """The feed's own rhythm, where it states a usable one."""
    assert parse(rss("", extra=extra)).ttl == ttl


@pytest.mark.parametrize("newest_first", [True, False])
def test_newest_entries_are_kept(newest_first, monkeypatch):
    """Of very many entries the newest are kept, in document order, and the operator is told."""
    monkeypatch.setattr("aggregator.parse.feed.MAX_ENTRIES", 50)
    monkeypatch.setattr("aggregator.parse.xmlfeed.MAX_ENTRIES", 50)
    count = 55
    numbers = range(count - 1, -1, -1) if newest_first else range(count)
    items = "".join(f"<item><title>{i}</title><pubDate>{1_000_000_000 + i}</pubDate></item>" for i in numbers)
    document = parse(rss(items))
    assert sorted(int(entry.title) for entry in document.entries) == list(range(5, count))
    assert document.notes == ("has 55 entries, of which 50 were read",)


def test_giant_fields_are_bounded():
    """Giant fields are cut, and a giant GUID still tells entries apart."""
    tags = "".join(f"<category>{i}</category>" for i in range(500))
    entry = one(f"<title>{'长' * 100_000}</title><guid>{'g' * 100_000}</guid><author>{'a@' * 50_000}</author>{tags}")
    assert len(entry.title) == 2_000
    assert len(entry.guid) < 300
    assert entry.guid != one(f"<guid>{'g' * 100_001}</guid>").guid
    assert len(entry.tags) == 100


def test_wrong_encoding_is_mended_and_told():
    """GBK declared as UTF-8 arrives in the right characters, with a note."""
    document = parse(RSS20.encode("gbk"))
    assert document.entries[0].title == "各方同意减少甲烷"
    assert document.notes == ("it declares UTF-8, but is GB18030",)


# --- what is no feed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n\0", "empty"),
        (b"<!DOCTYPE html><html><head><title>x</title></head><body><p>hi</p></body></html>", "HTML page"),
        (b"<h1>Hello</h1>", "HTML page"),
        (b"<html><title>Just a moment...</title><script>window._cf_chl_opt={}</script></html>", "challenge page"),
        ("<html><body>访问验证</body></html>".encode(), "challenge page"),
        (b'{"code": -352}', "not JSON Feed"),
        (b"[" * 100_000, "broken JSON"),
        (b'{"version": "https://jsonfeed.org/version/1", "items": [{"id": NaN}]}', "broken JSON"),
        (b"https://127.0.0.1/", "neither XML nor JSON"),
        (b"/etc/passwd", "neither XML nor JSON"),
        (b"\x89PNG\r\n\x1a\n....", "PNG"),
        (b"\x1f\x8b....", "gzip"),
        (b"<note>hi</note>", "root is <note>"),
        (b'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"/>', "sitemap"),
        (b"<opml version='2.0'><body/></opml>", "OPML"),
        (b"<rss><channel><item><title>cut", "cut off"),
    ],
)
def test_no_feed(body, reason):
    """What is no feed is refused with a sentence that says what it is."""
    with pytest.raises(ParseError, match=reason):
        parse(body)


def test_bombs_are_refused():
    """Entities that expand each other, or to very much, are not expanded, and the feed fails."""
    nested = '<!DOCTYPE rss [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>'
    large = f'<!DOCTYPE rss [<!ENTITY q "{"A" * 50_000}">]>'
    for doctype, use in ((nested, "&b;"), (large, "&q;" * 1_000)):
        with pytest.raises(ParseError, match="XML bomb"):
            parse(rss(f"<item><title>{use}</title></item>", head=doctype))


def test_external_entities_do_nothing():
    """An external entity is text that nobody fetches, and the entry beside it is kept."""
    head = (
        '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY co "Example &amp; Co">]>'
    )
    items = "<item><title>A&x;B</title></item><item><title>&co;</title></item>"
    assert [entry.title for entry in parse(rss(items, head=head)).entries] == ["A&x;B", "Example & Co"]


@pytest.mark.parametrize("start", ["<!-- no end ", "<![CDATA[ no end "])
def test_section_without_an_end(start):
    """A comment or CDATA that does not end costs its own entry's field, not the entries after it."""
    good = "<item><title>good</title><description><![CDATA[<p>&#39;</p>]]></description></item>"
    entries = parse(rss(f"{good}<item><description>{start}</description><title>bad</title></item>{good}")).entries
    assert [entry.title for entry in entries] == ["good", "bad", "good"]
    assert [entry.html for entry in entries[::2]] == ["<p>&#39;</p>"] * 2
    assert "no end" in entries[1].html


def test_junk_around_the_feed():
    """Warnings of a web server before the feed and markup after it are passed over."""
    body = (
        "<br />\n<b>Warning</b>: mysql_connect() in <b>/var/www/x.php</b><br />\n"
        + RSS20
        + "<!-- cached --><script></script>"
    )
    assert parse(body).entries[0].guid == "n-1"


# --- real and hostile feeds -------------------------------------------------------------------------------------

# Entries of each real feed file; 0 where it holds none or is an HTML page.
COUNTS = """
AtomBattleNet.xml 11, AtomSpecialCharacters.xml 1, AtomTheVerge.xml 10, AtomVergeAllPosts.xml 10,
AtomYoutubeInvestmentPunk.xml 15, Rss091FullSample.xml 1, Rss091Stadtfeuerwehr.xml 15, Rss092FullSample.xml 22,
Rss10FeedWebResourceSample.xml 2, Rss10Minutos20.xml 15, Rss10Minutos20Catalans.xml 15, Rss10OrfAt.xml 50,
Rss20BreakingNews.xml 10, Rss20CTVNews.xml 10, Rss20CityDog.xml 10, Rss20CodeHollowCom.xml 10,
Rss20ContentWindCom.xml 1, Rss20DaStandardAt.xml 34, Rss20DailyMail.xml 0, Rss20DerBrutkasten.xml 10,
Rss20FazNet.xml 13, Rss20FeedWebResourceSample.xml 9, Rss20FinanzenNet.xml 15, Rss20HubSpot.xml 50,
Rss20ISO88591Intranet30.xml 30, Rss20IndianExpress.xml 200, Rss20ItunesSample.xml 4, Rss20JapanTimes.xml 118,
Rss20JapanToday.xml 20, Rss20JungeGruender.xml 6, Rss20LeFigaro.xml 50, Rss20LeFil.xml 30, Rss20LeMonde.xml 18,
Rss20LeParisien.xml 30, Rss20MassaNews.xml 50, Rss20MicrosoftBotFranework.xml 10, Rss20MoscowTimes.xml 50,
Rss20NYTimes.xml 33, Rss20NuusInAfrikaans.xml 5, Rss20Reuters.xml 10, Rss20RomaNews.xml 10,
Rss20RomaToday.xml 25, Rss20Spiegel.xml 17, Rss20TheMirror.xml 25, Rss20ThomasMaurer.xml 10,
Rss20TrendingTopics.xml 10, Rss20YandexRussia.xml 15, atom-with-tag-uri-links.xml 1, category-feed.xml 1,
complexNamespaceFeed.xml 1, compressed.xml 10, guid-dupes.xml 1, iconv.xml 10, illegally-nested.xml 20,
intertwingly.atom 20, invalid-characters-gzipped.xml 25, mediacontent-dupes.xml 1,
non-text-alternate-links.xml 1, nondefaultnamespace-baseline.atom 1, nondefaultnamespace-xhtml.atom 1,
nondefaultnamespace.atom 1, notafeed.html 0, relative-channel-image-url.xml 1,
rss-with-item-scoped-html-base.xml 2, rss-with-relative-html-urls-no-base.xml 1,
rss-with-relative-html-urls.xml 1, rss-with-relative-urls-with-absolute-xmlurl.xml 2,
rss-with-relative-urls.xml 2, rss-with-trailing-meta.xml 1, rss2sample.xml 4, saxerror.xml 3,
tpm-with-empty-base.atom 20, tpm-with-fragment-base.atom 20, tpm.atom 20, unknown-namespace.atom 1,
wapowellness.xml 29, atom-customfields.atom 15, content-encoded.rss 7, craigslist.rss 25, customfields.rss 15,
encoding.rss 40, feedburner.atom 25, guardian.rss 55, gulp-atom.atom 10, heise.atom 15, heraldsun.rss 2,
incomplete-fields.atom 1, instant-article.rss 1, item-itunes-episodeType.rss 1, itunes-category.rss 1,
itunes-href.rss 10, itunes-keywords-array.rss 1, itunes-keywords-astext.rss 32, itunes-keywords.rss 1,
itunes-missing-image.rss 131, many-links.rss 25, missing-fields.atom 1, narro.rss 1, pagination-links.rss 1,
reddit-atom.rss 24, reddit-home.rss 24, reddit.rss 24, rss-1.rss 69, unrecognized.rss 0, uolNoticias.rss 15,
xml2js-options.rss 69
"""


@pytest.fixture(scope="module")
def hostile(shared, tmp_path_factory):
    """The folder of hostile files, and the rows that say what is expected of each."""
    folder = tmp_path_factory.mktemp("hostile")
    subprocess.run([sys.executable, shared / "chaos/gen_hostile.py", folder], check=True, capture_output=True)
    return folder, json.loads((folder / "rows.json").read_text())


def entries_or_reason(body):
    """The entries, or the ParseError's sentence."""
    try:
        return parse(body).entries
    except ParseError as error:
        return str(error)


def test_real_feeds(shared):
    """Each real feed file gives the entries that the table says, and at least those that feedparser finds."""
    expected = dict(line.split() for line in COUNTS.replace(",", "\n").splitlines() if line.strip())
    found = {}
    for file in sorted((shared / "corpus/feeds").glob("*/*")):
        body = file.read_bytes()
        entries = entries_or_reason(body)
        found[file.name] = "0" if isinstance(entries, str) else str(len(entries))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = feedparser.parse(io.BytesIO(body), sanitize_html=False, resolve_relative_uris=False).entries
        assert int(found[file.name]) >= len(theirs), file.name
    assert found == expected


def test_seeds_are_kept_to_the_byte(shared):
    """The HTML of the seeds comes through a feed byte for byte, escaped or as CDATA."""
    for number in ("000", "001", "004"):
        (file,) = (shared / "seeds").glob(f"{number}_*")
        body = file.read_text(encoding="utf-8").split("<div>   \n", 1)[1].rsplit("\n  \n</div>", 1)[0].strip()
        assert one(f"<description>{html.escape(body)}</description>").html == body
        assert one(f"<description><![CDATA[{body}]]></description>").html == body


def test_hostile_feeds(hostile):
    """Every hostile feed is met as its row expects: refused with a reason, or its good entries kept."""
    folder, rows = hostile
    for name, _, _, what, expected in rows:
        if name.split("/")[0] not in {"xml", "redos", "encoding", "dates"} or name.endswith(
            (".json", "authors_20k.xml")
        ):
            continue
        body = (folder / name).read_bytes()
        found = entries_or_reason(body)
        if expected.startswith("feed marked failed"):
            assert isinstance(found, str), (name, what)
        elif "canary-ok" in expected.lower() or "items stored" in expected or name.startswith("dates/"):
            assert not isinstance(found, str), (name, found)
            stated = {title for title in ("CANARY-OK-1", "CANARY-OK-2") if title.encode() in body}
            assert stated <= {entry.title for entry in found}, name
        for entry in found if not isinstance(found, str) else ():
            repr(entry).encode("utf-8")
            assert "\0" not in entry.title + entry.html


def test_hostile_encodings(hostile):
    """Every document of the encoding rows that can be known reads exactly as it was written."""
    folder, rows = hostile
    title = "中文标题：国务院发布新规定，要求各地严格执行。「测试」"
    exact = {
        "gbk_declared_gb2312.xml": "镕基堃喆囍",
        "gb18030_4byte.xml": "𠮷野家 㐂 𪚥",
        "gb18030_declared_gbk.xml": "𠮷野家 㐂",
        "big5_declared_gbk.xml": "中文標題",
        "big5hkscs.xml": "香港咗嘅",
        "sjis_declared_utf8.xml": "日本語のタイトル",
        "eucjp.xml": "日本語のタイトル",
        "euckr_declared_utf8.xml": "한국어 제목",
        "iso2022jp.xml": "日本語",
        "bom_mid_file.xml": "a\ufeffb",
    }
    for name, _, _, _, expected in rows:
        if name.startswith("encoding/") and expected.startswith("title reads exactly"):
            file = name.split("/")[1]
            assert parse((folder / name).read_bytes()).entries[0].title == exact.get(file, title), name


def test_hostile_not_feeds(hostile):
    """Everything that is no feed is refused, and the two that are feeds are read."""
    folder, rows = hostile
    for name, _, _, _, expected in rows:
        if name.startswith("notfeed/"):
            found = entries_or_reason((folder / name).read_bytes())
            assert isinstance(found, str) == (expected != "items stored"), (name, found)


def test_hostile_dates(hostile):
    """All date strings in one feed: every entry is there, each instant is usable or None with its text kept."""
    folder, _ = hostile
    for name in ("dates/all_rss.xml", "dates/all_atom.xml"):
        entries = parse((folder / name).read_bytes()).entries
        assert len(entries) >= 77
        for entry in entries:
            assert entry.published is None or datetime(1970, 1, 1, tzinfo=UTC) <= entry.published <= NOW + timedelta(
                days=1
            )
            stated = entry.guid not in {"date-none", "date-empty", "date-blank"}
            assert bool(entry.date_note) == (stated and entry.published is None), entry


# --- properties -------------------------------------------------------------------------------------------------

SAMPLES = [
    RSS20.encode(),
    RSS091.encode(),
    RSS10.encode(),
    ATOM.encode(),
    json.dumps(JSON).encode(),
    RSS20.encode("gbk"),
]


@given(st.binary(max_size=400))
def test_arbitrary_bytes(body):
    """Any bytes are a document or a ParseError."""
    assert isinstance(entries_or_reason(body), tuple | str)


@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False))
def test_mutated_feeds(body, chance: random.Random):
    """A feed with bytes changed, cut out or doubled is a document or a ParseError, and can be stored."""
    broken = bytearray(body)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(broken))
        length = chance.randint(0, 30)
        piece = chance.choice(
            [b"", b"<", b"&", b"]]>", b"<![CDATA[", b"\0", b"\xff", b"&#x110000;", bytes(broken[:length])]
        )
        broken[at : at + length] = piece
        if not broken:
            return
    found = entries_or_reason(bytes(broken))
    repr(found).encode("utf-8")


@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=200))
def test_any_text_as_html(text):
    """Any text as an escaped description comes back as it was, outer blanks aside."""
    body = f"<p>中{text}</p>"
    found = parse(rss(f"<item><description>{html.escape(body)}</description></item>"))
    assert isinstance(found, Document)
    assert found.entries[0].html == body


def test_a_title_of_blanks_is_read_once():
    """A hundred thousand blanks before a word cost their number, not its square."""
    blanks = " " * 100_000
    body = f"<rss version='2.0'><channel><item><title>a{blanks}b\t \n{blanks}c</title></item></channel></rss>".encode()
    found = parse_feed(body, content_type=None, url="https://a.example/", timezone="UTC", now=NOW)
    assert found.entries[0].title.startswith("a")
