"""When digests are written, what is in them, and what becomes of them: the whole way without a network."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aggregator import delivery, opt_out, preview, subscribing
from aggregator.errors import UsageError
from aggregator.model import Article
from aggregator.store import articles, feeds, outbox, subscribers, tags
from aggregator.store.subscribers import Wants
from tests.desk import START, body_of, html_of, join, mails, make_desk, put, tag, text_of


@pytest.fixture
def desk(archive_url):
    """A desk on an archive of its own."""
    desk = make_desk(archive_url)
    yield desk
    desk.archive.close()


def one_of(desk, address="reader@example.com"):
    """The subscriber as the archive has it."""
    with desk.archive.reading() as connection:
        return subscribers.find(connection, address)


def write(desk, *, sent=True):
    """Write what is due, and count it as sent."""
    written = delivery.write_due(desk, desk.clock()).written
    if sent:
        with desk.archive.writing() as connection:
            connection.exec_driver_sql("UPDATE digest SET state = 'sent' WHERE kind = 'digest' AND state = 'pending'")
    return written


def test_digest_is_written_once_at_its_hour(desk):
    """Before the hour nothing, at the hour one, after it nothing more."""
    join(desk)
    put(desk)
    desk.clock.go(hours=19, minutes=59)
    assert write(desk) == 0
    desk.clock.go(minutes=1)
    assert [write(desk, sent=False), write(desk, sent=False)] == [1, 0]
    [one] = mails(desk)
    assert (one.address, one.state, one.articles) == ("reader@example.com", "pending", 1)
    text = text_of(desk, one)
    assert "Joint Glasgow Declaration" in text
    assert "glasgow-2021/8 Clause 8" in text
    assert "“Both sides agreed on [methane].”" in text


def test_every_article_in_exactly_one_digest(desk):
    """Over a week of days with and without articles each article is in one digest, and empty days send nothing."""
    join(desk)
    ids = []
    for day in range(7):
        ids += [put(desk, title=f"Article {day}.{number}", clauses=()) for number in range(day % 3)]
        desk.clock.go(days=1)
        write(desk)
    with desk.archive.reading() as connection:
        covered = [row.article_id for one in mails(desk) for row in outbox.covered(connection, one.id)]
    assert sorted(covered) == sorted(ids)
    assert len(mails(desk)) == 4


def test_first_digest_covers_the_last_period_only(desk):
    """What was in the archive before the last hour of the schedule is not in the first digest."""
    put(desk, title="Old news")
    desk.clock.go(days=3)
    put(desk, title="News of today")
    desk.clock.go(hours=1)
    join(desk)
    desk.clock.go(days=1)
    write(desk)
    text = text_of(desk, mails(desk)[0])
    assert "News of today" in text
    assert "Old news" not in text


def test_three_mornings_slept_over_are_one_digest(desk):
    """A daemon that was away sends one digest that covers everything since the last."""
    join(desk)
    for day in range(3):
        put(desk, title=f"Day {day}")
        desk.clock.go(days=1)
    desk.clock.go(hours=5)
    assert [write(desk), write(desk)] == [1, 0]
    [one] = mails(desk)
    assert one.articles == 3
    assert one.since <= START
    assert one.until == datetime(2026, 11, 19, 8, tzinfo=UTC)


def test_clock_set_forward_and_back_loses_nothing(desk):
    """A clock that jumps ten years ahead and back hides no article and repeats none."""
    join(desk)
    ids = [put(desk, title="Before")]
    desk.clock.go(days=3650)
    write(desk)
    ids.append(put(desk, title="In the future"))
    desk.clock.go(days=-3649)
    write(desk)
    ids.append(put(desk, title="Back again"))
    for _day in range(3):
        desk.clock.go(days=1)
        write(desk)
    with desk.archive.reading() as connection:
        covered = [row.article_id for one in mails(desk) for row in outbox.covered(connection, one.id)]
    assert sorted(covered) == ids


def test_wrong_dates_hide_nothing(desk):
    """Articles count when they arrive, whatever date the feed gives them."""
    join(desk)
    put(desk, title="From the future", published=START + timedelta(days=900))
    put(desk, title="From 1999", published=datetime(1999, 1, 1, tzinfo=UTC))
    desk.clock.go(days=1)
    write(desk)
    assert mails(desk)[0].articles == 2


WISHES = [
    (Wants(agreements=("glasgow-2021",)), {"glasgow", "both"}),
    (Wants(clauses=("sunnylands-2023/10",)), {"sunnylands", "both"}),
    (Wants(outlets=("DW",)), {"sunnylands"}),
    (Wants(lang="zh"), {"both"}),
    (Wants(query="forest"), {"words"}),
    (Wants(query="forests OR title:both"), {"words", "both"}),
    (Wants(query="-agreement:glasgow-2021"), {"sunnylands", "words"}),
    (Wants(query="outlet:dw"), {"sunnylands"}),
    (Wants(agreements=("glasgow-2021",), outlets=("DW",)), set()),
    (Wants(), {"glasgow", "sunnylands", "both", "words"}),
]


@pytest.mark.parametrize(("wants", "expected"), WISHES)
def test_filters_are_those_of_search(desk, wants, expected):
    """Agreements, clauses, outlets, languages and words choose what comes; search with the same choice agrees."""
    from aggregator.letters import wanted
    from aggregator.store import search

    put(desk, title="glasgow", clauses=("glasgow-2021/8",))
    put(desk, title="sunnylands", outlet="DW", clauses=("sunnylands-2023/10",))
    put(desk, title="both", lang="zh", clauses=("glasgow-2021/8", "sunnylands-2023/10"))
    put(desk, title="words", text="Forests grow back.", clauses=())
    one = subscribing.subscribe(desk, "r@example.com", "daily 08:00", "UTC", "en", wants, desk.clock())
    value, _subject, _data = preview.preview(desk, one, desk.clock.go(hours=1))
    shown = {story.headline for story in value.stories}
    assert shown == expected
    with desk.archive.reading() as connection:
        found = search.find(connection, wanted(wants, desk.clock(), dict), limit=10).ids
        titles = {article.title for article in articles.fetch(connection, found)}
    assert titles == expected or wants.outlets


def test_query_that_cannot_be_read_is_refused_at_once(desk):
    """A subscriber's query is checked when it is given, not at eight in the morning."""
    with pytest.raises(UsageError, match="bracket"):
        join(desk, wants=Wants(query="(methane"))


