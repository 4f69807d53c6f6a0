"""A citation as a folder: the article's file, its evidence, and checksums that anybody can check.

README.txt       who said it, where and when, for people
article.<ext>    the article in its dialect, or as `export --format hexo` writes it
article.html     the HTML as the outlet sent it
article.txt      the plain text that spans in evidence.json count in (UTF-8, characters from 0)
article.json     everything else that the archive knows of it
evidence.json    the clauses it discusses and the sentences that show it, with rule and catalogue version
SHA256SUMS       as `sha256sum --check` reads it
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from aggregator import dialects, files, normalize
from aggregator.dedup import identity
from aggregator.errors import DialectError
from aggregator.model import Article, Tags

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\\\x00\n]{1,200})")


def write(folder: Path, article: Article, tags: Tags, known: Mapping[str, Any], now: datetime) -> list[str]:
    """Write the folder; the names of its files. `known` holds what the archive knows beside the article (its story)."""
    contents = _contents(article, tags, known, now)
    contents[SUMS] = "".join(f"{sha256(data).hexdigest()}  {name}\n" for name, data in contents.items()).encode()
    for name, data in contents.items():
        files.write(folder / name, data)
    return list(contents)


def _contents(article: Article, tags: Tags, known: Mapping[str, Any], now: datetime) -> dict[str, bytes]:
    dialect = article.dialect or "hexo"
    text = dialects.write(article, dialect)
    name = f"article{Path(dialects.file_name(article, dialect)).suffix or '.md'}"
    facts = {
        "title": article.title, "outlet": article.outlet, "feed": article.feed, "author": article.author,
        "url": article.url, "link": article.link, "guid": article.guid, "lang": article.lang,
        "published": _instant(article.published), "updated": _instant(article.updated),
        "captured": _instant(article.captured), "first_seen": _instant(article.first_seen),
        "id": article.id, "revision": article.revision, "origin": article.origin,
        **known,
        "cited": _instant(now), "file": name, "dialect": dialect,
        "content_key": identity.key_of(article),
        "file_holds_html": _read_back(text) == article.html.rstrip("\n"),
        "text_from_html": normalize.plain_text(article.html) == article.text,
    }  # fmt: skip
    return {
        "README.txt": _said(article, tags, now).encode(),
        name: text,
        "article.html": article.html.encode("utf-8", "surrogatepass"),
        "article.txt": article.text.encode("utf-8", "surrogatepass"),
        "article.json": _json(facts),
        "evidence.json": _json(_evidence(tags)),
    }


def _said(article: Article, tags: Tags, now: datetime) -> str:
    """The citation for people."""
    when = f"{article.when:%Y-%m-%d %H:%M} UTC" if article.when else "without a date"
    lines = [
        f"{article.outlet or 'An unnamed outlet'}: {article.title}",
        f"Published {when}; revision {article.revision}; kept since {_instant(article.first_seen) or 'unknown'}.",
        article.url or article.link or "No address is known.",
        f"Cited {now:%Y-%m-%d %H:%M} UTC from article {article.id} of an aggregator archive.",
        "",
    ]
    for tag in tags.clauses:
        lines.append(f"{tag.clause} ({tag.relation}, {tag.score:.2f}, catalogue {tag.catalogue})")
        lines += [f"    {one.field} {one.start}-{one.end}: {one.quote}" for one in tag.evidence]
    if not tags.clauses:
        lines.append("It discusses no clause of the agreements in the catalogue.")
    lines += ["", f"Check with: sha256sum --check {SUMS}", "or: aggregator cite --verify THIS-FOLDER", ""]
    return "\n".join(lines)


def verify(folder: Path, tag: Callable[[Article], Tags], version: str) -> Iterator[str]:
    """What is wrong with a folder, as sentences; nothing when checksums, text, spans and tags all hold.

    `tag` derives the tags anew with the catalogue of that version. Raises DialectError where the folder is no citation.
    """
    data = _read(folder)
    yield from _sums(folder, data)
    try:
        facts, evidence = json.loads(data["article.json"]), json.loads(data["evidence.json"])
        article = _article(facts, data)
        file = data[facts["file"]]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        yield f"{folder}: its files cannot be read as a citation ({type(error).__name__}: {error})"
        return
    if facts.get("file_holds_html") and _read_back(file) != article.html.rstrip("\n"):
        yield f"{folder}: {facts['file']} does not hold the HTML of article.html"
    if facts.get("text_from_html") and normalize.plain_text(article.html) != article.text:
        yield f"{folder}: article.txt is not the text of article.html"
    if identity.key_of(article) != facts.get("content_key"):
        yield f"{folder}: the content key of title and text is not {facts.get('content_key')}"
    try:
        yield from (f"{folder}: {sentence}" for sentence in _findings(article, evidence, tag(article), version))
    except (KeyError, TypeError, AttributeError) as error:
        yield f"{folder}: evidence.json is not as cite writes it ({type(error).__name__}: {error})"


def _findings(article: Article, evidence: dict[str, Any], fresh: Tags, version: str) -> Iterator[str]:
    for clause in evidence["clauses"]:
        for one in clause["evidence"]:
            source = article.title if one["field"] == "title" else article.text
            if source[one["start"] : one["end"]] != one["quote"]:
                yield f"the quote for {clause['clause']} does not stand at {one['field']} {one['start']}-{one['end']}"
    said = {clause["clause"]: clause for clause in evidence["clauses"]}
    derived = {clause["clause"]: clause for clause in _evidence(fresh)["clauses"]}
    if said == derived and sorted(evidence["agreements"]) == sorted(fresh.agreements):
        return
    versions = {clause["catalogue"] for clause in evidence["clauses"]}
    changed = (
        f"; the catalogue has changed meanwhile, {min(versions)} is now {version}" if versions - {version} else ""
    )
    differing = sorted(one for one in said.keys() | derived.keys() if said.get(one) != derived.get(one))
    named = ", ".join(differing) or "the agreements"
    yield f"tagging the text again gives other findings for {named}{changed}"


def _sums(folder: Path, data: Mapping[str, bytes]) -> Iterator[str]:
    stated: dict[str, str] = {}
    for line in data[SUMS].decode("utf-8", "replace").splitlines():
        if found := _LINE.fullmatch(line):
            stated[found[2]] = found[1]
        else:
            yield f"{folder}/{SUMS}: {line[:80]!r} is no checksum"
    for name in sorted(stated.keys() | data.keys() - {SUMS}):
        if name not in data:
            yield f"{folder}/{name} is missing"
        elif name not in stated:
            yield f"{folder}/{name} stands in no checksum"
        elif sha256(data[name]).hexdigest() != stated[name]:
            yield f"{folder}/{name} was changed: its SHA-256 is not the one in {SUMS}"


def _read(folder: Path) -> dict[str, bytes]:
    if not (folder / SUMS).is_file():
        raise DialectError(f"{folder} is no citation: it has no {SUMS}; `aggregator cite ID --out DIR` writes one")
    return {path.name: files.read(path) for path in sorted(folder.iterdir()) if path.is_file()}


def _read_back(data: bytes) -> str | None:
    """The HTML in an article file, less the line ends after it; None where it cannot be read."""
    try:
        return dialects.read(data).html.rstrip("\n")
    except DialectError:
        return None


def _article(facts: dict[str, Any], data: Mapping[str, bytes]) -> Article:
    published = facts.get("published")
    return Article(
        title=facts["title"],
        html=data["article.html"].decode("utf-8", "surrogatepass"),
        text=data["article.txt"].decode("utf-8", "surrogatepass"),
        published=datetime.fromisoformat(published) if published else None,
    )


def _evidence(tags: Tags) -> dict[str, Any]:
    """Tags as plain values that JSON gives back the same."""
    clauses = [asdict(replace(tag, score=round(tag.score, 6))) for tag in tags.clauses]
    found: dict[str, Any] = json.loads(_json({"agreements": list(tags.agreements), "clauses": clauses}))
    return found


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "surrogatepass")


def _instant(when: datetime | None) -> str | None:
    return when.isoformat() if when else None
