"""Messages: hostile texts and addresses change no header, and what is sent is what was meant."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator import mail
from aggregator.errors import SettingsError, UsageError

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "List-Id", "List-Unsubscribe",
    "List-Unsubscribe-Post", "Content-Language", "MIME-Version", "Content-Type",
]  # fmt: skip
TITLES = [
    "Hello\r\nBcc: victim@example.com", "Hello\nBcc: victim@example.com", "Hello\rBcc: v@example.com",
    "A\r\n\r\n<h1>body</h1>", "x\u2028Bcc: v@example.com", "x\u0085Bcc: v@example.com", "x\x0bBcc: v@example.com",
    "A =?UTF-8?Q?=0A?=Bcc: injected@example.com", "A =?UTF-8?B?DQpCY2M6IGluamVjdGVkQGV4YW1wbGUuY29t?=",
    "X=?UTF-8?Q?=0D=0A=0D=0A<h1>body</h1>?=", "=?utf-8?q?=3D=3FUTF-8=3FQ=3F=3D0A=3F=3D?=Bcc: a@b", "ends\n",
    "=?UTF-8?B?" + "A" * 5000, "==??UTF-8?Q?=0A?=Bcc: x", "\ud800lone", "\x00nul", "\u202ereversed", "长" * 3000,
    "word " * 2000, "", "   ", "=\n?UTF-8?Q?=0A?=Bcc: x", "甲烷" * 40 + "=?utf-8?b?Cg==?=",
    "17 Nov: 60 articles – Number 0 " + "long " * 18 + "lon…", "é " * 200, "a b" * 99,
]  # fmt: skip


def letter(**changes):
    """A mail."""
    facts = {
        "sender": "气候观察 <desk@example.org>", "to": "reader@example.com", "subject": "摘要", "text": "正文\n",
        "html": "<p>正文</p>\n", "message_id": "<digest.0123456789abcdef@example.org>", "date": NOW, "language": "zh",
        "unsubscribe": ("https://news.example.org/unsubscribe/1-" + "a" * 32, "mailto:desk@example.org?subject=x"),
        "one_click": True,
    }  # fmt: skip
    return mail.Letter(**facts | changes)


def parsed(data):
    """As Python reads it at its strictest."""
    return message_from_bytes(data, policy=policy.SMTP + policy.strict)


@pytest.mark.parametrize("title", TITLES)
def test_hostile_title_adds_no_header(title):
    """Whatever a feed calls its article, the mail has the same headers, one subject and the same two parts."""
    found = parsed(mail.build(letter(subject=title, text=title, html=f"<p>{title}</p>")))
    assert sorted(found.keys()) == sorted(HEADERS)
    assert [part.get_content_type() for part in found.iter_parts()] == ["text/plain", "text/html"]
    assert found["Subject"] == mail.header_text(title)[:300].rstrip()
    assert not any(part.defects for part in found.walk())


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_survives(subject, text):
    """Any text at all is mailed: the parts come back as they were written, and the headers stay."""
    found = parsed(mail.build(letter(subject=subject, text=text)))
    assert sorted(found.keys()) == sorted(HEADERS)
    body = found.get_body(("plain",)).get_content().replace("\r\n", "\n")
    wanted = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "").encode("utf-8", "replace").decode()
    assert body.rstrip("\n") == wanted.rstrip("\n")


@given(st.text(max_size=200))
def test_cleaning_twice_changes_nothing(text):
    """A header's text stays as it is when it is cleaned again."""
    once = mail.header_text(text)
    assert mail.header_text(once) == once
    assert "=?" not in once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@example.com", "a@example.com"), ("A@Example.COM", "A@example.com"), ("a+b@example.com", "a+b@example.com"),
        ("用户@例子.测试", "用户@xn--fsqu00a.xn--0zwm56d"), ("a@例子.测试", "a@xn--fsqu00a.xn--0zwm56d"),
        ("a%evil.example@example.com", "a%evil.example@example.com"), ("evil!a@example.com", "evil!a@example.com"),
        ("-oQ/tmp@example.com", "-oQ/tmp@example.com"), ("Ann Lee <ann@example.com>", "ann@example.com"),
        ('"Bob\\" <v@example.com>" <a@example.com>', "a@example.com"), ("root@localhost", "root@localhost"),
        (" a@example.com ", "a@example.com"),
    ],
)  # fmt: skip
def test_addresses_that_are_taken(text, expected):
    """Ordinary, international and odd but legal addresses are taken, the domain in one form."""
    assert mail.address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        '"a b"@example.com', "a@example.com\r\nBcc: v@example.com", "a@example.com>\r\nRCPT TO:<v@example.com",
        "a@example.com\n", "a@example.com, v@example.com", "a@example.com;v@example.com",
        "alice@example.org)bob@evil.example", "<@evil.example:a@example.com>", "|touch /tmp/pwned@example.com", "",
        "example.com", "a@b@c", "a @example.com", "a@exam\x00ple.com", "a" * 65 + "@example.com", "a@" + "b" * 250 + ".com",
        "a\ud800@example.com", "a@[127.0.0.1]", "a..b@example.com", "=?utf-8?q?a=0d=0aBcc=3a_v?=@example.com",
        "\u202ea@example.com", "a@-example.com", "a@example", "<a@example.com> x",
    ],
)  # fmt: skip
def test_addresses_that_are_refused(text):
    """What is not one plain mailbox is refused, and the message shows it without its control characters."""
    with pytest.raises(UsageError, match="is no e-mail address") as refusal:
        mail.address(text)
    assert str(refusal.value).isprintable()


