"""The agreements: names, look-alikes and clauses, and the cues that point to them; built-in files and users' own.

`load()` reads and checks; what it gives is frozen. A mistake is answered with file and line. `version` is a hash of
what the files say, so that a tag can tell which catalogue made it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from aggregator.cue import Cue, CueProblem, languages, parse
from aggregator.errors import CatalogueError
from aggregator.text import fold
from aggregator.yaml_lines import Loaded, YamlProblem, load_yaml

BUILT_IN = ("shanghai-2021", "glasgow-2021", "sunnylands-2023")
LANGUAGES = ("zh", "en")
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")
_TOP = [
    "id",
    "name",
    "published",
    "parties",
    "builds_on",
    "topic",
    "aliases",
    "mistranslations",
    "lookalikes",
    "references",
    "unless",
    "recall",
    "concepts",
    "clauses",
]
_CLAUSE = ["number", "section", "title", "summary", "cues", "hints", "otherwise", "covers", "not"]


@dataclass(frozen=True, slots=True)
class Clause:
    """One numbered clause. `cues` need the agreement's context, `hints` a sentence that itself speaks of the
    agreement or its parties, `otherwise` such a sentence that speaks of no clause so far; a sentence where one of `covers` matches belongs to this clause alone; where one of
    `against` matches, it says nothing of this clause.
    """

    agreement: str
    number: int
    section: str
    title: Mapping[str, str]
    summary: Mapping[str, str]
    cues: tuple[Cue, ...]
    hints: tuple[Cue, ...] = ()
    otherwise: tuple[Cue, ...] = ()
    covers: tuple[Cue, ...] = ()
    against: tuple[Cue, ...] = ()
    line: int = 0

    @property
    def id(self) -> str:
        """Like `sunnylands-2023/10`."""
        return f"{self.agreement}/{self.number}"


@dataclass(frozen=True, slots=True)
class Agreement:
    """One agreement. `references` are cues that identify it without a name; `unless` cues make a name in their
    sentence mean something else; words inside a look-alike's name mean nothing; `recall` are the words that call
    back one of the agreements this one `builds_on`.
    """

    id: str
    name: Mapping[str, str]
    published: date | None
    parties: tuple[str, ...]
    builds_on: tuple[str, ...]
    topic: tuple[str, ...]
    aliases: tuple[str, ...]
    mistranslations: tuple[str, ...]
    lookalikes: tuple[str, ...]
    references: tuple[Cue, ...]
    unless: tuple[Cue, ...]
    recall: tuple[Cue, ...]
    clauses: tuple[Clause, ...]
    concepts: Mapping[str, tuple[str, ...]]
    source: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All phrases that name it, mistranslations included."""
        return (*self.name.values(), *self.aliases, *self.mistranslations)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Agreements in order of publication, the concepts all may use, and the version: 12 hex digits."""

    agreements: tuple[Agreement, ...]
    concepts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    version: str = ""

    def agreement(self, identity: str) -> Agreement | None:
        """The agreement of that id, None when there is none."""
        return next((one for one in self.agreements if one.id == identity), None)

    def clause(self, identity: str) -> Clause | None:
        """The clause of an id like `sunnylands-2023/10`, None when there is none."""
        found = self.agreement(identity.rpartition("/")[0])
        return next((one for one in found.clauses if one.id == identity), None) if found else None


def load(files: Iterable[Path] = (), *, built_in: bool = True) -> Catalogue:
    """The built-in agreements and those of the given files; a file with a built-in's id takes its place.

    Raises:
        CatalogueError: a file cannot be read or holds a mistake; the text starts with file and line.

    """
    own = [read(_text(path), str(path)) for path in files]
    given = {one.id: one for one in own}
    if len(given) < len(own):
        raise CatalogueError(f"{own[-1].source}:1:1: two files describe the same agreement; keep one of them")
    base = {one.id: one for one in _built_in()} if built_in else {}
    return assemble((base | given).values())


def assemble(agreements: Iterable[Agreement]) -> Catalogue:
    """Agreements put in order, with the shared concepts and the version.

    Raises:
        CatalogueError: a cue uses a concept that neither its file nor the shared list has.

    """
    ordered = tuple(sorted(agreements, key=lambda one: (one.published or date.min, one.id)))
    shared = concepts()
    for one in ordered:
        _check_concepts(one, {*shared, *one.concepts, *(other.id for other in ordered)})
    return Catalogue(ordered, shared, _version(ordered, shared))


@cache
def concepts() -> Mapping[str, tuple[str, ...]]:
    """The shared concepts: a name, and the words of all languages for it."""
    folder = resources.files("aggregator") / "agreements"
    loaded = _yaml((folder / "_concepts.yaml").read_text(encoding="utf-8"), "_concepts.yaml")
    return _concepts(loaded, loaded.data, ())


@cache
def _built_in() -> tuple[Agreement, ...]:
    folder = resources.files("aggregator") / "agreements"
    return tuple(read((folder / f"{one}.yaml").read_text(encoding="utf-8"), f"{one}.yaml") for one in BUILT_IN)


def read(text: str, name: str) -> Agreement:
    """One agreement from the text of its file; `name` is how messages call the file.

    Raises:
        CatalogueError: the text starts with file, line and column.

    """
    loaded = _yaml(text, name)
    data = _mapping(loaded, loaded.data, (), _TOP)
    identity = _word(loaded, data, "id")
    if not _ID.match(identity):
        raise _problem(loaded, ("id",), f"{identity!r} is no id: small letters, digits and single hyphens, please")
    agreement = Agreement(
        id=identity,
        name=_bilingual(loaded, data.get("name"), ("name",)),
        published=_date(loaded, data.get("published")),
        parties=_words(loaded, data, "parties"),
        builds_on=_words(loaded, data, "builds_on"),
        topic=_words(loaded, data, "topic"),
        aliases=_words(loaded, data, "aliases"),
        mistranslations=_words(loaded, data, "mistranslations"),
        lookalikes=_words(loaded, data, "lookalikes"),
        references=_cues(loaded, data, (), "references"),
        unless=_cues(loaded, data, (), "unless"),
        recall=_cues(loaded, data, (), "recall"),
        clauses=tuple(_clauses(loaded, data.get("clauses"), identity)),
        concepts=_concepts(loaded, data.get("concepts") or {}, ("concepts",)),
        source=name,
    )
    if not agreement.name:
        raise _problem(loaded, (), "name: at least one of zh and en must be given")
    return agreement


def lint(catalogue: Catalogue) -> list[str]:
    """Sentences on what would make tags wrong, each starting with file and line; empty when all is well.

    A cue for and against a clause at once, a clause without a cue in each language that its agreement's name has,
    a name that two agreements share, a name that is another's look-alike or its own.
    """
    found = [
        line for one in catalogue.agreements for clause in one.clauses for line in _lint_clause(one, clause, catalogue)
    ]
    owners: dict[str, str] = {}
    for one in catalogue.agreements:
        for name in dict.fromkeys(fold(name).strip() for name in one.names):
            if owners.setdefault(name, one.id) != one.id:
                found += [f"{one.source}:1: the name {name!r} is also {owners[name]}'s; only one can have it"]
    taken = {fold(name).strip(): one for one in catalogue.agreements for name in one.names}
    for one in catalogue.agreements:
        for phrase in one.lookalikes:
            if owner := taken.get(fold(phrase).strip()):
                found += [f"{one.source}:1: the look-alike {phrase!r} is a name of {owner.id}"]
    return found


def _lint_clause(agreement: Agreement, clause: Clause, catalogue: Catalogue) -> Iterator[str]:
    place = f"{agreement.source}:{clause.line}: clause {clause.number}"
    lists = {**catalogue.concepts, **agreement.concepts}
    against = {word for cue in clause.against if len(cue.groups) == 1 for word in spelled(cue.groups[0].words, lists)}
    spoken: set[str] = set()
    for cue in (*clause.cues, *clause.hints, *clause.otherwise):
        refused = {w for g in cue.groups if g.against for w in spelled(g.words, lists)} | against
        wanted = [frozenset(spelled(group.words, lists)) for group in cue.groups if not group.against]
        for words in wanted:
            if words <= refused:
                yield f"{place}: the cue {cue.text!r} is both for and against it"
        tongues = [frozenset(t for word in words for t in languages(word)) for words in wanted]
        spoken |= frozenset.intersection(*tongues)
    for tongue in LANGUAGES:
        if tongue in agreement.name and tongue not in spoken:
            yield f"{place}: no cue in {tongue}"


def spelled(words: Sequence[str], lists: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Words with every concept replaced by its words; a concept that is not listed stays as it is."""
    return tuple(one for word in words for one in (lists.get(word[1:], (word,)) if word.startswith("@") else (word,)))


