"""The tagger: which agreement, which clauses, where it says so, and what noise may not change."""

from __future__ import annotations

import os
import random
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import opencc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.catalogue import load
from aggregator.cli.tag import moment
from aggregator.model import Relation, Tags
from aggregator.tag import Tagger, taiwan
from aggregator.tag.lexicon import Lexicon
from aggregator.tag.view import normal, sentences, view
from aggregator.tag_review import discussed
from aggregator.text import language
from aggregator.yaml_lines import load_yaml

DATA = Path(__file__).parent / "data"
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


@cache
def tagger() -> Tagger:
    """One tagger for all tests."""
    return Tagger(load())


@cache
def data(name: str) -> list | dict:
    """A file of tests/data."""
    return load_yaml((DATA / name).read_text(encoding="utf-8"), name).data


def articles() -> list[tuple[str, str, datetime | None]]:
    """Title, text and date of the own articles."""
    return [(row["title"], row["text"], moment(row.get("published"))) for row in data("articles.yaml")]


def clauses(tags: Tags) -> set[str]:
    """The clauses discussed."""
    return set(discussed(tags))


def assert_spans(title: str, text: str, tags: Tags) -> None:
    """Every quote stands where its evidence says."""
    for tag in tags.clauses:
        assert tag.evidence
        for one in tag.evidence:
            source = title if one.field == "title" else text
            assert source[one.start : one.end] == one.quote
            assert 4 <= len(one.quote) <= 400
            assert all(one.start <= start < end <= one.end for start, end in one.words)
            assert one.rule


def changed(alter) -> float:
    """The share of tags that an alteration of the texts adds or takes away."""
    before = after = differ = 0
    for title, text, published in articles():
        old = clauses(tagger().tags(title, text, published))
        new = clauses(tagger().tags(alter(title), alter(text), published))
        before += len(old)
        after += len(new)
        differ += len(old ^ new)
    return differ / before


# --- what is found ------------------------------------------------------------------------------------------------


def test_own_articles_are_tagged_as_labelled() -> None:
    """On the project's own articles precision and recall stay above 0.95."""
    hit = spurious = missed = 0
    for row in data("articles.yaml"):
        got = clauses(tagger().tags(row["title"], row["text"], moment(row.get("published"))))
        must, may = set(row["clauses"]), set(row.get("may", []))
        hit, spurious, missed = hit + len(got & must), spurious + len(got - must - may), missed + len(must - got)
    assert hit / (hit + spurious) > 0.95
    assert hit / (hit + missed) > 0.95


def test_paraphrases_are_found() -> None:
    """Of the paraphrases of every clause at least 98 in 100 are found after a sentence that names the agreement."""
    missed = []
    for clause, texts in data("paraphrases.yaml").items():
        for text in texts:
            lead = LEADS[clause.split("/")[0]][language(text) == "en"]
            if clause not in clauses(tagger().tags("", lead + text)):
                missed.append(text)
    number = sum(map(len, data("paraphrases.yaml").values()))
    assert len(missed) <= 0.02 * number, missed


def test_mentions_identify_their_agreements() -> None:
    """Names, aliases and references identify their agreement, look-alikes none."""
    wrong = [
        text for want, text in data("mentions.yaml") if set(tagger().tags("", text).agreements) != set(want.split())
    ]
    assert wrong == []


def test_the_bare_name_discusses_nothing() -> None:
    """An article that only names an agreement identifies it and discusses no clause."""
    tags = tagger().tags("耶伦访华", "两国关系自阳光之乡声明以来有所回稳，但电动汽车贸易成了新的摩擦点。")
    assert tags.agreements == ("sunnylands-2023",)
    assert not clauses(tags)


def test_an_article_before_the_agreement_cannot_discuss_it() -> None:
    """More than 48 hours before the date of publication excludes; less does not, nor does no date or a wild one."""
    text = "The Sunnylands statement promises to end plastic pollution, China and the United States said."
    found = {"sunnylands-2023/15"}
    assert not clauses(tagger().tags("", text, datetime(2023, 11, 11, tzinfo=UTC)))
    for day in (datetime(2023, 11, 13, tzinfo=UTC), None, datetime(1970, 1, 1, tzinfo=UTC), datetime(2031, 1, 1)):  # noqa: DTZ001 - a naive one
        assert clauses(tagger().tags("", text, day)) == found


