"""Wires the real parts: the one place that reads the clock, the environment and the usual folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import platformdirs

if TYPE_CHECKING:
    from aggregator.fetch import Fetcher, NetworkPolicy
    from aggregator.letters import Desk
    from aggregator.model import Article, Document, Feed, Fetched, Tags, Validators
    from aggregator.parser_pool import ParserPool
    from aggregator.pipeline import Parts
    from aggregator.settings import Settings
    from aggregator.store.archive import Archive
    from aggregator.tag import Tagger


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)  # noqa: TID251 - this is the one place


@dataclass
class App:
    """What a command line or a daemon needs, each part made when first asked for.

    `archive_url` and `feeds_file` come from the command line; where it is silent, from AGGREGATOR_ARCHIVE and
    AGGREGATOR_FEEDS, else the usual places of the user (README, "Where things are").
    """

    archive_url: str | None = None
    feeds_file: str | None = None
    log_format: str = "text"
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @cached_property
    def url(self) -> str:
        """The archive's address: a path or a database URL."""
        return self.archive_url or self.environ.get("AGGREGATOR_ARCHIVE") or str(default_archive())

    @cached_property
    def feeds_path(self) -> Path:
        """The feeds.yaml in force: named, else in this folder, else the user's own, else the one that came along."""
        named = self.feeds_file or self.environ.get("AGGREGATOR_FEEDS")
        if named:
            return Path(named).expanduser()
        candidates = (Path("feeds.yaml"), user_feeds())
        return next((path for path in candidates if path.is_file()), packaged_feeds())

    @cached_property
    def settings(self) -> Settings:
        """feeds.yaml, read and checked; raises SettingsError."""
        from aggregator import settings

        return settings.load(self.feeds_path, self.environ)

    def archive(self, *, write: bool = False) -> Archive:
        """The archive, made or upgraded first when `write`; raises ArchiveError."""
        from aggregator.store.archive import Archive

        return Archive.open(self.url, write=write)

    @contextmanager
    def opened(self) -> Iterator[Archive]:
        """The archive for a writer, made or upgraded first, closed at the end; raises ArchiveError."""
        archive = self.archive(write=True)
        try:
            yield archive
        finally:
            archive.close()

    @contextmanager
    def reaching(self) -> Iterator[tuple[Fetcher, ParserPool]]:
        """The way out under this configuration's policy, and the parser; closed at the end."""
        from aggregator.fetch import Fetcher
        from aggregator.parser_pool import ParserPool

        with Fetcher(_policy(self.settings)) as fetcher, ParserPool() as parser:
            yield fetcher, parser

    @contextmanager
    def parts(self, archive: Archive | None = None) -> Iterator[Parts]:
        """Everything a poll or an import needs, closed at the end; on this archive, else on its own as `opened`."""
        from aggregator import fulltext, normalize
        from aggregator.fetch import Fetcher, Pages
        from aggregator.parser_pool import ParserPool
        from aggregator.pipeline import Parts

        settings = self.settings
        _few_heaps()
        with ExitStack() as stack:
            archive = archive or stack.enter_context(self.opened())
            network = settings.network
            shared = archive.gate(network.pause, network.per_host)
            fetcher = stack.enter_context(Fetcher(_policy(settings), shared=shared))
            parser = stack.enter_context(ParserPool())

            def fetch(feed: Feed, url: str, validators: Validators, at: datetime) -> Fetched:
                return fetcher.fetch(url, validators, timeout=feed.timeout, max_size=feed.max_size, now=at)

            def parse(fetched: Fetched, feed: Feed, at: datetime) -> Document:
                return parser.parse(
                    fetched.body, content_type=fetched.content_type, url=fetched.url, timezone=feed.timezone, now=at
                )

            pages = Pages(fetcher)

            def complete(article: Article, feed: Feed) -> Article:
                def read(page: Fetched) -> str:
                    return parser.page(page.body, asdict(fulltext.request(page, article, feed)))

                return fulltext.completed(article, lambda url: pages.get(url, now()), read, normalize.with_text)

            workers = max(settings.network.parallel, 1)
            yield Parts(archive, fetch, parse, self.tagging(), now, workers=workers, complete=complete)

    def desk(self, archive: Archive, stopped: Callable[[], bool] = lambda: False) -> Desk:
        """What writing and sending digests needs; raises SettingsError, CatalogueError."""
        from aggregator import catalogue, digest, mail
        from aggregator.digest.values import Names
        from aggregator.letters import Desk

        settings = self.settings
        known = catalogue.load(settings.agreements)
        names = Names(
            {one.id: one.name for one in known.agreements},
            {clause.id: clause.title for one in known.agreements for clause in one.clauses},
        )
        post = settings.mail
        password = post.smtp_password.get_secret_value() if post.smtp_password else ""
        server = mail.server(post.smtp_url, password) if post.smtp_url else None
        return Desk(
            archive,
            digest.Renderer(post.templates),
            mail.usual_sender(post.sender, post.operator, server),
            now,
            names=names,
            catalogue=known.version,
            operator=post.operator,
            public_url=settings.public_url,
            server=server,
            at_most_once=post.at_most_once,
            confirm=post.confirm,
            images=post.images,
            stopped=stopped,
        )

    def tagging(self) -> Callable[[Article], Tags]:
        """The tagger over the agreements that came along and those that feeds.yaml names; made when first used."""

        @cache
        def tagger() -> Tagger:
            from aggregator import catalogue
            from aggregator.tag import Tagger

            return Tagger(catalogue.load(self.settings.agreements))

        return lambda article: tagger().tags(article.title, article.text, article.published)


def _few_heaps() -> None:
    """Let glibc keep one heap for all threads: each fetching thread's own would hold on to the largest it had once."""
    import ctypes

    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


_ARENA_MAX = -8
"""malloc.h's M_ARENA_MAX; Python runs one thread at a time, so that they seldom wait for each other here."""


def _policy(settings: Settings) -> NetworkPolicy:
    from aggregator.fetch import NetworkPolicy

    network = settings.network
    return NetworkPolicy(
        contact=settings.contact,
        allow=network.allow,
        pause=network.pause,
        pause_all=network.pause_all,
        per_host=network.per_host,
        allow_files=network.files,
        rsshub=frozenset(urlsplit(instance).netloc for instance in network.rsshub),
        sign=settings.signer,
    )


def default_archive() -> Path:
    """`archive.db` in the user's data folder."""
    return platformdirs.user_data_path("aggregator") / "archive.db"


def user_feeds() -> Path:
    """The user's own feeds.yaml, which need not exist."""
    return platformdirs.user_config_path("aggregator") / "feeds.yaml"


def packaged_feeds() -> Path:
    """The default feeds: inside an installed package, else beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "_feeds.yaml"
    return installed if installed.is_file() else package.parent / "feeds.yaml"
