"""The guard: which URLs and addresses are asked, decided at the socket, whatever a name says before."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.errors import FetchError
from aggregator.fetch.guard import Exceptions, address_class, brief, check_url

ROOT = Path(__file__).resolve().parent.parent

REFUSED = {
    # Every class the network stack would happily connect to, with the word its reason must hold.
    "127.0.0.1": "loopback",
    "127.127.0.9": "loopback",
    "::1": "loopback",
    "0.0.0.0": "unspecified",
    "::": "unspecified",
    "10.1.2.3": "private",
    "172.31.255.255": "private",
    "192.168.0.1": "private",
    "fc00::1": "private",
    "fd12:3456::1": "private",
    "169.254.169.254": "link-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "100.64.0.1": "carrier-grade",
    "100.100.100.200": "carrier-grade",
    "192.0.0.192": "reserved",
    "168.63.129.16": "metadata",
    "fd00:ec2::254": "metadata",
    "224.0.0.1": "multicast",
    "ff02::1": "multicast",
    "240.0.0.1": "private",
    "255.255.255.255": "broadcast",
    "198.18.0.1": "benchmark",
    "192.0.2.1": "private",
    "198.51.100.7": "private",
    "203.0.113.9": "private",
    "2001:db8::1": "documentation",
    "100::1": "discard",
    "::ffff:127.0.0.1": "wrapped",
    "::ffff:10.0.0.1": "wrapped",
    "::127.0.0.1": "IPv4-compatible",
    "64:ff9b::7f00:1": "wrapped",
    "64:ff9b:1::7f00:1": "NAT64",
    "2002:7f00:1::": "wrapped",
    "2002:0808:0808::": "wrapped",
    "2001:0:7f00:1::": "wrapped",
    "fec0::1": "site-local",
    "not an address": "no plain address",
}
PUBLIC = ("1.1.1.1", "93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "2400:3200::1")


@pytest.mark.parametrize("address", REFUSED)
def test_address_that_is_not_public(address):
    """An address that leads anywhere but to the public internet is named for what it is."""
    assert REFUSED[address] in (address_class(address) or "public")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address(address):
    """Public addresses pass."""
    assert address_class(address) is None


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_wrapped_in_ipv6_never_passes(address):
    """Mapped, NAT64 and 6to4 forms of any IPv4 address are refused, and no private one passes as itself."""
    number = int(address)
    for wrapped in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80, number):
        assert address_class(str(ipaddress.IPv6Address(wrapped)))
    if not address.is_global or address.is_multicast:
        assert address_class(str(address))


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("file:///etc/passwd", "http"),
        ("FTP://example.org/", "http"),
        ("http:/example.org/", "http"),
        ("http:///example.org/", "host"),
        ("http://exam\tple.org/", "blank"),
        ("http://example.org/\r\nX: y", "blank"),
        ("http://a\\@example.org/", "blank"),
        ("http://127.0.0.1@example.org/", "looks like a host"),
        ("http://@example.org/", "looks like a host"),
        ("http://a@b:c@example.org/", "looks like a host"),
        ("http://example.org?@other.example/", "second host"),
        ("http://example.org#@other.example/", "second host"),
        ("http://example.org:99999/", "cannot exist"),
        ("http://example.org:80:80/", "no readable host"),
        ("http://example..org/", "cannot exist"),
        ("http://-example.org/", "cannot exist"),
        ("http://[::1", "no readable host"),
        ("http://%31%32%37.0.0.1/", "cannot exist"),
        ("http://example.org:25/", "another protocol"),
        ("http://example.org/" + "a" * 5000, "characters"),
    ],
)
def test_url_that_no_feed_has(url, word):
    """A URL whose host is hidden, broken or not a web host is refused in a sentence that says why."""
    with pytest.raises(FetchError, match=word) as caught:
        check_url(url)
    assert caught.value.kind == "refused"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "https://EXAMPLE.org.:8443/feed?a=b@c",
        "https://user:pass@example.org/feed",
        "https://user:p.a.s.s@example.org/feed",
        "https://例子.测试/源",
        "http://[2606:2800:220:1:248:1893:25c8:1946]/",
        "https://a_b.example.org/",
        "https://example.org/@someone/feed",
        'https://example.org/search?q={"a":"b|c"}',
    ],
)
def test_url_as_feeds_have_them(url):
    """Ordinary addresses, odd but right ones included, are not refused."""
    check_url(url)


def test_exceptions_are_exact():
    """An exception opens one host on one port and nothing beside it."""
    allow = Exceptions.of(frozenset({"127.0.0.1:8900", "[::1]:1200", "RSSHub.lan:80"}))
    assert allow.has("127.0.0.1", 8900)
    assert allow.has("::1", 1200)
    assert allow.has("rsshub.lan.", 80)
    assert not allow.has("127.0.0.1", 8901)
    assert not allow.has("localhost", 8900)


def test_messages_hold_no_secret():
    """A URL in a message shows neither user, password nor key, and no control character."""
    shown = brief("https://user:hush@example.org/a\x1b[2J?key=hush&code=hush&b=1")
    assert "hush" not in shown
    assert "\x1b" not in shown
    assert "b=1" in shown


# --- the whole fetcher, in a pretend internet -----------------------------------------------------------------------

NAMES = {
    "example.com": ["93.184.216.34"],
    "xn--fsqu00a.xn--0zwm56d": ["93.184.216.35"],
    "public.test": ["93.184.216.34"],
    **{name: ["127.0.0.1"] for name in ("localhost", "localhost.localdomain", "ip6-localhost", "localtest.me")},
    "127.0.0.1.nip.io": ["127.0.0.1"],
    "169.254.169.254.nip.io": ["169.254.169.254"],
    **{name: ["169.254.169.254"] for name in ("metadata.google.internal", "metadata", "instance-data")},
    **{name: ["10.0.0.5"] for name in ("host.docker.internal", "kubernetes.default.svc", "router.local", "intranet")},
    "mixed.test": ["93.184.216.34", "127.0.0.1"],
    "mixed6.test": ["93.184.216.34", "::1"],
    # The first look-up is public, every later one is not: whoever checks and then connects by name is caught.
    "rebind.test": [["93.184.216.34"], ["127.0.0.1"]],
}

CHILD = """
import json, sys, threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from aggregator.errors import FetchError
from aggregator.fetch import Fetcher, NetworkPolicy