def test_what_is_denied_is_not_discussed() -> None:
    """A sentence that says what the document leaves out shows nothing."""
    lead = "中美发表阳光之乡声明。"
    assert clauses(tagger().tags("", lead + "声明没有提到塑料污染，但说要扭转森林减少。")) == {"sunnylands-2023/19"}
    lead = "China and the United States issued the Sunnylands statement. "
    assert not clauses(tagger().tags("", lead + "The statement says nothing about plastic or nitrous oxide."))


def test_a_question_shows_nothing() -> None:
    """Only the answer counts."""
    text = "中美发表阳光之乡声明。\n问：塑料污染怎么办？\n答：双方要扭转森林减少。"
    assert clauses(tagger().tags("", text)) == {"sunnylands-2023/19"}


def test_other_news_of_a_list_is_not_the_agreement() -> None:
    """What follows a turn to other news is tied to nothing."""
    text = "China and the United States issued the Sunnylands statement. Both want to end plastic pollution. In other news, forest fires burn in Brazil."
    assert clauses(tagger().tags("", text)) == {"sunnylands-2023/15"}


def test_subject_without_agreement_is_topical() -> None:
    """Both countries on the subject of a clause, tied to no agreement: topical."""
    tags = tagger().tags("", "中国与美国气候官员就氧化亚氮减排技术举行研讨会。")
    assert not tags.agreements
    assert {(tag.clause, tag.relation) for tag in tags.clauses} == {("sunnylands-2023/12", Relation.TOPICAL)}


def test_tags_carry_rule_and_version() -> None:
    """Each tag says by which catalogue, each evidence by which rule and words."""
    tag = tagger().tags("", "中美阳光之乡声明提到氧化亚氮。").clauses[0]
    assert tag.catalogue == load().version
    evidence = tag.evidence[0]
    assert evidence.rule == "@nitrous_oxide"
    assert [evidence.quote[start:end] for start, end in evidence.words] == ["氧化亚氮"]


def test_explain_says_what_was_held_back() -> None:
    """Look-alikes and denied cues are named with the reason."""
    found = tagger().explain("", "中美发表阳光之乡声明。声明没有提到塑料污染。《格拉斯哥气候协议》是另一回事。")
    assert any(one.clause == "sunnylands-2023/15" and "denied" in one.why for one in found.near)
    assert any(one.quote == "格拉斯哥气候协议" and "look-alike" in one.why for one in found.near)


def test_empty_and_strange_texts() -> None:
    """Nothing, blanks, control characters and lone surrogates are answered with no tags."""
    for text in ("", " \n\t", "\x00\x01", "\ud800 气候 中国 美国", "《" * 5000, "气候" * 3000):
        assert tagger().tags("", text).agreements == ()


# --- properties ---------------------------------------------------------------------------------------------------


def test_quotes_stand_at_their_spans() -> None:
    """In every article `text[start:end] == quote`."""
    for title, text, published in articles():
        assert_spans(title, text, tagger().tags(title, text, published))


NOISE = ("\u200b", "\ufeff", " ", "\u3000", "(lián)", "（hé / huò）", "\u00ad", "　", "·", "\n", "*")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(range(len(data("articles.yaml")))))
def test_quotes_stand_at_their_spans_whatever_noise(seed: int, which: int) -> None:
    """Noise of any kind at any place moves quotes, and they still stand exactly where the evidence says."""
    chosen = random.Random(seed)
    title, text, published = articles()[which]
    for _ in range(chosen.randint(1, 40)):
        at = chosen.randint(0, len(text))
        text = text[:at] + chosen.choice(NOISE) + text[at:]
    assert_spans(title, text, tagger().tags(title, text, published))


@settings(max_examples=100, deadline=None)
@given(
    st.text(
        alphabet=st.sampled_from(
            "中美气候声明阳光之乡甲烷塑料。，\n “”()（）lián \u200b联合Sunnylands methane plan,.?"
        ),
        max_size=200,
    )
)
def test_any_text_is_answered_with_right_spans(text: str) -> None:
    """No sequence of characters breaks the spans."""
    assert_spans(text[:20], text, tagger().tags(text[:20], text))


def test_undated_means_dated_after() -> None:
    """Without its date an article has the tags that it has with one after the agreements."""
    for title, text, _published in articles():
        undated = tagger().tags(title, text)
        assert undated == tagger().tags(title, text, datetime(2025, 6, 1, tzinfo=UTC))


