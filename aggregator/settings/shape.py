"""What feeds.yaml may hold, as pydantic models, and how each value is read from its text. The owner of pydantic."""

from __future__ import annotations

import re
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from aggregator import addresses

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZES = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?\s*[smhdw]\s*)+", re.IGNORECASE)
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([kmg]i?)?b", re.IGNORECASE)
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]?#]+):(\d{1,5})")
_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\"\\]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_TRUE, _FALSE = {"true", "yes", "on"}, {"false", "no", "off"}


def wrong(what: str) -> PydanticCustomError:
    """A mistake in words; braces in them are not templates."""
    return PydanticCustomError("wrong", "{what}", {"what": what})


def shown(value: str) -> str:
    """A value in a message: quoted, in one line, not too long."""
    flat = "".join(char if char.isprintable() else "?" for char in value)
    return f'"{flat[:57]}…"' if len(flat) > 60 else f'"{flat}"'  # noqa: PLR2004 - a line of a terminal has room for 60


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        raise wrong("is empty; write a value or remove the line")
    raise wrong(f"is a {'list' if isinstance(value, list) else 'mapping'}; write one value")


def duration(least: timedelta, most: timedelta, example: str) -> BeforeValidator:
    """A reader of durations such as 30m, 20s, 1d or 1h30m between two bounds."""

    def read(value: Any) -> timedelta:
        text = _text(value).strip()
        if re.fullmatch(r"[1-9]\d{0,5}", text):
            raise wrong(f"{shown(text)} has no unit; write {text}s for seconds or {text}m for minutes (s, m, h, d, w)")
        if len(text) > 40 or not _DURATION.fullmatch(text):  # noqa: PLR2004 - longer than any duration one means
            raise wrong(f"{shown(text)} is not a duration; write a number and s, m, h, d or w, such as {example}")
        parts = re.findall(r"([\d.]+)\s*([smhdw])", text.lower())
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
        if not least.total_seconds() <= seconds <= most.total_seconds():
            raise wrong(f"{shown(text)} is out of bounds; write between {spoken(least)} and {spoken(most)}")
        return timedelta(seconds=seconds)

    return BeforeValidator(read)


def spoken(span: timedelta) -> str:
    """A duration as feeds.yaml writes it: 30m, 1h30m, 0s."""
    seconds, words = int(span.total_seconds()), ""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        words += f"{count}{unit}" if count else ""
    return words or "0s"


def _size(value: Any) -> int:
    text = _text(value).strip()
    found = _SIZE.fullmatch(text)
    if not found:
        raise wrong(f"{shown(text)} is not a size; write a number and kB, MB or GB, such as 10MB")
    size = int(float(found[1]) * _SIZES[(found[2] or "").lower()])
    if not 1000 <= size <= 1000**3:  # noqa: PLR2004 - the bounds the next line says
        raise wrong(f"{shown(text)} is out of bounds; write between 1kB and 1GB")
    return size


def _truth(value: Any) -> bool:
    text = _text(value)
    if text.lower() not in _TRUE | _FALSE:
        raise wrong(f"{shown(text)} is neither true nor false; write one of them")
    return text.lower() in _TRUE


def whole(least: int, most: int) -> BeforeValidator:
    """A reader of whole numbers between two bounds."""

    def read(value: Any) -> int:
        text = _text(value)
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise wrong(f"{shown(text)} will not do; write a whole number between {least} and {most}")
        return int(text)

    return BeforeValidator(read)


def timezone(value: Any) -> str:
    """The name of a time zone that the machine or the tzdata package knows."""
    name = _text(value)
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        near = get_close_matches(name, sorted(available_timezones()), 1) or ["Asia/Shanghai"]
        raise wrong(f"{shown(name)} is no time zone; write a name such as {near[0]}") from None
    return name


def _title(value: Any) -> str | None:
    """One line of text for people: white space runs are one blank, control characters are gone; None if none is left."""
    words = " ".join(_text(value).split())
    line = "".join(char for char in words if char.isprintable() or char in "\u200c\u200d").strip()
    if len(line) > 2000:  # noqa: PLR2004 - no title, and it would flood every listing
        raise wrong(f"is {len(line)} characters long; write at most 2000")
    return line or None


def _line(value: Any) -> str:
    line = _title(value)
    if line is None:
        raise wrong("is empty; write a value or remove the line")
    return line


def _identifier(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"\w[\w.-]{0,99}", text):
        raise wrong(f"{shown(text)} is no id; write letters, digits, dots and dashes, such as carbon-brief")
    return text


