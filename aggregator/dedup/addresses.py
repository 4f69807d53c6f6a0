"""One address for each article: `canonical_url` takes away what mobile, AMP, folded and tracked forms add.

The aim is that two forms of one page agree and that two pages never do, so parameters go by name only, `?id=5` stays,
and what is particular to one outlet stands in `_OUTLETS` under that outlet's host. A leading `www.` is kept, because
the address is shown to people; `without_www` gives what is compared.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from url_normalize import url_normalize

LONGEST = 4000
"""Longer addresses are data, not addresses."""

# An address that `url_normalize` would give back as it stands, but for its fragment; it takes 50 µs to say so.
_NORMAL = re.compile(
    r"(https?)://([a-z0-9-]+(?:\.[a-z0-9-]+){1,8})(?::(?!80/|443/)([1-9]\d{1,4}))?"
    r"(/(?:[\w~-][\w~.-]*(?:/[\w~-][\w~.-]*)*/?)?)(?:\?([\w=&.-]*))?(?:#(?!!)[^\s#]*)?",
    re.ASCII,
)

_TRACKING = re.compile(
    r"""(?xi)^(?:
        utm_.* | mtm_.* | pk_.* | piwik_.* | hsa_.* | at_(?:medium|campaign|custom\d*|link.*|ptr.*|bbc.*|format|creation|campaign_type)
      | fbclid | gclid | gclsrc | dclid | gbraid | wbraid | msclkid | yclid | twclid | ttclid | igshid | igsh | li_fat_id | srsltid
      | mc_cid | mc_eid | mkt_tok | _hsenc | _hsmi | hsctatracking | vero_id | vero_conv | oly_enc_id | oly_anon_id | ml_subscriber.*
      | _ga | _gl | guccounter | guce_referrer.* | wt[._](?:mc|zmc|tsrc|rss).* | s_cid | s_campaign | sc_campaign | icid | ocid | cmpid | cmp | ncid
      | smid | emc | partner | xtor | maca | spm | scm | spm_id_from | share_token | share_source | share_medium | share_from | share_tag
      | sharer_.* | nsukey | isappinstalled | from_source | traffic_source | trk | trkcampaign | trkinfo | sr_share | sharecount
      | __twitter_impression | ref_src | ref_url | feedtype | feedname | rpc | ftag | tsrc | soc_src | soc_trk | rss | _unique_id | nocache
      | amp | amp_js_v | amp_gsa | usqp | outputtype | is_amp | amphtml
    )$"""
)
# Names that mean tracking with these values only: `?from=timeline` is WeChat, `?from=2020` may be a page.
_TRACKING_VALUES = re.compile(
    r"(?i)^(?:(?:from|source|src|ref|referer|referrer|via|origin|channel)="
    r"(?:rss|feed|feedburner|timeline|singlemessage|groupmessage|weixin|wechat|weibo|qq|sina|twitter|facebook|email|newsletter"
    r"|wap|mobile|app|share|homepage|home|android|ios|google|baidu|toutiao)"
    r"|(?:mode|view|output|format|type|platform)=amp|(?:mobile|m|wap|is_mobile)=(?:1|true|yes)|vt=\d)$"
)
_MOBILE = re.compile(r"^(?:(?:m|mobile|wap|3g|touch|amp)\.)+(?=[^.]+\.)")
_CACHES = (
    re.compile(r"^https?://[^/]+\.cdn\.ampproject\.org/(?:v|c|i|wp)/(s/)?(.+)$"),
    re.compile(r"^https?://(?:www\.)?google\.[a-z.]+/amp/(s/)?(.+)$"),
    re.compile(r"^https?://(?:www\.)?bing\.com/amp/(s/)?(.+)$"),
)
_DEFAULT_DOCUMENT = re.compile(r"/(?:index|default)\.(?:s?html?|php|aspx?|jsp)$", re.IGNORECASE)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_AMP_PATHS = (
    (re.compile(r"^/amp(?=/.)"), ""),
    (re.compile(r"/amp(?:/index)?(?:\.html?)?/?$"), ""),
    (re.compile(r"[._-]amp(?=\.(?:s?html?|php|aspx)$)"), ""),
    (re.compile(r"\.amp$"), ""),
    (re.compile(r"/amp(?=/[^/]+\.(?:s?html?|aspx)$)"), ""),
    (re.compile(r"(?<=/article)/amp(?=/)"), ""),
)
# An outlet's own forms: (host without www., what stands in host + path, what takes its place).
_OUTLETS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("guancha.cn", re.compile(r"_s(?=\.shtml$)"), ""),
    ("user.guancha.cn", re.compile(r"/(?:wap|m|mobile)/content$"), "/main/content"),
    ("voachinese.com", re.compile(r"^(?:/a|/amp)?(?=(?:/[^/]+)?/\d+\.html$)"), "/a"),
    ("voanews.com", re.compile(r"^(?:/a|/amp)?(?=(?:/[^/]+)?/\d+\.html$)"), "/a"),
    ("thepaper.cn", re.compile(r"^/(?:newsDetail_forward|baijiahao)_(\d+)$"), r"/newsDetail_forward_\1"),
)
_ONLY = {"user.guancha.cn": {"id"}, "thepaper.cn": {"contid"}}
_SINA = re.compile(r"(?:^|\.)sina\.(?:com\.)?cn$")
_SINA_PARAMETERS = {
    "cre",
    "mod",
    "loc",
    "r",
    "rfunc",
    "tj",
    "wm",
    "pos",
    "tr",
    "vt",
    "autocallup",
    "doct",
    "fr",
    "his",
}


@lru_cache(maxsize=4096)
def canonical_url(link: str | None) -> str | None:
    """The address that stands for every form of the page, or None where `link` is no web address.

    https stands for http too (a port that is not the default one keeps its scheme). Never raises.

    >>> canonical_url("http://m.example.com/news/amp/5.html?utm_source=x&id=5#top")
    'https://example.com/news/5.html?id=5'
    """
    if not link or len(link) > LONGEST:
        return None
    stated = "".join(link.split("\n")).strip().replace(" ", "%20").replace("&amp;", "&")
    for cache in _CACHES if "amp" in stated else ():
        if found := cache.match(stated):
            stated = f"http{'s' if found[1] else ''}://{found[2]}"
    if not stated.lower().startswith(("http://", "https://", "//")):
        return None
    if normal := _NORMAL.fullmatch(stated):
        scheme, host, digits, path, query = normal.groups("")
        port = int(digits) if digits else None
        return _composed(scheme, host, port, path, query) if _plausible(host) and (port or 0) <= _LAST_PORT else None
    try:
        parts = urlsplit(url_normalize(stated) or "")
        port = parts.port
    except (ValueError, UnicodeError):
        return None
    host = (parts.hostname or "").rstrip(".")
    if not host or not _plausible(host):
        return None
    return _composed(parts.scheme, host, port, parts.path, parts.query)


_LAST_PORT = 65535


def _composed(scheme: str, host: str, port: int | None, path: str, query: str) -> str:
    odd_port = port is not None and port not in (80, 443)
    host = _MOBILE.sub("", host)
    path = _path(host, path)
    shown = f"[{host}]" if ":" in host else host
    return urlunsplit(
        (scheme if odd_port else "https", f"{shown}:{port}" if odd_port else shown, path, _query(host, query), "")
    )


def _plausible(host: str) -> bool:
    return ":" in host or all(_LABEL.fullmatch(label) for label in host.split("."))


def _path(host: str, path: str) -> str:
    path = re.sub(r"/{2,}", "/", path) or "/"
    for pattern, instead in _AMP_PATHS if "amp" in path else ():
        if len(path) > len("/amp"):
            path = pattern.sub(instead, path)
    path = _DEFAULT_DOCUMENT.sub("/", path) if "." in path else path
    bare = without_www(host)
    for outlet, pattern, instead in _OUTLETS:
        if bare == outlet:
            path = pattern.sub(instead, path)
    return path.rstrip("/") or "/"


def _query(host: str, query: str) -> str:
    if not query:
        return ""
    pairs = parse_qsl(query, keep_blank_values=True)
    only = _ONLY.get(without_www(host))
    sina = _SINA.search(host)
    kept = [
        (name, value)
        for name, value in pairs
        if not _TRACKING.match(name)
        and not _TRACKING_VALUES.match(f"{name}={value}")
        and not (only and name.lower() not in only)
        and not (sina and name.lower() in _SINA_PARAMETERS)
    ]
    return urlencode(sorted(kept))


def without_www(url: str) -> str:
    """The address or host less a leading `www.`: what two addresses are compared by."""
    return url.replace("://www.", "://", 1) if "://" in url else url.removeprefix("www.")


def forms(url: str) -> tuple[str, ...]:
    """The canonical addresses under which the page may be stored: with `www.` and without."""
    bare = without_www(url)
    return (bare, bare.replace("://", "://www.", 1))


def is_front_page(url: str) -> bool:
    """Whether the address names a whole site: no article can be told by it."""
    if url.count("/") > _SLASHES and "?" not in url and "#" not in url:
        return False
    parts = urlsplit(url)
    return parts.path in ("", "/") and not parts.query


_SLASHES = 3
"""In `https://host/`; an address with more of them has a path."""


def same_place(one: str, other: str) -> bool:
    """Whether two different addresses of one text may be one page that moved: another query or host, or another
    folder with the same last part, or two hosts of one domain.
    """
    a, b = urlsplit(without_www(one)), urlsplit(without_www(other))
    if a.path == b.path or (_domain(a.hostname) == _domain(b.hostname) != "" and a.hostname != b.hostname):
        return True
    last, other_last = a.path.rsplit("/", 1)[-1], b.path.rsplit("/", 1)[-1]
    return last == other_last and len(last) >= _SLUG


_SLUG = 6
_SECOND_LEVEL = {"com", "co", "net", "org", "gov", "edu", "ac"}


def _domain(host: str | None) -> str:
    labels = (host or "").split(".")
    if len(labels) < 2 or labels[-1].isdigit():  # noqa: PLR2004 - a domain has two labels
        return ""
    return ".".join(labels[-3:] if labels[-2] in _SECOND_LEVEL else labels[-2:])
