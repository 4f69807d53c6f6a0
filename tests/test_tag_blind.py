"""The project's own labelled articles of many manners: what was mended stays mended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aggregator import catalogue
from aggregator.cli.tag import moment
from aggregator.tag import Tagger
from aggregator.tag_review import discussed

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    """One tagger for all."""
    return Tagger(catalogue.load())


@pytest.mark.parametrize(
    ("name", "least"), [("blind", 0.97), ("blind2", 0.94), ("blind3", 0.97), ("blind4", 0.88), ("blind5", 0.96)]
)
def test_labelled_articles(tagger: Tagger, name: str, least: float) -> None:
    """Each set keeps its F1, and every quote stands in its text."""
    hit = wrong = 0
    for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        tags = tagger.tags(row["title"] or "", row["text"], moment(row["published"]))
        got, must = set(discussed(tags)), set(row["clauses"])
        hit += len(got & must)
        wrong += len(got - must - set(row["optional"])) + len(must - got)
        for tag in tags.clauses:
            for one in tag.evidence:
                assert (row["title"] if one.field == "title" else row["text"])[one.start : one.end] == one.quote
    assert 2 * hit / (2 * hit + wrong) >= least


def test_a_statement_only_called_back_stays_behind(tagger: Tagger) -> None:
    """`That statement`, said of an older agreement that was recalled, does not change what the list is about."""
    text = (
        "一、双方回顾2021年4月的《中美应对气候危机联合声明》。双方致力于该声明的有效实施。\n"
        "二、双方赞赏迄今的工作。\n三、双方认识到现有努力与目标之间存在显著差距。"
    )
    found = discussed(tagger.tags("中美格拉斯哥联合宣言全文", text))
    assert set(found) >= {"glasgow-2021/1", "glasgow-2021/4"}
    assert not any(one.startswith("shanghai") for one in found)
