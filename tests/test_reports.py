"""Numbers, the coverage matrix, timelines, stories side by side, the report's page, Atom: on a real archive."""

from __future__ import annotations

import html
import importlib.util
import json
import os
import random
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import feedparser
import html5lib
import pytest
import sqlalchemy as sa

from aggregator import catalogue, publishing
from aggregator.errors import QueryError, UsageError
from aggregator.model import Article, ArticleId, ClauseId, ClauseTag, Evidence, Feed, FeedState, Relation, Tags
from aggregator.report import downtime, figures, steps
from aggregator.report.page import page, svg
from aggregator.report.values import ClauseName, Down, Matrix, Period, Slot, Timeline
from aggregator.store import articles, feeds, numbers, tags
from aggregator.store.archive import Archive
from aggregator.store.filters import Filters
from aggregator.store.schema import article as article_table
from aggregator.store.schema import place as placing
from aggregator.store.schema import story

NOW = datetime(2024, 2, 1, 12, tzinfo=UTC)
FIRST = datetime(2023, 11, 15, tzinfo=UTC)
OUTLETS = ("晨报", "港城日报", "The Ledger")
CLAUSES = ("sunnylands-2023/10", "sunnylands-2023/4", "glasgow-2021/8")
QUOTE = "两国将落实各自的国家甲烷行动计划。"
CATALOGUE = catalogue.load()


def tagged(clause: str, text: str) -> ClauseTag:
    """A finding whose quote is the text's first line."""
    quote = text.split("\n", maxsplit=1)[0]
    evidence = Evidence("text", 0, len(quote), quote, clause, ((1, 3),))
    return ClauseTag(ClauseId(clause), Relation.DISCUSSES, 0.9, (evidence,), CATALOGUE.version)


def kept(connection: sa.Connection, value: Article, number: int = 0) -> Article:
    """The article as stored, searchable."""
    texts = articles.Texts()
    (stored,) = articles.add(connection, [(value, f"key{number}")], NOW, texts)
    texts.write(connection)
    return stored


class Desk:
    """An archive of 120 articles by chance, and what should be counted, kept in plain lists."""

    def __init__(self, place: str) -> None:
        chance = random.Random(7)
        self.archive = Archive.open(place, write=True)
        self.rows: list[dict] = []
        with self.archive.writing() as connection:
            for number in range(120):
                text = f"{QUOTE}\n第{number}篇。"
                row = {
                    "outlet": chance.choice(OUTLETS),
                    "lang": chance.choice(("zh", "en")),
                    "when": FIRST + timedelta(hours=chance.randrange(24 * 60)),
                    "clauses": sorted(chance.sample(CLAUSES, chance.randrange(3))),
                    "story": chance.choice((None, 1, 2)),
                    "copy": False,
                }
                dated = row["when"] if chance.random() < 0.8 else None
                value = Article(
                    title=f"题{number}", html=f"<p>{text}</p>\n", text=text, feed="f-" + row["outlet"],
                    outlet=row["outlet"], lang=row["lang"], published=dated, first_seen=row["when"],
                    url=f"https://o.example/{number}",
                )  # fmt: skip
                stored = kept(connection, value, number)
                row["id"] = stored.id
                named = tuple(sorted({clause.rpartition("/")[0] for clause in row["clauses"]}))
                found = Tags(named, tuple(tagged(clause, text) for clause in row["clauses"]))
                tags.put(connection, [(ArticleId(stored.id), found)])
                row["copy"] = number > 3 and chance.random() < 0.2
                if row["copy"] or row["story"]:
                    values = {
                        "article_id": stored.id,
                        "story_id": row["story"],
                        "reprint_of": 1 if row["copy"] else None,
                    }
                    connection.execute(sa.insert(placing).values(values))
                self.rows.append(row)
            for identity in (1, 2):
                connection.execute(
                    sa.insert(story).values(
                        id=identity, headline=f"事件{identity}", first_seen=FIRST, last_seen=NOW, articles=9
                    )
                )
            for outlet in (*OUTLETS, "不言报"):
                state = FeedState("f-" + outlet, last_poll=NOW, last_success=NOW)
                feeds.save(connection, Feed("f-" + outlet, ("https://f.example/",), outlet, outlet), state)
            feeds.note_outage(connection, "f-港城日报", FIRST + timedelta(days=10), "http", "503")
            feeds.end_outage(connection, "f-港城日报", FIRST + timedelta(days=12))
            feeds.note_outage(connection, "f-不言报", FIRST - timedelta(days=1), "dns", "no such name")


