"""The digest as people see it: contents, form, both languages, and nothing from a feed that acts."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator import digest, letters
from aggregator.digest.compose import compose, line, quote_of, web_link
from aggregator.digest.fit import fitted, trimmed
from aggregator.digest.render import bar
from aggregator.digest.values import Change, Digest, Item, Names, Outage, Quote
from aggregator.errors import MailError
from aggregator.model import Evidence
from tests.desk import NAMES, RENDERER, make_desk

SINCE, UNTIL = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)
CLAUSE = "glasgow-2021/8"


def frame(**changes):
    """An empty digest."""
    facts = {
        "language": "en", "timezone": "Asia/Shanghai", "since": SINCE, "until": UNTIL, "agreements": (), "articles": 0,
        "why": (("agreement", "Joint Glasgow Declaration"), ("query", "methane")), "address": "reader@example.com",
        "schedule": "daily 08:00", "whole": "aggregator digest replay 0123 --all",
        "unsubscribe_link": "https://news.example.org/unsubscribe/1-ab", "unsubscribe_mail": "mailto:d@example.org?subject=x",
    }  # fmt: skip
    return Digest(**facts | changes)


def item(number=1, **changes):
    """An article on methane."""
    facts = {
        "id": number, "title": f"Title {number}", "outlet": "BBC", "link": f"https://example.org/{number}", "lang": "en",
        "when": SINCE + timedelta(minutes=number), "quotes": {CLAUSE: Quote("They cut methane.", ((9, 16),))},
        "agreements": ("glasgow-2021",),
    }  # fmt: skip
    return Item(**facts | changes)


def full(language="en", **changes):
    """A digest with something of everything."""
    items = [
        item(1, story=5), item(2, story=5, outlet="DW", lang="zh"), item(3, story=5, outlet="Copier", original=1),
        item(4, quotes={}, title="Names it only"), item(5, quotes={}, agreements=(), title="Words alone"),
        item(6, quotes={"sunnylands-2023/10": None}, agreements=("sunnylands-2023",), link=None, image="https://example.org/i.jpg"),
    ]  # fmt: skip
    changed = (
        Change("first", CLAUSE), Change("silent", "glasgow-2021/3", days=40, longest=12),
        Change("edited", CLAUSE, title="T", outlet="BBC", link="https://example.org/1", before="old words", after="new words"),
        Change("edited", CLAUSE, title="T", outlet="BBC", before="gone words"),
    )  # fmt: skip
    outages = (Outage("BBC", SINCE, None, False, "e"), Outage("VOA", SINCE, UNTIL, True, "e"))
    weeks = {CLAUSE: (0, 1, 0, 2, 0, 0, 4, 9), "sunnylands-2023/10": (1, 0, 0, 0, 0, 0, 0, 0)}
    return compose(
        frame(language=language, **changes), items, NAMES, changes=changed, outages=outages, weeks=weeks,
        wanted_clauses=NAMES.clauses,
    )  # fmt: skip


# --- contents ---------------------------------------------------------------------------------------------------


def test_by_agreement_then_clause_then_story():
    """Agreements in the catalogue's order, clauses by number, the rest at the end; copies are counted."""
    value = full()
    assert [one.agreement for one in value.agreements] == ["glasgow-2021", "sunnylands-2023", ""]
    [methane, unnamed] = value.agreements[0].clauses
    assert (methane.clause, unnamed.clause) == (CLAUSE, "")
    [story] = methane.stories
    assert [one.outlet for one in story.carriers] == ["BBC", "DW"]
    assert (story.copies, story.articles, value.articles) == (1, (1, 2, 3), 6)
    assert value.shown() == {1, 2, 3, 4, 5, 6}


def test_copies_alone_are_named():
    """Where only a reprint came, the reprint stands for the text."""
    value = compose(frame(), [item(7, original=1, outlet="Copier")], NAMES)
    [story] = value.stories
    assert ([one.outlet for one in story.carriers], story.copies) == (["Copier"], 0)


def test_headline_in_the_readers_language():
    """A story told in both languages has the headline of the reader's."""
    items = [item(1, story=1, title="English"), item(2, story=1, title="中文", lang="zh", outlet="DW")]
    assert compose(frame(language="zh"), items, NAMES).stories[0].headline == "中文"
    assert compose(frame(language="en"), items, NAMES).stories[0].headline == "English"


