"""From listings to rows: what the lake does not hold yet, and nothing twice."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from features.schema import INTERACTIONS, QUARANTINE, conform
from features.state import interaction_state
from pipelines.flickr.answers import Person, Rejected
from pipelines.pull.ingest import Added, new_interactions, quarantined
from pipelines.pull.listing import Listing
from tests.pipelines.pull.listings import HISTORIES, LISTED, MORNING, NOON, NOW, appended, favorites, held_rows, listing

# Favorites.


def test_a_favorite_never_seen_happened_when_flickr_says() -> None:
    rows = new_interactions([listing(p=MORNING)], held_rows(), NOW)
    assert appended(rows) == [("u", "p", "favorite", MORNING, MORNING)]
    assert conform(INTERACTIONS, rows).to_pylist()[0] == {
        **rows.to_pylist()[0],
        "owner_id": "o",
        "source": "flickr",
        "created_timestamp": NOW,
        "ingest_date": NOW.date(),
        "action_id": None,
    }


def test_a_favorite_that_is_held_is_not_added_again() -> None:
    held = held_rows(("u", "p", "favorite", MORNING))
    assert new_interactions([listing(p=MORNING), listing("v")], held, NOW).num_rows == 0


def test_a_favorite_that_the_site_made_is_not_added_again_with_flickrs_date() -> None:
    held = held_rows(("u", "p", "favorite", MORNING))
    assert new_interactions([listing(p=MORNING + timedelta(seconds=2))], held, NOW).num_rows == 0


def test_a_favorite_seen_again_after_an_unfavorite_happened_when_it_was_observed() -> None:
    unfaved_at = MORNING + timedelta(hours=1)
    held = held_rows(("u", "p", "favorite", MORNING), ("u", "p", "unfavorite", unfaved_at))
    rows = new_interactions([listing(p=MORNING)], held, NOW)
    assert appended(rows) == [("u", "p", "favorite", NOON, MORNING)]
    (favorite,) = interaction_state(pa.concat_tables([held, conform(INTERACTIONS, rows)])).favorites.to_pylist()
    assert favorite["faved_at"] == MORNING


@pytest.mark.parametrize("later", [timedelta(0), timedelta(seconds=1)])
def test_a_listing_older_than_the_unfavorite_adds_nothing(later: timedelta) -> None:
    held = held_rows(("u", "p", "favorite", MORNING), ("u", "p", "unfavorite", NOON + later))
    assert new_interactions([listing(p=MORNING)], held, NOW).num_rows == 0


def test_only_what_was_last_counts() -> None:
    held = held_rows(
        ("u", "p", "unfavorite", MORNING), ("u", "p", "favorite", MORNING + timedelta(hours=1)),
        ("u", "q", "favorite", MORNING + timedelta(hours=2)), ("u", "q", "unfavorite", MORNING + timedelta(hours=3)),
    )  # fmt: skip
    assert [row[1] for row in appended(new_interactions([listing(p=MORNING, q=MORNING)], held, NOW))] == ["q"]


def test_a_dismissed_photo_can_be_a_favorite() -> None:
    held = held_rows(("u", "p", "dismiss_photo", MORNING))
    assert appended(new_interactions([listing(p=MORNING)], held, NOW)) == [("u", "p", "favorite", MORNING, MORNING)]


def test_users_are_kept_apart() -> None:
    held = held_rows(("u", "p", "favorite", MORNING), ("v", "p", "unfavorite", MORNING))
    listings = [listing("u", p=MORNING, q=MORNING), listing("v", p=MORNING), listing("w")]
    rows = appended(new_interactions(listings, held, NOW))
    assert sorted(row[:2] for row in rows) == [("u", "q"), ("v", "p")]


@hypothesis_settings(max_examples=150, deadline=None)
@given(held=HISTORIES, listed=LISTED)
def test_after_any_history_the_favorites_are_those_of_before_and_those_listed(
    held: pa.Table, listed: dict[tuple[str, str], datetime]
) -> None:
    listings = [listing(user, **{p: at for (u, p), at in listed.items() if u == user}) for user in "uv"]
    rows = new_interactions(listings, held, NOW)
    after = pa.concat_tables([held, conform(INTERACTIONS, rows)])
    assert favorites(after) == favorites(held) | set(listed)
    assert new_interactions(listings, after, NOW + timedelta(minutes=1)).num_rows == 0
    assert interaction_state(after).dismissed_photos == interaction_state(held).dismissed_photos


# What can't be used.


def test_entries_that_can_not_be_used_are_kept_with_whose_list_they_are_of_and_the_reason() -> None:
    looked = [
        dataclasses.replace(listing("u", p=MORNING), rejected=[Rejected("owner is missing", '{"id": "1"}')]),
        listing("v"),
        dataclasses.replace(listing("w"), rejected=[Rejected("id is missing", "{}"), Rejected("no date", "[]")]),
    ]
    rows = conform(QUARANTINE, quarantined(looked, NOW)).to_pylist()
    assert [(row["source"], row["subject_id"], row["reason"], row["payload"]) for row in rows] == [
        ("flickr", "u", "owner is missing", '{"id": "1"}'),
        ("flickr", "w", "id is missing", "{}"),
        ("flickr", "w", "no date", "[]"),
    ]
    assert {(row["created_timestamp"], row["ingest_date"]) for row in rows} == {(NOW, NOW.date())}


def test_where_nothing_was_rejected_there_is_nothing_to_keep() -> None:
    assert quarantined([listing(p=MORNING)], NOW).num_rows == 0


def test_what_two_commits_added_adds_up() -> None:
    assert Added(interactions=2, photos=1) + Added(interactions=3, unfavorites=1) == Added(
        interactions=5, photos=1, unfavorites=1
    )


def test_a_listing_is_kept_without_erased_people_and_photos_taken_down() -> None:
    whole = Listing(
        "u", NOON, ["p", "q", "r"], ["o", "x", "o"], [3, 2, 1], contacts=[Person("x", "X"), Person("y", "Y")]
    )
    kept = whole.without({"x"}, {"r"})
    assert (kept.photo_ids, kept.owner_ids, kept.faved_at) == (["p"], ["o"], [3])
    assert kept.contacts == [Person("y", "Y")]
    assert dataclasses.replace(whole, contacts=None).without({"x"}, set()).contacts is None
    assert whole.without(set(), set()) is whole