@pytest.fixture(scope="module")
def desk(lasting_place: Callable[[str], str]) -> Iterator[Desk]:
    """One archive for all tests that only read."""
    found = Desk(lasting_place("desk"))
    yield found
    found.archive.close()


# --- counts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", numbers.BY)
@pytest.mark.parametrize(
    "chosen", [Filters(), Filters(outlets=("晨报",)), Filters(lang="en", since=FIRST + timedelta(days=20))]
)
def test_counts_are_those_of_a_scan(desk: Desk, by: str, chosen: Filters) -> None:
    """Articles, reprints, stories and tags of each kind are what a loop over the rows counts."""
    expected: dict[str, list] = {}
    for row in desk.rows:
        if chosen.outlets and row["outlet"] not in chosen.outlets:
            continue
        if (chosen.lang and row["lang"] != chosen.lang) or (chosen.since and row["when"] < chosen.since):
            continue
        keys = {
            "agreement": sorted({clause.rpartition("/")[0] for clause in row["clauses"]}),
            "clause": row["clauses"],
            "outlet": [row["outlet"]],
            "lang": [row["lang"]],
        }.get(by) or ([] if by in ("agreement", "clause") else [steps.start_of(row["when"], by)])
        for key in keys:
            own = [clause for clause in row["clauses"] if key in (clause, clause.rpartition("/")[0])]
            expected.setdefault(key, []).append(
                (row, len(own) if by in ("agreement", "clause") else len(row["clauses"]))
            )
    with desk.archive.reading() as connection:
        found = {one.name: one for one in numbers.counts(connection, by, chosen)}
        total = numbers.totals(connection, chosen)
    assert found.keys() == expected.keys()
    for key, group in expected.items():
        one = found[key]
        assert one.articles == len(group)
        assert one.reprints == sum(row["copy"] for row, _tags in group)
        assert one.stories == len({row["story"] for row, _tags in group if row["story"]})
        assert one.tags == sum(number for _row, number in group)
    if by == "outlet":
        assert total.articles == sum(one.articles for one in found.values())


def test_steps_cover_a_period_and_agree_with_the_archive() -> None:
    """Every instant falls in exactly one step, and steps follow one another without a gap."""
    chance = random.Random(1)
    for _ in range(100):
        since = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(hours=chance.randrange(200_000))
        period = Period(since, since + timedelta(hours=chance.randrange(1, 4000)))
        unit = chance.choice(steps.UNITS)
        found = steps.steps(period, unit)
        spans = [steps.span(start, unit) for start in found]
        assert spans[0].since <= period.since < spans[0].until
        assert spans[-1].since < period.until <= spans[-1].until
        assert all(one.until == other.since for one, other in pairwise(spans))
        assert steps.start_of(period.since, unit) == found[0]


def test_down_times_that_overlap_count_once() -> None:
    """Two feeds down at once are one hour without ears."""
    at = [FIRST + timedelta(hours=hour) for hour in range(10)]
    downs = [Down("a", "x", at[1], at[4]), Down("b", "x", at[2], at[3]), Down("a", "x", at[6], None)]
    assert downtime.within(downs, Period(at[0], at[8])) == timedelta(hours=5)
    assert downtime.within(downs, Period(at[4], at[6])) == timedelta(0)
    assert downtime.feeds_down(downs, Period(at[2], at[3])) == ("a", "b")


# --- coverage ---------------------------------------------------------------------------------------------------


def coverage(desk: Desk, by: str) -> Matrix:
    """The Sunnylands matrix of everything."""
    with desk.archive.reading() as connection:
        period = publishing.period_of(connection, Filters(), NOW)
        return publishing.coverage(connection, CATALOGUE, "sunnylands-2023", by, period, Filters())


