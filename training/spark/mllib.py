"""Spark's own implicit ALS, on the same confidences: for a cluster whose executors have nothing but Spark.

Its regularization grows with a row's favorites, so that it fits another model than `implicit` and is tuned by itself.
What comes back is an `ALS` like any other: bundle, fold-in and gate don't know the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.settings import Settings, get_settings
from training.confidence import Weighting
from training.interactions import Interactions
from training.models.als import ALS, Factors, confidence_matrix
from training.spark.session import spark_errors, spark_session
from training.spark.staging import Staging, spark_path, staging

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SMALLEST = float(np.finfo(np.float32).tiny)


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
    """Train on Spark. regularization: λ; that of a user or photo is λ × its favorites (Zhou et al. 2008, ALS-WR).

    blocks: into how many parts Spark divides users and photos; it decides the start, so that another number gives
    another model. The same seed, blocks and interactions give the same factors but for rounding. settings: say where
    Spark is; default: those of the process. Raises ConfigurationError, DependencyError.
    """
    settings = settings or get_settings()
    session = spark_session(settings)
    from pyspark.ml.recommendation import ALS as SparkALS  # noqa: N811

    with staging(session, settings.lake_uri) as place:
        confidence = confidence_matrix(interactions, weighting).tocoo()
        staged = pa.table({"user": confidence.row, "photo": confidence.col, "rating": ratings(confidence.data)})
        del confidence
        path = place.write("ratings", staged)
        del staged
        with spark_errors():
            session.sparkContext.setCheckpointDir(spark_path(f"{place.uri}/checkpoints"))
            model = SparkALS(
                rank=factors,
                maxIter=iterations,
                regParam=regularization,
                numUserBlocks=blocks,
                numItemBlocks=blocks,
                implicitPrefs=True,
                alpha=1.0,
                nonnegative=False,
                seed=seed,
                userCol="user",
                itemCol="photo",
                ratingCol="rating",
            ).fit(session.read.parquet(path))
            users = _collected(place, "users", model.userFactors, (interactions.n_users, factors))
            photos = _collected(place, "photos", model.itemFactors, (interactions.n_photos, factors))
    # Fold-in takes one λ for everybody, as `implicit` does: that of a user on average (docs/decisions/0017-spark.md).
    folded = regularization * len(interactions.favorites) / max(interactions.n_users, 1)
    return ALS(photos, photos.T @ photos, folded, weighting, users, interactions.user_ids)


def ratings(confidence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Signed confidences c, |c| ≥ 1, as the ratings r that Spark makes the same confidences of: 1 + α|r|, α = 1.

    To Spark, preference is 1 where r > 0, else 0: a favorite so old that its confidence has rounded to 1 keeps the
    smallest rating above 0.
    """
    strength = np.abs(confidence) - np.float32(1.0)
    result: NDArray[np.float32] = np.where(confidence > 0, np.maximum(strength, SMALLEST), -strength)
    return result.astype(np.float32)


def _collected(place: Staging, name: str, found: DataFrame, shape: tuple[int, int]) -> Factors:
    """Spark's factors (id, features) as an array of that shape, row = id; zeros where it has none."""
    schema = pa.schema([("id", pa.int32()), ("features", pa.list_(pa.float32()))])
    rows = place.collect(name, found, schema)
    factors = np.zeros(shape, dtype=np.float32)
    for batch in rows.to_batches():
        factors[batch.column("id").to_numpy()] = batch.column("features").flatten().to_numpy().reshape(-1, shape[1])
    return factors
