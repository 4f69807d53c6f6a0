"""How well and how fast clauses are tagged: `python benchmarks/clauses.py [--shared DIR] [--write docs/clauses.md]`.

Prints F1 on the labelled seeds and development texts together, on the third of the development texts that is held
back (by a hash of its name; nobody writes cues from those), on the articles and paraphrases in tests/data, false
positives over the posts with their dates taken away, and articles a second with 47 clauses and with 20 agreements of
25 clauses more.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from aggregator import catalogue, dialects, normalize  # noqa: E402 - found beside this file
from aggregator.cli.tag import moment  # noqa: E402
from aggregator.drafting import draft_from_text  # noqa: E402
from aggregator.errors import DialectError  # noqa: E402
from aggregator.tag import Tagger  # noqa: E402
from aggregator.tag_review import discussed  # noqa: E402
from aggregator.text import language  # noqa: E402
from aggregator.yaml_lines import load_yaml  # noqa: E402

LEADS = {
    "sunnylands-2023": (
        "中美15日发表关于加强合作应对气候危机的阳光之乡声明。",
        "China and the United States released the Sunnylands statement on Tuesday.\n",
    ),
    "glasgow-2021": (
        "中国和美国10日在格拉斯哥发表联合宣言。",
        "China and the United States issued a joint declaration at the Glasgow climate conference on Wednesday.\n",
    ),
    "shanghai-2021": (
        "中美两国在上海会谈后发表应对气候危机联合声明。",
        "China and the United States issued a joint statement on the climate crisis after talks in Shanghai.\n",
    ),
}


@dataclass(slots=True)
class Score:
    """Counts of clauses discussed: found rightly, wrongly, and missed."""

    hit: int = 0
    spurious: int = 0
    missed: int = 0
    agreements: list[int] = field(default_factory=lambda: [0, 0])

    def add(self, got: set[str], must: set[str], may: set[str]) -> None:
        """Count one article."""
        self.hit += len(got & must)
        self.spurious += len(got - must - may)
        self.missed += len(must - got)

    def add_agreements(self, got: set[str], must: set[str]) -> None:
        """Count the agreements of one article."""
        self.agreements[0] += len(got & must)
        self.agreements[1] += len(got ^ must)

    @property
    def precision(self) -> float:
        """Found rightly among those found."""
        return self.hit / ((self.hit + self.spurious) or 1)

    @property
    def recall(self) -> float:
        """Found rightly among those that are there."""
        return self.hit / ((self.hit + self.missed) or 1)

    @property
    def f1(self) -> float:
        """Their harmonic mean."""
        return 2 * self.hit / ((2 * self.hit + self.spurious + self.missed) or 1)

    def __str__(self) -> str:
        right, wrong = self.agreements
        named = f"  agreements F1 {2 * right / ((2 * right + wrong) or 1):.3f}" if right or wrong else ""
        return f"precision {self.precision:.3f}  recall {self.recall:.3f}  F1 {self.f1:.3f}{named}"


def held(name: str) -> bool:
    """Whether a development text is in the third that is held back."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 3 == 0


