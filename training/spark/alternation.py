"""The same alternating least squares as `implicit`'s, its ridge regressions solved by Spark's executors.

Every row of a side needs the other side's factors and its own confidences alone: the factors are broadcast, and each
executor solves its rows with the solver that folds users in. Spark's own ALS (mllib.py) minimizes something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse
from implicit.cpu import _als
from numpy.typing import NDArray

from features.settings import Settings, get_settings
from training.confidence import Weighting
from training.interactions import Interactions
from training.models.als import ALS, Factors, confidence_matrix
from training.spark.session import spark_errors, spark_session

if TYPE_CHECKING:
    from pyspark import RDD, Broadcast, SparkContext

START = np.float32(0.01)
"""Factors start between 0 and this, as `implicit`'s do."""


@dataclass(frozen=True)
class Block:
    """Some rows of a side as CSR: indptr int32 (rows + 1,), columns int32 (n,), signed confidences float32 (n,)."""

    indptr: NDArray[np.int32]
    columns: NDArray[np.int32]
    confidence: NDArray[np.float32]


def fit_als(
    interactions: Interactions,
    weighting: Weighting,
    *,
    factors: int,
    regularization: float,
    iterations: int,
    seed: int,
    blocks: int,
    settings: Settings | None = None,
) -> ALS:
    """Train on Spark: what `ALS.fit` fits, each step solved exactly. The same seed and interactions, the same factors.

    blocks: into how many parts a side is divided; they change nothing in the result. settings: say where Spark is;
    default: those of the process. Raises ConfigurationError, DependencyError.
    """
    session = spark_session(settings or get_settings())
    confidence = confidence_matrix(interactions, weighting)
    rng = np.random.default_rng(seed)
    users, photos = (rng.random((n, factors), dtype=np.float32) * START for n in confidence.shape)
    with spark_errors():
        context = session.sparkContext
        of_users, of_photos = (_parallel(context, side, blocks) for side in (confidence, confidence.T.tocsr()))
        for _ in range(iterations):
            users = _solved(context, of_users, photos, regularization)
            photos = _solved(context, of_photos, users, regularization)
        for side in (of_users, of_photos):
            side.unpersist()
    return ALS(photos, photos.T @ photos, regularization, weighting, users, interactions.user_ids)


def _parallel(context: SparkContext, side: scipy.sparse.csr_matrix, blocks: int) -> RDD[Block]:
    """The rows in blocks of about as many interactions, kept by the executors from the first step on."""
    from pyspark import StorageLevel

    cuts = np.searchsorted(side.indptr, np.linspace(0, side.nnz, blocks + 1)[1:-1])
    bounds = np.unique(np.concatenate([[0], cuts, [side.shape[0]]]))
    parts = []
    for first, last in pairwise(bounds):
        start, stop = side.indptr[first], side.indptr[last]
        indptr = (side.indptr[first : last + 1] - start).astype(np.int32)
        parts.append(Block(indptr, side.indices[start:stop].astype(np.int32), side.data[start:stop]))
    return context.parallelize(parts, len(parts)).persist(StorageLevel.MEMORY_AND_DISK)


def _solved(context: SparkContext, side: RDD[Block], fixed: Factors, regularization: float) -> Factors:
    """The factors of a side, float32 (rows, factors), given the other side's."""
    shared = context.broadcast((fixed.T @ fixed, fixed))
    solved: Factors = np.concatenate(side.map(partial(solve, shared, regularization)).collect())
    shared.destroy()
    return solved


def solve(shared: Broadcast[tuple[Factors, Factors]], regularization: float, block: Block) -> Factors:
    """The rows' ridge regressions, float32 (rows, factors), in an executor. shared: YᵀY, and the other side's Y."""
    gram, fixed = shared.value
    rows = np.zeros((len(block.indptr) - 1, len(gram)), dtype=np.float32)
    _als._least_squares(gram, block.indptr, block.columns, block.confidence, rows, fixed, regularization, num_threads=1)
    return rows