def test_nothing_for_an_empty_period_unless_asked(desk):
    """An empty period sends nothing, except to who asked for that."""
    join(desk)
    join(desk, "eager@example.com", empty=True)
    desk.clock.go(days=1)
    write(desk)
    [one] = mails(desk)
    assert one.address == "eager@example.com"
    assert "Nothing was written" in text_of(desk, one)


def test_rejected_and_topical_tags_say_nothing(desk):
    """A tag that an analyst rejected, and one that is only topical, put no article under a clause."""
    from aggregator.model import Relation, Tags

    join(desk, wants=Wants(agreements=("glasgow-2021",)))
    put(desk, title="kept", clauses=("glasgow-2021/8", "glasgow-2021/9"))
    with desk.archive.writing() as connection:
        tags.judge(connection, 1, "glasgow-2021/9", "reject", "not that", None, desk.clock())
        [other] = articles.add(
            connection, [(Article("topical", "", "Only methane here."), "k")], desk.clock(), articles.Texts()
        )
        topical = tag("Only methane here.", "glasgow-2021/10", relation=Relation.TOPICAL)
        tags.put(connection, [(other.id, Tags((), (topical,)))])
    desk.clock.go(days=1)
    write(desk)
    text = text_of(desk, mails(desk)[0])
    assert "glasgow-2021/8" in text
    assert "glasgow-2021/9" not in text
    assert "topical" not in text


def test_digest_that_could_not_leave_goes_into_the_next(desk):
    """A reader whose digest waits when the next is due gets one mail with both, not two."""
    join(desk)
    put(desk, title="First day")
    desk.clock.go(days=1)
    write(desk, sent=False)
    put(desk, title="Second day")
    desk.clock.go(days=1)
    write(desk, sent=False)
    first, second = mails(desk)
    assert (first.state, second.state, second.articles) == ("replaced", "pending", 2)
    assert second.since == first.since


def test_broken_template_holds_everybodys_digest(desk, tmp_path):
    """A mistake in the operator's template pauses nobody: it is said, and the digests leave once it is mended."""
    from aggregator import digest

    (tmp_path / "own").mkdir()
    (tmp_path / "own/digest.txt").write_text("{% if %}")
    broken = replace(desk, renderer=digest.Renderer(tmp_path / "own"))
    for name in ("a", "b"):
        join(desk, f"{name}@example.com")
    put(desk)
    desk.clock.go(days=1)
    [note] = delivery.write_due(broken, desk.clock()).notes
    assert "no digest can be written: the mail template" in note
    assert delivery.write_due(broken, desk.clock.go(seconds=5)).notes == []
    assert one_of(desk, "a@example.com").state == "active"
    desk.clock.go(minutes=10)
    assert write(desk) == 2


