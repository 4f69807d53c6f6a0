"""Mail out: build a message that says exactly what was meant, and hand it to an SMTP server once. Owner of smtplib.

Python's `EmailMessage` turns an encoded newline in a header's text (`=?UTF-8?Q?=0A?=`) into a real one, so texts are
cleaned first, and what was serialised is parsed again and compared before it may leave.

Every exchange has deadlines that a slow or endless server cannot stretch: a watchdog shuts the connection down. What
an answer means is a value (`Outcome`); only what concerns the server as a whole raises. Between the final dot and the
server's 250 nobody can know who has the message (RFC 1047): that is the outcome `unknown`.
"""

from __future__ import annotations

import base64
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from aggregator.errors import MailError, SettingsError, UsageError

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_DOMAIN = re.compile(r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}|localhost")
_NAMED = re.compile(r'\s*(?:"(?:[^"\\]|\\.)*"|[^<>"@,;:]*)\s*<([^<>]*)>')
_BREAKS = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]+"
)
_MADE = ("MIME-Version", "Content-Type", "Content-Transfer-Encoding")
_LINE_LIMIT = 200
"""Lines in one answer: RFC 5321 sets no limit, EHLO answers of real servers have about twenty."""


# --- addresses --------------------------------------------------------------------------------------------------


def address(text: str) -> str:
    """One mailbox in the form it is sent to: no name around it, the domain in lower case and IDNA.

    Letters outside ASCII may stand before the @ (RFC 6531). Quoted local parts, routes, comments and address literals
    are refused. Raises UsageError.
    """
    named = _NAMED.fullmatch(text)
    plain = (named[1] if named else text).strip(" ")
    local, at, domain = plain.rpartition("@")
    with suppress(UnicodeError):
        domain = domain.encode("idna").decode("ascii").lower()
    fits = (
        at
        and plain.isprintable()
        and _LOCAL.fullmatch(local)
        and "=?" not in local
        and len(local.encode("utf-8", "replace")) <= 64  # noqa: PLR2004 - RFC 5321 4.5.3.1.1
        and _DOMAIN.fullmatch(domain)
        and len(local) + len(domain) < 254  # noqa: PLR2004 - RFC 5321 4.5.3.1.3 with its brackets
    )
    if not fits:
        shown = "".join(char if char.isprintable() else "?" for char in text[:80])
        raise UsageError(f'"{shown}" is no e-mail address; write one like desk@example.org')
    return f"{local}@{domain}"


def sender(text: str) -> tuple[str, str]:
    """Name and address of `News desk <desk@example.org>`; the name may be empty. Raises UsageError."""
    name = text.partition("<")[0].strip(' "') if "<" in text else ""
    return header_text(name), address(text)


# --- building ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as meant; without `html` it is plain text. `unsubscribe` are addresses for List-Unsubscribe; `one_click` says that the https one among
    them takes a POST (RFC 8058).
    """

    sender: str
    to: str
    subject: str
    text: str
    html: str
    message_id: str
    date: datetime
    language: str = "en"
    unsubscribe: tuple[str, ...] = ()
    one_click: bool = False
    list_name: str = ""


def header_text(text: str) -> str:
    """Text that stays one header: no control, line or direction characters, and nothing that reads as encoded."""
    flat = " ".join(_BREAKS.sub(" ", text).split())
    while "=?" in flat:
        flat = flat.replace("=?", "= ?")
    return flat


def build(letter: Letter) -> bytes:
    """The message's bytes, multipart/alternative with CRLF line ends; raises MailError when they would say anything
    other than the letter does.
    """
    name, from_address = sender(letter.sender)
    wide = not letter.to.isascii()
    message = EmailMessage(policy=policy.SMTPUTF8 if wide else policy.SMTP)
    domain = from_address.rpartition("@")[2]
    wanted = {
        "From": str(Address(name, addr_spec=from_address)),
        "To": letter.to,
        "Subject": header_text(letter.subject),
        "Date": format_datetime(letter.date),
        "Message-ID": letter.message_id,
        "Auto-Submitted": "auto-generated",
        "Content-Language": letter.language,
    }
    if letter.unsubscribe:
        wanted["List-Id"] = f"<{letter.list_name or 'digest'}.{domain}>"
        wanted["List-Unsubscribe"] = ", ".join(f"<{one}>" for one in letter.unsubscribe)
    if letter.one_click:
        wanted["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    try:
        for header, value in wanted.items():
            message[header] = value
        message.set_content(_body(letter.text), cte=_encoding(letter.text))
        if letter.html:
            message.add_alternative(_body(letter.html), subtype="html", cte=_encoding(letter.html))
        data = message.as_bytes()
    except (ValueError, MessageError, LookupError) as error:
        raise MailError(f"the mail to {letter.to} cannot be written: {error}", permanent=True) from error
    _compare(data, wanted, letter)
    return data


def _body(text: str) -> str:
    """Text that UTF-8 can carry, with one kind of line end."""
    flat = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode("utf-8")
    return flat.replace("\x00", "").rstrip("\n") + "\n"


def _encoding(text: str) -> str:
    """Base64 where more than a sixth of the bytes are not ASCII: quoted-printable would be longer."""
    data = text.encode("utf-8", "replace")
    return "base64" if sum(byte > 0x7F for byte in data) * 6 > len(data) else "quoted-printable"  # noqa: PLR2004


def _compare(data: bytes, wanted: dict[str, str], letter: Letter) -> None:
    """Parse what will be sent as strictly as Python can, and hold it against what was meant."""
    strict = (policy.SMTPUTF8 if not letter.to.isascii() else policy.SMTP) + policy.strict
    try:
        found = message_from_bytes(data, policy=strict)
        headers = {name: str(value) for name, value in found.items() if name not in _MADE}
        bodies = [part.get_content() for part in (found.iter_parts() if letter.html else (found,))]
    except (MessageError, ValueError, LookupError, IndexError) as error:
        raise MailError(f"the mail to {letter.to} came out broken: {error}", permanent=True) from error
    meant = [_body(letter.text), *([_body(letter.html)] if letter.html else [])]
    repeated = len(found.keys()) != len(set(found.keys()))
    if headers != wanted or repeated or [_body(body) for body in bodies] != meant:
        raise MailError(f"the mail to {letter.to} would say something else than was written", permanent=True)


# --- the server -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail goes. `tls` is `implicit`, `required` (STARTTLS), `offered` (STARTTLS where the server has it) or
    `never`; certificates are always verified, against `ca` where given. The password is never shown.
    """

    host: str
    port: int
    tls: str = "required"
    user: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None

    @property
    def name(self) -> str:
        """Host and port, as messages name it."""
        return f"{self.host}:{self.port}"


