"""The daemon left alone: what its operator is told by mail, the systemd unit, the mail server, a reader without room."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aggregator import pipeline, subscribing
from aggregator.app import App
from aggregator.cli import surroundings
from aggregator.cli.surroundings import Standing
from aggregator.daemon import Daemon
from aggregator.errors import FetchError
from aggregator.model import Article, Document, Feed, Tags
from aggregator.store import articles
from aggregator.store.archive import Archive
from aggregator.store.subscribers import Wants
from tests.postbox import Postbox

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
FEEDS = [
    Feed("one", ("https://one.example/feed",), "头版", "港城日报"),
    Feed("two", ("https://two.example/feed",), "二版", "港城日报"),
]
SETTINGS = "feeds: []\nmail: {from: desk@example.org, operator: operator@example.org, alerts: true}\n"


class Office:
    """A daemon whose feeds are all down, with a postbox, and a clock that the test sets."""

    def __init__(self, folder: Path, box: Postbox, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "feeds.yaml").write_text(SETTINGS)
        self.archive = Archive.open(str(folder / "a.db"), write=True)
        self.now, self.box = START, box
        monkeypatch.setattr("aggregator.app.now", lambda: self.now)
        app = App(str(folder / "a.db"), str(folder / "feeds.yaml"), environ={"AGGREGATOR_SMTP_URL": box.url})
        parts = pipeline.Parts(self.archive, self.fetch, lambda *_: Document(()), lambda _: Tags(), lambda: self.now)
        self.daemon = Daemon(app, parts, FEEDS)

    @staticmethod
    def fetch(feed: Feed, *_: object) -> object:
        """Nobody is there."""
        raise FetchError(f"{feed.id}.example answers 503.", "http")

    def goes_by(self, **span: float) -> list[str]:
        """Time passes, and all jobs have their turn, twice; the subjects of what came to the operator meanwhile."""
        before = len(self.box.mails)
        self.now += timedelta(**span)
        for _turn in range(2):
            self.daemon.tick()
            self.daemon.look()
            self.daemon.deliver()
            self.now += timedelta(seconds=5)
        return [str(mail["Subject"]) for mail in self.box.mails[before:] if "operator" in str(mail["To"])]


@pytest.fixture
def box():
    """A mail server."""
    with Postbox() as found:
        yield found


@pytest.fixture
def office(tmp_path: Path, box: Postbox, monkeypatch: pytest.MonkeyPatch) -> Office:
    """A daemon that can send mail."""
    return Office(tmp_path, box, monkeypatch)


def test_an_outlet_that_stays_down_is_told_once(office: Office) -> None:
    """After half a day one mail for both feeds; none a day later, and none for a look in between."""
    assert office.goes_by() == []
    assert office.goes_by(hours=6) == []
    [subject] = office.goes_by(hours=7)
    assert "港城日报 is down since 2026-11-21 12:00 UTC" in subject
    assert office.goes_by(hours=24) == []


def test_a_disk_that_runs_low_is_told_once_and_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once while it lasts; when it was over and comes back, once more."""
    office.daemon.feeds = []
    free = [900_000_000]
    monkeypatch.setattr(Archive, "free", lambda _self: free[0])
    assert office.goes_by() == ["The archive's disk has 900 MB left."]
    assert office.goes_by(hours=1) == []
    free[0] = 5_000_000_000
    assert office.goes_by(hours=1) == []
    free[0] = 800_000_000
    assert office.goes_by(hours=1) == ["The archive's disk has 800 MB left."]


def test_digests_that_fail_are_told_once(office: Office, box: Postbox) -> None:
    """The server puts everything off for hours: when it takes mail again the operator hears of it, one time."""
    office.daemon.feeds = []
    desk = office.daemon.mailing()
    subscribing.subscribe(desk, "reader@example.net", "daily 13:00", "UTC", "en", Wants(), office.now, empty=True)
    office.goes_by()
    box.refusing = True
    for _hour in range(14):
        office.goes_by(hours=1)
    box.refusing = False
    heard = [subject for _hour in range(8) for subject in office.goes_by(hours=1)]
    assert len([subject for subject in heard if "not arrive (reader@example.net)" in subject]) == 1


@pytest.mark.parametrize("password", ["", "right"])
def test_doctor_talks_to_the_mail_server(tmp_path: Path, password: str) -> None:
    """Greeting, EHLO and where asked the password; it goes before any mail, and sends none."""
    with Postbox(password) as box:
        url = box.url.replace("smtp://", "smtp://desk@") + "?starttls=never"
        [finding] = looked(tmp_path, url if password else box.url, password)
        assert finding.standing is Standing.FINE
        assert f"127.0.0.1:{box.port} lets us in" in finding.sentence
        assert "mails up to 10 MB" in finding.sentence
        assert box.said[0].upper().startswith("EHLO")
        assert not any(line.upper().startswith("MAIL") for line in box.said)