def test_long_links_are_not_encoded():
    """Python would turn a long link into encoded words, which no mail program reads in this header."""
    link = "https://news.example.org/" + "long/" * 60
    data = mail.build(letter(unsubscribe=(link, "mailto:desk@example.org")))
    assert f"List-Unsubscribe: <{link}>,\r\n <mailto:".encode() in data


def test_one_click_needs_https():
    """List-Unsubscribe names both ways; the Post header is there only when asked for (RFC 8058)."""
    found = parsed(mail.build(letter(one_click=False)))
    assert found["List-Unsubscribe"].count("<") == 2
    assert found["List-Unsubscribe-Post"] is None
    assert parsed(mail.build(letter()))["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_old_relays_get_seven_bits():
    """Chinese and English mails go through servers without 8BITMIME."""
    assert mail.build(letter()).isascii()
    assert mail.build(letter(text="plain words – and one dash", html="<p>x</p>")).isascii()


def test_password_is_not_shown():
    """Neither the server's value nor its name shows the password."""
    where = mail.server("smtp://user:hunter2secret@mail.example.org:25?starttls=never")
    assert where.password == "hunter2secret"
    assert "hunter2secret" not in repr(where) + where.name


@pytest.mark.parametrize(
    ("url", "port", "tls"),
    [
        ("smtp://mail.example.org", 587, "required"), ("smtps://mail.example.org", 465, "implicit"),
        ("smtp://127.0.0.1:2525", 2525, "offered"), ("smtp://localhost:25?starttls=required", 25, "required"),
        ("smtp://mail.example.org:25?starttls=never", 25, "never"),
    ],
)  # fmt: skip
def test_how_a_server_is_read(url, port, tls):
    """STARTTLS is required, except on this machine itself or when the address says otherwise."""
    where = mail.server(url)
    assert (where.port, where.tls) == (port, tls)


@pytest.mark.parametrize("url", ["smtp://", "smtp://host?tls=no", "smtp://host?starttls=maybe"])
def test_wrong_server_is_said(url):
    """A mistake in the address is answered with how to write it."""
    with pytest.raises(SettingsError, match="AGGREGATOR_SMTP_URL: write it like"):
        mail.server(url)
