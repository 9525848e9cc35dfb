"""Popularity: favorites that fade with age, the same for everybody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.schema import Kind
from tests.training.conftest import DAY, START, Row, log_of
from training.from_lake import build_interactions
from training.interactions import Interactions
from training.models.interface import reasons_of, scores_of
from training.models.popularity import Popularity


def scores_by_photo(favorites: list[tuple[str, str, int]], half_life_days: float = 10.0) -> dict[str, float]:
    """{photo: score} from (user, photo, day of the favorite)."""
    rows: list[Row] = [(user, photo, "owner", Kind.FAVORITE, START + day * DAY) for user, photo, day in favorites]
    interactions = build_interactions(log_of(rows))
    model = Popularity.fit(interactions, half_life_days=half_life_days)
    scores = scores_of(model, interactions.history(0))
    return dict(zip(interactions.catalog.photo_ids.tolist(), scores.tolist(), strict=True))


def test_a_favorite_of_the_newest_moment_counts_one() -> None:
    assert scores_by_photo([("ann", "a", 0), ("ben", "a", 0), ("ben", "b", 0)]) == {"a": 2.0, "b": 1.0}


def test_a_favorite_counts_half_after_each_half_life() -> None:
    assert scores_by_photo([("ann", "new", 20), ("ann", "older", 10), ("ann", "oldest", 0)]) == {
        "new": 1.0,
        "older": 0.5,
        "oldest": 0.25,
    }


def test_age_is_counted_from_the_newest_event_not_from_today() -> None:
    early, late = (
        scores_by_photo([("ann", "a", 0), ("ann", "b", 5)]),
        scores_by_photo([("ann", "a", 1000), ("ann", "b", 1005)]),
    )
    assert early == late


def test_a_few_new_favorites_beat_many_old_ones() -> None:
    old = [(f"u{n}", "old", 0) for n in range(5)]
    scores = scores_by_photo([*old, ("u1", "new", 40), ("u2", "new", 40)])
    assert scores["new"] > scores["old"] == pytest.approx(5 / 16)


@given(
    st.sets(st.tuples(st.sampled_from("uvw"), st.sampled_from("abcd"), st.integers(0, 50)), min_size=1, max_size=20),
    st.floats(0.5, 500),
)
def test_the_scores_equal_plain_python(favorites: set[tuple[str, str, int]], half_life_days: float) -> None:
    # Of a favorite seen twice, the newer time counts.
    days = {(user, photo): day for user, photo, day in sorted(favorites, key=lambda favorite: favorite[2])}
    expected: dict[str, float] = {}
    for (_, photo), day in days.items():
        expected[photo] = expected.get(photo, 0) + 2 ** (-(max(days.values()) - day) / half_life_days)
    assert scores_by_photo(sorted(favorites), half_life_days) == pytest.approx(expected, rel=1e-5, abs=1e-30)


def test_everybody_gets_the_same_scores(world: Interactions) -> None:
    model = Popularity.fit(world, half_life_days=365.0)
    assert (scores_of(model, world.history(0)) == scores_of(model, world.history(1))).all()


def test_no_favorite_is_a_reason(world: Interactions) -> None:
    model = Popularity.fit(world, half_life_days=365.0)
    assert reasons_of(model, world.history(0), np.array([0, 1]), 3) == [[], []]
