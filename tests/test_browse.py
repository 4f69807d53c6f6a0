"""Datasette on a real archive, asked over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from aggregator.browse import QUERIES

ROOT = Path(__file__).resolve().parent.parent
Ask = Callable[..., tuple[int, object]]


@pytest.fixture
def ask(newsroom, tmp_path: Path) -> Iterator[Ask]:
    """A poll of the pretend press, opened by `aggregator browse`: a function from path and fields to status and JSON."""
    pytest.importorskip("datasette")
    environ = {**os.environ, "AGGREGATOR_ARCHIVE": str(tmp_path / "news.db")}
    environ["AGGREGATOR_FEEDS"] = str(newsroom.feeds_yaml(tmp_path))
    command = [sys.executable, "-m", "aggregator"]
    subprocess.run([*command, "poll"], cwd=ROOT, env=environ, check=True, capture_output=True, timeout=100)
    with subprocess.Popen(
        [*command, "browse", "--port", "0"], cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        address = urlsplit(server.stderr.readline().strip())
        assert address.port

        def get(path: str, **fields: str) -> tuple[int, object]:
            connection = http.client.HTTPConnection("127.0.0.1", address.port or 0, timeout=60)
            connection.request("GET", f"{address.path}{path}?{urlencode(fields)}")
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer.status, json.loads(body) if body[:1] in (b"[", b"{") else body.decode()

        yield get
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)


def test_the_archive_in_a_browser(ask: Ask) -> None:
    """Chinese search in both scripts, phrases and fields; every question made ready; nothing can be written."""
    for query, expected in (
        ("甲烷", {"晨报", "港城日报"}),
        ("甲", {"晨报", "港城日报"}),
        ("國家甲烷行動計劃", {"晨报", "港城日报"}),
        ('"methane action plan"', {"The Ledger"}),
        ("甲烷 OR methane", {"晨报", "港城日报", "The Ledger"}),
        ("甲烷 -outlet:晨报", {"港城日报"}),
        ("地铁 lang:zh", {"晨报"}),
        ("没有这个词", set()),
        ("", set()),
        ('"open', set()),
        ("') OR 1=1 --", set()),
    ):
        status, rows = ask("/search.json", _shape="array", query=query)
        assert status == 200
        assert isinstance(rows, list)
        assert {row["outlet"] for row in rows} == expected, query
    given = {
        "query": "甲烷",
        "clause": "sunnylands-2023/10",
        "agreement": "sunnylands-2023",
        "article": "1",
        "story": "1",
    }
    for name, query in QUERIES.items():
        status, rows = ask(f"/{name}.json", _shape="array", **{one: given[one] for one in query.get("params", ())})
        assert (status, isinstance(rows, list)) == (200, True), name
        assert rows or name in ("story_of", "feeds_down"), name
    status, page = ask("/search", query="甲烷")
    assert status == 200
    assert "中美在阳光之乡声明中就甲烷达成共识" in str(page)
    for sql in ("delete from article", "insert into feed(id) values('x')", "update article set title='x'"):
        assert ask(".json", sql=sql)[0] == 400
    status, rows = ask(".json", _shape="array", sql="select count(*) as n from all_articles")
    assert (status, rows) == (200, [{"n": 5}])


@pytest.mark.databases("sqlite")  # Datasette reads files
def test_without_an_archive(command) -> None:
    """It says what to do, before anything listens."""
    done = command("browse", "--port", "0")
    assert done.returncode == 1
    assert "there is no archive" in done.stderr
