"""How much each model counts in a blend: learned on the validation part, by likelihood over the whole catalog.

With few validation favorites a search for the best NDCG follows their noise (on half of the users of a set it found
weights that were worse on the other half than ALS alone). The likelihood of a softmax over all photos is smooth and
concave in the weights, uses the place of every favorite, and finds nearly the same weights on any half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from training.evaluation.numbering import Holdout
from training.evaluation.ranking import in_batches
from training.models.blend import Blend, Component
from training.models.interface import Scorer

BEST, OTHERS = 100, 300
"""Of each user: the best photos of every model, and so many drawn from the rest, which stand for all of it."""

USERS = 3_000
RIDGE = 1e-4
LEAST = 0.01
"""Relative to the greatest: a model of less weight is not worth its scan."""


@dataclass(frozen=True)
class Sampled:
    """scores: float32 (m, n, c), of m models for c photos of n users, in the models' units (m,). relevant: bool (n, c).

    log_share: float64 (n, c), the logarithm of how many photos each stands for; −inf where a user has fewer photos.
    """

    scores: NDArray[np.float32]
    units: NDArray[np.float64]
    relevant: NDArray[np.bool_]
    log_share: NDArray[np.float64]


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


def blend_of(models: Mapping[str, Scorer], weights: Mapping[str, float], units: Mapping[str, float]) -> Blend:
    """The blend of those models that have a weight."""
    return Blend(tuple(Component(models[name], weight, units[name]) for name, weight in weights.items()))


def sample_scores(models: Sequence[Scorer], holdout: Holdout, seed: int) -> Sampled:
    """What every model says of each user's test photos, of the best photos of every model, and of some others.

    A model's unit is the median over the users of the standard deviation of its scores.
    """
    rng = np.random.default_rng(seed)
    asked = np.array([user for user, rows in enumerate(holdout.relevant_rows) if len(rows)])
    if len(asked) > USERS:
        asked = np.sort(rng.choice(asked, USERS, replace=False))
    seeds = rng.integers(2**63, size=len(holdout))
    found: dict[int, tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64]]] = {}
    spread = np.zeros((len(holdout), len(models)))

    def one(batch: slice) -> int:
        wanted = asked[(asked >= batch.start) & (asked < batch.stop)]
        if len(wanted):
            scores = [model.scores(holdout.histories[batch]) for model in models]
            for user in wanted.tolist():
                of_user = np.stack([scored[user - batch.start] for scored in scores])
                spread[user] = of_user.std(axis=1)
                found[user] = _photos_of(of_user, holdout, user, np.random.default_rng(seeds[user]))
        return len(holdout.relevant_rows[batch])

    for _ in in_batches(one, len(holdout), holdout.n_photos):
        pass
    units = np.median(spread[asked], axis=0)
    units[units == 0] = 1.0
    size = max(of_user.shape[1] for of_user, _, _ in found.values())
    result = Sampled(
        scores=np.zeros((len(models), len(asked), size), dtype=np.float32),
        units=units,
        relevant=np.zeros((len(asked), size), dtype=bool),
        log_share=np.full((len(asked), size), -np.inf),
    )
    for place, user in enumerate(asked.tolist()):
        of_user, relevant, log_share = found[user]
        many = len(relevant)
        result.scores[:, place, :many] = of_user / units[:, None]
        result.relevant[place, :many], result.log_share[place, :many] = relevant, log_share
    return result


def _photos_of(
    scores: NDArray[np.float32], holdout: Holdout, user: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64]]:
    open_to = np.ones(holdout.n_photos, dtype=bool)
    open_to[holdout.hidden[user]] = False
    rows = np.flatnonzero(open_to)
    if len(rows) > BEST:
        best = np.argpartition(-scores[:, rows], BEST, axis=1)[:, :BEST]
        chosen = np.zeros(holdout.n_photos, dtype=bool)
        chosen[rows[best.ravel()]] = True
        chosen[holdout.relevant_rows[user]] = True
        rest = np.flatnonzero(open_to & ~chosen)
        drawn = rng.choice(rest, min(OTHERS, len(rest)), replace=False)
        certain = np.flatnonzero(chosen & open_to)
        rows = np.concatenate([certain, drawn])
        share = np.zeros(len(rows))
        share[len(certain) :] = np.log(len(rest) / max(len(drawn), 1)) if len(rest) else 0.0
    else:
        share = np.zeros(len(rows))
    return scores[:, rows], np.isin(rows, holdout.relevant_rows[user]), share


def most_likely_weights(sampled: Sampled) -> NDArray[np.float64]:
    """argmax over w ≥ 0 of Σ log softmax(Σ_m w_m · score_m)(favorite) over the validation favorites; float64 (m,).

    McFadden 1978, "Modelling the choice of residential location": photos drawn to stand for others count by their log
    share. Concave; the ridge only makes the maximum certain where two models say the same.
    """
    scores, relevant, log_share = sampled.scores, sampled.relevant, sampled.log_share
    favorites, of_user = relevant.sum(), relevant.sum(axis=1, keepdims=True)
    liked = np.einsum("mnc,nc->m", scores, relevant.astype(np.float32))

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        blended = np.tensordot(weights, scores, 1)
        shifted = blended + log_share
        top = shifted.max(axis=1, keepdims=True)
        shares = np.exp(shifted - top)
        total = shares.sum(axis=1, keepdims=True)
        likelihood = ((blended - top - np.log(total)) * relevant).sum() / favorites
        expected = np.einsum("mnc,nc->m", scores, (shares / total * of_user).astype(np.float32))
        return -likelihood + RIDGE * weights @ weights, -(liked - expected) / favorites + 2 * RIDGE * weights

    start = np.full(len(scores), 0.1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(scores))
    result: NDArray[np.float64] = found.x
    return result