# --- reading, checked ---------------------------------------------------------------------------------------------


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogueError(f"{path}:1:1: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CatalogueError(f"{path}:1:1: is not UTF-8 text") from None


def _yaml(text: str, name: str) -> Loaded:
    try:
        return load_yaml(text, name)
    except YamlProblem as error:
        raise CatalogueError(str(error)) from None


def _problem(loaded: Loaded, path: tuple[str | int, ...], message: str) -> CatalogueError:
    return CatalogueError(f"{loaded.where(path)}: {message}")


def _mapping(loaded: Loaded, value: Any, path: tuple[str | int, ...], keys: Sequence[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _problem(loaded, path, f"expected keys such as {', '.join(keys[:4])}")
    for key in value:
        if key not in keys:
            raise _problem(loaded, (*path, key), f"unknown key {key!r}; known are {', '.join(keys)}")
    return value


def _word(loaded: Loaded, data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _problem(loaded, (key,), f"{key}: expected a text")
    return value.strip()


def _words(loaded: Loaded, data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = data.get(key) or []
    if not isinstance(value, list):
        raise _problem(loaded, (key,), f"{key}: expected a list")
    for index, one in enumerate(value):
        if not isinstance(one, str | int) or len(str(one).strip()) < 2:  # noqa: PLR2004 - one letter is in every text
            raise _problem(loaded, (key, index), f"{key}: expected words of at least two characters")
    return tuple(str(one).strip() for one in value)


def _bilingual(loaded: Loaded, value: Any, path: tuple[str | int, ...]) -> dict[str, str]:
    data = _mapping(loaded, value or {}, path, LANGUAGES)
    for key, one in data.items():
        if not isinstance(one, str) or not one.strip():
            raise _problem(loaded, (*path, key), f"{key}: expected a text")
    return {key: one.strip() for key, one in data.items()}


def _date(loaded: Loaded, value: Any) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise _problem(loaded, ("published",), f"published: {value!r} is no date like 2023-11-14") from None


def _concepts(loaded: Loaded, value: Any, path: tuple[str | int, ...]) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise _problem(loaded, path, "expected names, each with its words parted by |")
    found = {}
    for name, words in value.items():
        parts = tuple(part for word in str(words or "").split("|") if (part := word.strip()))
        if not parts:
            raise _problem(loaded, (*path, name), f"the concept {name} has no words")
        found[name] = parts
    return found


def _cues(loaded: Loaded, data: Mapping[str, Any], path: tuple[str | int, ...], key: str) -> tuple[Cue, ...]:
    value = data.get(key) or []
    if not isinstance(value, list):
        raise _problem(loaded, (*path, key), f"{key}: expected a list of cues")
    found = []
    for index, one in enumerate(value):
        where = (*path, key, index)
        if not isinstance(one, str | int):
            raise _problem(loaded, where, f"{key}: a cue is one text")
        try:
            found.append(parse(str(one), loaded.marks[where][0]))
        except CueProblem as error:
            raise _problem(loaded, where, f"{key}: {error}") from None
    return tuple(found)


def _clauses(loaded: Loaded, value: Any, agreement: str) -> Iterator[Clause]:
    if not isinstance(value, list) or not value:
        raise _problem(loaded, ("clauses",), "clauses: expected a list with one entry a clause")
    seen: set[int] = set()
    for index, one in enumerate(value):
        path: tuple[str | int, ...] = ("clauses", index)
        data = _mapping(loaded, one, path, _CLAUSE)
        number = data.get("number")
        if not isinstance(number, int) or isinstance(number, bool) or number < 1 or number in seen:
            raise _problem(
                loaded, (*path, "number"), "number: expected a whole number from 1 that no other clause has"
            )
        seen.add(number)
        cues = {key: _cues(loaded, data, path, key) for key in ("cues", "hints", "otherwise", "covers", "not")}
        yield Clause(
            agreement=agreement,
            number=number,
            section=str(data.get("section") or ""),
            title=_bilingual(loaded, data.get("title"), (*path, "title")),
            summary=_bilingual(loaded, data.get("summary"), (*path, "summary")),
            cues=cues["cues"],
            hints=cues["hints"],
            otherwise=cues["otherwise"],
            covers=cues["covers"],
            against=cues["not"],
            line=loaded.marks[path][0],
        )


def _check_concepts(agreement: Agreement, known: Iterable[str]) -> None:
    known = {*known, "parties", "former", "unnamed"}
    cues = [*agreement.references, *agreement.unless, *agreement.recall]
    cues += [
        cue for one in agreement.clauses for cue in (*one.cues, *one.hints, *one.otherwise, *one.covers, *one.against)
    ]
    for cue in cues:
        for word in (word for group in cue.groups for word in group.words if word.startswith("@")):
            if word[1:] not in known:
                raise CatalogueError(
                    f"{agreement.source}:{cue.line}: there is no concept {word}; add it under concepts:"
                )
    for party in agreement.parties:
        if party.lower() not in known:
            raise CatalogueError(
                f"{agreement.source}:1: parties: add the words for {party} as a concept {party.lower()}"
            )


def _version(agreements: Sequence[Agreement], shared: Mapping[str, tuple[str, ...]]) -> str:
    said = [asdict(replace(one, source=""), dict_factory=_without_lines) for one in agreements]
    text = json.dumps([said, dict(shared)], ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _without_lines(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in items if key != "line"}