def test_no_data_never_reads_as_no_coverage(desk: Desk) -> None:
    """An outlet that was never heard shows `?`, one whose feed was down `0!` or a number with `!`, one that was read `0`."""
    found = coverage(desk, "outlet")
    columns = {column.key: column for column in found.columns}
    methane, silent = found.clauses[9], found.clauses[0]
    assert found.cell(methane, columns["不言报"]).shown == "?"
    assert found.cell(silent, columns["港城日报"]).shown == "0!"
    assert found.cell(silent, columns["晨报"]).shown == "0"
    expected = Counter(row["outlet"] for row in desk.rows if "sunnylands-2023/10" in row["clauses"])
    for outlet in OUTLETS:
        assert found.cell(methane, columns[outlet]).count == expected[outlet]
        assert columns[outlet].total == sum(row["outlet"] == outlet for row in desk.rows)
    assert columns["港城日报"].down == timedelta(days=2)


def test_a_week_without_articles_is_no_data(desk: Desk) -> None:
    """Weeks after the last article are columns of their own and say nothing."""
    found = coverage(desk, "week")
    assert len(found.columns) == len(steps.steps(found.period, "week"))
    empty = [column for column in found.columns if not column.total]
    assert empty
    assert all(found.cell(found.clauses[0], column).shown == "?" for column in empty)


def test_an_unknown_agreement_or_clause_is_said(desk: Desk) -> None:
    """The message names what there is."""
    with desk.archive.reading() as connection:
        period = Period(FIRST, NOW)
        with pytest.raises(UsageError, match="glasgow-2021"):
            publishing.coverage(connection, CATALOGUE, "kyoto-1997", "outlet", period, Filters())
        with pytest.raises(UsageError, match="1 to 25"):
            publishing.checked_clause(connection, CATALOGUE, "sunnylands-2023/99")
        with pytest.raises(UsageError, match="no story 77"):
            publishing.comparison(connection, CATALOGUE, 77)


def test_a_timeline_adds_up(desk: Desk) -> None:
    """Its steps hold every article on the clause once, beside all that was read."""
    with desk.archive.reading() as connection:
        period = publishing.period_of(connection, Filters(), NOW)
        for unit in steps.UNITS:
            found = publishing.timeline(connection, "sunnylands-2023/10", unit, period, Filters())
            assert found.articles == sum("sunnylands-2023/10" in row["clauses"] for row in desk.rows)
            assert sum(slot.total for slot in found.slots) == len(desk.rows)
            assert all("f-不言报" in slot.down for slot in found.slots)


def test_a_story_side_by_side(desk: Desk) -> None:
    """Each outlet has the clauses of its articles, with a sentence, and leaves out what others cover."""
    with desk.archive.reading() as connection:
        found = publishing.comparison(connection, CATALOGUE, 1)
    rows = [row for row in desk.rows if row["story"] == 1]
    everything = {clause for row in rows for clause in row["clauses"]}
    assert found.headline == "事件1"
    assert {clause.id for clause in found.clauses} == everything
    for side in found.sides:
        own = {clause for row in rows if row["outlet"] == side.outlet for clause in row["clauses"]}
        assert set(side.covers) == own
        assert set(side.leaves_out) == everything - own
        assert all(voice.evidence[0].quote == QUOTE for voice in side.covers.values())


# --- the page ---------------------------------------------------------------------------------------------------


def the_report(archive: Archive, title: str = "Clauses in the news") -> str:
    """The report of an archive."""
    with archive.reading() as connection:
        period = publishing.period_of(connection, Filters(), NOW)
        return page(
            publishing.report(
                connection, CATALOGUE, title=title, archive="archive.db", period=period, now=NOW, base=Filters()
            )
        )


def test_the_page_stands_alone(desk: Desk) -> None:
    """It names nothing to load, holds every clause that is discussed, and is one tree that parses."""
    text = the_report(desk.archive)
    html5lib.HTMLParser(strict=False).parse(text)
    assert not re.search(r"<script|<img|<iframe|@import|url\((?!#)|src=", text)
    assert "default-src 'none'" in text
    assert all(link.startswith(("#", "https://o.example/", "data:,")) for link in re.findall(r'href="([^"]*)"', text))
    for clause in CLAUSES:
        assert f'id="{ClauseName(clause, "").anchor}"' in text
    assert "不言报" in text
    assert "<mark>国将</mark>" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)