def labelled(shared: Path) -> list[dict[str, Any]]:
    """The labelled seeds and development texts, with their words."""
    found = []
    for name in ("seeds", "dev"):
        for line in (shared / "gold" / "clauses" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if "file" in row:
                article = normalize.with_text(dialects.read((shared / "seeds" / row["file"]).read_bytes()))
                row["text"] = article.text
            found.append(row | {"set": name})
    return found


def own() -> list[dict[str, Any]]:
    """The project's own articles, labelled."""
    rows = load_yaml((ROOT / "tests" / "data" / "articles.yaml").read_text(encoding="utf-8"), "articles.yaml").data
    return [
        row
        | {
            "optional": row.get("may", []),
            "agreements": row.get("agreements", sorted({one.split("/")[0] for one in row["clauses"]})),
        }
        for row in rows
    ]


def score(tagger: Tagger, rows: Iterable[dict[str, Any]], by_clause: dict[str, Score] | None = None) -> Score:
    """Compare tags with labels."""
    found = Score()
    for row in rows:
        tags = tagger.tags(row.get("title") or "", row["text"], moment(row.get("published")))
        got, must, may = set(discussed(tags)), set(row["clauses"]), set(row["optional"])
        found.add(got, must, may)
        found.add_agreements(set(tags.agreements), set(row["agreements"]))
        for clause in (got | must) if by_clause is not None else ():
            one = by_clause.setdefault(clause, Score())  # type: ignore[union-attr]
            one.add(got & {clause}, must & {clause}, may & {clause})
    return found


def paraphrases(tagger: Tagger) -> tuple[int, int]:
    """How many of the paraphrases in tests/data are found, and how many there are."""
    path = ROOT / "tests" / "data" / "paraphrases.yaml"
    hits = number = 0
    for clause, sentences in load_yaml(path.read_text(encoding="utf-8"), path.name).data.items():
        for sentence in sentences:
            lead = LEADS[clause.split("/")[0]][language(sentence) == "en"]
            hits += clause in discussed(tagger.tags("", f"{lead}{sentence}"))
            number += 1
    return hits, number


def posts(shared: Path) -> list[tuple[str, str]]:
    """Title and text of every post, the date taken away."""
    found = []
    for path in sorted((shared / "corpus" / "posts").rglob("*.md")):
        try:
            article = normalize.with_text(dialects.read(path.read_bytes(), path.name))
        except DialectError:
            continue
        found.append((article.title, article.text))
    return found


def speed(tagger: Tagger, texts: Sequence[tuple[str, str]], seconds: float = 1.5) -> float:
    """Articles a second on one core."""
    done, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        for title, text in texts:
            tagger.tags(title, text)
        done += len(texts)
    return done / (time.process_time() - start)


def cut(texts: Iterable[tuple[str, str]], size: int = 3000) -> list[tuple[str, str]]:
    """The same words in articles of 3 KB."""
    whole = "\n".join(text for _title, text in texts)
    step = size * len(whole) // len(whole.encode())
    return [("", whole[start : start + step]) for start in range(0, len(whole), step)]


def many(statement: str) -> catalogue.Catalogue:
    """The built-in agreements and 20 of 25 clauses, drafted from a statement and renamed."""
    known = catalogue.load()
    drafted = catalogue.read(draft_from_text(statement, "draft", concepts=catalogue.concepts()), "draft.yaml")
    extra = [
        replace(
            drafted,
            id=f"draft-{number}",
            name={"zh": f"第{number}号测试声明"},
            aliases=(f"测试{number}号",),
            clauses=tuple(replace(one, agreement=f"draft-{number}") for one in drafted.clauses),
        )
        for number in range(20)
    ]
    return catalogue.assemble([*known.agreements, *extra])


def table(known: catalogue.Catalogue, by_clause: dict[str, Score]) -> str:
    """A Markdown table with a line for each clause."""
    lines = ["| clause | title | cues | labelled | precision | recall |", "|---|---|---:|---:|---:|---:|"]
    for one in (clause for agreement in known.agreements for clause in agreement.clauses):
        got = by_clause.get(one.id, Score())
        shown = f"{got.hit + got.missed} | " + (
            f"{got.precision:.2f} | {got.recall:.2f}" if got.hit + got.missed + got.spurious else "– | –"
        )
        title = " / ".join(one.title.values())
        lines.append(f"| `{one.id}` | {title} | {len(one.cues) + len(one.hints) + len(one.otherwise)} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    options.add_argument("--write", type=Path, help="put the table per clause into this file, between its marks")
    chosen = options.parse_args()
    known = catalogue.load()
    tagger = Tagger(known)
    rows = labelled(chosen.shared)
    by_clause: dict[str, Score] = {}
    print("seeds and dev together:", score(tagger, rows, by_clause))
    print("  of these, held back: ", score(tagger, [row for row in rows if row["set"] == "dev" and held(row["doc"])]))
    print("own articles:          ", score(tagger, own()))
    print("own paraphrases:        {} of {} found".format(*paraphrases(tagger)))
    texts = posts(chosen.shared)
    wrong = sum(bool(discussed(tagger.tags(*one))) for one in texts)
    print(f"posts without dates:    {wrong} of {len(texts)} tagged `discusses`")
    articles = cut(texts)
    ours = cut([(row.get("title") or "", row["text"]) for row in rows])
    plain, busy = speed(tagger, articles), speed(tagger, ours)
    print(
        f"47 clauses:             {plain:,.0f} articles of 3 KB a second; {busy:,.0f} where all are on the agreements"
    )
    statement = max((chosen.shared / "seeds").glob("003*")).read_text(encoding="utf-8")
    larger = Tagger(many(statement))
    print(
        f"and 20 × 25 more:       {plain / speed(larger, articles):.2f} times slower; {busy / speed(larger, ours):.2f} times on the agreements' texts"
    )
    if chosen.write:
        text = chosen.write.read_text(encoding="utf-8")
        marks = r"(<!-- table -->\n).*(\n<!-- end -->)"
        chosen.write.write_text(
            re.sub(marks, lambda m: m[1] + table(known, by_clause) + m[2], text, flags=re.DOTALL), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
