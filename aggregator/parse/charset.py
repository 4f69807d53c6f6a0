"""Bytes to text: which encoding a feed is really in, whatever it declares.

The order: a byte order mark; UTF-16 and UTF-32 by their NULs; strict UTF-8, since bytes of another encoding are
next to never valid UTF-8 by accident; then the declared encodings and the East Asian ones, those that decode without a
fault ranked by how many of the characters are ones that people use; then a single-byte encoding. Labels are those of
the WHATWG Encoding Standard (section 4.2) only: no other codec of Python is ever reached by what a server says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_SAMPLE = 20_000  # characters looked at to rank an encoding: enough to tell, bounded for megabytes
_ENOUGH = 0.45  # below this share of everyday characters a guess is worse than a replacement mark
_MOSTLY = 8  # so many good sequences for each bad one: UTF-8 with a fault in it, not another encoding

_LABELS: dict[str, str] = {}
for _codec, _names in {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso8859-3": "csisolatin3 iso-8859-3 iso8859-3 iso88593 iso_8859-3 l3 latin3",
    "iso8859-4": "csisolatin4 iso-8859-4 iso8859-4 iso88594 iso_8859-4 l4 latin4",
    "iso8859-5": "csisolatincyrillic cyrillic iso-8859-5 iso8859-5 iso88595 iso_8859-5",
    "iso8859-6": "arabic asmo-708 csisolatinarabic ecma-114 iso-8859-6 iso8859-6 iso88596 iso_8859-6",
    "iso8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso8859-7 iso88597 iso_8859-7",
    "iso8859-8": "csisolatinhebrew hebrew iso-8859-8 iso-8859-8-i iso8859-8 iso88598 iso_8859-8 logical visual",
    "iso8859-10": "csisolatin6 iso-8859-10 iso8859-10 iso885910 l6 latin6",
    "iso8859-13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859-14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
    "iso8859-16": "iso-8859-16",
    "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8-u": "koi8-ru koi8-u",
    "mac-roman": "csmacintosh mac macintosh x-mac-roman",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591"
    " iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252",
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": "cp1254 csisolatin5 iso-8859-9 iso8859-9 iso88599 iso_8859-9 l5 latin5 windows-1254 x-cp1254",
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk gb18030",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc_jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
    "iso2022_jp": "csiso2022jp iso-2022-jp",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949",
    "utf-16-be": "unicodefffe utf-16be",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
}.items():
    _LABELS.update(dict.fromkeys(_names.split(), _codec))

_EAST_ASIAN = ("gb18030", "big5hkscs", "cp932", "euc_jp", "cp949")
_WESTERN = ("cp1252", "iso8859-15", "mac-roman", "utf-8")
_BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
    (b"\xef\xbb\xbf", "utf-8"),
)
_SHOWN = {
    "gb18030": "GB18030",
    "big5hkscs": "Big5",
    "cp932": "Shift_JIS",
    "euc_jp": "EUC-JP",
    "cp949": "EUC-KR",
    "iso2022_jp": "ISO-2022-JP",
    "cp1252": "windows-1252",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32-le": "UTF-32",
    "utf-32-be": "UTF-32",
}

# Characters that make up a third and more of any Chinese prose, both scripts, and the syllables of any Korean prose.
_EVERYDAY = frozenset(
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多"
    "定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因"
    "由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解"
    "问意建月公无系军很情者最立代想已通并提直题党程展五果料象员革位入常文总次品式活设及管特件长求老头基资边流路级少"
    "这個為國時來們於對發動過說種後學經進著電裡現實兩體當點從業應開還間樣與關線數問無軍總設長資邊級將東會務氣報網"
    "新闻新聞美京华華北南西标标題题测测試试版记记者院央日月年时分今昨布要求严严格规规定執执行際际協协議议"
)
_HANGUL = frozenset(
    "이다의는가을에고로한지어사기리대도인서자스시해일정부국제하은들과를와수그여보전아나장주상원공화성개구조신"
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """`text` of a document, the codec it was read with, and `note`: a sentence where the declaration was wrong."""

    text: str
    encoding: str
    note: str | None = None


def decode(body: bytes, content_type: str | None = None) -> Decoded:
    """Text of a feed or page from its bytes and its Content-Type header; never raises, never consults a locale."""
    label = declared(body, content_type)
    codec = _LABELS.get((label or "").lower())
    clean = _by_mark(body) or _by_nuls(body) or _utf8(body, codec)
    text, encoding = clean or _ranked(body, codec)
    note = _note(text, label, codec, encoding)
    if not clean and "\ufffd" in text:
        note = f"{note or 'its bytes are not all ' + _SHOWN.get(encoding, encoding.upper())}; \ufffd stands for what could not be read"
    return Decoded(text.lstrip("\ufeff"), encoding, note)


def declared(body: bytes, content_type: str | None) -> str | None:
    """The label in the Content-Type header, else in the XML declaration, else in an HTML meta element."""
    found = re.search(r"charset\s*=\s*[\"']?\s*([^\s\"';]{1,60})", content_type or "", re.IGNORECASE)
    if found and found[1].lower() in _LABELS:
        return found[1]
    head = body[:1024].replace(b"\0", b"")
    inside = re.search(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([^"'<>]{0,60})["']""", head) or re.search(
        rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{1,60})""", head, re.IGNORECASE
    )
    return inside[1].decode("ascii", "replace").strip() if inside else (found[1] if found else None)


def _by_mark(body: bytes) -> tuple[str, str] | None:
    for mark, codec in _BOMS:
        if body.startswith(mark):
            try:
                return body[len(mark) :].decode(codec), codec
            except UnicodeDecodeError:
                if codec == "utf-8":
                    return None
                return body[len(mark) :].decode(codec, "replace"), codec
    return None


def _by_nuls(body: bytes) -> tuple[str, str] | None:
    """UTF-16 and UTF-32 without a mark: markup starts with `<`, so its zero bytes tell width and order."""
    head = body[:64]
    for pattern, codec in (
        (rb"(?:[<\s]\0\0\0){2}|<\0\0\0", "utf-32-le"),
        (rb"\0\0\0[<\s]", "utf-32-be"),
        (rb"(?:\s\0)*<\0[?!\w]\0", "utf-16-le"),
        (rb"(?:\0\s)*\0<\0[?!\w]", "utf-16-be"),
    ):
        if re.match(pattern, head):
            return body.decode(codec, "replace"), codec
    return None


def _utf8(body: bytes, codec: str | None) -> tuple[str, str] | None:
    text = _strict(body, "utf-8")
    if text is None:
        return None
    if codec == "iso2022_jp" and b"\x1b" in body:
        return body.decode(codec, "replace"), codec
    # Two-byte sequences only: a few GBK or Big5 characters may look like that, and the declaration then decides.
    if codec in _EAST_ASIAN and not text.isascii() and max(text) < "\u0800":
        other = _strict(body, codec)
        if other is not None and _score(other) > _ENOUGH:
            return other, codec
    return text, "utf-8"


def _ranked(body: bytes, codec: str | None) -> tuple[str, str]:
    """The best of the encodings that could be meant, for bytes that are not valid UTF-8."""
    lossy = body.decode("utf-8", "replace")
    bad = lossy.count("\ufffd")
    if len(body) - len(lossy) > _MOSTLY * bad:
        return lossy, "utf-8"
    if codec and codec not in _EAST_ASIAN and codec not in _WESTERN and not codec.startswith(("utf-16", "iso2022")):
        return body.decode(codec, "replace"), codec
    if codec not in _EAST_ASIAN and _alone(body):
        western = codec if codec in _WESTERN and codec != "utf-8" else "cp1252"
        return body.decode(western, "replace"), western
    found = _east_asian(body, codec)
    if found:
        return found
    if codec in _EAST_ASIAN:
        return body.decode(codec, "replace"), codec
    return _fewest_faults(body, lossy)


def _alone(body: bytes) -> bool:
    """Whether the bytes above ASCII stand alone, as accented letters do; East Asian characters come in pairs."""
    sample = body[:1_000_000]
    high = len(re.findall(rb"[\x80-\xff]", sample))
    singles = len(re.findall(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])", sample))
    return singles > high / 2


def _east_asian(body: bytes, codec: str | None) -> tuple[str, str] | None:
    best: tuple[float, str, str] | None = None
    for candidate in _EAST_ASIAN:
        text = _strict(body, candidate)
        if text is None:
            continue
        # Equal marks go to what was declared, then to what is likeliest among Chinese outlets.
        score = _score(text) + (0.15 if candidate == codec else 0.05 if candidate == "gb18030" else 0)
        if best is None or score > best[0]:
            best = (score, text, candidate)
    return best[1:] if best and (best[0] > _ENOUGH or best[2] == codec) else None


def _strict(body: bytes, codec: str) -> str | None:
    """The text, or None where it is not in that encoding; a character that the end cuts in two is dropped."""
    try:
        return body.decode(codec)
    except UnicodeDecodeError as error:
        is_cut = error.reason in {"unexpected end of data", "incomplete multibyte sequence"}
        if is_cut and error.start:
            return body[: error.start].decode(codec)
        return None


def _fewest_faults(body: bytes, lossy: str) -> tuple[str, str]:
    """Nothing decodes cleanly: the reading that loses least, UTF-8 where they are about equal."""
    chinese = body.decode("gb18030", "replace")
    if chinese.count("\ufffd") * 4 < lossy.count("\ufffd") and _score(chinese) > _ENOUGH:
        return chinese, "gb18030"
    return lossy, "utf-8"


def _score(text: str) -> float:
    """How everyday the characters outside ASCII are: 0 (nothing that anybody writes) to 1."""
    found = re.findall(r"[^\x00-\x7f]", text[: _SAMPLE * 20])[:_SAMPLE]
    return sum(map(_weight, found)) / len(found) if found else 0.0


@cache
def _weight(char: str) -> float:
    if char in _EVERYDAY or char in _HANGUL:
        return 1.0
    if "\u3001" <= char <= "\u30ff" or "\uff01" <= char <= "\uff5e" or char in "“”‘’—…·《》":
        return 0.9
    if "\uac00" <= char <= "\ud7a3":
        return 0.5
    return 0.6 if char in _common() else 0.0


@cache
def _common() -> frozenset[str]:
    """The first levels of GB 2312 and Big5: the 3,755 and 5,401 characters that their makers found in daily use."""
    gb = [bytes((lead, trail)) for lead in range(0xB0, 0xD8) for trail in range(0xA1, 0xFF)]
    big5 = [bytes((lead, trail)) for lead in range(0xA4, 0xC7) for trail in (*range(0x40, 0x7F), *range(0xA1, 0xFF))]
    return frozenset(
        "".join(b.decode("gb2312", "ignore") for b in gb) + "".join(b.decode("big5", "ignore") for b in big5)
    )


def _note(text: str, label: str | None, codec: str | None, encoding: str) -> str | None:
    if encoding == codec or (encoding[:6] in {"utf-16", "utf-32"} and (label or "").lower().startswith(encoding[:6])):
        return None
    shown = _SHOWN.get(encoding, encoding.upper())
    if label and codec is None:
        return None if text.isascii() else f"the encoding {label[:40]!r} it declares is unknown, read as {shown}"
    if text.isascii() or (not label and encoding == "utf-8"):
        return None
    return f"it declares {label}, but is {shown}" if label else f"it declares no encoding, read as {shown}"
