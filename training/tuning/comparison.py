"""One data set, every model: tuned and blended on the validation part, fit again on everything, and tested once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from training.evaluation.dataset import Dataset, Holdout
from training.evaluation.measures import by_segment, full_metrics, list_metrics, sampled_metrics, with_intervals
from training.evaluation.negatives import Cases
from training.evaluation.ranking import Ranked, rank
from training.interactions import Interactions
from training.models.exact_ease import MOST_PHOTOS
from training.models.interface import Scorer
from training.models.recipes import Recipe, blend_of, blend_recipe, fit_each
from training.tuning.blending import learn_blend
from training.tuning.search import search_als, validation_ndcg

ALS_SEEDS = 3
"""Factors trained from other starts differ in their errors, of which a blend averages a part away."""

ITEM_ITEM: dict[str, tuple[dict[str, float], ...]] = {
    "item_knn": tuple({"shrink": shrink} for shrink in (0.0, 10.0, 100.0, 1_000.0)),
    "local_ease": ({"regularization": 100.0, "shrink": 0.0}, {"regularization": 100.0, "shrink": 50.0}),
    "low_pass": ({"weight": 0.3}, {"weight": 10.0}),
    "exact_ease": ({"regularization": 200.0},),
}
"""Of each operator, variants for dense data and for sparse: where favorites are few, shrinking decides everything."""

LARGEST = {"local_ease": 200_000, "low_pass": 100_000, "exact_ease": MOST_PHOTOS}
"""Photos above which an operator takes too long to be tried."""

CEILING = "exact_ease"
"""Too large to serve: measured to see what the others leave, never chosen nor blended."""

SEEDED = "als_"
LISTED = 100

T = TypeVar("T")

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
) -> Compared:
    """Choose on `dataset.tuning` alone, then fit all models on everything and test them; the chosen one is the best of
    them on validation. start: ALS's recipe where nothing is searched, and where the search begins. trials 0: no search.
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
            progress=lambda tried, of: progress("tune ALS", tried, of),
        )
        als = found.changed(seed=seed)
    recipes = _recipes(als, tuning.train)
    fitted = fit_each(recipes, tuning.train, partial(progress, "fit for validation"))
    validated = {name: validation_ndcg(model, tuning) for name, model in fitted.items()}
    kept = _best_variants(validated)
    fitted, recipes, validated = (_only(fitted, kept), _only(recipes, kept), _only(validated, kept))
    servable = {name: model for name, model in fitted.items() if name != CEILING}
    weights, units = learn_blend(servable, tuning, seed)
    blend = blend_recipe(recipes, weights, units)
    validated["blend"] = validation_ndcg(blend_of(blend, fitted), tuning)

    models = fit_each(recipes, final.train, partial(progress, "fit on everything"))
    models["blend"] = blend_of(blend, models)
    chosen = max((name for name in validated if name != CEILING), key=lambda name: validated[name])
    ranked = rank(models[chosen], final.histories, final.n_photos, final.hidden, LISTED)
    tested: dict[str, Any] = {}
    reported = [name for name in models if not name.startswith(SEEDED)]
    for done, name in enumerate(dict.fromkeys([*reported, chosen])):
        tested[name] = _tested(models[name], final, cases, ks, seed)
        progress("test", done + 1, len(reported))
    result = {
        "chosen": chosen,
        "validation_ndcg_at_20": validated,
        "models": tested,
        "blend": {name: {"weight": weight, "unit": units[name]} for name, weight in weights.items()},
        "recipes": {name: recipe.as_dict() for name, recipe in recipes.items()},
        "counts": _counts(dataset),
        "notes": [*dataset.notes, *(() if cases is None else cases.notes)],
    }
    return Compared(result, ranked)


def _tested(model: Scorer, holdout: Holdout, cases: Cases | None, ks: Sequence[int], seed: int) -> dict[str, Any]:
    """Every metric of one model, in full ranking and, with `cases`, among negatives."""
    ranked = rank(model, holdout.histories, holdout.n_photos, holdout.hidden, max(ks))
    full = full_metrics(ranked, holdout, ks)
    found: dict[str, Any] = {
        "full": with_intervals(full, seed),
        "lists": list_metrics(ranked, holdout, max(ks)),
        "segments": by_segment(full, holdout.histories.degrees, seed),
    }
    if cases is not None:
        found["sampled"] = with_intervals(sampled_metrics(model, holdout, cases, ks), seed)
    return found


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


def _recipes(als: Recipe, train: Interactions) -> dict[str, Recipe]:
    """By name; ALS from several seeds, and variants of the item-item operators, of which one each is kept."""
    has_contacts = train.contacts is not None and len(train.contacts.rows) > 0
    half_life = {"half_life_days": als.parameters["half_life_days"]}
    return {
        "popularity": Recipe("popularity", half_life),
        **({"neighbor_score": Recipe("neighbor_score", {})} if train.has_owners else {}),
        "user_knn": Recipe("user_knn", {}),
        **{
            f"{kind}/{place}": Recipe(kind, parameters)
            for kind, variants in ITEM_ITEM.items()
            if train.n_photos <= LARGEST.get(kind, train.n_photos)
            for place, parameters in enumerate(variants)
        },
        "als": als,
        **{f"{SEEDED}{one}": als.changed(seed=int(als.parameters["seed"]) + one) for one in range(1, ALS_SEEDS)},
        **({"contact_vectors": Recipe("contact_vectors", {"als": "als"})} if has_contacts else {}),
    }


def _best_variants(validated: Mapping[str, float]) -> dict[str, str]:
    """{the variant's name: its name from now on} of everything that is kept: of several variants the best."""
    best: dict[str, str] = {}
    for name in validated:
        kind = name.partition("/")[0]
        if kind not in best or validated[name] > validated[best[kind]]:
            best[kind] = name
    return {variant: kind for kind, variant in best.items()}


def _only(named: Mapping[str, T], kept: Mapping[str, str]) -> dict[str, T]:
    return {kept[name]: one for name, one in named.items() if name in kept}


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
