"""From scores to a list: the one way in which evaluation, serving and reasons choose the best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def top_rows(
    scores: NDArray[np.float32], n: int, exclude: NDArray[np.bool_] | NDArray[np.integer] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The at most `n` best rows and their scores, best first; equal scores in row order, the more popular first.

    scores: (n_photos,); −inf means "never". exclude: bool (n_photos,) or rows to leave out.
    """
    if exclude is not None:
        scores = scores.copy()
        scores[exclude] = -np.inf
    n = min(n, len(scores))
    if n <= 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    threshold = np.partition(scores, len(scores) - n)[len(scores) - n]
    above = np.flatnonzero(scores > threshold)
    above = above[np.argsort(-scores[above], kind="stable")]
    ties = np.flatnonzero(scores == threshold)[: n - len(above)] if np.isfinite(threshold) else above[:0]
    rows = np.concatenate([above, ties])
    return rows, scores[rows]


def strongest(rows: NDArray[np.integer], contributions: NDArray[np.floating], n: int) -> list[tuple[int, float]]:
    """The n rows with the greatest contributions above 0, greatest first."""
    best = np.argsort(-contributions, kind="stable")[:n]
    return [(int(rows[i]), float(contributions[i])) for i in best if contributions[i] > 0]
