"""Structured log lines on stderr, as text or JSON, through structlog (its owner).

One line for each thing that matters; nothing secret is ever passed in: addresses are masked where they are made.
"""

from __future__ import annotations

import logging
import sys
from typing import Any


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
    return {name: value for name, value in facts.items() if value is not None}


def _logger() -> Any:
    import structlog

    return structlog.get_logger()
