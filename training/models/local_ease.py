"""Local EASE: a ridge regression of each photo on its nearest neighbors, EASE at the cost of small systems.

Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data": the weights that best tell a favorite from the user's
others. EASE inverts one matrix of all photos; here each photo has a system of its own, as large as its neighborhood.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.linalg import lapack

from training.interactions import Interactions
from training.keys import ranges
from training.models.item_item import Sparse, by_blocks, favorites_matrix, strongest_of_rows
from training.models.item_knn import nearest_by_cosine

TOGETHER = 32
"""How many photos' systems are gathered by one product: many small ones would keep the cores waiting for Python."""

PHOTO_ENTRIES = 16_384
"""What a photo counts in the size of a block: some 500 photos a block, for the cores to share."""


def local_ease(
    interactions: Interactions,
    *,
    regularization: float,
    neighbors: int = 200,
    shrink: float = 0.0,
    degree_exponent: float = 0.0,
    keep: int | None = None,
) -> Sparse:
    """S[N, i] = (G_NN + λI)⁻¹ G_Ni for each photo i and its neighbors N, S float32 CSR (n_photos, n_photos).

    G = XᵀX, X the favorites with row u scaled by (favorites of u)^−degree_exponent; N the at most `neighbors` photos
    with the greatest cosine in X, shrunk as in `item_knn`. With N all other photos this is column i of exact EASE,
    whose problem falls into one for each column. The diagonal is zero. keep: how many entries of greatest magnitude
    remain of each row, None for all.
    Raises ValueError when λ = regularization is too small for a system to be solved.
    """
    matrix = favorites_matrix(interactions, degree_exponent)
    near = nearest_by_cosine(matrix, neighbors, shrink)
    by_photo = scipy.sparse.csr_matrix(matrix.T)

    def columns_of(start: int, stop: int) -> Sparse:
        chunks = [range(first, min(first + TOGETHER, stop)) for first in range(start, stop, TOGETHER)]
        weights = [_ridge(gram, regularization) for chunk in chunks for gram in _grams(near, by_photo, chunk)]
        part = slice(int(near.indptr[start]), int(near.indptr[stop]))
        indptr = near.indptr[start : stop + 1] - near.indptr[start]
        data = np.concatenate([np.empty(0), *weights]).astype(np.float32)
        return scipy.sparse.csr_matrix((data, near.indices[part], indptr), shape=(stop - start, near.shape[1]))

    columns = by_blocks(columns_of, np.full(near.shape[0], PHOTO_ENTRIES))
    operator = scipy.sparse.csr_matrix(columns.T)
    return strongest_of_rows(operator, operator.shape[1] if keep is None else keep)


def _grams(near: Sparse, by_photo: Sparse, chunk: range) -> Iterator[NDArray[np.float64]]:
    """For each photo of the chunk, XᵀX of its neighbors and, last, itself; by_photo: Xᵀ, (n_photos, n_users).

    The whole XᵀX would not fit where there are many photos. These parts come from one product, in which every photo of
    the chunk has users of its own, so that the product falls into one square for each.
    """
    some = [np.append(near.indices[near.indptr[photo] : near.indptr[photo + 1]], photo) for photo in chunk]
    sizes = np.array([len(photos) for photos in some])
    firsts = np.cumsum(sizes) - sizes
    photos = np.concatenate(some)
    starts, stops = by_photo.indptr[photos].astype(np.int64), by_photo.indptr[photos + 1].astype(np.int64)
    taken = ranges(starts, stops)
    users = (
        by_photo.indices[taken] + np.repeat(np.repeat(np.arange(len(chunk)), sizes), stops - starts) * by_photo.shape[1]
    )
    places = np.empty(len(chunk) * by_photo.shape[1], dtype=np.int32)
    places[users] = np.arange(len(users))
    indptr = np.concatenate([[0], np.cumsum(stops - starts)])
    members = scipy.sparse.csr_matrix((by_photo.data[taken], places[users], indptr), shape=(len(photos), len(users)))
    product = members @ members.T
    product.indices -= np.repeat(np.repeat(firsts, sizes), np.diff(product.indptr)).astype(product.indices.dtype)
    squares = scipy.sparse.csr_matrix(
        (product.data, product.indices, product.indptr), shape=(len(photos), sizes.max())
    ).toarray()
    for first, size in zip(firsts.tolist(), sizes.tolist(), strict=True):
        yield squares[first : first + size, :size]


def _ridge(gram: NDArray[np.float64], regularization: float) -> NDArray[np.float64]:
    """The weights with which all but the last foretell the last."""
    n = len(gram) - 1
    system = gram[:n, :n]
    system[np.diag_indices(n)] += regularization
    if n == 0:
        return gram[0, :0]
    _, weights, info = lapack.dposv(system, gram[:n, n], lower=1)
    if info != 0:
        raise ValueError(f"regularization {regularization:g} is too small for a system to be solved; use a larger one")
    result: NDArray[np.float64] = weights
    return result
