"""Favorites that are no more: what a window of the sweep covers and does not list."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.schema import INTERACTIONS, conform
from features.state import interaction_state
from pipelines.pull.ingest import new_interactions
from tests.pipelines.pull.listings import (
    HISTORIES,
    HOUR,
    LISTED,
    MORNING,
    NOON,
    NOW,
    appended,
    at_hour,
    favorites,
    held_rows,
    listing,
    windowed,
)


def test_a_favorite_in_the_window_that_is_not_listed_was_taken_back_when_that_was_observed() -> None:
    held = held_rows(("u", "p", "favorite", MORNING), ("u", "q", "favorite", MORNING))
    rows = new_interactions([windowed(MORNING - HOUR, MORNING + HOUR, q=MORNING)], held, NOW)
    assert appended(rows) == [("u", "p", "unfavorite", NOON, None)]
    row = conform(INTERACTIONS, rows).to_pylist()[0]
    assert (row["owner_id"], row["source"], row["created_timestamp"], row["action_id"]) == ("o", "flickr", NOW, None)


@pytest.mark.parametrize(
    ("at", "taken_back"),
    [
        (MORNING - HOUR, False),
        (MORNING - HOUR + timedelta(microseconds=1), True),
        (MORNING + HOUR, True),
        (MORNING + HOUR + timedelta(microseconds=1), False),
    ],
)
def test_a_window_begins_after_its_first_moment_and_ends_with_its_last(at: datetime, taken_back: bool) -> None:
    held = held_rows(("u", "p", "favorite", at))
    rows = new_interactions([windowed(MORNING - HOUR, MORNING + HOUR)], held, NOW)
    assert bool(rows.num_rows) is taken_back


def test_a_window_without_a_beginning_reaches_back_to_the_first_favorite() -> None:
    held = held_rows(("u", "p", "favorite", datetime(2004, 2, 10, tzinfo=UTC)))
    assert appended(new_interactions([windowed(None, MORNING)], held, NOW)) == [("u", "p", "unfavorite", NOON, None)]


def test_flickrs_date_decides_whether_a_favorite_is_in_the_window() -> None:
    seen_again = held_rows(("u", "p", "favorite", MORNING + 2 * HOUR)).to_pylist()
    held = pa.Table.from_pylist([{**seen_again[0], "faved_at": MORNING}], schema=INTERACTIONS.schema)
    assert new_interactions([windowed(MORNING - HOUR, MORNING + HOUR)], held, NOW).num_rows == 1
    assert new_interactions([windowed(MORNING + HOUR, NOON)], held, NOW).num_rows == 0


def test_what_the_site_made_after_the_look_is_not_taken_back() -> None:
    held = held_rows(("u", "p", "favorite", NOON), ("u", "q", "favorite", NOON + timedelta(seconds=1)))
    assert new_interactions([windowed(None, NOON + HOUR)], held, NOW).num_rows == 0


def test_a_window_judges_nobody_else() -> None:
    held = held_rows(("v", "p", "favorite", MORNING), ("w", "p", "favorite", MORNING))
    assert new_interactions([windowed(None, NOON), listing("v")], held, NOW).num_rows == 0


def test_what_is_taken_back_or_dismissed_already_is_no_row() -> None:
    held = held_rows(
        ("u", "p", "favorite", MORNING), ("u", "p", "unfavorite", MORNING + HOUR), ("u", "q", "dismiss_photo", MORNING)
    )  # fmt: skip
    assert new_interactions([windowed(None, NOON)], held, NOW).num_rows == 0


def test_a_favorite_taken_back_by_mistake_is_one_again_when_it_is_listed() -> None:
    held = held_rows(("u", "p", "favorite", MORNING))
    mistaken = new_interactions([windowed(None, NOON)], held, NOW)
    held = pa.concat_tables([held, conform(INTERACTIONS, mistaken)])
    assert favorites(held) == set()
    later = dataclasses.replace(windowed(None, NOON + HOUR, p=MORNING), observed_at=NOON + HOUR)
    healed = new_interactions([later], held, NOW + HOUR)
    assert appended(healed) == [("u", "p", "favorite", NOON + HOUR, MORNING)]
    assert favorites(pa.concat_tables([held, conform(INTERACTIONS, healed)])) == {("u", "p")}


WINDOWS = st.tuples(st.integers(-12, 0) | st.none(), st.integers(0, 12), st.sampled_from([0.0, 0.5]))


@hypothesis_settings(max_examples=200, deadline=None)
@given(held=HISTORIES, listed=LISTED, span=WINDOWS)
def test_after_any_history_the_favorites_are_those_listed_and_those_held_outside_the_window(
    held: pa.Table, listed: dict[tuple[str, str], datetime], span: tuple[int | None, int, float]
) -> None:
    begin, hours, shift = span
    after = None if begin is None else at_hour(begin + shift)
    until = min(at_hour((begin if begin is not None else -12) + hours + shift), NOON)
    looked = windowed(after, until, "u", **{p: at for (u, p), at in listed.items() if u == "u"})
    other = listing("v", **{p: at for (u, p), at in listed.items() if u == "v"})
    rows = new_interactions([looked, other], held, NOW)

    state = interaction_state(held).favorites.to_pylist()
    outside = {
        (row["user_id"], row["photo_id"])
        for row in state
        if row["user_id"] == "v" or row["faved_at"] > until or (after is not None and row["faved_at"] <= after)
    }
    appended_to = pa.concat_tables([held, conform(INTERACTIONS, rows)])
    assert favorites(appended_to) == set(listed) | outside
    assert interaction_state(appended_to).dismissed_photos == interaction_state(held).dismissed_photos
    assert new_interactions([looked, other], appended_to, NOW + HOUR).num_rows == 0
