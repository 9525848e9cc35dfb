"""What a minor version is worth: photos hidden from a training get into its blend, and are asked for (Yelp).

A tenth of the items, each with at least three favorites, is hidden. The blend without them, the same with them folded
in, and a blend trained on all are asked for the test favorites of hidden items, and of all. The value is the folded-in
one's NDCG@20 on hidden items ÷ that of the one trained on them; beside it, operators are extended by other means.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from _reporting import finish
from numpy.typing import NDArray

from features.settings import Settings
from training.catalog import Catalog
from training.evaluation import metrics
from training.evaluation.dataset import load_dataset
from training.evaluation.numbering import Holdout
from training.evaluation.ranking import rank
from training.interactions import Events, Histories, Interactions
from training.keys import Rows
from training.models.als import ALS
from training.models.blend import Blend
from training.models.interface import Scorer, Scores
from training.models.item_item import ItemItem
from training.models.recipes import Recipe, fit
from training.new_photos import among_first, numbered_as, with_new_photos
from training.tuning.candidates import SERVED, candidates, tune

HIDDEN, FAVORITERS, K, NEAREST, SEED = 0.1, 3, 20, 10, 0
ALS_OF_YELP = {"factors": 49, "regularization": 12.5, "alpha": 44.0, "degree_exponent": 0.38}
"""What 30 trials found on the validation part (taste_yelp)."""
BARS = {"ndcg_of_retrained": 0.85, "least_share_of_retrained": 0.75, "most_share_of_retrained": 1.33}


class Unaware:
    """A model that knows the first photos only: the others score −∞."""

    def __init__(self, model: Scorer, n_known: int, n_photos: int) -> None:
        self._model, self._n_known, self._n_new = model, n_known, n_photos - n_known

    def scores(self, histories: Histories) -> Scores:
        scores = self._model.scores(among_first(histories, self._n_known))
        return np.pad(scores, ((0, 0), (0, self._n_new)), constant_values=-np.inf)


def reordered(holdout: Holdout, catalog: Catalog) -> Holdout:
    """The same hold-out in the rows of a catalog with the same photos in another order."""
    rows = catalog.rows(holdout.train.catalog.photo_ids)
    train = replace(numbered_as(holdout.train, catalog), contacts=holdout.train.contacts)
    histories = replace(holdout.histories, photo_rows=rows[holdout.histories.photo_rows].astype(np.int32))
    relevant = [np.sort(rows[some]).astype(np.int32) for some in holdout.relevant_rows]
    hidden = [np.sort(rows[some]) for some in holdout.hidden]
    return replace(holdout, train=train, histories=histories, relevant_rows=relevant, hidden=hidden)


def without_new(interactions: Interactions, n_known: int) -> Interactions:
    """The same users and contacts, and the first photos only."""

    def known(events: Events) -> Events:
        kept = events.photos < n_known
        return Events(events.users[kept], events.photos[kept], events.times[kept], events.shares[kept])

    catalog = Catalog(interactions.catalog.photo_ids[:n_known], interactions.catalog.owner_ids[:n_known])
    favorites, dismissals = known(interactions.favorites), known(interactions.dismissals)
    return replace(interactions, catalog=catalog, favorites=favorites, dismissals=dismissals)


def carried(old: ItemItem, carrier: scipy.sparse.csr_matrix) -> ItemItem:
    """The operator A S Aᵀ: each photo stands for the known ones in its row of A."""
    n = len(old.indptr) - 1
    operator = scipy.sparse.csr_matrix((old.data, old.indices, old.indptr), shape=(n, n))
    result = scipy.sparse.csr_matrix(carrier @ operator @ carrier.T, dtype=np.float32)
    parts = (result.indptr.astype(np.int64), result.indices.astype(np.int32), result.data)
    return ItemItem(old.kind, *parts, old.dismissal, old.user_exponent)


def carriers(als: ALS, n_known: int) -> dict[str, scipy.sparse.csr_matrix]:
    """Rows of A for known photos: themselves; for new ones: nothing, or the mean of the nearest by ALS cosine."""
    unit = als.photo_factors / np.maximum(np.linalg.norm(als.photo_factors, axis=1, keepdims=True), 1e-12)
    cosine = unit[n_known:] @ unit[:n_known].T
    nearest = np.argpartition(-cosine, NEAREST, axis=1)[:, :NEAREST]
    n_new = len(nearest)
    indptr = np.arange(0, n_new * NEAREST + 1, NEAREST)
    mean = scipy.sparse.csr_matrix((np.full(nearest.size, 1 / NEAREST), nearest.ravel(), indptr), (n_new, n_known))
    known = scipy.sparse.identity(n_known, format="csr")
    empty = scipy.sparse.csr_matrix((n_new, n_known))
    return {
        name: scipy.sparse.csr_matrix(scipy.sparse.vstack([known, new]))
        for name, new in (("empty", empty), ("nearest", mean))
    }


def with_operators(minor: Blend, old: Blend, carrier: scipy.sparse.csr_matrix) -> Blend:
    before = {one.name: one.model for one in old.components}
    parts = []
    for one in minor.components:
        known = before[one.name]
        parts.append(replace(one, model=carried(known, carrier)) if isinstance(known, ItemItem) else one)
    return Blend(tuple(parts))


def asked(scorer: Scorer, holdout: Holdout, n_known: int) -> dict[str, float]:
    """Recall@20 and NDCG@20 on test favorites of new photos and on all, and new photos' share of what is listed."""
    ranked = rank(scorer, holdout.histories, holdout.n_photos, holdout.hidden, K)
    found: dict[str, float] = {}
    for name, least in (("new", n_known), ("all", 0)):
        relevant = [rows[rows >= least] for rows in holdout.relevant_rows]
        counts: Rows = np.array([len(rows) for rows in relevant])
        hits = np.array([np.isin(listed, rows) for listed, rows in zip(ranked.rows, relevant, strict=True)])
        some = counts > 0
        found[f"{name}/recall_at_20"] = float(metrics.recall(hits[some], counts[some]).mean())
        found[f"{name}/ndcg_at_20"] = float(metrics.ndcg(hits[some], counts[some]).mean())
    listed: NDArray[np.bool_] = ranked.rows >= 0
    found["share of new"] = float((ranked.rows >= n_known).sum() / listed.sum())
    return {name: round(value, 5) for name, value in found.items()}


