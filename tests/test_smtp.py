"""Sending against servers that misbehave: who gets what, how often, and what is remembered of it.

The 29 modes are those of the shared chaos server; each says what a good client does.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from aggregator import delivery, mail, subscribing
from aggregator.errors import MailError
from aggregator.store import outbox, subscribers
from tests.desk import join, mails, make_desk, put, sending_to


class Chaos:
    """The running server: a port for each mode, and the ledger of what was accepted."""

    def __init__(self, ready, ledger):
        self.modes, self.ca, self.ledger = ready["modes"], ready["ca"], ledger

    def port(self, mode):
        """Where a mode listens."""
        return self.modes[mode]["port"]

    def accepted(self, mode, domain):
        """Recipient and Message-ID of every message that a mode took for a domain."""
        rows = [json.loads(line) for line in self.ledger.read_text().splitlines()]
        return [
            (rcpt.partition("@")[0], row["message_id"])
            for row in rows for rcpt in row["rcpt"]
            if row["mode"] == mode and rcpt.endswith(f"@{domain}")
        ]  # fmt: skip


def _free_ports(count):
    """The first of `count` neighbouring ports that are free now."""
    # Test processes side by side start looking in different places.
    for base in range(21000 + os.getpid() * 37 % 6000, 31000, 37):
        held = []
        try:
            for port in range(base, base + count):
                one = socket.socket()
                held.append(one)
                one.bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for one in held:
                one.close()
        return base
    raise AssertionError("no ports are free")


@pytest.fixture(scope="module")
def chaos(shared, tmp_path_factory):
    """The server with all its modes."""
    folder = tmp_path_factory.mktemp("smtp")
    ledger = folder / "ledger.jsonl"
    command = [
        sys.executable,
        str(shared / "chaos/chaos_smtp.py"),
        "--ledger",
        str(ledger),
        "--base-port",
        str(_free_ports(30)),
    ]
    with (
        (folder / "errors").open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        yield Chaos(json.loads(process.stdout.readline()), ledger)
        process.terminate()


@pytest.fixture
def desk(archive_url):
    """A desk with one article, and no operator to tell."""
    desk = make_desk(archive_url, operator=None)
    put(desk)
    yield desk
    desk.archive.close()


@pytest.fixture
def domain(request):
    """A domain of the test's own, so that the ledger can be shared."""
    return f"t{abs(hash(request.node.name)) % 10**8}.example"


def ready(desk, domain, *names):
    """Subscribers with a digest of one article each, written and waiting."""
    for name in names:
        join(desk, f"{name}@{domain}")
    put(desk, title="Methane again")
    desk.clock.go(days=1)
    assert delivery.write_due(desk, desk.clock()).written == len(names)


def states(desk):
    """How the digest of each reader stands."""
    return {one.address.partition("@")[0]: one.state for one in mails(desk)}


def standing(desk):
    """How each subscriber stands."""
    with desk.archive.reading() as connection:
        return {one.address.partition("@")[0]: one.state for one in subscribers.every(connection)}


def rounds(desk, times, **wait):
    """Rounds of sending with a pause between them; what happened in each."""
    seen = []
    for _round in range(times):
        done = delivery.send_due(desk, desk.clock())
        seen.append([str(what) for _mail, what in done.outcomes])
        desk.clock.go(**(wait or {"hours": 2}))
    return seen


def only_once(accepted, names):
    """Each of these got one mail, and no two the same."""
    return sorted(name for name, _id in accepted) == sorted(names) and len({one for _name, one in accepted}) == len(
        names
    )


@pytest.mark.parametrize(
    "mode", ["accept", "smtputf8", "no-smtputf8", "weird-replies", "too-many-421", "starttls-stripped"]
)
def test_everybody_gets_one(chaos, desk, domain, mode):
    """Each subscriber gets the digest once, also when a connection only carries three."""
    names = [f"r{number}" for number in range(8)]
    desk = sending_to(desk, chaos.port(mode))
    ready(desk, domain, *names)
    rounds(desk, 3)
    assert only_once(chaos.accepted(mode, domain), names)
    assert set(states(desk).values()) == {"sent"}


