"""What `doctor` looks at outside the program: clock, names, mail server, fonts and the versions of libraries."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import urlsplit

from aggregator.app import App, now
from aggregator.errors import AggregatorError

RELEASED = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock that is right shows a time before this program was written."""

NAMES = 12
NAMES_SECONDS = 6.0
LET_IN = 20.0
"""Seconds that a mail server has to let us in."""


class Standing(StrEnum):
    """How a thing stands: fine, worth knowing, or in need of something."""

    FINE = "fine"
    NOTE = "note"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Finding:
    """One look: what was looked at, how it stands, and a sentence that says what to do where something is to be done."""

    subject: str
    standing: Standing
    sentence: str


def has_archive(app: App) -> bool:
    """Whether there is an archive to look at."""
    from aggregator.store.archive import Archive

    return Archive.there(app.url)


# --- clock ----------------------------------------------------------------------------------------------------------


def clock(app: App) -> Iterator[Finding]:
    """Behind this release or behind what the archive has seen: wrong; not synchronised: worth knowing."""
    moment = now()
    last = _last_poll(app)
    if moment < RELEASED:
        yield Finding(
            "clock", Standing.TROUBLE, f"it shows {moment:%Y-%m-%d}; set it, `timedatectl set-ntp true` keeps it"
        )
    elif last and last > moment:
        sentence = f"it is behind the archive, which was written at {last:%Y-%m-%d %H:%M} UTC; set it"
        yield Finding("clock", Standing.TROUBLE, sentence)
    else:
        yield Finding("clock", Standing.FINE, f"{moment:%Y-%m-%d %H:%M} UTC")
    if _synchronised() is False:
        yield Finding("clock", Standing.NOTE, "it is not synchronised; `timedatectl set-ntp true` keeps it right")


def _last_poll(app: App) -> datetime | None:
    from sqlalchemy import func, select

    from aggregator.store.schema import feed

    if not has_archive(app):
        return None
    with app.archive().reading() as connection:
        found: datetime | None = connection.scalar(select(func.max(feed.c.last_poll, type_=feed.c.last_poll.type)))
    return found


def _synchronised() -> bool | None:
    """What systemd says; None where there is none."""
    program = shutil.which("timedatectl")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - systemd's own program, no input
            [program, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())


# --- names ----------------------------------------------------------------------------------------------------------


def names(app: App) -> Iterator[Finding]:
    """Whether the hosts of the feeds resolve, the first few of them, all at once."""
    hosts = _hosts(app)[:NAMES]
    if not hosts:
        return
    pool = ThreadPoolExecutor(len(hosts), thread_name_prefix="fetch names")
    asked = {pool.submit(socket.getaddrinfo, host, None): host for host in hosts}
    done, _late = wait(asked, timeout=NAMES_SECONDS)
    pool.shutdown(wait=False, cancel_futures=True)
    found = {asked[one] for one in done if one.exception() is None}
    missing = [host for host in hosts if host not in found]
    if not missing:
        yield Finding("DNS", Standing.FINE, f"{len(hosts)} hosts of feeds have addresses")
    elif len(missing) == len(hosts):
        sentence = "no host of any feed has an address; look at the network and at /etc/resolv.conf"
        yield Finding("DNS", Standing.TROUBLE, sentence)
    else:
        sentence = f"no address for {', '.join(missing)}; mend those feeds in feeds.yaml, or try again later"
        yield Finding("DNS", Standing.TROUBLE, sentence)


def _hosts(app: App) -> list[str]:
    """The distinct host names of feeds, in their order; addresses in numbers need no look-up."""
    hosts = [urlsplit(url).hostname or "" for feed in app.settings.feeds for url in feed.urls]
    return [host for host in dict.fromkeys(hosts) if host and not host.replace(".", "").isdigit() and ":" not in host]


# --- mail -----------------------------------------------------------------------------------------------------------


def mail_server(app: App) -> Iterator[Finding]:
    """Whether the mail server lets us in, where one is set."""
    mail = app.settings.mail
    if mail.smtp_url is None:
        if mail.sender or mail.alerts:
            yield Finding(
                "mail", Standing.TROUBLE, "no mail server: set AGGREGATOR_SMTP_URL, such as smtp://user@host:587"
            )
        else:
            yield Finding("mail", Standing.NOTE, "no mail server, so no digests; AGGREGATOR_SMTP_URL names one")
        return
    if not mail.sender:
        yield Finding("mail", Standing.TROUBLE, "nobody to send as: write `mail: {from: …}` in feeds.yaml")
    yield _let_in(mail.smtp_url, mail.smtp_password.get_secret_value() if mail.smtp_password else "")


