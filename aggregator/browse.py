"""The archive in a web browser, read-only, by Datasette (extra `browse`): tables, views, SQL, questions made ready.

`search(query)` is an SQL function with the whole search language, Chinese included; it gives the ids it finds as JSON.
"""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from aggregator.errors import AggregatorError, QueryError, UsageError
from aggregator.query import parse
from aggregator.store import lookup

MOST = 2_000
"""Articles that one search gives, newest first, and rows on one page of answers."""
_INNER = (
    "alembic_version", "article_slot", "article_word", "reprint_key", "reprint_link", "story_key", "story_links",
    "trace", "story_alias", "unrelated",
)  # fmt: skip
QUERIES: dict[str, dict[str, Any]] = {
    "search": {
        "title": "Search 检索",
        "description": 'Words, "phrases", OR, -not, title: outlet: lang: clause: since: — as `aggregator search`',
        "sql": "SELECT id, dated, outlet, title, url, story_id, reprint_of FROM all_articles"
        " WHERE id IN (SELECT value FROM json_each(search(:query))) ORDER BY dated DESC",
        "params": ["query"],
    },
    "clause": {
        "title": "Articles on a clause, with the sentence that shows it",
        "sql": "SELECT dated, outlet, title, quote, score, url, article_id FROM coverage WHERE clause = :clause"
        " ORDER BY dated DESC",
        "params": ["clause"],
    },
    "outlets": {
        "title": "Clauses of an agreement by outlet, beside everything the outlet published",
        "sql": "SELECT clause, outlet, count(*) AS articles,"
        " (SELECT sum(articles) FROM outlet_weeks w WHERE w.outlet = c.outlet) AS of_all"
        " FROM coverage c WHERE agreement = :agreement GROUP BY clause, outlet ORDER BY clause, articles DESC",
        "params": ["agreement"],
    },
    "weeks": {
        "title": "A clause week by week",
        "sql": "SELECT week, sum(articles) AS articles, count(DISTINCT outlet) AS outlets FROM clause_weeks"
        " WHERE clause = :clause GROUP BY week ORDER BY week",
        "params": ["clause"],
    },
    "evidence_of": {
        "title": "All evidence in one article",
        "sql": "SELECT clause, relation, score, field, starts, ends, quote, rule FROM evidence"
        " WHERE article_id = :article ORDER BY clause",
        "params": ["article"],
    },
    "story_of": {
        "title": "A story, outlet by outlet",
        "sql": "SELECT * FROM story_articles WHERE story_id = :story ORDER BY dated",
        "params": ["story"],
    },
    "feeds_down": {"title": "Feeds that are down", "sql": "SELECT * FROM feed_health WHERE down_since IS NOT NULL"},
}


def serve(archive: Path, host: str, port: int, clock: Callable[[], datetime], say: Callable[[str], object]) -> None:
    """Serve until interrupted; port 0 takes a free one. `say` is told the address.

    Raises AggregatorError naming the extra to install, or the address that cannot be had.
    """
    try:
        import uvicorn
        from datasette.app import Datasette
    except ModuleNotFoundError as error:
        raise AggregatorError("browsing needs Datasette: pip install 'aggregator[browse]'") from error
    with lookup.opened(archive) as connection:
        if connection is None:
            raise UsageError(f"{archive} cannot be browsed; `aggregator archive check` says more")
    _quieten()
    _register(archive, clock)
    site = Datasette(
        [str(archive)],
        metadata=metadata(archive),
        settings={
            "default_page_size": 50,
            "max_returned_rows": MOST,
            "sql_time_limit_ms": 10_000,
            "allow_download": False,
            "truncate_cells_html": 300,
        },
    )
    listening = _listening(host, port)
    say(f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/{_name(archive)}")
    config = uvicorn.Config(site.app(), log_level="warning", lifespan="on")
    uvicorn.Server(config).run(sockets=[listening])


def _quieten() -> None:
    """Else every mistake in a query prints a page of Datasette's variables."""
    from datasette import handle_exception  # only after datasette.app, which registers it

    handle_exception.rich = None


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise AggregatorError(f"cannot listen on {host}:{port} ({error.strerror}); name another --port") from error


def metadata(archive: Path) -> dict[str, Any]:
    """What Datasette shows beside the data."""
    tables = {name: {"hidden": True} for name in _INNER} | {
        "all_articles": {"description": "One row an article, with its story and what it reprints."},
        "coverage": {"description": "One row for each article and clause that it discusses."},
        "evidence": {"description": "One row for each sentence that shows a clause."},
    }
    return {
        "title": "aggregator",
        "description": "The archive, read-only. search('甲烷') finds articles as `aggregator search` does.",
        "databases": {_name(archive): {"queries": QUERIES, "tables": tables}},
    }


def _name(archive: Path) -> str:
    """What Datasette calls the file."""
    return archive.stem


def _register(archive: Path, clock: Callable[[], datetime]) -> None:
    """Give every connection of Datasette's the function `search`."""
    from datasette import hookimpl
    from datasette.plugins import pm

    class Plugin:
        __name__ = "aggregator"

        @hookimpl  # type: ignore[untyped-decorator]
        def prepare_connection(self, conn: sqlite3.Connection) -> None:
            conn.create_function("search", 1, lambda query: found(archive, query, clock()))

    pm.register(Plugin(), name="aggregator")


def found(archive: Path, query: object, now: datetime) -> str:
    """The ids that a query finds, newest first, as a JSON list; an empty one for a query that cannot be read."""
    with lookup.opened(archive) as connection:
        if connection is None:
            return "[]"
        try:
            tree = parse(str(query or ""), now, partial(lookup.saved, connection))
        except QueryError:
            return "[]"
        return json.dumps(lookup.find(connection, tree, limit=MOST, count=False).ids)
