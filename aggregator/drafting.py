"""An agreement's file drafted from its text: clauses cut at their numbers, cues from what each alone speaks of.

The draft can be used as it is and refined by hand. Terms are pairs of Han characters, or word stems, that one clause
has and no other; a sentence that holds enough of them speaks of that clause (the df = 1 end of Sparck Jones' term
specificity, 1972).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aggregator.errors import CatalogueError
from aggregator.text import CJK, fold, language

LEAST_CLAUSES = 2
TERMS = 24  # of a clause at the most
_DIGITS = {char: value for value, char in enumerate("一二三四五六七八九", 1)}
# How clauses are numbered; group 1 is the number. The manner that counts furthest from 1 is taken.
_MANNERS = tuple(
    re.compile(pattern, re.MULTILINE | re.IGNORECASE)
    for pattern in (
        r"^[ \t\u3000*#]*([一二三四五六七八九十百]+)、",
        r"^[ \t\u3000*#]*第\s*([一二三四五六七八九十百]+|\d+)\s*条[ \t\u3000：:、.]*",
        r"^[ \t*#]*(\d{1,3})\s*[.、．](?!\d)[ \t]*",
        r"^[ \t*#]*[(（](\d{1,3}|[一二三四五六七八九十百]+)[)）][ \t]*",
        r"^[ \t*#]*(?:article|clause|paragraph|section|art\.)\s+(\d{1,3})\b[ \t.:—-]*",
    )
)
# Shared concepts that name a thing a clause can be about, however the press puts it.
SUBJECTS = [
    "renewable",
    "fossil_fuel",
    "energy_efficiency",
    "ccus",
    "methane",
    "nitrous_oxide",
    "hfc",
    "cooling",
    "circular",
    "plastic",
    "subnational",
    "forest",
    "air_pollutants",
    "stocktake",
    "adaptation",
    "loss_damage",
    "finance_100bn",
    "working_group",
    "technical_group",
    "temperature_goal",
    "science_report",
    "biodiversity",
    "rulebook",
    "article_six",
    "aviation_shipping",
    "agriculture",
    "track_two",
    "ndc_name",
    "economy_wide",
    "all_gases",
    "net_zero",
    "leaders_summit",
    "direct_air",
    "unabated",
    "carbon_free_power",
    "five_year_plan",
    "power_grid",
    "end_use",
    "long_term_strategy",
    "first_half_2024",
    "two_documents",
    "presidency",
    "multilateral",
    "g20",
]
SHARED = 3  # clauses that may speak of a subject before it stops telling them apart
_HAN_RUN = re.compile(f"[{CJK}]{{2,}}")
_WORD = re.compile(r"[a-z][a-z0-9]{3,}")
# Characters that join words rather than name things.
_JOINING = frozenset(
    "的和与及在将并等对为于以了是其该各两双方将应会就使由从至到或其之所者这那不有中国美上下个将可能也都被把按据除"
)
_PLAIN_WORDS = frozenset(
    [
        "that",
        "this",
        "with",
        "from",
        "their",
        "they",
        "will",
        "shall",
        "have",
        "been",
        "including",
        "which",
        "both",
        "into",
        "other",
        "under",
        "each",
        "parties",
        "party",
        "such",
        "also",
        "more",
        "than",
        "these",
        "those",
        "between",
        "through",
        "upon",
        "where",
        "when",
        "countries",
        "states",
        "china",
        "united",
        "intend",
        "intends",
        "support",
        "cooperate",
        "cooperation",
        "work",
        "joint",
        "including",
        "agree",
        "agreed",
        "actions",
        "action",
    ]
)
_KINDS = "联合声明|共同声明|联合宣言|共同宣言|声明|宣言|协定|协议|公约|条约|议定书|备忘录|纲领|倡议"
_ENDS = ("ations", "ation", "ings", "ing", "ions", "ion", "ies", "ed", "es", "s", "e", "y")


@dataclass(frozen=True, slots=True)
class Numbered:
    """One clause as cut out: its number, the heading above it ('' for none) and its words."""

    number: int
    section: str
    text: str


def draft_from_text(
    text: str,
    identity: str,
    name: str | None = None,
    published: str | None = None,
    parties: Sequence[str] = (),
    concepts: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The YAML of an agreement, ready for `catalogue.read`, from its text with numbered clauses
    (一、 / 第三条 / 1. / (1) / Article 3). `concepts` are the shared ones, to find paraphrases by.

    Raises:
        CatalogueError: fewer than two clauses are numbered from 1.

    """
    text = fold(text.replace("\r\n", "\n"))
    clauses = cut(text)
    title = name or _title(text)
    tongue = language(title + text) or "en"
    texts = [clause.text for clause in clauses]
    terms, subjects = distinctive(texts), _subjects(texts, concepts or {})
    lines = [
        "# Drafted from the agreement's text: check names and look-alikes, and refine the cues (see docs/clauses.md).",
        f"id: {identity}",
        f"name: {{{tongue}: {_quoted(title)}}}",
        *([f"published: {published}"] if published else []),
        *([f"parties: [{', '.join(parties)}]"] if parties else []),
        f"aliases: [{', '.join(_quoted(alias) for alias in _aliases(title))}]",
        "clauses:",
    ]
    for clause, words, about in zip(clauses, terms, subjects, strict=True):
        lines += [
            f"  - number: {clause.number}",
            *([f"    section: {_quoted(clause.section)}"] if clause.section else []),
            f"    title: {{{tongue}: {_quoted(_heading(clause.text))}}}",
            f"    summary: {{{tongue}: {_quoted(' '.join(clause.text.split())[:300])}}}",
            f"    cues: [{', '.join(_quoted(cue) for cue in _cues(words, about, clause.text))}]",
        ]
    return "\n".join(lines) + "\n"


