"""What lists are worth: every metric with its interval, over all users and by how active they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from training.evaluation import metrics
from training.evaluation.negatives import Cases
from training.evaluation.numbering import Holdout
from training.evaluation.ranking import Ranked, in_batches
from training.keys import Rows
from training.models.interface import Scorer

RESAMPLES = 1_000
SEGMENTS = ((0, 0), (1, 4), (5, 9), (10, 19), (20, 49), (50, 99), (100, None))
"""Users by their favorites in training, both ends included."""

Values = dict[str, NDArray[np.float64]]


def full_metrics(ranked: Ranked, holdout: Holdout, ks: Sequence[int]) -> Values:
    """Recall, NDCG, HR, MAP and MRR at each k for each user, float64 (n,), by name; items not held are missed."""
    hits = np.array([np.isin(listed, found) for listed, found in zip(ranked.rows, holdout.relevant_rows, strict=True)])
    return _at_each(hits, holdout.relevant, ks)


def sampled_metrics(scorer: Scorer, holdout: Holdout, cases: Cases, ks: Sequence[int]) -> Values:
    """The same for each case, float64 (m,), its positives among its negatives; of equals, negatives are first."""
    k = max(ks)
    hits = np.zeros((len(cases), k), dtype=bool)
    order = np.argsort(cases.users, kind="stable")
    bounds = np.searchsorted(cases.users[order], np.arange(len(holdout) + 1))

    def one(batch: slice) -> int:
        scores = scorer.scores(holdout.histories[batch])
        for place in order[bounds[batch.start] : bounds[batch.stop]].tolist():
            of_user = scores[cases.users[place] - batch.start]
            positives, negatives = cases.positives[place], cases.negatives[place]
            values = np.concatenate([of_user[negatives[negatives >= 0]], of_user[positives]])
            best = np.argsort(-values, kind="stable")[:k]
            hits[place, : len(best)] = best >= len(values) - len(positives)
        return len(scores)

    for _ in in_batches(one, len(holdout), holdout.n_photos):
        pass
    return _at_each(hits, cases.relevant, ks)


def _at_each(hits: NDArray[np.bool_], relevant: Rows, ks: Sequence[int]) -> Values:
    found: Values = {}
    for k in ks:
        top = hits[:, :k]
        found[f"recall_at_{k}"] = metrics.recall(top, relevant)
        found[f"ndcg_at_{k}"] = metrics.ndcg(top, relevant)
        found[f"hr_at_{k}"] = metrics.hit_ratio(top, relevant)
        found[f"map_at_{k}"] = metrics.average_precision(top, relevant)
        found[f"mrr_at_{k}"] = metrics.reciprocal_rank(top)
    return found


def list_metrics(ranked: Ranked, holdout: Holdout, k: int) -> dict[str, float]:
    """Coverage, novelty and diversity of the first k of all lists."""
    train, rows = holdout.train, ranked.head(k)
    favorites = train.favorites
    matrix = scipy.sparse.csr_matrix(
        (np.ones(len(favorites)), (favorites.users, favorites.photos)), shape=(train.n_users, train.n_photos)
    )
    found = {
        f"coverage_at_{k}": metrics.coverage(rows, train.n_photos),
        f"novelty_at_{k}": metrics.novelty(rows, train.photo_degrees, train.n_users),
    }
    diversity = metrics.diversity(rows, matrix)
    if np.isfinite(diversity).any():  # a list of one photo has none
        found[f"diversity_at_{k}"] = float(np.nanmean(diversity))
    return found


def with_intervals(values: Values, seed: int) -> dict[str, dict[str, float]]:
    """{metric: {"mean", "low", "high"}}: 95 % by bootstrap over the users (Efron 1979), `RESAMPLES` of them.

    Every metric, and every model asked with the same seed, is resampled alike, so that differences are paired.
    """
    rng = np.random.default_rng(seed)
    names = list(values)
    table = np.stack([values[name] for name in names], axis=1)
    means = np.empty((RESAMPLES, len(names)))
    for resample in range(RESAMPLES):
        drawn = np.bincount(rng.integers(len(table), size=len(table)), minlength=len(table))
        means[resample] = drawn @ table / len(table)
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return {
        name: {"mean": float(table[:, place].mean()), "low": float(low[place]), "high": float(high[place])}
        for place, name in enumerate(names)
    }


def by_segment(values: Values, degrees: Rows, seed: int) -> list[dict[str, Any]]:
    """The metrics of users by how many favorites they have in training; empty segments are left out."""
    result: list[dict[str, Any]] = []
    for least, most in SEGMENTS:
        inside = (degrees >= least) & (degrees <= (np.inf if most is None else most))
        if inside.any():
            some = {name: of_users[inside] for name, of_users in values.items()}
            entry = {"favorites_from": least, "favorites_to": most, "users": int(inside.sum())}
            result.append({**entry, "metrics": with_intervals(some, seed)})
    return result