def test_what_feeds_say_stays_words(place: Callable[[str], str]) -> None:
    """Titles, outlets, quotes, addresses and errors full of markup come out as text: the tree has the same elements."""
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>\x00\u202e{{7*7}}</svg></style>'
    archives = []
    for name, words in (("plain", "words"), ("evil", evil)):
        archive = Archive.open(place(name), write=True)
        archives.append(archive)
        with archive.writing() as connection:
            value = Article(
                title=words, html="<p>x</p>", text=f"{words} {QUOTE}".replace("\x00", ""), outlet=words, feed="f",
                url="https://o.example/1" if name == "plain" else "javascript:alert(1)", published=FIRST, lang="zh",
            )  # fmt: skip
            stored = kept(connection, value)
            found = Tags(("sunnylands-2023",), (tagged("sunnylands-2023/10", value.text),))
            tags.put(connection, [(ArticleId(stored.id), found)])
            feeds.save(
                connection,
                Feed("f", ("https://f.example/",), words, words),
                FeedState("f", failing_since=NOW, last_error=words),
            )
            feeds.note_outage(connection, "f", FIRST, "http", words)

    def elements(archive: Archive) -> Counter:
        tree = html5lib.parse(the_report(archive), namespaceHTMLElements=False)
        return Counter(element.tag for element in tree.iter() if isinstance(element.tag, str))

    plain, hostile = map(elements, archives)
    plain["a"] -= 1  # the address that may not be linked
    plain["span"] += 1
    assert +plain == +hostile
    text = the_report(archives[1])
    assert "javascript:" not in text
    assert "49" not in re.findall(r"\{\{.*?\}\}|>49<", text)


def test_vectors_of_the_shared_generator(shared: Path, tmp_path: Path, place: Callable[[str], str]) -> None:
    """Every XSS vector as title, outlet and quote at once: the shared oracle finds in the page what it finds in a plain one."""
    generator, oracle = shared / "chaos" / "gen_hostile.py", shared / "chaos" / "xss_oracle.py"
    if not (generator.is_file() and oracle.is_file()):
        pytest.skip("the generator of hostile files is not there")
    subprocess.run(["python3", str(generator), str(tmp_path / "made")], check=True, capture_output=True)
    vectors = json.loads((tmp_path / "made" / "xss" / "vectors.json").read_text())
    words = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in vectors]
    spec = importlib.util.spec_from_file_location("xss_oracle", oracle)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def findings(texts: list[str], name: str) -> Counter:
        archive = Archive.open(place(name), write=True)
        with archive.writing() as connection:
            for number, text in enumerate(texts):
                said = re.sub("[\x00-\x08\x0b-\x1f\ud800-\udfff]", "", text)[:2000]
                value = Article(
                    title=said, html="<p>x</p>", text=f"{said}。{number}", outlet=said[:40] if number % 12 == 0 else "o", feed="f",
                    url=f"https://o.example/{number}", published=FIRST, lang="zh",
                )  # fmt: skip
                stored = kept(connection, value, number)
                tags.put(connection, [(ArticleId(stored.id), Tags((), (tagged("sunnylands-2023/10", value.text),)))])
        return Counter(re.sub(r"=.*", "", one) for one in module.violations(the_report(archive), allow_style=True))

    assert len(words) > 20
    plain = findings(["words"] * len(words), "plain")
    hostile = findings(words, "hostile")
    assert set(hostile) == set(plain)
    assert hostile["h5:<script>"] == 0


