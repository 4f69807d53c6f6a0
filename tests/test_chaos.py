"""Every behaviour of the chaos server, met as its index says; where that leaves a choice, the one taken stands here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.chaos import ROUNDS, START, TIMEOUT

pytestmark = pytest.mark.databases("sqlite")  # what the network does is the same to any archive
ROOT = Path(__file__).resolve().parent.parent
WORLD = {
    "names": {
        "rebind.chaos.test": [["93.184.216.34"], ["127.0.0.1"]],
        # What the C library makes of such spellings.
        **{name: ["127.0.0.1"] for name in ("localhost", "2130706433", "0x7f000001", "127.1")},
        "2852039166": ["169.254.169.254"],
    },
    "strict": True,
    "block": True,
}

ENTRIES = {
    # Behaviours that bring entries, and how many. All others must bring none.
    **dict.fromkeys(("/ok.xml", "/etag.xml", "/etag-weak.xml", "/etag-changes.xml", "/etag-huge.xml"), 3),
    **dict.fromkeys(("/max-age.xml", "/max-age-huge.xml", "/auth/basic+"), 3),
    "/ok.atom": 2,
    "/etag-crlf.xml": 3,  # the control in the ETag is made harmless, and the ETag not kept
    **dict.fromkeys((f"/redirect/{name}" for name in ("301", "302", "303", "307", "308", "relative", "fragment")), 3),
    **dict.fromkeys(("/redirect/301-flap", "/redirect/body-bomb", "/redirect/chain/3"), 3),
    **dict.fromkeys((f"/notfeed/rss-{name}" for name in ("as-html", "no-type", "octet", "as-json")), 3),
    "/slow/keepalive": 3,
    "/frame/long": 2,  # choice: the entries that came whole count
    **dict.fromkeys(("/frame/no-reason", "/frame/lf-only", "/frame/cookies-1000"), 3),
    **dict.fromkeys((f"/gzip/{name}" for name in ("mislabelled", "unlabelled", "upper", "multimember")), 3),
    **dict.fromkeys(("/ledger/A.xml", "/ledger/B.xml"), 3),
}
KINDS = {
    # Why the others fail, by the start of their path; the longest that fits counts.
    "/304-always": {"http"},
    "/status/": {"http", "auth", "denied", "missing", "throttled", "empty", "gone", "parse"},
    "/status/204": {"empty"},
    "/status/205": {"empty"},
    "/status/410": {"gone"},  # choice: one 410 from its own address retires a feed
    "/status/201": {"parse"},
    "/status/203": {"parse"},
    "/retry-after/": {"throttled", "http"},
    "/auth/": {"auth"},
    "/auth/redirect-leak": {"refused"},
    "/redirect/": {"redirect"},
    "/redirect/to-": {"refused"},
    "/redirect/perm-to-": {"refused"},
    "/redirect/to-rebind": {"refused", "connect"},  # the first look-up leads out of the pretended world
    "/redirect/perm-to-rebind": {"refused", "connect"},
    "/redirect/crlf": {"refused"},
    "/redirect/huge": {"refused"},
    "/redirect/bad-": {"refused"},
    "/redirect/301-to-410": {"missing"},  # choice: only a feed's own 410 counts
    "/redirect/301-to-html": {"parse"},
    "/redirect/301-to-login": {"parse"},
    "/redirect/slow": {"timeout"},
    "/notfeed/": {"parse"},
    "/slow/": {"timeout"},
    "/endless/": {"size", "protocol", "timeout"},
    "/conn/": {"protocol", "connection"},
    "/frame/": {"protocol", "size"},
    "/frame/cl-and-te": {"parse", "protocol"},  # choice: chunked wins
    "/frame/header-obsfold": {"parse"},  # choice: accepted; its body is empty
    "/frame/reason-latin1": {"parse"},
    "/frame/log-injection": {"http"},
    "/bomb/": {"size", "encoding", "timeout"},
    "/gzip/": {"encoding"},
    "/big/": {"size"},  # choice: 15 MB are over the usual limit of 10 MB
}
LATER = {
    # What fails first and answers in a later round: round, entries.
    "/304-with-error-page.xml": (1, 3),
    "/flaky": (1, 3),
    "/429-then-ok": (2, 3),
}
WAITS = {
    # Retry-After as stated, and for how long it is obeyed; None: as if it were missing.
    "120": 120,
    "0": 0,
    "-5": None,
    "huge": 86400,
    "garbage": None,
    "float": None,
    "date": 600,
    "date-past": 0,
    "date-year9999": 86400,
    "empty": None,
    "two": None,
}
ARTICLES = {
    # Sequences of polls and the exact number of articles they leave.
    **dict.fromkeys(("guid_changes", "guid_and_query_change", "guid_missing", "guid_link_missing"), 5),
    **dict.fromkeys(("nothing_but_description", "guid_empty", "guid_blank", "guid_same_for_all"), 5),
    **dict.fromkeys(("guid_http_https", "trailing_slash", "title_corrected", "content_has_clock"), 1),
    **dict.fromkeys(("lastbuilddate_clock", "dup_in_one_document", "guid_1MB", "date_moves"), 1),
    **dict.fromkeys(("guid_case", "reappears", "feed_emptied", "backdated", "future_dated", "feed_replaced"), 2),
    "link_same_for_all": 5,
    "same_guid_two_feeds": 4,
    "item_100_per_poll": 300,
    "guid_reused": 2,  # choice: both texts are kept
    "guid_host_change": 1,
    "nfc_nfd": 1,
}


@pytest.fixture(scope="module")
def run(shared, tmp_path_factory, lasting_place):
    """Seven rounds of polling all behaviours, in a process of its own under the shim."""
    shim = shared / "chaos" / "shim"
    environ = os.environ | {"PYTHONPATH": f"{shim}{os.pathsep}{ROOT}", "FAKENET": json.dumps(WORLD)}
    command = [sys.executable, ROOT / "tests" / "chaos.py", shared / "chaos", tmp_path_factory.mktemp("chaos")]
    command += [lasting_place(str(number)) for number in range(30)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    answer["rounds"] = [{urllib.parse.unquote(name): row for name, row in part.items()} for part in answer["rounds"]]
    return answer


def unmet(run) -> list[str]:
    """One line for each expectation that is not met."""
    first = run["rounds"][0]
    found = [line for path, row in first.items() for line in first_round(path, row)]
    for path, (number, entries) in LATER.items():
        row = run["rounds"][number][path]
        if row["new"] + row["unchanged"] + row["revised"] != entries or row["state"]["failures"]:
            found.append(f"{path}: {row}")
    found += [f"{path} wrote in a later round: {row}" for part in run["rounds"][1:] for path, row in rewritten(part)]
    found += [line for path in first if path.startswith("/retry-after/") for line in waiting(path, first[path])]
    found += [line for name, check in CHECKS.items() for line in complaint(name, check(run))]
    found += [
        f"{name} left {articles(run, name)} articles"
        for name, count in ARTICLES.items()
        if articles(run, name) != count
    ]
    slow = {urllib.parse.unquote(name): took for name, took in run["took"].items() if took > TIMEOUT + 2}
    return found + [f"{path} took {took:.1f} s" for path, took in slow.items()]


def first_round(path, row) -> list[str]:
    """What is wrong with a behaviour's first poll."""
    entries = row["new"] + row["unchanged"] + row["revised"]
    if path in ENTRIES:
        return [] if entries == ENTRIES[path] and row["status"] == "ok" else [f"{path}: {row}"]
    if path.startswith("/charset/"):
        return [] if entries == 3 else [f"{path}: {row}"]
    if path in LATER:
        return [] if row["status"] == "failed" else [f"{path}: {row}"]
    kinds = next(KINDS[start] for start in sorted(KINDS, key=len, reverse=True) if path.startswith(start))
    sentence = row["error"] or ""
    good = row["kind"] in kinds and not entries and sentence.isprintable() and "Traceback" not in sentence
    return [] if good and row["state"]["failures"] == 1 else [f"{path}: {row}"]


