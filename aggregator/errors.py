"""What can go wrong, as one tree; every message names the thing concerned and what to do about it.

    AggregatorError
    ├── UsageError          the command line asks for something that does not exist or makes no sense (exit 2)
    │   └── QueryError      a search query that cannot be read; knows the column
    ├── SettingsError       feeds.yaml or an environment variable
    ├── CatalogueError      an agreement's file
    ├── DialectError        an article file in no known dialect, or a broken one
    ├── FeedError           one feed: expected, kept as a value in its PollReport
    │   ├── FetchError      the network or the server
    │   └── ParseError      what came is not a feed
    ├── ArchiveError        the archive cannot be used
    │   ├── ArchiveBusy     another process holds it
    │   ├── ArchiveFull     its disk has no room
    │   └── ArchiveVersion  older or newer than this program
    └── MailError           the mail server refuses, or a mail cannot be built

What is expected to fail for one feed is returned as a value by `pipeline`, so that it never stops the others.
"""

from __future__ import annotations

from datetime import timedelta


class AggregatorError(Exception):
    """The root: its text is one sentence for a person, and `status` the exit status of a command that meets it."""

    status = 1


class UsageError(AggregatorError):
    """The command line asks for something that does not exist."""

    status = 2


class QueryError(UsageError):
    """A query that cannot be read; `column` counts characters from 1."""

    def __init__(self, message: str, query: str = "", column: int = 1) -> None:
        super().__init__(message)
        self.query = query
        self.column = column


class SettingsError(AggregatorError):
    """feeds.yaml or an environment variable holds a mistake; the text starts with file, line and column."""


class CatalogueError(AggregatorError):
    """An agreement's file holds a mistake; the text starts with file and line."""


class DialectError(AggregatorError):
    """A file is an article in no known dialect, or a broken one."""


class FeedError(AggregatorError):
    """One feed failed; others go on. `kind` is one word for metrics: dns, timeout, http, parse, refused, ..."""

    def __init__(self, message: str, kind: str = "other") -> None:
        super().__init__(message)
        self.kind = kind


class FetchError(FeedError):
    """The network or the server did not give what was asked.

    `code` is the answer's HTTP status where there was one, `retry_after` how long the server wants to be left alone.
    """

    def __init__(
        self, message: str, kind: str = "other", *, code: int | None = None, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message, kind)
        self.code = code
        self.retry_after = retry_after


class ParseError(FeedError):
    """What came is not a feed."""

    def __init__(self, message: str, kind: str = "parse") -> None:
        super().__init__(message, kind)


class ArchiveError(AggregatorError):
    """The archive cannot be used."""


class ArchiveBusy(ArchiveError):
    """Another process holds the archive's lock."""


class ArchiveFull(ArchiveError):
    """The archive's disk has no room; nothing of the transaction was stored."""


class ArchiveVersion(ArchiveError):
    """The archive's schema is older or newer than this program's."""


class MailError(AggregatorError):
    """A mail cannot be built, or the server refuses it; `permanent` says that trying again is useless."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
