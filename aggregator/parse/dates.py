"""The dates that feeds and Chinese pages state, read strictly: an instant, or None where it cannot be known.

Never a guess: a missing part is not filled in from today, a day that is both 5 January and 1 May (`01/05/2025`) is
unknown, and so are an unknown zone and `3个月前`. `CST` is China's where the feed's own zone is eight hours ahead of UTC,
else the American one. A naive time is in the feed's zone. The instant must lie in 1970 .. now + 24 h.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

_LONGEST = 100  # characters; the longest date in use, JavaScript's with a zone's name, has about 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GRACE = timedelta(hours=24)
_FARTHEST_ZONE = timedelta(hours=14)

_MONTHS: dict[str, int] = {}
for _month, _names in enumerate(
    (
        "jan january januar jän jänner janvier janv enero ene gennaio gen janeiro янв января январь 一月 1月 01月",
        "feb february februar février févr fév fevrier febrero febbraio fevereiro fev фев февраля февраль 二月 2月 02月",
        "mar march märz mär mrz mars marzo março марта мар март 三月 3月 03月",
        "apr april avril avr abril abr aprile апр апреля апрель 四月 4月 04月",
        "may mai mayo maggio mag maio мая май 五月 5月 05月",
        "jun june juni juin junio giugno giu junho июня июн июнь 六月 6月 06月",
        "jul july juli juillet juil julio luglio lug julho июля июл июль 七月 7月 07月",
        "aug august août aout agosto ago авг августа август 八月 8月 08月",
        "sep sept september septembre septiembre settembre set setembro сен сент сентября сентябрь 九月 9月 09月",
        "oct october oktober okt octobre octubre ottobre ott outubro out окт октября октябрь 十月 10月",
        "nov november novembre noviembre novembro ноя нояб ноября ноябрь 十一月 11月",
        "dec december dezember dez décembre déc decembre diciembre dic dicembre dezembro дек декабря декабрь 十二月 12月",
    ),
    1,
):
    _MONTHS.update(dict.fromkeys(_names.split(), _month))

_HOURS = {
    "z": 0, "utc": 0, "gmt": 0, "ut": 0, "wet": 0, "west": 1, "bst": 1, "cet": 1, "mez": 1, "cest": 2, "mesz": 2, "eet": 2,
    "sast": 2, "eest": 3, "msk": 3, "trt": 3, "gst": 4, "pkt": 5, "ist": 5.5, "npt": 5.75, "ict": 7, "wib": 7, "hkt": 8, "sgt": 8,
    "myt": 8, "pht": 8, "awst": 8, "jst": 9, "kst": 9, "acst": 9.5, "aest": 10, "acdt": 10.5, "aedt": 11, "nzst": 12, "nzdt": 13,
    "nst": -3.5, "ndt": -2.5, "brt": -3, "art": -3, "ast": -4, "adt": -3, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7,
    "mdt": -6, "pst": -8, "pdt": -7, "akst": -9, "akdt": -8, "hst": -10, "北京时间": 8, "北京時間": 8, "中国标准时间": 8, "台北时间": 8,
}  # fmt: skip
_NUMERALS = {
    **dict(zip("〇零○一二三四五六七八九", (0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9), strict=True)),
    "两": 2,
    "兩": 2,
}
_WEEKDAYS = {**dict(zip("一二三四五六日", range(7), strict=True)), "天": 6}
_AGO = {
    "秒": 1,
    "分": 60,
    "小": 3600,
    "鐘": 3600,
    "钟": 3600,
    "天": 86400,
    "日": 86400,
    "周": 604800,
    "週": 604800,
    "星": 604800,
}
_AGO_EN = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_NOON, _LATE_NOON = 12, 3  # 中午1点 is one in the afternoon
_EVENING = frozenset({"晚上", "晚间", "晚間", "晚"})
_AFTERNOON = _EVENING | {"下午", "傍晚", "오후"}
_MORNING = frozenset({"凌晨", "上午", "오전"})
_DAYS = {"今": 0, "昨": 1, "前": 2}

_TIME = re.compile(
    r"(?P<part>上午|下午|凌晨|清晨|早上|早晨|早|中午|傍晚|晚上|晚间|晚間|晚|오전|오후)?\s*"
    r"(?P<hour>\d{1,2})(?:\s*[:：时時點点시]\s*(?P<minute>\d{1,2})?\s*[分분]?(?:\s*[:：]?\s*(?P<second>\d{1,2})\s*[秒초]?)?)"
    r"(?:[.,]\d{1,9})?\s*(?P<half>[ap]\.?m\.?(?![a-z]))?(?P<rest>.*)$",
    re.IGNORECASE,
)
_COMPACT_TIME = re.compile(r"(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?(?:[.,]\d{1,9})?(?P<rest>\D.*|)$")
_OFFSET = re.compile(r"(?:utc|gmt)?\s*([+\-−]?)(\d{1,2})(?::?(\d{2}))?$", re.IGNORECASE)
_WORD = r"(?P<month>[^\W\d_]+|\d{1,2}月)\.?"
_ISO = re.compile(r"(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})(?!\d)(?P<rest>.*)$")
_ISO_DAY = re.compile(r"(?P<year>\d{4})-(?:W(?P<week>\d{2})-(?P<weekday>[1-7])|(?P<ordinal>\d{3}))(?!\d)(?P<rest>.*)$")
_HAN = re.compile(
    r"(?:(?P<era>(?:中[華华])?民[國国])\s*|(?<!\S))(?P<year>\d{1,4})\s*[年년]\s*(?P<month>\d{1,2})\s*[月월]\s*"
    r"(?P<day>\d{1,2})\s*(?:[日号號일]|(?!\d))(?P<rest>.*)$"
)
_HAN_YEAR_LAST = re.compile(
    r"(?P<month>\d{1,2})\s*月\s*(?P<day>\d{1,2})\s*[日号號][,，]?\s*(?P<year>\d{4})年?(?!\d)(?P<rest>.*)$"
)
_DAY_FIRST = re.compile(
    r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\.?[\s\-/]*(?:de |of )?"
    + _WORD
    + r"[\s,\-/]*(?:de )?(?P<year>\d{4}|\d{2})(?!\d)(?P<rest>.*)$"
)
_MONTH_FIRST = re.compile(_WORD + r"\s*(?P<day>\d{1,2})(?:st|nd|rd|th)?[\s,]+(?P<year>\d{4})(?!\d)(?P<rest>.*)$")
_ASCTIME = re.compile(
    _WORD
    + r"\s+(?P<day>\d{1,2})\s+(?P<clock>\d{1,2}:\d{2}(?::\d{2})?)(?P<zone>\s+[A-Za-z+\-][\w:+\-]*)?\s+(?P<year>\d{4})$"
)
_DOTS = re.compile(r"(?P<day>\d{1,2})(?P<mark>[./\-])(?P<month>\d{1,2})(?P=mark)(?P<year>\d{4})(?!\d)(?P<rest>.*)$")
_YEARLESS = re.compile(r"(?P<month>\d{1,2})\s*月\s*(?P<day>\d{1,2})\s*(?:[日号號]|(?!\d))(?P<rest>.*)$")
_YEARLESS_DIGITS = re.compile(r"(?P<month>\d{1,2})[-/](?P<day>\d{1,2})(?P<rest>\s+\d{1,2}[:：]\d{2}.*)$")
_NEAR_DAY = re.compile(r"(?P<day>[今昨前])(?:[天日]|晚|早)\s*(?P<rest>.*)$")
_NEAR_DAY_EN = re.compile(r"(?P<day>today|yesterday)(?:\s+at|,)?\s+(?P<rest>\S.*)$", re.IGNORECASE)
_WEEKDAY_ONLY = re.compile(r"(?:星期|周|週|礼拜|禮拜)(?P<weekday>[一二三四五六日天])\s*(?P<rest>\d.*)$")
_SINCE = re.compile(
    r"(?P<count>\d{1,4}|半|数|數|几|幾)\s*[个個]?\s*(?P<unit>秒|分|小[时時]|[钟鐘][头頭]|天|日|周|週|星期)[钟鐘]?\s*(?:之|以)?前$"
)
_SINCE_EN = re.compile(
    r"(?P<count>\d{1,4}|an?|one)\s*(?P<unit>s|m|h|d|w|secs?|seconds?|mins?|minutes?|hrs?|hours?|days?|weeks?)\s+ago$",
    re.IGNORECASE,
)
_USUAL_ISO = re.compile(r"[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d)", re.ASCII)
_USUAL_RFC = re.compile(
    r"(?:[A-Z][a-z]{2}, )?(\d{1,2}) ([A-Z][a-z]{2}) ([12]\d{3}) (\d\d):(\d\d):(\d\d) (?:GMT|UTC|Z|([+-])(\d\d):?(\d\d))",
    re.ASCII,
)
_WEEKDAY = re.compile(r"[（(]?(?:星期|周|週|礼拜|禮拜)[一二三四五六日天][）)]?,?，?|[월화수목금토일]요일")
_LABEL = re.compile(
    r"^(?:发布时间|發布時間|发表时间|更新时间|发布于|發佈於|发表于|更新于|时间|日期|published|updated|posted)(?: on)?\s*[:：]?\s*",
    re.IGNORECASE,
)
_NUMERAL = re.compile(
    "[〇零○一二三四五六七八九十廿卅]+(?=\\s*[年月日号號时時點点分秒天小个個周週星])|(?<=[年月])[〇零○一二三四五六七八九十廿卅]+$|[两兩](?=[个個]?[小天分秒周週日])"
)


def parse_date(text: str, timezone: str, now: datetime | None = None) -> datetime | None:
    """Aware UTC instant of a date as a feed states it, or None where that cannot be known.

    Args:
        text: RFC 822 with its common faults, ISO 8601, Chinese forms, epoch seconds or milliseconds.
        timezone: IANA name; where a time without a zone is (unknown names count as UTC).
        now: aware; without it relative (`3小时前`) and year-less (`11月11日`) forms are unknown, and no future is refused.

    """
    usual = _usual(text)
    if usual is not None:
        return _bounded(usual, now)
    plain = _plain(text)
    if not plain or len(plain) > _LONGEST:
        return None
    zone = _named_zone(timezone) or UTC
    for read in (_number, _stated, _yearless, _relative):
        try:
            found = read(plain, zone, now)
            if found is not None:
                return _bounded(found.astimezone(UTC), now)
        except (ValueError, OverflowError):
            continue
    return None


def _usual(text: str) -> datetime | None:
    """The two forms that nine of ten feeds use, with a zone, read at once; None for all others."""
    if _USUAL_ISO.fullmatch(text):
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            return None
    found = _USUAL_RFC.fullmatch(text)
    month = _MONTHS.get(found[2].lower()) if found else None
    if not found or not month:
        return None
    try:
        local = datetime(int(found[3]), month, int(found[1]), int(found[4]), int(found[5]), int(found[6]), tzinfo=UTC)
    except ValueError:
        return None
    hours, minutes = int(found[8] or 0), int(found[9] or 0)
    if hours > 13 or minutes > 59:  # noqa: PLR2004 - the careful reader decides about odd zones
        return None
    offset = timedelta(hours=hours, minutes=minutes)
    return local + offset if found[7] == "-" else local - offset


def _bounded(found: datetime, now: datetime | None) -> datetime | None:
    return found if found >= _EPOCH and (now is None or found <= now + _GRACE) else None


def _plain(text: str) -> str:
    """Markup, controls and direction marks gone, every digit ASCII, one blank between words; short texts only."""
    if len(text) > _LONGEST * 4:
        return ""
    text = re.sub(r"<[^<>]*>", " ", text)
    text = unicodedata.normalize("NFKC", text)
    text = "".join(
        str(unicodedata.decimal(char)) if char.isdecimal() else char
        for char in text
        if unicodedata.category(char) not in {"Cc", "Cf"} or char.isspace()
    )
    text = _LABEL.sub("", re.sub(r"\s+", " ", text).strip())
    return _NUMERAL.sub(lambda found: str(_chinese_number(found[0])), text)


def _chinese_number(word: str) -> int:
    """二〇二一 is 2021, 十一 is 11, 二十三 and 廿三 are 23, 两 is 2."""
    word = word.replace("廿", "二十").replace("卅", "三十")
    if "十" not in word:
        return int("".join(str(_NUMERALS[char]) for char in word))
    tens, _, ones = word.partition("十")
    return 10 * (_NUMERALS[tens[-1]] if tens else 1) + (_NUMERALS[ones[0]] if ones and ones[0] != "十" else 0)


@lru_cache(maxsize=256)
def _named_zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder's name gives OSError
        return None


# --- numbers ----------------------------------------------------------------------------------------------------


def _number(text: str, zone: tzinfo, _now: datetime | None) -> datetime | None:
    """Epoch seconds (9 or 10 digits), milliseconds, microseconds; 20250105, 202501051230 and 20250105123045."""
    found = re.fullmatch(r"(\d{8,16})(?:\.\d{1,9})?", text)
    if not found:
        return None
    digits = found[1]
    if len(digits) in {8, 12, 14}:
        pattern = "%Y%m%d%H%M%S"[: {8: 6, 12: 10, 14: 12}[len(digits)]]
        return datetime.strptime(digits, pattern).replace(tzinfo=zone)
    scale = {9: 1, 10: 1, 13: 1_000, 16: 1_000_000}.get(len(digits))
    return datetime.fromtimestamp(int(digits) / scale, UTC) if scale else None


# --- a whole date -----------------------------------------------------------------------------------------------


def _stated(text: str, zone: tzinfo, _now: datetime | None) -> datetime | None:
    """A date with its year, in any of the forms, then a time and a zone where there are any."""
    text = re.sub(r"\s*\([^()]*\)\s*$", "", text)
    for candidate in dict.fromkeys((text, _WEEKDAY.sub(" ", text).strip(), _without_first_word(text))):
        for pattern in (_ISO, _HAN, _HAN_YEAR_LAST, _DAY_FIRST, _MONTH_FIRST, _ASCTIME, _DOTS, _ISO_DAY):
            found = pattern.match(candidate)
            day = _day(found.groupdict()) if found else None
            if found and day:
                return _at(day, _rest(found.groupdict()), zone)
    compact = re.fullmatch(r"(\d{8})T(\d{4,6}.*)", text)
    return _at(datetime.strptime(compact[1], "%Y%m%d").date(), compact[2], zone) if compact else None  # noqa: DTZ007 - a day


def _without_first_word(text: str) -> str:
    """The weekday in whatever language gone; the name of a month stays."""
    found = re.match(r"([^\W\d_]+)\.?[,，]?\s+(?=\S)", text)
    if not found or found[1].lower() in _MONTHS:
        return text
    return text[found.end() :]


def _rest(found: dict[str, str | None]) -> str:
    if found.get("clock"):
        return f"{found['clock']} {found.get('zone') or ''}"
    return found.get("rest") or ""


def _day(found: dict[str, str | None]) -> date | None:
    """The calendar day of a match; None where a word is no month or day and month could be each other."""
    year = int(found["year"] or 0)
    if found.get("ordinal"):
        return date(year, 1, 1) + timedelta(days=int(found["ordinal"] or 0) - 1)
    if found.get("week"):
        return date.fromisocalendar(year, int(found["week"] or 0), int(found["weekday"] or 0))
    month, day = (
        _MONTHS.get((found["month"] or "").lower()) or int(found["month"] or 0) if _is_month(found) else 0,
        int(found["day"] or 0),
    )
    if found.get("mark") in {"/", "-"}:
        if month == day or day > 12:  # noqa: PLR2004 - months in a year
            return date(year, month, day)
        return date(year, day, month) if month > 12 else None  # noqa: PLR2004
    return date(_full_year(year, found), month, day) if month else None


def _is_month(found: dict[str, str | None]) -> bool:
    word = (found["month"] or "").lower()
    return word in _MONTHS or word.isdigit()


def _full_year(year: int, found: dict[str, str | None]) -> int:
    if found.get("era"):
        return year + 1911
    if len(found["year"] or "") <= 2:  # noqa: PLR2004 - RFC 2822 4.3: 00 to 49 are 2000 to 2049
        return year + (2000 if year < 50 else 1900)  # noqa: PLR2004
    return year


def _at(day: date, rest: str, zone: tzinfo) -> datetime | None:
    """Day, time and zone together; None where what follows the day is neither."""
    rest = re.sub(r"^\s*[T,，]?\s*", "", _WEEKDAY.sub(" ", rest)).strip()
    if not rest:
        return datetime.combine(day, time(), zone)
    found = _TIME.match(rest) or _COMPACT_TIME.match(rest)
    if not found:
        offset = _zone(rest, zone)
        return datetime.combine(day, time(), offset) if offset else None
    clock = _clock(found.groupdict())
    offset = _zone(found["rest"].strip(), zone)
    return datetime.combine(day, time(), offset) + clock if offset and clock is not None else None


def _clock(found: dict[str, str | None]) -> timedelta | None:
    """Time since midnight; 24:00 is the day's end and :60 a leap second."""
    hour, minute, second = (int(found.get(part) or 0) for part in ("hour", "minute", "second"))
    part, half = found.get("part") or "", (found.get("half") or "").lower()[:1]
    if part in _EVENING and hour == _NOON:
        return None  # 晚上12点 is the end of the day to some and its beginning to others
    is_afternoon = half == "p" or part in _AFTERNOON or (part == "中午" and hour < _LATE_NOON)
    if is_afternoon and hour < _NOON:
        hour += _NOON
    elif (half == "a" or part in _MORNING) and hour == _NOON:
        hour = 0
    whole = timedelta(hours=hour, minutes=minute, seconds=second)
    return whole if minute < 60 and second <= 60 and whole <= timedelta(days=1) else None  # noqa: PLR2004