# --- what changed -----------------------------------------------------------------------------------------------


def test_clause_covered_for_the_first_time_is_said_once(desk):
    """A clause that was never covered is new in the next digest and in no other."""
    put(desk, clauses=("glasgow-2021/8",))
    desk.clock.go(hours=21)
    join(desk)
    put(desk, clauses=("glasgow-2021/8", "glasgow-2021/9"))
    desk.clock.go(days=1)
    write(desk)
    put(desk, clauses=("glasgow-2021/9",))
    desk.clock.go(days=1)
    write(desk)
    first, second = (text_of(desk, one) for one in mails(desk))
    assert "glasgow-2021/9 is covered for the first time" in first
    assert "glasgow-2021/8 is covered for the first time" not in first
    assert "covered for the first time" not in second


def test_silence_longer_than_ever_is_said_once(desk):
    """A clause that was covered every other day is missed after more than two days, and that is said one time."""
    join(desk)
    said = []
    for day in range(12):
        if day in (0, 2, 4):
            put(desk, clauses=("glasgow-2021/8",))
        put(desk, title=f"Other {day}", clauses=("sunnylands-2023/10",))
        desk.clock.go(days=1)
        write(desk)
        said.append("glasgow-2021/8: silent for" in text_of(desk, mails(desk)[-1]))
    assert said.count(True) == 1
    assert said.index(True) == 6


def test_edited_evidence_is_said_and_a_typo_is_not(desk):
    """An article whose quoted sentence was rewritten is told of; one that changed elsewhere is not."""
    from aggregator.model import Tags

    join(desk)
    quoted, other = put(desk, title="Quoted"), put(desk, title="Other")
    desk.clock.go(days=1)
    write(desk)
    with desk.archive.writing() as connection:
        for identity, text in (
            (quoted, "They talked about methane. More."),
            (other, "Both sides agreed on methane. Less."),
        ):
            value = replace(articles.get(connection, identity), text=text)
            articles.revise(connection, identity, value, f"new{identity}", desk.clock.go(minutes=5), articles.Texts())
            tags.put(connection, [(identity, Tags(("glasgow-2021",), (tag(text),)))])
    desk.clock.go(days=1)
    write(desk)
    text = text_of(desk, mails(desk)[1])
    assert "BBC edited what was quoted for glasgow-2021/8" in text
    assert "was: “Both sides agreed on methane.”" in text
    assert "now: “They talked about methane.”" in text
    assert "Other" not in text


def test_feeds_that_were_down_are_said(desk):
    """An outage in the period stands in a box; one of another time, or of an outlet not asked for, does not."""
    from aggregator.model import Feed, FeedState

    with desk.archive.writing() as connection:
        for name in ("bbc", "dw"):
            feeds.save(connection, Feed(name, (), name.upper(), name.upper()), FeedState(name))
        feeds.note_outage(connection, "bbc", START + timedelta(hours=2), "timeout", "no answer")
        feeds.note_outage(connection, "dw", START - timedelta(days=9), "timeout", "no answer")
        feeds.end_outage(connection, "dw", START - timedelta(days=8))
    join(desk)
    put(desk)
    desk.clock.go(days=1)
    write(desk)
    text, html = text_of(desk, mails(desk)[0]), html_of(desk, mails(desk)[0])
    assert "BBC: no answer since 16 Nov 14:00" in text
    assert "the silence may be ours" in text
    assert "BBC: no answer since" in html
    assert "DW" not in text


def test_coverage_counts_weeks_by_publication(desk):
    """The picture has a cell a week; an article counts in the week of its date."""
    join(desk)
    for weeks in (0, 1, 1, 5):
        put(desk, title=f"{weeks} weeks ago", published=START - timedelta(weeks=weeks))
    put(desk, title="long ago", published=START - timedelta(weeks=99))
    desk.clock.go(days=1)
    write(desk)
    assert "0 0 1 0 0 0 2 2  glasgow-2021/8" in text_of(desk, mails(desk)[0])


# --- subscribing and unsubscribing ------------------------------------------------------------------------------