def cut(text: str) -> list[Numbered]:
    """The numbered clauses of a text, in order.

    Raises:
        CatalogueError: fewer than two clauses are numbered from 1.

    """
    marks = max((_ascending(manner.finditer(text)) for manner in _MANNERS), key=len)
    if len(marks) < LEAST_CLAUSES:
        raise CatalogueError(
            "no numbered clauses were found; each must begin a line with its number, such as 一、 or 1. or Article 3"
        )
    found, section = [], _last_heading(text[: marks[0].start()])
    for place, mark in enumerate(marks, 1):
        end = marks[place].start() if place < len(marks) else len(text)
        body, heading = _without_heading(text[mark.end() : end])
        found.append(Numbered(place, section, body))
        section = heading or section
    return found


def _ascending(found: Iterable[re.Match[str]]) -> list[re.Match[str]]:
    """Those marks that count 1, 2, 3, ...: others are numbers inside a clause."""
    kept: list[re.Match[str]] = []
    for one in found:
        if _number(one.group(1)) == len(kept) + 1:
            kept.append(one)
    return kept


def _number(text: str) -> int:
    if text.isdigit():
        return int(text)
    hundreds, _, rest = text.rpartition("百")
    tens, ten, ones = rest.partition("十")
    value = (_DIGITS.get(hundreds, 0)) * 100
    return value + (_DIGITS.get(tens, 1) * 10 if ten else _DIGITS.get(tens, 0)) + _DIGITS.get(ones, 0)


_HEADING = re.compile(r"^\s*(?:#+\s*(\S.{0,80}?)|\*\*(\S.{0,80}?)\*\*|([^\n。.;；:：,，]{2,40}))\s*$")


