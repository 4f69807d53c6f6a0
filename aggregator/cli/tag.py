"""`tag` and `agreements`: which clauses a text discusses, and what is known of the agreements."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aggregator.errors import AggregatorError, UsageError

if TYPE_CHECKING:
    from aggregator.app import App
    from aggregator.catalogue import Agreement, Catalogue
    from aggregator.model import Evidence, Tags
    from aggregator.tag import Explanation, Tagger

_DATE = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?\Z")


@click.command(
    epilog="Examples:\n\n  aggregator tag article.md --explain\n\n  aggregator tag --input jsonl < articles.jsonl\n\n"
    "  aggregator tag reject 12 sunnylands-2023/10 --reason 'about the EU plan'"
)
@click.argument("files", nargs=-1, metavar="[FILE…|-] | confirm|reject ID CLAUSE")
@click.option("--input", "form", type=click.Choice(["text", "jsonl"]), default="text", help="What the input is.")
@click.option("--explain", is_flag=True, help="Say also what nearly matched and what was blocked.")
@click.option("--reason", default="", help="Why a tag is confirmed or rejected.")
@click.pass_obj
def tag(app: App, files: tuple[str, ...], form: str, reason: str, *, explain: bool) -> int:
    """Say which clauses of which agreement a text discusses, with the sentence that shows it. Needs no archive.

    With --input jsonl one object a line comes in, {"doc", "title", "published", "text"}, and one goes out.
    `confirm` and `reject` record what an analyst says of one article's tag; that outlives retagging.
    """
    if files and files[0] in ("confirm", "reject") and not Path(files[0]).exists():
        return _judge(app, files, reason)
    from aggregator.tag import Tagger

    tagger = Tagger(catalogue_of(app))
    failed = 0
    for name in files or ("-",):
        if form == "jsonl":
            failed += _tag_lines(tagger, name, explain=explain)
        else:
            title, text, published = _article(name)
            click.echo("\n".join(shown(tagger.explain(title, text, published), title, text, explain=explain)))
    return 1 if failed else 0


def _judge(app: App, words: tuple[str, ...], reason: str) -> int:
    """Record a verdict; a rejected tag goes at once, a confirmed one counts as certain."""
    if len(words) != 3 or not words[1].isdigit():  # noqa: PLR2004 - verdict, article, clause
        raise UsageError(f"write it as: aggregator tag {words[0]} ID CLAUSE --reason WHY")
    verdict, identity, clause = words[0], int(words[1]), words[2]
    if not reason.strip():
        raise UsageError("say why with --reason; whoever reads the verdict later will want to know")
    if catalogue_of(app).clause(clause) is None:
        raise UsageError(f"there is no clause {clause!r}; `aggregator agreements show ID` lists them")
    from aggregator.app import now
    from aggregator.model import ArticleId, Tags
    from aggregator.store import articles, tags
    from aggregator.tag_review import judged

    with app.archive(write=True).writing() as connection:
        if articles.get(connection, identity) is None:
            raise UsageError(f"there is no article {identity}; `aggregator search` gives ids")
        old = tags.of(connection, [identity]).get(identity) or Tags()
        rule = next((e.rule for one in old.clauses if one.clause == clause for e in one.evidence), None)
        tags.judge(connection, identity, clause, verdict, reason, rule, now())
        tags.put(connection, [(ArticleId(identity), judged(old, {clause: verdict}, old))])
    click.echo(f"{verdict}ed: article {identity}, {clause}", err=True)
    return 0


def catalogue_of(app: App) -> Catalogue:
    """The built-in agreements and those that feeds.yaml names; feeds.yaml is only checked when it names any."""
    from aggregator.catalogue import load

    try:
        text = app.feeds_path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    return load(app.settings.agreements if re.search(r"^agreements\s*:", text, re.MULTILINE) else ())


# --- tag ----------------------------------------------------------------------------------------------------------


def _tag_lines(tagger: Tagger, name: str, *, explain: bool) -> int:
    """Answer every line as it comes; gives the number of lines that could not be read."""
    failed = 0
    for number, line in enumerate(_open(name), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not an object")  # noqa: TRY004, TRY301 - one answer for all that is wrong with a line
        except (ValueError, RecursionError) as error:
            failed += 1
            click.echo(f"aggregator: {name}:{number}: is no JSON object ({error}); the line is passed over", err=True)
            continue
        answer = json.dumps(_answer(tagger, row, explain=explain), ensure_ascii=False)
        sys.stdout.buffer.write(answer.encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.buffer.flush()
    return failed


def _answer(tagger: Tagger, row: dict[str, Any], *, explain: bool) -> dict[str, Any]:
    title, text = (value if isinstance(value := row.get(key), str) else "" for key in ("title", "text"))
    found = tagger.explain(title, text, moment(row.get("published"))) if explain else None
    tags = found.tags if found else tagger.tags(title, text, moment(row.get("published")))
    answer = {"doc": row.get("doc")} | as_json(tags)
    if found:
        answer["near"] = [{"clause": one.clause, "quote": one.quote, "why": one.why} for one in found.near]
    return answer


def as_json(tags: Tags) -> dict[str, Any]:
    """Tags as scripts read them."""
    return {
        "agreements": list(tags.agreements),
        "clauses": [
            {
                "clause": one.clause,
                "relation": one.relation.value,
                "score": one.score,
                "evidence": [
                    {"field": e.field, "quote": e.quote, "start": e.start, "end": e.end} for e in one.evidence
                ],
            }
            for one in tags.clauses
        ],
    }


def moment(value: Any) -> datetime | None:
    """An ISO 8601 date or instant, a year and month or a year alone (their last day); None for anything else."""
    if not isinstance(value, str):
        return None
    if part := _DATE.match(value.strip()):
        year, month, day = (int(one) if one else None for one in part.groups())
        try:
            start = datetime(year or 0, month or 12, day or 28, tzinfo=UTC)
        except ValueError:
            return None
        return start.replace(hour=23, minute=59)
    try:
        found = datetime.fromisoformat(value.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _open(name: str) -> Iterator[str]:
    try:
        stream = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 - closed by its end
        with stream:
            for line in stream:
                yield line.decode("utf-8", "replace")
    except OSError as error:
        raise AggregatorError(f"{name} cannot be read: {error.strerror}") from None


def _article(name: str) -> tuple[str, str, datetime | None]:
    """Title, plain text and date of a file in any dialect; any other text as it is."""
    raw = "".join(_open(name)).removeprefix("\ufeff")
    if name != "-":
        from aggregator import dialects, normalize
        from aggregator.errors import DialectError

        try:
            article = normalize.with_text(dialects.read(raw.encode(), name))
        except DialectError:
            return "", raw, None
        return article.title, article.text, article.published
    return "", raw, None


def shown(found: Explanation, title: str, text: str, *, explain: bool) -> list[str]:
    """Lines for a person: each clause with its sentence, the matched words marked, the rule and the version."""
    lines = ["agreements: " + (", ".join(found.tags.agreements) or "none")]
    for one in found.tags.clauses:
        lines.append(f"{one.clause}  {one.relation.value}  {one.score:.2f}  (catalogue {one.catalogue})")
        for evidence in one.evidence:
            lines += [
                f"    {marked(evidence, title if evidence.field == 'title' else text)}",
                f"      rule: {evidence.rule}",
            ]
    if explain:
        lines += [f"near  {one.clause or '-'}  {one.why}\n    {one.quote}" for one in found.near]
    return lines


def marked(evidence: Evidence, source: str) -> str:
    """The quote on one line with its matched words in [brackets]."""
    pieces, last = [], evidence.start
    for start, end in evidence.words:
        if start >= last:
            pieces += [source[last:start], f"[{source[start:end]}]"]
            last = end
    return " ".join("".join([*pieces, source[last : evidence.end]]).split())


# --- agreements ---------------------------------------------------------------------------------------------------


@click.group(
    epilog="Examples:\n\n  aggregator agreements show sunnylands-2023\n\n  aggregator agreements lint mine.yaml"
)
def agreements() -> None:
    """List, show, add and check agreements and their clauses."""


@agreements.command("list")
@click.option("--format", "form", type=click.Choice(["table", "json", "jsonl", "csv"]), default="table")
@click.pass_obj
def list_(app: App, form: str) -> None:
    """The agreements in force, oldest first."""
    found = [
        {"id": one.id, "published": str(one.published or ""), "clauses": len(one.clauses), "name": _name(one)}
        for one in catalogue_of(app).agreements
    ]
    _print(found, form)


@agreements.command()
@click.argument("identity", metavar="ID")
@click.option("--format", "form", type=click.Choice(["table", "json", "jsonl", "csv"]), default="table")
@click.pass_obj
def show(app: App, identity: str, form: str) -> None:
    """The clauses of one agreement, and the precision that analysts' verdicts imply for each."""
    catalogue = catalogue_of(app)
    found = catalogue.agreement(identity)
    if found is None:
        known = ", ".join(one.id for one in catalogue.agreements)
        raise UsageError(f"there is no agreement {identity!r}; known are {known}")
    precision = _precision(app)
    rows = [
        {
            "clause": one.id,
            "section": one.section,
            "title_zh": one.title.get("zh", ""),
            "title_en": one.title.get("en", ""),
            "cues": len(one.cues) + len(one.hints),
            "precision": precision.get(one.id, ""),
        }
        for one in found.clauses
    ]
    if form == "table":
        click.echo(f"{_name(found)}\npublished {found.published}   catalogue {catalogue.version}\n")
    _print(rows, form)


