"""Pages that a bot guard shows instead of a feed: status 200, HTML, and a word that gives them away."""

from __future__ import annotations

import re

_HTML = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|script|meta|body)", re.IGNORECASE)
_HEAD = 100_000

# Each with where it was met; any of them in an HTML page that stands where a feed should be.
_MARKS = (
    b"_cf_chl_opt",  # Cloudflare
    b"/cdn-cgi/challenge-platform",
    b"cf-browser-verification",
    b"just a moment...",
    b"attention required! | cloudflare",
    b"ddos-guard",
    b"captcha",
    b"byted_acrawler",  # 36kr
    b"acw_sc__v2",  # Alibaba Cloud
    b"aliyun_waf",
    b"wzws-waf",
    b"yunsuo_session",
    b"incapsula",
    b"px-captcha",
    b"verify you are human",
    b"checking your browser",
    b"enable javascript and cookies",
    *(
        word.encode(code)
        for word in ("验证码", "安全验证", "人机验证", "访问验证", "滑动验证", "访问过于频繁")
        for code in ("utf-8", "gb18030")
    ),
)


def is_challenge(body: bytes) -> bool:
    """Whether a body that should be a feed is a bot guard's page."""
    if not _HTML.match(body):
        return False
    head = body[:_HEAD].lower()
    return any(mark in head for mark in _MARKS)