def test_one_refused_address_touches_no_other(chaos, desk, domain):
    """An unknown mailbox pauses its subscriber, who keeps what was missed; the others get theirs."""
    desk = sending_to(replace(desk, operator="operator@example.org"), chaos.port("reject-one-550"))
    ready(desk, domain, "a", "bad", "c")
    rounds(desk, 3)
    assert only_once(chaos.accepted("reject-one-550", domain), ["a", "c"])
    assert standing(desk) == {"a": "active", "bad": "paused", "c": "active"}
    assert states(desk)["bad"] == "failed"
    [note] = mails(desk, "notice")
    assert note.address == "operator@example.org"
    assert f"bad@{domain} is paused" in note.subject
    with desk.archive.reading() as connection:
        bad = subscribers.find(connection, f"bad@{domain}")
    assert "550 5.1.1 no such user" in bad.reason
    subscribing.resume(desk, bad, desk.clock())
    desk.clock.go(days=1)
    delivery.write_due(desk, desk.clock())
    assert [one.articles for one in mails(desk) if one.address.startswith("bad")] == [2, 2]


def test_escape_sequences_stay_with_the_server(chaos, desk, domain):
    """What a server answers is remembered as one printable line."""
    desk = sending_to(desk, chaos.port("weird-replies"))
    ready(desk, domain, "bad")
    rounds(desk, 1)
    [one] = mails(desk)
    assert one.error.startswith("550 first line")
    assert one.error.isprintable()


def test_all_refused(chaos, desk, domain):
    """When every address is refused nothing counts as sent, and nothing is tried for ever."""
    desk = sending_to(desk, chaos.port("reject-all-550"))
    ready(desk, domain, "a", "b")
    assert rounds(desk, 3) == [["permanent", "permanent"], [], []]
    assert standing(desk) == {"a": "paused", "b": "paused"}


def test_refused_sender_is_said_once(chaos, desk, domain):
    """A refused sender is one fault of the set-up, not one of each subscriber; the mails wait."""
    desk = sending_to(desk, chaos.port("reject-sender-553"))
    ready(desk, domain, "a", "b", "c")
    done = delivery.send_due(desk, desk.clock())
    assert len(done.notes) == 1
    assert "refuses our sender: 553" in done.notes[0]
    assert set(states(desk).values()) == {"pending"}
    assert standing(desk) == {"a": "active", "b": "active", "c": "active"}


def test_not_now_for_a_day_gives_up(chaos, desk, domain):
    """`451` is tried again with growing pauses for a day; then the next digest covers that time too."""
    desk = sending_to(desk, chaos.port("tempfail-451-always"))
    ready(desk, domain, "a")
    tries = []
    for _minute in range(26 * 12):
        tries += delivery.send_due(desk, desk.clock()).outcomes
        desk.clock.go(minutes=5)
    assert 24 < len(tries) < 40
    assert [str(what) for _mail, what in tries][-1] == "given up"
    assert len({one.message_id for one, _what in tries}) == 1
    assert standing(desk) == {"a": "active"}
    delivery.write_due(desk, desk.clock.go(days=1))
    assert [(one.state, one.articles) for one in mails(desk)] == [("failed", 2), ("pending", 2)]


def test_greylisting_delivers_on_the_third_try(chaos, desk, domain):
    """Twice `451`, then accepted: one mail, one Message-ID."""
    desk = sending_to(desk, chaos.port("tempfail-451-twice"))
    ready(desk, domain, "a", "b")
    assert rounds(desk, 4)[3] == []
    assert only_once(chaos.accepted("tempfail-451-twice", domain), ["a", "b"])


def test_busy_mailbox_waits_alone(chaos, desk, domain):
    """Only the subscriber whose mailbox is busy waits."""
    desk = sending_to(desk, chaos.port("tempfail-rcpt-450"))
    ready(desk, domain, "a", "slow", "c")
    rounds(desk, 3)
    assert only_once(chaos.accepted("tempfail-rcpt-450", domain), ["a", "c"])
    assert states(desk) == {"a": "sent", "slow": "pending", "c": "sent"}