@agreements.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--from-text", is_flag=True, help="FILE is the agreement's text with numbered clauses; draft its file.")
@click.option("--id", "identity", help="The id of a drafted agreement; the file's name by default.")
@click.option("--name", help="Its name; taken from the text by default.")
@click.option("--published", metavar="YYYY-MM-DD", help="When it was published.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the drafted file goes; ID.yaml beside feeds.yaml.")
@click.pass_obj
def add(
    app: App,
    file: Path,
    identity: str | None,
    name: str | None,
    published: str | None,
    out: Path | None,
    *,
    from_text: bool,
) -> None:
    """Add an agreement: check its file, or draft it from the agreement's text, and name it in feeds.yaml."""
    from aggregator import files
    from aggregator.catalogue import lint as check
    from aggregator.catalogue import load, read

    if from_text:
        identity = identity or _id_of(file)
        title, text, _published = _article(str(file))
        draft = _drafted(f"{title}\n{text}", identity, name, published)
        read(draft, f"{identity}.yaml")
        file = out or app.feeds_path.parent / f"{identity}.yaml"
        if file.exists():
            raise UsageError(f"{file} is there already; name another with --out or --id")
        files.write(file, draft.encode())
    found = load([file])
    for line in check(found):
        click.echo(f"warning: {line}", err=True)
    _name_in_feeds(app, file)
    added = next(one for one in found.agreements if one.source == str(file))
    click.echo(f"{added.id}: {len(added.clauses)} clauses from {file}; `aggregator retag` tags what is in the archive")


