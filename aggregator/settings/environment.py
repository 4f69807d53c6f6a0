"""What the environment says: secrets, and what differs between machines. It wins over feeds.yaml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from aggregator.settings import shape

PREFIX = "AGGREGATOR_"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables that settings know, read and checked; None where unset or empty."""

    smtp_url: str | None = None
    smtp_password: SecretStr | None = None
    contact: str | None = None
    rsshub: tuple[str, ...] | None = None
    rsshub_key: SecretStr | None = None
    listen: str | None = None
    public_url: str | None = None


def environment(environ: Mapping[str, str]) -> tuple[Environment, list[str]]:
    """The settings in the environment, and what is wrong with them, one sentence each, the variable's name first."""
    mistakes: list[str] = []

    def read(name: str, reader: Callable[[str], _T]) -> _T | None:
        value = environ.get(PREFIX + name, "").strip()
        if not value:
            return None
        try:
            return reader(value)
        except PydanticCustomError as wrong:
            mistakes.append(f"{PREFIX}{name}: {wrong.message()}")
            return None

    smtp = read("SMTP_URL", _smtp)
    url, password = smtp or (None, None)
    found = Environment(
        smtp_url=url,
        smtp_password=read("SMTP_PASSWORD", SecretStr) or password,
        contact=read("CONTACT", shape.contact),
        rsshub=read("RSSHUB", lambda value: tuple(shape.web(part) for part in value.replace(",", " ").split())),
        rsshub_key=read("RSSHUB_KEY", shape.secret),
        listen=read("LISTEN", shape.host_port),
        public_url=read("PUBLIC_URL", shape.web),
    )
    return found, mistakes


def _smtp(value: str) -> tuple[str, SecretStr | None]:
    """An address of a mail server without its password, and the password."""
    try:
        parts = urlsplit(value)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        parts, host = urlsplit(""), None
    if not host or not value.isprintable() or parts.scheme not in {"smtp", "smtps"}:
        raise shape.wrong("is no mail server; write it like smtp://user@mail.example.org:587 (STARTTLS) or smtps://…")
    password = SecretStr(unquote(parts.password)) if parts.password else None
    user, at, server = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=user.partition(":")[0] + at + server)), password
