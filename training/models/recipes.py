"""The kinds of models there are, and the recipe from which each is fit again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from features.settings import Settings
from training.confidence import fit_weighting
from training.interactions import Interactions
from training.models.als import ALS
from training.models.blend import Blend, Component, Part
from training.models.contact_photos import PHOTOS_OF, ContactPhotos
from training.models.contact_vectors import ContactVectors
from training.models.exact_ease import ExactEASE
from training.models.interface import Model
from training.models.item_item import ItemItem
from training.models.item_knn import item_knn
from training.models.local_ease import local_ease
from training.models.low_pass import low_pass
from training.models.neighbor_score import NeighborScore
from training.models.owner_share import OwnerShare
from training.models.popularity import Popularity
from training.models.user_knn import UserKNN
from training.spark import alternation, mllib

WEIGHTING = ("alpha", "alpha_dismissal", "half_life_days", "degree_exponent")

OnIterationOf = Callable[[str, int, float, float], None]
"""`OnIteration` of several: gets the name of the ALS first."""

MODELS = ("als", "neighbor_score", "popularity")
"""The kinds that a training of the lake compares with one another, and with the blend of them and others."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out of a fit, but the interactions. It travels in the bundle's manifest.

    parameters: by name, of the kind's `fit`; the regularization of ALS for each favorite that a photo has on average
    (with the engine "mllib": for each that it has).
    """

    kind: str
    parameters: dict[str, Any]

    @classmethod
    def from_settings(cls, settings: Settings, kind: str) -> Recipe:
        """The settings' recipe of that kind."""
        parameters: dict[str, dict[str, Any]] = {
            "als": {
                "factors": settings.als_factors,
                "regularization": settings.als_regularization,
                "iterations": settings.als_iterations,
                "alpha": settings.confidence_alpha,
                "alpha_dismissal": settings.confidence_alpha_dismissal,
                "half_life_days": settings.recency_half_life_days,
                "degree_exponent": settings.degree_exponent,
                "seed": settings.seed,
                **_engine(settings),
            },
            "popularity": {"half_life_days": settings.recency_half_life_days},
        }
        return cls(kind, parameters.get(kind, {}))

    @classmethod
    def from_manifest(cls, training: dict[str, Any]) -> Recipe:
        """From a bundle's `training` entry. Raises KeyError when a part is missing."""
        return cls(training["kind"], dict(training["parameters"]))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def changed(self, **parameters: Any) -> Recipe:
        """The same recipe with some parameters changed."""
        return Recipe(self.kind, {**self.parameters, **parameters})


def fit(recipe: Recipe, interactions: Interactions, **watching: Any) -> Model:
    """The model that the recipe makes of these interactions. Raises ValueError for an unknown kind.

    watching: `watch`, `watch_every` and `on_iteration` of `ALS.fit`, which change nothing in what a whole fit makes.
    """
    if recipe.kind not in FITS:
        raise ValueError(f"unknown kind of model {recipe.kind!r}; known are {', '.join(FITS)}")
    return FITS[recipe.kind](interactions, **recipe.parameters, **watching)


def fit_each(
    recipes: Mapping[str, Recipe],
    interactions: Interactions,
    progress: Callable[[int, int], None] | None = None,
    on_iteration: OnIterationOf | None = None,
) -> dict[str, Part]:
    """Each recipe's model, by name. Contacts' vectors stand on the ALS that they name, which comes before them.

    `progress` gets (fitted, to fit), `on_iteration` the iterations of each ALS that is fit in this process.
    """
    fitted: dict[str, Part] = {}
    for done, (name, recipe) in enumerate(recipes.items()):
        if recipe.kind == ContactVectors.kind:
            als = fitted[recipe.parameters["als"]]
            if not isinstance(als, ALS):
                raise ValueError(f"{name} needs an ALS, not {recipe.parameters['als']}")
            fitted[name] = ContactVectors(als)
        else:
            fitted[name] = fit(recipe, interactions, **watching(name, recipe, on_iteration))
        if progress is not None:
            progress(done + 1, len(recipes))
    return fitted


