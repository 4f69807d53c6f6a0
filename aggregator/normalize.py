"""From what a feed states to an article: plain text without what is not the article, first image, language.

The HTML stays exactly as the outlet sent it; only `text` is ours. It holds the words a reader reads, one paragraph a
line: no markup, scripts, styles, comments, advertisements, QR blocks, or the house lines that outlets put around a
text (`原标题：…`, `责任编辑：…`, `获取更多RSS…`). Real markup puts inline elements inside words, so text nodes are
joined as they stand and only block elements break a line.

Structure is judged with Beautiful Soup where the markup holds something that must go; the words are then taken with
selectolax's lexbor, an HTML5 parser twenty times as fast (reference measurement).
"""

from __future__ import annotations

import html as html_entities
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser

from aggregator.model import Article, Entry, Feed
from aggregator.text import clean, is_crowded, language, without_scripts, without_tags

if TYPE_CHECKING:
    from bs4 import Tag

_BREAK = "\x1e"
_BLOCKS = (
    "p,div,section,article,header,footer,aside,main,nav,h1,h2,h3,h4,h5,h6,li,ul,ol,dl,dt,dd,blockquote,pre,"
    "figure,figcaption,table,tr,caption,hr,center,address,details,summary,form,fieldset,option,video,audio"
)
_BLOCK_TAG = re.compile(rf"</?(?:br|td|th|{_BLOCKS.replace(',', '|')})\b[^>]*>", re.IGNORECASE)
_NEVER_TEXT = (
    "script,style,noscript,template,iframe,object,embed,svg,math,canvas,head,title,select,textarea,button,input"
)

# What may make a container an advertisement, a QR block or page furniture: whole words of id, class or data-name.
# RSSHub removes #left_hzh_ad, .appendQr_wrap, .app-kaihu-qr and .tech-quotation from Sina's pages; Zaobao leaves
# dfp-ad, imu and innity blocks in its feed.
_FURNITURE = re.compile(
    r"(?:^|[\s_-])(?:ads?|adv|advert|advertisement|advertising|adsbygoogle|dfp|imu|innity|sponsor(?:ed)?|promo(?:tion)?"
    r"|appendqr|qr|qrcode|erweima|ewm|share(?:bar|box|buttons?)?|social-share|related(?:-news|-posts|-links)?"
    r"|recommend(?:ed)?|newsletter(?:-signup)?|subscribe(?:-box)?|copyright|tech-quotation|kaihu)(?:$|[\s_-])"
    r"|hzh_ad|appendQr_wrap",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:px|pt|em|;|$)", re.IGNORECASE)

