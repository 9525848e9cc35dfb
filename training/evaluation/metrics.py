"""Ranking metrics, per user and of whole lists, each with its formula; arrays in, arrays out.

`hits` is bool (n_users, k): whether the photo at each rank is one that the user favorited afterwards; `relevant` is int
(n_users,), ≥ 1: how many those are.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

Hits = NDArray[np.bool_]
Counts = NDArray[np.integer]
PerUser = NDArray[np.float64]


def ndcg(hits: Hits, relevant: Counts) -> PerUser:
    """NDCG@k = Σ_{i≤k} hit_i / log2(i + 1) ÷ Σ_{i≤min(relevant, k)} 1 / log2(i + 1)   (binary relevance)."""
    gains = 1.0 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.cumsum(gains)[np.minimum(relevant, hits.shape[1]) - 1]
    result: PerUser = (hits @ gains) / ideal
    return result


def recall(hits: Hits, relevant: Counts) -> PerUser:
    """Recall@k = Σ_{i≤k} hit_i ÷ relevant."""
    result: PerUser = hits.sum(axis=1) / relevant
    return result


def average_precision(hits: Hits, relevant: Counts) -> PerUser:
    """AP@k = Σ_{i≤k} hit_i · (Σ_{j≤i} hit_j ÷ i) ÷ min(relevant, k); its mean over users is MAP@k."""
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    result: PerUser = (precision * hits).sum(axis=1) / np.minimum(relevant, hits.shape[1])
    return result


def hit_ratio(hits: Hits, relevant: Counts) -> PerUser:
    """HR@k = Σ_{i≤k} hit_i ÷ min(relevant, k); with one relevant photo, whether it is in the list."""
    result: PerUser = hits.sum(axis=1) / np.minimum(relevant, hits.shape[1])
    return result


def reciprocal_rank(hits: Hits) -> PerUser:
    """1 ÷ the rank of the first hit, 0 without any; its mean over users is MRR@k."""
    first = hits.argmax(axis=1)
    return np.where(hits.any(axis=1), 1.0 / (first + 1.0), 0.0)


def diversity(ranked: NDArray[np.integer], favorites: scipy.sparse.csr_matrix) -> PerUser:
    """1 − the mean cosine of two photos of a list, as sets of favoriters; NaN for lists of fewer than two.

    ranked: int (n_lists, k), −1 where a list is shorter; favorites: CSR (n_users, n_photos). The mean over the pairs
    follows from the sum s of a list's n unit vectors: (|s|² − n) ÷ (n (n − 1)).
    """
    norms = np.sqrt(np.maximum(favorites.power(2).sum(axis=0), 1e-12))
    unit = scipy.sparse.csr_matrix(favorites.multiply(1.0 / norms).T)
    listed = ranked >= 0
    indptr = np.concatenate([[0], np.cumsum(listed.sum(axis=1))])
    shape = (len(ranked), favorites.shape[1])
    lists = scipy.sparse.csr_matrix((np.ones(int(listed.sum())), ranked[listed], indptr), shape=shape)
    sizes = listed.sum(axis=1)
    squares = np.asarray((lists @ unit).power(2).sum(axis=1)).ravel()
    similar: PerUser = (squares - sizes) / np.maximum(sizes * (sizes - 1), 1)
    return np.where(sizes > 1, 1.0 - similar, np.nan)


def coverage(ranked: NDArray[np.integer], n_photos: int) -> float:
    """Share of the n_photos that appear in any list; `ranked` int (n_users, k), −1 where a list is shorter."""
    return int(np.count_nonzero(np.bincount(ranked[ranked >= 0], minlength=n_photos))) / n_photos


def novelty(ranked: NDArray[np.integer], photo_degrees: Counts, n_users: int) -> float:
    """Mean of −log2(favorites of the photo ÷ n_users) over everything listed, in bits: the rarer, the newer.

    photo_degrees: (n_photos,), at least 1; n_users: users in training.
    """
    listed = ranked[ranked >= 0]
    if len(listed) == 0:
        return 0.0
    return float(-np.log2(photo_degrees[listed] / n_users).mean())
