"""Which addresses may be asked: decided on the address that is connected to, never on the name alone.

`check_url` refuses what no honest feed is written like (other schemes, control characters, names that dress up as
other names); `address_class` says why an address is not on the public internet. Both are pure; `transport` applies
the second to every answer of a look-up, at every connection. `ipaddress.is_global` alone would let several through
(NAT64, 6to4, Teredo, IPv4-compatible, multicast, a cloud's own addresses: reference/reliability.md 3.1).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from aggregator import addresses
from aggregator.errors import FetchError

MAX_URL = 4096
"""Longer than any feed's address; RFC 9110 4.1 asks to support 8,000 octets, real ones stay far below."""

MAX_SHOWN = 120
_MAX_PORT = 65535
_MAX_NAME = 253  # RFC 1035 2.3.4

_START = re.compile(r"(https?)://([^/?#]*)", re.IGNORECASE)
_UNWANTED = re.compile("[\x00-\x20\x7f-\x9f\\\\\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_LABEL = re.compile(r"(?!-)[^\s.\-_~!$&'()*+,;=%][^\s.~!$&'()*+,;=%]{0,62}(?<!-)", re.IGNORECASE)

# Ports on which another protocol listens that a request line could talk to (fetch.spec.whatwg.org, "bad port").
_OTHER_PROTOCOLS = {
    *(0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104),
    *(109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526),
    *(530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 2375, 3306),
    *(3659, 4045, 4190, 5060, 5061, 5432, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211),
}

# Not said by the flags of `ipaddress` on every version of Python, each with the reason a person reads.
_SPECIAL = tuple(
    (ipaddress.ip_network(network), why)
    for network, why in (
        ("100.64.0.0/10", "a carrier-grade NAT address"),
        ("168.63.129.16/32", "a cloud's metadata address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("198.18.0.0/15", "a benchmark address"),
        ("255.255.255.255/32", "a broadcast address"),
        ("fd00:ec2::/32", "a cloud's metadata address"),
        ("fec0::/10", "a site-local address"),
        ("100::/64", "a discard address"),
        ("2001::/23", "a protocol assignment"),
        ("2001:db8::/32", "a documentation address"),
        ("3fff::/20", "a documentation address"),
        ("5f00::/16", "a segment-routing address"),
        ("64:ff9b:1::/48", "a local NAT64 address"),
        ("::/96", "an IPv4-compatible address"),
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Exceptions:
    """The exact `host:port` pairs the operator opened; a host as it is written in the URL, lower case."""

    pairs: frozenset[str] = frozenset()

    def has(self, host: str, port: int) -> bool:
        """Whether this very host on this very port may be asked whatever its address is."""
        return f"{host.lower().strip('[]').rstrip('.')}:{port}" in self.pairs

    @classmethod
    def of(cls, allow: frozenset[str]) -> Exceptions:
        """From `network.allow` as written: `127.0.0.1:8900`, `[::1]:8900`, `rsshub.lan:1200`."""
        split = (pair.lower().strip().rpartition(":") for pair in allow)
        return cls(frozenset(f"{host.strip('[]').rstrip('.')}:{port}" for host, _, port in split))


def embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside an IPv6 one: mapped, NAT64 (RFC 6052), 6to4, Teredo."""
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo:
        return address.teredo[1]
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


def address_class(text: str) -> str | None:
    """Why this address (as a resolver gave it) is not public, in words; None where it is."""
    try:
        address: IPAddress = ipaddress.ip_address(text)
    except ValueError:
        return "no plain address"
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return "a link-local address"
        # Every transition address is refused: none is where a feed lives, each leads to an IPv4 host unseen.
        if (inner := embedded(address)) is not None:
            return f"{address_class(str(inner)) or 'a public address'} wrapped in IPv6"
    return _flagged(address)


def _flagged(address: IPAddress) -> str | None:
    words = (
        ("is_unspecified", "an unspecified address"),
        ("is_loopback", "a loopback address"),
        ("is_link_local", "a link-local address"),
        ("is_multicast", "a multicast address"),
    )
    found = next((why for flag, why in words if getattr(address, flag)), None)
    found = found or next((why for network, why in _SPECIAL if address in network), None)
    if found is None and (address.is_private or address.is_reserved or not address.is_global):
        return "a private address"
    return found


def check_url(url: str, allow: Exceptions = Exceptions()) -> None:
    """Refuse a URL that is not plain http or https to one unmistakable host and port.

    Raises FetchError, kind `refused`, with a sentence that names what is wrong.
    """
    if len(url) > MAX_URL:
        raise FetchError(f"{brief(url)} has {len(url)} characters; at most {MAX_URL} are asked for.", "refused")
    start = _START.match(url)
    if start is None:
        raise FetchError(f"{brief(url)} is not an http or https address; write it with https://.", "refused")
    if _UNWANTED.search(url):
        raise FetchError(
            f"{brief(url)} holds a blank, backslash or control character; escape or remove it.", "refused"
        )
    rest = url[start.end() :]
    if "@" in rest and not rest.startswith("/"):
        raise FetchError(f"{brief(url)} hides a second host behind `@`; write the path with a slash.", "refused")
    _check_authority(url, start.group(2), allow)


def _check_authority(url: str, authority: str, allow: Exceptions) -> None:
    userinfo, _, place = authority.rpartition("@")
    user, _, password = userinfo.partition(":")
    if "@" in authority and (not user or "@" in userinfo or (not password and re.search(r"[.．。／＃]", user))):
        raise FetchError(f"{brief(url)} has a user name that looks like a host; write user:password@host.", "refused")
    host, port = _host_and_port(url, place)
    if not allow.has(host, port) and port in _OTHER_PROTOCOLS:
        raise FetchError(f"{brief(url)}: port {port} belongs to another protocol and is not asked.", "refused")


def _host_and_port(url: str, place: str) -> tuple[str, int]:
    bracketed = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\])(?::(\d{0,5}))?", place)
    plain = re.fullmatch(r"([^:\[\]@]+)(?::(\d{0,5}))?", place)
    found = bracketed or plain
    if found is None:
        raise FetchError(f"{brief(url)} has no readable host; check the address.", "refused")
    host, digits = found.group(1), found.group(2)
    port = int(digits) if digits else (443 if url[:5].lower() == "https" else 80)
    name = host.removesuffix(".")
    if port > _MAX_PORT or (
        plain and (len(name) > _MAX_NAME or not all(map(_LABEL.fullmatch, re.split("[.。．｡]", name))))
    ):
        raise FetchError(f"{brief(url)} has a host or port that cannot exist; check the address.", "refused")
    return host, port


def brief(url: str) -> str:
    """The URL as a message shows it: secrets masked, controls written out, at most `MAX_SHOWN` characters."""
    shown = addresses.masked(url)
    if not shown.isprintable():
        shown = shown.encode("unicode_escape").decode()
    return shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 1] + "…"