def rewritten(part):
    """Rows of a later round that stored something although nothing had changed."""
    for path, row in part.items():
        # The flapping one serves two different feeds in turn, the ledgers always something new.
        changes = path in LATER or path.startswith("/ledger/") or path == "/redirect/301-flap"
        if (row["new"] or row["revised"]) and not changes:
            yield path, row


def waiting(path, row) -> list[str]:
    """Whether Retry-After was obeyed, within bounds, and nothing is asked again at once."""
    expected, state = WAITS[path.rsplit("/", 1)[1]], row["state"]
    due = datetime.fromisoformat(state["next_due"]) - START
    wait = (datetime.fromisoformat(state["not_before"]) - START).total_seconds() if state["not_before"] else None
    right = wait is None if expected is None else wait is not None and abs(wait - expected) <= 5
    return (
        []
        if right and due >= timedelta(minutes=5) and due.total_seconds() >= (wait or 0)
        else [f"{path}: {wait} {due}"]
    )


def complaint(name, right) -> list[str]:
    """A line unless it is right."""
    return [] if right else [name]


def articles(run, name) -> int:
    """How many a sequence left."""
    return next(
        count for path, count in run["sequences"].items() if path.removeprefix("/seq/").removesuffix(".xml") == name
    )


def header(run, path, name):
    """A header of the last request for a path."""
    return run["stats"]["last"][path]["headers"].get(name)


