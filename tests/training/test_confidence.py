"""Signed confidences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.conftest import DAY, START, interactions_of
from training.confidence import Weighting, fit_weighting, signed_confidence
from training.interactions import Interactions
from training.models.als import confidence_matrix

PLAIN = {"alpha": 10.0, "alpha_dismissal": 20.0, "half_life_days": 100.0, "degree_exponent": 0.5}


def weighting(**changes: object) -> Weighting:
    plain = Weighting(**PLAIN, reference_time=START, mean_weight=1.0, photo_degrees=np.ones(1, dtype=np.float32))
    return replace(plain, **changes)


def value(of: Weighting, *, time: int = START, positive: bool = True, degree: int = 1) -> float:
    sign = np.array([positive])
    row, at = np.zeros(1, dtype=np.int32), np.array([time], dtype=np.int64)
    return float(signed_confidence(of, row, at, sign, degree)[0])


@given(
    alpha=st.floats(0.001, 1e6),
    half_life=st.floats(0.001, 1e6),
    exponent=st.floats(0, 1),
    mean=st.floats(1e-6, 1e3),
    photo_degree=st.integers(1, 10**7),
    user_degree=st.integers(0, 10**6),
    age=st.integers(-(10**9), 10**10),
    positive=st.booleans(),
)
def test_no_value_lies_between_minus_one_and_one(
    alpha: float,
    half_life: float,
    exponent: float,
    mean: float,
    photo_degree: int,
    user_degree: int,
    age: int,
    positive: bool,
) -> None:
    weights = weighting(
        alpha=alpha,
        alpha_dismissal=alpha,
        half_life_days=half_life,
        degree_exponent=exponent,
        mean_weight=mean,
        photo_degrees=np.array([photo_degree], dtype=np.float32),
    )
    confidence = value(weights, time=START - age, positive=positive, degree=user_degree)
    assert np.isfinite(confidence)
    assert confidence >= 1 if positive else confidence <= -1


def test_a_favorite_of_weight_one_has_one_plus_alpha() -> None:
    assert value(weighting()) == 11.0


def test_a_dismissal_of_weight_one_has_minus_one_minus_its_alpha() -> None:
    assert value(weighting(), positive=False) == -21.0


def test_weight_halves_with_the_half_life() -> None:
    assert value(weighting(), time=START - 100 * DAY) == 1 + 10 * 0.5


def test_what_happened_after_training_counts_as_of_now() -> None:
    assert value(weighting(), time=START + 500 * DAY) == 11.0


def test_weight_falls_with_both_degrees() -> None:
    weights = weighting(photo_degrees=np.array([4.0], dtype=np.float32))
    assert value(weights, degree=25) == pytest.approx(1 + 10 / 10)


def test_the_favorites_of_training_have_mean_weight_one(world: Interactions) -> None:
    values = confidence_matrix(world, fit_weighting(world, **PLAIN)).data
    assert (values.mean() - 1) / 10 == pytest.approx(1, abs=1e-5)


def test_the_matrix_holds_what_fold_in_computes() -> None:
    interactions = interactions_of({"u1": ["a", "b"], "u2": ["b", "c"]}, dismissed={"u1": ["c"]})
    weights = fit_weighting(interactions, **PLAIN)
    matrix = confidence_matrix(interactions, weights).toarray()
    for user in range(interactions.n_users):
        history = interactions.history(user)
        row = np.zeros(interactions.n_photos, dtype=np.float32)
        row[history.photo_rows] = signed_confidence(
            weights, history.photo_rows, history.times, history.positive, int(history.positive.sum())
        )
        assert (matrix[user] == row).all()
    assert (matrix < 0).sum() == 1