def server(url: str, password: str = "") -> Server:
    """The server of `smtp://user@host:587` or `smtps://host`; raises SettingsError.

    `?starttls=required|offered|never` and `?ca=FILE` may follow. STARTTLS is required, except on this machine itself
    (a loopback address), where a server without it is accepted. A password never crosses an open line unless
    `never` says so.
    """
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    host = parts.hostname or ""
    secure = parts.scheme == "smtps"
    usual = "implicit" if secure else ("offered" if host in ("localhost", "127.0.0.1", "::1") else "required")
    tls = options.get("starttls", usual)
    unknown = sorted(options.keys() - {"starttls", "ca"})
    if not host or unknown or tls not in ("implicit", "required", "offered", "never"):
        raise SettingsError(
            "AGGREGATOR_SMTP_URL: write it like smtp://user@mail.example.org:587 or smtps://user@mail.example.org,"
            " with ?starttls=required|offered|never and ?ca=FILE where needed"
        )
    ca = Path(options["ca"]).expanduser() if "ca" in options else None
    port = parts.port or (465 if secure else 587)
    return Server(host, port, tls, unquote(parts.username or ""), password or unquote(parts.password or ""), ca)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: to be let in (greeting to AUTH), for the dialogue and the bytes of one mail, and for the answer to it.

    RFC 5321 4.5.3.2.6 asks for ten minutes after the final dot, because giving up earlier makes duplicates.
    """

    greeting: float = 60.0
    dialogue: float = 120.0
    after_data: float = 600.0
    stopping: float = 3.0
    """After the program was told to stop."""


class Result(StrEnum):
    """What became of one mail, as far as the server said."""

    SENT = "sent"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"
    TOO_LARGE = "too large"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result, with the server's words made harmless; `usable` says that the connection can carry the next mail."""

    result: Result
    reply: str = ""
    usable: bool = True


class ServerError(MailError):
    """The server as a whole cannot be used now: unreachable, refuses us, no TLS, wrong password, wrong sender."""


class _Client(smtplib.SMTP):
    """smtplib with an end to every answer."""

    def getreply(self) -> tuple[int, bytes]:
        """As smtplib, with at most _LINE_LIMIT lines."""
        if self.file is None and self.sock is not None:
            self.file = self.sock.makefile("rb")
        lines: list[bytes] = []
        while True:
            try:
                line = self.file.readline(smtplib._MAXLINE + 1) if self.file else b""  # type: ignore[attr-defined] # noqa: SLF001
            except (OSError, ValueError) as error:
                self.close()
                raise smtplib.SMTPServerDisconnected(f"connection lost: {error}") from error
            if not line:
                self.close()
                raise smtplib.SMTPServerDisconnected("connection closed by the server")
            if len(line) > smtplib._MAXLINE or len(lines) >= _LINE_LIMIT:  # type: ignore[attr-defined] # noqa: SLF001
                self.close()
                raise smtplib.SMTPServerDisconnected("an endless answer")
            lines.append(line[4:].strip(b" \t\r\n"))
            if not line[:3].isdigit():
                self.close()
                raise smtplib.SMTPServerDisconnected(f"not an SMTP answer: {line[:60]!r}")
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)


