"""How much each model counts in a blend: learned on the validation part, by likelihood among the photos that matter.

With few validation favorites a search for the best NDCG follows their noise (on half of the users of a set it found
weights that were worse on the other half than ALS alone). The likelihood of a softmax over the models' best photos is
smooth and concave in the weights, uses the place of every favorite among them, and does not care for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from training.evaluation.numbering import Holdout
from training.evaluation.ranking import in_batches
from training.models.blend import compressed
from training.models.interface import Scorer

BEST = 100
"""Of each user the best photos of every model compete for the validation favorites. No list is longer, and a model that
orders the whole catalog well, but not its top, earns nothing."""

USERS = 3_000
RIDGE = 1e-4
LEAST = 0.01
"""Relative to the greatest: a model of less weight is not worth its scan."""


@dataclass(frozen=True)
class Sampled:
    """scores: float32 (m, n, c), as blended, of m models for c photos of n users. units: float64 (m,), as in `Blend`.

    relevant, present: bool (n, c); not present where a user has fewer photos than others.
    """

    scores: NDArray[np.float32]
    units: NDArray[np.float64]
    relevant: NDArray[np.bool_]
    present: NDArray[np.bool_]


def learn_blend(models: Mapping[str, Scorer], holdout: Holdout, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """(weights, units) by name, the weights ≥ 0; a model that adds nothing is left out.

    Of more than `USERS` users, a seeded draw is asked.
    """
    names = list(models)
    sampled = sample_scores([models[name] for name in names], holdout, seed)
    weights = most_likely_weights(sampled)
    kept = weights > LEAST * weights.max()
    chosen = {name: float(weights[place]) for place, name in enumerate(names) if kept[place]}
    return chosen, {name: float(sampled.units[place]) for place, name in enumerate(names) if kept[place]}


def sample_scores(models: Sequence[Scorer], holdout: Holdout, seed: int) -> Sampled:
    """What every model says of the photos that are among the best of any model, for each user with test photos.

    A model's unit is the median of the standard deviation of its scores, over the users whom it tells photos apart for.
    """
    rng = np.random.default_rng(seed)
    asked = np.array([user for user, rows in enumerate(holdout.relevant_rows) if len(rows)])
    if len(asked) > USERS:
        asked = np.sort(rng.choice(asked, USERS, replace=False))
    found: dict[int, tuple[NDArray[np.float32], NDArray[np.bool_]]] = {}
    spread = np.zeros((len(holdout), len(models)))

    def one(batch: slice) -> int:
        wanted = asked[(asked >= batch.start) & (asked < batch.stop)]
        if len(wanted):
            scores = [model.scores(holdout.histories[batch]) for model in models]
            for user in wanted.tolist():
                of_user = np.stack([scored[user - batch.start] for scored in scores])
                spread[user] = of_user.std(axis=1)
                found[user] = _best_photos(of_user, holdout, user)
        return len(holdout.relevant_rows[batch])

    for _ in in_batches(one, len(holdout), holdout.n_photos):
        pass
    units = np.array([np.median(of_model[of_model > 0]) if of_model.any() else 1.0 for of_model in spread[asked].T])
    size = max(of_user.shape[1] for of_user, _ in found.values())
    result = Sampled(
        scores=np.zeros((len(models), len(asked), size), dtype=np.float32),
        units=units,
        relevant=np.zeros((len(asked), size), dtype=bool),
        present=np.zeros((len(asked), size), dtype=bool),
    )
    for place, user in enumerate(asked.tolist()):
        of_user, relevant = found[user]
        many = len(relevant)
        for model, unit in enumerate(units):
            result.scores[model, place, :many] = compressed(of_user[model], unit)
        result.relevant[place, :many], result.present[place, :many] = relevant, True
    return result


def _best_photos(
    scores: NDArray[np.float32], holdout: Holdout, user: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    open_to = np.ones(holdout.n_photos, dtype=bool)
    open_to[holdout.hidden[user]] = False
    rows = np.flatnonzero(open_to)
    if len(rows) > BEST:
        best = np.argpartition(-scores[:, rows], BEST, axis=1)[:, :BEST]
        chosen = np.zeros(len(rows), dtype=bool)
        chosen[best.ravel()] = True
        rows = rows[chosen]
    return scores[:, rows], np.isin(rows, holdout.relevant_rows[user])


def most_likely_weights(sampled: Sampled) -> NDArray[np.float64]:
    """argmax over w ≥ 0 of Σ log softmax(Σ_m w_m · score_m)(favorite) over the validation favorites among the best
    photos; float64 (m,). Equal weights when there are no such favorites.

    The conditional logit (McFadden 1974, "Conditional Logit Analysis of Qualitative Choice Behavior"): concave; the
    ridge only makes the maximum certain where two models say the same.
    """
    telling = sampled.relevant.any(axis=1)
    if not telling.any():
        return np.ones(len(sampled.scores))
    scores, relevant, present = sampled.scores[:, telling], sampled.relevant[telling], sampled.present[telling]
    favorites, of_user = relevant.sum(), relevant.sum(axis=1, keepdims=True)
    liked = np.einsum("mnc,nc->m", scores, relevant.astype(np.float32))

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        blended = np.where(present, np.tensordot(weights, scores, 1), -np.inf)
        top = blended.max(axis=1, keepdims=True)
        shares = np.exp(blended - top)
        total = shares.sum(axis=1, keepdims=True)
        likelihood = (blended - top - np.log(total))[relevant].sum() / favorites
        expected = np.einsum("mnc,nc->m", scores, (shares / total * of_user).astype(np.float32))
        return -likelihood + RIDGE * weights @ weights, -(liked - expected) / favorites + 2 * RIDGE * weights

    start = np.full(len(scores), 0.1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(scores))
    result: NDArray[np.float64] = found.x
    return result
