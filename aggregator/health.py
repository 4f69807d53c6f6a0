"""Whether the daemon is well, in JSON for whoever watches over it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aggregator.metrics import Reading


@dataclass(frozen=True, slots=True)
class Health:
    """An HTTP status, 200 or 503, and a JSON object: `status` ok or trouble, `troubles`, and a few numbers."""

    status: int
    body: bytes


def health(read: Callable[[], Reading], paused: str | None, late: Sequence[str]) -> Health:
    """How it is: trouble while polling stands still, a job hangs or the archive cannot be read.

    A feed that is down is the outlet's trouble and not the daemon's: `failing` counts them.
    """
    troubles = [*([paused] if paused else []), *late]
    facts: dict[str, object] = {}
    try:
        seen = read()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the archive is what is to be said
        troubles.append(f"the archive cannot be read ({type(error).__name__})")
    else:
        last = seen.numbers.last_success
        facts = {
            "articles": seen.numbers.articles,
            "due": seen.numbers.due,
            "failing": seen.numbers.failing,
            "last_success_seconds": None if last is None else round((seen.now - last).total_seconds()),
            "disk_free_bytes": seen.free,
        }
    answer = {"status": "trouble" if troubles else "ok", "troubles": troubles, **facts}
    return Health(503 if troubles else 200, json.dumps(answer, ensure_ascii=False).encode() + b"\n")
