"""The same item: sequences of polls and how many articles they must leave, and the forms of one address."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.dedup import identity
from aggregator.dedup.addresses import canonical_url, forms, without_www
from aggregator.dedup.identity import content_key, decide, guid_key, wanted_of
from aggregator.model import Arrival, Article

DAY = datetime(2025, 1, 1, 12, tzinfo=UTC)


@dataclass
class Row:
    """An article as a shelf keeps it."""

    id: int
    feed: str
    outlet: str
    guid: str | None
    url: str | None
    title: str
    content_key: str
    text: str
    revision: int = 1
    dated: datetime | None = None
    old_keys: frozenset[str] = frozenset()


@dataclass
class Shelf:
    """The least that an archive does with decisions."""

    rows: list[Row] = field(default_factory=list)

    def poll(self, *arrivals: Article) -> tuple[int, int, int]:
        """Decide on one document and carry it out; counts of new, revised and unchanged."""
        wanted = wanted_of(arrivals)
        known = [row for row in self.rows if self._may_match(row, wanted, arrivals[0].feed)]
        made: dict[int, Row] = {}
        counts = dict.fromkeys(Arrival, 0)
        for decision in decide(arrivals, known, lambda identity: self.rows[identity - 1].text):
            counts[decision.arrival] += 1
            if decision.arrival is Arrival.NEW:
                made[decision.index] = self._add(arrivals[decision.index], decision.key)
            elif decision.arrival is Arrival.REVISED:
                row = self.rows[decision.of - 1] if decision.of else made[decision.after]
                self._revise(row, arrivals[decision.index], decision.key)
        return counts[Arrival.NEW], counts[Arrival.REVISED], counts[Arrival.UNCHANGED]

    def _may_match(self, row, wanted, feed):
        keys = row.old_keys | {row.content_key}
        return (row.feed == feed and row.guid in wanted.guids) or row.url in wanted.urls or keys & set(wanted.keys)

    def _add(self, arrival, key):
        row = Row(
            len(self.rows) + 1,
            arrival.feed,
            arrival.outlet,
            arrival.guid,
            arrival.url,
            arrival.title,
            key,
            arrival.text,
        )
        self.rows.append(row)
        return row

    def _revise(self, row, arrival, key):
        row.old_keys |= {row.content_key}
        row.content_key, row.title, row.text = key, arrival.title, arrival.text
        row.guid, row.url = arrival.guid or row.guid, arrival.url or row.url
        row.revision += 1


def entry(number, guid="", title=None, text="body", link="", feed="f", outlet="O", published=DAY, updated=None):
    """One entry of a document."""
    link = f"https://example.com/a/{number}" if link == "" else link
    return Article(
        title=f"Article {number}" if title is None else title,
        html=f"<p>{text}</p>",
        text=text,
        feed=feed,
        outlet=outlet,
        guid=guid_key(guid),
        link=link,
        url=canonical_url(link),
        published=published,
        updated=updated,
    )


LONG = "The committee met for two hours and agreed on a plan to measure methane from coal mines and rice fields next year."
OTHER = "A museum in the north has shown its collection of old maps, which sailors drew by hand four hundred years ago, again."


def range5(**parts):
    """Five entries, parts of them by number."""
    return [entry(n, **{name: part(n) for name, part in parts.items()}) for n in range(5)]


SEQUENCES = {
    # another article under an old GUID: both stay
    "guid reused": (
        [[entry(1, "G", "First article")], [entry(2, "G", "Completely different article", "other text")]],
        2,
    ),
    "guid reused, long texts": ([[entry(1, "G", "Methane", LONG)], [entry(2, "G", "Old maps", OTHER)]], 2),
    # a session number in the GUID
    "guid changes": ([range5(guid=lambda n, p=p: f"s-{p}-{n}") for p in range(4)], 5),
    "guid and query change": (
        [
            range5(
                guid=lambda n, p=p: f"https://example.com/a/{n}?sid={p}{n}",
                link=lambda n, p=p: f"https://example.com/a/{n}?sid={p}{n}",
            )
            for p in range(4)
        ],
        5,
    ),
    "guid changes, no link": ([range5(guid=lambda n, p=p: f"s-{p}-{n}", link=lambda n: None) for p in range(4)], 5),
    "guid missing": ([range5()] * 3, 5),
    "guid and link missing": ([range5(link=lambda n: None)] * 3, 5),
    "text only": ([range5(link=lambda n: None, title=lambda n: "", text=lambda n: f"only text {n}")] * 2, 5),
    "blank guid": ([range5(guid=lambda n: " \n ")] * 2, 5),
    "one guid for all": ([range5(guid=lambda n: "https://example.com/")] * 2, 5),
    "one link for all": ([range5(guid=lambda n: f"g{n}", link=lambda n: "https://example.com/")] * 2, 5),
    "one deep link for all": ([range5(guid=lambda n: f"g{n}", link=lambda n: "https://example.com/live")] * 2, 5),
    "guid case": ([[entry(1, "ABC"), entry(2, "abc")]] * 2, 2),
    "http to https": (
        [[entry(1, f"{s}://example.com/a/1", link=f"{s}://example.com/a/1")] for s in ("http", "https")],
        1,
    ),
    "host changes": (
        [[entry(1, f"https://{h}.example.com/a/1", link=f"https://{h}.example.com/a/1")] for h in ("old", "www")],
        1,
    ),
    "trailing slash": ([[entry(1, link="https://example.com/a/1")], [entry(1, link="https://example.com/a/1/")]], 1),
    "title corrected": ([[entry(1, "G", "Teh titel")], [entry(1, "G", "The title")]], 1),
    "title and address corrected": (
        [[entry(1, "G", "Teh titel", LONG)], [entry(1, "G", "The title", LONG, link="https://example.com/b/1")]],
        1,
    ),
    "the text has a clock": ([[entry(1, "G", text=f"Generated at 12:0{p}")] for p in range(6)], 1),
    "comes back": ([[entry(1, "G1"), entry(2, "G2")], [entry(2, "G2")], [entry(1, "G1"), entry(2, "G2")]], 2),
    "one guid thrice": ([[entry(1, "G"), entry(1, "G"), entry(1, "G", "Article 1 (upd)")]], 1),
    "guids of two feeds": ([[entry(1, "1"), entry(2, "2")], [entry(3, "1", feed="g"), entry(4, "2", feed="g")]], 4),
    "one address in two feeds of an outlet": ([[entry(1, "x")], [entry(1, "y", feed="g")]], 1),
    "one address in feeds of two outlets": ([[entry(1, "x")], [entry(1, "y", feed="g", outlet="P")]], 2),
    "composed and decomposed": ([[entry(1, "caf\u00e9")], [entry(1, "cafe\u0301")]], 1),
    "a guid of a megabyte": ([[entry(1, "x" * 1_000_000)]] * 2, 1),
    "an old date": ([[entry(1, "G1")], [entry(1, "G1"), entry(2, "G2", published=DAY - timedelta(days=9000))]], 2),
    "the date moves": ([[entry(1, "G1", published=DAY + timedelta(days=p))] for p in range(5)], 1),
    "all is new": ([[entry(f"{p}-{n}", f"{p}-{n}") for n in range(100)] for p in range(3)], 300),
    "tracking": (
        [[entry(1, link=f"https://example.com/a/1{tail}")] for tail in ("", "?utm_source=rss", "#top", "?fbclid=1")],
        1,
    ),
    "mobile and amp": (
        [
            [entry(1, link=link)]
            for link in (
                "https://www.example.com/a/1",
                "http://m.example.com/a/1",
                "https://example.com/amp/a/1",
                "https://example.com/a/1/amp/",
            )
        ],
        1,
    ),
    "short text under two guids": (
        [[entry(1, "a", "Good morning", "hello", link=None), entry(2, "b", "Good morning", "hello", link=None)]] * 2,
        2,
    ),
    "another text under an old address": (
        [
            [entry(1, "g1", "Methane", LONG, link="https://example.com/column")],
            [entry(2, "g2", "Old maps", OTHER, link="https://example.com/column")],
        ],
        2,
    ),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_of_polls_leaves_its_articles(name):
    """Each habit of outlets, polled in turn, leaves exactly as many articles as there are."""
    polls, articles = SEQUENCES[name]
    shelf = Shelf()
    for arrivals in polls:
        shelf.poll(*arrivals)
    assert len(shelf.rows) == articles


def test_two_entries_of_one_guid_are_revisions_oldest_first():
    """The version with the later date becomes the current text, wherever it stands in the document."""
    old = entry(1, "G", text=LONG)
    new = entry(1, "G", text=LONG + " It was signed.", published=DAY + timedelta(hours=1))
    for order in ((new, old), (old, new)):
        shelf = Shelf()
        assert shelf.poll(*order) == (1, 1, 0)
        assert shelf.rows[0].text == new.text
        assert shelf.poll(*order) == (0, 0, 2)


def test_equal_dates_leave_the_order_to_the_document():
    """Newest first is how feeds are written."""
    shelf = Shelf()
    shelf.poll(entry(1, "G", text="second"), entry(1, "G", text="first"))
    assert shelf.rows[0].text == "second"


def test_a_change_taken_back_is_a_revision_but_not_for_ever():
    """Two servers with two versions in turn do not fill the archive."""
    shelf = Shelf()
    for turn in range(40):
        shelf.poll(entry(1, "G", text=("one", "two")[turn % 2]))
    assert shelf.rows[0].revision <= 4


def test_counters_stop_being_revisions():
    """A text of which only digits change is revised two dozen times, and a real change after that is kept."""
    shelf = Shelf()
    for turn in range(60):
        shelf.poll(entry(1, "G", text=f"{turn} people have seen the page"))
    assert shelf.rows[0].revision == 24
    assert shelf.poll(entry(1, "G", text="The page is gone")) == (0, 1, 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3小时前 中美发表声明", "5小时前 中美发表声明"),
        ("声明全文 阅读 1,234", "声明全文 阅读 1,240"),
        ("5 minutes ago: talks", "2 hours ago: talks"),
    ],
)
def test_what_the_page_says_of_the_moment_is_no_change(one, other):
    """Relative dates and counters are no part of the content key."""
    assert content_key("t", one) == content_key("t", other)


_SAID = (
    "阅读", "閱讀", "点赞", "分享", "收藏", "次数", "量", " ", "\u3000", "\n", ":", "：", "(", "（", "1", "23", "1,234", "5.6", "万", "次", ")",
    "秒", "分钟", "小时", "天", "前", "之前", "seconds", "MINS", "hours", "hr", " ago", "AGO", "views", "Comment", "likes", "ſhare", "vıews",
    "vİews", "reads", "Retweets", "read", "x", "\u06f3", " " * 50,
)  # fmt: skip


@given(st.lists(st.sampled_from(_SAID), max_size=8).map("".join))
@settings(max_examples=400)
def test_what_is_looked_for_first_misses_no_counter(said):
    """The cheap look at a text finds something wherever a counter or "3 hours ago" stands."""
    assert identity._counts(said) or not identity._OF_THE_MOMENT.search(said)


@given(st.text(max_size=60))
def test_white_space_does_not_count_whatever_it_is(said):
    """White space of every kind is no part of what a text says, in Latin letters and in all others."""
    assert content_key("", said) == content_key("", "".join(said.split()))


def test_another_feeds_summary_does_not_replace_the_full_text():
    """The outlet's second feed with a shorter text changes nothing; its fuller text is taken."""
    shelf = Shelf()
    shelf.poll(entry(1, "x", text=LONG))
    assert shelf.poll(entry(1, "y", text=LONG[:60], feed="g")) == (0, 0, 1)
    assert shelf.poll(entry(1, "y", text=LONG + OTHER, feed="g")) == (0, 1, 0)
    assert shelf.poll(entry(1, "y", text=LONG + OTHER, feed="g")) == (0, 0, 1)


