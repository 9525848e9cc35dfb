"""The kinds of models there are, and the recipe from which each is fit again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from features.settings import Settings
from training.interactions import Interactions
from training.models.als import ALS
from training.models.exact_ease import ExactEASE
from training.models.interface import Model
from training.models.item_item import ItemItem
from training.models.item_knn import item_knn
from training.models.local_ease import local_ease
from training.models.low_pass import low_pass
from training.models.neighbor_score import NeighborScore
from training.models.popularity import Popularity
from training.models.user_knn import UserKNN

MODELS: dict[str, type[Model]] = {"als": ALS, "neighbor_score": NeighborScore, "popularity": Popularity}
"""The kinds that a training of the lake compares."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out of a fit, but the interactions. It travels in the bundle's manifest.

    parameters: by name, of the kind's `fit`; the regularization of ALS for each favorite that a photo has on average.
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


def fit(recipe: Recipe, interactions: Interactions) -> Model:
    """The model that the recipe makes of these interactions. Raises ValueError for an unknown kind."""
    if recipe.kind not in FITS:
        raise ValueError(f"unknown kind of model {recipe.kind!r}; known are {', '.join(FITS)}")
    return FITS[recipe.kind](interactions, **recipe.parameters)


def _fit_als(interactions: Interactions, *, regularization: float, **parameters: Any) -> ALS:
    # `implicit` takes one λ for all: by the data's density, as λ scaled by frequency would be on average.
    density = len(interactions.favorites) / max(interactions.n_photos, 1)
    return ALS.fit(interactions, regularization=regularization * density, **parameters)


def _fit_item_knn(interactions: Interactions, **parameters: Any) -> ItemItem:
    return ItemItem.fit(interactions, kind="item_knn", operator=partial(item_knn, **parameters))


def _fit_local_ease(interactions: Interactions, **parameters: Any) -> ItemItem:
    return ItemItem.fit(interactions, kind="local_ease", operator=partial(local_ease, **parameters))


def _fit_low_pass(interactions: Interactions, **parameters: Any) -> ItemItem:
    return ItemItem.fit(interactions, kind="low_pass", operator=partial(low_pass, **parameters))


FITS: dict[str, Callable[..., Model]] = {
    "als": _fit_als,
    "user_knn": UserKNN.fit,
    "item_knn": _fit_item_knn,
    "local_ease": _fit_local_ease,
    "low_pass": _fit_low_pass,
    "exact_ease": ExactEASE.fit,
    "neighbor_score": NeighborScore.fit,
    "popularity": Popularity.fit,
}
