"""Instants as heads and comments write them; a form and its instant give the same characters again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLI = timedelta(milliseconds=1)
_OFFSET = re.compile(r"iso([+-])(\d\d):(\d\d)\Z")
FORMS = ("rfc", "iso.ms", "iso", "plain", "day")


def render(moment: datetime, form: str) -> str:
    """`rfc` RFC 1123 in GMT; `iso.ms` and `iso` end in Z; `iso+08:00` has an offset; `plain` and `day` are bare UTC."""
    moment = moment.astimezone(UTC)
    if form == "rfc":
        return format_datetime(moment, usegmt=True)
    if found := _OFFSET.match(form):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3])) * (-1 if found[1] == "-" else 1)
        return moment.astimezone(timezone(offset)).isoformat(timespec="seconds")
    moment = moment.replace(tzinfo=None)
    if form == "day":
        return moment.date().isoformat()
    if form == "plain":
        return moment.isoformat(sep=" ", timespec="seconds")
    return moment.isoformat(timespec="milliseconds" if form == "iso.ms" else "seconds") + "Z"


def parse(text: str) -> tuple[datetime, str] | None:
    """The instant and the form that writes it so again; None for what is in no known form. Without zone it is UTC."""
    moment = _read(text)
    if moment is None:
        return None
    offset = re.search(r"T.*([+-]\d\d:\d\d)\Z", text)
    forms = FORMS + ((f"iso{offset[1]}",) if offset else ())
    for form in forms:
        try:
            if render(moment, form) == text:
                return moment, form
        except (ValueError, OverflowError):
            continue
    return None


def _read(text: str) -> datetime | None:
    for reader in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = reader(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def from_millis(text: str) -> datetime | None:
    """The instant of a count of milliseconds since 1970, None beyond the year 9999."""
    try:
        return _EPOCH + int(text) * _MILLI
    except (OverflowError, ValueError):
        return None


def millis(moment: datetime) -> int:
    """Milliseconds since 1970, cut off."""
    return (moment - _EPOCH) // _MILLI
