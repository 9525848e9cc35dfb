"""From scores to a list: the one way in which evaluation, serving and reasons choose the best, exactly.

Sorting, or even partitioning, a million scores costs as much as computing them. The maxima of blocks bound the n-th
best from below, so that only the few rows that reach the bound are ever compared (decisions/0026-retrieval.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features.sorting import ascending
from training.keys import Rows

Excluded = NDArray[np.bool_] | NDArray[np.integer]
Best = tuple[NDArray[np.int64], NDArray[np.float32]]

BLOCK = 256
"""Rows of a block, at most: with fewer, the maxima cost more than they save."""

BLOCKS_FOR_EACH = 4
"""Blocks for each of the n wanted, at least: then a quarter of the rows is looked at, at most."""

CHUNK_ROWS, CHUNK_BLOCKS = 16_384, 512
"""`best_of_products` multiplies so many rows at once, whose scores for 32 vectors stay in the cache, and chooses from
them in so many blocks."""


def top_rows(scores: NDArray[np.float32], n: int, exclude: Excluded | None = None) -> Best:
    """The at most `n` best rows and their scores, best first; equal scores in row order, the more popular first.

    scores: (n_photos,); −inf means "never". exclude: bool (n_photos,) or rows to leave out.
    """
    if exclude is not None:
        scores = scores.copy()
        if exclude.dtype == bool:
            # Assigning through a mask makes a list of its rows first, at three times the cost.
            np.copyto(scores, -np.inf, where=exclude.astype(bool, copy=False))
        else:
            scores[exclude] = -np.inf
    n = min(n, len(scores))
    if n <= 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    rows = _reaching(scores, n)
    return _best(rows, scores[rows], n)


def _reaching(scores: NDArray[np.float32], n: int) -> Rows:
    """Rows among which the n best are, ties with the last of them included, in no order.

    Each block's maximum is the score of another row, so the n-th largest of them is no more than the n-th best score.
    A block is every so-manieth row: the best are often neighbors, and the maxima of few blocks would bound nothing.
    """
    blocks = max(BLOCKS_FOR_EACH * n, -(-len(scores) // BLOCK))
    depth = len(scores) // blocks
    if depth < 2:
        return np.flatnonzero(scores >= np.partition(scores, len(scores) - n)[len(scores) - n])
    maxima = scores[: depth * blocks].reshape(depth, blocks).max(axis=0)
    bound = np.partition(maxima, blocks - n)[blocks - n]
    some = np.flatnonzero(maxima >= bound)
    # Where many blocks tie with the bound, looking at all rows costs less than picking them.
    if len(some) * 2 > blocks:
        return np.flatnonzero(scores >= bound)
    rest = np.arange(depth * blocks, len(scores))
    rows = np.concatenate([(some + blocks * np.arange(depth)[:, None]).ravel(), rest])
    reaching: Rows = rows[scores[rows] >= bound]
    return reaching


def _best(rows: Rows, values: NDArray[np.float32], n: int) -> Best:
    """The n rows with the greatest values above −inf, of equals the first rows."""
    ever = values > -np.inf
    rows, values = rows[ever], values[ever]
    order = np.lexsort((rows, -values))[:n]
    return rows[order], values[order]


def best_of_products(
    factors: NDArray[np.float32], vectors: NDArray[np.float32], n: int, exclude: Sequence[Rows] | None = None
) -> list[Best]:
    """What `top_rows(factors @ vector, n, rows)` gives for each vector, for 32 of them in a seventh of the time.

    factors: (n_photos, factors); vectors: (n, factors); exclude: for each vector the rows to leave out. The factors
    are read once for all vectors. Products differ from those of one vector alone in the last bits.
    """
    n = min(n, len(factors))
    if n <= 0 or len(vectors) == 0:
        return [top_rows(np.empty(0, dtype=np.float32), 0) for _ in vectors]
    left_out = _by_row([] if exclude is None else exclude)
    largest = np.full((n, len(vectors)), -np.inf, dtype=np.float32)
    found: list[tuple[Rows, Rows, NDArray[np.float32]]] = []
    for start in range(0, len(factors), CHUNK_ROWS):
        scores = _products(factors[start : start + CHUNK_ROWS], vectors)
        first, last = np.searchsorted(left_out[0], [start, start + CHUNK_ROWS])
        scores[left_out[0][first:last] - start, left_out[1][first:last]] = -np.inf
        blocks = scores.reshape(-1, CHUNK_BLOCKS, len(vectors))
        maxima = blocks.max(axis=0)
        # The n largest maxima so far are scores of n different rows: the least of them bounds the n-th best.
        largest = np.partition(np.concatenate([largest, maxima]), len(maxima), axis=0)[len(maxima) :]
        bounds = largest.min(axis=0)
        block, of = np.nonzero(maxima >= bounds)
        values = blocks[:, block, of]
        place, hit = np.nonzero((values >= bounds[of]) & (values > -np.inf))
        found.append((start + place * CHUNK_BLOCKS + block[hit], of[hit], values[place, hit]))
    rows, whose, scored = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.argsort(whose, kind="stable")
    edges = np.searchsorted(whose[order], np.arange(1, len(vectors)))
    parts = zip(np.split(rows[order], edges), np.split(scored[order], edges), strict=True)
    return [_best(mine, values, n) for mine, values in parts]


def _products(factors: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(rows, vectors), filled up with −inf to whole blocks."""
    padded = -(-len(factors) // CHUNK_BLOCKS) * CHUNK_BLOCKS
    scores = np.empty((padded, len(vectors)), dtype=np.float32)
    scores[len(factors) :] = -np.inf
    np.matmul(factors, vectors.T, out=scores[: len(factors)])
    return scores


def _by_row(exclude: Sequence[Rows]) -> tuple[Rows, Rows]:
    """All rows of all lists, ascending, and the list of each."""
    lists = [np.asarray(rows, dtype=np.int64) for rows in exclude]
    rows = np.concatenate([np.empty(0, dtype=np.int64), *lists])
    whose = np.repeat(np.arange(len(lists)), [len(one) for one in lists]).astype(np.int64)
    rows, order = ascending(rows)
    return rows, whose[order]


def strongest(rows: NDArray[np.integer], contributions: NDArray[np.floating], n: int) -> list[tuple[int, float]]:
    """The n rows with the greatest contributions above 0, greatest first."""
    some = np.arange(len(contributions))
    if 0 < n < len(contributions):
        # A page asks thirty times, of up to thousands of favorites: sorting them all takes twenty times as long.
        some = np.flatnonzero(contributions >= np.partition(contributions, -n)[-n])
    best = some[np.argsort(-contributions[some], kind="stable")[:n]]
    return [(int(rows[i]), float(contributions[i])) for i in best if contributions[i] > 0]
