"""What docs/archive.md says of tables and views is so."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from aggregator.store.archive import Archive
from aggregator.store.views import ddl

DOCS = (Path(__file__).resolve().parent.parent / "docs" / "archive.md").read_text(encoding="utf-8")


def test_views_have_the_columns_that_are_documented(archive_url: str) -> None:
    """Each view of an archive stands in the table with exactly its columns, and every query there runs."""
    with closing(Archive.open(archive_url, write=True)) as archive, archive.reading() as connection:
        views = set(sa.inspect(connection).get_view_names())
        said = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|$", DOCS, re.MULTILINE))
        assert set(said) == views
        for view in views:
            columns = list(connection.exec_driver_sql(f"SELECT * FROM {view}").keys())
            assert [
                re.sub(r" *\([^)]*\)", "", one).strip() for one in re.split(r", (?![^(]*\))", said[view])
            ] == columns
        (queries,) = re.findall(r"```sql\n(.*?)```", DOCS, re.DOTALL)
        for query in queries.split(";"):
            connection.exec_driver_sql(query)


def test_views_are_written_for_both_databases() -> None:
    """The same views in the same order on SQLite and PostgreSQL."""
    names = [re.findall(r"CREATE VIEW (\w+)", statement) for statement in ddl("sqlite")]
    assert names == [re.findall(r"CREATE VIEW (\w+)", statement) for statement in ddl("postgresql")]
    assert not any(
        "$" in statement.replace("'$.", "").replace("'$[", "")
        for one in ("sqlite", "postgresql")
        for statement in ddl(one)
    )
