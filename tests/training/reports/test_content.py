"""From ranked lists to what reports show of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.training.reports.examples import example
from training.reports.content import calibration, intervals, popularity_shares, segments

lists = arrays.arrays(np.int64, st.tuples(st.integers(0, 6), st.integers(1, 5)), elements=st.integers(-1, 29))


@given(lists, arrays.arrays(np.int64, 30, elements=st.integers(1, 50)))
def test_shares_add_up_to_one(rows: np.ndarray, degrees: np.ndarray) -> None:
    shares = popularity_shares(rows, degrees)
    assert shares.favorites.shape == shares.recommendations.shape == (10,)
    assert shares.favorites.sum() == pytest.approx(1)
    assert shares.recommendations.sum() == pytest.approx(1 if (rows >= 0).any() else 0)


def test_the_first_tenth_is_the_most_favorited() -> None:
    degrees = np.array([1, 1, 1, 1, 1, 11, 1, 1, 1, 1])
    shares = popularity_shares(np.array([[5, 9], [5, -1]]), degrees)
    assert shares.favorites[0] == pytest.approx(11 / 20)
    assert shares.recommendations.tolist() == pytest.approx([2 / 3, 0, 0, 0, 0, 0, 0, 0, 0, 1 / 3])


def test_scores_are_grouped_from_the_lowest() -> None:
    scores = np.arange(20, dtype=np.float32)[::-1].reshape(2, 10)
    found = calibration(scores, scores >= 17)
    assert found.scores.tolist() == [0.5 + 2 * tenth for tenth in range(10)]
    assert found.hit_rates.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 0.5, 1]


def test_the_ends_of_shorter_lists_are_no_recommendations() -> None:
    found = calibration(np.array([[2.0, 1.0, -np.inf]]), np.array([[True, False, False]]))
    assert found.hit_rates.tolist() == [0, 1]


def test_metrics_of_users_have_an_interval_and_those_of_all_lists_none() -> None:
    found = intervals({"ndcg_at_20": np.array([0.0, 1.0, 1.0])}, {"coverage_at_20": 0.5}, seed=0)
    low, high = found["ndcg_at_20"].low, found["ndcg_at_20"].high
    assert low is not None and high is not None
    assert low < found["ndcg_at_20"].mean < high
    assert found["ndcg_at_20"].mean == pytest.approx(2 / 3)
    assert found["coverage_at_20"].text == "0.5000"


def test_segments_are_of_users_with_so_many_favorites() -> None:
    found = segments({"ndcg_at_20": np.array([0.1, 0.2, 0.4])}, np.array([3, 200, 4]), seed=0)
    assert [(segment.label, segment.users) for segment in found] == [("1–4", 2), ("100 and more", 1)]
    assert found[0].metrics["ndcg_at_20"].mean == pytest.approx(0.25)


def test_challenger_and_champion_come_first_and_the_others_by_quality() -> None:
    names = [model.name for model in example().in_order()]
    assert names == ["blend", "champion", "als", "neighbor_score", "popularity"]
