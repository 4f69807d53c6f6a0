"""Hand a message to an SMTP server once. Owner of smtplib.

Every exchange has deadlines that a slow or endless server cannot stretch: a watchdog shuts the connection down. What
an answer means is a value (`Outcome`); only what concerns the server as a whole raises. Between the final dot and the
server's 250 nobody can know who has the message (RFC 1047): that is the outcome `unknown`.
"""

from __future__ import annotations

import base64
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from aggregator.errors import MailError, SettingsError
from aggregator.mail.message import header_text

_LINE_LIMIT = 200
"""Lines in one answer: RFC 5321 sets no limit, EHLO answers of real servers have about twenty."""


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


def usual_sender(sender: str | None, operator: str | None, where: Server | None) -> str:
    """Whom mails come from: as set, else the operator, else the account on the mail server, else this machine."""
    account = where.user if where and "@" in where.user else None
    return sender or operator or account or "aggregator@localhost"


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
        stopped: Callable[[], bool] = lambda: False,
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
        self._drop()

    def _drop(self) -> None:
        """Close the connection as it is."""
        self._client.close()
        if self._watched is not None:
            self._watched.close()
            self._watched = None

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
        return self._reset(outcome)

    def _reset(self, outcome: Outcome) -> Outcome:
        """Make ready for the next mail; the answer counts also when the server has gone away meanwhile."""
        if not outcome.usable:
            return outcome
        try:
            self._client.rset()
        except (smtplib.SMTPException, OSError, ValueError):
            return replace(outcome, usable=False)
        return outcome

    def _sender_refused(self, code: int, reply: bytes) -> Outcome:
        if code == 552:  # noqa: PLR2004 - RFC 1870: larger than the server takes
            return self._reset(Outcome(Result.TOO_LARGE, self._words(code, reply)))
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
            self._drop()
            raise
        except (smtplib.SMTPException, OSError, ValueError) as error:
            self._drop()
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
        # One mechanism, the first that both sides have: smtplib's login would offer a wrong password several times.
        offered = client.esmtp_features.get("auth", "").upper().split()
        mechanism = next((one for one in ("PLAIN", "LOGIN", "CRAM-MD5") if one in offered), None)
        if mechanism is None:
            raise ServerError(
                f"mail server {where.name} takes no password here; leave the user out of AGGREGATOR_SMTP_URL"
            )
        client.user, client.password = where.user, where.password
        try:
            client.auth(mechanism, getattr(client, f"auth_{mechanism.lower().replace('-', '_')}"))
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
        if self._late or isinstance(error, TimeoutError) or "timed out" in str(error):
            return "no answer in time" if not self._stopped() else "told to stop while waiting for an answer"
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
                    self._late = True
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
    _late = False

    def _shut(self) -> None:
        """End the connection under whoever reads or writes it; a duplicate is shut, since TLS wraps the first."""
        if self._watched is not None:
            with suppress(OSError):
                self._watched.shutdown(socket.SHUT_RDWR)