def _zone(word: str, zone: tzinfo) -> tzinfo | None:
    """The zone that a word or an offset names; the feed's own where there is none, None where it is unknown."""
    word = re.sub(r"\s*\([^()]*\)?$", "", word).strip().rstrip(".")
    word = re.sub(r"^([+-]\d{4}) [A-Z]{3,4}$", r"\1", word)  # Go's `+0800 CST`
    if not word:
        return zone
    if word.lower() == "cst":
        return _fixed(8 if datetime(2025, 1, 1, tzinfo=zone).utcoffset() == timedelta(hours=8) else -6)
    if word.lower() in _HOURS:
        return _fixed(_HOURS[word.lower()])
    found = _OFFSET.fullmatch(word)
    if found:
        # A lost plus sign (`12:00:00 0800`) is still an offset; four digits or nothing.
        if not found[1] and not (found[3] and word.isdigit()):
            return None
        minutes = int(found[3] or 0)
        hours = (int(found[2]) + minutes / 60) * (-1 if found[1] in {"-", "−"} else 1)
        return _fixed(hours) if minutes < 60 else None  # noqa: PLR2004
    return _named_zone(word) if re.fullmatch(r"[A-Z][A-Za-z_]+/[A-Za-z_/]+", word) else None


def _fixed(hours: float) -> tzinfo | None:
    from datetime import timezone

    offset = timedelta(hours=hours)
    return timezone(offset) if abs(offset) <= _FARTHEST_ZONE else None


