"""Reprints and stories in an archive: order plays no part, ids stay, analysts have the last word."""

from __future__ import annotations

import importlib
import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aggregator.dedup import nearby
from aggregator.dedup.identity import key_of
from aggregator.model import Article
from aggregator.relate import merge, not_a_reprint, recalculate, relate, split
from aggregator.store import articles, relations, schema, stories
from aggregator.store import links as story_links
from aggregator.store.archive import Archive

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=10)

TALKS = (
    "两国代表团周三在港口城市青石举行第三轮会谈，讨论煤矿瓦斯的监测办法。\n"
    "会谈持续了六个小时，双方交换了各自的排放清单，并同意在明年春天以前核对数据。\n"
    "代表团团长韩立本说，清单的差别主要来自统计口径，而不是来自测量本身，专家组会先统一口径。\n"
    "当地大学的一位研究员认为，卫星观测能够补上地面站点的空白，但需要长期的经费。\n"
    "会后发表的新闻稿没有提到资金问题，只说下一轮会谈将在秋天举行。\n"
)
OWN_WORDS = (
    "据现场消息，周三在青石结束的瓦斯监测会谈取得进展，双方代表团互换排放清单。\n"
    "韩立本对记者表示，双方核对数据的期限是明年春天，统计口径将由专家组先行统一。\n"
    "渔民协会在会场外请愿，要求公开监测站的位置，警方没有干预。\n"
)
COMMENT = (
    "青石的会谈已经过去一周，两国代表团交换的排放清单放在专家的桌上。\n"
    "清单本身不会减少瓦斯，真正的问题是谁来付监测站的钱，韩立本在会谈之后没有回答。\n"
    "笔者以为，渔民的请愿比新闻稿更值得读，因为他们问的是地点。\n"
)
MUSEUM = (
    "北方一家博物馆本周展出一批手绘海图，这些海图由四百年前的水手绘制，多数从未公开。\n"
    "馆长说，修复工作用了九年，纸张先用日本的薄纸托裱，再放进恒温的柜子里。\n"
    "参观者可以在大厅里用放大镜辨认岛屿的名字，孩子们则在一旁学习打绳结。\n"
)


def article(title, text, hours=0.0, outlet="A"):
    """A new article some hours after the first."""
    return Article(
        title=title, html=text, text=text, feed=outlet, outlet=outlet, published=NOON + timedelta(hours=hours)
    )