def test_figures_are_svg_with_text(desk: Desk) -> None:
    """A figure by itself is a valid SVG file whose numbers and names are text."""
    found = coverage(desk, "outlet")
    tree = ET.fromstring(svg(figures.matrix(found)))
    words = ["".join(element.itertext()) for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert any("不言报" in word for word in words)
    assert sum(word == "?" for word in words) == len(found.clauses)
    line = Timeline("x", "week", (Slot("2023-11-13", 3, 1, 0, 1, 9), Slot("2023-11-20", 0, 0, 0, 0, 0)))
    ET.fromstring(svg(figures.timeline(line, "a & b < c")))
    assert figures.told(line) == "3 articles in 1 of 2 weeks, most in 2023-W46 (3). Nothing was read in 1 of them."


@pytest.mark.parametrize("most", [1, 2, 5, 9, 10, 11, 99, 100, 12345])
def test_darkness_grows_with_the_number(most: int) -> None:
    """Nothing is 0, anything is at least 1, the most is the darkest."""
    levels = [figures.level(number, most) for number in range(0, most + 1, max(most // 50, 1))]
    assert levels == sorted(levels)
    assert levels[0] == 0
    assert figures.level(1, most) >= 1
    assert figures.level(most, most) == figures.LEVELS


def test_pictures_for_slides(desk: Desk) -> None:
    """PNG files where matplotlib and a Chinese font are; else a sentence that names the package."""
    pytest.importorskip("matplotlib")
    from aggregator import charts

    if charts.chinese_font() is None:
        with pytest.raises(Exception, match="fonts-noto-cjk"):
            charts.matrix(coverage(desk, "outlet"))
        return
    assert charts.matrix(coverage(desk, "outlet")).startswith(b"\x89PNG")
    line = Timeline("x", "week", (Slot("2023-11-13", 3, 1, 0, 1, 9), Slot("2023-11-20", 0, 0, 0, 0, 0, ("f",))))
    assert charts.timeline(line, "甲烷").startswith(b"\x89PNG")


@pytest.fixture
def chromium(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a browser without a screen on a page; tests skip where there is none."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("Chromium is not installed (apt install chromium)")
    usual = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'p'}",
    ]

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([browser, *usual, *options], check=False, capture_output=True, text=True, timeout=100)

    return run


def test_a_browser_shows_the_page(desk: Desk, tmp_path: Path, chromium) -> None:
    """Chromium has nothing to complain of, and prints it."""
    file, printed = tmp_path / "report.html", tmp_path / "page.pdf"
    file.write_text(the_report(desk.archive), encoding="utf-8")
    shown = chromium("--window-size=1280,900", "--dump-dom", file.as_uri())
    assert "Who covers which clause" in shown.stdout
    assert "CONSOLE" not in shown.stderr
    chromium(f"--print-to-pdf={printed}", file.as_uri())
    assert printed.read_bytes().startswith(b"%PDF")


WIDE = """<script>addEventListener('load', () => {
const frame = document.querySelector('iframe'), page = frame.contentDocument.documentElement;
document.title = `${page.scrollWidth} of ${frame.clientWidth}`; })</script>"""


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_hangs_over_the_edge(desk: Desk, tmp_path: Path, width: int, chromium) -> None:
    """At the width of a desk and of a phone only what is meant to scroll does."""
    (tmp_path / "report.html").write_text(the_report(desk.archive), encoding="utf-8")
    frame = f"<iframe src='report.html' style='border:0;width:{width}px;height:900px'></iframe>"
    (tmp_path / "frame.html").write_text(f"<!doctype html>{frame}{WIDE}", encoding="utf-8")
    shown = chromium(
        "--allow-file-access-from-files",
        "--virtual-time-budget=3000",
        "--dump-dom",
        (tmp_path / "frame.html").as_uri(),
    )
    found = re.search(r"<title>(\d+) of (\d+)</title>", shown.stdout)
    assert found is not None
    assert int(found[1]) <= int(found[2]) == width


AXE = Path(__file__).parent / "browser" / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = """<script>addEventListener('load', () => axe.run(document, {resultTypes: ['violations']}).then(found => {
const kept = found.violations.map(one => [one.impact, one.id, one.nodes.map(node => node.target.join(' ')).slice(0, 5)]);
document.title = 'axe ' + JSON.stringify(kept) + ' after ' + found.passes.length; }))</script>"""


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_serious(desk: Desk, tmp_path: Path, chromium, colours: str) -> None:
    """Names, contrasts, roles and headings are as people with a screen reader or bad eyes need them."""
    axe = Path(os.environ.get("AGGREGATOR_AXE", AXE))
    if not axe.is_file():
        pytest.skip("axe-core is not installed (npm ci --prefix tests/browser, or AGGREGATOR_AXE names axe.min.js)")
    text = re.sub(r"<meta http-equiv=.Content-Security-Policy[^>]*>", "", the_report(desk.archive))
    scripts = f"<script>{axe.read_text(encoding='utf-8')}</script>{RUN_AXE}"
    (tmp_path / "axe.html").write_text(text.replace("</body>", f"{scripts}</body>"), encoding="utf-8")
    dark = ("--blink-settings=preferredColorScheme=0",) if colours == "dark" else ()
    shown = chromium("--virtual-time-budget=20000", "--dump-dom", *dark, (tmp_path / "axe.html").as_uri())
    found = re.search(r"<title>axe (.*) after (\d+)</title>", shown.stdout)
    assert found is not None
    assert int(found[2]) > 10
    violations = json.loads(html.unescape(found[1]))
    assert [one for one in violations if one[0] in ("serious", "critical")] == []


# --- Atom -------------------------------------------------------------------------------------------------------


def test_atom_holds_what_a_search_finds(desk: Desk) -> None:
    """Newest first, valid, with the same ids when written again."""
    chosen = Filters(clauses=("sunnylands-2023/10",))
    with desk.archive.reading() as connection:
        data = publishing.atom_feed(connection, "甲烷", chosen, NOW, limit=500)
        again = publishing.atom_feed(connection, "甲烷", chosen, NOW + timedelta(days=1), limit=500)
    ET.fromstring(data)
    found = feedparser.parse(data)
    assert not found.bozo
    expected = [row for row in desk.rows if "sunnylands-2023/10" in row["clauses"]]
    assert len(found.entries) == len(expected)
    assert [entry.id for entry in found.entries] == [entry.id for entry in feedparser.parse(again).entries]
    dates = [entry.published_parsed for entry in found.entries]
    assert dates == sorted(dates, reverse=True)
    assert {entry.author for entry in found.entries} <= set(OUTLETS)
    assert "甲烷" in found.entries[0].content[0].value


def test_atom_as_the_listener_asks_for_it(desk: Desk) -> None:
    """Fields of the address narrow it; unknown ones and broken queries are refused in words."""
    with desk.archive.reading() as connection:
        link = "https://news.example/atom?clause=glasgow-2021/8&lang=en"
        data = publishing.served_atom(connection, {"clause": "glasgow-2021/8", "lang": "en"}, link, NOW)
        assert feedparser.parse(data).feed.links[0].href == link
        with pytest.raises(UsageError, match="clauses is not known"):
            publishing.served_atom(connection, {"clauses": "x"}, link, NOW)
        with pytest.raises(QueryError):
            publishing.served_atom(connection, {"q": '"open'}, link, NOW)


def test_atom_of_hostile_words_is_xml(archive_url: str) -> None:
    """Control characters and markup from outside leave a document that parses."""
    archive = Archive.open(archive_url, write=True)
    with archive.writing() as connection:
        value = Article(
            title="a\x0b]]>&<b>\ufffe",
            html="",
            text="</content><script>\x1b[31m",
            outlet="\x07<o>",
            feed="f",
            url="javascript:1",
        )
        kept(connection, value)
    with archive.reading() as connection:
        data = publishing.atom_feed(connection, "", Filters(), NOW)
    (entry,) = feedparser.parse(data).entries
    ET.fromstring(data)
    assert [link.href for link in entry.get("links", [])] == []
    assert "<script>" not in entry.content[0].value


def test_views_answer_without_a_join(desk: Desk) -> None:
    """The views hold the same numbers as the tables."""
    with desk.archive.reading() as connection:

        def count(sql: str) -> int:
            return connection.execute(sa.text(sql)).scalar_one()

        pairs = sum(len(row["clauses"]) for row in desk.rows)
        assert count("SELECT count(*) FROM all_articles") == len(desk.rows)
        assert count("SELECT count(*) FROM coverage") == pairs
        assert count("SELECT count(*) FROM evidence WHERE substr(quote, 1, 2) = '两国'") == pairs
        assert count("SELECT sum(articles) FROM outlet_weeks") == len(desk.rows)
        assert count("SELECT sum(articles) FROM clause_weeks") == pairs
        assert count("SELECT count(*) FROM story_articles") == sum(row["story"] is not None for row in desk.rows)
        assert count("SELECT count(*) FROM feed_health WHERE down_since IS NOT NULL") == 1
        week = steps.start_of(desk.rows[0]["when"], "week")
        assert count(f"SELECT count(*) FROM all_articles WHERE id = {desk.rows[0]['id']} AND week = '{week}'") == 1
        assert connection.scalar(sa.select(sa.func.count()).select_from(article_table)) == len(desk.rows)
