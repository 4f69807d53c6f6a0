"""`file://` feeds, where the operator allows them: regular files only, read up to the limit."""

from __future__ import annotations

import os
import stat
from email.utils import formatdate
from urllib.parse import unquote, urlsplit

from aggregator.errors import FetchError
from aggregator.model import Fetched, Validators


def read_file(url: str, validators: Validators, max_size: int, *, allowed: bool) -> Fetched:
    """The file as an answer: its time of change is Last-Modified, unchanged since then is a 304.

    Raises FetchError, kind `refused` unless `allowed`, kind `missing` or `size` as for a server.
    """
    if not allowed:
        raise FetchError("Files are not read as feeds; `network.files: true` in feeds.yaml would allow it.", "refused")
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost") or not path.startswith("/"):
        raise FetchError("A file's address is written file:///folder/name, without a host.", "refused")
    try:
        return _read(url, path, validators, max_size)
    except OSError as error:
        raise FetchError(f"{path} cannot be read ({error.strerror}); check the file.", "missing") from error
    except ValueError as error:
        raise FetchError("The file's address holds a character no path can have.", "refused") from error


def _read(url: str, path: str, validators: Validators, max_size: int) -> Fetched:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not hold a worker
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise FetchError(f"{path} is not a regular file.", "refused")
        etag = f'"{about.st_mtime_ns:x}-{about.st_size:x}"'
        given = Validators(etag, formatdate(about.st_mtime, usegmt=True))
        if validators.etag == etag:
            return Fetched(url, 304, b"", validators=given)
        body = file.read(max_size + 1)
    if len(body) > max_size:
        raise FetchError(
            f"{path} is larger than {max_size / 1_000_000:g} MB; raise `max_size` if that is right.", "size"
        )
    return Fetched(url, 200, body, validators=given)
