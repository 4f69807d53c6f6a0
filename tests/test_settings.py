"""feeds.yaml: what is read, what is refused and in which words, and how feeds are added to and removed from it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator import addresses
from aggregator.errors import SettingsError, UsageError
from aggregator.settings import edit_feeds, load, loads
from tests.hostile import CONFIG, hostile

ROOT = Path(__file__).resolve().parent.parent
HERE = Path("feeds.yaml")

EXAMPLE = """\
defaults: {interval: 1h, timeout: 20s, max_size: 10MB, timezone: Asia/Shanghai}
network: {rsshub: [https://hub.example, https://spare.example/rss], allow: ["127.0.0.1:8900"]}
feeds:
  - id: finance
    title: 新闻一则
    url: rsshub://sina/finance/china      # the first choice
    outlet: 某报
    categories: [金融, 某报]
    keep: "#article"
  - id: mirror
    url: [rsshub://guancha/headline, https://mirror.example/guancha.xml]
    interval: 1h30m
    fulltext: yes
    lang: zh-Hant
contact: https://example.org/bot
"""


def _read(text: str, **environ: str):
    return loads(text.encode(), {f"AGGREGATOR_{name}": value for name, value in environ.items()}, HERE)


def _mistakes(text: str, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        _read(text, **environ)
    return str(caught.value).splitlines()


def _refused_or_read(data: bytes) -> None:
    words = "feeds.yaml"
    try:
        loads(data, {}, HERE)
    except SettingsError as refused:
        words = str(refused)
    assert words.startswith("feeds.yaml")


def _one_feed(line: str) -> str:
    return f"feeds:\n  - url: https://example.org/a\n    {line}\n"


# --- what is read -----------------------------------------------------------------------------------------------


def test_feeds_take_what_they_say_and_otherwise_the_defaults():
    """A feed's own values win over `defaults`, and `defaults` over what the program assumes."""
    finance, mirror = _read(EXAMPLE).feeds
    assert (finance.id, finance.title, finance.outlet) == ("finance", "新闻一则", "某报")
    assert finance.categories == ("金融", "某报")
    assert finance.keep == ("#article",)
    assert (finance.interval, mirror.interval) == (timedelta(hours=1), timedelta(minutes=90))
    assert (finance.max_size, finance.timezone, finance.fulltext) == (10_000_000, "Asia/Shanghai", False)
    assert (mirror.fulltext, mirror.lang, mirror.title) == (True, "zh", "mirror")
    assert (finance.line, mirror.line) == (4, 10)


def test_rsshub_routes_become_one_address_for_each_instance_in_order():
    """Every instance is tried before the next address of the list."""
    finance, mirror = _read(EXAMPLE).feeds
    assert finance.urls == ("https://hub.example/sina/finance/china", "https://spare.example/rss/sina/finance/china")
    assert mirror.urls[2] == "https://mirror.example/guancha.xml"
    assert mirror.sources[0] == "rsshub://guancha/headline"


def test_a_route_without_an_instance_is_a_need_and_not_a_mistake():
    """Without an instance the other addresses remain, and a feed with none says what it needs."""
    finance, mirror = _read(EXAMPLE.replace("rsshub: [https://hub.example, https://spare.example/rss], ", "")).feeds
    assert (finance.urls, finance.needs) == ((), "needs an RSSHub instance")
    assert (mirror.urls, mirror.needs) == (("https://mirror.example/guancha.xml",), None)


def test_the_rsshub_key_signs_requests_and_is_seen_nowhere():
    """The key from the environment makes the code of each route and shows up in no repr and no feed."""
    got = _read(EXAMPLE, RSSHUB_KEY="open-sesame")
    code = hashlib.md5(b"/sina/finance/chinaopen-sesame").hexdigest()
    first, second = got.feeds[0].urls
    assert got.signer(first) == f"{first}?code={code}"
    assert got.signer(second) == f"{second}?code={code}"
    assert got.signer("https://mirror.example/guancha.xml") == "https://mirror.example/guancha.xml"
    assert "sesame" not in repr(got)
    assert code not in repr(got)


def test_a_key_written_into_an_address_is_refused_without_repeating_it():
    """An access key belongs in its own setting; the message does not show it."""
    text = "network: {rsshub: https://hub.example}\nfeeds:\n  - url: rsshub://sina/finance?key=hush\n"
    (line,) = _mistakes(text)
    assert line.startswith("feeds.yaml:3:5: feeds.0.url: holds an access key")
    assert "hush" not in line


def test_the_environment_wins_over_the_file():
    """Secrets and what differs between machines come from variables."""
    got = _read(
        EXAMPLE,
        CONTACT="desk@example.org",
        RSSHUB="http://127.0.0.1:1200",
        LISTEN="127.0.0.1:9000",
        SMTP_URL="smtp://robot:swordfish@mail.example.org:587",
    )
    assert got.contact == "desk@example.org"
    assert got.network.rsshub == ("http://127.0.0.1:1200",)
    assert got.listen == ("127.0.0.1", 9000)
    assert got.mail.smtp_url == "smtp://robot@mail.example.org:587"
    assert got.mail.smtp_password.get_secret_value() == "swordfish"
    assert "swordfish" not in repr(got)


def test_a_mistake_in_the_environment_names_the_variable():
    """A variable has no line, so its name stands first; its value, which may hold a password, does not."""
    assert _mistakes(EXAMPLE, SMTP_URL="mail:pw@x")[0].startswith("AGGREGATOR_SMTP_URL: is no mail server")
    assert _mistakes(EXAMPLE, LISTEN="here")[0].startswith('AGGREGATOR_LISTEN: "here" is no host and port')


def test_every_section_is_read():
    """All that the comments at the top of feeds.yaml name."""
    got = _read(
        "network: {rsshub_key: k, files: true, pause: 2s, per_host: 1, parallel: 4}\n"
        'mail: {from: "News <news@example.org>", alerts: true, confirm: true, images: no, at_most_once: on}\n'
        "public_url: https://news.example.org/\nlisten: 127.0.0.1:8900\nfeeds:\n  - url: file:///srv/a.xml\n"
    )
    assert (got.network.pause, got.network.per_host, got.network.parallel) == (timedelta(seconds=2), 1, 4)
    assert (got.mail.sender, got.mail.operator) == ("News <news@example.org>", "news@example.org")
    assert (got.mail.alerts, got.mail.confirm, got.mail.images, got.mail.at_most_once) == (True, True, False, True)
    assert (got.public_url, got.listen) == ("https://news.example.org", ("127.0.0.1", 8900))
    assert got.feeds[0].urls == ("file:///srv/a.xml",)


def test_files_are_looked_for_beside_feeds_yaml(tmp_path):
    """Relative paths start at the folder of feeds.yaml, and a file that is not there is a mistake."""
    (tmp_path / "ours.yaml").write_text("x")
    (tmp_path / "mails").mkdir()
    path = tmp_path / "feeds.yaml"
    path.write_text("agreements: [ours.yaml]\nmail: {templates: mails}\nfeeds: []\n")
    got = load(path, {})
    assert got.agreements == (tmp_path / "ours.yaml",)
    assert got.mail.templates == tmp_path / "mails"
    path.write_text("agreements:\n  - gone.yaml\nmail: {templates: nowhere}\nfeeds: []\n")
    with pytest.raises(
        SettingsError, match=r":2:5: agreements\.0: there is no file .*\n.*:3:8: mail\.templates: there is"
    ):
        load(path, {})


def test_names_stay_the_text_they_are():
    """`no`, 1.10, a date and a time of day are titles here, not a truth, a number or a day."""
    rows = "".join(f"  - {{url: 'https://example.org/{n}', title: {t}}}\n" for n, t in enumerate(TITLES))
    assert [feed.title for feed in _read("feeds:\n" + rows).feeds] == TITLES


TITLES = ["no", "1.10", "2025-01-01", "0777", "12:30:45", "0x1F", ".inf", "x %(x)s"]


def test_a_title_is_one_line_and_escaped_emoji_are_whole():
    """Line breaks and control characters cannot reach a mail's head, and JSON's surrogate pairs are joined."""
    (feed,) = _read(_one_feed('title: "a\\r\\nBcc: b\\u0007 \\ud83d\\ude00"')).feeds
    assert feed.title == "a Bcc: b 😀"


def test_a_feed_without_an_id_is_called_after_its_address():
    """Derived ids are stable, distinct and hold no password."""
    rows = "".join(
        f"  - url: {url}\n" for url in ("https://u:p@www.example.org/a/b.xml", "https://example.org/a-b.xml")
    )
    first, second = (feed.id for feed in _read("feeds:\n" + rows).feeds)
    assert first == "example.org-a-b.xml"
    assert second.startswith("example.org-a-b.xml-")


@pytest.mark.parametrize("text", [EXAMPLE.replace("\n", "\r\n"), "\ufeff" + EXAMPLE])
def test_windows_files_are_read(text):
    """Line ends and a byte order mark of other systems are no mistake."""
    assert len(_read(text).feeds) == 2


def test_the_defaults_give_way_to_a_feeds_interval():
    """A feed asked once a week needs no max_interval of its own; a contradiction within one feed is a mistake."""
    (feed,) = _read(_one_feed("interval: 7d")).feeds
    assert feed.max_interval == timedelta(days=7)
    (line,) = _mistakes(_one_feed("interval: 1h\n    min_interval: 2h"))
    assert line == "feeds.yaml:4:5: feeds.0.min_interval: is more than the interval, 1h; lower it"


def test_default_feeds_load_without_an_instance():
    """The shipped file has no mistake and no warning, covers both languages, and says which feeds need RSSHub."""
    got = load(ROOT / "feeds.yaml", {})
    assert got.warnings == ()
    assert {feed.lang for feed in got.feeds} == {"zh", "en"}
    assert len({feed.outlet for feed in got.feeds}) >= 15
    assert {"新浪财经", "美国之音", "观察者网"} <= {feed.outlet for feed in got.feeds}
    assert all(feed.needs or feed.urls for feed in got.feeds)


def test_every_default_feed_says_where_it_comes_from():
    """Each entry of the shipped file carries a comment on its source."""
    blocks = (ROOT / "feeds.yaml").read_text(encoding="utf-8").split("  - id: ")[1:]
    assert all(block.splitlines()[1].strip().startswith("#") for block in blocks)


# --- what is refused --------------------------------------------------------------------------------------------

# What stands in the line, and what the answer must say: where, what, and what to write instead.
LINES = [
    (
        "interval: soon",
        '3:5: feeds.0.interval: "soon" is not a duration; write a number and s, m, h, d or w, such as 30m',
    ),
    (
        "interval: 30",
        '3:5: feeds.0.interval: "30" has no unit; write 30s for seconds or 30m for minutes (s, m, h, d, w)',
    ),
    ("interval: 1s", '3:5: feeds.0.interval: "1s" is out of bounds; write between 1m and 30d'),
    ("interval: [1h]", "3:5: feeds.0.interval: is a list; write one value"),
    ("interval: -5m", '3:5: feeds.0.interval: "-5m" is not a duration'),
    ("timeout: 99999999999999999999s", "3:5: feeds.0.timeout: "),
    ("max_size: big", '3:5: feeds.0.max_size: "big" is not a size; write a number and kB, MB or GB, such as 10MB'),
    ("max_size: 0MB", '3:5: feeds.0.max_size: "0MB" is out of bounds; write between 1kB and 1GB'),
    ("timezone: Asia/Shangai", '"Asia/Shangai" is no time zone; write a name such as Asia/Shanghai'),
    ("timezone: Asia", '"Asia" is no time zone'),
    ("timezone: ../../etc/passwd", "is no time zone"),
    ("fulltext: maybe", '3:5: feeds.0.fulltext: "maybe" is neither true nor false; write one of them'),
    ("fultext: true", "3:5: feeds.0.fultext: is not known here; did you mean fulltext?"),
    ("zzz: true", "3:5: feeds.0.zzz: is not known here; the names known here are categories, drop"),
    ("id: two words", '3:5: feeds.0.id: "two words" is no id'),
    ("lang: Chinese", '3:5: feeds.0.lang: "Chinese" is no language; write zh or en'),
    ("keep: '{x}'", '3:5: feeds.0.keep: "{x}" is no CSS selector'),
    ("url: https://example.org/b", "3:5: feeds.0.url: stands here a second time, first in line 2; keep one"),
    ("urls: [https://example.org/b]", "2:5: feeds.0: has both url and urls; keep one"),
    ("title: &a x", "3:12: feeds.0.title: anchors and aliases (a) are not read here"),
    ("title: *a", "3:12: feeds.0.title: anchors and aliases (a) are not read here"),
    ("<<: {a: b}", "3:5: feeds.0: merge keys (<<) are not read here"),
    (
        "title: !!python/name:os.system",
        "3:12: feeds.0.title: the tag tag:yaml.org,2002:python/name:os.system is not read",
    ),
    ("? [a]\n    : b", "the name before a colon must be a plain word"),
    ('title: "open', "is not YAML: while scanning a quoted scalar found unexpected end of stream"),
    ("title: a\n\tlang: zh", "4:1: is indented with a tab; YAML wants spaces"),
]


@pytest.mark.parametrize(("line", "answer"), LINES, ids=[line for line, _ in LINES])
def test_a_mistake_is_answered_with_its_place_and_what_to_write(line, answer):
    """Line and column are those of the name concerned."""
    (first, *_) = _mistakes(_one_feed(line))
    assert first.startswith("feeds.yaml:")
    assert answer in first


ADDRESSES = [
    ("example.com/feed", "write https://example.com/feed"),
    ("//example.com/feed", "write https://example.com/feed"),
    ("feed://example.com/x", "write https://example.com/x"),
    ("feed:https://example.com/x", "write https://example.com/x"),
    ("ftp://example.com/x", "is no web address"),
    ("javascript:alert(1)", "is no web address"),
    ("http://", "names no host"),
    ("http://[::1", "is no web address"),
    ("http://example.com:99999/", "is no web address"),
    ("rsshub://", "is no RSSHub route"),
    ("rsshub://../etc", "is no RSSHub route"),
    ("file:///etc/passwd", "local files are off; write `files: true`"),
    ('"https://example.com/\\r\\nX: 1"', "white space, a backslash or a control character"),
    ("https://example.com/" + "a" * 3000, "at most 2048"),
    ("12345", "is no web address"),
    ("[]", "has no url; add `url: https://…`"),
    ("~", "has no url"),
]


@pytest.mark.parametrize(("url", "answer"), ADDRESSES, ids=[url[:30] for url, _ in ADDRESSES])
def test_an_address_that_cannot_be_polled_is_refused(url, answer):
    """Only http, https, routes and, when allowed, files."""
    assert answer in _mistakes(f"feeds:\n  - url: {url}\n")[0]


def test_a_password_in_a_wrong_address_is_not_repeated():
    """Messages may be pasted into a bug report."""
    assert "hush" not in "".join(_mistakes("feeds:\n  - url: ftp://me:hush@example.com/x?token=hush\n"))


DOCUMENTS = [
    (b"", "feeds.yaml: is empty; write `feeds:`"),
    (b"# only a comment\n", "feeds.yaml: is empty"),
    (b"feeds:\n", "feeds.yaml:1:1: feeds: holds nothing"),
    (b"contact: https://example.org\n", "feeds.yaml:1:1: feeds: holds nothing"),
    (b"just text\n", "feeds.yaml:1:1: is not a mapping"),
    (b"- a\n", "feeds.yaml:1:1: is not a mapping"),
    (b"feeds: {a: b}\n", "feeds.yaml:1:1: feeds: is not a list"),
    (b"feeds: []\n---\nfeeds: []\n", "feeds.yaml:2:1: a second document starts here"),
    (b"%YAML 1.1\n---\nfeeds: []\n", "feeds.yaml:2:1: remove the lines that start with %"),
    (b"feeds:\n  - url: https://example.com/\x00\n", "feeds.yaml:2:30: holds the control character U+0000"),
    ("feeds: []\n".encode("utf-16"), "feeds.yaml:1:1: is UTF-16; save it as UTF-8"),
    ("feeds:\n  - {title: 新闻}\n".encode("gbk"), "feeds.yaml:2:13: is not UTF-8"),
    (b"feeds: []\n" + b"#" * 1_000_000, "feeds.yaml: is 1,000,010 bytes; at most 1,000,000 are read"),
    (b"\x7fELF\x02\x01\x01" + bytes(100), "feeds.yaml:1:1: holds the control character U+007F"),
    (b"[" * 50_000, "feeds.yaml:1:22: is nested more than 20 deep"),
    (b"x: " + b"{a: " * 10_000, "is nested more than 20 deep"),
    (b"- " * 10_000, "is nested more than 20 deep"),
    (b"feeds: [" + b"a," * 160_000 + b"]", "holds more than 150,000 values"),
    (b"a:\n" * 10_000, "feeds.yaml:2:1: a: stands here a second time"),
]


@pytest.mark.parametrize(("data", "answer"), DOCUMENTS, ids=[repr(data[:20]) for data, _ in DOCUMENTS])
def test_a_file_that_is_no_settings_is_refused(data, answer):
    """Whatever the file is, the answer is a sentence."""
    with pytest.raises(SettingsError) as caught:
        loads(data, {}, HERE)
    assert answer in str(caught.value)


def test_all_mistakes_of_a_file_come_at_once_in_their_order():
    """An operator mends a file in one go, across sections and feeds."""
    lines = _mistakes(
        "defaults: {interval: x}\nnetwork: {allow: [nowhere], pauze: 1s}\nmail: {alerts: true, from: me}\nfeeds:\n"
        "  - {id: a, url: https://example.org/a, timeout: 1}\n  - {id: A, url: https://EXAMPLE.org:443/a}\n  - 42\n"
        "  -\ncontract: x\n"
    )
    assert [line.split(": ")[0:2] for line in lines] == [
        ["feeds.yaml:1:12", "defaults.interval"],
        ["feeds.yaml:2:19", "network.allow.0"],
        ["feeds.yaml:2:29", "network.pauze"],
        ["feeds.yaml:3:8", "mail.alerts"],
        ["feeds.yaml:3:22", "mail.from"],
        ["feeds.yaml:5:41", "feeds.0.timeout"],
        ["feeds.yaml:6:6", "feeds.1.id"],
        ["feeds.yaml:6:13", "feeds.1.url"],
        ["feeds.yaml:7:5", "feeds.2"],
        ["feeds.yaml:8:4", "feeds.3"],
        ["feeds.yaml:9:1", "contract"],
    ]


def test_a_flood_of_mistakes_is_counted_and_not_listed():
    """A file of nonsense does not scroll the first mistake away."""
    lines = _mistakes("feeds:\n" + "  - 1\n" * 500)
    assert len(lines) == 31
    assert lines[-1] == "feeds.yaml: and 470 more mistakes"


def test_feeds_that_only_look_alike_are_a_warning():
    """The scheme, http or https, or a last slash, are probably one feed; that is said, and the feeds are kept."""
    got = _read("feeds:\n  - url: https://example.org/a\n  - url: http://www.example.org/a/?utm_source=x\n")
    assert len(got.feeds) == 2
    assert got.warnings == ("feeds.yaml:3:5: feeds.1.url: is probably the same feed as example.org-a in line 2",)


def test_an_instance_on_a_private_address_asks_for_an_exception():
    """The guard would refuse it, so the operator reads now what to add."""
    text = 'network:\n  rsshub: http://127.0.0.1:1200\n  allow: ["127.0.0.1:1201"]\nfeeds: []\n'
    (warning,) = _read(text).warnings
    assert warning.endswith('127.0.0.1:1200 is a private address; add "127.0.0.1:1200" to network.allow')
    assert _read(text.replace("1201", "1200")).warnings == ()


def test_a_missing_file_says_how_to_make_one(tmp_path):
    """Neither a missing file nor a folder is a traceback."""
    with pytest.raises(SettingsError, match="there is no such file; make one with the line"):
        load(tmp_path / "feeds.yaml", {})
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path, {})


@pytest.mark.parametrize("name", [name for name in CONFIG if name.endswith(".yaml")])
def test_hostile_settings_are_read_or_refused_in_words(shared, name):
    """Every hostile file of the shared generator ends as its row says, and none runs code."""
    data = hostile(shared)[f"config/{name}"]
    if name in {"norway.yaml", "crlf.yaml", "bom.yaml", "env_injection.yaml", "unicode_names.yaml"}:
        assert loads(data, {"HOME": "/root"}, HERE).feeds
        return
    with pytest.raises(SettingsError) as caught:
        loads(data, {}, HERE)
    assert all(line.startswith("feeds.yaml:") for line in str(caught.value).splitlines())


@settings(deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200), st.text(alphabet="feds:url- \n[]{}&*!#'\"|>?%@~<0\t,新", max_size=200).map(str.encode)
    )
)
def test_no_bytes_raise_anything_but_settings_error(data):
    """Whatever stands in the file, the answer is settings or a sentence."""
    _refused_or_read(data)


