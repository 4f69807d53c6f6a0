"""feeds.yaml and the environment become Settings; every mistake is said with its line and column.

bytes ── decode, read ──> Node ── FileShape ──> resolved Feeds ── cross-checks ──> Settings
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from aggregator import addresses
from aggregator.errors import SettingsError
from aggregator.model import Feed
from aggregator.settings import shape
from aggregator.settings.document import MAX_BYTES, Broken, Loc, Mistake, Node, decode, read
from aggregator.settings.environment import Environment, environment

PAUSE = timedelta(seconds=1)
NEEDS_RSSHUB = "needs an RSSHub instance"
_MOST_MISTAKES = 30
_T = TypeVar("_T")
_S = TypeVar("_S", bound=shape.Shape)


@dataclass(frozen=True, slots=True)
class Network:
    """How requests are made. `allow` holds exact `host:port` pairs exempt from the guard, `pause` separates two
    requests to one host (those under `allow` too where `pause_all`: it was written, not assumed), `per_host` and `parallel` count requests at a time, `files` permits file://.
    """

    rsshub: tuple[str, ...] = ()
    rsshub_key: SecretStr | None = None
    allow: frozenset[str] = frozenset()
    files: bool = False
    pause: timedelta = PAUSE
    pause_all: bool = False
    per_host: int = 2
    parallel: int = 8


@dataclass(frozen=True, slots=True)
class Mail:
    """How digests leave. `sender` may carry a name, `operator` is the address that unsubscribing mails and, with
    `alerts`, alarms go to; `confirm` is double opt-in, `images` permits remote ones, `templates` overrides ours.
    """

    sender: str | None = None
    operator: str | None = None
    alerts: bool = False
    confirm: bool = False
    images: bool = False
    at_most_once: bool = False
    templates: Path | None = None
    smtp_url: str | None = None
    smtp_password: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All that an operator can set. `warnings` are sentences on what is allowed but probably not meant."""

    feeds: tuple[Feed, ...] = ()
    network: Network = Network()
    mail: Mail = Mail()
    contact: str | None = None
    agreements: tuple[Path, ...] = ()
    public_url: str | None = None
    listen: tuple[str, int] | None = None
    timezone: str = "UTC"
    path: Path = field(default_factory=Path)
    warnings: tuple[str, ...] = ()

    def feed(self, feed_id: str) -> Feed | None:
        """The feed of that id."""
        return next((feed for feed in self.feeds if feed.id == feed_id), None)

    def signer(self, url: str) -> str:
        """The URL to request for one of `Feed.urls`: signed when it is a route of an RSSHub instance with a key."""
        key = self.network.rsshub_key
        for instance in self.network.rsshub if key else ():
            if key and url.startswith(instance + "/"):
                return addresses.rsshub_url(instance, url.removeprefix(instance), key.get_secret_value())
        return url


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """The settings in a file and the environment; raises SettingsError with all mistakes, one a line."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: there is no such file; make one with the line `feeds: []` and then `aggregator feeds add URL`, "
            "or name another with --feeds"
        ) from None
    except OSError as wrong:
        raise SettingsError(f"{path}: cannot be read ({wrong.strerror}); name another with --feeds") from None
    return loads(data, environ, path)


def loads(data: bytes, environ: Mapping[str, str], path: Path) -> Settings:
    """As `load`, from bytes; `path` names them in messages, and its folder is where relative paths start."""
    try:
        root = read(decode(data))
    except Broken as broken:
        raise _refusal(path, list(broken.mistakes), []) from None
    if root is None:
        raise SettingsError(f"{path}: is empty; write `feeds:` and under it one `- url: https://…` for each feed")
    env, complaints = environment(environ)
    reading = _Reading(root, env, path)
    settings = reading.settings()
    if reading.mistakes or complaints:
        raise _refusal(path, reading.mistakes, complaints)
    return settings


def _place(root: Node, loc: Loc) -> Loc:
    """A pydantic path as the file has it: aliases stay, the index of a list that was written as one value goes."""
    found, _ = root.at(loc)
    rest = loc[len(found) :]
    return found + tuple(step for step in rest if not isinstance(step, int))


def _refusal(path: Path, mistakes: list[Mistake], complaints: list[str]) -> SettingsError:
    mistakes = sorted(set(mistakes), key=lambda mistake: (mistake.line, mistake.column))
    lines = [f"{path}:{mistake}" if mistake.line else f"{path}: {mistake}" for mistake in mistakes]
    if len(lines) > _MOST_MISTAKES:
        lines[_MOST_MISTAKES:] = [f"{path}: and {len(lines) - _MOST_MISTAKES} more mistakes"]
    return SettingsError("\n".join(lines + complaints))


@dataclass(slots=True)
class _Reading:
    """One pass over a well-formed file: each part validated, feeds resolved, all compared with each other."""

    root: Node
    env: Environment
    path: Path
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def settings(self) -> Settings:
        given = self.part(shape.FileShape, (), self.root.plain()) or shape.FileShape(feeds=[])
        network = self.network(self.part(shape.NetworkShape, ("network",), given.network) or shape.NetworkShape())
        defaults = self.part(shape.Defaults, ("defaults",), given.defaults) or shape.Defaults()
        mail = self.part(shape.MailShape, ("mail",), given.mail) or shape.MailShape.model_validate({})
        feeds = dict(self.feeds(given.feeds, defaults, network))
        self.compare(feeds)
        return Settings(
            feeds=tuple(feeds.values()),
            network=network,
            mail=self.mail(mail),
            contact=self.env.contact or given.contact,
            agreements=tuple(self.files(given.agreements or [])),
            public_url=self.env.public_url or given.public_url,
            listen=self.listen(self.env.listen or given.listen),
            timezone=defaults.timezone or "UTC",
            path=self.path,
            warnings=tuple(self.warnings),
        )

    def part(self, kind: type[_S], loc: Loc, data: Any) -> _S | None:
        """A part of the file, validated; None, and its mistakes noted, when it is wrong or absent."""
        if data is None and loc:
            return None
        try:
            return kind.model_validate(data)
        except ValidationError as wrong:
            for error in wrong.errors():
                place = _place(self.root, (*loc, *error["loc"]))
                self.wrong(place, shape.sentence(error, kind.names()))
            return self.rest(kind, data, {error["loc"][0] for error in wrong.errors() if error["loc"]})

    def rest(self, kind: type[_S], data: Any, bad: set[int | str]) -> _S | None:
        """What of a part is right, so that the mistakes in the rest of the file are found in the same run."""
        if not isinstance(data, dict):
            return None
        try:
            return kind.model_validate({name: value for name, value in data.items() if name not in bad})
        except ValidationError:
            return None

    def wrong(self, loc: Loc, what: str) -> None:
        self.mistakes.append(self.root.mistake(loc, what))

    def warn(self, loc: Loc, what: str) -> None:
        self.warnings.append(f"{self.path}:{self.root.mistake(loc, what)}")

    def network(self, given: shape.NetworkShape) -> Network:
        network = Network(
            rsshub=self.env.rsshub or tuple(dict.fromkeys(given.rsshub or ())),
            rsshub_key=self.env.rsshub_key or given.rsshub_key,
            allow=frozenset(given.allow or ()),
            files=given.files,
            pause=PAUSE if given.pause is None else given.pause,
            pause_all=given.pause is not None,
            per_host=given.per_host,
            parallel=given.parallel,
        )
        for instance in network.rsshub:
            host = addresses.host_port(instance)
            if not addresses.public(instance) and host not in network.allow:
                self.warn(("network", "rsshub"), f'{host} is a private address; add "{host}" to network.allow')
        return network

    def listen(self, host_port: str | None) -> tuple[str, int] | None:
        if host_port is None:
            return None
        if addresses.public(f"http://{host_port}"):
            self.warn(("listen",), "is not a loopback address: others may read health, metrics and archive")
        host, _, port = host_port.rpartition(":")
        return host.strip("[]"), int(port)

    def mail(self, given: shape.MailShape) -> Mail:
        templates = self.path.parent / given.templates if given.templates else None
        if templates is not None and not templates.is_dir():
            self.wrong(("mail", "templates"), f"there is no folder {templates}; make it or remove the line")
        operator = given.operator or (given.from_ or "").rpartition("<")[2].rstrip(">") or None
        if given.alerts and operator is None:
            self.wrong(("mail", "alerts"), "has nowhere to go; write `operator: desk@example.org` under mail")
        return Mail(
            sender=given.from_,
            operator=operator,
            alerts=given.alerts,
            confirm=given.confirm,
            images=given.images,
            at_most_once=given.at_most_once,
            templates=templates,
            smtp_url=self.env.smtp_url,
            smtp_password=self.env.smtp_password,
        )

    def files(self, names: list[str]) -> Iterator[Path]:
        for number, name in enumerate(names):
            file = self.path.parent / name
            if not file.is_file():
                self.wrong(_place(self.root, ("agreements", number)), f"there is no file {file}; mend or remove it")
            yield file

    def feeds(self, entries: list[Any], defaults: shape.Defaults, network: Network) -> Iterator[tuple[int, Feed]]:
        """The feeds by their number in the file; those with mistakes are left out after the mistakes were noted."""
        parts = [self.part(shape.FeedShape, ("feeds", number), entry) for number, entry in enumerate(entries)]
        taken = {given.id for given in parts if given and given.id}
        for number, given in enumerate(parts):
            loc: Loc = ("feeds", number)
            if given is None:
                if entries[number] is None:
                    self.wrong(loc, "is empty; write `- url: https://…` or remove the dash")
                continue
            if bool(given.url) == bool(given.urls):
                tried = {"url", "urls"} & set(entries[number])
                if given.url or not any(entries[number][name] for name in tried):
                    self.wrong(
                        loc, "has both url and urls; keep one" if given.url else "has no url; add `url: https://…`"
                    )
                continue
            feed = self.feed(loc, given, defaults, network)
            if feed.id in taken and not given.id:
                feed = replace(feed, id=f"{feed.id}-{sha256(feed.sources[0].encode()).hexdigest()[:6]}")
            taken.add(feed.id)
            yield number, feed

    def feed(self, loc: Loc, given: shape.FeedShape, fallback: shape.Defaults, network: Network) -> Feed:
        sources = tuple(dict.fromkeys(given.url or given.urls or ()))
        urls = tuple(dict.fromkeys(url for source in sources for url in _resolved(source, network.rsshub)))
        self.check_sources((*loc, "url" if given.url else "urls"), sources, network)
        feed_id = given.id or derived_id(sources[0])
        title = given.title or given.name or given.outlet or feed_id
        outlet = given.outlet or title
        made = Feed(
            id=feed_id,
            urls=urls,
            sources=sources,
            title=title,
            outlet=outlet,
            categories=tuple(given.categories or (outlet,)),
            lang=given.lang or fallback.lang,
            keep=tuple(given.keep or ()),
            drop=tuple(given.drop or ()),
            needs=None if urls else NEEDS_RSSHUB,
            line=self.root.at(loc)[1].start[0] + 1,
        )
        said = {
            name: value
            for name in ("interval", "min_interval", "max_interval", "timeout", "max_size", "timezone", "fulltext")
            for value in [_first(getattr(given, name), getattr(fallback, name))]
            if value is not None
        }
        return self.bounded(loc, replace(made, **said), given)

    def bounded(self, loc: Loc, feed: Feed, given: shape.FeedShape) -> Feed:
        """The feed with bounds that hold its interval: defaults give way, what the feed itself says is a mistake."""
        if given.min_interval and given.min_interval > feed.interval:
            self.wrong((*loc, "min_interval"), f"is more than the interval, {shape.spoken(feed.interval)}; lower it")
        if given.max_interval and given.max_interval < feed.interval:
            self.wrong((*loc, "max_interval"), f"is less than the interval, {shape.spoken(feed.interval)}; raise it")
        return replace(
            feed,
            min_interval=min(feed.min_interval, feed.interval),
            max_interval=max(feed.max_interval, feed.interval),
        )

    def check_sources(self, loc: Loc, sources: tuple[str, ...], network: Network) -> None:
        for number, source in enumerate(sources):
            place = (*loc, number) if len(sources) > 1 else loc
            if source.lower().startswith("file:") and not network.files:
                self.wrong(place, "local files are off; write `files: true` under network to allow file://")
            ours = source.startswith((addresses.RSSHUB, *(f"{instance}/" for instance in network.rsshub)))
            if ours and addresses.masked(source) != source:
                self.wrong(
                    place, "holds an access key; write it as AGGREGATOR_RSSHUB_KEY or network.rsshub_key instead"
                )

    def compare(self, feeds: Mapping[int, Feed]) -> None:
        """Two feeds with one id or one address are mistakes, two that only look alike a warning."""
        ids: dict[str, Feed] = {}
        same: dict[str, Feed] = {}
        alike: dict[str, Feed] = {}
        for number, feed in feeds.items():
            loc: Loc = ("feeds", number)
            first = ids.setdefault(feed.id.casefold(), feed)
            if first is not feed:
                self.wrong((*loc, "id"), f'"{feed.id}" is taken by the feed in line {first.line}; write another')
            for source in feed.sources:
                twin = same.setdefault(addresses.identity(source), feed)
                cousin = alike.setdefault(addresses.likeness(source), feed)
                if twin is not feed:
                    self.wrong((*loc, "url"), f"is the address of {twin.id} in line {twin.line} too; remove one")
                elif cousin is not feed:
                    self.warn((*loc, "url"), f"is probably the same feed as {cousin.id} in line {cousin.line}")


def _first(*values: _T | None) -> _T | None:
    return next((value for value in values if value is not None), None)


def _resolved(source: str, instances: tuple[str, ...]) -> Iterator[str]:
    if not source.startswith(addresses.RSSHUB):
        yield source
        return
    for instance in instances:
        yield addresses.rsshub_url(instance, source.removeprefix(addresses.RSSHUB))


def derived_id(url: str) -> str:
    """An id for a feed that was given none: its address without scheme, `www.` and punctuation."""
    parts = urlsplit(addresses.masked(url))
    words = re.sub(r"^www\.", "", parts.netloc) + parts.path + ("-" + parts.query if parts.query else "")
    slug = re.sub(r"[^\w.]+", "-", words.lower()).strip("-._")[:60].strip("-._")
    return slug or "feed"