class Session:
    """One connection to the server, let in and ready; used by one thread."""

    def __init__(self, where: Server, patience: Patience, stopped: Callable[[], bool]) -> None:
        self._where = where
        self._patience = patience
        self._stopped = stopped
        self._client = _Client(timeout=patience.greeting)
        # smtplib checks a certificate against this name, which its constructor would set.
        self._client._host = where.host  # type: ignore[attr-defined] # noqa: SLF001

    @classmethod
    @contextmanager
    def open(
        cls,
        where: Server,
        patience: Patience = Patience(),
        stopped: Callable[[], bool] = lambda: False,  # noqa: B008 - frozen
    ) -> Iterator[Session]:
        """A session, closed at the end; raises ServerError when we are not let in."""
        session = cls(where, patience, stopped)
        session._enter()
        try:
            yield session
        finally:
            session.close()

    @property
    def size_limit(self) -> int | None:
        """Bytes of the largest mail the server takes, where it says so (RFC 1870)."""
        limit = self._client.esmtp_features.get("size", "")
        return int(limit) if limit.isdigit() and int(limit) else None

    def close(self) -> None:
        """Say goodbye, without waiting for long."""
        with suppress(smtplib.SMTPException, OSError, ValueError):
            if self._client.sock is not None:
                self._client.sock.settimeout(2)
                with self._deadline(2):
                    self._client.quit()
        self._client.close()
        if self._watched is not None:
            self._watched.close()

    def send(self, sender_address: str, to: str, data: bytes) -> Outcome:
        """Hand over one mail to one recipient; raises ServerError when the server refuses the sender."""
        wide = not to.isascii()
        if wide and not self._client.has_extn("smtputf8"):
            return Outcome(
                Result.PERMANENT, "the mail server takes no addresses with letters outside ASCII (SMTPUTF8)"
            )
        if self.size_limit and len(data) > self.size_limit:
            return Outcome(Result.TOO_LARGE, f"the mail has {len(data):,} bytes, the server takes {self.size_limit:,}")
        try:
            with self._deadline(self._patience.dialogue):
                refused = self._offer(sender_address, to, data, wide=wide)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            # Before the final dot was on its way nothing can have been accepted (RFC 5321 4.1.1.4).
            return Outcome(Result.TEMPORARY, self._said(error), usable=False)
        return refused or self._answer()

    def _offer(self, sender_address: str, to: str, data: bytes, *, wide: bool) -> Outcome | None:
        """The dialogue up to the final dot; an outcome when the server said no before it."""
        client = self._client
        options = [f"size={len(data)}"] if client.has_extn("size") else []
        options += ["SMTPUTF8", "BODY=8BITMIME"] if wide else []
        code, reply = client.mail(sender_address, options)
        if code // 100 != 2:  # noqa: PLR2004 - the class of success
            return self._sender_refused(code, reply)
        code, reply = client.rcpt(to)
        if code // 100 == 2:  # noqa: PLR2004
            client.putcmd("data")
            code, reply = client.getreply()
            if code == 354:  # noqa: PLR2004 - go ahead
                client.send(smtplib._quote_periods(data) + b".\r\n")  # type: ignore[attr-defined] # noqa: SLF001
                return None
            outcome = self._outcome(code, reply)
        else:
            # A full mailbox (552 for a recipient) may have room tomorrow (RFC 5321 4.5.3.1.10).
            outcome = self._outcome(452 if code == 552 else code, reply)  # noqa: PLR2004
        if outcome.usable:
            client.rset()
        return outcome

    def _sender_refused(self, code: int, reply: bytes) -> Outcome:
        if code == 552:  # noqa: PLR2004 - RFC 1870: larger than the server takes
            self._client.rset()
            return Outcome(Result.TOO_LARGE, self._words(code, reply))
        if code // 100 == 4:  # noqa: PLR2004
            return Outcome(Result.TEMPORARY, self._words(code, reply), usable=False)
        raise ServerError(
            f"{self._where.name} refuses our sender: {self._words(code, reply)}; set mail.from in feeds.yaml"
        )

    def _answer(self) -> Outcome:
        """What the server says after the final dot; silence is `unknown`, not failure."""
        try:
            with self._deadline(self._patience.after_data):
                code, reply = self._client.getreply()
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return Outcome(Result.UNKNOWN, self._said(error), usable=False)
        return self._outcome(code, reply)

    def _outcome(self, code: int, reply: bytes) -> Outcome:
        words = self._words(code, reply)
        if code // 100 == 2:  # noqa: PLR2004
            return Outcome(Result.SENT, words)
        if code == 421:  # noqa: PLR2004 - the server closes the connection
            return Outcome(Result.TEMPORARY, words, usable=False)
        if code == 552:  # noqa: PLR2004 - larger than the server takes
            return Outcome(Result.TOO_LARGE, words)
        return Outcome(Result.PERMANENT if code // 100 == 5 else Result.TEMPORARY, words)  # noqa: PLR2004

    # --- being let in

    def _enter(self) -> None:
        where = self._where
        try:
            with self._deadline(self._patience.greeting):
                self._connect()
                self._secure()
                self._log_in()
        except ServerError:
            self._client.close()
            raise
        except (smtplib.SMTPException, OSError, ValueError) as error:
            self._client.close()
            raise ServerError(f"mail server {where.name}: {self._said(error)}") from error

    def _connect(self) -> None:
        where, client = self._where, self._client
        raw = socket.create_connection((where.host, where.port), timeout=self._patience.greeting)
        self._watched = raw.dup()
        try:
            client.sock = (
                self._context().wrap_socket(raw, server_hostname=where.host) if where.tls == "implicit" else raw
            )
        except BaseException:
            raw.close()
            raise
        code, reply = client.getreply()
        if code != 220:  # noqa: PLR2004 - RFC 5321 4.2: the greeting
            raise ServerError(f"mail server {where.name} does not let us in: {self._words(code, reply)}")
        client.ehlo_or_helo_if_needed()

    def _secure(self) -> None:
        where, client = self._where, self._client
        if where.tls in ("implicit", "never"):
            return
        if client.has_extn("starttls"):
            client.starttls(context=self._context())
            client.ehlo()
        elif where.tls == "required":
            raise ServerError(
                f"mail server {where.name} offers no STARTTLS, so nothing was sent; use another port, smtps://, or"
                " ?starttls=never where the line is safe"
            )

    def _log_in(self) -> None:
        where, client = self._where, self._client
        if not (where.user and where.password):
            return
        if where.tls != "never" and not isinstance(client.sock, ssl.SSLSocket):
            raise ServerError(
                f"mail server {where.name} offers no STARTTLS, so the password was not sent; ?starttls=never allows it"
            )
        try:
            client.login(where.user, where.password)
        except smtplib.SMTPAuthenticationError as error:
            words = self._words(error.smtp_code, error.smtp_error)
            if error.smtp_code // 100 == 4:  # noqa: PLR2004
                raise ServerError(f"mail server {where.name} cannot check the password now: {words}") from None
            raise ServerError(
                f"mail server {where.name} does not accept user {where.user} and the password: {words};"
                " set AGGREGATOR_SMTP_URL and AGGREGATOR_SMTP_PASSWORD",
                permanent=True,
            ) from None

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=str(self._where.ca) if self._where.ca else None)
        except OSError as error:
            raise ServerError(f"the certificates {self._where.ca} cannot be read: {error.strerror}") from error

    # --- words and deadlines

    def _words(self, code: int, reply: bytes | str) -> str:
        """The server's answer for people and logs: one line, no control characters, no password."""
        text = reply if isinstance(reply, str) else reply.decode("utf-8", "replace")
        return self._masked(f"{code} {header_text(text)[:300]}".strip())

    def _said(self, error: Exception) -> str:
        if isinstance(error, smtplib.SMTPResponseException):
            return self._words(error.smtp_code, error.smtp_error)
        return self._masked(header_text(str(error))[:300] or type(error).__name__)

    def _masked(self, text: str) -> str:
        secret = self._where.password
        if not secret:
            return text
        plain = f"\0{self._where.user}\0{secret}"
        coded = [base64.b64encode(one.encode()).decode().rstrip("=") for one in (secret, plain)]
        for one in (secret, *coded):
            text = text.replace(one, "***")
        return text

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[None]:
        """Shut the connection when the time is up, whatever it is busy with; sooner once told to stop."""
        done = threading.Event()

        def watch() -> None:
            left, stopping = seconds, False
            while not done.wait(min(left, 0.25)):
                left -= 0.25
                if not stopping and self._stopped():
                    left, stopping = min(left, self._patience.stopping), True
                if left <= 0:
                    self._shut()
                    return

        watcher = threading.Thread(target=watch, name="mail deadline", daemon=True)
        watcher.start()
        try:
            if self._client.sock is not None:
                self._client.sock.settimeout(seconds)
            yield
        finally:
            done.set()
            watcher.join()

    _watched: socket.socket | None = None

    def _shut(self) -> None:
        """End the connection under whoever reads or writes it; a duplicate is shut, since TLS wraps the first."""
        if self._watched is not None:
            with suppress(OSError):
                self._watched.shutdown(socket.SHUT_RDWR)