def test_clauses_in_the_order_of_their_numbers():
    """Clause 10 comes after clause 9."""
    items = [item(n, quotes={f"glasgow-2021/{n}": None}) for n in (10, 9, 2)]
    value = compose(frame(), items, NAMES)
    assert [one.clause for one in value.agreements[0].clauses] == [
        "glasgow-2021/2",
        "glasgow-2021/9",
        "glasgow-2021/10",
    ]


@given(st.text(max_size=900), st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), max_size=6))
def test_quote_keeps_its_marks(text, spans):
    """However a quote is cut, what is marked is what matched, and it is one line that fits."""
    words = tuple((10 + start, 10 + end) for start, end in spans)
    quote = quote_of(Evidence("text", 10, 10 + len(text), text, "", words))
    assert len(quote.text) <= 202
    assert "\n" not in quote.text
    assert "".join(piece for piece, _marked in quote.pieces) == quote.text
    marked = "".join(piece for piece, is_marked in quote.pieces if is_marked)
    inside = {char for start, end in spans for char in text[start:end]}
    assert all(char in inside or char == " " for char in marked)


def test_long_quote_is_cut_around_its_words():
    """The part of a long sentence that shows the clause is the part that stays."""
    text = "甲" * 300 + "甲烷" + "乙" * 300
    quote = quote_of(Evidence("text", 0, len(text), text, "", ((300, 302),)))
    assert ("甲烷", True) in quote.pieces
    assert quote.text.startswith("…")
    assert quote.text.endswith("…")


@given(st.text(max_size=400))
def test_cleaning_a_line_twice_changes_nothing(text):
    """Sanitising what was sanitised gives the same, and no line breaks or control characters are left."""
    once = line(text)
    assert line(once) == once
    assert len(once) <= 160
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", once)


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//evil.example", "http://a b", 'http://a"b', "http://a\nb", "ftp://a/b",
     "JaVaScRiPt:x", "http://", "https://a<b", "", None, "http://a/" + "x" * 3000, "\x01javascript:x", "mailto:a@b"],
)  # fmt: skip
def test_only_web_links(url):
    """Nothing but a plain web address becomes a link."""
    assert web_link(url) is None


@given(st.integers(0, 50), st.integers(0, 50))
def test_bar_is_one_character(count, most):
    """A bar is one character, a dot for nothing."""
    assert len(bar(count, most)) == 1
    assert (bar(count, most) == "·") == (count == 0 or most == 0)


# --- form -------------------------------------------------------------------------------------------------------


def strict(html):
    """Parse as the standard says; any mistake raises."""
    return html5lib.HTMLParser(strict=True).parse(html)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_html_is_valid_and_self_contained(language):
    """No mistake for a strict parser, no script, nothing fetched, styles inside the elements, dark mode kept."""
    _subject, _text, html = RENDERER.digest(full(language))
    strict(html)
    assert not re.search(r"<(script|link|img|iframe|form|svg|base|object)\b", html)
    assert "@media (prefers-color-scheme: dark)" in html
    assert re.search(r'<h1 style="[^"]*font-size', html)
    assert "viewport" in html
    for style in re.findall(r'style="([^"]*)"', html):
        assert not re.search(r"url|expression|import|position|@", style)


def test_images_only_where_allowed():
    """A remote image is shown only when the operator allows it."""
    assert "<img" not in RENDERER.digest(full())[2]
    assert 'src="https://example.org/i.jpg"' in RENDERER.digest(full(images=True))[2]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_text_says_all_that_the_page_says(language):
    """Every line of the page is in the text too, links included."""
    _subject, text, html = RENDERER.digest(full(language))
    flat = re.sub(r"[\s\[\]]+", "", text)
    tree = strict(html)
    space = "{http://www.w3.org/1999/xhtml}"
    body = tree.find(f".//{space}body")
    for one in body.iter():
        if one.tag.removeprefix(space) in ("h1", "h2", "h3", "h4", "blockquote", "li", "th"):
            said = "".join(one.itertext()) if one.tag != f"{space}li" else one.text
            assert re.sub(r"\s+", "", said) in flat
        if one.tag == f"{space}a":
            assert one.get("href") in text