def test_welcome_says_what_will_come(desk):
    """The mail of welcome names the schedule, the first digest and the ways to stop it."""
    subscribing.subscribe(
        desk, "r@example.com", "weekly mon 08:00", "Asia/Shanghai", "zh", Wants(("glasgow-2021",)), START
    )
    [one] = mails(desk, "welcome")
    text = text_of(desk, one)
    assert "weekly mon 08:00（Asia/Shanghai）" in text
    assert "11月23日 08:00" in text
    assert "格拉斯哥联合宣言" in text
    assert "mailto:operator@example.org?subject=unsubscribe%20" in text


def test_an_address_is_subscribed_once(desk):
    """The same mailbox in other letters is the same subscriber."""
    join(desk, "reader@example.com")
    with pytest.raises(UsageError, match="is subscribed already"):
        join(desk, "Reader@EXAMPLE.com")


def test_unsubscribing_works_at_once_and_twice(desk):
    """The token ends the subscription, takes back what waits, and may be used again; a wrong one does nothing."""
    one = join(desk)
    put(desk)
    desk.clock.go(days=1)
    write(desk, sent=False)
    token = text_of(desk, mails(desk)[0]).rpartition("unsubscribe%20")[2].strip()
    assert opt_out.unsubscribe(desk, token[:-1] + ("0" if token[-1] != "0" else "1")) is None
    assert opt_out.unsubscribe(desk, f"{one.id + 1}{token[1:]}") is None
    assert opt_out.unsubscribe(desk, token).address == one.address
    assert opt_out.unsubscribe(desk, token) is not None
    assert one_of(desk).state == "unsubscribed"
    assert mails(desk)[0].state == "failed"
    put(desk)
    desk.clock.go(days=1)
    assert write(desk) == 0


@pytest.mark.parametrize("token", ["", "-", "1-", "1", "x-y", "1-é", "99999999999999999999-a", "1-" + "a" * 32, "²-a"])
def test_made_up_tokens_are_refused(desk, token):
    """No text that is not a token of ours unsubscribes anybody."""
    join(desk)
    assert opt_out.unsubscribe(desk, token) is None
    assert one_of(desk).state == "active"


def test_pages_change_nothing_on_get(desk):
    """A link that is only opened shows a button; the POST of it, or of the mail program, unsubscribes."""
    desk = replace(desk, public_url="https://news.example.org")
    join(desk)
    put(desk)
    desk.clock.go(days=1)
    write(desk)
    header = body_of(desk, mails(desk)[0])["List-Unsubscribe"]
    path = header.partition(">")[0].partition("example.org")[2]
    page = opt_out.respond(desk, "GET", path, desk.clock())
    assert page.status == 200
    assert '<form method="post">' in page.body
    assert one_of(desk).state == "active"
    assert opt_out.respond(desk, "POST", path, desk.clock()).status == 200
    assert one_of(desk).state == "unsubscribed"
    assert opt_out.respond(desk, "POST", "/unsubscribe/1-" + "0" * 32, desk.clock()).status == 404
    assert opt_out.respond(desk, "PUT", path, desk.clock()).status == 405
    assert opt_out.respond(desk, "GET", "/metrics", desk.clock()) is None


def test_double_opt_in_waits_for_the_reader(desk):
    """With `mail.confirm` nothing is sent before the reader has said yes."""
    desk = replace(desk, confirm=True, public_url="https://news.example.org")
    join(desk)
    put(desk)
    desk.clock.go(days=1)
    assert write(desk) == 0
    text = text_of(desk, mails(desk, "confirm")[0])
    path = text.rpartition("https://news.example.org")[2].split()[0]
    assert opt_out.respond(desk, "GET", path, desk.clock()).status == 200
    assert one_of(desk).state == "unconfirmed"
    assert opt_out.respond(desk, "POST", path, desk.clock()).status == 200
    assert one_of(desk).state == "active"
    assert write(desk) == 1


def test_removing_forgets_every_mail(desk):
    """A removed subscriber leaves no row behind."""
    one = join(desk)
    put(desk)
    desk.clock.go(days=1)
    write(desk)
    with desk.archive.writing() as connection:
        subscribers.remove(connection, one.id)
    with desk.archive.reading() as connection:
        for table in ("subscriber", "digest", "digest_article", "digest_event"):
            assert connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) == 0


# --- size, looking back, scale ----------------------------------------------------------------------------------


