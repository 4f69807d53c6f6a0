"""The commands `subscribers` and `digest`, and mails that survive the end of their process, as people run them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from aggregator.cli import main
from tests.desk import make_desk, put
from tests.test_smtp import Chaos, _free_ports


@pytest.fixture
def run(tmp_path, archive_url, capsys, monkeypatch):
    """A command line on an archive with two articles: exit status, what was printed, what was said."""
    for name in [name for name in os.environ if name.startswith("AGGREGATOR_")]:
        monkeypatch.delenv(name)
    (tmp_path / "feeds.yaml").write_text("feeds: []\nmail: {operator: operator@example.org}\n", encoding="utf-8")
    desk = make_desk(archive_url)
    desk.clock.now = _now()
    put(desk, title="Methane talks")
    put(desk, title="Coal talks", clauses=("sunnylands-2023/10",), outlet="DW")
    desk.archive.close()

    def run_line(*words):
        with pytest.raises(SystemExit) as end:
            main(["--archive", archive_url, "--feeds", str(tmp_path / "feeds.yaml"), *words])
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return run_line


def _now():
    from aggregator.app import now

    return now()


def test_from_subscribing_to_removing(run):
    """Add, list, pause, resume, unsubscribe by token, remove: each says what it did."""
    code, out, err = run(
        "subscribers", "add", "Desk@Example.org", "--schedule", "weekdays 07:30", "--timezone", "Asia/Shanghai",
        "--language", "zh", "--agreement", "glasgow-2021", "--query", "methane OR 甲烷",
    )  # fmt: skip
    assert code == 0
    assert out.startswith("Desk@example.org is subscribed: weekdays 07:30 (Asia/Shanghai), first digest 20")
    assert "AGGREGATOR_SMTP_URL" in err
    [row] = json.loads(run("subscribers", "list", "--format", "json")[1])
    assert (row["state"], row["wants"]) == ("active", ["glasgow-2021", "methane OR 甲烷"])
    assert run("subscribers", "pause", "desk@example.org")[1] == "Desk@example.org is paused\n"
    assert run("subscribers", "resume", "--all")[1] == "Desk@example.org is active\n"
    text = run("digest", "replay", "1")[1]
    assert "Desk@example.org" in text
    token = text.rpartition("unsubscribe%20")[2].strip()
    assert run("subscribers", "unsubscribe", token)[1] == "Desk@example.org gets no more digests\n"
    assert json.loads(run("subscribers", "list", "--format", "json")[1])[0]["state"] == "unsubscribed"
    assert run("subscribers", "remove", "1")[0] == 0
    assert run("digest", "history", "--format", "json")[1].strip() == "[]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("subscribers", "add", "nobody"), "is no e-mail address"),
        (("subscribers", "add", "a@example.org", "--schedule", "often"), "is no schedule"),
        (("subscribers", "add", "a@example.org", "--timezone", "Mars/Olympus"), "is no time zone"),
        (("subscribers", "add", "a@example.org", "--clause", "glasgow-2021/99"), "there is no clause"),
        (("subscribers", "add", "a@example.org", "--agreement", "glasgov-2021"), "did you mean glasgow-2021?"),
        (("subscribers", "add", "a@example.org", "--query", '"open'), "never closed"),
        (("subscribers", "pause", "b@example.org"), "b@example.org is not subscribed"),
        (("subscribers", "unsubscribe", "1-abc"), "this token belongs to no subscriber"),
        (("digest", "replay", "7"), "there is no mail 7"),
        (("digest", "why", "7", "1"), "there is no mail 7"),
        (("digest", "preview", "b@example.org"), "is not subscribed"),
        (("digest", "preview", "--since", "tomorrow"), "is not a date"),
        (("digest", "preview", "--out", "x.pdf"), "end its name in .html, .txt or .eml"),
    ],
)
def test_mistakes_are_answered(run, words, said):
    """Each mistake is one sentence on stderr and exit status 2."""
    code, _out, err = run(*words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_preview_in_every_form(run, tmp_path):
    """The text on the terminal, or a page, a text or a mail in a file; for a period of the past too."""
    assert "Methane talks" in run("digest", "preview", "--agreement", "glasgow-2021")[1]
    assert "Coal talks" not in run("digest", "preview", "--agreement", "glasgow-2021")[1]
    for name, head in (("d.html", "<!DOCTYPE html>"), ("d.txt", "报道摘要"), ("d.eml", "Subject: ")):
        code, _out, err = run("digest", "preview", "--language", "zh", "--since", "7d", "--out", str(tmp_path / name))
        assert (code, (tmp_path / name).read_text(encoding="utf-8").startswith(head)) == (0, True)
        assert "written" in err
    assert "Nothing was written" in run("digest", "preview", "--since", "2001-01-01", "--until", "2001-02-01")[1]


def test_sending_without_a_server_is_said(run):
    """Without a mail server mails are written and wait, and that is said."""
    run("subscribers", "add", "a@example.org")
    code, _out, err = run("digest", "send")
    assert code == 1
    assert "no mail server is set (AGGREGATOR_SMTP_URL)" in err
    code, _out, err = run("digest", "send", "--test", "me@example.org")
    assert (code, "export AGGREGATOR_SMTP_URL=" in err) == (1, True)


def test_dry_run_sends_nothing(run):
    """A dry run lists who would get what, and writes nothing down."""
    run("subscribers", "add", "a@example.org")
    [row] = json.loads(run("digest", "send", "--now", "--dry-run", "--format", "json")[1])
    assert (row["address"], row["articles"], row["sent"]) == ("a@example.org", 2, True)
    assert [one["kind"] for one in json.loads(run("digest", "history", "--format", "json")[1])] == ["welcome"]


# --- the process ends while sending -----------------------------------------------------------------------------

ONCE = """
import contextlib, os, signal, sys
from datetime import datetime
from aggregator import delivery
from aggregator.mail import smtp
from aggregator.store.archive import Archive
from tests.desk import make_desk, sending_to