def main() -> None:
    data = os.environ.get("PHOTO_RECOMMENDER_DATA")
    if not data:
        raise SystemExit("new_photos needs the data sets: set PHOTO_RECOMMENDER_DATA to their folder")
    files = (Path(data) / "yelp" / f"{part}.parquet" for part in ("train", "test", "val", "contacts"))
    dataset = load_dataset(*files, seed=SEED)
    als = Recipe.from_settings(Settings(_env_file=None), "als").changed(**ALS_OF_YELP)  # type: ignore[call-arg]
    recipe = tune(candidates(als, dataset.tuning.train, als_seeds=1, kinds=SERVED), dataset.tuning, SEED).blend
    weights = {one["name"]: round(one["weight"], 3) for one in recipe.parameters["components"]}
    print(f"weights {weights}", file=sys.stderr, flush=True)

    everything = dataset.final.train
    enough = np.flatnonzero(everything.photo_degrees >= FAVORITERS)
    drawn = np.sort(np.random.default_rng(SEED).choice(enough, int(HIDDEN * everything.n_photos), replace=False))
    order = np.concatenate([np.setdiff1d(np.arange(everything.n_photos), drawn), drawn])
    n_known = len(order) - len(drawn)
    catalog = Catalog(everything.catalog.photo_ids[order], everything.catalog.owner_ids[order])
    holdout = reordered(dataset.final, catalog)

    trained = fit(recipe, without_new(holdout.train, n_known))
    began = time.monotonic()
    minor = with_new_photos(trained, recipe, holdout.train)
    seconds = {"fold in": round(time.monotonic() - began, 1)}
    began = time.monotonic()
    retrained = fit(recipe, holdout.train)
    seconds["train"] = round(time.monotonic() - began, 1)
    assert isinstance(trained, Blend) and isinstance(minor, Blend) and isinstance(retrained, Blend)

    models: dict[str, Scorer] = {
        "not known": Unaware(trained, n_known, len(order)),
        "folded in": minor,
        "trained on": retrained,
    }
    als_of = {name: _als(blend) for name, blend in (("folded in", minor), ("trained on", retrained))}
    models |= {f"als, {name}": model for name, model in als_of.items()}
    for name, carrier in carriers(als_of["folded in"], n_known).items():
        models[f"folded in, operators {name}"] = with_operators(minor, trained, carrier)
    results: dict[str, dict[str, float]] = {}
    for name, model in models.items():
        results[name] = asked(model, holdout, n_known)
        print(f"{name}: {results[name]}", file=sys.stderr, flush=True)
    ratio = results["folded in"]["new/ndcg_at_20"] / results["trained on"]["new/ndcg_at_20"]
    share = results["folded in"]["share of new"] / results["trained on"]["share of new"]
    details: dict[str, Any] = {
        "models": results,
        "weights": weights,
        "photos": [n_known, len(drawn)],
        "seconds": seconds,
        "share_of_retrained": round(share, 3),
        "bars": BARS,
    }
    ok = ratio >= BARS["ndcg_of_retrained"] and (
        BARS["least_share_of_retrained"] <= share <= BARS["most_share_of_retrained"]
    )
    finish("new_photos", ratio, "NDCG@20 ÷ retrained's", "higher", BARS["ndcg_of_retrained"], details, ok=ok)


def _als(blend: Blend) -> ALS:
    return next(one.model for one in blend.components if isinstance(one.model, ALS))


if __name__ == "__main__":
    main()
