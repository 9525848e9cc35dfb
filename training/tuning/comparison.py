"""One data set, every model: tuned and blended on the validation part, fit again on everything, and tested once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from training.evaluation.dataset import Dataset, Holdout
from training.evaluation.measures import (
    Values,
    by_segment,
    full_metrics,
    list_metrics,
    sampled_metrics,
    with_intervals,
)
from training.evaluation.negatives import Cases
from training.evaluation.ranking import Ranked, rank
from training.evaluation.sanity import measure_latency, size_in_memory
from training.models.interface import Scorer
from training.models.recipes import Recipe, blend_of, fit_each
from training.tuning.candidates import CEILING, SEEDED, candidates, tune
from training.tuning.search import search_als

ALS_SEEDS = 3
"""Factors trained from other starts differ in their errors, of which a blend averages a part away."""

LISTED = 100

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Compared:
    """result: what `evaluate --json` prints. lists: the chosen model's, (n_test_users, 100)."""

    result: dict[str, Any]
    lists: Ranked


def compare(
    dataset: Dataset,
    cases: Cases | None,
    start: Recipe,
    *,
    ks: Sequence[int],
    trials: int,
    factors_max: int,
    seed: int,
    progress: Progress,
    minutes: float | None = None,
    storage: Path | None = None,
) -> Compared:
    """Choose on `dataset.tuning` alone, then fit all models on everything and test them; the chosen one is the best of
    them on validation. start: ALS's recipe where nothing is searched, and where the search begins. trials 0: no search;
    minutes, storage: of it, as in `search_als`.
    """
    tuning, final = dataset.tuning, dataset.final
    als = start.changed(seed=seed, factors=min(int(start.parameters["factors"]), factors_max))
    if trials:
        # From another start than is kept: else the luckiest start of all would be, and look better than it is.
        found = search_als(
            als.changed(seed=seed + ALS_SEEDS),
            tuning,
            trials=trials,
            factors_max=factors_max,
            has_times=dataset.has_times,
            seed=seed,
            progress=partial(progress, "tune ALS"),
            minutes=minutes,
            storage=storage,
        )
        als = found.recipe.changed(seed=seed)
    tuned = tune(
        candidates(als, tuning.train, als_seeds=ALS_SEEDS), tuning, seed, partial(progress, "fit for validation")
    )
    models = fit_each(tuned.recipes, final.train, partial(progress, "fit on everything"))
    models["blend"] = blend_of(tuned.blend, models)
    validated = tuned.validated
    # Further ALS are there for the blend: the best of several starts would be chosen for its luck.
    open_to = [name for name in validated if name != CEILING and not name.startswith(SEEDED)]
    chosen = max(open_to, key=lambda name: validated[name])
    ranked = rank(models[chosen], final.histories, final.n_photos, final.hidden, LISTED)
    tested: dict[str, Any] = {}
    values: dict[str, Values] = {}
    reported = [name for name in models if not name.startswith(SEEDED)]
    for done, name in enumerate(reported):
        tested[name], values[name] = _tested(models[name], final, cases, ks, seed)
        progress("test", done + 1, len(reported))
    result = {
        "chosen": chosen,
        "validation_ndcg_at_20": validated,
        "models": tested,
        "ahead": {name: _ahead(values[chosen], values[name], seed) for name in reported if name != chosen},
        "blend": {
            one["name"]: {"weight": one["weight"], "unit": one["unit"]} for one in tuned.blend.parameters["components"]
        },
        "recipes": {name: recipe.as_dict() for name, recipe in tuned.recipes.items()},
        "counts": _counts(dataset),
        "notes": [*dataset.notes, *(() if cases is None else cases.notes)],
    }
    return Compared(result, ranked)


def _tested(
    model: Scorer, holdout: Holdout, cases: Cases | None, ks: Sequence[int], seed: int
) -> tuple[dict[str, Any], Values]:
    """Every metric of one model, in full ranking and, with `cases`, among negatives, and what it costs; beside it the
    metrics of full ranking for each user."""
    ranked = rank(model, holdout.histories, holdout.n_photos, holdout.hidden, max(ks))
    full = full_metrics(ranked, holdout, ks)
    found: dict[str, Any] = {
        "full": with_intervals(full, seed),
        "lists": list_metrics(ranked, holdout, max(ks)),
        "segments": by_segment(full, holdout.histories.degrees, seed),
        "latency_ms": measure_latency(model, holdout.histories),
        "megabytes": size_in_memory(model) / 2**20,
    }
    if cases is not None:
        found["sampled"] = with_intervals(sampled_metrics(model, holdout, cases, ks), seed)
    return found, full


def _ahead(chosen: Values, other: Values, seed: int) -> dict[str, dict[str, float]]:
    """How much better the chosen model is for the same users: the mean difference of each metric and its interval."""
    return with_intervals({metric: chosen[metric] - other[metric] for metric in chosen}, seed)


def _counts(dataset: Dataset) -> dict[str, int]:
    final = dataset.final
    return {
        "users": final.train.n_users,
        "items": final.train.n_photos,
        "favorites": len(final.train.favorites),
        "dismissals": len(final.train.dismissals),
        "test_users": len(final),
        "test_items": int(final.relevant.sum()),
        "test_items_unknown_to_training": len(final.absent_items),
        "validation_users": len(dataset.tuning),
    }


def lists_of(dataset: Dataset, lists: Ranked) -> dict[str, Any]:
    """Columns user, item, rank (from 1) and score of the lists, ids in the type in which they were read."""
    listed = lists.rows >= 0
    users, places = np.nonzero(listed)
    catalog = dataset.final.train.catalog
    return {
        "user": dataset.original_ids("user", dataset.final.user_ids[users]),
        "item": dataset.original_ids("item", catalog.photo_ids[lists.rows[listed]]),
        "rank": (places + 1).astype(np.int32),
        "score": lists.scores[listed],
    }