def test_doctor_says_what_the_mail_server_refuses(tmp_path: Path) -> None:
    """A wrong password, a server without TLS where the password needs it, and one that is not there."""
    with Postbox("right") as box:
        named = box.url.replace("smtp://", "smtp://desk@")
        [wrong] = looked(tmp_path, named + "?starttls=never", "wrong")
        [open_line] = looked(tmp_path, named, "right")
        [no_tls] = looked(tmp_path, box.url + "?starttls=required", "")
    [absent] = looked(tmp_path, box.url, "")
    assert {one.standing for one in (wrong, open_line, no_tls, absent)} == {Standing.TROUBLE}
    assert "does not accept user desk" in wrong.sentence
    assert "the password was not sent" in open_line.sentence
    assert "offers no STARTTLS" in no_tls.sentence
    assert "refused" in absent.sentence


def looked(folder: Path, url: str, password: str) -> list[surroundings.Finding]:
    """What doctor finds about mail."""
    (folder / "feeds.yaml").write_text(SETTINGS)
    environ = {"AGGREGATOR_SMTP_URL": url, "AGGREGATOR_SMTP_PASSWORD": password}
    return list(surroundings.mail_server(App(str(folder / "a.db"), str(folder / "feeds.yaml"), environ=environ)))


def test_doctor_names_versions_with_known_faults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A library with a fault is named with what it means here; the mended one and other branches are not."""
    app = App(str(tmp_path / "a.db"), str(tmp_path / "feeds.yaml"), environ={})
    old = {"SQLite": "3.40.1", "expat": "2.7.2", "Python": "3.11.7", "feedparser": "6.0.14"}
    monkeypatch.setattr(surroundings, "versions", lambda: old)
    notes = [one.sentence for one in surroundings.libraries(app) if one.standing is Standing.NOTE]
    assert [note.partition(":")[0] for note in notes] == ["SQLite 3.40.1", "Python 3.11.7"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("kind", [["--user"], []])
def test_systemd_accepts_the_unit(command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: list[str]) -> None:
    """`systemd-analyze verify` has nothing to say about what `service` prints."""
    (tmp_path / "feeds.yaml").write_text("feeds: []\n")
    where = ("--archive", str(tmp_path / "a.db"), "--feeds", str(tmp_path / "feeds.yaml"))
    printed = command(*where, "service", *kind)
    assert (printed.returncode, printed.stderr) == (0, "")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # where no user is logged in
    unit = tmp_path / "aggregator.service"
    unit.write_text(printed.stdout)
    words = ["systemd-analyze", *kind, "verify", "--man=no", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    own = [line for line in done.stderr.splitlines() if "aggregator" in line]
    assert (done.returncode, own) == (0, [])


def without_room(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command line whose process cannot make a file grow, as on a full disk."""
    where = ["--archive", str(folder / "a.db"), "--feeds", str(folder / "feeds.yaml")]
    return subprocess.run(
        [sys.executable, "-m", "aggregator", *where, *words],
        capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )  # fmt: skip


def test_a_full_disk_keeps_no_reader_away(tmp_path: Path) -> None:
    """Where SQLite cannot make its small files beside an archive at rest, searches are answered; writers are told."""
    (tmp_path / "feeds.yaml").write_text("feeds: []\n")
    archive = Archive.open(str(tmp_path / "a.db"), write=True)
    with archive.writing() as connection:
        texts = articles.Texts()
        articles.add(connection, [(Article("甲烷", "<p>排放</p>\n", "排放"), "key")], START, texts)
        texts.write(connection)
    archive.close()
    found = without_room(tmp_path, "search", "甲烷", "--format", "json")
    assert (found.returncode, [row["title"] for row in json.loads(found.stdout)]) == (0, ["甲烷"])
    refused = without_room(tmp_path, "poll")
    assert refused.returncode == 1
    assert "the disk of" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_suspend_over_three_digests_is_one_mail(office: Office) -> None:
    """A reader of a daily digest hears once of three days that the machine slept, and daily again after them."""
    office.daemon.feeds = []
    desk = office.daemon.mailing()
    subscribing.subscribe(desk, "reader@example.net", "daily 13:00", "UTC", "en", Wants(), office.now, empty=True)
    office.goes_by()
    counts = []
    for hours in (24, 72, 24, 0.4):
        before = len(office.box.mails)
        office.goes_by(hours=hours)
        counts.append(len(office.box.mails) - before)
    assert counts == [1, 1, 1, 0]