desk = make_desk(sys.argv[1], operator=None)
desk.clock.now = datetime.fromisoformat(sys.argv[3])
left = int(sys.argv[4])

def step():
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

def counted(function):
    def around(*arguments):
        step()
        result = function(*arguments)
        step()
        return result
    return around

smtp._Client.getreply = counted(smtp._Client.getreply)
smtp._Client.send = counted(smtp._Client.send)
writing = Archive.writing

@contextlib.contextmanager
def counted_writing(*arguments, **options):
    with writing(*arguments, **options) as connection:
        yield connection
        step()
    step()

Archive.writing = counted_writing
delivery.deliver(sending_to(desk, int(sys.argv[2])), desk.clock())
print("done")
"""
"""Delivers once, and dies at a given step: before and after each commit, each line sent, each answer read."""


@pytest.fixture(scope="module")
def chaos(shared, tmp_path_factory):
    """A server that accepts everything."""
    folder = tmp_path_factory.mktemp("smtp")
    ledger = folder / "ledger.jsonl"
    command = [
        sys.executable, str(shared / "chaos/chaos_smtp.py"), "--ledger", str(ledger), "--only", "accept",
        "--base-port", str(_free_ports(30)),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        yield Chaos(json.loads(process.stdout.readline()), ledger)
        process.terminate()


def test_what_a_killed_process_left_is_sent_and_no_failure(chaos, archive_url, tmp_path, capsys, monkeypatch):
    """`digest send` says that a mail is sent again and ends with 0 when it has arrived."""
    from aggregator import delivery
    from aggregator.store import outbox
    from tests.desk import join

    desk = make_desk(archive_url, operator=None)
    desk.clock.now = _now()
    address = f"r@k{uuid4().hex[:12]}.example"
    join(desk, address)
    put(desk)
    delivery.write_due(desk, desk.clock(), early=frozenset({address}))
    with desk.archive.writing() as connection:
        assert outbox.claim(connection, desk.clock()) is not None
    desk.archive.close()
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text("feeds: []\nmail: {from: desk@example.org}\n", encoding="utf-8")
    monkeypatch.setenv("AGGREGATOR_SMTP_URL", f"smtp://127.0.0.1:{chaos.port('accept')}")
    with pytest.raises(SystemExit) as end:
        main(["--archive", archive_url, "--feeds", str(feeds), "digest", "send"])
    said = capsys.readouterr()
    assert (end.value.code, "was interrupted; sent again with the same Message-ID" in said.err) == (0, True), said
    assert "sent" in said.out


STEPS = range(0, 150, int(os.environ.get("AGGREGATOR_KILL_STEP", "19")))
"""Of the about 150 steps of writing and sending three digests; AGGREGATOR_KILL_STEP=3 takes fifty of them."""


@pytest.mark.parametrize("number", STEPS)
def test_killed_while_sending(chaos, archive_url, number):
    """Killed at a step of writing or sending, then run again: everybody has the digest, a repeat is the same mail, and
    there is at most one.
    """
    from aggregator import delivery
    from tests.desk import join, mails, sending_to

    desk = make_desk(archive_url, operator=None)
    names = [f"r{one}" for one in range(3)]
    domain = f"k{number}-{uuid4().hex[:12]}.example"
    for name in names:
        join(desk, f"{name}@{domain}")
    put(desk)
    now = desk.clock.go(days=1)
    port = chaos.port("accept")
    words = [sys.executable, "-c", ONCE, archive_url, str(port), now.isoformat(), str(number)]
    died = subprocess.run(
        words, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(Path.cwd())}
    )
    assert died.returncode == -signal.SIGKILL or died.stdout == "done\n", died.stderr
    for _round in range(3):
        delivery.deliver(sending_to(desk, port), desk.clock.go(minutes=10))
    accepted = chaos.accepted("accept", domain)
    assert {name for name, _id in accepted} == set(names)
    assert len(set(accepted)) == len(names)
    assert len(accepted) <= len(names) + 1
    assert {one.state for one in mails(desk)} == {"sent"}
    desk.archive.close()
