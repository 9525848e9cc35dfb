"""Fetching many users at once: one outcome for each, whatever fails for whom, and each photo once."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from pipelines.flickr.client import (
    FlickrRefusedError,
    FlickrUnavailableError,
    KeyInvalidError,
    TokenInvalidError,
    UserNotFoundError,
)
from pipelines.pull.cursors import Cursor
from pipelines.pull.fetch import Fetched, Fetcher
from tests.pipelines.pull.conftest import LIST_FAVORITES, moment, rows

ATTEMPTS = 3  # the fixture sandbox_settings'


def fetch_all(fetcher: Fetcher, users: list[str], concurrency: int = 4):
    try:
        return dict(fetcher.fetch_all(users, {}, concurrency, contacts=False))
    finally:
        wait_for_the_last_answers()


def wait_for_the_last_answers() -> None:
    """What was under way when a fetch ended ends too, before another test counts calls."""
    for thread in threading.enumerate():
        if thread.name.startswith("fetch"):
            thread.join()


def test_every_user_has_one_outcome(sandbox, fetcher, world):
    users = world.user_ids[:30]
    pairs = list(fetcher.fetch_all(users, {}, 4, contacts=False))
    assert Counter(user_id for user_id, _ in pairs) == Counter(users)
    assert {user_id: rows(fetched) for user_id, fetched in pairs} == {user: sandbox.listed(user) for user in users}


def test_each_user_is_fetched_since_the_own_cursor(sandbox, fetcher, world, avid):
    other = world.user_ids[0]
    cursors = {avid: Cursor(avid, moment(sandbox.listed(avid)[5][2]))}
    fetched = dict(fetcher.fetch_all([avid, other], cursors, 2, contacts=False))
    assert len(rows(fetched[avid])) < len(sandbox.listed(avid))
    assert rows(fetched[other]) == sandbox.listed(other)


def test_nobody_to_fetch_costs_no_call(sandbox, fetcher):
    before = sandbox.get("/sandbox/calls")["total"]
    assert fetch_all(fetcher, []) == {}
    assert sandbox.get("/sandbox/calls")["total"] == before


def test_a_user_whom_flickr_does_not_know_is_an_outcome_and_the_others_go_on(sandbox, fetcher, world):
    users = [*world.user_ids[:5], "1@N00", *world.user_ids[5:10], "2@N00"]
    outcomes = fetch_all(fetcher, users)
    assert {user for user, outcome in outcomes.items() if isinstance(outcome, UserNotFoundError)} == {"1@N00", "2@N00"}
    assert sum(isinstance(outcome, Fetched) for outcome in outcomes.values()) == 10


def test_a_user_whom_flickr_refuses_is_an_outcome(sandbox, fetcher, world):
    sandbox.faults({"kind": "fail", "code": 7, "times": 1})
    outcomes = fetch_all(fetcher, world.user_ids[:6])
    assert [type(outcome) for outcome in outcomes.values()].count(FlickrRefusedError) == 1


def test_more_missing_users_than_are_asked_at_once_are_no_outage(fetcher):
    outcomes = fetch_all(fetcher, [f"{number}@N00" for number in range(12)], concurrency=2)
    assert {type(outcome) for outcome in outcomes.values()} == {UserNotFoundError}


def test_a_user_for_whom_flickr_fails_now_and_then_is_an_outcome(sandbox, fetcher, world):
    sandbox.faults({"kind": "bad_gateway", "times": ATTEMPTS})
    outcomes = fetch_all(fetcher, world.user_ids[:5], concurrency=1)
    assert [type(outcome) for outcome in outcomes.values()] == [FlickrUnavailableError, *[Fetched] * 4]


def test_when_flickr_fails_for_more_users_in_a_row_than_are_asked_at_once_it_is_down(sandbox, fetcher, world):
    sandbox.faults({"kind": "bad_gateway"})
    before = sandbox.calls(LIST_FAVORITES)
    with pytest.raises(FlickrUnavailableError, match="HTTP 502"):
        fetch_all(fetcher, world.user_ids, concurrency=3)
    assert sandbox.calls(LIST_FAVORITES) - before <= 4 * 3 * ATTEMPTS


def test_failures_with_other_outcomes_between_them_are_no_outage(flickr, world, monkeypatch):
    users = [user for number in range(4) for user in (world.user_ids[number], f"{number}@N00", f"failing {number}")]
    favorites = flickr.favorites

    def some_fail(user_id, since=None):
        if user_id.startswith("failing"):
            raise FlickrUnavailableError("Flickr answered HTTP 502")
        return favorites(user_id, since=since)

    monkeypatch.setattr(flickr, "favorites", some_fail)
    outcomes = fetch_all(Fetcher(flickr, 50_000), users, concurrency=1)
    assert [type(outcomes[user]) for user in users] == [Fetched, UserNotFoundError, FlickrUnavailableError] * 4


@pytest.mark.parametrize(("code", "kind"), [(98, TokenInvalidError), (100, KeyInvalidError)])
def test_what_concerns_every_call_is_raised_at_once(sandbox, fetcher, world, code, kind):
    sandbox.faults({"kind": "fail", "code": code})
    before = sandbox.calls(LIST_FAVORITES)
    with pytest.raises(kind):
        fetch_all(fetcher, world.user_ids, concurrency=2)
    assert sandbox.calls(LIST_FAVORITES) - before <= 8


def test_closing_it_stops_asking(sandbox, fetcher, world):
    before = sandbox.calls(LIST_FAVORITES)
    outcomes = fetcher.fetch_all(world.user_ids, {}, 2, contacts=False)
    next(outcomes)
    outcomes.close()
    wait_for_the_last_answers()
    assert sandbox.calls(LIST_FAVORITES) - before <= 4


# Details of photos.


def test_each_photo_is_read_once_however_many_favor_it(sandbox, fetcher, world):
    users = world.user_ids[:30]
    listed = {row[0] for user in users for row in sandbox.listed(user)}
    fetch_all(fetcher, users)
    assert Counter(photo.photo_id for photo in fetcher.take_details()) == Counter(listed)
    assert fetcher.take_details() == []


def test_the_photos_of_a_listing_are_taken_with_it_or_were_before(fetcher, world):
    taken: set[str] = set()
    for _, fetched in fetcher.fetch_all(world.user_ids, {}, 4, contacts=False):
        taken |= {photo.photo_id for photo in fetcher.take_details()}
        assert set(fetched.listing.photo_ids) <= taken
