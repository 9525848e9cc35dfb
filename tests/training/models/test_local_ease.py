"""Local EASE: the exact one when the neighborhood is everything, a ridge regression on the neighborhood otherwise."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.models.worlds import best_unseen, checkerboard, dense, random_interactions
from training.interactions import Interactions
from training.models import item_item
from training.models.exact_ease import ExactEASE
from training.models.item_item import ItemItem, favorites_matrix
from training.models.item_knn import nearest_by_cosine
from training.models.local_ease import local_ease


def test_the_photo_left_out_of_a_checkerboard_comes_first() -> None:
    interactions = checkerboard()
    operator = partial(local_ease, regularization=1.0, neighbors=4)
    model = ItemItem.fit(interactions, kind="local_ease", operator=operator)
    assert best_unseen(model, interactions) == [f"p{user}" for user in range(10)]


@settings(max_examples=30)
@given(random_interactions(complete=True), st.floats(0.1, 100), st.sampled_from([0.0, 0.5, 1.0]))
def test_with_all_photos_as_neighbors_it_is_exact_ease(
    interactions: Interactions, regularization: float, degree_exponent: float
) -> None:
    parameters = {"regularization": regularization, "degree_exponent": degree_exponent}
    exact = ExactEASE.fit(interactions, **parameters)
    local = local_ease(interactions, neighbors=8, **parameters)
    assert local.toarray() == pytest.approx(exact.weights, rel=1e-4, abs=1e-5)


@settings(max_examples=30)
@given(random_interactions(), st.integers(1, 4), st.sampled_from([0.0, 0.5]))
def test_each_column_is_a_ridge_regression_on_the_nearest(
    interactions: Interactions, neighbors: int, degree_exponent: float
) -> None:
    degrees = dense(interactions).sum(axis=1, keepdims=True)
    matrix = dense(interactions) * degrees**-degree_exponent
    near = nearest_by_cosine(favorites_matrix(interactions, degree_exponent), neighbors)
    expected = np.zeros((interactions.n_photos, interactions.n_photos))
    for photo in range(interactions.n_photos):
        some = near[photo].indices
        left = matrix[:, some].T @ matrix[:, some] + 2.0 * np.eye(len(some))
        expected[some, photo] = np.linalg.solve(left, matrix[:, some].T @ matrix[:, photo])
    operator = local_ease(interactions, regularization=2.0, neighbors=neighbors, degree_exponent=degree_exponent)
    assert operator.dtype == np.float32
    assert operator.toarray() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_rows_can_be_cut(world: Interactions) -> None:
    whole = local_ease(world, regularization=5.0, neighbors=30)
    cut = local_ease(world, regularization=5.0, neighbors=30, keep=10)
    assert np.diff(whole.indptr).max() > 10
    assert np.diff(cut.indptr).max() == 10
    for row in range(world.n_photos):
        magnitudes = np.abs(whole[row].data)
        assert np.abs(cut[row].data).min() >= np.sort(magnitudes)[-min(10, len(magnitudes))]


def test_it_comes_out_the_same_whatever_the_blocks(world: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = local_ease(world, regularization=5.0, neighbors=30)
    monkeypatch.setattr(item_item, "BLOCK_ENTRIES", 50_000)
    parts = local_ease(world, regularization=5.0, neighbors=30)
    assert (whole.indices == parts.indices).all()
    assert (whole.data == parts.data).all()


def test_a_system_that_cannot_be_solved_names_the_regularization(world: Interactions) -> None:
    with pytest.raises(ValueError, match="regularization -1000 is too small for a system to be solved"):
        local_ease(world, regularization=-1000.0)
