"""A feed's books: where it is asked, with what, when again, and what a failure or a redirect changes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aggregator import turn
from aggregator.errors import FetchError, ParseError
from aggregator.model import Feed, FeedState, Fetched, PollReport, PollStatus, Validators

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
URL = "https://news.example/feed"
FEED = Feed("f", (URL,), "F", "F")
DAY = timedelta(days=1)


def answered(
    state: FeedState, now: datetime = NOW, *, feed: Feed = FEED, new: int = 0, url: str = URL, **answer
) -> FeedState:
    """The state after an answer; `ttl` belongs to the document, the rest to the response."""
    ttl = answer.pop("ttl", None)
    fetched = Fetched(url, answer.pop("status", 200), b"", **answer)
    outcome = turn.Outcome(PollStatus.OK, url=url, fetched=fetched, body_sha256="x", ttl=ttl)
    report = PollReport("f", PollStatus.OK, new=new, unchanged=20 - new)
    after = turn.after(feed, state, outcome, report, now)
    json.dumps(dict(after.extra))  # it is stored as JSON
    return after


def failed(state: FeedState, now: datetime = NOW, *, feed: Feed = FEED, kind: str = "http", **more) -> FeedState:
    """The state after a failure."""
    outcome = turn.failure(FetchError("news.example answered 503.", kind, **more))
    return turn.after(feed, state, outcome, PollReport("f", outcome.status, error=outcome.error), now)


def test_success_forgets_failures():
    """After an answer nothing is left of the failures before, and the feed is due after its interval."""
    state = answered(failed(failed(FeedState("f"))), new=3)
    assert (state.failures, state.failing_since, state.last_error, state.not_before) == (0, None, None, None)
    assert state.last_success == state.last_new == NOW
    assert timedelta(minutes=28) <= state.next_due - NOW <= timedelta(minutes=30)
    assert answered(state, NOW + DAY).last_new == NOW


def test_failure_keeps_what_is_known():
    """A failure counts and waits; validators and everything learned stay."""
    before = answered(FeedState("f"), validators=Validators('"1"', "x"), new=1)
    state = failed(failed(before, NOW + DAY), NOW + 2 * DAY)
    assert (state.failures, state.failing_since) == (2, NOW + DAY)
    assert (state.validators, state.body_sha256, state.last_success) == (Validators('"1"', "x"), "x", NOW)
    assert state.extra["from"] == URL


def test_retry_after_is_waited_for():
    """A feed that was told to wait is due no earlier, and is skipped even by hand."""
    state = failed(FeedState("f"), retry_after=timedelta(hours=20), code=503)
    assert state.next_due >= state.not_before == NOW + timedelta(hours=20)
    outcome = turn.skipped(FEED, state, NOW + timedelta(hours=19))
    assert outcome
    assert outcome.status is PollStatus.SKIPPED
    assert "--force" in (outcome.error or "")
    assert turn.skipped(FEED, state, NOW + timedelta(hours=21)) is None
    assert turn.after(FEED, state, outcome, PollReport("f", PollStatus.SKIPPED), NOW) == state


@pytest.mark.parametrize(
    ("answer", "least", "most"),
    [
        ({"max_age": timedelta(hours=1)}, timedelta(hours=1), timedelta(hours=1)),
        ({"ttl": timedelta(hours=3)}, timedelta(hours=3), timedelta(hours=3)),
        ({"ttl": timedelta(days=365)}, DAY, DAY),
        ({"ttl": timedelta(seconds=1)}, timedelta(minutes=28), timedelta(minutes=30)),
        ({"retry_after": timedelta(hours=2)}, timedelta(hours=2), timedelta(hours=2)),
    ],
)
def test_what_a_server_wishes(answer, least, most):
    """`max-age`, `<ttl>` and Retry-After lengthen the wait within the feed's bounds and never shorten it."""
    due = answered(FeedState("f"), **answer).next_due
    assert due
    assert least <= due - NOW <= most


def test_a_ttl_holds_while_nothing_changes():
    """The document's own rhythm is remembered over answers that bring no document."""
    state = answered(FeedState("f"), ttl=timedelta(hours=3))
    again = answered(state, NOW + timedelta(hours=3), status=304)
    assert again.next_due
    assert again.next_due - NOW >= timedelta(hours=6)


def test_410_retires_a_feed_until_it_has_another_address():
    """A feed that is gone is neither due nor asked; a new URL in feeds.yaml revives it."""
    state = failed(FeedState("f"), kind="gone", code=410)
    assert state.gone
    assert state.next_due is None
    assert turn.due([FEED], {"f": state}, NOW + 99 * DAY) == []
    outcome = turn.skipped(FEED, state, NOW)
    assert outcome
    assert outcome.status is PollStatus.GONE
    assert turn.after(FEED, state, outcome, PollReport("f", PollStatus.GONE), NOW + DAY) == state
    moved = replace(FEED, urls=("https://new.example/feed",))
    assert turn.due([moved], {"f": state}, NOW) == [moved]
    assert turn.skipped(moved, state, NOW) is None
    assert not answered(state, feed=moved, url=moved.urls[0]).gone


