"""Whom a text names as its source: `来源：`, `转自`, `据…报道`, `(Reuters)`, `中央社…電`.

>>> named_sources("据路透社报道，双方同意……（来源：新华网）")
('路透社', '新华网')
"""

from __future__ import annotations

import re

MOST = 8
"""Sources kept of one text; a round-up may name dozens."""

_NAME = r"[「『“\"《〈(（]?([\w·.&’' -]{2,24}?)[」』”\"》〉)）]?"
_AGENCY_ZH = (
    "路透社|路透|法新社|美联社|美聯社|合众国际社|彭博社|彭博新闻社|彭博|新华社|新華社|新华网|中新社|中新网|中央社|共同社|时事社|時事社|韩联社|韓聯社|"
    "塔斯社|俄新社|德新社|安莎社|埃菲社|央视新闻|央視新聞|人民日报|人民日報|环球时报|環球時報|澎湃新闻|新京报|财新|界面新闻|第一财经|中国新闻网|"
    "华尔街日报|華爾街日報|纽约时报|紐約時報|华盛顿邮报|華盛頓郵報|金融时报|金融時報|卫报|衛報|南华早报|南華早報|美国之音|美國之音|自由亚洲电台|"
    "自由亞洲電台|德国之声|德國之聲|法广|联合早报|聯合早報|香港01|英国广播公司|英國廣播公司|美国有线电视新闻网|美國有線電視新聞網"
)
_AGENCY_EN = "Reuters|AP|Associated Press|AFP|Agence France-Presse|UPI|Bloomberg|Xinhua|Kyodo|dpa|DPA|TASS|Interfax|PA Media|EFE|ANSA|Yonhap"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        # an explicit line or bracket: 来源：新华网　转自：澎湃新闻　(Source: Reuters)
        rf"(?:来源|來源|文章来源|稿源|转自|轉自|转载自|轉載自|摘自|原载|原載)\s*[:：]?\s*{_NAME}(?=[\s)）\]】」|｜/，,。;；]|$|编辑|編輯|作者|责任|責任)",
        rf"(?i:\b(?:source|originally published (?:by|in|on)|republished from|via))\s*:?\s+{_NAME}(?=[.,;)\]\n|]|$)",
        # 据路透社报道　综合法新社、美联社报道
        r"(?:据|據|综合|綜合|援引|引述|引用)(?:了)?([^，。：；\n]{2,30}?)(?:\d{1,2}[日号號月])?(?:的)?(?:报道|報道|报导|報導|消息|电|電|快讯|透露)",
        # (Reuters)　WASHINGTON (AP) —　（路透）
        rf"[(（]({_AGENCY_EN})[)）]",
        rf"[(（]({_AGENCY_ZH})(?:[^)）]{{0,20}}(?:电|電|报道|報導|报导|訊|讯))?[)）]",
        # a dateline: （中央社華盛頓11日電）　新华社北京11月11日电　路透北京12月13日
        rf"({_AGENCY_ZH})(?:记者|記者)?[^，。：；\n]{{0,24}}?\d{{1,2}}日[^，。：；\n]{{0,6}}?(?:电|電|報導|报道|消息|讯|訊|\s*-)",
        r"(?m)^[A-Z][A-Za-z ,./]{2,40}\((" + _AGENCY_EN + r")\)",
        rf"\b(?:according to|reported by|citing)\s+((?:the )?(?:{_AGENCY_EN})(?: news agency)?)\b",
    )
)
_SEPARATOR = re.compile(r"[、，,]|和|与|與|及|以及| and ")
# What a bare name must end like; the pattern after 据 takes whatever stands before 报道.
_OUTLET = re.compile(
    r"(?:社|报|報|网|網|台|臺|新闻|新聞|周刊|週刊|杂志|雜誌|月刊|客户端|客戶端|公众号|公眾號|电视|電視|之音|之声|之聲|法广|法廣|01|中时|中時|彭博|路透|路透社"
    r"|周末|週末|观察|觀察|财经|財經|电讯|電訊|在线|公司|[A-Za-z][\w&.' -]+|Wire \d+)$"
)
_QUOTED = re.compile(r"《([^》]{2,20})》?")
_NOISE = re.compile(
    r"^(?:了|中国|中國|当地|當地|本地|此前|今日|今天|昨日|昨天|外电|外電|外媒|媒体|媒體|官媒|陸媒|港媒|台媒|美媒|英媒|日媒|有关|有關|多家|的)+"
)
_NO_NAME = re.compile(
    r"^(?:多家|外|当地|當地|本地|中国|中國)?(?:媒体|媒體|消息|记者|記者|网络|網絡|官方|其他|当地|本报|本報|本台|该报|該報|了解|悉|知)$"
)


def named_sources(text: str) -> tuple[str, ...]:
    """The outlets and agencies that the text names as where it comes from, in order of appearance, each once."""
    found: dict[str, int] = {}
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            for name in _SEPARATOR.split(match.group(1)):
                clean = _cleaned(name)
                if 2 <= len(clean) <= 24 and _OUTLET.search(clean) and not _NO_NAME.match(clean):  # noqa: PLR2004
                    found.setdefault(clean, match.start(1))
    kept = [name for name in found if not any(name != other and name in other for other in found)]
    return tuple(sorted(kept, key=found.__getitem__)[:MOST])


def _cleaned(name: str) -> str:
    if quoted := _QUOTED.search(name):
        return quoted.group(1)
    bare = re.sub(
        r"(?:今天|昨天|前天|周[一二三四五六日]|星期[一二三四五六日])?(?:[（(].*)?$|等(?:媒体|媒體|多家)?.*$", "", name
    )
    return _NOISE.sub("", bare.strip(" \t\"'“”「」『』《》()（）:：")).strip()
