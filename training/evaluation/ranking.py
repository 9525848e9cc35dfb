"""Lists for many users: each model is asked in batches, what may not be shown is left out, and the best rows remain."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from training.interactions import Histories
from training.keys import Rows
from training.models.interface import Scorer, Scores
from training.retrieval import top_rows

BATCH_BYTES = 64 * 2**20
"""Scores of one batch: with one batch for each core at once, and a copy of each, what ranking needs of memory."""


@dataclass(frozen=True)
class Ranked:
    """rows: int64 (n_users, n), catalog rows, best first, −1 where a list is shorter; scores: float32, the same."""

    rows: Rows
    scores: Scores

    def head(self, k: int) -> Rows:
        """The first k rows of each list."""
        return self.rows[:, :k]


def rank(
    scorer: Scorer,
    histories: Histories,
    n_photos: int,
    hidden: Sequence[NDArray[np.integer[Any]]],
    n: int,
    progress: Callable[[int], None] | None = None,
) -> Ranked:
    """The n best photos of each user, without the rows in `hidden` (one array a user). `progress` gets lists made."""
    rows = np.full((len(histories), n), -1, dtype=np.int64)
    scores = np.full((len(histories), n), -np.inf, dtype=np.float32)

    def one(batch: slice) -> int:
        for user, scored in enumerate(scorer.scores(histories[batch]), start=batch.start):
            best, values = top_rows(scored, n, hidden[user])
            rows[user, : len(best)] = best
            scores[user, : len(best)] = values
        return len(hidden[batch])

    for made in in_batches(one, len(histories), n_photos):
        if progress is not None:
            progress(made)
    return Ranked(rows, scores)


def in_batches(work: Callable[[slice], int], n_users: int, n_photos: int) -> Iterator[int]:
    """Call `work` on batches of users, on every core; yields how many users are done, as they get done."""
    size = max(1, min(512, BATCH_BYTES // (4 * max(n_photos, 1))))
    batches = [slice(start, min(start + size, n_users)) for start in range(0, n_users, size)]
    done = 0
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        for made in pool.map(work, batches):
            done += made
            yield done