@pytest.mark.parametrize(
    ("mode", "at_most_once", "copies", "state"),
    [
        ("drop-after-data-not-stored", False, 1, "sent"),
        ("drop-after-data-not-stored", True, 0, "unknown"),
        ("drop-after-data-stored", False, 2, "sent"),
        ("drop-after-data-stored", True, 1, "unknown"),
    ],
)
def test_connection_lost_after_data(chaos, desk, domain, mode, at_most_once, copies, state):
    """Where nobody can know, the same mail is sent once more with its Message-ID, or with `at_most_once` never."""
    desk = sending_to(desk, chaos.port(mode), at_most_once=at_most_once)
    domain = f"{at_most_once}.{domain}".lower()
    ready(desk, domain, "a")
    rounds(desk, 4)
    accepted = chaos.accepted(mode, domain)
    assert len(accepted) == copies
    assert len(set(accepted)) <= 1
    assert states(desk) == {"a": state}


@pytest.mark.parametrize("mode", ["drop-at-rcpt", "close-at-once", "banner-554", "banner-421", "banner-http"])
def test_unusable_servers_are_left_alone_for_a_while(chaos, desk, domain, mode):
    """Nothing is lost, the reason is said once, and the next rounds wait longer and longer."""
    desk = sending_to(desk, chaos.port(mode))
    ready(desk, domain, "a", "b", "c", "d")
    first = delivery.send_due(desk, desk.clock())
    assert len(first.notes) == 1
    assert delivery.send_due(desk, desk.clock.go(seconds=30)).notes == []
    assert len(delivery.send_due(desk, desk.clock.go(minutes=5)).notes) == 1
    assert set(states(desk).values()) == {"pending"}
    assert standing(desk) == dict.fromkeys("abcd", "active")


@pytest.mark.parametrize("mode", ["hang-at-ehlo", "banner-none", "banner-endless"])
def test_endless_greetings_end(chaos, desk, domain, mode):
    """Silence and endless lines are cut off at the deadline of the greeting."""
    desk = sending_to(desk, chaos.port(mode), patience=mail.Patience(greeting=0.6))
    ready(desk, domain, "a")
    done = delivery.send_due(desk, desk.clock())
    assert len(done.notes) == 1
    assert states(desk) == {"a": "pending"}


@pytest.mark.parametrize("mode", ["hang-after-data", "slow-250-60s"])
def test_no_answer_after_data_is_unknown(chaos, desk, domain, mode):
    """A server that does not answer in time leaves the outcome open: one repeat, always the same Message-ID."""
    desk = sending_to(desk, chaos.port(mode), patience=mail.Patience(greeting=15, dialogue=15, after_data=0.4))
    ready(desk, domain, "a")
    assert rounds(desk, 4) == [["unknown"], ["unknown"], [], []]
    assert states(desk) == {"a": "unknown"}
    assert len({identity for _name, identity in chaos.accepted(mode, domain)}) <= 1


def test_stopping_does_not_wait_for_the_server(chaos, desk, domain):
    """Told to stop, sending ends within seconds although the server may take ten minutes."""
    desk = sending_to(
        desk, chaos.port("hang-after-data"), patience=mail.Patience(greeting=15, dialogue=15, stopping=0.2)
    )
    ready(desk, domain, "a")
    asked = iter(range(10**6))
    desk = replace(desk, stopped=lambda: next(asked) > 8)
    delivery.send_due(desk, desk.clock())
    assert states(desk) == {"a": "pending"}
    with desk.archive.reading() as connection:
        assert outbox.history(connection)[0].lost == 1


def test_too_large_is_written_shorter(chaos, desk, domain):
    """A server that takes 10 kB gets a digest of that size, which says what it leaves out."""
    desk = sending_to(desk, chaos.port("size-limit-10k"))
    for number in range(60):
        put(
            desk,
            title=f"Number {number} " + "long " * 25,
            clauses=(f"glasgow-2021/{number % 16 + 1}",),
            link="https://example.org/" + "x" * 90,
        )
    ready(desk, domain, "a")
    for _round in range(3):
        delivery.deliver(desk, desk.clock.go(minutes=5))
    [(name, _identity)] = chaos.accepted("size-limit-10k", domain)
    assert name == "a"
    assert [one.state for one in mails(desk)] == ["failed", "sent"]
    assert mails(desk)[1].articles == mails(desk)[0].articles == 62


