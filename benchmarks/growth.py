"""Polling and searching on PostgreSQL while the archive grows: the same cost at 1,000,000 articles?

    python benchmarks/growth.py [--base 50000] [--times 1,2,20]

`--base` articles are stored and copied to PostgreSQL; then the database copies them within itself, older and older, with
names and keys of their own, until there are so many times as many. At each size, in CPU milliseconds of the asking
process and of PostgreSQL together: a page of twenty, newest first, for the queries of `moving.py`; admitting a new
article (decide, store, index, tag, relate) and a poll that brought nothing, as in `scale.py`. The copies carry no traces:
what relating costs in an archive full of them is measured by `duplicates.py growth`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aggregator.store import search, transfer
from aggregator.store.archive import Archive
from aggregator.store.docids import SLOT
from benchmarks.moving import QUERIES, fill, page
from benchmarks.scale import PER_FEED, measure
from tests.postgres import MISSING, Server, start

OWN = {
    "article": {
        "id": "id + {number} * 10000000",
        "docid": "docid - {number} * {span}",
        "guid": "guid || '-{number}'",
        "url": "url || '-{number}'",
        "content_key": "md5(content_key || '{number}')",
        "published": "published - {number} * {span} * interval '{slot} seconds'",
    },
    "article_fts": {"docid": "docid - {number} * {span}"},
}
"""What a copy has of its own; everything else is the original's."""


def multiply(archive: Archive, base: int, done: int, times: int) -> None:
    """From `done` times as many articles to `times` times."""
    with archive.writing() as connection:

        def ask(sql: str) -> list[str]:
            return list(connection.exec_driver_sql(sql).scalars())

        span = ask(f"SELECT max(docid) - min(docid) + 1 FROM article WHERE id <= {base}")[0]
        making = ask("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_article_fts_terms'")[0]
        connection.exec_driver_sql("DROP INDEX ix_article_fts_terms")
        for number in range(done, times):
            for table, own in OWN.items():
                columns = ask(
                    f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'"
                    " AND is_generated = 'NEVER' ORDER BY ordinal_position"
                )
                facts = {"number": number, "span": span, "slot": SLOT}
                values = ", ".join(own.get(column, column).format(**facts) for column in columns)
                source = (
                    f"id <= {base}"
                    if table == "article"
                    else f"docid IN (SELECT docid FROM article WHERE id <= {base})"
                )
                connection.exec_driver_sql(
                    f"INSERT INTO {table}({', '.join(columns)}) SELECT {values} FROM {table} WHERE {source}"
                )
        connection.exec_driver_sql(
            "SELECT setval(pg_get_serial_sequence('article', 'id'), (SELECT max(id) FROM article))"
        )
        connection.exec_driver_sql("SET maintenance_work_mem = '512MB'")
        connection.exec_driver_sql(making)
        search.optimize(connection)
    # What autovacuum would do in the middle of what is measured.
    with psycopg.connect(archive.conninfo, autocommit=True) as raw:
        raw.execute("VACUUM ANALYZE")


def report(archive: Archive, server: Server, count: int) -> None:
    """One row."""
    pages = [page(server, query, archive)[0] for query in QUERIES]
    cost = measure(archive, server, 10 * PER_FEED, 1, seed=count)
    cells = [
        f"{archive.size() / 1e9:.1f} GB",
        *(f"{one:.1f}" for one in pages),
        f"{cost.article:.1f}",
        f"{cost.poll:.2f}",
    ]
    print(f"| {count:,} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Store, copy, multiply, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=int, default=50_000)
    parser.add_argument("--times", default="1,2,20")
    options = parser.parse_args()
    server = start()
    if server is None:
        sys.exit(MISSING)
    try:
        with tempfile.TemporaryDirectory() as folder, closing(Archive.target(server.empty())) as archive:
            with closing(Archive.open(f"{folder}/a.db", write=True)) as first:
                fill(first, options.base)
                transfer.copy(first, archive, lambda _line: None)
            print(f"| articles | size | {' | '.join(QUERIES)} | a new one | a poll without news |")
            print("|---" * (len(QUERIES) + 4) + "|", flush=True)
            done = 1
            for times in map(int, options.times.split(",")):
                began = time.monotonic()
                multiply(archive, options.base, done, times)
                done = times
                print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
                report(archive, server, options.base * times)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
