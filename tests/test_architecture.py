"""The house is as it was agreed: imports run one way, each library has one owner, nobody else reads the clock."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).resolve().parent.parent

OWNERS = {
    "ahocorasick_rs": {"tag"},
    "alembic": {"store"},
    "apscheduler": {"clockwork.py"},
    "bs4": {"normalize.py", "fulltext.py", "discover.py"},
    "feedparser": {"parse"},
    "filelock": {"store"},
    "httpx": {"fetch"},
    "nh3": {"digest", "report", "templates.py"},
    "opencc": {"text.py"},
    "platformdirs": {"app.py"},
    "procrastinate": {"worker.py"},
    "psycopg": {"store", "worker.py"},
    "pydantic": {"settings"},
    "selectolax": {"normalize.py"},
    "smtplib": {"mail.py", "mail"},
    "structlog": {"log.py"},
    "trafilatura": {"fulltext.py"},
}
PURE_MAY_NOT = {
    "httpx",
    "sqlalchemy",
    "alembic",
    "apscheduler",
    "smtplib",
    "socket",
    "subprocess",
    "sqlite3",
    "logging",
}
PURE = ("parse", "normalize.py", "dedup", "tag", "digest", "report", "dialects", "turn.py", "polite.py", "query.py")


def modules() -> list[tuple[str, str]]:
    """Each module's path below the package, and its source."""
    package = ROOT / "aggregator"
    return [(str(path.relative_to(package)), path.read_text()) for path in sorted(package.rglob("*.py"))]


def imported(source: str) -> set[str]:
    """The top-level names that a source imports, anywhere in it."""
    return set(re.findall(r"^\s*(?:import|from)\s+([A-Za-z_]\w*)", source, re.MULTILINE))


def test_imports_run_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """The contracts of pyproject.toml hold (`lint-imports` shows the details)."""
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True) == EXIT_STATUS_SUCCESS


@pytest.mark.parametrize("library", sorted(OWNERS))
def test_each_library_has_one_owner(library: str) -> None:
    """A library can be replaced in one place."""
    users = {name.split("/")[0] for name, source in modules() if library in imported(source)}
    assert users <= OWNERS[library]


@pytest.mark.parametrize("part", PURE)
def test_pure_steps_do_nothing(part: str) -> None:
    """What decides neither reads nor writes."""
    for name, source in modules():
        if name.split("/")[0] == part:
            assert not imported(source) & PURE_MAY_NOT, name


def test_help_imports_little() -> None:
    """`aggregator --help` pays for click alone."""
    import subprocess
    import sys

    code = (
        "import sys; from aggregator.cli import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in"
        " {'sqlalchemy', 'httpx', 'pydantic', 'feedparser', 'bs4', 'rich', 'trafilatura', 'structlog', 'alembic'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_repository_names_no_machine() -> None:
    """No path of a developer's machine, no registry's host, in any file that is kept."""
    import subprocess

    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    suspicious = re.compile(r"/(?:work|root|home/\w+)/\w|pypi\.org|file:///opt|/opt/pypi")
    found = []
    for name in filter(None, files):
        path = ROOT / name
        if path.is_file() and name != "tests/test_architecture.py":
            text = path.read_bytes().decode("utf-8", "replace")
            found += [f"{name}: {hit}" for hit in suspicious.findall(text)]
    assert found == []