# --- dates that need to know today ------------------------------------------------------------------------------


def _yearless(text: str, zone: tzinfo, now: datetime | None) -> datetime | None:
    """`11月11日 10:17` and `01-05 12:30`: the latest such day that is not after now."""
    text = _WEEKDAY.sub(" ", text).strip()
    found = _YEARLESS.match(text) or _YEARLESS_DIGITS.match(text)
    if not found or now is None:
        return None
    year = now.astimezone(zone).year
    for candidate in range(year, year - 8, -1):  # eight years, for 29 February around 2100
        try:
            day = date(candidate, int(found["month"]), int(found["day"]))
        except ValueError:
            continue
        when = _at(day, found["rest"], zone)
        if when is None or when <= now:
            return when
    return None


def _relative(text: str, zone: tzinfo, now: datetime | None) -> datetime | None:
    """`3小时前`, `2 hours ago`, `刚刚`, `昨天 08:00`, `周四 10:17`, seen from now."""
    if now is None:
        return None
    if text.lower() in {"刚刚", "剛剛", "刚才", "剛才", "just now"}:
        return now
    ago = _ago(text)
    if ago is not None:
        return now - ago
    today = now.astimezone(zone).date()
    near = _NEAR_DAY.match(text.removeprefix("大")) or _NEAR_DAY_EN.match(text)
    if near:
        back = _DAYS[near["day"]] if near["day"] in _DAYS else int(near["day"].lower() == "yesterday")
        return _at(today - timedelta(days=back + text.startswith("大")), near["rest"], zone)
    weekday = _WEEKDAY_ONLY.match(text)
    if weekday:
        back = (today.weekday() - _WEEKDAYS[weekday["weekday"]]) % 7
        when = _at(today - timedelta(days=back), weekday["rest"], zone)
        return when - timedelta(days=7) if when and when > now else when
    return None


def _ago(text: str) -> timedelta | None:
    """How long before now; months and years have no fixed length, and 几 and 数 say no number."""
    found = _SINCE.match(text)
    if found:
        unit = _AGO[found["unit"][0]]
        if found["count"] == "半":
            return timedelta(seconds=unit / 2)
        return timedelta(seconds=unit * int(found["count"])) if found["count"].isdigit() else None
    found = _SINCE_EN.match(text)
    if found:
        count = int(found["count"]) if found["count"].isdigit() else 1
        return timedelta(seconds=_AGO_EN[found["unit"][0].lower()] * count)
    return None
