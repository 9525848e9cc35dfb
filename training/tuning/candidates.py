"""Which models are tried on a data set, which variant of each is kept, and the blend of those that are.

Training the lake and evaluating any data set choose alike: on a validation part, and before the test part is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from training.evaluation.numbering import Holdout
from training.interactions import Interactions
from training.models.exact_ease import MOST_PHOTOS
from training.models.recipes import Recipe, blend_of, blend_recipe, fit_each
from training.tuning.blending import learn_blend
from training.tuning.search import validation_ndcg

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

RECENT = (2.0, 7.0)
"""Days after which a favorite counts half in popularity, beside the half-life that it has otherwise: what is new."""

OF_PEOPLE = ("owner_share", "contact_vectors", "contact_favorites", "followed_owner")
"""The kinds that ask whose a photo is, or what contacts like: each is tried only where the data know of it."""

SERVED = ("popularity", "neighbor_score", "item_knn", "local_ease", "low_pass", "als", *OF_PEOPLE)
"""The kinds whose cost for one user does not grow with the number of users: what a blend that is served is made of."""

QUICK = ("popularity", "neighbor_score", "item_knn", "als", *OF_PEOPLE)
"""Of those, the kinds that fit in seconds: all that is tried where a training shall not take minutes."""

SEEDED = "als_"
"""How the names of further ALS begin, which differ from the first in their start alone."""

T = TypeVar("T")


@dataclass(frozen=True)
class Tuned:
    """recipes: by name, those kept. validated: NDCG@20 of each of them on the validation part, and of the blend."""

    recipes: dict[str, Recipe]
    blend: Recipe
    validated: dict[str, float]


def candidates(
    als: Recipe, train: Interactions, *, als_seeds: int, kinds: Collection[str] | None = None, every: int = 1
) -> dict[str, Recipe]:
    """What is worth a try on this data, by name: ALS from several starts, variants of the item-item operators as
    `item_knn/0`, and only what the data allow for. kinds: leave out others; None for all. every: only
    each so manieth variant, the last of each operator among them."""
    has_contacts = train.contacts is not None and len(train.contacts.rows) > 0
    times = train.favorites.times
    has_times = len(times) > 0 and times.min() < times.max()
    half_life = {"half_life_days": als.parameters["half_life_days"]}
    found = {
        "popularity": Recipe("popularity", half_life),
        **{f"popularity_{days:g}d": Recipe("popularity", {"half_life_days": days}) for days in RECENT if has_times},
        **({"neighbor_score": Recipe("neighbor_score", {})} if train.has_owners else {}),
        "user_knn": Recipe("user_knn", {}),
        **{
            f"{kind}/{place}": Recipe(kind, parameters)
            for kind, variants in ITEM_ITEM.items()
            if train.n_photos <= LARGEST.get(kind, train.n_photos)
            for place, parameters in enumerate(variants[::-every][::-1])
        },
        "als": als,
        **{f"{SEEDED}{one}": als.changed(seed=int(als.parameters["seed"]) + one) for one in range(1, als_seeds)},
        **({"owner_share": Recipe("owner_share", {})} if train.has_owners else {}),
        **({"contact_vectors": Recipe("contact_vectors", {"als": "als"})} if has_contacts else {}),
        **({"contact_favorites": Recipe("contact_favorites", {})} if has_contacts else {}),
        **({"followed_owner": Recipe("followed_owner", {})} if has_contacts and train.has_owners else {}),
    }
    return {name: recipe for name, recipe in found.items() if kinds is None or recipe.kind in kinds}


def tune(
    recipes: Mapping[str, Recipe], holdout: Holdout, seed: int, progress: Callable[[int, int], None] | None = None
) -> Tuned:
    """Fit each on the hold-out's training part, keep the best variant of each, and learn the blend of what is kept.

    `progress` gets (fitted, to fit).
    """
    fitted = fit_each(recipes, holdout.train, progress)
    validated = {name: validation_ndcg(model, holdout) for name, model in fitted.items()}
    kept = _best_variants(validated)
    recipes, fitted, validated = _only(recipes, kept), _only(fitted, kept), _only(validated, kept)
    weights, units = learn_blend({name: model for name, model in fitted.items() if name != CEILING}, holdout, seed)
    blend = blend_recipe(recipes, weights, units)
    return Tuned(recipes, blend, {**validated, "blend": validation_ndcg(blend_of(blend, fitted), holdout)})


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
