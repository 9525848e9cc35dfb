"""The neighbor score and the candidates made from it."""

from __future__ import annotations

from datetime import UTC, datetime
from math import sqrt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import neighbors
from features.feature_tables import NEIGHBOR_CANDIDATES
from features.neighbors import Exclusions, candidates_of, neighbor_candidates, neighbor_candidates_for, neighbor_scores

NOW = datetime(2026, 3, 31, tzinfo=UTC)


def favorites(*rows: tuple[str, str]) -> pa.Table:
    """(user, photo) pairs; the owner of a photo is its first letter."""
    return pa.table(
        {
            "user_id": pa.array([user for user, _ in rows], pa.string()),
            "photo_id": pa.array([photo for _, photo in rows], pa.string()),
            "owner_id": pa.array([photo[0] for _, photo in rows], pa.string()),
        }
    )


WORLD = favorites(
    ("a", "b1"), ("a", "b2"), ("a", "c1"),
    ("b", "b2"), ("b", "c2"), ("b", "x1"),
    ("c", "c1"), ("c", "x1"), ("c", "x2"), ("c", "a1"),
    ("d", "b1"), ("d", "x9"),
)  # fmt: skip
SCORE_B = 150 * sqrt(1 / (3 + 250))
SCORE_C = 150 * sqrt(1 / (4 + 250))


def test_the_score_is_150_times_the_root_of_common_over_favorites_plus_250() -> None:
    scores = neighbor_scores(np.array([0.0, 1.0, 9.0]), np.array([10.0, 0.0, 375.0]))
    assert scores == pytest.approx([0, 150 * sqrt(1 / 250), 150 * sqrt(9 / 625)])


def test_a_photos_score_is_the_sum_over_the_neighbors_who_favorited_it() -> None:
    found = neighbor_candidates_for("a", WORLD)
    assert dict(zip(found.photo_ids, found.photo_scores, strict=True)) == pytest.approx(
        {"x1": SCORE_B + SCORE_C, "x2": SCORE_C, "c2": SCORE_B}
    )
    assert found.photo_owners == ("x", "c", "x")
    assert found.photo_ids[0] == "x1"


def test_somebody_who_is_no_neighbor_counts_for_nothing_however_much_is_in_common() -> None:
    assert "x9" not in neighbor_candidates_for("a", WORLD).photo_ids


def test_favorites_own_photos_and_dismissed_ones_are_no_candidates() -> None:
    found = neighbor_candidates_for("a", WORLD, dismissed_photos=["x1"], dismissed_people=["c"])
    assert found.photo_ids == ("x2",)


def test_people_come_best_first_without_the_dismissed_and_the_followed() -> None:
    found = neighbor_candidates_for("a", WORLD)
    assert found.people_ids == ("b", "c")
    assert found.people_scores == pytest.approx((SCORE_B, SCORE_C))
    assert found.people_common == (1, 1)
    assert neighbor_candidates_for("a", WORLD, dismissed_people=["c"]).people_ids == ("b",)
    assert neighbor_candidates_for("a", WORLD, contacts=["b"]).people_ids == ("c",)


def test_coverage_is_the_share_of_the_neighbors_whose_favorites_are_known() -> None:
    assert neighbor_candidates_for("a", WORLD).coverage == 1.0
    only_b = neighbor_candidates_for("a", WORLD.slice(0, 6))
    assert only_b.coverage == 0.5
    assert neighbor_candidates_for("a", WORLD.slice(0, 6), max_neighbors=1).coverage == 1.0
    assert neighbor_candidates_for("a", WORLD, coverage=0.25).coverage == 0.25


def test_somebody_without_favorites_has_no_candidates() -> None:
    found = neighbor_candidates_for("nobody", WORLD, now=NOW)
    assert (found.photo_ids, found.people_ids, found.coverage, found.updated_at) == ((), (), 0.0, NOW)
    assert neighbor_candidates_for("nobody", WORLD.slice(0, 0)).photo_ids == ()


def test_no_more_than_asked_for_and_the_best_of_them() -> None:
    found = neighbor_candidates_for("a", WORLD, photos=1, people=1)
    assert (found.photo_ids, found.people_ids) == (("x1",), ("b",))
    assert neighbor_candidates_for("a", WORLD, people=0).people_ids == ()


def everybody(rows: pa.Table) -> pa.Table:
    none = pa.table({name: pa.array([], pa.string()) for name in ("user_id", "photo_id", "owner_id")})
    excluded = Exclusions(none, none, none)
    return neighbor_candidates(rows, excluded, NOW, photos=500, people=50, max_neighbors=300)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = everybody(WORLD)
    monkeypatch.setattr(neighbors, "CELLS_AT_ONCE", 1)
    assert everybody(WORLD) == whole
    assert whole.schema == NEIGHBOR_CANDIDATES.schema
    assert whole.num_rows == 4


def test_an_empty_lake_has_an_empty_table() -> None:
    assert everybody(WORLD.slice(0, 0)) == NEIGHBOR_CANDIDATES.schema.empty_table()


@given(
    st.sets(st.tuples(st.sampled_from("abcd"), st.sampled_from(["a1", "b1", "b2", "c1", "c2", "d1", "x1"])), min_size=1)
)
@settings(deadline=None)
def test_the_matrices_say_what_the_definition_says(pairs: set[tuple[str, str]]) -> None:
    mine: dict[str, set[str]] = {}
    for user, photo in pairs:
        mine.setdefault(user, set()).add(photo)
    for found in candidates_of(everybody(favorites(*sorted(pairs)))):
        liked = mine[found.user_id]
        owners = {photo[0] for photo in liked} - {found.user_id}
        score = {n: 150 * sqrt(len(liked & mine[n]) / (len(mine[n]) + 250)) for n in owners if n in mine}
        expected: dict[str, float] = {}
        for n, value in score.items():
            for photo in mine[n] - liked:
                if photo[0] != found.user_id and value > 0:
                    expected[photo] = expected.get(photo, 0.0) + value
        assert dict(zip(found.photo_ids, found.photo_scores, strict=True)) == pytest.approx(expected)
        assert list(found.photo_scores) == sorted(found.photo_scores, reverse=True)
        assert set(found.people_ids) == {n for n, value in score.items() if value > 0}
        assert found.coverage == pytest.approx(len(score) / len(owners) if owners else 0.0)