def test_a_flood_is_cut_and_counted(desk):
    """Thousands of articles make one mail under 100 kB; what is left out is counted, and a command shows it."""
    join(desk)
    for number in range(30):
        for clause in range(1, 17):
            text = f"Sentence number {number} on clause {clause} with methane and " + "many words " * 20 + ". Rest."
            put(
                desk,
                title=f"Title {number} {'长' * 120}",
                text=text,
                clauses=(f"glasgow-2021/{clause}",),
                outlet=f"Outlet {number}",
                link=f"https://example.org/{'x' * 200}/{number}/{clause}",
            )
    desk.clock.go(days=1)
    write(desk)
    [one] = mails(desk)
    with desk.archive.reading() as connection:
        data, covered = outbox.body(connection, one.id), outbox.covered(connection, one.id)
    left_out = sum(not row.shown for row in covered)
    assert len(data) < 100_000
    assert (len(covered), left_out > 0) == (480, True)
    text = text_of(desk, one)
    assert f"{left_out} articles are not listed" in text
    assert f"aggregator digest replay {delivery.reference(one.message_id)} --all" in text
    assert all(f"glasgow-2021/{clause} " in text for clause in range(1, 17))
    assert preview.whole(desk, one).omitted == 0


def test_link_to_the_whole_digest(desk):
    """With a public address the mail links to a page with everything in it; nobody can make such a link up."""
    desk = replace(desk, public_url="https://news.example.org", limit=9000)
    join(desk)
    for number in range(60):
        put(desk, title=f"Title number {number}")
    desk.clock.go(days=1)
    write(desk)
    [one] = mails(desk)
    html = html_of(desk, one) if body_of(desk, one).is_multipart() else text_of(desk, one)
    path = html.partition("https://news.example.org/digest/")[2].split('"')[0].split()[0]
    page = opt_out.respond(desk, "GET", f"/digest/{path}", desk.clock())
    assert page.status == 200
    assert all(f"Title number {number}<" in page.body for number in range(60))
    assert "script" not in page.headers["Content-Security-Policy"]
    wrong = path[:-1] + ("0" if path[-1] != "0" else "1")
    assert opt_out.respond(desk, "GET", f"/digest/{wrong}", desk.clock()).status == 404


def test_why_answers_for_every_article(desk):
    """Why an article was or was not in a digest is said for each case."""
    put(desk, title="too early")
    desk.clock.go(days=1)
    join(desk, wants=Wants(agreements=("glasgow-2021",)))
    inside, other = put(desk, title="inside"), put(desk, title="other", clauses=("sunnylands-2023/10",))
    desk.clock.go(days=1)
    write(desk)
    late = put(desk, title="late")
    [one] = mails(desk)

    def why(article):
        return preview.why(desk, one, article, desk.clock())

    assert "was named in it: it matched glasgow-2021/8" in why(inside)
    assert "arrived before" in why(1)
    assert "arrived after" in why(late)
    assert "not what was asked for (agreement Joint Glasgow Declaration)" in why(other)
    assert "not in the archive" in why(999)


def test_two_processes_write_one_digest(desk):
    """Eight threads with their own connections write each subscriber's digest once."""
    for number in range(6):
        join(desk, f"r{number}@example.com")
    put(desk)
    now = desk.clock.go(days=1)
    threads = [threading.Thread(target=delivery.write_due, args=(desk, now)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.address for one in mails(desk)) == [f"r{number}@example.com" for number in range(6)]


@pytest.mark.parametrize("older", [0, 400])
def test_work_grows_with_subscribers_not_with_the_archive(desk, older):
    """Statements a digest: the same for ten subscribers and for forty, in a small archive and in a larger one."""
    for number in range(older):
        put(desk, title=f"Old {number}")
    desk.clock.go(days=2)

    def statements(count, domain):
        for number in range(count):
            join(desk, f"r{number}@{domain}", wants=Wants(query=f"word{number % 7} OR methane"))
        put(desk)
        seen = []

        def note(_connection, _cursor, statement, *_more):
            seen.append(statement)

        engine = desk.archive._engine
        sa.event.listen(engine, "before_cursor_execute", note)
        desk.clock.go(days=1)
        written = write(desk)
        sa.event.remove(engine, "before_cursor_execute", note)
        with desk.archive.writing() as connection:
            for one in subscribers.every(connection):
                subscribers.remove(connection, one.id)
        assert written == count
        return len(seen)

    ten, forty = statements(10, "a.example"), statements(40, "b.example")
    assert (forty - ten) / 30 <= 16
    assert ten <= 10 * 16 + 40
