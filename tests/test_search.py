"""The full-text index: it finds what a scan finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aggregator import terms
from aggregator.query import parse
from aggregator.store import search
from aggregator.store.schema import article, metadata

NOW = datetime(2023, 11, 20, tzinfo=UTC)
FIRST = datetime(2021, 11, 1, tzinfo=UTC)

TEXTS = [
    ("中美宣布甲烷合作", "双方将就甲烷减排开展合作。气候变化特使出席。"),
    ("氣候大會閉幕", "聯合國氣候變化大會COP28峰會在迪拜閉幕，代表們乾杯。"),
    ("Methane pledge grows", "The biomethane industry joined; methane cuts cost $3.5 per tonne (CO2)."),
    ("天气预报", "今天的天气：晴，气温15°C。UNCOP26峰会。"),
    ("Country by country", "Countries agreed at COP26 to phase down coal."),
]


def archive(texts):
    """An archive in memory that holds the given texts, one a day."""
    engine = sa.create_engine("sqlite://")
    connection = engine.connect()
    metadata.create_all(connection)
    for statement in search.DDL:
        connection.exec_driver_sql(statement)
    seconds = [int((FIRST + timedelta(days=day)).timestamp() - 946684800) for day in range(len(texts))]
    docids = search.allocate(connection, seconds)
    rows = [
        {
            "docid": docid, "feed": "f", "outlet": "o", "content_key": "", "categories": [], "extra": {}, "html": "",
            "title": title, "text": text, "first_seen": NOW, "published": FIRST + timedelta(days=day),
        }
        for day, (docid, (title, text)) in enumerate(zip(docids, texts, strict=True))
    ]  # fmt: skip
    connection.execute(sa.insert(article), rows)
    search.index(connection, [(row["docid"], row["title"], row["text"]) for row in rows])
    return connection


@pytest.fixture(scope="module")
def five():
    """Five short articles."""
    return archive(TEXTS)


def found(connection, query):
    """Ids in ascending order."""
    return sorted(search.find(connection, parse(query, NOW), limit=100).ids)


@pytest.mark.parametrize(
    "needle",
    ["甲烷", "气候", "氣候", "气", "methane", "METHANE", "cop26", "COP28峰会", "峰会", "3.5", "$", "15°C", "(CO2)", "候变化特", "e", "-", "的天气："],
)
def test_a_phrase_finds_what_a_scan_finds(five, needle):
    """Substring of title and text, script and case folded."""
    wanted = [n for n, text in enumerate(TEXTS, 1) if terms.folded(needle) in terms.document(*text)]
    assert found(five, f'"{needle}"') == wanted