PARTS = {
    "number": st.integers(0, 3),
    "title": st.sampled_from(["", "Methane", "Old maps", "Old map"]),
    "text": st.sampled_from(["", "x", LONG, LONG + " More.", OTHER]),
    "link": st.sampled_from(
        [None, "", "https://example.com/", "https://m.example.com/a/1", "https://example.com/b?id=1"]
    ),
    "published": st.sampled_from([None, DAY, DAY + timedelta(hours=1)]),
}
FACES = st.builds(entry, guid=st.sampled_from([None, "", "a", "b", "c"]), **PARTS)
# A feed has GUIDs or has none; one address stands under a GUID.
DOCUMENTS = st.lists(st.builds(entry, **PARTS), min_size=1, max_size=7) | st.lists(
    st.builds(lambda number, **parts: entry(number, guid=f"g{number}", **parts), **PARTS | {"link": st.just("")}),
    min_size=1,
    max_size=7,
)


@given(DOCUMENTS)
@settings(max_examples=300, deadline=None)
def test_the_same_document_again_brings_nothing(document):
    """Whatever a document holds, polling it again neither adds nor revises."""
    shelf = Shelf()
    assert sum(shelf.poll(*document)) == len(document)
    assert shelf.poll(*document) == (0, 0, len(document))


@given(st.lists(st.lists(FACES, min_size=1, max_size=5), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_decisions_can_be_carried_out(documents):
    """Every arrival gets one decision, and what it refers to exists by then."""
    shelf = Shelf()
    for document in documents:
        assert sum(shelf.poll(*document)) == len(document)


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("http://example.com:80/a/1/", "https://example.com/a/1"),
        ("HTTPS://WWW.Example.COM/a/1?utm_source=x&fbclid=2", "https://www.example.com/a/1"),
        ("https://example.com/a?id=5#comments", "https://example.com/a?id=5"),
        ("https://example.com/a?b=2&a=1", "https://example.com/a?a=1&b=2"),
        ("https://example.com/a?from=timeline&isappinstalled=0", "https://example.com/a"),
        ("https://example.com/a?from=2020", "https://example.com/a?from=2020"),
        ("https://wap.example.com/a/1", "https://example.com/a/1"),
        ("https://3g.example.com/a/1", "https://example.com/a/1"),
        ("https://m.com/a", "https://m.com/a"),
        ("https://example.com/a/1?amp=1", "https://example.com/a/1"),
        ("https://example.com/news/1.amp.html", "https://example.com/news/1.html"),
        ("https://example.com/news/1.amp", "https://example.com/news/1"),
        ("https://example.com/champ", "https://example.com/champ"),
        ("https://www-example-com.cdn.ampproject.org/c/s/www.example.com/a/amp/", "https://www.example.com/a"),
        ("https://www.guancha.cn/x/2021_11_11_614356_s.shtml", "https://www.guancha.cn/x/2021_11_11_614356.shtml"),
        ("https://user.guancha.cn/main/content?id=9&page=0", "https://user.guancha.cn/main/content?id=9"),
        ("https://user.guancha.cn/wap/content?id=9&s=x", "https://user.guancha.cn/main/content?id=9"),
        (
            "https://www.voachinese.com/amp/some-title/6308112.html",
            "https://www.voachinese.com/a/some-title/6308112.html",
        ),
        ("https://finance.sina.com.cn/a/doc-iab.shtml?cre=tianyi&vt=4", "https://finance.sina.com.cn/a/doc-iab.shtml"),
        ("https://例子.中国/新闻", "https://xn--fsqu00a.xn--fiqs8s/%E6%96%B0%E9%97%BB"),
        ("http://127.0.0.1:8900/a/1", "http://127.0.0.1:8900/a/1"),
        ("https://example.com/a?x=1&amp;y=2", "https://example.com/a?x=1&y=2"),
        ("javascript:alert(1)", None),
        ("http://[not-ipv6/", None),
        ("mailto:a@example.com", None),
        ("", None),
        (None, None),
    ],
)
def test_an_address_has_one_form(link, address):
    """Mobile, AMP, folded, tracked and plain forms agree; parameters that choose the page stay."""
    assert canonical_url(link) == address


@given(st.text(max_size=60) | st.text(max_size=40).map("https://example.com/".__add__))
@settings(max_examples=300, deadline=None)
def test_canonical_addresses_stay(link):
    """Whatever the link, nothing is raised, and the canonical form of a canonical form is itself."""
    address = canonical_url(link)
    assert address is None or canonical_url(address) == address


def test_addresses_compare_without_www():
    """Both spellings of a host are looked up."""
    assert forms("https://example.com/a") == forms("https://www.example.com/a")
    assert without_www("https://www.example.com/a") in forms("https://example.com/a")


def test_guids_are_bounded_and_blank_ones_are_none():
    """A blank GUID is none, and a long one is kept as its hash."""
    assert guid_key(" \n ") is None
    assert guid_key(None) is None
    assert len(guid_key("x" * 1_000_000)) < 64