@settings(deadline=None)
@given(st.sampled_from([line for line in EXAMPLE.splitlines() if ": " in line]), st.text(max_size=30))
def test_no_value_raises_anything_but_settings_error(line, value):
    """Any text in the place of any value is read or refused."""
    key = line.partition(": ")[0]
    _refused_or_read(EXAMPLE.replace(line, f"{key}: {value}").encode("utf-8", "surrogatepass"))


def test_settings_are_imported_without_the_heavy_libraries():
    """The command line starts fast: no HTTP, database or HTML library comes with the settings."""
    code = (
        "import sys, aggregator.settings\n"
        "heavy = {'httpx', 'sqlalchemy', 'bs4', 'lxml', 'feedparser', 'trafilatura', 'dateparser', 'opencc', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- addresses --------------------------------------------------------------------------------------------------


def test_the_code_covers_the_path_alone_and_keeps_the_query():
    """RSSHub hashes the decoded path without the query (its documentation's rule)."""
    code = hashlib.md5("/新/a%2Fbk".encode()).hexdigest()
    assert addresses.rsshub_url("https://h/base/", "新/a%2Fb?limit=5", "k") == (
        f"https://h/base/%E6%96%B0/a%2Fb?limit=5&code={code}"
    )
    assert addresses.rsshub_url("https://h", "/a/b") == "https://h/a/b"


def test_masked_addresses_hold_no_secret():
    """User names, passwords, keys, codes and tokens go; the rest stays."""
    url = "https://me:pw@example.org/a?id=5&key=K&code=C&access_token=T&page=2#x"
    assert addresses.masked(url) == "https://example.org/a?id=5&page=2#x"
    assert addresses.masked("https://example.org/a?author=me@x") == "https://example.org/a?author=me@x"


@settings(deadline=None)
@given(st.text(max_size=60))
def test_address_steps_never_raise_anything_else(text):
    """Any text is an address or a ValueError, and what is accepted can be compared and masked."""
    addresses.masked(text)
    try:
        url = addresses.checked(text)
    except ValueError:
        return
    addresses.likeness(url)
    assert addresses.identity(url) == addresses.identity(addresses.identity(url))


# --- editing ----------------------------------------------------------------------------------------------------

LAID_OUT = """\
# The head.
feeds:   # all of them

# --- first group
- id: a   # one
  # why a
  url: https://example.org/a

  title: "A: the first"
  # ends a

# about b
- url: [https://example.org/b,
        https://example.org/b2]
-
  id: c
  url: https://example.org/c
  title: |
    two
    lines

# The foot.
contact: https://example.org   # us
"""


def test_a_feed_is_added_after_the_last_one_and_nothing_else_changes():
    """The new lines are the only difference, in the indentation of their neighbours."""
    new = edit_feeds(
        EXAMPLE, add=[{"url": "https://example.org/n", "id": "n", "title": "a: b #c", "categories": ["x", "y"]}]
    )
    added = "  - id: n\n    title: 'a: b #c'\n    url: https://example.org/n\n    categories: [x, y]\n"
    assert new == EXAMPLE.replace("    lang: zh-Hant\n", "    lang: zh-Hant\n" + added)


@pytest.mark.parametrize(
    ("gone", "lines"),
    [("a", slice(4, 10)), ("https://example.org/b2", slice(12, 14)), ("c", slice(14, 20))],
)
def test_a_removed_feed_takes_its_own_lines_and_no_comment_of_others(gone, lines):
    """Comments inside the feed go with it; those above it, between feeds and around the list stay."""
    rows = LAID_OUT.splitlines(keepends=True)
    del rows[lines]
    assert edit_feeds(LAID_OUT, remove=[gone]) == "".join(rows)


def test_removing_all_feeds_leaves_an_empty_list_that_can_be_filled_again():
    """`feeds: []` is said, since a list without entries would be a mistake."""
    empty = edit_feeds(LAID_OUT, remove=["a", "example.org-b", "c"])
    assert "feeds: []   # all of them" in empty
    assert loads(empty.encode(), {}, HERE).feeds == ()
    again = edit_feeds(empty, add=[{"url": "https://example.org/n"}])
    assert [feed.id for feed in loads(again.encode(), {}, HERE).feeds] == ["example.org-n"]
    assert "# The foot." in again


@pytest.mark.parametrize("text", ["", "# mine\n", "contact: https://example.org", "feeds:\n", "feeds: [ ]  # none\n"])
def test_the_first_feed_finds_a_place_in_any_file(text):
    """An empty file, one without feeds and one without a last line end."""
    new = edit_feeds(text, add=[{"url": "https://example.org/n"}, {"url": "https://example.org/m"}])
    assert len(loads(new.encode(), {}, HERE).feeds) == 2
    assert new.startswith(text.partition("feeds")[0])


def test_feeds_in_brackets_can_be_removed_and_say_why_none_can_be_added():
    """A list in one line is shortened in its line."""
    text = "feeds: [{id: a, url: 'https://example.org/a'}, {id: b, url: 'https://example.org/b'}]  # two\n"
    assert edit_feeds(text, remove=["a"]) == "feeds: [{id: b, url: 'https://example.org/b'}]  # two\n"
    with pytest.raises(SettingsError, match="stands in brackets"):
        edit_feeds(text, add=[{"url": "https://example.org/n"}])


def test_what_cannot_be_done_leaves_the_text_alone():
    """An unknown feed, a twin and a broken file are answered; nothing is given back."""
    with pytest.raises(UsageError, match="has no feed finace; did you mean finance"):
        edit_feeds(EXAMPLE, remove=["finace"])
    with pytest.raises(SettingsError, match="is the address of mirror"):
        edit_feeds(EXAMPLE, add=[{"url": "https://mirror.example/guancha.xml"}])
    with pytest.raises(SettingsError, match="is no web address"):
        edit_feeds(EXAMPLE, add=[{"url": "gopher://x"}])
    with pytest.raises(SettingsError, match="is not YAML"):
        edit_feeds("feeds: [", add=[{"url": "https://example.org/n"}])


@settings(max_examples=60, deadline=None)
@given(
    title=st.text(max_size=40),
    text=st.sampled_from([EXAMPLE, LAID_OUT, EXAMPLE.replace("\n", "\r\n"), "feeds: []\n", LAID_OUT + "\n\n# end"]),
)
def test_adding_and_removing_a_feed_is_the_identity(title, text):
    """Whatever a feed is called, adding and removing it gives the same bytes, and the title is read as it was."""
    new = edit_feeds(text, add=[{"id": "new", "url": "https://example.org/new", "title": title}])
    added = loads(new.encode(), {}, HERE).feeds[-1]
    shown = "".join(char for char in title if char.isprintable())
    assert added.title == (" ".join(shown.split()) or "new")
    assert edit_feeds(new, remove=["new"]) == text