def _language(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*", text):
        raise wrong(f"{shown(text)} is no language; write zh or en")
    return re.split("[-_]", text)[0].lower()


def _address(value: Any) -> str:
    text = _text(value)
    try:
        return addresses.checked(text)
    except ValueError as reason:
        raise wrong(f"{shown(addresses.masked(text))} {reason}") from None


def web(value: Any) -> str:
    """A plain http(s) address without a query, its last slash removed."""
    url = _address(value)
    if not url.lower().startswith(("http://", "https://")) or "?" in url or "#" in url:
        raise wrong(f"{shown(addresses.masked(url))} will not do; write a plain address like https://example.org")
    return url.rstrip("/")


def host_port(value: Any) -> str:
    """A host and a port, as `host:port` in lower case."""
    text = _text(value)
    found = _HOST_PORT.fullmatch(text)
    if not found or not 0 < int(found[2]) < 65536:  # noqa: PLR2004 - TCP's ports
        raise wrong(f'{shown(text)} is no host and port; write them in quotes, such as "127.0.0.1:8900"')
    return f"{found[1].lower()}:{int(found[2])}"


def mail_address(value: Any) -> str:
    """One e-mail address without a name around it."""
    text = _text(value)
    if not _ADDRESS.fullmatch(text) or not text.isprintable() or len(text) > 254:  # noqa: PLR2004 - RFC 5321 4.5.3.1
        raise wrong(f"{shown(text)} is no e-mail address; write one like desk@example.org")
    return text


def _sender(value: Any) -> str:
    text = _line(value)
    found = re.fullmatch(r"([^<>\"@,;]*)<([^<>]+)>", text)
    mail_address(found[2] if found else text)
    return text


def contact(value: Any) -> str:
    """A web or e-mail address in printable ASCII, fit for a request's head."""
    text = _text(value)
    one_word = text.isascii() and text.isprintable() and " " not in text
    if one_word and (re.match(r"https?://[^/?#]+", text) or _ADDRESS.fullmatch(text.removeprefix("mailto:"))):
        return text
    raise wrong(
        f"{shown(text)} is no contact; write a web or e-mail address in ASCII, such as https://example.org/bot"
    )


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _selector(value: Any) -> str:
    text = _line(value)
    if re.search(r"[{}<;]", text):
        raise wrong(f"{shown(text)} is no CSS selector; write one such as #article or div.advert")
    return text


def secret(value: Any) -> SecretStr:
    """A key or password, masked from here on."""
    text = _text(value)
    if not text or not text.isprintable():
        raise wrong("is empty or holds control characters; write the key as RSSHub's ACCESS_KEY has it")
    return SecretStr(text)


Text = Annotated[str, BeforeValidator(_line)]
Texts = Annotated[list[Text], BeforeValidator(_several)]
Truth = Annotated[bool, BeforeValidator(_truth)]
Size = Annotated[int, BeforeValidator(_size)]
Zone = Annotated[str, BeforeValidator(timezone)]
HostPort = Annotated[str, BeforeValidator(host_port)]
Address = Annotated[str, BeforeValidator(_address)]
Addresses = Annotated[list[Address], BeforeValidator(_several)]
Web = Annotated[str, BeforeValidator(web)]
Webs = Annotated[list[Web], BeforeValidator(_several)]
Contact = Annotated[str, BeforeValidator(contact)]
Language = Annotated[str, BeforeValidator(_language)]
Mailbox = Annotated[str, BeforeValidator(mail_address)]
Selectors = Annotated[list[Annotated[str, BeforeValidator(_selector)]], BeforeValidator(_several)]
# A minute is the least that no server minds; a month the longest that still counts as polling.
Interval = Annotated[timedelta, duration(timedelta(minutes=1), timedelta(days=30), "30m")]
Timeout = Annotated[timedelta, duration(timedelta(seconds=1), timedelta(minutes=10), "20s")]
Pause = Annotated[timedelta, duration(timedelta(0), timedelta(minutes=10), "1s")]


class Shape(BaseModel):
    """A mapping of feeds.yaml: unknown names are mistakes, a name without a value counts as absent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = cls.names()
        return {name: value for name, value in data.items() if value is not None or name not in known}

    @classmethod
    def names(cls) -> list[str]:
        """The names that may stand in it."""
        return [field.alias or name for name, field in cls.model_fields.items()]


class Defaults(Shape):
    """Under `defaults`: what every feed gets that does not say otherwise."""

    interval: Interval | None = None
    min_interval: Interval | None = None
    max_interval: Interval | None = None
    timeout: Timeout | None = None
    max_size: Size | None = None
    timezone: Zone | None = None
    fulltext: Truth | None = None
    lang: Language | None = None


class FeedShape(Defaults):
    """One of `feeds`."""

    id: Annotated[str, BeforeValidator(_identifier)] | None = None
    title: Annotated[str | None, BeforeValidator(_title)] = None
    name: Annotated[str | None, BeforeValidator(_title)] = None
    url: Addresses | None = None
    urls: Addresses | None = None
    outlet: Text | None = None
    categories: Texts | None = None
    keep: Selectors | None = None
    drop: Selectors | None = None


class NetworkShape(Shape):
    """Under `network`."""

    rsshub: Webs | None = None
    rsshub_key: Annotated[SecretStr, BeforeValidator(secret)] | None = None
    allow: Annotated[list[HostPort], BeforeValidator(_several)] | None = None
    files: Truth = False
    pause: Pause | None = None
    per_host: Annotated[int, whole(1, 16)] = 2
    parallel: Annotated[int, whole(1, 64)] = 8


class MailShape(Shape):
    """Under `mail`."""

    from_: Annotated[str, BeforeValidator(_sender)] | None = Field(default=None, alias="from")
    operator: Mailbox | None = None
    alerts: Truth = False
    confirm: Truth = False
    images: Truth = False
    at_most_once: Truth = False
    templates: Text | None = None


class FileShape(Shape):
    """The whole of feeds.yaml; its sections and feeds are validated one by one, so that each mistake is found."""

    defaults: Any = None
    network: Any = None
    mail: Any = None
    feeds: list[Any]
    contact: Contact | None = None
    agreements: Texts | None = None
    public_url: Web | None = None
    listen: HostPort | None = None


def sentence(error: ErrorDetails, names: list[str]) -> str:
    """A pydantic error in our words: what is wrong and what to write instead; `names` are those that may stand there."""
    kind, loc = error["type"], error["loc"]
    if kind == "wrong":
        return str(error["ctx"]["what"])
    if kind == "extra_forbidden":
        near = get_close_matches(str(loc[-1]), names, 1)
        known = f"the names known here are {', '.join(sorted(names))}"
        return f"is not known here; {f'did you mean {near[0]}?' if near else known}"
    if kind == "missing":
        return "holds nothing; write one `- url: https://…` under it for each feed, or `feeds: []`"
    if kind == "list_type":
        return "is not a list; write the entries one per line, each after a dash"
    return "is not a mapping; write `name: value` lines here"
