"""Popularity: the same ranking for everybody. The least a model has to beat, and the last thing to fall back to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from training.confidence import SECONDS_A_DAY
from training.interactions import Histories, History, Interactions
from training.models.interface import Contributions, Scores
from training.storage import load_array, save_array


@dataclass(frozen=True)
class Popularity:
    """A photo's favorites, each worth 2^(−age/half-life). A dismissal changes no score: a dismissed photo is merely not
    shown.

    photo_scores: float32 (n_photos,).
    """

    kind: ClassVar[str] = "popularity"

    photo_scores: NDArray[np.float32]

    @classmethod
    def fit(cls, interactions: Interactions, *, half_life_days: float) -> Popularity:
        favorites = interactions.favorites
        age_days = np.maximum(interactions.data_until - favorites.times, 0) / SECONDS_A_DAY
        weights = np.exp2(-age_days / half_life_days)
        return cls(np.bincount(favorites.photos, weights, minlength=interactions.n_photos).astype(np.float32))

    def scores(self, histories: Histories) -> Scores:
        """(n, n_photos), whatever the histories; a view, not to be written into."""
        return np.broadcast_to(self.photo_scores, (len(histories), len(self.photo_scores)))

    def contributions(self, history: History, rows: NDArray[np.integer]) -> Contributions:
        """Zeros (rows, favorites): no favorite is a reason here."""
        return np.zeros((len(rows), len(history.favorites)))

    def similarities(self, row: int) -> Scores:
        """−inf throughout: popularity knows no likeness."""
        return np.full(len(self.photo_scores), -np.inf, dtype=np.float32)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the scores; the returned parameters belong into the manifest."""
        save_array(folder, "photo_scores", self.photo_scores)
        return {}

    @classmethod
    def load(cls, folder: Path, parameters: dict[str, Any], n_photos: int) -> Popularity:
        """The model with its scores memory-mapped. Raises CorruptModelError."""
        return cls(load_array(folder, "photo_scores", np.float32, (n_photos,)))
