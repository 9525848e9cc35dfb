"""GF-CF: the operator against dense linear algebra, and what the cut of its rows keeps."""

from __future__ import annotations

import os
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.training.conftest import interactions_of
from tests.training.models.worlds import best_unseen, checkerboard, dense, random_interactions
from training.interactions import Interactions
from training.models import item_item
from training.models.item_item import ItemItem
from training.models.low_pass import low_pass


def dense_operator(interactions: Interactions, weight: float, rank: int) -> NDArray[np.float64]:
    """The formula with an exact singular value decomposition, the diagonal left out."""
    favorites = dense(interactions)
    users, photos = favorites.sum(axis=1), favorites.sum(axis=0)
    smooth = favorites / np.sqrt(np.outer(users, photos))
    vectors = np.linalg.svd(smooth)[2][: min(rank, np.linalg.matrix_rank(smooth))]
    projection = np.diag(photos**-0.5) @ vectors.T @ vectors @ np.diag(photos**0.5)
    operator: NDArray[np.float64] = smooth.T @ smooth + weight * projection
    np.fill_diagonal(operator, 0)
    return operator


def test_the_photo_left_out_of_a_checkerboard_comes_first() -> None:
    interactions = checkerboard()
    model = ItemItem.fit(interactions, kind="low_pass", operator=partial(low_pass, rank=2))
    assert best_unseen(model, interactions) == [f"p{user}" for user in range(10)]


def test_two_photos_of_two_users_by_hand() -> None:
    # R = [[1, 1], [1, 0]], so R̃ = [[1/2, 1/√2], [1/√2, 0]]; with both singular vectors V Vᵀ is the identity.
    interactions = interactions_of({"ann": ["a", "b"], "ben": ["a"]})
    expected = 0.5 / np.sqrt(2)
    assert low_pass(interactions, rank=2).toarray() == pytest.approx(np.array([[0, expected], [expected, 0]]), abs=1e-6)


def test_the_popular_photo_gains_more_from_the_rare_one_than_the_other_way_round() -> None:
    # One singular vector: V is D_I^(1/2) 1 ÷ √(all favorites), so that V Vᵀ scores every photo by its favorites.
    interactions = interactions_of({f"u{n}": ["a", "b"] if n < 2 else ["a"] for n in range(8)})
    smooth, filtered = (low_pass(interactions, rank=1, weight=weight).toarray() for weight in (0.0, 1.0))
    assert smooth[0, 1] == pytest.approx(smooth[1, 0])
    assert filtered - smooth == pytest.approx(np.array([[0, 2 / 10], [8 / 10, 0]]), abs=1e-5)


@settings(max_examples=30)
@given(random_interactions(), st.floats(0, 2))
def test_the_operator_equals_a_dense_computation(interactions: Interactions, weight: float) -> None:
    rank = min(interactions.n_users, interactions.n_photos)
    operator = low_pass(interactions, weight=weight, rank=rank)
    assert operator.dtype == np.float32
    assert operator.toarray() == pytest.approx(dense_operator(interactions, weight, rank), abs=1e-4)


@pytest.mark.parametrize("keep", [3, 7, 200])
def test_the_greatest_of_each_row_remain(world: Interactions, keep: int) -> None:
    expected = dense_operator(world, 0.5, 3)
    operator = low_pass(world, weight=0.5, rank=3, keep=keep)
    threshold = np.sort(np.abs(expected), axis=1)[:, -min(keep, world.n_photos - 1)]
    assert np.diff(operator.indptr).max() == min(keep, world.n_photos - 1)
    for row, bound in enumerate(threshold):
        part = operator[row]
        assert part.data == pytest.approx(expected[row, part.indices], rel=1e-3, abs=1e-4)
        assert np.abs(part.data).min() >= bound - 1e-4


def test_the_same_seed_gives_the_same_operator_whatever_the_blocks(
    world: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = low_pass(world, rank=16, seed=3)
    again = low_pass(world, rank=16, seed=3)
    assert (whole.data == again.data).all()
    monkeypatch.setattr(item_item, "BLOCK_ENTRIES", 10 * world.n_photos)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    parts = low_pass(world, rank=16, seed=3)
    assert (whole.indices == parts.indices).all()
    assert whole.data == pytest.approx(parts.data, rel=1e-5, abs=1e-7)