def secure(desk, chaos, mode, **changes):
    """The desk with a server that has a certificate of its own making."""
    facts = {"tls": "required", "ca": None, "user": "", "password": ""} | changes
    return replace(desk, server=mail.Server("localhost", chaos.port(mode), **facts))


def test_starttls_is_verified(chaos, desk, domain):
    """An unknown certificate is refused and nothing goes out in clear; with the right one the mail goes."""
    ready(desk, domain, "a")
    done = delivery.send_due(secure(desk, chaos, "require-starttls", tls="offered"), desk.clock())
    assert "certificate verify failed" in done.notes[0]
    assert chaos.accepted("require-starttls", domain) == []
    desk.clock.go(hours=2)
    delivery.send_due(secure(desk, chaos, "require-starttls", ca=chaos.ca), desk.clock())
    assert only_once(chaos.accepted("require-starttls", domain), ["a"])


def test_smtps_is_verified(chaos, desk, domain):
    """The same with TLS from the first byte."""
    ready(desk, domain, "a")
    done = delivery.send_due(secure(desk, chaos, "smtps", tls="implicit"), desk.clock())
    assert "certificate verify failed" in done.notes[0]
    desk = secure(desk, chaos, "smtps", tls="implicit", ca=chaos.ca)
    desk.clock.go(hours=2)
    assert [str(what) for _mail, what in delivery.send_due(desk, desk.clock()).outcomes] == ["sent"]


def test_stripped_starttls_is_refused(chaos, desk, domain):
    """A client set to STARTTLS does not go on in clear text when the server does not offer it."""
    ready(desk, domain, "a")
    done = delivery.send_due(secure(desk, chaos, "starttls-stripped"), desk.clock())
    assert "offers no STARTTLS, so nothing was sent" in done.notes[0]
    assert chaos.accepted("starttls-stripped", domain) == []


def test_password_does_not_cross_an_open_line(chaos, desk, domain):
    """A password is sent over clear text only when the address says `starttls=never`."""
    ready(desk, domain, "a")
    account = {"user": "user", "password": "pass"}
    done = delivery.send_due(secure(desk, chaos, "require-auth", tls="offered", **account), desk.clock())
    assert "the password was not sent" in done.notes[0]
    desk.clock.go(hours=2)
    delivery.send_due(secure(desk, chaos, "require-auth", tls="never", **account), desk.clock())
    assert only_once(chaos.accepted("require-auth", domain), ["a"])


def test_login_over_tls(chaos, desk, domain):
    """STARTTLS, then user and password: delivered; a server that answers a wrong one with silence is left alone."""
    ready(desk, domain, "a", "b")
    account = {"user": "user", "password": "not-the-password", "ca": chaos.ca}
    hasty = replace(desk, patience=mail.Patience(greeting=2))
    done = delivery.send_due(secure(hasty, chaos, "require-tls-auth", **account), desk.clock())
    assert len(done.notes) == 1
    assert "no answer in time" in done.notes[0]
    assert delivery.send_due(secure(desk, chaos, "require-tls-auth", **account), desk.clock.go(seconds=20)).notes == []
    desk.clock.go(hours=2)
    delivery.send_due(secure(desk, chaos, "require-tls-auth", **account | {"password": "pass"}), desk.clock())
    assert only_once(chaos.accepted("require-tls-auth", domain), ["a", "b"])


