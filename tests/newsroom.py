"""A small pretend press on loopback: three outlets, in Chinese and English, written for the tests and the README.

with Newsroom() as room: room.feeds_yaml(folder)      feeds.yaml that names its feeds
"""

from __future__ import annotations

import hashlib
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.serving import Serving

OUTLETS = {"morning": "晨报", "harbour": "港城日报", "ledger": "The Ledger"}

# (outlet, guid, title, date, paragraphs)
ARTICLES: list[tuple[str, str, str, str, list[str]]] = [
    (
        "morning",
        "m-1",
        "中美在阳光之乡声明中就甲烷达成共识",
        "Wed, 15 Nov 2023 03:10:00 GMT",
        [
            "中美两国11月15日发表关于加强合作应对气候危机的阳光之乡声明。",
            "声明说，双方将落实各自的国家甲烷行动计划，并视情采取进一步的控制措施。",
            "两国还将启动“21世纪20年代强化气候行动工作组”，定期交流政策和技术。",
            "本报记者在华盛顿了解到，谈判持续了四天，最后一夜才就措辞谈拢。",
        ],
    ),
    (
        "harbour",
        "h-1",
        "中美陽光之鄉聲明聚焦甲烷",
        "Wed, 15 Nov 2023 05:40:00 GMT",
        [
            "（來源：晨报）中美兩國11月15日發表關於加強合作應對氣候危機的陽光之鄉聲明。",
            "聲明說，雙方將落實各自的國家甲烷行動計劃，並視情採取進一步的控制措施。",
            "兩國還將啟動“21世紀20年代強化氣候行動工作組”，定期交流政策和技術。",
            "本報記者在華盛頓了解到，談判持續了四天，最後一夜才就措辭談攏。",
        ],
    ),
    (
        "ledger",
        "l-1",
        "China and US put methane at the heart of the Sunnylands Statement",
        "Wed, 15 Nov 2023 09:00:00 GMT",
        [
            "China and the United States published the Sunnylands Statement on 15 November after four days of talks.",
            "Each country will carry out its national methane action plan and consider further measures.",
            "A working group on climate action in the 2020s starts its work at once.",
        ],
    ),
    (
        "morning",
        "m-2",
        "港城新地铁线路明年通车",
        "Thu, 16 Nov 2023 01:00:00 GMT",
        ["港城地铁公司表示，环线最后一段轨道已经铺通。", "新线共有二十一座车站，预计每天运送四十万人次。"],
    ),
    (
        "ledger",
        "l-2",
        "Ports ready shore power for container ships",
        "Thu, 16 Nov 2023 08:30:00 GMT",
        [
            "Six ports will offer shore power to container ships by next summer.",
            "Engines can then be switched off at berth.",
        ],
    ),
]


class Newsroom(Serving):
    """The server; `edit` rewrites an article, `break_feed` makes one outlet answer 503."""

    def __init__(self) -> None:
        self.articles = {guid: (outlet, title, date, list(body)) for outlet, guid, title, date, body in ARTICLES}
        self.broken: set[str] = set()
        self.requests = 0
        handler = type("Handler", (_Handler,), {"room": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = self._server.server_address[1]

    def edit(self, guid: str, paragraph: str) -> None:
        """The outlet rewrites the first paragraph."""
        self.articles[guid][3][0] = paragraph

    def feed(self, outlet: str) -> bytes:
        """The outlet's RSS document."""
        items = "".join(
            f"<item><guid isPermaLink='false'>{guid}</guid><title>{escape(title)}</title><pubDate>{date}</pubDate>"
            f"<link>http://127.0.0.1:{self.port}/{outlet}/{guid}.html</link>"
            f"<description>{escape(''.join(f'<p>{line}</p>' for line in body))}</description></item>"
            for guid, (name, title, date, body) in reversed(self.articles.items())
            if name == outlet
        )
        return (
            f"<?xml version='1.0'?><rss version='2.0'><channel><title>{outlet}</title>{items}</channel></rss>".encode()
        )

    def feeds_yaml(self, folder: Path) -> Path:
        """A feeds.yaml that names the outlets' feeds."""
        lines = [f'network: {{allow: ["127.0.0.1:{self.port}"]}}', "contact: https://contact.example/", "feeds:"]
        for name, title in OUTLETS.items():
            lines.append(
                f"  - {{id: {name}, url: 'http://127.0.0.1:{self.port}/{name}.xml', title: {title}, outlet: {title}}}"
            )
        path = folder / "feeds.yaml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


class _Handler(BaseHTTPRequestHandler):
    room: Newsroom

    def do_GET(self) -> None:
        """A feed, with an ETag; 304 where it has not changed; 503 where it is broken."""
        self.room.requests += 1
        outlet = self.path.removeprefix("/").removesuffix(".xml")
        if outlet in self.room.broken or outlet not in OUTLETS:
            return self.send_error(503 if outlet in self.room.broken else 404)
        body = self.room.feed(outlet)
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        known = self.headers.get("If-None-Match") == tag
        self.send_response(304 if known else 200)
        self.send_header("ETag", tag)
        self.send_header("Content-Type", "application/rss+xml; charset=utf-8")
        self.send_header("Content-Length", "0" if known else str(len(body)))
        self.end_headers()
        if not known:
            self.wfile.write(body)
        return None

    def log_message(self, *_: object) -> None:
        """Say nothing."""