def test_everything_is_said_in_english():
    """The parts of a digest, in words."""
    _subject, text, _html = RENDERER.digest(full())
    for words in (
        "20 Nov 08:00 to 21 Nov 08:00 (Asia/Shanghai)", "6 articles", "glasgow-2021/8 is covered for the first time",
        "glasgow-2021/3: silent for 40 days, longer than ever (before: 12 days)", "was: “old words”", "now: “new words”",
        "BBC took out what was quoted for glasgow-2021/8", "BBC: no answer since 20 Nov 08:00",
        "VOA: nothing new from 20 Nov 08:00 to 21 Nov 08:00", "“They cut [methane].”", "1 copy not listed",
        "DW (Chinese): https://example.org/2", "·▁·▂··▄█  0 1 0 2 0 0 4 9  glasgow-2021/8 Clause 8",
        "15 further clauses: no article in eight weeks", "Names the agreement, but none of its clauses",
        "Other articles that match", "You get this mail because reader@example.com is subscribed",
        "agreement Joint Glasgow Declaration; words methane", "Unsubscribe: https://news.example.org/unsubscribe/1-ab",
    ):  # fmt: skip
        assert words in text


def test_everything_is_said_in_chinese():
    """The same in Chinese, with no English phrase left over."""
    subject, text, _html = RENDERER.digest(full("zh"))
    for words in (
        "11月20日 08:00 至 11月21日 08:00（Asia/Shanghai）", "6 篇报道", "glasgow-2021/8：首次有报道",
        "已有 40 天没有报道，为历来最久（此前最长 12 天）", "原文：“old words”", "BBC删去了引用过的句子", "自 11月20日 08:00 起无法读取",
        "另有 1 篇转载，未列出", "八周报道量", "退订：https://", "文件 Joint Glasgow Declaration；检索词 methane",
    ):  # fmt: skip
        assert words in text
    assert subject == "11月21日：6篇报道｜中文" or subject.startswith("11月21日：6篇报道｜")
    assert not re.search(r"\b(articles?|further|silent|because|nothing|copies)\b", text)


def test_operator_templates_win(tmp_path):
    """A template of the operator takes the place of ours, for one language where its name says so."""
    (tmp_path / "digest.zh.txt").write_text("自己的模板 {{ d.articles }}\n", encoding="utf-8")
    renderer = digest.Renderer(tmp_path)
    assert renderer.digest(full("zh"))[1] == "自己的模板 6\n"
    assert "6 articles" in renderer.digest(full("en"))[1]


@pytest.mark.parametrize("broken", ["{% if %}", "{{ d.nonsense.more }}", "{% include 'nowhere' %}"])
def test_broken_template_is_said(tmp_path, broken):
    """A mistake in the operator's template is a sentence that names mail.templates."""
    (tmp_path / "digest.txt").write_text(broken, encoding="utf-8")
    with pytest.raises(MailError, match=r"mail template .*mend it in mail\.templates"):
        digest.Renderer(tmp_path).digest(full())


@given(st.integers(0, 9), st.lists(st.integers(0, 12), max_size=5))
def test_trimming_counts_what_it_drops(keep, sizes):
    """However much is dropped, named and counted articles add up, and each clause keeps its first line first."""
    items = [
        item(100 * clause + number, quotes={f"glasgow-2021/{clause + 1}": None})
        for clause, size in enumerate(sizes)
        for number in range(size)
    ]
    value = compose(frame(), items, NAMES)
    part = trimmed(value, keep)
    assert len(part.stories) == min(keep, len(items))
    assert part.omitted == len(items) - len(part.stories)
    lines = [len(clause.stories) for agreement in part.agreements for clause in agreement.clauses]
    if keep >= sum(size > 0 for size in sizes):
        assert len(lines) == sum(size > 0 for size in sizes)


def test_fitting_takes_as_much_as_fits():
    """The limit is kept, and the mail is nearly full."""
    items = [item(number, title="x" * number) for number in range(40)]
    value = compose(frame(), items, NAMES)

    def make(one):
        return sum(len(story.headline) for story in one.stories)

    part, made = fitted(value, make, lambda size: size, 300)
    assert made <= 300
    assert made >= 300 * 0.9 or make(trimmed(value, len(part.stories) + 1)) > 300


