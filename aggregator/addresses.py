"""Addresses of feeds as people write them: what is acceptable, what is the same, what may be shown, what is asked for.

Pure string work; whether an address may be connected to is decided by fetch's guard, at the socket.
"""

from __future__ import annotations

import re
from hashlib import md5
from ipaddress import ip_address
from urllib.parse import SplitResult, quote, unquote, urlsplit

RSSHUB = "rsshub://"
MAX_LENGTH = 2048
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BARE_HOST = re.compile(r"[\w-]+(\.[\w-]+)+(:\d+)?([/?]|$)")
_UNRESERVED = re.compile(r"%(2D|2E|5F|7E|3[0-9]|[46][1-9A-F]|[57][0-9A])", re.IGNORECASE)
_CAMPAIGN = re.compile(r"(utm_\w+|fbclid|gclid)(=|$)")
# What may follow a question mark and open a door.
_SECRET = re.compile(r"(?i)(access[_-]?token|api[_-]?key|auth|code|key|pass(word)?|secret|sig|signature|token)(=|$)")


def checked(url: str) -> str:
    """The address of a feed, as written: http, https, `rsshub://route` or `file:///path`.

    Raises ValueError whose text goes on from the field's name and says what to write instead.
    """
    if len(url) > MAX_LENGTH:
        raise ValueError(f"is {len(url)} characters long; an address has at most {MAX_LENGTH}")
    if not url or not url.isprintable() or re.search(r"[\s\\]", url):
        raise ValueError("holds white space, a backslash or a control character; write the address in one piece")
    scheme = _SCHEME.match(url)
    if url.startswith(RSSHUB):
        return _checked_route(url)
    if scheme and scheme[1].lower() == "file":
        return _checked_file(url)
    if not scheme or scheme[1].lower() not in {"http", "https"}:
        raise ValueError(_wrong_scheme(url))
    _split(url)
    return url


def _checked_route(url: str) -> str:
    route = url.removeprefix(RSSHUB)
    parts = re.split(r"[?#]", route, maxsplit=1)[0].split("/")
    if "#" in route or not all(parts) or {".", ".."} & set(parts):
        raise ValueError("is no RSSHub route; write it like rsshub://sina/finance/china")
    return url


def _checked_file(url: str) -> str:
    if not re.match(r"(?i)file:///[^?#]+$", url):
        raise ValueError("is no local file; write the full path after three slashes, like file:///srv/feeds/a.xml")
    return url


def _wrong_scheme(url: str) -> str:
    shown = masked(url)
    if inner := re.match(r"feed:(?://)?(?=https?:)", url):
        return f"starts with feed:; write {shown[inner.end() :]}"
    if url.startswith("feed://"):
        return f"starts with feed:; write https://{shown.removeprefix('feed://')}"
    if _BARE_HOST.match(url.lstrip("/")):
        return f"does not say how to reach it; write https://{shown.lstrip('/')}"
    return "is no web address; write one that starts with https:// or http://, or rsshub://"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as wrong:
        raise ValueError(f"is no web address ({wrong}); write it like https://example.org/feed.xml") from None
    if not host or re.search(r"\s", unquote(host)):
        raise ValueError("names no host; write it like https://example.org/feed.xml")
    return parts


def masked(url: str) -> str:
    """The address without a password, user name or key, fit for messages, logs and exports."""
    url = re.sub(r"^([^/?#]*//)[^/?#]*@", r"\1", url)
    head, mark, query = url.partition("?")
    if not mark:
        return url
    query, hash_, fragment = query.partition("#")
    kept = "&".join(pair for pair in query.split("&") if not _SECRET.match(pair))
    return head + ("?" + kept if kept else "") + hash_ + fragment


def identity(url: str) -> str:
    """What two spellings of one address have in common (RFC 3986 6.2.2 and 6.2.3): equal means the same request."""
    if not url.lower().startswith(("http://", "https://")):
        return url
    parts = _split(url)
    port = parts.port
    port_text = f":{port}" if port not in {None, 80 if parts.scheme == "http" else 443} else ""
    path = _UNRESERVED.sub(lambda found: unquote(found[0]), parts.path) or "/"
    user = parts.netloc.rpartition("@")[0]
    netloc = f"{user}@{parts.hostname}{port_text}" if user else f"{parts.hostname}{port_text}"
    return f"{parts.scheme}://{netloc}{path}" + (f"?{parts.query}" if parts.query else "")


def likeness(url: str) -> str:
    """What addresses that probably lead to one feed have in common: scheme, `www.`, last slash, campaigns removed."""
    bare = re.sub(r"^https?://(www\.)?", "", identity(url))
    head, _, query = bare.partition("?")
    kept = "&".join(pair for pair in query.split("&") if pair and not _CAMPAIGN.match(pair))
    return head.rstrip("/") + (f"?{kept}" if kept else "")


def host_port(url: str) -> str:
    """The host and the port a web address leads to, as `network.allow` writes them."""
    parts = _split(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (80 if parts.scheme == 'http' else 443)}"


def public(url: str) -> bool:
    """False where the address itself shows that it is of this machine or network; names are not looked up."""
    host = _split(url).hostname or ""
    try:
        return ip_address(host).is_global
    except ValueError:
        return host != "localhost" and not host.endswith((".localhost", ".local", ".lan", ".internal"))


def rsshub_url(instance: str, route: str, key: str | None = None) -> str:
    """The address of a route on an instance; with a key, signed by `code=md5(path + key)`.

    `route` is what follows `rsshub://`, a query included. The code is RSSHub's (its docs, "access control"); it
    opens this one path only, so the key itself never travels.
    """
    path, _, query = route.lstrip("/").partition("?")
    url = f"{instance.rstrip('/')}/{quote(path, safe='/%:@!$&()*+,;=~')}"
    pairs = [query] if query else []
    if key:
        code = md5(f"/{_seen(path)}{key}".encode(), usedforsecurity=False).hexdigest()
        pairs.append(f"code={code}")
    return url + ("?" + "&".join(pairs) if pairs else "")


def _seen(path: str) -> str:
    """The path as RSSHub hashes it: escapes undone as JavaScript's decodeURI does, so not those of reserved signs."""

    def undone(run: re.Match[str]) -> str:
        return "".join(f"%{ord(char):02X}" if char in ";/?:@&=+$,#%" else char for char in unquote(run[0]))

    return re.sub(r"(?:%[0-9A-Fa-f]{2})+", undone, path)
