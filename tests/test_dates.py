"""Dates as feeds and Chinese pages state them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.parse.dates import parse_date

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)  # a Saturday, noon in Shanghai


def read(text, timezone="Asia/Shanghai", now=NOW):
    """The instant in UTC as text, or None."""
    found = parse_date(text, timezone, now)
    return found and f"{found:%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # RFC 822 and its faults
        ("Thu, 11 Nov 2021 02:17:41 GMT", "2021-11-11 02:17:41"),
        ("Thu, 11 Nov 2021 10:17:41 +0800", "2021-11-11 02:17:41"),
        ("11 Nov 2021 10:17 +08:00", "2021-11-11 02:17:00"),
        ("Mon, 11 Nov 21 02:17:41 UT", "2021-11-11 02:17:41"),  # wrong weekday, short year
        ("Thursday, 11-Nov-21 02:17:41 GMT", "2021-11-11 02:17:41"),
        ("Thu, Nov 11 2021 02:17:41 GMT", "2021-11-11 02:17:41"),
        ("Thu Nov 11 02:17:41 GMT 2021", "2021-11-11 02:17:41"),
        ("Thu Nov 11 2021 10:17:41 GMT+0800 (中国标准时间)", "2021-11-11 02:17:41"),
        ("Do, 11 Nov 2021 03:17:41 CET", "2021-11-11 02:17:41"),
        ("Seg, 11 Out 2021 03:17:41 -0300", "2021-10-11 06:17:41"),
        ("11 novembre 2021", "2021-11-10 16:00:00"),
        ("周四, 11 十一月 2021 10:17:41 +0800", "2021-11-11 02:17:41"),
        ("Thu, 11 Nov 2021 10:17:41 Asia/Shanghai", "2021-11-11 02:17:41"),
        ("Thu, 11 Nov 2021 10:17:41 CST", "2021-11-11 02:17:41"),  # the feed is at +08:00: China's
        ("Thu, 11 Nov 2021 24:00:00 GMT", "2021-11-12 00:00:00"),
        ("Sat, 31 Dec 2016 23:59:60 GMT", "2017-01-01 00:00:00"),
        ("Nov 11, 2021 3:05 p.m. EST", "2021-11-11 20:05:00"),
        # ISO 8601 and its relatives
        ("2021-11-11T10:17:41+08:00", "2021-11-11 02:17:41"),
        ("2021-11-11T02:17:41.123456789Z", "2021-11-11 02:17:41"),
        ("2021-11-11T10:17:41", "2021-11-11 02:17:41"),
        ("2021-11-11T10:17:41 0800", "2021-11-11 02:17:41"),
        ("2021-11-11 10:17:41 +0800 CST", "2021-11-11 02:17:41"),
        ("2021-11-11 10:17 UTC+08:00", "2021-11-11 02:17:00"),
        ("2021/11/11 10:17", "2021-11-11 02:17:00"),
        ("2021.11.11", "2021-11-10 16:00:00"),
        ("20211111T021741Z", "2021-11-11 02:17:41"),
        ("20211111101741", "2021-11-11 02:17:41"),
        ("2021-315", "2021-11-10 16:00:00"),
        ("2021-W45-4", "2021-11-10 16:00:00"),
        ("1636597061", "2021-11-11 02:17:41"),
        ("1636597061000", "2021-11-11 02:17:41"),
        # Chinese
        ("2021年11月11日 10:17", "2021-11-11 02:17:00"),
        ("2021年1月5日 12:30:45", "2021-01-05 04:30:45"),
        ("2021年11月11日10时17分05秒", "2021-11-11 02:17:05"),
        ("2021年11月11日 星期四 下午3:05", "2021-11-11 07:05:00"),
        ("2021年11月11日（周四）上午10点", "2021-11-11 02:00:00"),
        ("周四 11月11日 2021", "2021-11-10 16:00:00"),
        ("２０２１年１１月１１日　１０：１７", "2021-11-11 02:17:00"),
        ("二〇二一年十一月十一日", "2021-11-10 16:00:00"),
        ("二○二一年十二月三十一日", "2021-12-30 16:00:00"),
        ("民國110年11月11日", "2021-11-10 16:00:00"),
        ("2021-11-11 下午 3:05", "2021-11-11 07:05:00"),
        ("2021-11-11 10:17 北京时间", "2021-11-11 02:17:00"),
        ("发布时间：2021-11-11 10:17", "2021-11-11 02:17:00"),
        ("<b>2021-11-11</b> 10:17", "2021-11-11 02:17:00"),
        # those that need to know today
        ("11月11日", "2026-11-10 16:00:00"),
        ("12月31日 23:00", "2025-12-31 15:00:00"),  # not in the future
        ("2月29日", "2024-02-28 16:00:00"),
        ("01-05 12:30", "2026-01-05 04:30:00"),
        ("刚刚", "2026-11-21 04:00:00"),
        ("5分钟前", "2026-11-21 03:55:00"),
        ("3小时前", "2026-11-21 01:00:00"),
        ("两小时前", "2026-11-21 02:00:00"),
        ("半小時前", "2026-11-21 03:30:00"),
        ("三天前", "2026-11-18 04:00:00"),
        ("2 hours ago", "2026-11-21 02:00:00"),
        ("an hour ago", "2026-11-21 03:00:00"),
        ("今天 11:30", "2026-11-21 03:30:00"),
        ("昨天", "2026-11-19 16:00:00"),
        ("昨天 08:00", "2026-11-20 00:00:00"),
        ("前天 下午3:05", "2026-11-19 07:05:00"),
        ("yesterday at 8:00 am", "2026-11-20 00:00:00"),
        ("周四 10:17", "2026-11-19 02:17:00"),
    ],
)
def test_reads(text, expected):
    """A date in any usual form is the instant it means, naive ones in the feed's zone."""
    assert read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "yesterday",
        "soon",
        "{{ now }}",
        "NaN",
        "0000-00-00 00:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "10000-01-01T00:00:00Z",
        "-2025-01-01",
        "1969-12-31T23:59:59Z",
        "2026-11-22T04:00:01Z",  # more than a day ahead
        "Fri, 01 Jan 2100 00:00:00 GMT",
        "Sun, 30 Feb 2025 12:00:00 GMT",
        "Wed, 01 Jan 2025 25:61:61 GMT",
        "Wed, 01 Jan 2025 12:00:00 +2500",
        "Wed, 01 Jan 2025 12:00:00 XYZT",
        "01/05/2025 12:30",  # 5 January or 1 May
        "2025年1月",  # no day: the month's first would be a guess
        "2025",
        "令和7年1月5日",
        "3个月前",
        "数小时前",
        "2021年11月11日 晚上12点",  # which midnight?
        "999999999999999999999999999999",
        "2025-01-01'; DROP TABLE entries;--",
        "Wed, 01 Jan 2025 12:00:00 GMT " * 200,
    ],
)
def test_unknown(text):
    """What cannot be known is None, never today and never a silent guess."""
    assert read(text) is None


