"""Agreements' files: what is read, what is refused and where, what lint finds, and drafts from texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from aggregator.catalogue import assemble, concepts, lint, load, read
from aggregator.cue import CueProblem, endings, languages, parse
from aggregator.drafting import cut, draft_from_text
from aggregator.errors import CatalogueError
from aggregator.tag import Tagger
from aggregator.tag_review import discussed
from aggregator.yaml_lines import YamlProblem, load_yaml

GOOD = """\
id: river-2030
name: {zh: 大河联合声明, en: Great River Statement}
published: 2030-01-02
clauses:
  - number: 1
    title: {zh: 鱼, en: Fish}
    cues: ["鲟鱼|sturgeon", "@forest & 河岸|river bank"]
  - number: 2
    cues: [水坝|dam]
"""


def test_built_in_agreements_are_whole() -> None:
    """47 clauses, each with titles and summaries in both languages, and nothing for lint to say."""
    known = load()
    assert {one.id: len(one.clauses) for one in known.agreements} == {
        "shanghai-2021": 6,
        "glasgow-2021": 16,
        "sunnylands-2023": 25,
    }
    for agreement in known.agreements:
        assert [one.number for one in agreement.clauses] == list(range(1, len(agreement.clauses) + 1))
        for clause in agreement.clauses:
            assert clause.section
            assert set(clause.title) == set(clause.summary) == {"zh", "en"}
            assert known.clause(clause.id) is clause
    assert lint(known) == []


def test_version_follows_the_content() -> None:
    """The same words give the same version, comments and order of lines aside; another cue another one."""
    one = assemble([read(GOOD, "a.yaml")])
    assert assemble([read("# a remark\n" + GOOD, "b.yaml")]).version == one.version
    assert assemble([read(GOOD.replace("dam", "weir"), "a.yaml")]).version != one.version
    assert len(one.version) == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("id: river-2030", "id: River 2030"), "a.yaml:1:5: 'River 2030' is no id"),
        (("published: 2030-01-02", "published: soon"), "a.yaml:3:12: published: 'soon' is no date"),
        (("  - number: 2", "  - number: 1"), "a.yaml:8:13: number: expected a whole number"),
        (("cues: [水坝|dam]", "clues: [水坝|dam]"), "a.yaml:9:12: unknown key 'clues'"),
        (("[水坝|dam]", '["!@dam"]'), "a.yaml:9:12: cues: the first group"),
        (("[水坝|dam]", '["水坝|"]'), "a.yaml:9:12: cues: a word is missing"),
        (("[水坝|dam]", '["@dams"]'), "a.yaml:9: there is no concept @dams"),
        (("clauses:", "parties: [XX]\nclauses:"), "parties: add the words for XX"),
        (("id: river-2030\n", "id: river-2030\nid: twice\n"), "a.yaml:2:1: the key 'id' stands here twice"),
        ((GOOD, "- a list"), "a.yaml:1:1: expected keys"),
        ((GOOD, "id: x1\nname: {zh: 声明}\n"), "clauses: expected a list"),
    ],
)
def test_mistakes_are_answered_with_their_place(change: tuple[str, str], message: str) -> None:
    """File, line and what to do."""
    with pytest.raises(CatalogueError) as refused:
        assemble([read(GOOD.replace(*change), "a.yaml")])
    assert message in str(refused.value)


def test_lint_finds_what_would_mislead() -> None:
    """A cue for and against, a clause without a cue in a language, a name that two share, a look-alike that is a name."""
    text = GOOD.replace('["鲟鱼|sturgeon", ', '["鲟鱼|sturgeon & !鲟鱼|sturgeon", ').replace("[水坝|dam]", "[水坝]")
    other = "id: other\nname: {zh: 大河联合声明}\nlookalikes: [Great River Statement]\nclauses: [{number: 1, cues: [鲟鱼]}]\n"
    found = lint(assemble([read(text, "a.yaml"), read(other, "b.yaml")]))
    for part in ("is both for and against", "no cue in en", "is also", "look-alike 'Great River Statement'"):
        assert any(part in line for line in found), part
    assert all(line.startswith(("a.yaml:", "b.yaml:")) for line in found)


def test_own_files_join_the_built_in_ones(tmp_path: Path) -> None:
    """A user's agreement is tagged beside the others; with a built-in's id it takes its place."""
    file = tmp_path / "river.yaml"
    file.write_text(GOOD, encoding="utf-8")
    tagger = Tagger(load([file]))
    assert set(discussed(tagger.tags("", "《大河联合声明》提到鲟鱼。"))) == {"river-2030/1"}
    assert set(discussed(tagger.tags("", "The Great River Statement allows the dams."))) == {"river-2030/2"}
    file.write_text(GOOD.replace("river-2030", "glasgow-2021"), encoding="utf-8")
    assert len(load([file]).agreements) == 3
    with pytest.raises(CatalogueError, match="cannot be read"):
        load([tmp_path / "none.yaml"])


def test_cues_are_read_as_written() -> None:
    """Groups, signs and numbers."""
    cue = parse("@methane & ~计划|plan* & !~@pledge & 2 of a1|b1|c1 & ^@parties")
    assert [(g.words, g.against, g.near, g.anywhere, g.at_least) for g in cue.groups] == [
        (("@methane",), False, False, False, 1),
        (("计划", "plan*"), False, True, False, 1),
        (("@pledge",), True, True, False, 1),
        (("a1", "b1", "c1"), False, False, False, 2),
        (("@parties",), False, False, True, 1),
    ]
    with pytest.raises(CueProblem, match="asks for more words"):
        parse("3 of a1|b1")
    assert "looking forward" in endings("look* forward")
    assert languages("CCUS") == {"zh", "en"}
    assert languages("甲烷") == {"zh"}


CHINESE = """# 两河流域联合声明

