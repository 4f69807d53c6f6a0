"""`feeds`: how each one stands, and the list of them, over a real web server on loopback."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from aggregator.app import now
from aggregator.cli import cli
from aggregator.model import Feed, FeedState
from aggregator.store import feeds as store
from aggregator.store.archive import Archive

RSS = (
    b"<rss version='2.0'><channel><title>Morning News</title><link>http://x/</link><description>d</description>"
    b"<item><title>One</title><link>http://x/1</link><pubDate>Mon, 05 Jan 2026 08:00:00 GMT</pubDate></item></channel></rss>"
)
PAGE = b"<html><head><link rel=alternate type=application/rss+xml href=/feed.xml></head><body>News</body></html>"
PAGES = {"/feed.xml": RSS, "/": PAGE, "/nothing": b"<html><body>nothing here</body></html>"}


@pytest.fixture(scope="module")
def port():
    """A web server with a feed, a page that names it, and a page that names none."""

    class Handler(BaseHTTPRequestHandler):
        """Answers from PAGES."""

        def do_GET(self):
            """Answer."""
            found = PAGES.get(self.path)
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


class House:
    """A feeds.yaml and an archive in a folder, and the command over them."""

    def __init__(self, archive: str, folder, port: int) -> None:
        self.file, self.archive = folder / "feeds.yaml", archive
        self.base = f"http://127.0.0.1:{port}"
        self.file.write_text(f'# ours\nnetwork: {{allow: ["127.0.0.1:{port}"]}}\nfeeds: []\n')

    def __call__(self, *args: str, status: int = 0) -> str:
        """Standard output of `aggregator feeds …`, which must end so."""
        from aggregator.errors import AggregatorError

        done = CliRunner().invoke(cli, ["--archive", self.archive, "--feeds", str(self.file), "feeds", *args])
        ended = done.exception.status if isinstance(done.exception, AggregatorError) else done.exit_code
        assert ended == status, (done.output, done.exception)
        return done.stdout

    def rows(self, *args: str, status: int = 0) -> list[dict]:
        """Its JSON."""
        return json.loads(self(*args, "--format", "json", status=status))


@pytest.fixture
def house(tmp_path, archive_url, port):
    """An empty one."""
    return House(archive_url, tmp_path, port)


def test_adding_and_removing(house):
    """A feed's address is added with its title; the rest of the file stays; removing undoes it."""
    before = house.file.read_text()
    house("add", f"{house.base}/feed.xml", "--id", "morning", "--category", "World")
    text = house.file.read_text()
    assert text.startswith("# ours")
    assert "Morning News" in text
    [row] = house.rows("list")
    assert (row["feed"], row["standing"]) == ("morning", "untried")
    house("remove", "morning")
    assert house.rows("list") == []
    assert house.file.read_text().startswith(before.partition("feeds:")[0])
    house("remove", "morning", status=2)


def test_adding_by_a_page(house):
    """The address of a page adds the feed it names, else the one at a usual place."""
    for page in ("/", "/nothing"):
        house("add", house.base + page)
        assert f"{house.base}/feed.xml" in house.file.read_text()
        house("remove", f"{house.base}/feed.xml")


@pytest.mark.parametrize(
    ("url", "status"),
    [("{}/404", 1), ("http://127.0.0.1:9/feed", 1), ("http://10.0.0.1/", 1), ("ftp://x/", 2)],
)
def test_what_is_not_added(house, url, status):
    """No page, no answer, a private address, another scheme: an error, and feeds.yaml is unchanged."""
    before = house.file.read_bytes()
    house("add", url.format(house.base), status=status)
    assert house.file.read_bytes() == before


def test_a_route_without_an_instance_is_added_unasked(house):
    """An rsshub:// route can be added before there is an instance, and says that it needs one."""
    house("add", "rsshub://sina/finance/china")
    assert house.rows("list")[0]["standing"] == "needs"