def blend_recipe(recipes: Mapping[str, Recipe], weights: Mapping[str, float], units: Mapping[str, float]) -> Recipe:
    """The recipe of the blend of those models, in this order; an ALS that others stand on always is in it."""
    weighty = [recipe for name, recipe in recipes.items() if name in weights]
    stood_on = {recipe.parameters["als"] for recipe in weighty if recipe.kind == ContactVectors.kind}
    return Recipe(
        Blend.kind,
        {
            "components": [
                {"name": name, **recipe.as_dict(), "weight": weights.get(name, 0.0), "unit": units.get(name, 1.0)}
                for name, recipe in recipes.items()
                if name in weights or name in stood_on
            ]
        },
    )


def blend_of(recipe: Recipe, models: Mapping[str, Part]) -> Blend:
    """What the recipe of a blend makes of its fitted models."""
    return Blend(
        tuple(
            Component(one["name"], models[one["name"]], one["weight"], one["unit"])
            for one in recipe.parameters["components"]
        )
    )


def watching(name: str, recipe: Recipe, on_iteration: OnIterationOf | None) -> dict[str, Any]:
    """What `fit` takes besides, to tell the iterations of an ALS of that name, or of those in a blend: nothing of other
    models, nor on Spark."""
    if on_iteration is not None and recipe.kind == Blend.kind:
        return {"on_iteration": on_iteration}
    if on_iteration is not None and recipe.kind == ALS.kind and "engine" not in recipe.parameters:
        return {"on_iteration": partial(on_iteration, name)}
    return {}


def _fit_blend(
    interactions: Interactions,
    *,
    components: Sequence[Mapping[str, Any]],
    on_iteration: OnIterationOf | None = None,
) -> Blend:
    recipes = {one["name"]: Recipe(one["kind"], dict(one["parameters"])) for one in components}
    fitted = fit_each(recipes, interactions, on_iteration=on_iteration)
    return blend_of(Recipe(Blend.kind, {"components": components}), fitted)


def _engine(settings: Settings) -> dict[str, Any]:
    """Parameters of ALS that only one engine knows."""
    engines: dict[str, dict[str, Any]] = {
        "implicit": {"use_gpu": True} if settings.als_gpu else {},
        "spark": {"engine": "spark", "blocks": settings.spark_blocks},
        "mllib": {"engine": "mllib", "blocks": settings.spark_blocks, "regularization": settings.mllib_regularization},
    }
    return engines[settings.als_engine]


def _fit_als(interactions: Interactions, *, regularization: float, engine: str = "implicit", **parameters: Any) -> ALS:
    # One λ for all, by the data's density: as λ scaled by frequency would be on average. MLlib scales it so itself.
    density = len(interactions.favorites) / max(interactions.n_photos, 1)
    if engine == "implicit":
        return ALS.fit(interactions, regularization=regularization * density, **parameters)
    weighting = fit_weighting(interactions, **{name: parameters.pop(name) for name in WEIGHTING})
    if engine == "mllib":
        return mllib.fit_als(interactions, weighting, regularization=regularization, **parameters)
    return alternation.fit_als(interactions, weighting, regularization=regularization * density, **parameters)


def _fit_item_knn(interactions: Interactions, **parameters: Any) -> ItemItem:
    return ItemItem.fit(interactions, kind="item_knn", operator=partial(item_knn, **parameters))


def _fit_local_ease(interactions: Interactions, **parameters: Any) -> ItemItem:
    return ItemItem.fit(interactions, kind="local_ease", operator=partial(local_ease, **parameters))


def _fit_low_pass(interactions: Interactions, **parameters: Any) -> ItemItem:
    return ItemItem.fit(interactions, kind="low_pass", operator=partial(low_pass, **parameters))


FITS: dict[str, Callable[..., Model]] = {
    "blend": _fit_blend,
    "als": _fit_als,
    "user_knn": UserKNN.fit,
    "item_knn": _fit_item_knn,
    "local_ease": _fit_local_ease,
    "low_pass": _fit_low_pass,
    "exact_ease": ExactEASE.fit,
    "neighbor_score": NeighborScore.fit,
    "popularity": Popularity.fit,
    "owner_share": OwnerShare.fit,
    **{kind: partial(ContactPhotos.fit, kind=kind) for kind in PHOTOS_OF},
}
