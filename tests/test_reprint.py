"""The same text elsewhere: what disturbs it must not hide it, and what only resembles it must not be taken for it."""

from __future__ import annotations

import itertools
import random
import re

import opencc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.dedup.provenance import named_sources
from aggregator.dedup.reprint import Change, changes, compare, fingerprint, judge, letters, unpacked

TRADITIONAL = opencc.OpenCC("s2t")
NOISE = "\u200b \u3000·■▲*\ufeff～|"

TALKS = (
    "两国代表团周三在港口城市举行第三轮会谈，讨论煤矿瓦斯的监测办法。\n"
    "会谈持续了六个小时，双方交换了各自的排放清单，并同意在明年春天以前核对数据。\n"
    "代表团团长说，清单的差别主要来自统计口径，而不是来自测量本身，专家组会先统一口径。\n"
    "当地大学的一位研究员认为，卫星观测能够补上地面站点的空白，但需要长期的经费。\n"
    "会后发表的新闻稿没有提到资金问题，只说下一轮会谈将在秋天举行。\n"
    "港口的渔民协会当天在会场外请愿，要求公开监测站的位置。\n"
)
TALKS_EN = (
    "Delegations of the two countries met on Wednesday in the harbour city for a third round of talks on coal mine gas. "
    "The talks lasted six hours, and both sides exchanged their inventories of emissions. "
    "The head of the delegation said that the inventories differ because of definitions and not because of measurement. "
    "A researcher at the local university believes that satellites can fill the gaps between ground stations.\n"
    "A statement published afterwards does not mention money and only says that the next round will be held in autumn. "
    "Outside the hall, a fishing association asked for the location of the stations to be made public. "
    "Nobody from the ministry came out to take the letter, which the fishermen then read aloud.\n"
)


def of(one, other):
    """The judgement on two texts."""
    return judge(fingerprint(one), fingerprint(other), lambda: (one, other))


def meets(one, other):
    """Whether two texts share a key, and so are compared at all."""
    return bool(set(fingerprint(one).keys) & set(fingerprint(other).keys))


