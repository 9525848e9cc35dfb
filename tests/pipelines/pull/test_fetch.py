"""Fetching one user from the sandbox: what is listed since the cursor, and what the next cursor is."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import structlog

from pipelines.flickr import client as flickr_module
from pipelines.flickr.client import open_flickr
from pipelines.plan.planner import history_rate, observe
from pipelines.pull import fetch
from pipelines.pull.cursors import Cursor
from pipelines.pull.fetch import OVERLAP, Fetcher
from tests.pipelines.pull.conftest import LIST_FAVORITES, moment, rows


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