def test_checking(house):
    """Every feed is asked, nothing is stored; the status tells whether one fails."""
    house("add", f"{house.base}/feed.xml", "--id", "good")
    [row] = house.rows("check")
    assert (row["entries"], row["error"], row["known"]) == (1, None, None)
    assert house.archive.startswith("postgresql:") or not Path(house.archive).exists()
    house("add", f"{house.base}/404", "--id", "bad", "--unchecked")
    rows = house.rows("check", status=1)
    assert [row["standing"] for row in rows][1] == "failing"
    assert "404" in rows[1]["error"]


def test_opml_in_and_out(house, tmp_path):
    """Feeds go out as OPML without secrets and come in again, each once."""
    house("add", f"{house.base}/feed.xml")
    house("add", "https://user:hush@other.example/feed?key=hush", "--title", "Other", "--unchecked")
    out = tmp_path / "out.opml"
    house("export", "--out", str(out))
    assert "hush" not in out.read_text()
    assert house("export").encode() == out.read_bytes()
    more = out.read_text().replace("</body>", '<outline text="New" xmlUrl="https://new.example/feed"/></body>')
    out.write_text(more)
    house("import", str(out))
    text = house.file.read_text()
    assert text.count("/feed.xml") == 1
    assert "https://new.example/feed" in text


def test_an_operators_view(house):
    """Twelve feeds, one of each standing, in one table that a person reads."""
    at = now()
    usual = {"window": 20, "dated": 20, "known": 0.9, "newest": (at - timedelta(hours=2)).isoformat(), "gap": 3600.0}
    there = {"since": at.isoformat(), "seen": 3, "polls": 4}
    cases = {
        "fine": {},
        "gone": {"gone": True, "failing_since": at - timedelta(days=1)},
        "challenge": {"failing_since": at, "failures": 1, "kind": "challenge"},
        "failing": {"failing_since": at, "failures": 9, "last_error": "x.example answered 503."},
        "empty": {"window": 0},
        "frozen": {"newest": "2018-09-23T00:00:00+00:00"},
        "overrun": {"overrun": {"at": at.isoformat(), "missed": 30}},
        "moved": {"moved": {"from": "https://moved.example/", "to": "https://new.example/", "settled": True} | there},
        "switched": {"active": {"url": "https://mirror.example/"} | there},
        "undated": {"dated": 0},
        "untried": {},
    }
    lines = "".join(f"  - {{id: {name}, url: 'https://{name}.example/'}}\n" for name in cases)
    house.file.write_text(f"feeds:\n{lines}  - {{id: needs, url: 'rsshub://x/y'}}\n")
    archive = Archive.open(house.archive, write=True)
    with archive.writing() as connection:
        for name, more in cases.items():
            if name == "untried":
                continue
            columns = {key: value for key, value in more.items() if key in FeedState.__dataclass_fields__}
            extra = usual | {key: value for key, value in more.items() if key not in columns}
            state = FeedState(name, last_poll=at, last_success=at, last_new=at, extra=extra, **columns)
            store.save(connection, Feed(name, (f"https://{name}.example/",), name, name), state)
    archive.close()
    rows = house.rows("list")
    assert {row["feed"]: row["standing"] for row in rows} == {name: name for name in (*cases, "needs")}
    assert len(rows) == 12
    table = house("list")
    assert all(name in table for name in cases)
    assert "90%" in table
    assert "overrun: overrun on" in table
    assert "about 30 were probably missed; it is asked more often now" in table


def test_durations_as_people_say_them():
    """One unit, the largest that fits."""
    from aggregator.cli.feeds import ago, span

    spans = [timedelta(seconds=9), timedelta(minutes=1), timedelta(minutes=90), timedelta(hours=30), timedelta(days=9)]
    assert [span(length) for length in spans] == ["9s", "1m", "90m", "30h", "9d"]
    assert ago(None, datetime(2026, 1, 1, tzinfo=UTC)) == "never"
