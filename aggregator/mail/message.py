"""Build a message that says exactly what was meant.

Python's `EmailMessage` turns an encoded newline in a header's text (`=?UTF-8?Q?=0A?=`) into a real one, so texts are
cleaned first, and what was serialised is parsed again and compared before it may leave.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.errors import MessageError
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from aggregator.errors import MailError, UsageError

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_DOMAIN = re.compile(r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}|localhost")
_NAMED = re.compile(r'\s*(?:"(?:[^"\\]|\\.)*"|[^<>"@,;:]*)\s*<([^<>]*)>')
_BREAKS = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]+"
)
SUBJECT = 300
"""Characters of a subject: every mail program shows fewer."""
_LINKS = "List-Unsubscribe"
_MADE = ("MIME-Version", "Content-Type", "Content-Transfer-Encoding")


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
        "Subject": header_text(letter.subject)[:SUBJECT].rstrip(),
        "Date": format_datetime(letter.date),
        "Message-ID": letter.message_id,
        "Auto-Submitted": "auto-generated",
        "Content-Language": letter.language,
    }
    if letter.unsubscribe:
        wanted["List-Id"] = f"<{letter.list_name or 'digest'}.{domain}>"
        wanted[_LINKS] = ", ".join(f"<{one}>" for one in letter.unsubscribe)
    if letter.one_click:
        wanted["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    try:
        message.set_content(_body(letter.text), cte=_encoding(letter.text))
        if letter.html:
            message.add_alternative(_body(letter.html), subtype="html", cte=_encoding(letter.html))
        for header, value in wanted.items():  # last, because Content-Language would go into the first part
            if header not in (_LINKS, "Subject"):
                message[header] = value
        data = _by_hand(wanted) + message.as_bytes()
    except (ValueError, MessageError, LookupError) as error:
        raise MailError(f"the mail to {letter.to} cannot be written: {error}", permanent=True) from error
    _compare(data, wanted, letter)
    return data


def _by_hand(wanted: dict[str, str]) -> bytes:
    """The headers that Python's own folding spoils: it doubles blanks of a long subject and encodes long links.

    The subject goes through the older `Header` (RFC 2047), List-Unsubscribe is written as it is, a link a line.
    """
    subject = Header(wanted["Subject"], "us-ascii" if wanted["Subject"].isascii() else "utf-8", header_name="Subject")
    lines = "Subject: " + subject.encode(linesep="\n") + "\n"
    value = wanted.get(_LINKS)
    if value is not None:
        if not re.fullmatch(r"<[!-;=?-~]{1,900}>(?:, <[!-;=?-~]{1,900}>)*", value):
            raise ValueError(f"{value[:80]!r} cannot stand in a header")
        lines += f"{_LINKS}: {value}\n".replace(">, <", ">,\n <")
    return lines.replace("\n", "\r\n").encode("ascii")


def _body(text: str) -> str:
    """Text that UTF-8 can carry, with one kind of line end."""
    flat = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode("utf-8")
    return flat.replace("\x00", "").rstrip("\n") + "\n"


def _encoding(text: str) -> str:
    """Base64 where more than a sixth of the bytes are not ASCII: quoted-printable would be longer."""
    size, plain = len(text.encode("utf-8", "replace")), len(text.encode("ascii", "ignore"))
    return "base64" if (size - plain) * 6 > size else "quoted-printable"


def weight(*texts: str) -> int:
    """About how many bytes a mail with these parts will have: quicker than building it, and rarely too small."""
    total = 1500
    for text in texts:
        size, plain = len(text.encode("utf-8", "replace")), len(text.encode("ascii", "ignore"))
        if (size - plain) * 6 > size:
            total += (size + text.count("\n")) * 78 // 57 + 80
        else:
            total += (size + 2 * (size - plain + text.count("=")) + text.count("\n")) * 79 // 76 + 80
    return total


def _compare(data: bytes, wanted: dict[str, str], letter: Letter) -> None:
    """Parse what will be sent as strictly as Python can, and hold it against what was meant."""
    strict = (policy.SMTPUTF8 if not letter.to.isascii() else policy.SMTP) + policy.strict
    try:
        found = message_from_bytes(data, policy=strict)
        headers = {name: str(value).strip() for name, value in found.items() if name not in _MADE}
        bodies = [part.get_content() for part in (found.iter_parts() if letter.html else (found,))]
    except (MessageError, ValueError, LookupError, IndexError) as error:
        raise MailError(f"the mail to {letter.to} came out broken: {error}", permanent=True) from error
    meant = [_body(letter.text), *([_body(letter.html)] if letter.html else [])]
    repeated = len(found.keys()) != len(set(found.keys()))
    if headers != wanted or repeated or [_body(body) for body in bodies] != meant:
        raise MailError(f"the mail to {letter.to} would say something else than was written", permanent=True)
