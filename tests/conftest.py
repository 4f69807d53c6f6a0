"""What every test may use: the shared material, where it is there."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa
from hypothesis import settings

from aggregator.store.archive import Archive
from aggregator.store.schema import article

# How long one example takes says nothing on a busy machine; speed is measured in benchmarks/.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


DATABASES = ("sqlite", "postgresql")


def pytest_configure(config: pytest.Config) -> None:
    """The marker with which a module or test says on which databases it means anything."""
    config.addinivalue_line("markers", "databases(*names): run on these only (else on sqlite and postgresql)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that has an archive runs on both databases."""
    if "database" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("databases")
        metafunc.parametrize("database", mark.args if mark else DATABASES, indirect=True)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Note the database for the count at the end; it travels with the reports of parallel processes."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    alone = "postgresql" if "postgres" in getattr(item, "fixturenames", ()) else None
    if name := parameters.get("database", alone):
        item.user_properties.append(("database", name))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests ran on which database."""
    count: Counter[tuple[str, str]] = Counter()
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            for key, name in getattr(report, "user_properties", ()):
                count[name, outcome] += key == "database"
    for name in DATABASES:
        said = [f"{count[name, outcome]} {outcome}" for outcome in ("passed", "failed", "error", "skipped")]
        if any(count[name, outcome] for outcome in ("passed", "failed", "error", "skipped")):
            terminalreporter.write_line(f"on {name}: {', '.join(part for part in said if not part.startswith('0 '))}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real articles, feeds and labelled data beside the checkout; tests skip where it is absent."""
    folder = Path(os.environ.get("AGGREGATOR_SHARED", SHARED))
    if not folder.is_dir():
        pytest.skip("the shared material is not beside this checkout (AGGREGATOR_SHARED names another place)")
    return folder


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def newsroom() -> Iterator:
    """A small pretend press on loopback (tests/newsroom.py)."""
    with _module("newsroom").Newsroom() as room:
        yield room


@pytest.fixture(scope="session")
def postgres() -> Iterator:
    """A PostgreSQL server (tests/postgres.py); `postgres.database()` is the address of a new archive on it."""
    module = _module("postgres")
    server = module.start()
    if server is None:
        pytest.skip(module.MISSING)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def database(request: pytest.FixtureRequest) -> str:
    """`sqlite` or `postgresql`: whoever asks for it, and be it through `archive_url` or `command`, runs on both."""
    name: str = request.param
    if name == "postgresql":
        request.getfixturevalue("postgres")  # skips where there is none
    return name


def _places(database: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Callable[[str], str]]:
    if database == "sqlite":
        yield lambda name: str(folder / f"{name}.db")
        return
    server, made = request.getfixturevalue("postgres"), {}

    def place(name: str) -> str:
        return made.get(name) or made.setdefault(name, server.database())

    yield place
    server.drop(*made.values())


@pytest.fixture
def place(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Where a test's archives are, by a name for each: a file of that name, or a new database that goes with the test."""
    yield from _places(database, request, tmp_path)


@pytest.fixture(scope="module")
def lasting_place(
    database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    """The same for archives that all tests of a module share."""
    yield from _places(database, request, tmp_path_factory.mktemp("lasting"))


@pytest.fixture
def archive_url(place: Callable[[str], str]) -> str:
    """The address of a new archive, once on each database."""
    return place("archive")


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path, archive_url: str) -> Command:
    """Run `aggregator ARGS…` as a user would, on an archive of its own; `feeds` names a feeds.yaml."""

    def run(
        *args: str, feeds: Path | None = None, stdin: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        own = tmp_path / "feeds.yaml"
        env = {
            **os.environ,
            "AGGREGATOR_ARCHIVE": archive_url,
            "AGGREGATOR_FEEDS": str(feeds or (own if own.exists() else ROOT / "feeds.yaml")),
            "COLUMNS": "110",
            **environ,
        }
        return subprocess.run(  # noqa: PLW1510 - the status is what tests look at
            [sys.executable, "-m", "aggregator", *args],
            cwd=ROOT,
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


class Running:
    """`aggregator run` on an archive of its own; its log lines in a file."""

    def __init__(self, archive: str, log: Path, feeds: Path, **environ: str) -> None:
        self.archive, self.log = archive, log
        command = [sys.executable, "-m", "aggregator", "--archive", archive, "--feeds", str(feeds), "run"]
        with self.log.open("w") as said:
            self.process = subprocess.Popen(command, stderr=said, env={**os.environ, **environ})

    def wait_for(self, seen: Callable[[], bool]) -> None:
        """Until something is so; a minute at the most."""
        for _ in range(600):
            if seen():
                return
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def says(self, words: str) -> bool:
        """Whether the log holds these words."""
        return words in self.log.read_text()

    def articles(self) -> int:
        """How many the archive holds."""
        if not self.says("started"):
            return 0
        with closing(Archive.open(self.archive)) as archive, archive.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(article))

    def end(self) -> int:
        """SIGTERM; the exit status. Ten seconds are the promise; the time-out leaves room for a busy machine."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@pytest.fixture
def start_daemon(tmp_path: Path, archive_url: str) -> Iterator:
    """Start daemons; what still runs at the end is killed."""
    started: list[Running] = []

    def run(feeds: Path, **environ: str) -> Running:
        started.append(Running(archive_url, tmp_path / f"log{len(started)}.txt", feeds, **environ))
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
