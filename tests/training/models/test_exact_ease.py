"""Exact EASE: the closed form against its definition, column by column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import CorruptModelError
from tests.training.conftest import interactions_of, is_mapped
from tests.training.models.worlds import best_unseen, checkerboard, dense, history, random_interactions
from training.interactions import Histories, Interactions
from training.models import exact_ease
from training.models.exact_ease import ExactEASE
from training.models.interface import reasons_of, scores_of

# Photos a and b share two of their favoriters; nobody shares c with them.
LIKED = {"ann": ["a", "b"], "ben": ["a", "b"], "cas": ["a"], "dan": ["c"]}


def test_the_photo_left_out_of_a_checkerboard_comes_first() -> None:
    interactions = checkerboard()
    assert best_unseen(ExactEASE.fit(interactions, regularization=1.0), interactions) == [f"p{n}" for n in range(10)]


def test_two_photos_by_hand() -> None:
    # For b from a: 2 in common ÷ (3 favorites of a + λ); for a from b: 2 ÷ (2 + λ).
    weights = ExactEASE.fit(interactions_of(LIKED), regularization=2.0).weights
    assert weights == pytest.approx(np.array([[0, 2 / 5, 0], [2 / 4, 0, 0], [0, 0, 0]]), abs=1e-6)


@settings(max_examples=40)
@given(random_interactions(), st.floats(0.1, 100), st.sampled_from([0.0, 0.5]))
def test_each_column_is_the_ridge_regression_on_all_others(
    interactions: Interactions, regularization: float, degree_exponent: float
) -> None:
    matrix = dense(interactions)
    matrix *= matrix.sum(axis=1, keepdims=True) ** -degree_exponent
    model = ExactEASE.fit(interactions, regularization=regularization, degree_exponent=degree_exponent)
    for photo in range(interactions.n_photos):
        others = np.delete(np.arange(interactions.n_photos), photo)
        left = matrix[:, others].T @ matrix[:, others] + regularization * np.eye(len(others))
        expected = np.linalg.solve(left, matrix[:, others].T @ matrix[:, photo])
        assert model.weights[others, photo] == pytest.approx(expected, rel=1e-4, abs=1e-5)
        assert model.weights[photo, photo] == 0


def test_a_dismissal_takes_away_what_a_favorite_would_give(world: Interactions) -> None:
    model = ExactEASE.fit(world, regularization=10.0, dismissal=2.0, user_exponent=0.5)
    favored, dismissed = (scores_of(model, what) for what in (history([0, 1]), history([0, 1], [2])))
    assert dismissed - favored == pytest.approx(-2 * model.weights[2] / np.sqrt(2), abs=1e-6)
    assert favored == pytest.approx((model.weights[0] + model.weights[1]) / np.sqrt(2), abs=1e-6)
    of_person = scores_of(model, history([0, 1], of_person=[2, 3, 4]))
    assert of_person - favored == pytest.approx(-2 * model.weights[2:5].mean(axis=0) / np.sqrt(2), abs=1e-6)


def test_an_empty_history_scores_zeros_beside_others(world: Interactions) -> None:
    model = ExactEASE.fit(world, regularization=10.0)
    scores = model.scores(Histories.of([history([]), history([4])]))
    assert scores.dtype == np.float32
    assert (scores[0] == 0).all()
    assert (scores[1] == model.weights[4]).all()


def test_the_contributions_add_up_to_the_score(world: Interactions) -> None:
    model = ExactEASE.fit(world, regularization=10.0)
    what = world.history(0)
    rows = np.argsort(-scores_of(model, what))[:5]
    for row, reasons in zip(rows, reasons_of(model, what, rows, 1000), strict=True):
        negative = np.minimum(model.weights[what.favorites, row], 0).sum()
        assert sum(weight for _, weight in reasons) + negative == pytest.approx(scores_of(model, what)[row], abs=1e-5)
        assert [weight for _, weight in reasons] == sorted((weight for _, weight in reasons), reverse=True)


def test_what_shares_nothing_is_not_similar() -> None:
    similarities = ExactEASE.fit(interactions_of(LIKED), regularization=2.0).similarities(0)
    assert similarities.tolist() == [-np.inf, pytest.approx(0.4), -np.inf]


def test_too_many_photos_are_refused_by_name(world: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_ease, "MOST_PHOTOS", 100)
    with pytest.raises(ValueError, match="120 photos; exact EASE takes at most 100, use local_ease instead"):
        ExactEASE.fit(world, regularization=10.0)


def test_no_regularization_is_refused(world: Interactions) -> None:
    with pytest.raises(ValueError, match="regularization is 0; exact EASE needs one above 0"):
        ExactEASE.fit(world, regularization=0.0)


def test_it_comes_back_as_it_was_saved(world: Interactions, tmp_path: Path) -> None:
    model = ExactEASE.fit(world, regularization=10.0, dismissal=3.0, user_exponent=0.5)
    loaded = ExactEASE.load(tmp_path, model.save(tmp_path), world.n_photos)
    assert is_mapped(loaded.weights)
    what = Histories.of([history([1, 2], [3])])
    assert (loaded.scores(what) == model.scores(what)).all()


def test_weights_of_another_size_are_corrupt(world: Interactions, tmp_path: Path) -> None:
    parameters = ExactEASE.fit(world, regularization=10.0).save(tmp_path)
    with pytest.raises(CorruptModelError, match=r"exact_ease_weights\.npy: float32 \(120, 120\) instead of"):
        ExactEASE.load(tmp_path, parameters, world.n_photos + 1)
