"""Item-item models: scores are sums of the operator's rows, by hand and against dense matrices."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from features.errors import CorruptModelError
from tests.training.conftest import is_mapped, style_of
from tests.training.models.worlds import histories, history
from training.interactions import Histories, History, Interactions
from training.models import item_item
from training.models.interface import reasons_of, scores_of
from training.models.item_item import ItemItem, by_blocks, strongest_of_rows
from training.models.item_knn import item_knn

# Photo 0 speaks for 1 and 2, photo 1 for 0 and against 3; 2 and 3 for nothing.
OPERATOR = np.array([[0, 0.5, 0.25, 0], [2, 0, 0, -1], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=np.float32)


def model_of(operator: NDArray[np.floating[Any]], dismissal: float = 1.0, user_exponent: float = 0.0) -> ItemItem:
    sparse = scipy.sparse.csr_matrix(operator)
    return ItemItem(
        "some_kind",
        sparse.indptr.astype(np.int64),
        sparse.indices.astype(np.int32),
        sparse.data.astype(np.float32),
        dismissal,
        user_exponent,
    )


def test_a_score_is_the_sum_of_what_the_favorites_say() -> None:
    assert scores_of(model_of(OPERATOR), history([0, 1])).tolist() == [2, 0.5, 0.25, -1]


def test_a_dismissal_takes_away_what_a_favorite_would_give() -> None:
    assert scores_of(model_of(OPERATOR), history([1], [0])).tolist() == [2, -0.5, -0.25, -1]
    assert scores_of(model_of(OPERATOR, dismissal=2.0), history([1], [0])).tolist() == [2, -1, -0.5, -1]
    assert scores_of(model_of(OPERATOR, dismissal=0.0), history([1], [0])).tolist() == [2, 0, 0, -1]


def test_the_photos_of_a_dismissed_person_take_away_together_what_one_dismissal_would() -> None:
    assert scores_of(model_of(OPERATOR), history([2], of_person=[0, 1])).tolist() == [-1, -0.25, -0.125, 0.5]
    # A favorite of theirs takes no part, and a photo that was dismissed itself counts in full.
    assert scores_of(model_of(OPERATOR), history([1], of_person=[0, 1])).tolist() == [2, -0.5, -0.25, -1]
    assert scores_of(model_of(OPERATOR), history([], [0], of_person=[0, 1])).tolist() == [-1, -0.5, -0.25, 0.5]


def test_many_favorites_are_divided_by_a_power_of_their_number() -> None:
    model = model_of(OPERATOR, user_exponent=0.5)
    assert scores_of(model, history([0, 1, 2, 3])).tolist() == [1, 0.25, 0.125, -0.5]
    assert scores_of(model, history([], [0, 1])).tolist() == [-2, -0.5, -0.25, 1]


def test_nobody_and_an_empty_history_score_zeros() -> None:
    model = model_of(OPERATOR, user_exponent=1.0)
    assert scores_of(model, history([])).tolist() == [0, 0, 0, 0]
    assert model.scores(Histories.of([])).shape == (0, 4)
    assert model.scores(Histories.of([history([]), history([0])])).tolist() == [[0, 0, 0, 0], [0, 0.5, 0.25, 0]]


@given(
    hnp.arrays(np.float32, (6, 6), elements=st.sampled_from([0, 0, 1, -0.5, 0.25, 3])),
    histories(6),
    st.floats(0, 4),
    st.floats(0, 1),
)
def test_scores_equal_a_dense_product_one_by_one_or_all_together(
    operator: NDArray[np.float32], some: list[History], dismissal: float, user_exponent: float
) -> None:
    model = model_of(operator, dismissal, user_exponent)
    together = model.scores(Histories.of(some))
    assert together.dtype == np.float32
    for scores, what in zip(together, some, strict=True):
        values = np.where(what.positive, 1.0, -dismissal * what.shares) / max(len(what.favorites), 1) ** user_exponent
        assert scores == pytest.approx(values @ operator[what.photo_rows], rel=1e-5, abs=1e-5)
        assert scores_of(model, what) == pytest.approx(scores, rel=1e-5, abs=1e-5)


def test_a_dismissal_lowers_its_own_style_and_no_other(world: Interactions) -> None:
    model = ItemItem.fit(world, kind="item_knn", operator=partial(item_knn, neighbors=50))
    styles = np.array([style_of(photo_id) for photo_id in world.catalog.photo_ids])
    before = history(np.flatnonzero(styles == 0)[:5].tolist())
    after = history(before.favorites.tolist(), np.flatnonzero(styles == 1)[:5].tolist())
    change = scores_of(model, after) - scores_of(model, before)
    assert change[styles == 1].mean() < 5 * change[styles != 1].mean() <= 0


def test_the_contributions_of_favorites_and_dismissals_add_up_to_the_score() -> None:
    model = model_of(OPERATOR, dismissal=0.5, user_exponent=0.5)
    what = history([0, 2], [1])
    assert reasons_of(model, what, np.array([1, 2, 3, 0]), 5) == [
        [(0, pytest.approx(0.5 / np.sqrt(2)))],
        [(0, pytest.approx(0.25 / np.sqrt(2)))],
        [],  # what a dismissal gives is no favorite's doing
        [],
    ]
    assert scores_of(model, what) == pytest.approx(np.array([-1, 0.5, 0.25, 0.5]) / np.sqrt(2))


def test_the_strongest_favorites_come_first() -> None:
    model = model_of(np.array([[0, 0, 0, 1], [0, 0, 0, 3], [0, 0, 0, 2], [0, 0, 0, 0]]))
    assert reasons_of(model, history([0, 1, 2]), np.array([3]), 2) == [[(1, 3.0), (2, 2.0)]]


def test_what_a_photo_does_not_reach_is_not_similar() -> None:
    assert model_of(OPERATOR).similarities(0).tolist() == [-np.inf, 0.5, 0.25, -np.inf]


def test_several_operators_share_a_folder_and_come_back_as_they_were(world: Interactions, tmp_path: Path) -> None:
    models = [
        ItemItem.fit(world, kind="item_knn", operator=item_knn, dismissal=2.0),
        ItemItem.fit(world, kind="other", operator=partial(item_knn, similarity="bm25"), user_exponent=0.5),
    ]
    parameters = [model.save(tmp_path) for model in models]
    what = world.histories(np.arange(world.n_users))
    for model, saved in zip(models, parameters, strict=True):
        loaded = ItemItem.load(tmp_path, saved, world.n_photos)
        assert (loaded.kind, loaded.dismissal, loaded.user_exponent) == (
            model.kind,
            model.dismissal,
            model.user_exponent,
        )
        assert is_mapped(loaded.data)
        assert (loaded.scores(what) == model.scores(what)).all()
        assert (scores_of(loaded, world.history(0)) == scores_of(model, world.history(0))).all()


@pytest.mark.parametrize(
    ("part", "array", "message"),
    [
        ("indptr", np.array([0, 2, 4, 4], dtype=np.int64), r"some_kind_indptr\.npy: int64 \(4,\) instead of"),
        ("indptr", np.array([0, 2, 4, 4, 3], dtype=np.int64), r"some_kind_indptr\.npy: does not fit some_kind_indices"),
        ("indptr", np.array([0, 5, 4, 4, 4], dtype=np.int64), r"some_kind_indptr\.npy: does not fit some_kind_indices"),
        ("indices", np.array([1, 2, 0, 4], dtype=np.int32), r"some_kind_indices\.npy: names rows that 4 photos do not"),
        (
            "indices",
            np.array([1, -2, 0, 3], dtype=np.int32),
            r"some_kind_indices\.npy: names rows that 4 photos do not",
        ),
        ("data", np.ones(3, dtype=np.float32), r"some_kind_data\.npy: float32 \(3,\) instead of float32 \(4,\)"),
        ("data", None, r"some_kind_data\.npy: the file is missing"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_corrupt(
    tmp_path: Path, part: str, array: NDArray[Any] | None, message: str
) -> None:
    parameters = model_of(OPERATOR).save(tmp_path)
    path = tmp_path / f"some_kind_{part}.npy"
    if array is None:
        path.unlink()
    else:
        np.save(path, array)
    with pytest.raises(CorruptModelError, match=message):
        ItemItem.load(tmp_path, parameters, 4)


def test_the_cut_keeps_the_greatest_magnitudes_and_of_equal_ones_the_first() -> None:
    rows = scipy.sparse.csr_matrix(np.array([[1, -3, 2, 2, 2], [0, 0, 0, 0, 7], [5, 5, 5, 5, 5], [0, 0, 0, 0, 0]]))
    kept = strongest_of_rows(rows, 3)
    assert kept.toarray().tolist() == [[0, -3, 2, 2, 0], [0, 0, 0, 0, 7], [5, 5, 5, 0, 0], [0, 0, 0, 0, 0]]
    assert kept.nnz == 7


@settings(max_examples=30)
@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 20))
def test_blocks_stack_to_all_rows_in_order(costs: list[int], entries: int) -> None:
    matrix = scipy.sparse.csr_matrix(np.arange(3.0 * len(costs)).reshape(-1, 3))
    sizes = []

    def rows_of(start: int, stop: int) -> scipy.sparse.csr_matrix:
        sizes.append(sum(costs[start:stop]))
        return matrix[start:stop]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item_item, "BLOCK_ENTRIES", entries)
        stacked = by_blocks(rows_of, np.array(costs, dtype=np.int64))
    assert (stacked.toarray() == matrix.toarray()).all()
    assert max(sizes, default=0) <= entries + max(costs, default=0)
