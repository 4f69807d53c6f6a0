"""The adaptive interval over a simulated week, with the benchmark's own feeds."""

from __future__ import annotations

import random

from aggregator.model import Feed
from benchmarks.schedule import RATES, Result, publications, run


def test_a_week_takes_half_the_requests_and_misses_nothing():
    """From ten entries an hour to one a month: at most half of what every 30 minutes takes, and no entry missed."""
    adaptive, fixed = Result(), Result()
    for number, rate in enumerate(RATES):
        entries = publications(rate, 7, random.Random(f"3/{number}"), daily=number % 2 == 0)
        feed = Feed(str(number), ("https://news.example/feed",), "", "")
        adaptive.add(run(feed, entries, 7, 0, adaptive=True))
        fixed.add(run(feed, entries, 7, 0, adaptive=False))
    assert adaptive.requests <= fixed.requests / 2
    assert adaptive.missed == 0
    assert adaptive.delay / adaptive.entries < 2 * fixed.delay / fixed.entries
