"""The blend: several models' scores, each in its own unit, added with weights.

Units and weights are learned on validation (training/tuning/blending.py) and are constants afterwards: what a person is
shown depends on nobody else who asks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.interactions import Histories
from training.models.interface import Scorer, Scores


@dataclass(frozen=True)
class Component:
    """One model of a blend: it adds `weight` ÷ `unit` times its scores. unit: > 0, its scores' usual spread."""

    model: Scorer
    weight: float
    unit: float


@dataclass(frozen=True)
class Blend:
    """score(i) = Σ_m weight_m ÷ unit_m · score_m(i). A dismissal does what it does in each of the models."""

    components: tuple[Component, ...]

    def scores(self, histories: Histories) -> Scores:
        """(n, n_photos). Raises ValueError for a blend of nothing."""
        if not self.components:
            raise ValueError("a blend needs a component")
        first, *others = (one.model.scores(histories) * np.float32(one.weight / one.unit) for one in self.components)
        for scored in others:
            first += scored
        result: Scores = first
        return result
