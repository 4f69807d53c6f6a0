"""Make `aggregator/dedup/frequencies.bin`: how rare terms are in news, as one byte for each of 262,144 hash values.

    python benchmarks/frequencies.py ../shared

Counts in how many articles each term stands: pairs of Han characters in the Chinese posts of `corpus/posts`, words in
the English posts and in the English entries of `corpus/feeds`. What is written is 32 times the logarithm of the
inverse share, by hash; no text can be read from it. The archive never changes these numbers: how two articles compare
must not depend on what else is stored.
"""

from __future__ import annotations

import io
import math
import re
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import feedparser

from aggregator.dedup import story
from aggregator.normalize import plain_text
from aggregator.text import language


def texts(shared: Path) -> Iterator[str]:
    """Every text of the posts."""
    for path in sorted((shared / "corpus/posts").rglob("*.md")):
        source = path.read_text(encoding="utf-8")
        title = re.search(r'(?m)^title: "(.*)"$', source)
        yield f"{title.group(1) if title else ''}\n{plain_text(source.split('------', 1)[1])}"
    for path in sorted((shared / "corpus/feeds").rglob("*.*")):
        if path.is_file():
            for entry in feedparser.parse(io.BytesIO(path.read_bytes())).entries:
                yield f"{entry.get('title', '')}\n{plain_text(entry.get('summary', ''))}"


def main() -> None:
    """Count, and write the table."""
    counts: dict[str, Counter[int]] = {"zh": Counter(), "en": Counter()}
    totals: Counter[str] = Counter()
    for text in texts(Path(sys.argv[1])):
        kind = language(text)
        if kind:
            totals[kind] += 1
            counts[kind].update({term >> story.SHIFT for term in story.terms_of(text[:1500])})
    table = bytearray()
    for at in range(1 << (32 - story.SHIFT)):
        rarest = 7.6
        for kind, total in totals.items():
            if found := counts[kind][at]:
                rarest = min(rarest, math.log((total + 1) / found))
        table.append(min(round(rarest * 32), 255))
    target = Path(story.__file__).with_name("frequencies.bin")
    target.write_bytes(zlib.compress(bytes(table), 9))
    print(dict(totals), {kind: len(found) for kind, found in counts.items()}, target, target.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
