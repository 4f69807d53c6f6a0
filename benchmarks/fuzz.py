"""Coverage-guided fuzzing (atheris) of what reads other people's bytes: each target so many seconds.

    pip install atheris
    python benchmarks/fuzz.py                      five minutes each
    python benchmarks/fuzz.py query parse --seconds 60

A target may raise only what it documents; anything else, and anything that takes longer than ten seconds, is a
finding: atheris writes the input to a file `crash-…` in the working folder, and it becomes a test.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def parse(data: bytes) -> None:
    """Feed documents to entries, and entries to articles."""
    from aggregator import normalize
    from aggregator.errors import ParseError
    from aggregator.model import Feed
    from aggregator.parse import parse_feed

    feed = Feed("f", ("https://a.example/",), "t", "o")
    try:
        found = parse_feed(data, content_type=None, url="https://a.example/", timezone="UTC", now=NOW)
    except ParseError:
        return
    for entry in found.entries:
        normalize.article(entry, feed)


def normalizing(data: bytes) -> None:
    """An entry's HTML, title and address, without a parser before them; done again nothing changes."""
    from aggregator import normalize
    from aggregator.model import Entry, Feed

    feed = Feed("f", ("https://a.example/",), "t", "o")
    title, _, html = data.decode("utf-8", "replace").partition("\n")
    link = "https://a.example/" + title[:50]
    found = normalize.article(Entry(guid=title, link=link, title=title, html=html), feed)
    if normalize.with_text(found).text != found.text:
        raise AssertionError("the text of the same HTML differs")


def dialects(data: bytes) -> None:
    """Article files: read, and where that works, written and read again."""
    from aggregator import dialects as known
    from aggregator.errors import DialectError

    try:
        known.read(data, "a.md")
    except DialectError:
        return


def query(data: bytes) -> None:
    """Queries."""
    from aggregator.errors import QueryError
    from aggregator.query import parse as read

    try:
        read(data.decode("utf-8", "replace"), NOW)
    except QueryError:
        return


def tagger(data: bytes) -> None:
    """Texts: every piece of evidence is where it says it is."""
    text = data.decode("utf-8", "replace")
    for clause in _tagger().tags(text[:50], text, NOW).clauses:
        for one in clause.evidence:
            source = text if one.field == "text" else text[:50]
            if source[one.start : one.end] != one.quote:
                raise AssertionError(clause.clause)


_TAGGER = []


def _tagger():
    if not _TAGGER:
        from aggregator import catalogue
        from aggregator.tag import Tagger

        _TAGGER.append(Tagger(catalogue.load(())))
    return _TAGGER[0]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "parse": parse,
    "normalize": normalizing,
    "dialects": dialects,
    "query": query,
    "tagger": tagger,
}


SEEDS = tuple(
    text.encode()
    for text in (
        (
            "<rss version='2.0'><channel><item><title>a &amp; b</title><guid>1</guid><link>http://a.example/1</link>"
            "<pubDate>Mon, 06 Jan 2025 08:00:00 +0800</pubDate><description><![CDATA[<p>甲烷</p>]]></description></item></channel></rss>"
        ),
        (
            "<feed xmlns='http://www.w3.org/2005/Atom'><entry><id>x</id><title type='html'>&lt;b&gt;c</title>"
            "<updated>2025-01-06T08:00:00Z</updated><content type='xhtml'><div>d</div></content></entry></feed>"
        ),
        '{"version": "https://jsonfeed.org/version/1.1", "items": [{"id": 1, "content_html": "<p>e</p>", "date_published": "x"}]}',
        (
            "标题 <em>\n<div><p>原标题：一</p><script>x</script><table><tr><td>二<br>三</td></tr></table><img src=/i.png>"
            "<style>p{}</style><!-- c --><ul><li>四</ul>（责任编辑：五）</div>"
        ),
        "\n---\n\ntitle: 'it''s'\ncategories: \n - x\ndate: Mon, 06 Jan 2025 08:00:00 GMT\n---\n\n<div>   \n<p>y</p>\n  \n</div>\n",
        "<!--1736150400000-->[t](http://a.example/)\n------\n\n<p><i>2025-01-06</i></p>\n",
        '---\nlayout: post\ntitle: "a: b"\ndate: 2025-01-06\ntags: [x, y]\n---\n# t\n\n*m* [l](u)\n',
        '(甲烷 OR "coal power") -煤 title:气候 outlet:新浪 since:7d clause:sunnylands-2023/10 lang:zh',
        "中美发表的阳光之乡声明说，双方将落实各自的国家甲烷行动计划。 In the Sunnylands Statement both sides agreed on plastic.",
    )
)
"""Inputs that the coverage grows from: one of each kind."""


def fuzz(name: str, seconds: int) -> None:
    """One target in this process; ends by itself."""
    import atheris

    with atheris.instrument_imports(include=["aggregator", "feedparser", "bs4"]):
        for seed in SEEDS:
            TARGETS[name](seed)  # everything is imported here, instrumented
    with tempfile.TemporaryDirectory(prefix="fuzz-") as corpus:
        for number, seed in enumerate(SEEDS):
            (Path(corpus) / str(number)).write_bytes(seed)
        limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=4096"]
        atheris.Setup([sys.argv[0], *limits, corpus], TARGETS[name])
        atheris.Fuzz()


def main() -> None:
    """Each target in a process of its own; exit status 1 when one has a finding."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", nargs="*", choices=[*TARGETS, []], default=[])
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        fuzz(asked.target[0], asked.seconds)
    bad = []
    for name in asked.target or TARGETS:
        command = [sys.executable, __file__, name, "--here", "--seconds", str(asked.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        last = [line for line in done.stderr.splitlines() if "DONE" in line or "Done" in line or "Error" in line][-2:]
        print(name, "well" if done.returncode == 0 else f"FINDING ({done.returncode})", *last, sep="  ", flush=True)
        if done.returncode:
            bad.append(name)
            print(done.stderr[-2000:], file=sys.stderr)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
