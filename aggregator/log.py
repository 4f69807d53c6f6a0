"""Structured log lines on stderr, as text or JSON, through structlog (its owner).

One line for each thing that matters, and nothing secret in it: addresses are masked where messages are made, and once
more here, without user, password and whatever in a query may be a key.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

from aggregator.addresses import masked

_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE)


def configure(form: str) -> None:
    """Set how lines look: `text` for people, `json` for machines. Called once, by whoever runs long."""
    import structlog

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would write every URL at INFO
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    shape: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            shape,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def info(event: str, **facts: Any) -> None:
    """Something that matters happened."""
    _logger().info(event, **_present(facts))


def warning(event: str, **facts: Any) -> None:
    """Something an operator may want to mend."""
    _logger().warning(event, **_present(facts))


def error(event: str, **facts: Any) -> None:
    """Something failed that should not."""
    _logger().error(event, **_present(facts))


def _present(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: _safe(value) for name, value in facts.items() if value is not None}


def _safe(value: Any) -> Any:
    """Text with every address in it masked."""
    return _ADDRESS.sub(lambda found: masked(found[0]), value) if isinstance(value, str) else value


def _logger() -> Any:
    import structlog

    return structlog.get_logger()