def _last_heading(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    found = _HEADING.match(lines[-1]) if lines and lines[-1].lstrip().startswith(("#", "**")) else None
    return next((part.strip() for part in found.groups() if part), "") if found else ""


def _without_heading(body: str) -> tuple[str, str]:
    """A clause's words, and the heading of the next section where its last line is one."""
    lines = [line for line in body.strip().splitlines() if line.strip()]
    if len(lines) > 1 and (found := _HEADING.match(lines[-1])):
        heading = next(part.strip() for part in found.groups() if part)
        return "\n".join(lines[:-1]), heading
    return "\n".join(lines), ""


def _title(text: str) -> str:
    """The agreement's own name: a heading that ends like one, else the first line."""
    lines = [line.strip().strip("#*《》 ") for line in text.splitlines() if line.strip()]
    named = [line for line in lines[:12] if re.search(f"(?:{_KINDS})$", line) and len(line) < 60]  # noqa: PLR2004 - a line, not a paragraph
    return min(named, key=len) if named else lines[0][:120]


def _aliases(title: str) -> list[str]:
    """What the press will call it: `阳光之乡声明`, and the place or thing it is named after where that is long enough."""
    found = re.search(f"([^的《》\\s]{{2,12}}?)({_KINDS})$", title.rsplit("的", 1)[-1])
    if found:
        stem = found.group(1)
        return [found.group(0)] + ([stem] if len(stem) > 3 else [])  # noqa: PLR2004 - shorter ones are common words
    english = re.match(
        r"(?:the\s+)?(.{4,60}?\b(?:statement|declaration|agreement|accord|convention|treaty|pact))\b", title
    )
    return [english.group(1)] if english and english.group(1) != title else []


def distinctive(texts: Sequence[str]) -> list[list[str]]:
    """For each text the terms that it has and none of the others, most telling first."""
    each = [Counter(_terms(fold(text))) for text in texts]
    spread = Counter(term for counted in each for term in counted)
    found = []
    for counted in each:
        own = [term for term in counted if spread[term] == 1]
        own = own or [term for term, _count in sorted(counted.items(), key=lambda one: spread[one[0]])][:TERMS]
        found.append(sorted(own, key=lambda term: -counted[term])[:TERMS])
    return found


def _terms(text: str) -> Iterable[str]:
    for run in _HAN_RUN.findall(text):
        for start in range(len(run) - 1):
            pair = run[start : start + 2]
            if not _JOINING & set(pair):
                yield pair
    for word in _WORD.findall(text):
        if word not in _PLAIN_WORDS:
            yield _stem(word)


def _stem(word: str) -> str:
    for end in _ENDS:
        if word.endswith(end) and len(word) - len(end) > 3:  # noqa: PLR2004 - a stem that still names something
            return f"{word[: -len(end)]}*"
    return word


def _subjects(texts: Sequence[str], concepts: Mapping[str, Sequence[str]]) -> list[list[tuple[str, int]]]:
    """For each text the shared subjects it speaks of, with the number of texts that do."""
    patterns = {name: _pattern(concepts[name]) for name in SUBJECTS if name in concepts}
    each = [[name for name, pattern in patterns.items() if pattern.search(text)] for text in map(fold, texts)]
    spread = Counter(name for names in each for name in names)
    return [[(name, spread[name]) for name in names if spread[name] <= SHARED] for names in each]


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    parts = (re.escape(fold(word).strip("*")).replace(r"\*", r"\w*").replace(r"\ ", "[ -]") for word in words)
    return re.compile("|".join(rf"\b{part}" if part[:1].isascii() else part for part in parts))


def _cues(words: Sequence[str], subjects: Sequence[tuple[str, int]], text: str) -> list[str]:
    """Two of its terms; a subject of its own; a subject that few others have, with one of its terms."""
    found = [f"@{name}" for name, spread in subjects if spread == 1]
    if words:
        found += [f"@{name} & {'|'.join(words)}" for name, spread in subjects if spread > 1]
        found.append(f"2 of {'|'.join(words)}" if len(words) > 1 else words[0])
    return found or [" ".join(text.split())[:20]]


def _heading(text: str) -> str:
    first = re.split(r"[。.;；\n]", text.strip(), maxsplit=1)[0]
    return first if len(first) <= 40 else first[:39] + "…"  # noqa: PLR2004 - one line of a table


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