def moved(run, path):
    """What is remembered of a permanent redirect, round by round."""
    return [part[path]["state"]["extra"].get("moved") for part in run["rounds"]]


def hits(run, path):
    """How many requests a path had."""
    return run["stats"]["hits"][path]


CHECKS = {
    "both validators go back as they came": lambda run: (
        header(run, "/etag.xml", "if-none-match") == '"abc-1"'
        and header(run, "/etag.xml", "if-modified-since") == "Wed, 01 Jan 2025 00:00:00 GMT"
    ),
    "a weak ETag goes back byte for byte": lambda run: (
        header(run, "/etag-weak.xml", "if-none-match") == 'W/"a b,c\u00e9"'.encode().decode("latin-1")
    ),
    "an ETag of 60 kB is not kept": lambda run: header(run, "/etag-huge.xml", "if-none-match") is None,
    "an ETag with controls is not kept": lambda run: header(run, "/etag-crlf.xml", "if-none-match") is None,
    "the ETag of an error page is not kept": lambda run: (
        header(run, "/304-with-error-page.xml", "if-none-match") is None
    ),
    "max-age is waited for": lambda run: (
        datetime.fromisoformat(run["rounds"][0]["/max-age.xml"]["state"]["next_due"]) >= START + timedelta(hours=1)
    ),
    "a huge max-age is capped": lambda run: (
        datetime.fromisoformat(run["rounds"][0]["/max-age-huge.xml"]["state"]["next_due"]) <= START + timedelta(days=2)
    ),
    # Its page is also where /redirect/301-to-410 leads.
    "a retired feed is not asked again": lambda run: (
        hits(run, "/status/410-then-ok") == 1 and hits(run, "/status/410") == 1 + len(ROUNDS)
    ),
    "a wrong password is not tried again in one poll": lambda run: hits(run, "/auth/digest-loop") <= len(ROUNDS),
    "Retry-After is not overrun by hand": lambda run: run["rounds"][1]["/retry-after/429/120"]["status"] == "skipped",
    "no cookie is sent": lambda run: all("cookie" not in last["headers"] for last in run["stats"]["last"].values()),
    "no encoding is offered but gzip and deflate": lambda run: (
        {last["headers"].get("accept-encoding") for path, last in run["stats"]["last"].items() if "/_" not in path}
        == {"gzip, deflate"}
    ),
    "301 and 308 settle after polls on two days": lambda run: all(
        not found[2]["settled"] and found[-1]["settled"] and found[-1]["to"].endswith("/ok.xml")
        for found in (moved(run, "/redirect/301"), moved(run, "/redirect/308"))
    ),
    "302, 303 and 307 never do": lambda run: (
        not any(any(moved(run, f"/redirect/{code}")) for code in ("302", "303", "307"))
    ),
    "a 301 that comes and goes does not settle": lambda run: (
        not any(found and found["settled"] for found in moved(run, "/redirect/301-flap"))
    ),
    "no redirect to a dead or forbidden place is kept": lambda run: (
        not any(
            found
            for path in run["rounds"][0]
            if path.startswith(("/redirect/perm-to-", "/redirect/301-to-", "/redirect/self", "/redirect/loop-"))
            for found in moved(run, path)
        )
    ),
    "changing ETags rewrite nothing": lambda run: all(
        part["/etag-changes.xml"]["status"] == "unchanged" for part in run["rounds"][1:]
    ),
    "no reason phrase reaches a message": lambda run: "owned" not in run["rounds"][0]["/frame/log-injection"]["error"],
    "the process grows by at most 64 MB over all bombs and endless answers": lambda run: run["grown"] <= 64 << 20,
    "each ledger poll brings its three entries": lambda run: all(
        part[f"/ledger/{name}.xml"]["new"] == 3 for part in run["rounds"] for name in "AB"
    ),
}


def test_282_behaviours(run, shared, capsys):
    """All behaviours of the index are polled and met; nobody reaches the canary."""
    index = json.loads((shared / "chaos" / "CHAOS_HTTP_INDEX.json").read_text())
    polled = {urllib.parse.unquote(name) for name in run["rounds"][0]} | set(run["sequences"])
    expected = {behaviour["url"].split(":8098", 1)[1] for behaviour in index["behaviours"]}
    sequences = {path for path in expected if path.startswith("/seq/")}
    assert expected - sequences <= polled
    assert len(expected) == 282
    assert len(sequences) == len(run["sequences"]) + 1
    found, canary = unmet(run), run["stats"]["canary_hits"]
    with capsys.disabled():
        print(f"\n{len(expected)} behaviours, {len(found)} unmet, {canary} canary hits")  # noqa: T201 - the figure
    assert found == []
    assert canary == 0
