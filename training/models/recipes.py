"""The kinds of models there are, and the recipe from which each is fit again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from features.settings import Settings
from training.interactions import Interactions
from training.models.als import ALS
from training.models.interface import Model
from training.models.neighbor_score import NeighborScore
from training.models.popularity import Popularity

MODELS: dict[str, type[Model]] = {"als": ALS, "neighbor_score": NeighborScore, "popularity": Popularity}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out of a fit, but the interactions. It travels in the bundle's manifest.

    regularization: of ALS, for each favorite that a photo has on average.
    """

    kind: str
    factors: int
    regularization: float
    iterations: int
    alpha: float
    alpha_dismissal: float
    half_life_days: float
    degree_exponent: float
    seed: int

    @classmethod
    def from_settings(cls, settings: Settings, kind: str) -> Recipe:
        return cls(
            kind=kind,
            factors=settings.als_factors,
            regularization=settings.als_regularization,
            iterations=settings.als_iterations,
            alpha=settings.confidence_alpha,
            alpha_dismissal=settings.confidence_alpha_dismissal,
            half_life_days=settings.recency_half_life_days,
            degree_exponent=settings.degree_exponent,
            seed=settings.seed,
        )

    @classmethod
    def from_manifest(cls, training: dict[str, Any]) -> Recipe:
        """From a bundle's `training` entry. Raises KeyError when a part is missing."""
        return cls(**{part.name: training[part.name] for part in fields(cls)})

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def of_kind(self, kind: str) -> Recipe:
        """The same recipe for another kind of model."""
        return replace(self, kind=kind)


def fit(recipe: Recipe, interactions: Interactions) -> Model:
    """The model that the recipe makes of these interactions."""
    match recipe.kind:
        case "als":
            return ALS.fit(
                interactions,
                factors=recipe.factors,
                # `implicit` takes one λ for all: by the data's density, as λ scaled by frequency would be on average.
                regularization=recipe.regularization * len(interactions.favorites) / max(interactions.n_photos, 1),
                iterations=recipe.iterations,
                seed=recipe.seed,
                alpha=recipe.alpha,
                alpha_dismissal=recipe.alpha_dismissal,
                half_life_days=recipe.half_life_days,
                degree_exponent=recipe.degree_exponent,
            )
        case "neighbor_score":
            return NeighborScore.fit(interactions)
        case "popularity":
            return Popularity.fit(interactions, half_life_days=recipe.half_life_days)
        case unknown:
            raise ValueError(f"unknown kind of model {unknown!r}; known are {', '.join(MODELS)}")