# --- what comes from feeds --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def hostile(shared, tmp_path_factory):
    """The hostile texts of the shared generator."""
    folder = tmp_path_factory.mktemp("hostile")
    subprocess.run(
        [sys.executable, str(shared / "chaos/gen_hostile.py"), str(folder)], check=True, capture_output=True
    )
    return folder


@pytest.fixture(scope="session")
def violations(shared):
    """The shared oracle of what a page could still execute."""
    spec = importlib.util.spec_from_file_location("xss_oracle", shared / "chaos/xss_oracle.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.violations


@pytest.fixture
def desk(tmp_path):
    """A desk on an archive of its own."""
    desk = make_desk(tmp_path / "archive.db")
    yield desk
    desk.archive.close()


def poisoned(text):
    """A digest with a text from outside in every place that one can reach."""
    evidence = Evidence("text", 0, len(text), text, "", ((0, min(len(text), 9)), (20, 30)))
    bad = item(
        1, title=text, headline=None, outlet=text, link=text, lang="en", quotes={CLAUSE: quote_of(evidence)}, image=text,
    )  # fmt: skip
    changes = [Change("edited", CLAUSE, title=text, outlet=text, link=text, before=text, after=text)]
    outages = [Outage(line(text, 60), SINCE, None, False, text)]
    names = Names({"glasgow-2021": {"en": text}}, {CLAUSE: {"en": text}})
    start = frame(why=(("query", line(text)),), images=True)
    return compose(start, [bad], names, changes=changes, outages=outages, weeks={CLAUSE: [1] * 8})


def body(html):
    """What stands between the body's tags."""
    return html.partition("<body")[2].partition(">")[2].rpartition("</body>")[0]


def test_no_vector_survives_in_the_page(hostile, violations):
    """Through title, outlet, link, quote and names: the oracle finds nothing in the mail that could act."""
    vectors = [one["html"] for one in json.loads((hostile / "xss/vectors.json").read_text())]
    titles = [one["raw"] for one in json.loads((hostile / "titles/titles.json").read_text())]
    plain = RENDERER.digest(poisoned("plain"))[2]
    skeleton = re.sub(r"plain", "", plain)
    assert violations(body(plain), allow_style=True) == []
    for text in (*vectors, *titles):
        html = RENDERER.digest(poisoned(text))[2]
        assert violations(body(html), allow_style=True) == [], text[:80]
        assert html.count("<a ") <= skeleton.count("<a ") + 3
        strict(html)


def test_no_title_adds_a_header(hostile, desk):
    """240 titles as subject and contents: the headers are always the same, and what is parsed is what was meant."""
    titles = [one["raw"] for one in json.loads((hostile / "titles/titles.json").read_text())]
    addresses = json.loads((hostile / "mail/addresses.json").read_text())
    assert (len(titles), len(addresses)) == (240, 30)
    expected = None
    for title in titles:
        value = replace(poisoned(title), address="reader@example.com")
        _fitting, _subject, data = letters.written(desk, value, "<digest.0@example.org>", UNTIL)
        found = message_from_bytes(data, policy=policy.SMTP + policy.strict)
        expected = expected or sorted(found.keys())
        assert sorted(found.keys()) == expected
        assert found["To"] == "reader@example.com"
        assert len(data) < 100_000
        assert [part.get_content_type() for part in found.iter_parts()] == ["text/plain", "text/html"]


def test_no_address_adds_a_header(hostile, desk):
    """30 addresses: each is refused, or the mail to it has one recipient and the usual headers."""
    from aggregator import mail
    from aggregator.errors import UsageError

    taken = []
    for one in json.loads((hostile / "mail/addresses.json").read_text()):
        try:
            to = mail.address(one["addr"])
        except UsageError:
            assert not one["expect"].startswith(("accept literally", "accept as")), one
            continue
        assert not one["expect"].startswith("refuse:"), one
        assert "refuse (" not in one["expect"], one
        assert one["expect"] != "refuse", one
        taken.append(to)
        data = letters.written(desk, replace(full(), address=to), "<digest.0@example.org>", UNTIL)[2]
        found = message_from_bytes(data, policy=policy.SMTPUTF8 + policy.strict)
        assert str(found["To"]) == to
        assert found["Bcc"] is None
    assert len(taken) >= 8