NOW, answers, asked = datetime(2024, 1, 1, tzinfo=UTC), [], []
with Fetcher(NetworkPolicy(pause=timedelta(0))) as fetcher:
    for url in json.load(sys.stdin):
        try:
            found = fetcher.fetch(url, timeout=timedelta(seconds=5), max_size=10**6, now=NOW)
            answers.append(["ok", str(found.status)])
        except FetchError as error:
            answers.append([error.kind, str(error)])
print(json.dumps(answers))
"""


class PretendInternet:
    """A web server on loopback behind public addresses that only the shim knows; its log says who was connected to."""

    def __init__(self, shim: Path, folder: Path, port: int) -> None:
        self._log = folder / "net.log"
        targets = ["93.184.216.34", "93.184.216.35", "1.1.1.1", "2606:2800:220:1:248:1893:25c8:1946"]
        fake = {
            "names": NAMES,
            "map": {target: "::1" if ":" in target else "127.0.0.1" for target in targets},
            "ports": {"80": port, "443": port, "8443": port},
            "strict": True,
            "block": True,
            "log": str(self._log),
        }
        self._environ = os.environ | {"PYTHONPATH": f"{shim}{os.pathsep}{ROOT}", "FAKENET": json.dumps(fake)}

    def fetch(self, urls: list[str]) -> list[tuple[str, str]]:
        """Fetch these in a child whose world is the pretended one: the kind of error or `ok`, and the sentence."""
        self._log.write_text("")
        done = subprocess.run(
            [sys.executable, "-c", CHILD],
            input=json.dumps(urls),
            env=self._environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return [(kind, text) for kind, text in json.loads(done.stdout)]

    def connected(self) -> list[str]:
        """The addresses that were connected to."""
        lines = (json.loads(line) for line in self._log.read_text().splitlines())
        return [line["ip"] for line in lines if line["op"] == "connect"]


@pytest.fixture(scope="module")
def internet(shared, tmp_path_factory):
    """A pretend internet with one web server in it."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield PretendInternet(shared / "chaos" / "shim", tmp_path_factory.mktemp("net"), server.server_port)
    server.shutdown()
    server.server_close()


def test_160_hostile_urls(shared, internet, tmp_path):
    """Of the 160 URLs 152 are refused without a connection and the 8 that must pass do reach their server."""
    subprocess.run([sys.executable, shared / "chaos" / "gen_hostile.py", tmp_path], check=True, capture_output=True)
    rows = [line.split("\t") for line in (tmp_path / "urls" / "ssrf.tsv").read_text().splitlines()[1:]]
    cases = [(json.loads(url), expect) for _kind, url, expect in rows]
    wrong = []
    answers = internet.fetch([url for url, _expect in cases])
    for (url, expect), (kind, text) in zip(cases, answers, strict=True):
        # https reaches a server that speaks no TLS, IPv6 one that does not listen: connected all the same.
        passed = kind in {"ok", "tls", "connect"}
        if passed != (expect == "allow"):
            wrong.append((url, kind, text))
    assert wrong == []
    assert Counter(expect == "allow" for _url, expect in cases) == {False: 152, True: 8}
    assert [ip for ip in internet.connected() if address_class(ip)] == []


def test_names_that_change_or_mix(internet):
    """A name that answers a public and a private address is refused; one that changes is connected where checked."""
    mixed, mixed6, rebind, again = internet.fetch(
        ["http://mixed.test/", "http://mixed6.test/", "http://rebind.test/", "http://rebind.test/two"]
    )
    assert mixed[0] == mixed6[0] == "refused"
    assert "loopback" in mixed[1]
    assert rebind[0] == "ok"
    # The second request of this child may reuse the checked connection; a new look-up is refused.
    assert again[0] in {"ok", "refused"}
    assert set(internet.connected()) == {"93.184.216.34"}
