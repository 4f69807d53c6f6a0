"""When to ask again, and what to think of a feed: pure decisions over what its server said and how it behaved."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

MAX_WAIT = timedelta(days=1)
"""The longest a `Retry-After` is obeyed: a server that says "in 30 years" is asked again tomorrow."""

MAX_FRESH = timedelta(days=7)
"""The longest a `max-age` counts; the feed's own `max_interval` bounds it further."""


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """How long `Retry-After` (RFC 9110 10.2.3, seconds or an HTTP date) asks to wait, from 0 to a day.

    None where it is absent or unreadable (negative, fractions, words).
    """
    text = (value or "").strip()
    if re.fullmatch(r"\d+", text, re.ASCII):
        return min(timedelta(seconds=min(int(text[:12]), 10**9)), MAX_WAIT)
    when = http_date(text)
    return min(max(when - now, timedelta(0)), MAX_WAIT) if when else None


def http_date(text: str) -> datetime | None:
    """An aware instant from an HTTP date, None where it is none."""
    if not re.match(r"[A-Z][a-z]{2,8},? ", text):
        return None
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.tzinfo else None


def max_age(cache_control: str | None) -> timedelta | None:
    """`max-age` of Cache-Control (RFC 9111 5.2.2.1), at most a week; None with `no-cache`, `no-store` or none."""
    text = (cache_control or "").lower()
    found = re.search(r"(?:^|[\s,])max-age\s*=\s*\"?(\d+)", text, re.ASCII)
    if not found or re.search(r"no-(?:cache|store)", text):
        return None
    return min(timedelta(seconds=min(int(found.group(1)[:12]), 10**9)), MAX_FRESH)