以下为全文：

一、双方决定恢复鲟鱼种群，禁止在产卵期捕捞。
二、双方同意限制水坝的建设高度。

**航运**

三、双方将统一内河船舶的排放标准，其中1. 柴油机船；2. 燃气船。
"""


def test_numbered_clauses_are_cut() -> None:
    """Chinese numerals, articles and figures; numbers inside a clause cut nothing; headings become sections."""
    found = cut(CHINESE)
    assert [(one.number, one.section) for one in found] == [(1, ""), (2, ""), (3, "航运")]
    assert found[1].text == "双方同意限制水坝的建设高度。"
    assert [one.number for one in cut("Article 1 Fish.\nArticle 2 Dams.\n")] == [1, 2]
    assert [one.number for one in cut("第一条 鱼。\n第二条 水。\n")] == [1, 2]
    assert [one.number for one in cut("\n".join(f"{n}. Clause {n}." for n in range(1, 26)))] == list(range(1, 26))
    with pytest.raises(CatalogueError, match="no numbered clauses"):
        cut("No clauses here.\n")


def test_a_draft_tags_at_once() -> None:
    """The drafted file loads, lint has nothing to say, and its clauses are found in other words."""
    drafted = assemble([read(draft_from_text(CHINESE, "rivers", concepts=concepts()), "rivers.yaml")])
    assert lint(drafted) == []
    tagger = Tagger(drafted)
    assert set(discussed(tagger.tags("", "两河流域联合声明公布，鲟鱼在产卵的时候不许捕捞。"))) == {"rivers/1"}
    assert not tagger.tags("", "水坝的高度有了新限制。").agreements


def test_yaml_that_could_surprise_is_refused() -> None:
    """Anchors, aliases, merge keys, tags, double keys, second documents, deep nesting and large files."""
    for text in (
        "a: &x 1",
        "a: *x",
        "a: !!str 1",
        "a: 1\na: 2",
        "<<: 1",
        "---\na\n---\nb",
        "[" * 50,
        "a: [",
        "x" * 1_000_001,
    ):
        with pytest.raises(YamlProblem, match="f:"):
            load_yaml(text, "f")


def test_yaml_scalars_follow_the_core_schema() -> None:
    """`no`, times and dates are strings; places are known for every value."""
    loaded = load_yaml("a: no\nb: [12:30, 1, 1.5, true, ~, '1']\nc: 2021-11-10\n", "f")
    assert loaded.data == {"a": "no", "b": ["12:30", 1, 1.5, True, None, "1"], "c": "2021-11-10"}
    assert loaded.where(("b", 2)) == "f:2:15"
