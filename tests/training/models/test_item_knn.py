"""Item-kNN: cosines and BM25 by hand, against dense matrices and against `implicit`."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.nearest_neighbours import BM25Recommender

from tests.training.conftest import interactions_of
from tests.training.models.worlds import best_unseen, checkerboard, dense, random_interactions
from training.interactions import Interactions
from training.models import item_item
from training.models.item_item import ItemItem, favorites_matrix
from training.models.item_knn import item_knn

# a: ann, ben, cas; b: ann, ben; c: dan.
LIKED = {"ann": ["a", "b"], "ben": ["a", "b"], "cas": ["a"], "dan": ["c"]}


def test_the_cosine_is_that_of_the_favoriters() -> None:
    assert item_knn(interactions_of(LIKED)).toarray() == pytest.approx(
        np.array([[0, 2 / math.sqrt(6), 0], [2 / math.sqrt(6), 0, 0], [0, 0, 0]])
    )


def test_shrink_takes_more_from_what_few_people_say() -> None:
    many = {f"u{n}": ["x", "y"] for n in range(20)}
    interactions = interactions_of({**many, "ann": ["a", "b"]})
    x, y, a, b = interactions.catalog.rows(["x", "y", "a", "b"])
    plain, shrunk = (item_knn(interactions, shrink=shrink) for shrink in (0.0, 10.0))
    assert plain[a, b] == plain[x, y] == pytest.approx(1)
    assert shrunk[a, b] == pytest.approx(1 / 11)
    assert shrunk[x, y] == pytest.approx(20 / 30)


@pytest.mark.parametrize("similarity", ["cosine", "bm25"])
def test_the_photo_left_out_of_a_checkerboard_comes_first(similarity: str) -> None:
    interactions = checkerboard()
    model = ItemItem.fit(interactions, kind="item_knn", operator=partial(item_knn, similarity=similarity))
    assert best_unseen(model, interactions) == [f"p{user}" for user in range(10)]


@settings(max_examples=40)
@given(random_interactions(), st.integers(1, 8), st.floats(0, 20))
def test_the_neighbors_equal_a_dense_computation(interactions: Interactions, neighbors: int, shrink: float) -> None:
    favorites = dense(interactions)
    common = favorites.T @ favorites
    norms = np.sqrt(np.diag(common))
    cosine = common / (np.outer(norms, norms) + shrink)
    np.fill_diagonal(cosine, 0)
    operator = item_knn(interactions, neighbors=neighbors, shrink=shrink)
    assert operator.dtype == np.float32
    assert (operator.diagonal() == 0).all()
    for row, kept in zip(cosine, operator.toarray(), strict=True):
        assert kept[kept > 0] == pytest.approx(row[kept > 0])
        # The strongest, one by one; a tie may fall either way in the dense computation.
        assert np.sort(kept)[::-1][:neighbors] == pytest.approx(np.sort(row)[::-1][:neighbors])
        assert np.count_nonzero(kept) == min(neighbors, np.count_nonzero(row))


def test_of_photos_that_are_equally_near_the_more_popular_is_kept() -> None:
    # y and z share one favoriter with x each; the cosines are equal, and y comes first in the catalog, by its id.
    interactions = interactions_of({"ann": ["x", "y", "z"], "ben": ["x"]})
    x, y = interactions.catalog.rows(["x", "y"])
    assert item_knn(interactions, neighbors=1)[x].indices.tolist() == [y]


@pytest.mark.filterwarnings("ignore:Method expects CSR")  # of what `implicit` does to itself
@settings(max_examples=20)
@given(random_interactions())
def test_bm25_equals_implicit(interactions: Interactions) -> None:
    bare = BM25Recommender(K=100)
    bare.fit(scipy.sparse.csr_matrix(dense(interactions)), show_progress=False)
    expected: Any = bare.similarity.toarray()
    np.fill_diagonal(expected, 0)
    assert item_knn(interactions, similarity="bm25").toarray() == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_blocks_do_not_change_the_operator(world: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = item_knn(world, neighbors=20)
    monkeypatch.setattr(item_item, "BLOCK_ENTRIES", 300)
    parts = item_knn(world, neighbors=20)
    assert (whole.indptr == parts.indptr).all()
    assert (whole.indices == parts.indices).all()
    assert (whole.data == parts.data).all()


def test_an_unknown_similarity_is_named() -> None:
    with pytest.raises(ValueError, match="unknown similarity 'jaccard'; known are cosine and bm25"):
        item_knn(interactions_of(LIKED), similarity="jaccard")  # type: ignore[arg-type]


def test_bm25_takes_no_shrink() -> None:
    with pytest.raises(ValueError, match="shrink is 5, but is for the cosine only"):
        item_knn(interactions_of(LIKED), similarity="bm25", shrink=5.0)


def test_a_users_favorites_may_count_by_how_many_they_are() -> None:
    interactions = interactions_of({"ann": ["a", "b", "c", "d"], "ben": ["a"]})
    matrix = favorites_matrix(interactions, 0.5).toarray()
    assert matrix[0].tolist() == [0.5, 0.5, 0.5, 0.5]
    assert matrix[1].tolist() == [1, 0, 0, 0]
