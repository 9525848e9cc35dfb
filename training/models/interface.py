"""The one small interface of every model: asked with histories, it scores all photos of its catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from training.interactions import Histories, History
from training.retrieval import strongest

Scores = NDArray[np.float32]
Contributions = NDArray[np.float64]
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

    def contributions(self, history: History, rows: NDArray[np.integer]) -> Contributions:
        """float64 (len(rows), n_favorites): what each favorite of the history adds to the score of each row.

        With what dismissals take away they add up to the score; 0 throughout where no favorite is a reason.
        """
        ...

    def similarities(self, row: int) -> Scores:
        """float32 (n_photos,): how alike each photo is to that of the row; −inf where nothing is known of it."""
        ...

    def save(self, folder: Path) -> dict[str, Any]: ...

    @classmethod
    def load(cls, folder: Path, parameters: dict[str, Any], n_photos: int) -> Self: ...


def scores_of(scorer: Scorer, history: History) -> Scores:
    """The scores for one history, float32 (n_photos,)."""
    result: Scores = scorer.scores(history.alone)[0]
    return result


def reasons_of(model: Model, history: History, rows: NDArray[np.integer], n: int) -> Reasons:
    """For each row at most n favorites that raise it most: (photo row, contribution), strongest first."""
    return [strongest(history.favorites, of_row, n) for of_row in model.contributions(history, rows)]
