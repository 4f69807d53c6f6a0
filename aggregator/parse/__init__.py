"""Bytes of a feed to a `Document`: RSS, Atom and JSON Feed, however faulty; encodings and dates as they really are."""

from __future__ import annotations

from aggregator.parse.feed import parse_feed

__all__ = ["parse_feed"]