def _drafted(text: str, identity: str, name: str | None, published: str | None) -> str:
    from aggregator.catalogue import concepts
    from aggregator.drafting import draft_from_text

    return draft_from_text(text, identity, name, published, concepts=concepts())


def _id_of(file: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-") or "agreement"


def _name_in_feeds(app: App, file: Path) -> None:
    """Put a file on feeds.yaml's list of agreements, every other line as it is."""
    import os

    from aggregator import files, settings

    path = app.feeds_path
    text = path.read_text(encoding="utf-8")
    entry = json.dumps(os.path.relpath(file.resolve(), path.parent.resolve()), ensure_ascii=False)
    if file.resolve() in {one.resolve() for one in app.settings.agreements}:
        return
    if flow := re.search(r"^agreements[ \t]*:[ \t]*\[[ \t]*(?=([^\]\n]*)\])", text, re.MULTILINE):
        text = text[: flow.end()] + entry + (", " if flow.group(1).strip() else "") + text[flow.end() :]
    elif block := re.search(r"^agreements[ \t]*:[ \t]*(?:#.*)?\n(?=([ \t]*)-)", text, re.MULTILINE):
        text = text[: block.end()] + f"{block.group(1)}- {entry}\n" + text[block.end() :]
    else:
        text = text + ("" if text.endswith("\n") else "\n") + f"agreements: [{entry}]\n"
    settings.loads(text.encode(), app.environ, path)
    files.write(path, text.encode())


@agreements.command()
@click.argument("files", nargs=-1, metavar="[FILE…]", type=click.Path(path_type=Path))
@click.pass_obj
def lint(app: App, files: tuple[Path, ...]) -> int:
    """Check agreements: those in force, or these files beside the built-in ones. Exit status 1 when something is wrong."""
    from aggregator.catalogue import lint as check
    from aggregator.catalogue import load

    problems = check(load(files) if files else catalogue_of(app))
    for line in problems:
        click.echo(line)
    if not problems:
        click.echo("nothing to complain about", err=True)
    return 1 if problems else 0


def _name(one: Agreement) -> str:
    return " / ".join(one.name.values())


def _precision(app: App) -> dict[str, str]:
    """What the verdicts in the archive imply, where there is one."""
    from aggregator.errors import ArchiveError
    from aggregator.tag_review import precision

    if "://" not in app.url and not Path(app.url).is_file():
        return {}
    from aggregator.store import tags

    try:
        with app.archive().reading() as connection:
            judged = [(row["clause"], row["verdict"]) for row in tags.verdicts(connection)]
    except ArchiveError:
        return {}
    return {
        clause: f"{one.confirmed}/{one.confirmed + one.rejected} ({one.share:.2f})"
        for clause, one in precision(judged).items()
    }


def _print(rows: list[dict[str, Any]], form: str) -> None:
    from aggregator.cli import output

    output.rows(rows, form)
