"""The pages behind a mail's links, for the daemon's listener: unsubscribe, confirm, and the whole of a digest.

A GET never changes anything (scanners of mails and browsers open links ahead of people): it shows a page with one
button. The button, or a mail program by itself (RFC 8058), sends a POST. No cookie and no login: the token is enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from html import escape

from aggregator import preview, subscribing
from aggregator.errors import AggregatorError
from aggregator.letters import Desk
from aggregator.store import outbox, subscribers
from aggregator.store.subscribers import UNSUBSCRIBED, Subscriber

_PATH = re.compile(r"/(unsubscribe|confirm|digest)/([0-9A-Za-z-]{1,80})/?")
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_WORDS = {
    "zh": {
        "unsubscribe": "退订", "confirm": "确认订阅", "ask unsubscribe": "不再向 {address} 发送报道摘要？",
        "ask confirm": "向 {address} 发送报道摘要？", "done unsubscribe": "已退订，{address} 不会再收到报道摘要。",
        "done confirm": "订阅已确认，摘要将发送到 {address}。", "unknown": "这个链接无效，或订阅已不存在。",
    },
    "en": {
        "unsubscribe": "Unsubscribe", "confirm": "Confirm", "ask unsubscribe": "Stop sending digests to {address}?",
        "ask confirm": "Send digests to {address}?", "done unsubscribe": "Done: {address} gets no more digests.",
        "done confirm": "Confirmed: digests go to {address}.", "unknown": "This link is not valid, or the subscription is gone.",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, headers and an HTML page."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=lambda: dict(_HEADERS))


def unsubscribe(desk: Desk, token: str) -> Subscriber | None:
    """End the subscription a token belongs to, at once; doing it twice is fine. None for a token that is not ours."""
    with desk.archive.writing(durable=True) as connection:
        one = subscribers.of_token(connection, "unsubscribe", token)
        if one is not None:
            subscribers.set_state(connection, one.id, UNSUBSCRIBED, "by the reader")
            outbox.withdraw(connection, one.id, desk.clock(), "the reader unsubscribed")
        return one


def respond(desk: Desk, method: str, path: str, now: datetime) -> Answer | None:
    """The answer to a request, None when the path is none of ours."""
    found = _PATH.fullmatch(path.partition("?")[0])
    if not found:
        return None
    purpose, token = found.groups()
    if method not in ("GET", "HEAD", "POST"):
        return Answer(405, _page("en", "405", ""), {**_HEADERS, "Allow": "GET, HEAD, POST"})
    if purpose == "digest":
        return _whole(desk, token)
    if method != "POST":
        return _ask(desk, purpose, token)
    one = unsubscribe(desk, token) if purpose == "unsubscribe" else subscribing.confirm(desk, token, now)
    if one is None:
        return _unknown()
    words = _words(one)
    return Answer(
        200, _page(one.language, words[purpose], escape(words[f"done {purpose}"].format(address=one.address)))
    )


def _ask(desk: Desk, purpose: str, token: str) -> Answer:
    with desk.archive.reading() as connection:
        one = subscribers.of_token(connection, purpose, token)
    if one is None:
        return _unknown()
    words = _words(one)
    question = escape(words[f"ask {purpose}"].format(address=one.address))
    form = f'<p>{question}</p><form method="post"><button type="submit">{words[purpose]}</button></form>'
    return Answer(200, _page(one.language, words[purpose], form))


def _whole(desk: Desk, token: str) -> Answer:
    name, _, signature = token.partition("-")
    with desk.archive.reading() as connection:
        fits = subscribers.signed(connection, f"digest:{name}", signature)
        one = outbox.named(connection, name) if fits else None
    if one is None:
        return _unknown()
    try:
        _subject, _text, html = desk.renderer.digest(preview.whole(desk, one))
    except AggregatorError:
        return _unknown()
    headers = _HEADERS | {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src http: https:"
    }
    return Answer(200, html, headers)


def _words(one: Subscriber) -> dict[str, str]:
    return _WORDS["zh" if one.language == "zh" else "en"]


def _unknown() -> Answer:
    return Answer(404, _page("en", "404", f"{_WORDS['en']['unknown']}<br>{_WORDS['zh']['unknown']}"))


def _page(language: str, title: str, content: str) -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>:root{color-scheme:light dark}body{font:16px/1.5 sans-serif;max-width:36em;margin:3em auto;padding:0 1em}"
        "button{font:inherit;padding:.5em 1.5em}</style></head>"
        f"<body><h1>{title}</h1>{content}</body></html>\n"
    )
