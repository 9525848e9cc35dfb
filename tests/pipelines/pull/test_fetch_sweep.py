"""Fetching a page of the sweep with a refresh: at most one more call, and in the end every favorite was looked at."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.flickr import client as flickr_module
from pipelines.pull import sweep
from pipelines.pull.cursors import Cursor
from pipelines.pull.fetch import OVERLAP, Fetcher
from pipelines.pull.sweep import Window
from tests.pipelines.pull.conftest import LIST_FAVORITES, moment, rows

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