def test_ambiguous_zone_depends_on_the_feed():
    """CST is American where the feed is not eight hours ahead of UTC."""
    assert read("Thu, 11 Nov 2021 10:17:41 CST", "America/Chicago") == "2021-11-11 16:17:41"


def test_naive_time_follows_daylight_saving():
    """A naive time is in the feed's zone as it was on that day."""
    assert read("2021-07-01 12:00", "Europe/Berlin") == "2021-07-01 10:00:00"
    assert read("2021-12-01 12:00", "Europe/Berlin") == "2021-12-01 11:00:00"


def test_unknown_zone_of_the_feed():
    """A zone that does not exist counts as UTC instead of failing the feed."""
    assert read("2021-11-11 10:17", "Mars/Olympus") == "2021-11-11 10:17:00"


def test_without_now():
    """Without now, relative and year-less dates are unknown and no future is refused."""
    assert parse_date("3小时前", "UTC") is None
    assert parse_date("11月11日", "UTC") is None
    assert parse_date("2100-01-01", "UTC") == datetime(2100, 1, 1, tzinfo=UTC)


@given(
    st.text(max_size=60) | st.from_regex(r"[\d年月日:：/ \-+.TZ周一二三十上下午前天昨今GMT,]{1,40}", fullmatch=True)
)
def test_never_raises(text):
    """Any text is an aware instant between 1970 and tomorrow, or None."""
    found = parse_date(text, "Asia/Shanghai", NOW)
    assert found is None or datetime(1970, 1, 1, tzinfo=UTC) <= found <= NOW + timedelta(days=1)
    assert found is None or found.tzinfo is UTC


FORMS = [
    "%a, %d %b %Y %H:%M:%S +0000",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S UTC",
    "%Y/%m/%d %H:%M:%S GMT",
    "%Y年%m月%d日 %H:%M:%S UTC",
    "%Y年%m月%d日%H时%M分%S秒 UTC",
    "%B %d, %Y %I:%M:%S %p UTC",
    "%d %B %Y %H:%M:%S Z",
]


NAIVE = st.datetimes(datetime(1970, 1, 1), datetime(2026, 11, 20))  # noqa: DTZ001 - hypothesis wants naive bounds


@given(NAIVE, st.sampled_from(FORMS))
def test_round_trip(moment, form):
    """A moment written in any of the usual forms is read back as itself."""
    moment = moment.replace(microsecond=0)
    assert parse_date(moment.strftime(form), "Asia/Shanghai", NOW) == moment.replace(tzinfo=UTC)


def test_shared_table(shared, tmp_path):
    """Each of the shared date strings is read as its row allows, or unknown."""
    subprocess.run([sys.executable, shared / "chaos/gen_hostile.py", tmp_path], check=True, capture_output=True)
    for row in json.loads((tmp_path / "dates/dates.json").read_text()):
        found = parse_date(row["raw"], "Asia/Shanghai", NOW)
        stated = re.match(r"(\d{4})-(\d\d)-(\d\d)", row["expect"])
        if found and stated:
            days = abs(found - datetime(*map(int, stated.groups()), tzinfo=UTC))
            assert days < timedelta(days=1, hours=14), row
        if row["expect"].startswith(("unknown", "date unknown", "clamped")):
            assert found is None, row