def test_gone_only_when_every_address_is():
    """Of several failures the one that is not `gone` is told."""
    gone, other = FetchError("a", "gone"), FetchError("b", "timeout")
    assert turn.telling([gone, other]) is other
    assert turn.telling([gone, gone]) is gone
    assert turn.failure(ParseError("no feed")).status is PollStatus.FAILED
    assert turn.failure(FetchError("later", "wait")).status is PollStatus.SKIPPED


def redirected(times: list[datetime], target: str = "https://new.example/feed") -> FeedState:
    """A feed whose address answered with a permanent redirect at these times."""
    state = FeedState("f")
    for now in times:
        state = answered(state, now, permanent_url=target)
    return state


def test_a_permanent_redirect_settles_slowly():
    """It takes three polls and a day; then the new address is asked first and the old one after it."""
    new = "https://new.example/feed"
    assert turn.addresses(FEED, redirected([NOW, NOW + DAY])) == (URL,)
    assert turn.addresses(FEED, redirected([NOW + timedelta(minutes=n) for n in range(9)])) == (URL,)
    settled = redirected([NOW, NOW + DAY / 2, NOW + DAY])
    assert turn.addresses(FEED, settled) == (new, URL)
    kept = answered(settled, NOW + 2 * DAY, url=new)
    assert turn.addresses(FEED, kept) == (new, URL)
    assert "active" not in kept.extra


def test_a_permanent_redirect_that_does_not_last():
    """Another target begins the count anew; a plain answer from the old place ends it."""
    state = redirected([NOW, NOW + DAY / 2])
    other = answered(state, NOW + DAY, permanent_url="https://third.example/feed")
    assert turn.addresses(FEED, other) == (URL,)
    assert other.extra["moved"]["seen"] == 1
    assert "moved" not in answered(state, NOW + DAY).extra


def test_several_addresses():
    """They are tried in order; one that answers alone for a while comes first, the order is tried now and then."""
    feed = replace(FEED, urls=(URL, "https://mirror.example/feed"))
    state, orders = FeedState("f"), []
    for number in range(9):
        orders.append(turn.addresses(feed, state)[0])
        state = answered(state, NOW + number * DAY, feed=feed, url="https://mirror.example/feed")
    assert orders == [URL] * 3 + ["https://mirror.example/feed"] * 5 + [URL]
    assert state.extra["active"]["since"] == NOW.isoformat()
    assert "active" not in answered(state, feed=feed).extra


def test_validators_belong_to_their_address():
    """They go back to the address that gave them, and are left out when only 304 came for a week."""
    state = answered(FeedState("f"), validators=Validators('"1"'))
    assert turn.validators_for(URL, state) == Validators('"1"')
    assert turn.validators_for("https://mirror.example/feed", state) == Validators()
    for day in range(1, 9):
        state = answered(state, NOW + day * DAY, status=304, validators=Validators('"1"'))
    assert turn.validators_for(URL, state) == Validators()
    assert turn.validators_for(URL, answered(state, NOW + 9 * DAY, validators=Validators('"1"'))) == Validators('"1"')


def test_due():
    """New feeds, due ones, and those whose clock went wrong are due; those without an address are not."""
    waiting = FeedState("f", next_due=NOW + DAY, last_poll=NOW)
    assert turn.due([FEED], {}, NOW) == [FEED]
    assert turn.due([FEED], {"f": waiting}, NOW) == []
    assert turn.due([FEED], {"f": waiting}, NOW + DAY) == [FEED]
    assert turn.due([FEED], {"f": replace(waiting, last_poll=NOW + 9 * DAY)}, NOW) == [FEED]
    needy = replace(FEED, urls=(), needs="needs an RSSHub instance")
    assert turn.due([needy], {}, NOW) == []
    outcome = turn.skipped(needy, FeedState("f"), NOW)
    assert outcome
    assert (outcome.status, outcome.error) == (PollStatus.SKIPPED, "needs an RSSHub instance")


def test_hosts_take_turns():
    """Feeds of one host are spread among the others; none is lost."""
    feeds = [Feed(str(n), (f"https://{host}/{n}",), "", "") for n, host in enumerate("aaaabbc")]
    order = [feed.urls[0][8] for feed in turn.interleaved(feeds)]
    assert "".join(order) == "abcabaa"
