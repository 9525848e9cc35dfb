"""Ranking metrics, per user and of whole lists, each with its formula; arrays in, arrays out.

`hits` is bool (n_users, k): whether the photo at each rank is one that the user favorited afterwards; `relevant` is int
(n_users,), ≥ 1: how many those are.
"""

from __future__ import annotations

import numpy as np
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


def coverage(ranked: NDArray[np.integer], n_photos: int) -> float:
    """Share of the n_photos that appear in any list; `ranked` int (n_users, k), −1 where a list is shorter."""
    return len(np.unique(ranked[ranked >= 0])) / n_photos


def novelty(ranked: NDArray[np.integer], photo_degrees: Counts, n_users: int) -> float:
    """Mean of −log2(favorites of the photo ÷ n_users) over everything listed, in bits: the rarer, the newer.

    photo_degrees: (n_photos,), at least 1; n_users: users in training.
    """
    listed = ranked[ranked >= 0]
    if len(listed) == 0:
        return 0.0
    return float(-np.log2(photo_degrees[listed] / n_users).mean())
