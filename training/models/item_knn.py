"""Item-kNN: photos are alike when the same people favorited them, by cosine or by BM25.

The oldest item-item operator (Sarwar et al. 2001, "Item-Based Collaborative Filtering Recommendation Algorithms", 3.1),
and what `local_ease` finds its neighborhoods with.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.sparse
from implicit.nearest_neighbours import bm25_weight
from numpy.typing import NDArray

from training.interactions import Interactions
from training.models.item_item import Sparse, by_blocks, favorites_matrix, strongest_of_rows

BM25_K1, BM25_B = 1.2, 0.75
"""`implicit`'s defaults, those of Robertson and Zaragoza 2009."""


def item_knn(
    interactions: Interactions,
    *,
    similarity: Literal["cosine", "bm25"] = "cosine",
    neighbors: int = 200,
    shrink: float = 0.0,
) -> Sparse:
    """The `neighbors` most similar photos of each photo, float32 CSR (n_photos, n_photos), zero diagonal.

    cosine: S[j, i] = |U_j ∩ U_i| ÷ (√(|U_j| |U_i|) + shrink), U the favoriters; shrink takes weight from what few say
    (Ferrari Dacrema et al. 2019, "Are We Really Making Much Progress?"); where favorites are few it decides everything.
    bm25: S = W Wᵀ, W[i, u] = (K1 + 1) ÷ (K1 (1 − B + B |U_i| ÷ mean |U|) + 1) · ln(n_photos ÷ (1 + favorites of u))
    (`implicit`'s BM25Recommender), and no shrink.
    Raises ValueError for another similarity, and for a shrink with bm25.
    """
    favorites = favorites_matrix(interactions)
    match similarity:
        case "cosine":
            return nearest_by_cosine(favorites, neighbors, shrink).astype(np.float32)
        case "bm25" if shrink == 0:
            weighted = scipy.sparse.csr_matrix(bm25_weight(favorites.T, BM25_K1, BM25_B).T)
            return _nearest(weighted, neighbors, np.ones(weighted.shape[1]), 0.0).astype(np.float32)
        case "bm25":
            raise ValueError(f"shrink is {shrink:g}, but is for the cosine only; with bm25 it must be 0")
        case unknown:
            raise ValueError(f"unknown similarity {unknown!r}; known are cosine and bm25")


def nearest_by_cosine(matrix: Sparse, keep: int, shrink: float = 0.0) -> Sparse:
    """The `keep` columns with the greatest cosine to each column, as float64 CSR (columns, columns), zero diagonal."""
    squares = matrix.power(2).sum(axis=0)
    return _nearest(matrix, keep, np.sqrt(np.asarray(squares, dtype=np.float64).ravel()), shrink)


def _nearest(matrix: Sparse, keep: int, norms: NDArray[np.float64], shrink: float) -> Sparse:
    """By x_jᵀ x_i ÷ (norms[j] norms[i] + shrink), block by block: only a few rows of it exist before the cut."""
    by_photo = scipy.sparse.csr_matrix(matrix.T)

    def rows_of(start: int, stop: int) -> Sparse:
        block = scipy.sparse.csr_matrix(by_photo[start:stop] @ matrix)
        rows = start + np.repeat(np.arange(stop - start), np.diff(block.indptr))
        block.data /= norms[rows] * norms[block.indices] + shrink
        block.data[block.indices == rows] = 0.0
        return strongest_of_rows(block, keep)

    # How many products there are in a row; the entries of the row are no more than that, nor than there are columns.
    products = by_photo.astype(bool).astype(np.int64) @ np.diff(matrix.indptr)
    return by_blocks(rows_of, np.minimum(products, matrix.shape[1]))
