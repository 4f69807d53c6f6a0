"""Full text through a whole poll: the page is asked once, stored, and does not make the entry look revised."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aggregator.app import App
from aggregator.pipeline import poll
from aggregator.store import articles

TITLES = ("两国讨论甲烷排放的测量", "专家谈可再生能源的装机", "各地推进垃圾分类的做法")
LONG = "".join(f"<p>第{n}段说明了有关的情况，内容比订阅里的摘要长得多，读者可以看到全部经过。</p>" for n in range(9))
RULES = "User-agent: *\nDisallow: /2\n"


def item(number: int, base: str) -> str:
    """An entry whose text is a summary."""
    return (
        f"<item><title>{TITLES[number]}</title><link>{base}/{number}</link><guid>g{number}</guid>"
        f"<description>摘要：{TITLES[number]}。</description><pubDate>Mon, 05 Jan 2026 0{number}:00:00 GMT</pubDate></item>"
    )


@pytest.fixture
def site():
    """A site with a feed of three, a page for each, and a robots.txt that forbids the last one."""
    asked: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        """Answers by path; the feed says something new at every request, its entries stay."""

        def do_GET(self):
            """Answer."""
            asked[self.path] += 1
            base = f"http://127.0.0.1:{self.server.server_port}"
            if self.path == "/feed":
                items = "".join(item(number, base) for number in range(3))
                build = f"<lastBuildDate>{asked['/feed']}</lastBuildDate>"
                body = f"<rss version='2.0'><channel><title>N</title>{build}{items}</channel></rss>"
            elif self.path == "/robots.txt":
                body = RULES
            else:
                number = int(self.path[1:])
                body = f"<html><body><nav>首页</nav><div><h1>{TITLES[number]}</h1>{LONG if number != 1 else ''}</div></body></html>"
            data = body.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_pages_are_fetched_once(site, tmp_path, archive_url):
    """New entries get their pages where these hold more and may be read; a second poll asks for none of them."""
    place, asked = site
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text(
        f'network: {{allow: ["{place}"]}}\nfeeds:\n  - {{id: n, url: "http://{place}/feed", fulltext: true}}\n'
    )
    app = App(archive_url, str(feeds), environ={})
    with app.parts() as parts:
        [first] = poll(app.settings.feeds, parts)
        [second] = poll(app.settings.feeds, parts)
        with parts.archive.reading() as connection:
            stored = {article.guid: article for article in articles.every(connection)}
    assert (first.new, first.error) == (3, None)
    assert (second.new, second.revised, second.unchanged) == (0, 0, 3)
    assert asked == {"/feed": 2, "/robots.txt": 1, "/0": 1, "/1": 1}
    assert stored["g0"].fulltext == "page"
    assert "第8段" in stored["g0"].text
    assert "首页" not in stored["g0"].text
    assert stored["g1"].fulltext.startswith("feed")
    assert "robots" in stored["g2"].fulltext
    assert stored["g2"].text.startswith("摘要")
    assert datetime.now(UTC) - stored["g0"].first_seen < timedelta(minutes=5)  # noqa: TID251 - a real poll, a real clock
