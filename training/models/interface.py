"""The one small interface of every model: asked with histories, it scores all photos of its catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from training.interactions import Histories, History

Scores = NDArray[np.float32]
Reasons = list[list[tuple[int, float]]]


class Scorer(Protocol):
    """Whatever can score all photos for histories."""

    def scores(self, histories: Histories) -> Scores:
        """float32 (n, n_photos), greater is better; finite for every history, an empty one too."""
        ...


class Model(Scorer, Protocol):
    """A fitted model. Its arrays are in catalog rows; it folds in anybody and stores nobody's history to do so."""

    @property
    def kind(self) -> str: ...

    def reasons(self, history: History, rows: NDArray[np.integer], n: int) -> Reasons: ...

    def similarities(self, row: int) -> Scores: ...

    def save(self, folder: Path) -> dict[str, Any]: ...

    @classmethod
    def load(cls, folder: Path, parameters: dict[str, Any], n_photos: int) -> Self: ...


def scores_of(scorer: Scorer, history: History) -> Scores:
    """The scores for one history, float32 (n_photos,)."""
    result: Scores = scorer.scores(Histories.of([history]))[0]
    return result
