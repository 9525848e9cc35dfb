"""The sandbox's time: the real one, or one that stands still until it is set and brings what happens by then."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidInputError
from pipelines.sandbox.clock import Clock, parse_time
from pipelines.sandbox.world import NEVER


def at(seconds):
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()


def photos_of(sandbox, user_id):
    return [photo for photo, _, _ in sandbox.listed(user_id)]


def test_the_time_is_the_real_one_unless_it_is_stopped(sandbox):
    answer = sandbox.get("/sandbox/clock")
    assert answer["clock"] == "live"
    assert abs(answer["now"] - time.time()) < 5


def test_a_stopped_time_stands_still(sandbox, world):
    sandbox.clock("2026-11-24T12:00:00")
    first = sandbox.get("/sandbox/clock")
    time.sleep(1.1)
    assert sandbox.get("/sandbox/clock") == first
    assert first == {"clock": "2026-11-24T12:00:00+00:00", "now": 1_795_521_600}


def test_time_brings_new_favorites(sandbox, world, favorites_at, most_active):
    user_id = world.user_ids[most_active]
    sandbox.clock(world.config.end.isoformat())
    before = photos_of(sandbox, user_id)
    moment = world.config.end + timedelta(days=30)
    sandbox.clock(moment.isoformat())
    after = sandbox.listed(user_id)
    assert [(photo, str(faved)) for photo, _, faved in after] == favorites_at(most_active, moment.timestamp())
    assert {photo for photo, _, _ in after} - set(before)


def test_a_favorite_appears_in_the_second_in_which_it_is_made(sandbox, world):
    faves, end = world.favorites, world.config.end.timestamp()
    row = np.flatnonzero((faves.faved_at > end) & (faves.unfaved_at == NEVER))[0]
    user_id, photo_id = world.user_ids[faves.user[row]], world.photo_ids[faves.photo[row]]
    sandbox.clock(at(faves.faved_at[row] - 1))
    assert photo_id not in photos_of(sandbox, user_id)
    sandbox.clock(at(faves.faved_at[row]))
    assert photo_id in photos_of(sandbox, user_id)


def test_a_favorite_that_is_taken_back_is_gone_from_that_second(sandbox, world):
    faves = world.favorites
    row = np.flatnonzero(faves.unfaved_at != NEVER)[0]
    user_id, photo_id = world.user_ids[faves.user[row]], world.photo_ids[faves.photo[row]]
    sandbox.clock(at(faves.unfaved_at[row] - 1))
    assert photo_id in photos_of(sandbox, user_id)
    sandbox.clock(at(faves.unfaved_at[row]))
    assert photo_id not in photos_of(sandbox, user_id)


def test_time_goes_back_as_well(sandbox, world, favorites_at, most_active):
    early = world.config.end - timedelta(days=200)
    for moment in (world.config.end, early):
        sandbox.clock(moment.isoformat())
        listed = [(photo, str(faved)) for photo, _, faved in sandbox.listed(world.user_ids[most_active])]
        assert listed == favorites_at(most_active, moment.timestamp())


def test_what_is_not_uploaded_yet_does_not_exist_yet(sandbox, world):
    photo_id, uploaded_at = world.photo_ids[-1], int(world.photo_uploaded_at[-1])
    sandbox.clock(at(uploaded_at - 1))
    assert sandbox.call("flickr.photos.getInfo", photo_id=photo_id).json()["code"] == 1
    sandbox.clock(at(uploaded_at))
    answer = sandbox.call("flickr.photos.getInfo", photo_id=photo_id).json()
    assert answer["photo"]["dateuploaded"] == str(uploaded_at)


def test_what_a_person_adds_while_time_stands_still_has_that_time(sandbox, world):
    moment = world.config.end + timedelta(days=3)
    sandbox.clock(moment.isoformat())
    photo = next(row for row, owner in enumerate(world.photo_owner) if owner != 7)
    client = sandbox.sign_in(world.user_ids[7])
    if world.photo_ids[photo] in photos_of(sandbox, world.user_ids[7]):
        pytest.fail("choose another photo: this one is favored already")
    client.favorites.add(photo_id=world.photo_ids[photo])
    newest = sandbox.listed(world.user_ids[7])[0]
    client.favorites.remove(photo_id=world.photo_ids[photo])
    assert (newest[0], newest[2]) == (world.photo_ids[photo], moment.timestamp())


@pytest.mark.parametrize("body", [{"clock": "yesterday"}, {"clock": 5}, {"time": "live"}, [], {"clock": ""}])
def test_an_unreadable_time_is_refused_and_changes_nothing(sandbox, body):
    sandbox.clock("2026-11-24T12:00:00")
    refused = sandbox.put("/sandbox/clock", body)
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "clock")
    assert sandbox.get("/sandbox/clock")["clock"] == "2026-11-24T12:00:00+00:00"


def test_what_is_not_json_is_refused(sandbox):
    refused = sandbox.http.put(f"{sandbox.url}/sandbox/clock", content=b"{")
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "clock")


@given(moment=st.datetimes(timezones=st.timezones()))
def test_every_time_is_read_as_it_is_written(moment):
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:
        with pytest.raises(InvalidInputError):
            parse_time(moment.isoformat())
    else:
        assert parse_time(moment.isoformat()) == expected


def test_a_time_without_zone_is_utc():
    assert Clock("2026-11-24T12:00:00").now() == Clock("2026-11-24T13:00:00+01:00").now()