def noisy(text, dice):
    """Characters inserted inside sentences."""
    chars = list(text)
    for _ in range(max(1, len(chars) // 40)):
        chars.insert(dice.randrange(len(chars) + 1), dice.choice(NOISE))
    return "".join(chars)


def attributed(text, dice):
    """An attribution after each paragraph."""
    return "\n".join(
        f"{line}\n文章来自示例网-https://example.com/{dice.randrange(99999)}.html" for line in text.splitlines()
    )


def advertised(text, dice):
    """An advertisement among the paragraphs."""
    lines = text.splitlines()
    lines.insert(
        dice.randrange(len(lines) + 1),
        "扫一扫下方图案，下载我们的客户端，新用户可以领取一份礼物，名额有限，先到先得。",
    )
    return "\n".join(lines)


def rewritten(text, dice):
    """Strange characters in the middle of a few sentences, as scrapers leave them."""
    return re.sub(r"，", lambda comma: dice.choice(["，今帮每", "，", "，", "，"]), text)


DISTURBANCES = {
    "script": lambda text, dice: TRADITIONAL.convert(text),
    "noise": noisy,
    "attribution lines": attributed,
    "editor's line": lambda text, dice: f"{text}\n（本文编辑：{dice.choice('张王李')}小明　值班：赵一）",
    "first line": lambda text, dice: f"【编者按】以下文字转自合作媒体，标题为本站所加，请读者留意。\n{text}",
    "cut tail": lambda text, dice: text[: int(len(text) * 0.30)],
    "advertisement": advertised,
    "characters of scrapers": rewritten,
    "full width": lambda text, dice: text.translate({code: code + 0xFEE0 for code in range(0x30, 0x3A)}),
}


@pytest.fixture(scope="session")
def posts(shared):
    """200 real articles of all outlets, long enough that a third of them is still a text."""
    found = []
    for path in sorted((shared / "corpus/posts").rglob("*.md")):
        text = _plain(path.read_text(encoding="utf-8"))
        if len(letters(text)) >= 250:
            found.append(text)
    return random.Random(7).sample(found, 200)


def _plain(source):
    from aggregator.normalize import plain_text

    return plain_text(source.split("\n------\n", 1)[1])


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_disturbed_post_is_found_and_recognised(posts, name):
    """Each disturbance of each of 200 real posts leaves a reprint: a key is shared, and the judgement says so."""
    dice = random.Random(3)
    lost = [text for text in posts if not (meets(text, copy := DISTURBANCES[name](text, dice)) and of(text, copy))]
    assert len(lost) == 0


def test_a_post_inside_another_is_found_and_recognised(posts):
    """One text wholly inside another, with half as much of a third around it."""
    for text, around in itertools.pairwise(posts):
        half = around[: len(text) // 2]
        whole = f"{half[: len(half) // 2]}\n{text}\n{half[len(half) // 2 :]}"
        assert meets(text, whole)
        assert of(text, whole)


def test_different_posts_are_not_reprints(posts):
    """Of all pairs of 200 posts that share a key, few are reprints, and those share most of their text."""
    prints = [fingerprint(text) for text in posts]
    said = [
        (one, other)
        for one, other in itertools.combinations(range(200), 2)
        if judge(prints[one], prints[other], lambda one=one, other=other: (posts[one], posts[other]))
    ]
    assert len(said) <= 12


@pytest.mark.parametrize("text", [TALKS, TALKS_EN])
def test_the_judgement_is_symmetric_and_survives_packing(text):
    """Either way round, and from what the archive keeps, the answer is the same."""
    copy = text[: len(text) // 2]
    one, other = fingerprint(text), fingerprint(copy)
    assert of(text, copy) == of(copy, text) is not None
    assert judge(unpacked(one.packed()), unpacked(other.packed()), lambda: (text, copy)) == of(text, copy)


def test_two_reports_with_one_shared_quotation_are_two_texts():
    """A quotation that fills a third of both makes no reprint."""
    quotation = (
        "“清单的差别主要来自统计口径，而不是来自测量本身，专家组会先统一口径，然后才谈目标，”团长在会后对记者说。"
    )
    one = f"两国代表团周三在港口城市举行会谈，讨论煤矿瓦斯的监测办法。{quotation}会谈持续了六个小时，下一轮在秋天。渔民协会在会场外请愿，要求公开站点位置。"
    other = f"环境部长的首席顾问周四抵达首都，准备参加年度预算听证。{quotation}听证会由参议院主持，持续三天，反对党已经提出四十项修正，其中一半与能源有关。"
    assert of(one, other) is None


@pytest.mark.parametrize(
    "frame",
    [
        "气象台今天早晨发布预报：市区最高气温{}度，最低气温{}度，相对湿度百分之{}，偏北风{}级，降水概率为百分之{}，请市民注意添衣，出行避开高峰。",
        "疾控中心通报，昨日新增确诊病例{}例，其中本地{}例，治愈出院{}例，累计报告确诊{}例，尚有{}人接受医学观察，均无死亡报告。",
        "中国外汇交易中心公布，今日美元对人民币中间价为{}，欧元为{}，日元为{}，英镑为{}，港元为{}，较前一交易日有涨有跌，成交平稳。",
        "The weather office expects a high of {} degrees and a low of {} degrees in the harbour city today, with winds of {} knots, a humidity of {} percent and rain of {} millimetres by the evening, and asks drivers to take care.",
    ],
)
def test_a_bulletin_with_other_numbers_is_another_bulletin(frame):
    """Weather, daily counts and quotations share their frame and are not reprints; the same numbers are."""
    today, tomorrow = frame.format(12, 3, 45, 678, 90), frame.format(17, 8, 51, 702, 64)
    assert of(today, tomorrow) is None
    assert of(today, today.replace("，", ", ")) is not None


def test_new_sentences_between_the_old_ones_leave_a_reprint():
    """A third of the sentences replaced, here and there, is a rewrite of the same text."""
    lines = TALKS.splitlines()
    lines[2] = "一位不愿具名的官员补充说，争议并不严重，而媒体此前夸大了它。"
    lines[5] = "会场周围的道路因此封闭了半天，公交车绕行。"
    assert of(TALKS, "\n".join(lines)) is not None


def test_an_excerpt_is_told_from_a_copy():
    """What a much longer text holds among other things is an excerpt of it."""
    assert not of(TALKS, TALKS + "另加一句。").excerpt
    assert of(
        TALKS, TALKS + TALKS_EN[:0] + "".join(f"第{n}条新闻说的是完全不同的事情，与此无关{n}。" for n in range(60))
    ).excerpt


@given(st.text(max_size=300), st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_two_texts_can_be_judged(one, other):
    """Whatever the texts, the judgement is symmetric and never raises."""
    assert of(one, other) == of(other, one)
    assert compare(one, other) == compare(other, one)


def test_what_a_reprint_changed():
    """Cut, reworded and added sentences are told, and which of them carried evidence."""
    lines = TALKS.splitlines()
    copy = "\n".join(
        [lines[0], lines[1].replace("明年春天以前", "明年年底以前"), *lines[3:], "本报记者在现场没有看到警察。"]
    )
    cut = TALKS.index(lines[2])
    found = changes(TALKS, copy, evidence=[(cut + 3, cut + 8)])
    assert [(one.change, one.evidence) for one in found] == [
        (Change.REWORDED, False),
        (Change.CUT, True),
        (Change.ADDED, False),
    ]
    assert TALKS[slice(*found[1].original)] == lines[2]
    assert copy[slice(*found[2].reprint)] == "本报记者在现场没有看到警察。"


def test_script_and_punctuation_are_no_change():
    """A conversion to traditional characters with other commas changes no sentence."""
    assert changes(TALKS, TRADITIONAL.convert(TALKS).replace("，", "、")) == ()


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("据路透社报道，双方同意再谈。", ("路透社",)),
        ("综合法新社、美联社报道，会谈结束。", ("法新社", "美联社")),
        ("双方同意再谈。\n来源：新华网 编辑：张三", ("新华网",)),
        ("转自澎湃新闻。双方同意再谈。", ("澎湃新闻",)),
        ("（中央社華盛頓11日綜合外電報導）雙方同意再談。", ("中央社",)),
        ("據香港《明報》報導，雙方同意再談。", ("明報",)),
        ("HARBOUR CITY (Reuters) - Both sides agreed to meet again.", ("Reuters",)),
        ("Both sides agreed to meet again. (AP)", ("AP",)),
        ("Both sides agreed, according to Reuters.", ("Reuters",)),
        ("据知情人士透露，双方同意再谈。", ()),
        ("双方根据协议再谈。", ()),
    ],
)
def test_sources_named_in_the_text(text, sources):
    """Agencies and outlets that a text names as its source are kept as provenance; people and phrases are not."""
    assert named_sources(text) == sources
