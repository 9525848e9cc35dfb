"""The blend: what several models say of a photo, each in its own unit and compressed, added with weights.

Units and weights are learned on validation (training/tuning/blending.py) and are constants afterwards: what a person is
shown depends on nobody else who asks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from training.catalog import Ids, UserIds
from training.interactions import Histories, History
from training.models.als import ALS
from training.models.contact_photos import ContactPhotos
from training.models.contact_vectors import ContactVectors
from training.models.interface import Contributions, Model, Scores
from training.models.kinds import KINDS

Part = Model | ContactVectors


@dataclass(frozen=True)
class Component:
    """One model of a blend, by its name there. unit: > 0, the usual spread of its scores."""

    name: str
    model: Part
    weight: float
    unit: float


@dataclass(frozen=True)
class Blend:
    """score(i) = Σ_m weight_m · compressed(score_m(i), unit_m). A dismissal does what it does in each of the models."""

    kind: ClassVar[str] = "blend"

    components: tuple[Component, ...]

    @cached_property
    def followed(self) -> UserIds | None:
        """Whose ids a history's contacts are rows of; None where contacts count for nothing. All components were fit
        on the same users."""
        found = (_followed_in(one.model) for one in self.components)
        return next((UserIds(ids) for ids in found if ids is not None), None)

    def scores(self, histories: Histories) -> Scores:
        """(n, n_photos). Raises ValueError for a blend of nothing."""
        weighty = [one for one in self.components if one.weight]
        if not weighty:
            raise ValueError("a blend needs a component with a weight")
        first, *others = (weighted(one, one.model.scores(histories)) for one in weighty)
        for scored in others:
            first += scored
        result: Scores = first
        return result

    def contributions(self, history: History, rows: NDArray[np.integer]) -> Contributions:
        """(rows, favorites): what each favorite adds to each photo's score.

        A favorite has the share of a model's compressed score that it has of the score itself.
        """
        result = np.zeros((len(rows), len(history.favorites)))
        for one in self.components:
            parts = one.model.contributions(history, rows)
            if parts.any():
                scores = _scores_of_rows(one.model, history, rows).astype(np.float64)
                added = weighted(one, scores)
                result += parts * np.divide(added, scores, out=np.zeros_like(scores), where=scores != 0)[:, None]
        return result

    def similarities(self, row: int) -> Scores:
        """(n_photos,), in the sense of the weightiest component that knows any likeness; −inf throughout if none does.

        Likenesses of different models have no common unit that validation could have taught.
        """
        found = np.full(0, -np.inf, dtype=np.float32)
        for one in sorted(self.components, key=lambda one: -one.weight):
            found = one.model.similarities(row)
            if np.isfinite(found).any():
                break
        return found

    def save(self, folder: Path) -> dict[str, Any]:
        """Write each component into a folder of its name; the returned parameters belong into the manifest."""
        leaders = [one.model.als for one in self.components if isinstance(one.model, ContactVectors)]
        saved = []
        for one in self.components:
            model, parameters = one.model, dict[str, Any]()
            if isinstance(model, ContactVectors):
                parameters = {"als": next(other.name for other in self.components if other.model is model.als)}
            else:
                (folder / one.name).mkdir()
                if isinstance(model, ALS) and all(model is not als for als in leaders):
                    model = replace(model, user_factors=None)
                parameters = model.save(folder / one.name)
            described = {"name": one.name, "kind": model.kind, "weight": one.weight, "unit": one.unit}
            saved.append({**described, "parameters": parameters})
        return {"components": saved}

    @classmethod
    def load(cls, folder: Path, parameters: dict[str, Any], n_photos: int) -> Blend:
        """The blend with its components' arrays memory-mapped. Raises CorruptModelError."""
        loaded: dict[str, Component] = {}
        for one in parameters["components"]:
            name, kind = str(one["name"]), one["kind"]
            model: Part
            if kind == ContactVectors.kind:
                als = loaded[one["parameters"]["als"]]
                if not isinstance(als.model, ALS):
                    raise ValueError(f"{name} stands on {als.name}, which is no ALS")
                model = ContactVectors(als.model.with_users(folder / als.name))
            else:
                model = KINDS[kind].load(folder / name, one["parameters"], n_photos)
            loaded[name] = Component(name, model, float(one["weight"]), float(one["unit"]))
        return cls(tuple(loaded.values()))


def compressed(scores: NDArray[np.floating], unit: float) -> NDArray[np.floating]:
    """sign(s) · log(1 + |s| ÷ unit), in the precision of the scores.

    Some models, ALS with weak regularization among them, have a few huge scores; linear, they would drown the others
    or, weighed so that they don't, have nothing to say about the rest.
    """
    scaled = scores / scores.dtype.type(unit)
    result: NDArray[np.floating] = np.copysign(np.log1p(np.abs(scaled)), scaled)
    return result


def weighted(one: Component, scores: NDArray[np.floating]) -> NDArray[np.floating]:
    """What a component adds to the blend's scores by its own."""
    result = compressed(scores, one.unit)
    result *= result.dtype.type(one.weight)
    return result


def _followed_in(part: Part) -> Ids | None:
    """The users whom a component knows as contacts."""
    if isinstance(part, ContactPhotos):
        return part.user_ids
    return part.als.user_ids if isinstance(part, ContactVectors) else None


def _scores_of_rows(model: Part, history: History, rows: NDArray[np.integer]) -> Scores:
    """(len(rows),): of a factorization without reading the other photos' factors."""
    asked = Histories.of([history])
    result: Scores = (
        model.photo_factors[rows] @ model.fold_in(asked)[0] if isinstance(model, ALS) else model.scores(asked)[0, rows]
    )
    return result