# Whole lines that belong to the house and not to the article. Each pattern must match a line from its start.
_HOUSE_LINE = re.compile(
    r"""(?x)^[\s\u3000【\[（(]*(?:
        原标题\s*[:：] | 原題\s*[:：] | 原標題\s*[:：]
      | (?:责任|責任|本文|值班|实习|實習)?(?:编辑|編輯)\s*[:：／/] .{0,40}$
      | (?:责|責)(?:编|編)\s*[:：] .{0,40}$
      | (?:校对|校對|审核|審核|监制|監製|主编|主編|排版)\s*[:：] .{0,30}$
      | 获取更多\s*RSS | 獲取更多\s*RSS
      | (?:扫描|掃描|扫一扫|长按|長按|识别|識別).{0,20}(?:二维码|二維碼|QR)
      | (?:点击|點擊)(?:查看大图|查看大圖|进入专题|進入專題|这里下载|下载客户端|下載客戶端|阅读原文|閱讀原文)
      | (?:更多精彩|更多内容|更多內容|更多资讯|更多資訊).{0,30}(?:关注|關注|下载|下載|客户端|客戶端|公众号|公眾號|APP)
      | (?:关注|關注).{0,20}(?:公众号|公眾號|微信).{0,30}$
      | (?:广告|廣告)\s*[:：]? .{0,30}$
      | (?:本文|本站|本网|本網)?(?:版权|版權)(?:所有|归|歸) .{0,60}$
      | (?:未经|未經)(?:授权|授權|许可|許可|书面).{0,40}(?:不得|禁止).{0,20}$
      | (?:本文)?(?:仅代表|僅代表)作者.{0,10}(?:观点|觀點) .{0,40}$
      | https?://[\w.-]+/?\s*$
      | Advertisement\s*$ | (?:Sign\ up|Subscribe)\ (?:for|to)\ (?:our|the)\ .{0,60}(?:newsletter|alerts?|updates).{0,40}$
      | (?:Read|See)\ (?:more|also)\s*[:：]? .{0,0}$ | Continue\ reading\s*(?:\.\.\.|…|→)?\s*$
    )""",
    re.IGNORECASE,
)
# The mirror's own date line above a text: `Wed, 10 Nov 2021 20:36:28 GMT`.
_DATE_LINE = re.compile(
    r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (?:GMT|[+-]\d{4})$"
)
# Anything but one plain blank by itself: those need no other in their place, and most are of that kind.
_BLANKS = "\t\r\n\f\v\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_SPACE = re.compile(f"[ {_BLANKS}]{{2,}}|[{_BLANKS}]")
_UNSEEN = "\u200b\u200e\u200f\u2060\ufeff\u00ad"
_ZERO_WIDTH = re.compile(f"[{_UNSEEN}]")
# Without one of these in its UTF-8 a text has nothing that the two patterns find, which take ten times as long to say so.
_ODD = (
    b"  ",
    *sorted({char.encode()[:2] if "\u1fff" < char < "\u3000" else char.encode() for char in _BLANKS + _UNSEEN}),
)
_TAG = re.compile(r"<[a-zA-Z/!?]|&[#a-zA-Z]")
# Each selector costs as much as parsing: it is not asked where no such tag is in the source (`</br>` makes a `<br>`).
_MAY_NEVER_BE_TEXT = re.compile(rf"<(?:{_NEVER_TEXT.replace(',', '|')})", re.IGNORECASE)
_MAY_BREAK = re.compile(r"</?br", re.IGNORECASE)
_MAY_BE_CELL = re.compile(r"<t[dh]", re.IGNORECASE)
_TELLING = "[class],[id],[data-name],[style]"
_ID = re.compile(r"id\s*=")
_NESTING = re.compile(r"<(/)?(?!(?:p|li|br|img|hr|tr|td|th|dd|dt|option|input|meta|link)\b)[a-zA-Z]")
_DEEP = 2_000
_REPEATED = 3
_SHORT = 80


def article(entry: Entry, feed: Feed) -> Article:
    """What the archive keeps of an entry: the HTML as sent, ending in exactly one newline, and its plain text.

    `url` is left for `pipeline`, which knows how addresses are compared.
    """
    return with_text(
        Article(
            title=clean(entry.title),
            html=entry.html.rstrip("\n") + "\n" if entry.html else "",
            text="",
            feed=feed.id,
            outlet=feed.outlet,
            guid=entry.guid,
            link=entry.link,
            author=entry.author,
            categories=feed.categories,
            published=entry.published,
            updated=entry.updated,
            date_note=entry.date_note,
            lang=feed.lang,
        )
    )


def with_text(plain: Article) -> Article:
    """The article with `text`, `headimg` and `lang` filled from its HTML; what is already there stays."""
    text = plain.text or plain_text(plain.html)
    return replace(
        plain,
        text=text,
        headimg=plain.headimg or first_image(plain.html),
        lang=plain.lang or language(f"{plain.title}\n{text}"),
    )


def plain_text(html: str) -> str:
    """The words of an HTML fragment, one paragraph a line, furniture and house lines left out."""
    return "\n".join(_article_lines(_lines(_words(html))))


def first_image(html: str) -> str:
    """The address of the first image as stated, or an empty string."""
    if not re.search(r"<img\b", html, re.IGNORECASE) or is_crowded(html) or _too_deep(html):
        return ""
    for image in LexborHTMLParser(html).css("img"):
        source = (image.attributes.get("src") or image.attributes.get("data-src") or "").strip()
        if source and not source.startswith("data:"):
            return clean(source)
    return ""


def _words(html: str) -> str:
    """All text in document order, blocks set apart by `_BREAK`."""
    html = clean(html)
    if not _TAG.search(html):
        return html.replace("\n", _BREAK)
    if is_crowded(html) or _too_deep(html):
        return _plain_words(html)
    tree = LexborHTMLParser(f"<body>{html}")
    if _may_hold_furniture(html) and any(_may_go(node.attributes) for node in tree.css(_TELLING)):
        tree = LexborHTMLParser(f"<body>{without_furniture(html)}")
    _set_apart(tree, html)
    body = tree.body
    return (body.text(deep=True, separator="", strip=False) or "") if body is not None else ""