def test_evidence_taken_out_moves_or_removes_the_tag() -> None:
    """Without the sentences that show a clause, it is not found, or by other sentences."""
    for title, text, published in articles():
        for tag in tagger().tags(title, text, published).clauses:
            spans = [(one.start, one.end) for one in tag.evidence if one.field == "text"]
            if tag.relation is not Relation.DISCUSSES or len(spans) < len(tag.evidence):
                continue
            rest = text
            for start, end in sorted(spans, reverse=True):
                rest = rest[:start] + rest[end:]
            again = discussed(tagger().tags(title, rest, published)).get(tag.clause)
            assert again is None or {one.quote for one in again.evidence} != {one.quote for one in tag.evidence}


@pytest.mark.parametrize("table", ["s2t", "s2tw", "s2hk", "s2twp", "t2s"])
def test_other_characters_change_few_tags(table: str) -> None:
    """Traditional, Taiwan, Hong Kong and simplified characters change at most 5 % of the tags."""
    assert changed(opencc.OpenCC(table).convert) <= 0.05


def noisy(mark: str, every: int):
    """Puts a mark between Han characters, one time in so many."""

    def alter(text: str) -> str:
        chosen = random.Random(len(text))
        return re.sub(
            r"(?<=[\u4e00-\u9fff])(?=[\u4e00-\u9fff])", lambda _: mark if chosen.randrange(every) == 0 else "", text
        )

    return alter


@pytest.mark.parametrize("mark", [" ", "(lián)", "（hé / huò）", "\u200b", "\u3000", "·", "\u00ad", " (de) ", "lián"])
def test_noise_inside_words_changes_few_tags(mark: str) -> None:
    """A blank, a pinyin remark or an invisible character inside every third word changes at most 5 % of the tags."""
    assert changed(noisy(mark, 3)) <= 0.05


def test_full_width_changes_few_tags() -> None:
    """Full-width letters and figures change at most 5 % of the tags."""
    table = {code: chr(code + 0xFEE0) for code in range(0x30, 0x7B) if chr(code).isalnum()}
    assert changed(lambda text: text.translate(table)) <= 0.05


def test_tagging_is_deterministic() -> None:
    """Two taggers over one catalogue give the same answer."""
    other = Tagger(load())
    for one in articles()[:10]:
        assert tagger().tags(*one) == other.tags(*one)


# --- the view -----------------------------------------------------------------------------------------------------


def test_view_takes_noise_out_and_leads_back() -> None:
    """Words are whole in the view, and its spans cover the noise in the original."""
    text = "兩國(guó)在聯(lián)合國 氣\u200b候大會"
    seen = view(text)
    assert seen.text == "两国在联合国气候大会"
    start, end = seen.span(3, 6)
    assert text[start:end] == "聯(lián)合國"


def test_view_keeps_remarks_that_are_words() -> None:
    """A name in brackets is no pinyin."""
    assert "(john kerry)" in view("克里(John Kerry)说").text
    assert normal("Carbon-Free  電力") == "carbon free 电力"


def test_english_sentences_survive_abbreviations() -> None:
    """A full stop after U.S. or Nov. ends no sentence."""
    text = "the u.s. and china met on nov. 14 in california. they agreed."
    assert [text[start:end] for start, end in sentences(text)] == [text[:48], "they agreed."]


def test_a_denial_in_passing_ends_at_its_comma() -> None:
    """What a sentence says after `while it does not …,` counts."""
    lead = "China and the United States issued the Sunnylands statement. "
    text = lead + "While it does not name a date for coal, the statement commits both to end plastic pollution."
    assert clauses(tagger().tags("", text)) == {"sunnylands-2023/15"}


def test_the_table_of_words_in_taiwan_is_what_opencc_says() -> None:
    """Every Chinese word of the built-in agreements stands in it, in OpenCC's form; a user's own words are asked for."""
    words = Lexicon(load()).chinese
    said = taiwan.asked(words)
    file = Path(taiwan.__file__).with_name(taiwan.TABLE)
    if os.environ.get("RENEW"):
        file.write_text(taiwan.written(said), encoding="utf-8")
    assert taiwan.table() == said, "the agreements have other words now: RENEW=1 pytest tests/test_tag.py -k taiwan"
    assert taiwan.put(["循环", "声明", "未见之词项目"]) == {
        "循环": "回圈",
        "声明": "宣告",
        "未见之词项目": "未见之词专案",
    }
