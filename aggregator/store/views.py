"""Views for people who use SQL directly: the usual questions without a join (docs/archive.md says what is in them)."""

from __future__ import annotations

from importlib import resources
from string import Template

_WHEN = "coalesce(a.published, a.first_seen)"
_UTC = f"{_WHEN} AT TIME ZONE 'UTC'"
_SAID = {
    "sqlite": {
        "day": f"substr({_WHEN}, 1, 10)",
        "week": f"date(substr({_WHEN}, 1, 10), '-6 days', 'weekday 1')",
        "month": f"substr({_WHEN}, 1, 7) || '-01'",
        "first_quote": "json_extract(t.evidence, '$[0].quote')",
        "each": "json_each(t.evidence) e",
        **{name: f"json_extract(e.value, '$.{name}')" for name in ("field", "start", "end", "quote", "rule")},
    },
    "postgresql": {
        "day": f"to_char({_UTC}, 'YYYY-MM-DD')",
        "week": f"to_char(date_trunc('week', {_UTC}), 'YYYY-MM-DD')",
        "month": f"to_char({_UTC}, 'YYYY-MM-01')",
        "first_quote": "t.evidence::json -> 0 ->> 'quote'",
        "each": "json_array_elements(t.evidence::json) e",
        **{name: f"e ->> '{name}'" for name in ("field", "quote", "rule")},
        **{name: f"(e ->> '{name}')::integer" for name in ("start", "end")},
    },
}


def ddl(dialect: str) -> tuple[str, ...]:
    """The statements that make the views, run by the migration; `dialect` is `sqlite` or `postgresql`."""
    said = _SAID[dialect]
    dated = f"{_WHEN} AS dated, {said['day']} AS day, {said['week']} AS week, {said['month']} AS month"
    text = (resources.files("aggregator.store") / "views.sql").read_text(encoding="utf-8")
    body = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return tuple(
        Template(statement.strip()).substitute(said, dated=dated) for statement in body.split(";") if statement.strip()
    )
