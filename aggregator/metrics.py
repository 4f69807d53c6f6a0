"""What Prometheus may ask: counters that the daemon keeps, and numbers read from the archive when it asks.

The owner of prometheus-client. Every series is named in `Metrics`; the units are seconds and bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from aggregator.model import PollReport, PollStatus

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Named(Protocol):
    """A job."""

    @property
    def name(self) -> str: ...  # noqa: D102


class Numbers(Protocol):
    """What is read of `store.census.Census`."""

    @property
    def articles(self) -> int: ...  # noqa: D102

    @property
    def newest(self) -> Mapping[str, datetime]: ...  # noqa: D102

    @property
    def tags(self) -> Mapping[str, int]: ...  # noqa: D102

    @property
    def digests(self) -> Mapping[str, int]: ...  # noqa: D102

    @property
    def due(self) -> int: ...  # noqa: D102

    @property
    def failing(self) -> int: ...  # noqa: D102

    @property
    def last_success(self) -> datetime | None: ...  # noqa: D102


@dataclass(frozen=True)
class Reading:
    """One look at the archive: its numbers, its size and the room on its disk in bytes (None where unknown)."""

    numbers: Numbers
    size: int
    free: int | None
    now: datetime


@dataclass
class Metrics:
    """The daemon's counters in a registry of their own. `read` looks at the archive; it may raise."""

    read: Callable[[], Reading]
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        where = self.registry
        self.polls = Counter(
            "aggregator_polls", "Polls by feed and how they ended.", ("feed", "status"), registry=where
        )
        self.entries = Counter("aggregator_entries", "Entries by what became of them.", ("outcome",), registry=where)
        self.failures = Counter("aggregator_failures", "Failed polls by kind of failure.", ("kind",), registry=where)
        self.jobs = Counter("aggregator_jobs", "Turns of jobs by how they ended.", ("job", "outcome"), registry=where)
        self.took = Histogram(
            "aggregator_job_seconds",
            "How long turns of jobs took.",
            ("job",),
            buckets=(0.1, 1, 10, 60, 600),
            registry=where,
        )
        self.paused = Gauge(
            "aggregator_paused", "1 while polling stands still because the disk is full.", registry=where
        )
        self.started = Gauge("aggregator_start_time_seconds", "When the daemon started.", registry=where)
        self.registry.register(_Archive(self.read))

    def count(self, report: PollReport) -> None:
        """One feed's turn."""
        self.polls.labels(report.feed, report.status.value).inc()
        for outcome in ("new", "revised", "unchanged", "reprints"):
            self.entries.labels(outcome).inc(getattr(report, outcome))
        if report.status in (PollStatus.FAILED, PollStatus.GONE):
            self.failures.labels(report.kind or "other").inc()

    def turn(self, job: Named, seconds: float) -> None:
        """A job's turn that ended well."""
        self.jobs.labels(job.name, "ok").inc()
        self.took.labels(job.name).observe(seconds)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


class _Archive:
    """Numbers that are read when they are asked for."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read

    def describe(self) -> list[Metric]:
        """Nothing: the archive is not asked before anybody wants to know."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The archive's numbers; where it cannot be read, one series that says so and the rest left out."""
        try:
            seen = self._read()
        except Exception:  # noqa: BLE001 - whatever is wrong with the archive, the counters are still told
            yield _gauge("aggregator_archive_up", "1 when the archive can be read.", 0)
            return
        yield _gauge("aggregator_archive_up", "1 when the archive can be read.", 1)
        yield from _of_archive(seen)


def _of_archive(seen: Reading) -> Iterator[Metric]:
    found, now = seen.numbers, seen.now
    yield _gauge("aggregator_articles", "Articles in the archive.", found.articles)
    yield _gauge("aggregator_archive_bytes", "Size of the archive with its log.", seen.size)
    if seen.free is not None:
        yield _gauge("aggregator_disk_free_bytes", "Room on the archive's disk.", seen.free)
    yield _gauge("aggregator_feeds_due", "Feeds whose time has come and that wait to be polled.", found.due)
    yield _gauge("aggregator_feeds_failing", "Feeds that are down.", found.failing)
    if found.last_success is not None:
        age = (now - found.last_success).total_seconds()
        yield _gauge("aggregator_last_success_seconds", "Time since any feed last answered well.", age)
    ages = {outlet: (now - newest).total_seconds() for outlet, newest in found.newest.items()}
    yield _gauges("aggregator_newest_article_seconds", "Age of the newest article by outlet.", "outlet", ages)
    yield _gauges("aggregator_tags", "Clause tags in the archive by relation.", "relation", found.tags)
    yield _gauges("aggregator_digests", "Digests in the archive by state.", "state", found.digests)


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(name, said, value=value)


def _gauges(name: str, said: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, said, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