SET = {
    "original": article("青石会谈：双方交换排放清单", TALKS, 0, "甲报"),
    "copy": article("快讯：青石会谈互换清单", f"{TALKS}（责编：某某）", 2, "乙网"),
    "cut": article("青石会谈双方交换清单", TALKS[: len(TALKS) // 2], 3, "丙台"),
    "own words": article("瓦斯监测会谈在青石结束 双方互换排放清单", OWN_WORDS, 5, "丁报"),
    "museum": article("北方博物馆展出手绘海图", MUSEUM, 1, "甲报"),
    "museum copy": article("手绘海图展出", MUSEUM.replace("，", ", "), 4, "乙网"),
    "next week": article("评论：交换清单之后还要做什么", COMMENT, 24 * 9, "丁报"),
}


@pytest.fixture
def archive(archive_url):
    """An empty archive."""
    return Archive.open(archive_url, write=True)


def store(archive, batch):
    """Add and relate in one transaction; ids by the batch's names."""
    with archive.writing() as connection:
        stored = articles.add(
            connection, [(one, key_of(one)) for one in batch.values()], LATER, texts := articles.Texts()
        )
        texts.write(connection)
        relate(connection, stored, LATER)
    return dict(zip(batch, (one.id for one in stored), strict=True))


def standing(archive, ids):
    """Story mates and original of each article, by name."""
    names = {identity: name for name, identity in ids.items()}
    with archive.reading() as connection:
        placed = relations.placed(connection, ids.values())
    stories_of = {name: placed.get(identity, (None, None))[0] for name, identity in ids.items()}
    mates = {
        name: frozenset(
            other for other, story in stories_of.items() if story is not None and story == stories_of[name]
        )
        for name in ids
    }
    originals = {name: names.get(placed.get(identity, (None, None))[1]) for name, identity in ids.items()}
    return mates, originals


EXPECTED_ORIGINALS = {
    "original": None, "copy": "original", "cut": "original", "own words": None,
    "museum": None, "museum copy": "museum", "next week": None,
}  # fmt: skip
TALKS_STORY = frozenset({"original", "copy", "cut", "own words"})


def test_one_import_tells_reprints_and_stories(archive):
    """Copies point to the earliest full text; another outlet's own words join the story, next week's do not."""
    ids = store(archive, SET)
    mates, originals = standing(archive, ids)
    assert originals == EXPECTED_ORIGINALS
    assert mates["original"] == TALKS_STORY
    assert mates["museum"] == {"museum", "museum copy"}
    assert mates["next week"] == frozenset()


def test_the_order_of_arrival_plays_no_part(place):
    """Every permutation of the main articles, one by one, ends in the same groups and stories."""
    names = ["original", "copy", "cut", "own words", "museum"]
    seen = set()
    for number, order in enumerate(itertools.islice(itertools.permutations(names), 0, None, 5)):
        archive = Archive.open(place(str(number)), write=True)
        ids = {}
        for name in order:
            ids |= store(archive, {name: SET[name]})
        mates, originals = standing(archive, ids)
        seen.add((tuple(sorted(mates.items())), tuple(sorted((k, v or "") for k, v in originals.items()))))
        archive.close()
    assert len(seen) == 1


def test_a_late_article_becomes_the_original_and_ids_stay(archive):
    """The older full text that comes last takes the copies over; the story keeps its id."""
    ids = store(archive, {name: SET[name] for name in ("copy", "cut", "own words")})
    with archive.reading() as connection:
        before = relations.placed(connection, ids.values())
    ids |= store(archive, {"original": SET["original"]})
    _, originals = standing(archive, ids)
    assert originals["copy"] == originals["cut"] == "original"
    with archive.reading() as connection:
        after = relations.placed(connection, ids.values())
    assert {story for story, _ in before.values()} == {story for story, _ in after.values()}


def test_a_revision_is_compared_anew(archive):
    """A copy whose text becomes another one is a copy no longer."""
    ids = store(archive, {name: SET[name] for name in ("original", "copy", "museum")})
    other = article(SET["copy"].title, MUSEUM + "（更新）", 2, "乙网")
    with archive.writing() as connection:
        relate(
            connection, [articles.revise(connection, ids["copy"], other, key_of(other), NOON, articles.Texts())], NOON
        )
    _, originals = standing(archive, ids)
    assert originals == {"original": None, "copy": "museum", "museum": None}


def test_a_round_up_does_not_fuse_its_items(archive):
    """A text that holds two others whole joins at most the one that fills most of it; the two stay apart."""
    summary = article("一周要闻", f"本周的几件事。\n{TALKS}\n{MUSEUM}\n以及其他各种消息。", 30, "戊报")
    ids = store(archive, {"original": SET["original"], "museum": SET["museum"], "summary": summary})
    mates, originals = standing(archive, ids)
    assert originals["museum"] is None
    assert not mates["original"] & {"museum"}


def test_analysts_have_the_last_word(archive):
    """Merged, split and not-a-reprint hold when everything is calculated again."""
    ids = store(archive, SET)
    with archive.writing() as connection:
        placed = relations.placed(connection, ids.values())
        talks, museum = placed[ids["original"]][0], placed[ids["museum"]][0]
        merge(connection, [museum, talks], NOON)
        split(connection, talks, [ids["own words"]], NOON)
        not_a_reprint(connection, ids["original"], ids["cut"], NOON)
    for _ in range(2):
        mates, originals = standing(archive, ids)
        assert {"original", "museum"} <= mates["original"]
        assert "own words" not in mates["original"]
        assert originals["cut"] in (None, "copy")
        with archive.reading() as connection:
            assert stories.resolve(connection, max(talks, museum)) == min(talks, museum)
        with archive.writing() as connection:
            recalculate(connection)


def test_recalculation_changes_nothing(archive):
    """Everything derived again from the articles is what was there, ids included."""
    ids = store(archive, SET)
    with archive.reading() as connection:
        before = relations.placed(connection, ids.values())
    with archive.writing() as connection:
        recalculate(connection)
    with archive.reading() as connection:
        assert relations.placed(connection, ids.values()) == before


def test_stories_are_listed_with_voices_and_copies(archive):
    """A story's line says how many texts of their own and how many copies it has, and its outlets in order."""
    store(archive, SET)
    with archive.reading() as connection:
        found = {one.headline: one for one in stories.listed(connection)}
    talks = found["青石会谈：双方交换排放清单"]
    assert (talks.voices, talks.copies, len(talks.articles)) == (2, 2, 4)
    assert talks.outlets == ("甲报", "乙网", "丙台", "丁报")


@pytest.fixture(scope="module")
def seeds(shared):
    """The seed files as articles."""
    from aggregator import dialects
    from aggregator.importing import prepared

    return {
        path.name[:3]: prepared(dialects.read(path.read_bytes(), str(path))) for path in (shared / "seeds").iterdir()
    }


def test_the_seeds_of_one_declaration_are_one_story(archive, seeds):
    """000, 002 and 004 report one declaration; 001 answers questions two weeks later, 003 is another agreement."""
    ids = store(archive, seeds)
    mates, originals = standing(archive, ids)
    assert mates["000"] == {"000", "002", "004"}
    assert mates["001"] == mates["003"] == frozenset()
    assert set(originals.values()) == {None}


def test_a_chinese_and_an_english_report_are_one_story(archive):
    """Across languages names, numbers and days pair the reports of one event, and other events stay outside."""
    chinese = article(
        "中美宣布成立甲烷工作组 解振华与克里在格拉斯哥会谈",
        "中国气候变化事务特使解振华与美国气候特使克里11日在格拉斯哥会谈后宣布，两国将成立工作组，在2025年以前减少甲烷排放。"
        "这份联合声明有16条，联合国秘书长古特雷斯表示欢迎。",
        0, "甲报",
    )  # fmt: skip
    english = article(
        "Kerry and Xie Zhenhua announce methane working group in Glasgow",
        "US climate envoy John Kerry and his Chinese counterpart Xie Zhenhua said in Glasgow on November 11 that the two "
        "countries will set up a working group to cut methane emissions. United Nations chief Guterres welcomed the "
        "joint statement, which has 16 points.",
        3, "B Times",
    )  # fmt: skip
    other = article(
        "British court fines oil company after flood in coal mine",
        "A British court on November 11 fined an oil company 40 million pounds after a flood in a coal mine killed 12 workers. "
        "The company said that it would appeal against the decision, which the trade unions called overdue.",
        4, "B Times",
    )  # fmt: skip
    ids = store(archive, {"zh": chinese, "en": english, "other": other})
    mates, _ = standing(archive, ids)
    assert mates["zh"] == {"zh", "en"}
    assert mates["other"] == frozenset()


def test_posts_in_two_orders_give_the_same_groups(place, shared):
    """200 real posts, imported at once and shuffled in batches, end in the same reprint groups and stories."""
    from aggregator import dialects
    from aggregator.importing import prepared

    paths = (
        sorted((shared / "corpus/posts/2020-12-13").glob("*.md"))[:120]
        + sorted((shared / "corpus/posts/2020-12-12").glob("*.md"))[:80]
    )
    posts = {path.name: prepared(dialects.read(path.read_bytes(), str(path))) for path in paths}
    results = []
    for number in range(2):
        archive = Archive.open(place(str(number)), write=True)
        names = list(posts)
        if number:
            random.Random(number).shuffle(names)
        ids = {}
        step = 37 if number else len(names)
        for start in range(0, len(names), step):
            ids |= store(archive, {name: posts[name] for name in names[start : start + step]})
        results.append(standing(archive, ids))
        archive.close()
    assert results[0] == results[1]


WORDS = [first + second for first in "港桥塔湖谷岭滩岸渡礁" for second in "东西南北中上下前后里"]


def crowd(number):
    """An article of a few words that many others hold too; some report numbers, some bear a title of their own."""
    chance = random.Random(number)
    said = "，".join("".join(chance.sample(WORDS, 5)) for _ in range(6))
    return article(
        "".join(chance.sample(WORDS, 3)), f"{said}，共{chance.randint(10, 30)}处。", number * 0.6, f"社{number % 7}"
    )


def links_of(archive, ids):
    """The story links by the names of articles, and under how many keys they meet."""
    names = {identity: name for name, identity in ids.items()}
    with archive.reading() as connection:
        rows = list(story_links.every(connection))
    return {(frozenset((names[a], names[b])), score, keys) for a, b, score, keys in rows}


def test_under_crowded_keys_the_order_plays_no_part(place, monkeypatch):
    """Where keys hold more articles than meet under one, links and stories are those of any other order of arrival."""
    monkeypatch.setattr(nearby, "BETWEEN", 2)
    results, torn = [], []
    take_back = relations.take_back
    monkeypatch.setattr(relations, "take_back", lambda *said: torn.append(found := take_back(*said)) or found)
    for number in range(3):
        archive = Archive.open(place(str(number)), write=True)
        names = list(range(60))
        if number:
            random.Random(number).shuffle(names)
        ids = {}
        for start in range(0, len(names), (60, 7, 1)[number]):
            part = names[start : start + (60, 7, 1)[number]]
            ids |= store(archive, {name: crowd(name) for name in part})
        results.append((standing(archive, ids), links_of(archive, ids)))
        archive.close()
    assert any(torn)
    assert len(results[0][1]) > 60
    assert results[0] == results[1] == results[2]


def test_traces_of_an_earlier_version_are_made_anew(archive):
    """What an older program kept of a text is derived again when a new article is compared with it."""
    ids = store(archive, {"original": SET["original"]})
    with archive.writing() as connection:
        connection.execute(sa.update(schema.trace).values(print=b"\0" * 40, face=b"\0" * 40))
    ids |= store(archive, {"copy": SET["copy"], "own words": SET["own words"]})
    mates, originals = standing(archive, ids)
    assert mates["original"] == {"original", "copy", "own words"}
    assert originals["copy"] == "original"


def test_a_text_that_many_repeat_stays_one_story(archive, monkeypatch):
    """Beyond the most that are looked at together, further copies join the same story and the same original."""
    monkeypatch.setattr(relations, "MOST_LINKED", 4)
    monkeypatch.setattr(relations, "MOST_PAIRS", 12)
    for number in range(12):
        store(archive, {str(number): article(f"青石会谈第{number}报", TALKS, number / 4, f"社{number}")})
    with archive.reading() as connection:
        placed = relations.placed(connection, range(1, 13))
    assert {story for story, _of in placed.values()} == {placed[1][0]}
    assert {of for number, (_story, of) in placed.items() if number > 1} == {1}
    assert placed[1][1] is None


@pytest.mark.parametrize("text", [TALKS, "哈" * 400, "ha" * 600])
def test_under_full_keys_copies_are_found(archive, monkeypatch, text):
    """More copies than a key has room for, of a text of many pieces and of one that is the same piece all over."""
    monkeypatch.setattr(relations, "BUCKET", 3)
    store(archive, {str(number): article(f"{number}", text, number / 4, f"社{number}") for number in range(5)})
    store(archive, {str(number): article(f"{number}", text, number / 4, f"社{number}") for number in range(5, 10)})
    with archive.reading() as connection:
        placed = relations.placed(connection, range(1, 11))
    assert {of for number, (_story, of) in placed.items() if number > 1} == {1}


relating = importlib.import_module("aggregator.relate")


def test_a_phrase_of_many_texts_is_no_reason_to_compare(archive, monkeypatch):
    """Texts that share one full key alone are not candidates; a copy of one of them is."""
    monkeypatch.setattr(relations, "BUCKET", 2)
    candidates = []
    found = relating._copy_candidates
    monkeypatch.setattr(relating, "_copy_candidates", lambda *said: candidates.append(found(*said)) or candidates[-1])
    phrase = "".join(WORDS[:20])
    texts = ["，".join(random.Random(number).sample(WORDS, 60)) for number in range(6)]
    for number, text in enumerate([*texts, texts[0]]):
        store(archive, {str(number): article(f"{number}", f"{phrase}。{text}", number, f"社{number}")})
    *_, (last, _) = candidates
    assert (1, 7) in last
    assert sum(len(pairs) for pairs, _ in candidates[:-1]) < 15


def test_what_is_forgotten_leaves_no_half_of_a_link(archive, monkeypatch):
    """However many links articles have, all go with them, from either side."""
    monkeypatch.setattr(story_links, "MOST", 2)
    ids = store(
        archive,
        {str(number): article(f"青石会谈第{number}报", TALKS, number / 4, f"社{number}") for number in range(6)},
    )
    with archive.writing() as connection:
        gone = [ids["0"], ids["1"], ids["2"]]
        relations.forget(connection, list(relations.traces(connection, gone).values()))
        links = [(a, b) for a, b, *_ in story_links.every(connection)]
    assert {a for a, _ in links} == {b for _, b in links} == {ids["3"], ids["4"], ids["5"]}


def test_a_story_that_is_large_at_once_has_a_headline(archive, monkeypatch):
    """More copies in one transaction than are looked at together: the story bears the title of one of them."""
    monkeypatch.setattr(relations, "MOST_LINKED", 4)
    store(
        archive,
        {str(number): article(f"青石会谈第{number}报", TALKS, number / 4, f"社{number}") for number in range(12)},
    )
    with archive.reading() as connection:
        (told,) = stories.listed(connection)
    assert len(told.articles) == 12
    assert told.headline.startswith("青石会谈第")


def test_where_not_all_is_looked_at_a_topic_is_no_story(place, monkeypatch):
    """When the bound on what one batch reads is met, an article takes no story's name along from those it leaves."""

    def largest(name):
        archive = Archive.open(place(name), write=True)
        for start in range(0, 150, 6):
            store(archive, {str(number): crowd(number) for number in range(start, start + 6)})
        with archive.reading() as connection:
            found = connection.scalar(sa.select(sa.func.max(schema.story.c.articles)))
        archive.close()
        return found

    whole = largest("whole")
    for name, bound in (("MOST_LINKS", 200), ("LINKS", 5), ("NEIGHBOURS", 2)):
        monkeypatch.setattr(relations, name, bound)
    assert 2 < largest("bounded") <= 2 * whole