def _let_in(url: str, password: str) -> Finding:
    """A whole dialogue up to a mail: greeting, EHLO, TLS with its certificate, the password."""
    from aggregator import mail

    try:
        server = mail.server(url, password)
        with mail.Session.open(server, mail.Patience(greeting=LET_IN)) as session:
            limit = f", mails up to {session.size_limit / 1e6:,.0f} MB" if session.size_limit else ""
    except AggregatorError as error:
        sentence = str(error).rstrip(".")
        what = "" if "; " in sentence else "; look at AGGREGATOR_SMTP_URL"
        return Finding("mail", Standing.TROUBLE, sentence + what)
    how = f"as {server.user}" if server.user and server.password else "without a password"
    return Finding("mail", Standing.FINE, f"{server.name} lets us in {how}{limit}")


# --- fonts ----------------------------------------------------------------------------------------------------------


def fonts(_app: App) -> Iterator[Finding]:
    """Whether a font has Chinese characters, as charts need one."""
    found = _chinese_fonts()
    if found is None:
        yield Finding(
            "fonts", Standing.NOTE, "fontconfig is not there, so nobody can say; charts may show boxes for Chinese"
        )
    elif found:
        yield Finding("fonts", Standing.FINE, f"Chinese: {found[0]}")
    else:
        sentence = "none has Chinese characters, charts show boxes; install one, such as fonts-noto-cjk"
        yield Finding("fonts", Standing.NOTE, sentence)


def _chinese_fonts() -> list[str] | None:
    program = shutil.which("fc-list")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - fontconfig's own program, no input
            [program, ":lang=zh-cn", "family"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return sorted({line.partition(",")[0].strip() for line in done.stdout.splitlines() if line.strip()})


# --- libraries ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that versions before `mended` have, and what it means here."""

    library: str
    mended: tuple[int, ...]
    meaning: str


FAULTS = (
    Fault("SQLite", (3, 51, 3), "two connections at a checkpoint may damage a WAL archive; keep backups"),
    Fault("expat", (2, 7, 2), "small documents may take much memory; feeds are read in a limited child"),
    Fault("Python", (3, 11, 10), "mail headers may be broken by a newline; what leaves here is checked"),
    Fault("Python", (3, 12, 5), "mail headers may be broken by a newline; what leaves here is checked"),
    Fault("lxml", (5, 3, 0), "its libxml2 has known parsing faults"),
    Fault("feedparser", (6, 0, 11), "some documents make it fail"),
    Fault("zlib", (1, 2, 12), "some streams damage memory when they are compressed"),
)


def libraries(_app: App) -> Iterator[Finding]:
    """Versions with known corruption or parsing faults."""
    found = versions()
    for fault in FAULTS:
        version = found.get(fault.library)
        if version and _has(version, fault):
            newest = ".".join(map(str, fault.mended))
            sentence = f"{fault.library} {version}: {fault.meaning}; {newest} or later is better"
            yield Finding("libraries", Standing.NOTE, sentence)
    yield Finding("libraries", Standing.FINE, ", ".join(f"{name} {version}" for name, version in found.items()))


def _has(version: str, fault: Fault) -> bool:
    """Whether a version is before the one that mended the fault; of Python's, every minor version has its own."""
    numbers = _numbers(version)
    return numbers < fault.mended and (fault.library != "Python" or numbers[:2] == fault.mended[:2])


def versions() -> dict[str, str]:
    """The versions in use of what has had such faults."""
    import platform
    import pyexpat
    import sqlite3
    import zlib
    from importlib.metadata import PackageNotFoundError, version

    found = {
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "expat": pyexpat.EXPAT_VERSION.removeprefix("expat_"),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
    }
    for name in ("lxml", "feedparser"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: `3.11.7rc1` is (3, 11, 7)."""
    numbers = []
    for part in version.split("."):
        digits = "".join(char for char in part if char.isdecimal())
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)
