"""What it costs to parse, with and without the child process: `python benchmarks/parsing.py`."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aggregator.parse import parse_feed
from aggregator.parser_pool import ParserPool

HOW = {
    "content_type": None,
    "url": "https://example.com/",
    "timezone": "UTC",
    "now": datetime(2026, 11, 21, tzinfo=UTC),
}
ENTRY = (
    "<item><title>第{0}条：各方讨论减少甲烷排放</title><link>https://example.com/{0}</link><guid>{0}</guid>"
    "<pubDate>Thu, 11 Nov 2021 02:17:41 GMT</pubDate><description><![CDATA[{1}]]></description></item>"
)


def feed(entries: int, paragraphs: int) -> bytes:
    """A feed of so many entries with so many paragraphs each."""
    items = "".join(ENTRY.format(i, "<p>会议讨论了逐步减少煤炭使用的办法。</p>" * paragraphs) for i in range(entries))
    return f'<rss version="2.0"><channel><title>t</title>{items}</channel></rss>'.encode()


def best(act, times: int = 30) -> float:
    """The least of so many runs, in milliseconds."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        took.append(time.perf_counter() - start)
    return min(took) * 1000


def main() -> None:
    """Print a table."""
    with ParserPool() as pool:
        print(f"start of a child: {best(lambda: pool.parse(feed(1, 1), **HOW), 1):.0f} ms")
        print("entries      kB   direct ms   child ms   overhead ms")
        for entries, paragraphs in ((0, 0), (1, 5), (20, 20), (100, 20), (1000, 5)):
            body = feed(entries, paragraphs)
            direct, child = best(lambda: parse_feed(body, **HOW)), best(lambda: pool.parse(body, **HOW))  # noqa: B023
            print(f"{entries:7} {len(body) / 1000:7.0f} {direct:11.2f} {child:10.2f} {child - direct:13.2f}")


if __name__ == "__main__":
    main()