@contextmanager
def scripted(*answers):
    """A server on a free port that gives these lines one after the other, whatever it is told."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk():
            talking, _address = listening.accept()
            with talking, suppress(OSError):
                for number, answer in enumerate(answers):
                    if number:
                        talking.recv(4096)
                    talking.sendall(answer.encode() + b"\r\n")
                talking.recv(4096)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(5)


def test_wrong_password_is_a_fault_of_the_set_up(desk, domain):
    """A wrong password is said once and without the password, even where the server repeats it."""
    ready(desk, domain, "a", "b")
    with scripted("220 hello", "250-x\r\n250 AUTH PLAIN", "535 5.7.8 hunter2 AGh1bnRlcjIAaHVudGVyMg is wrong") as port:
        account = mail.Server("localhost", port, "never", "hunter2", "hunter2")
        done = delivery.send_due(replace(desk, server=account), desk.clock())
    [note] = done.notes
    assert "does not accept user" in note
    assert note.count("***") >= 1
    assert "AGh1bnRlcjIAaHVudGVyMg" not in note
    assert states(desk) == {"a": "pending", "b": "pending"}


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        (("220 x", "250 x", "250 ok", "250 ok", "354 go", "554 no"), "failed"),
        (("220 x", "250 x", "250 ok", "250 ok", "354 go", "250-a\r\n250 b"), "sent"),
        (("220 x", "250 x", "250 ok", "552 full"), "pending"),
        (("220 x", "250 x", "250 ok", "250 ok", "554 no data"), "failed"),
        (("220 x", "250 x", "250 ok", "250 ok", "354 go", "xyz"), "unknown"),
        (("220 x", "250 x", "250 ok", "250 ok", "354 go", "250-" + "y" * 9000), "unknown"),
        (("220 x", "250 x", "250 ok", "250 ok", "354 go", "\r\n".join(["250-more"] * 300)), "unknown"),
    ],
)
def test_answers_word_for_word(desk, domain, answers, state):
    """What each answer at each step means."""
    desk = replace(desk, at_most_once=True)
    ready(desk, domain, "a")
    with scripted(*answers) as port:
        delivery.send_due(sending_to(desk, port), desk.clock())
    assert states(desk) == {"a": state}


@pytest.mark.parametrize(("mode", "state"), [("no-smtputf8", "paused"), ("smtputf8", "active")])
def test_addresses_outside_ascii(chaos, desk, domain, mode, state):
    """An address in Chinese letters gets its mail where the server can, else the reason is kept."""
    desk = sending_to(desk, chaos.port(mode))
    ready(desk, domain, "用户", "a")
    rounds(desk, 2)
    assert standing(desk) == {"用户": state, "a": "active"}
    assert only_once(chaos.accepted(mode, domain), ["a", "用户"] if state == "active" else ["a"])


def test_every_mode_is_tried_here(chaos):
    """No mode of the chaos server is left out of this file."""
    from pathlib import Path

    source = Path(__file__).read_text(encoding="utf-8")
    assert len(chaos.modes) == 29
    assert [mode for mode in chaos.modes if f'"{mode}"' not in source] == []


def test_trying_the_set_up(chaos, desk, domain):
    """`digest send --test` sends one mail and gives the server's answer, or its refusal as a sentence."""
    outcome = subscribing.test_mail(sending_to(desk, chaos.port("accept")), f"me@{domain}", "en", desk.clock())
    assert outcome.result is mail.Result.SENT
    assert len(chaos.accepted("accept", domain)) == 1
    with pytest.raises(MailError, match="does not let us in: 554 no service"):
        subscribing.test_mail(sending_to(desk, chaos.port("banner-554")), f"me@{domain}", "en", desk.clock())
    with pytest.raises(MailError, match="no mail server is set"):
        subscribing.test_mail(desk, f"me@{domain}", "en", desk.clock())


def test_two_senders_send_each_mail_once(chaos, desk, domain):
    """Four senders at once: each mail leaves once."""
    desk = sending_to(desk, chaos.port("accept"))
    names = [f"r{number}" for number in range(12)]
    ready(desk, domain, *names)
    threads = [threading.Thread(target=delivery.send_due, args=(desk, desk.clock())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rounds(desk, 1)
    assert only_once(chaos.accepted("accept", domain), names)


def test_history_says_what_happened(chaos, desk, domain):
    """Each try, its answer and the end are on record."""
    desk = sending_to(desk, chaos.port("drop-after-data-not-stored"))
    ready(desk, domain, "a")
    rounds(desk, 2)
    [one] = mails(desk)
    with desk.archive.reading() as connection:
        events = [what for _at, what, _detail in outbox.happened(connection, one.id)]
    assert events == ["created", "sending", "unknown", "sending", "sent"]
