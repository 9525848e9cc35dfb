"""The blend: what several models say of a photo, each in its own unit and compressed, added with weights.

Units and weights are learned on validation (training/tuning/blending.py) and are constants afterwards: what a person is
shown depends on nobody else who asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from training.interactions import Histories, History
from training.models.interface import Contributions, Explained, Scores


@dataclass(frozen=True)
class Component:
    """One model of a blend, by its name there. unit: > 0, the usual spread of its scores."""

    name: str
    model: Explained
    weight: float
    unit: float


@dataclass(frozen=True)
class Blend:
    """score(i) = Σ_m weight_m · compressed(score_m(i), unit_m). A dismissal does what it does in each of the models."""

    kind: ClassVar[str] = "blend"

    components: tuple[Component, ...]

    def scores(self, histories: Histories) -> Scores:
        """(n, n_photos). Raises ValueError for a blend of nothing."""
        if not self.components:
            raise ValueError("a blend needs a component")
        first, *others = (_weighted(one, one.model.scores(histories)) for one in self.components)
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
                scores = one.model.scores(Histories.of([history]))[0, rows].astype(np.float64)
                weighted = _weighted(one, scores)
                result += parts * np.divide(weighted, scores, out=np.zeros_like(scores), where=scores != 0)[:, None]
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


def compressed(scores: NDArray[np.floating], unit: float) -> NDArray[np.floating]:
    """sign(s) · log(1 + |s| ÷ unit), in the precision of the scores.

    Some models, ALS with weak regularization among them, have a few huge scores; linear, they would drown the others
    or, weighed so that they don't, have nothing to say about the rest.
    """
    scaled = scores / scores.dtype.type(unit)
    result: NDArray[np.floating] = np.copysign(np.log1p(np.abs(scaled)), scaled)
    return result


def _weighted(one: Component, scores: NDArray[np.floating]) -> NDArray[np.floating]:
    result = compressed(scores, one.unit)
    result *= result.dtype.type(one.weight)
    return result
