"""Fetching many users from the sandbox: what is listed since the cursor, and what of it fails for whom."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import structlog

from pipelines.flickr import client as flickr_module
from pipelines.flickr.client import (
    FlickrRefusedError,
    FlickrUnavailableError,
    KeyInvalidError,
    TokenInvalidError,
    UserNotFoundError,
    open_flickr,
)
from pipelines.plan.planner import history_rate, observe
from pipelines.pull import fetch, sweep
from pipelines.pull.cursors import Cursor
from pipelines.pull.fetch import OVERLAP, Fetched, Fetcher
from pipelines.pull.sweep import Window

ATTEMPTS = 3  # the fixture sandbox_settings'
LIST_FAVORITES = "flickr.favorites.getPublicList"
LIST_CONTACTS = "flickr.contacts.getPublicList"


@pytest.fixture
def fetcher(flickr) -> Fetcher:
    return Fetcher(flickr, 50_000)


def rows(fetched: Fetched) -> list[tuple[str, str, int]]:
    listing = fetched.listing
    return list(zip(listing.photo_ids, listing.owner_ids, listing.faved_at, strict=True))


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# One user.


def test_a_user_without_a_cursor_is_fetched_whole(sandbox, fetcher, avid):
    before = datetime.now(UTC)
    fetched = fetcher.fetch(avid, None, contacts=False)
    expected = sandbox.listed(avid)
    assert rows(fetched) == expected
    assert fetched.listing.user_id == avid
    assert fetched.listing.contacts is None
    observed_at = fetched.listing.observed_at
    assert before <= observed_at <= datetime.now(UTC)
    rate = history_rate(np.array([seconds for _, _, seconds in expected]), observed_at)
    assert fetched.cursor == Cursor(
        avid,
        newest_faved_at=moment(expected[0][2]),
        favorites_pulled_at=observed_at,
        favorites=len(expected),
        sweep_moved_at=observed_at,
        rate_favorites=rate[0],
        rate_days=rate[1],
    )


def test_contacts_come_with_it_when_asked_for(fetcher, world, avid):
    row = world.user_ids.index(avid)
    fetched = fetcher.fetch(avid, None, contacts=True)
    followed = world.contacts.indices[world.contacts.indptr[row] : world.contacts.indptr[row + 1]]
    assert {contact.user_id for contact in fetched.listing.contacts} == {world.user_ids[n] for n in followed}
    assert fetched.cursor.contacts_pulled_at >= fetched.cursor.favorites_pulled_at == fetched.listing.observed_at
    assert fetched.favorites


def test_contacts_pulled_earlier_keep_their_time(fetcher, avid):
    earlier = datetime(2026, 1, 1, tzinfo=UTC)
    fetched = fetcher.fetch(avid, Cursor(avid, contacts_pulled_at=earlier), contacts=False)
    assert fetched.cursor.contacts_pulled_at == earlier


def test_a_cursor_leaves_out_what_is_older_than_a_day_before_it(sandbox, fetcher, avid):
    everything = sandbox.listed(avid)
    cursor = Cursor(avid, newest_faved_at=moment(everything[30][2]))
    since = (cursor.newest_faved_at - OVERLAP).timestamp()
    expected = [row for row in everything if row[2] >= since]
    assert 30 < len(expected) < len(everything)
    fetched = fetcher.fetch(avid, cursor, contacts=False)
    assert rows(fetched) == expected
    assert fetched.cursor.newest_faved_at == moment(everything[0][2])


def test_a_favorite_that_shows_up_late_is_within_the_overlap(sandbox, sandbox_settings, fetcher, world):
    me = world.user_ids[-3]
    newest = sandbox.listed(me)[0][2]
    # It is favored at an earlier second than the newest one that was listed before.
    sandbox.clock(moment(newest - 3600).isoformat())
    signed = open_flickr(sandbox_settings, sandbox.token(me))
    taken = {world.photo_ids[n] for n in world.favorites.photo[world.favorites.user == world.user_ids.index(me)]}
    uploaded = np.flatnonzero(world.photo_uploaded_at < newest - 3600)
    late = next(
        world.photo_ids[n]
        for n in uploaded
        if world.photo_ids[n] not in taken and world.user_ids[world.photo_owner[n]] != me
    )
    signed.add_favorite(late)
    sandbox.clock(world.config.end.isoformat())
    try:
        assert late in fetcher.fetch(me, Cursor(me, moment(newest)), contacts=False).listing.photo_ids
    finally:
        signed.remove_favorite(late)


@pytest.mark.parametrize(("ahead", "nothing_listed"), [(timedelta(hours=1), False), (timedelta(days=400), True)])
def test_a_cursor_does_not_go_back(sandbox, fetcher, avid, ahead, nothing_listed):
    later = moment(sandbox.listed(avid)[0][2]) + ahead
    fetched = fetcher.fetch(avid, Cursor(avid, later), contacts=False)
    assert (rows(fetched) == []) == nothing_listed
    assert fetched.cursor.newest_faved_at == later
    assert fetched.cursor.favorites_pulled_at == fetched.listing.observed_at


@pytest.mark.parametrize("most", [1, 25, 30])
def test_no_more_favorites_are_kept_than_allowed_and_these_are_the_newest(sandbox, flickr, avid, monkeypatch, most):
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", 10)
    expected = sandbox.listed(avid)[:most]
    before = sandbox.calls(LIST_FAVORITES)
    assert rows(Fetcher(flickr, most).fetch(avid, None, contacts=False)) == expected
    assert sandbox.calls(LIST_FAVORITES) == before + -(-most // 10)


def test_pages_that_overlap_list_a_photo_once(sandbox, flickr, sandbox_settings, world, monkeypatch):
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", 5)
    me = world.user_ids[-3]
    expected = [row[0] for row in sandbox.listed(me)]
    taken = {world.photo_ids[n] for n in world.favorites.photo[world.favorites.user == world.user_ids.index(me)]}
    signed = open_flickr(sandbox_settings, sandbox.token(me))
    added = next(row[0] for row in sandbox.listed(world.user_ids[0]) if row[0] not in taken and row[1] != me)
    favorites = flickr.favorites

    def favorites_that_move(user_id, since=None):
        """A favorite is made after the first page: the last of it is the first of the second."""
        for number, page in enumerate(favorites(user_id, since=since)):
            if number == 0:
                signed.add_favorite(added)
            yield page

    monkeypatch.setattr(flickr, "favorites", favorites_that_move)
    try:
        assert Fetcher(flickr, 50_000).fetch(me, None, contacts=False).listing.photo_ids == expected
    finally:
        signed.remove_favorite(added)


def test_a_list_that_was_cut_says_so_and_notes_from_where_on_it_is_kept(sandbox, flickr, avid, monkeypatch):
    logs = structlog.testing.LogCapture()
    monkeypatch.setattr(fetch, "logger", structlog.wrap_logger(None, processors=[logs]))
    cursor = Fetcher(flickr, 25).fetch_favorites(avid, None).cursor
    expected = sandbox.listed(avid)
    assert cursor.oldest_faved_at == moment(expected[24][2])
    assert cursor.favorites == 25
    told = [entry for entry in logs.entries if entry["event"] == "favorites_capped"]
    assert [(entry["user_id"], entry["kept"]) for entry in told] == [(avid, 25)]


def test_of_a_list_that_was_cut_nothing_older_is_kept_later(sandbox, flickr, avid):
    expected = sandbox.listed(avid)
    place = next(place for place in range(30, 200) if expected[place][2] < expected[place - 1][2])
    cursor = Cursor(avid, newest_faved_at=moment(expected[5][2]), oldest_faved_at=moment(expected[place - 1][2]))
    since = dataclasses.replace(cursor, newest_faved_at=moment(expected[place + 5][2]))
    fetched = Fetcher(flickr, 50_000).fetch_favorites(avid, since)
    assert rows(fetched) == expected[:place]
    assert fetched.cursor.oldest_faved_at == cursor.oldest_faved_at


def test_a_refresh_counts_what_is_new_and_observes_the_rate(sandbox, fetcher, avid):
    everything = sandbox.listed(avid)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    cursor = Cursor(
        avid,
        newest_faved_at=moment(everything[7][2]),
        favorites_pulled_at=yesterday,
        favorites=100,
        rate_favorites=30.0,
        rate_days=20.0,
    )
    new = sum(seconds > everything[7][2] for _, _, seconds in everything)
    moved = fetcher.fetch_favorites(avid, cursor).cursor
    days = (moved.favorites_pulled_at - yesterday).total_seconds() / 86_400
    assert moved.favorites == 100 + new
    assert (moved.rate_favorites, moved.rate_days) == observe(30.0, 20.0, new, days)


def test_a_favorite_dated_in_the_future_does_not_hide_those_made_until_then(sandbox, flickr, avid, monkeypatch):
    favorites = flickr.favorites

    def favorites_of_tomorrow(user_id, since=None):
        for page in favorites(user_id, since=since):
            tomorrow = int((datetime.now(UTC) + timedelta(days=400)).timestamp())
            yield dataclasses.replace(page, faved_at=[tomorrow, *page.faved_at[1:]])

    monkeypatch.setattr(flickr, "favorites", favorites_of_tomorrow)
    fetched = Fetcher(flickr, 50_000).fetch_favorites(avid, None)
    assert fetched.listing.photo_ids[0] == sandbox.listed(avid)[0][0]
    assert fetched.cursor.newest_faved_at == fetched.listing.observed_at


def test_entries_that_can_not_be_used_come_with_the_listing(sandbox, fetcher, avid):
    sandbox.faults({"kind": "bad_entry", "times": 1})
    listing = fetcher.fetch_favorites(avid, None).listing
    expected = sandbox.listed(avid)
    assert list(listing.photo_ids) == [row[0] for row in expected[1:]]
    (rejected,) = listing.rejected
    assert rejected.reason == "owner is missing"
    assert expected[0][0] in rejected.payload


def test_a_fetch_stops_between_pages_when_it_is_told_to(sandbox, flickr, avid, monkeypatch):
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", 10)
    before = sandbox.calls(LIST_FAVORITES)
    looks = itertools.count(1)

    def stop_at_the_third() -> None:
        if next(looks) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        Fetcher(flickr, 50_000).fetch_favorites(avid, None, stop_at_the_third)
    assert sandbox.calls(LIST_FAVORITES) - before == 3


# Contacts alone.


def test_contacts_alone_leave_the_favorites_of_the_cursor(fetcher, avid):
    cursor = Cursor(avid, favorites_pulled_at=datetime(2026, 1, 1, tzinfo=UTC), favorites=7)
    fetched = fetcher.fetch_contacts(avid, cursor)
    assert fetched.cursor == dataclasses.replace(cursor, contacts_pulled_at=fetched.listing.observed_at)
    assert (fetched.favorites, list(fetched.listing.photo_ids), fetched.listing.person) == (False, [], None)


def test_with_the_contacts_of_somebody_who_waits_comes_who_it_is(sandbox, fetcher, world, avid):
    person = fetcher.fetch_contacts(avid, None, person=True).listing.person
    assert (person.user_id, person.name) == (avid, world.user_names[world.user_ids.index(avid)])


# The sweep.

SWEEP_DAYS = 30.0
SMALL_PAGE = 40
"""More than the user favors in a day."""


@pytest.fixture
def small_pages(monkeypatch) -> None:
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", SMALL_PAGE)
    monkeypatch.setattr(sweep, "PAGE", SMALL_PAGE)


@pytest.fixture
def sweeping(flickr, small_pages) -> Fetcher:
    return Fetcher(flickr, 50_000, SWEEP_DAYS)


def pulled(everything, **changes: object) -> Cursor:
    """The cursor of somebody all of whose favorites are pulled, and whose next page of the sweep is due."""
    long_ago = datetime.now(UTC) - timedelta(days=SWEEP_DAYS)
    made = Cursor(
        "", moment(everything[0][2]), long_ago, favorites=len(everything), sweep_moved_at=long_ago, rate_days=1.0
    )
    return dataclasses.replace(made, **changes)


def test_a_page_of_the_sweep_that_reaches_behind_the_cursor_takes_the_place_of_the_listing(sandbox, sweeping, avid):
    everything = sandbox.listed(avid)
    cursor = pulled(everything, user_id=avid)
    assert everything[SMALL_PAGE - 1][2] < (cursor.newest_faved_at - OVERLAP).timestamp()
    before = sandbox.calls(LIST_FAVORITES)
    fetched = sweeping.fetch_favorites(avid, cursor)
    assert sandbox.calls(LIST_FAVORITES) - before == 1
    assert rows(fetched) == everything[:SMALL_PAGE]
    end = moment(everything[SMALL_PAGE - 1][2]) + sweep.EDGE
    assert fetched.listing.window == Window(end, fetched.listing.observed_at)
    moved = fetched.cursor
    assert (moved.sweep_until, moved.sweep_moved_at, moved.swept_at) == (end, fetched.listing.observed_at, None)


def test_a_page_further_back_costs_one_call_beside_the_listing(sandbox, sweeping, avid):
    everything = sandbox.listed(avid)
    until = moment(everything[50][2])
    before = sandbox.calls(LIST_FAVORITES)
    fetched = sweeping.fetch_favorites(avid, pulled(everything, user_id=avid, sweep_until=until))
    assert sandbox.calls(LIST_FAVORITES) - before == 2
    recent = [row for row in everything if row[2] >= everything[0][2] - OVERLAP.total_seconds()]
    page = [row for row in everything if row[2] <= everything[50][2]][:SMALL_PAGE]
    assert rows(fetched) == recent + page
    assert fetched.listing.window == Window(moment(page[-1][2]) + sweep.EDGE, until)
    assert fetched.cursor.favorites == len(everything)


def test_a_page_that_is_not_due_is_not_asked_for(sandbox, sweeping, avid):
    everything = sandbox.listed(avid)
    recently = datetime.now(UTC) - timedelta(hours=1)
    before = sandbox.calls(LIST_FAVORITES)
    cursor = pulled(everything, user_id=avid, sweep_until=recently, sweep_moved_at=recently)
    fetched = sweeping.fetch_favorites(avid, cursor)
    assert sandbox.calls(LIST_FAVORITES) - before == 1
    assert fetched.listing.window is None
    assert (fetched.cursor.sweep_until, fetched.cursor.sweep_moved_at) == (recently, recently)


def test_the_first_look_at_somebody_sees_everything_and_needs_no_sweep(sandbox, sweeping, avid):
    fetched = sweeping.fetch_favorites(avid, None)
    assert fetched.listing.window is None
    assert fetched.cursor.sweep_moved_at == fetched.listing.observed_at


def test_refresh_by_refresh_every_favorite_is_looked_at_again_and_what_is_gone_is_missing(sandbox, sweeping, avid):
    everything = sandbox.listed(avid)
    gone = {everything[place][0] for place in (3, 57, 120, len(everything) - 1)}
    sandbox.put("/sandbox/gone", {"photos": sorted(gone), "users": []}).raise_for_status()
    try:
        cursor, missing, refreshes = pulled(everything, user_id=avid), Counter(), 0
        while cursor.swept_at is None:
            refreshes += 1
            fetched = sweeping.fetch_favorites(avid, cursor)
            window, listed = fetched.listing.window, set(fetched.listing.photo_ids)
            after = datetime.min.replace(tzinfo=UTC) if window.after is None else window.after
            missing.update(
                photo for photo, _, at in everything if after < moment(at) <= window.until and photo not in listed
            )
            cursor = dataclasses.replace(fetched.cursor, sweep_moved_at=datetime.now(UTC) - timedelta(days=SWEEP_DAYS))
    finally:
        sandbox.put("/sandbox/gone", {"photos": [], "users": []}).raise_for_status()
    assert missing == Counter(gone)
    assert refreshes <= len(everything) // (SMALL_PAGE - 1) + 2
    assert (cursor.sweep_until, cursor.swept_at) == (None, fetched.listing.observed_at)
    assert cursor.favorites == len(everything) - len(gone)


# Many users.


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
