"""GF-CF: favorites as a signal on the graph of photos, smoothed by its neighbors and by an ideal low-pass filter.

Shen et al. 2021, "How Powerful is Graph Convolution for Recommendation?": in closed form what graph neural networks
learn by descent.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd  # type: ignore[import-untyped]

from training.interactions import Interactions
from training.models.item_item import Sparse, by_blocks, favorites_matrix, strongest_of_rows

SAMPLED = 16
"""Every how many-th column is looked at to bound what a row will keep."""

ZERO = 1e-4
"""The greatest singular value is 1; a vector of 0 is any that is orthogonal to the others, and means nothing."""


def low_pass(
    interactions: Interactions, *, weight: float = 0.3, rank: int = 256, keep: int = 200, seed: int = 0
) -> Sparse:
    """S = R̃ᵀR̃ + weight · D_I^(−1/2) V Vᵀ D_I^(1/2), float32 CSR (n_photos, n_photos), zero diagonal.

    R̃ = D_U^(−1/2) R D_I^(−1/2), R the favorites, D_U and D_I the diagonals of how many a user and a photo have; V the
    first `rank` right singular vectors of R̃ (the paper's GF-CF). The `keep` of greatest magnitude remain of each row.
    Memory is a block of rows for each core, but time goes by n_photos² · rank: for up to some 100,000 photos.
    """
    favorites = favorites_matrix(interactions, 0.5)
    roots = np.sqrt(np.maximum(interactions.photo_degrees, 1))
    smooth = scipy.sparse.csr_matrix(favorites @ scipy.sparse.diags(1.0 / roots), dtype=np.float32)
    by_photo = scipy.sparse.csr_matrix(smooth.T)
    _, values, vectors = randomized_svd(smooth, min(rank, *smooth.shape), random_state=seed)
    vectors = vectors[values > ZERO]
    left = (vectors.T / roots[:, None] * weight).astype(np.float32)
    right = (vectors * roots).astype(np.float32)

    def rows_of(start: int, stop: int) -> Sparse:
        block = left[start:stop] @ right
        near = scipy.sparse.csr_matrix(by_photo[start:stop] @ smooth)
        rows = np.repeat(np.arange(stop - start), np.diff(near.indptr))
        block[rows, near.indices] += near.data
        block[np.arange(stop - start), np.arange(start, stop)] = 0.0
        return strongest_of_rows(_candidates(block, keep), keep)

    return by_blocks(rows_of, np.full(smooth.shape[1], smooth.shape[1]))


def _candidates(block: NDArray[np.float32], keep: int) -> Sparse:
    """The entries that can be among the `keep` of greatest magnitude of their rows, and some more.

    What is the `keep`-th among a sample of the columns is no greater than the `keep`-th of all.
    """
    size = np.abs(block)
    sample = size[:, ::SAMPLED]
    if sample.shape[1] <= keep:
        return scipy.sparse.csr_matrix(block)
    bound = np.partition(sample, sample.shape[1] - keep, axis=1)[:, sample.shape[1] - keep]
    rows, columns = np.divmod(np.flatnonzero(size >= bound[:, None]), block.shape[1])
    indptr = np.searchsorted(rows, np.arange(len(block) + 1))
    return scipy.sparse.csr_matrix((block[rows, columns], columns, indptr), shape=block.shape)