def _set_apart(tree: LexborHTMLParser, html: str) -> None:
    """Take out what is never text, and put `_BREAK` around blocks and before line breaks, a blank after cells."""
    if _MAY_NEVER_BE_TEXT.search(html):
        for node in tree.css(_NEVER_TEXT):
            node.decompose()
    for node in tree.css(_BLOCKS):
        node.insert_before(_BREAK)
        node.insert_after(_BREAK)
    if _MAY_BREAK.search(html):
        for node in tree.css("br"):
            node.insert_before(_BREAK)
    if _MAY_BE_CELL.search(html):
        for node in tree.css("td,th"):
            node.insert_after(" ")


def _plain_words(html: str) -> str:
    """The same of markup that no tree is built of: whatever is seen, furniture too."""
    html = without_scripts(html)
    end = html.rfind(">") + 1
    return html_entities.unescape(without_tags(_BLOCK_TAG.sub(_BREAK, html[:end]) + html[end:], ""))


def _may_go(said: Mapping[str, str | None]) -> bool:
    """Whether an element with these attributes is furniture, so that Beautiful Soup has to weigh what it holds."""
    names = (said.get("class"), said.get("id"), said.get("data-name"))
    return any(name and _FURNITURE.search(name) for name in names) or bool(_HIDDEN.search(said.get("style") or ""))


def _may_hold_furniture(html: str) -> bool:
    """Whether an attribute that `_may_go` looks at can say anything to it: asking the tree costs as much as parsing."""
    low = html.lower()
    if "class" in low or "data-name" in low or _ID.search(low):
        return True
    return "style" in low and any(said in low for said in ("&", "display", "visibility", "font-size"))


def _too_deep(html: str) -> bool:
    """Nested so deep that a parser's time grows with the square of it: 20,000 levels take 0.4 s, 100,000 take 10 s."""
    if html.count("<") < _DEEP:
        return False
    depth = deepest = 0
    for found in _NESTING.finditer(html):
        depth = max(depth + (-1 if found.group(1) else 1), 0)
        deepest = max(deepest, depth)
    return deepest > _DEEP


def without_furniture(html: str) -> str:
    """The fragment less advertisements, QR blocks, share bars, comments and what is styled to be unseen.

    A container goes only when it holds less than half of the words: outlets name their whole article `share-content`.
    """
    from bs4 import BeautifulSoup, Comment  # an eighth of the time that starting takes, and seldom needed

    soup = BeautifulSoup(html, "lxml")
    for comment in soup.find_all(string=lambda string: isinstance(string, Comment)):
        comment.extract()
    whole = len(soup.get_text())
    for node in soup.find_all(_is_furniture):
        if not node.decomposed and 2 * len(node.get_text()) < max(whole, 1):
            node.decompose()
    body = soup.body
    return body.decode_contents() if body else ""


def _is_furniture(node: Tag) -> bool:
    names = [str(node.get("id") or ""), str(node.get("data-name") or "")]
    names.extend(node.get_attribute_list("class"))
    if any(name and _FURNITURE.search(name) for name in names):
        return True
    return bool(_HIDDEN.search(str(node.get("style") or "")))


def _lines(words: str) -> list[str]:
    words = words.strip().replace("\n", " ")
    raw = words.encode("utf-8", "surrogatepass")
    if any(odd in raw for odd in _ODD):
        words = _SPACE.sub(" ", _ZERO_WIDTH.sub("", words))
    return [piece for piece in map(str.strip, words.split(_BREAK)) if piece]


def _article_lines(lines: list[str]) -> list[str]:
    """The lines that are the article's own: no house lines, no attribution repeated after each paragraph."""
    counts: dict[str, int] = {}
    for line in lines:
        counts[line] = counts.get(line, 0) + 1
    kept = [
        line
        for number, line in enumerate(lines)
        if not _HOUSE_LINE.match(line)
        and not (counts[line] >= _REPEATED and len(line) <= _SHORT)
        and not (number == 0 and _DATE_LINE.match(line))
    ]
    return kept or lines


def from_markdown(source: str) -> str:
    """Plain words of a Markdown text: marks of emphasis, headings, links and quotes removed, one paragraph a line."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", source)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?m)^\s{0,3}(?:#{1,6}\s+|>\s?|[-*+]\s+|\d+\.\s+(?=\S))", "", text)
    text = re.sub(r"(\*\*|__|\*|`)(?=\S)(.+?)(?<=\S)\1", r"\2", text)
    return "\n".join(_article_lines(_lines(html_entities.unescape(clean(text)).replace("\n", _BREAK))))
