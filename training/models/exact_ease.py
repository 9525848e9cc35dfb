"""Exact EASE: the closed form over all photos at once, a ceiling for what `local_ease` approximates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from training.interactions import Histories, History, Interactions
from training.models.interface import Contributions, Scores
from training.models.item_item import favorites_matrix, signed_values
from training.storage import load_array, save_array

MOST_PHOTOS = 15_000
"""An inverse of so many photos takes 1.8 GB, and minutes."""


@dataclass(frozen=True)
class ExactEASE:
    """B = I − P · diag(1 / P_jj), P = (XᵀX + λI)⁻¹ (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data",
    equation 8), X the favorites with row u scaled by (favorites of u)^−degree_exponent. score(i) = Σ_j v_j B[j, i], a
    dismissal being −dismissal · share where a favorite is +1, as in `ItemItem`: it lowers the photos that the photo
    speaks for, and a dismissed person is one dismissal in all.

    weights: B, float32 (n_photos, n_photos), row = the history's photo, zero diagonal.
    """

    kind: ClassVar[str] = "exact_ease"

    weights: NDArray[np.float32]
    dismissal: float = 1.0
    user_exponent: float = 0.0

    @classmethod
    def fit(
        cls,
        interactions: Interactions,
        *,
        regularization: float,
        degree_exponent: float = 0.0,
        dismissal: float = 1.0,
        user_exponent: float = 0.0,
    ) -> ExactEASE:
        """Raises ValueError for more than MOST_PHOTOS photos, or λ = regularization not above 0."""
        if interactions.n_photos > MOST_PHOTOS:
            raise ValueError(
                f"{interactions.n_photos} photos; exact EASE takes at most {MOST_PHOTOS}, use local_ease instead"
            )
        if regularization <= 0:
            raise ValueError(f"regularization is {regularization:g}; exact EASE needs one above 0")
        matrix = favorites_matrix(interactions, degree_exponent)
        gram = (matrix.T @ matrix).toarray()
        gram[np.diag_indices(len(gram))] += regularization
        inverse = scipy.linalg.inv(gram, overwrite_a=True, check_finite=False, assume_a="pos")
        inverse /= -np.diag(inverse).copy()
        np.fill_diagonal(inverse, 0.0)
        return cls(inverse.astype(np.float32), dismissal, user_exponent)

    def scores(self, histories: Histories) -> Scores:
        """(n, n_photos)."""
        values = signed_values(histories, self.dismissal, self.user_exponent)
        result: Scores = histories.matrix(values, len(self.weights)) @ self.weights
        return result

    def contributions(self, history: History, rows: NDArray[np.integer]) -> Contributions:
        """What each favorite adds to each row's score, (rows, favorites).

        Favorite j contributes v_j B[j, i] to photo i: with what dismissals take away, exactly its score.
        """
        values = signed_values(Histories.of([history]), self.dismissal, self.user_exponent)[history.positive]
        result: Contributions = (self.weights[np.ix_(history.favorites, rows)] * values[:, None]).T
        return result

    def similarities(self, row: int) -> Scores:
        """(n_photos,): that row of B; −inf where it is 0."""
        result: Scores = np.where(self.weights[row] == 0, np.float32(-np.inf), self.weights[row])
        return result

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the weights; the returned parameters belong into the manifest."""
        save_array(folder, "exact_ease_weights", self.weights)
        return {"dismissal": self.dismissal, "user_exponent": self.user_exponent}

    @classmethod
    def load(cls, folder: Path, parameters: dict[str, Any], n_photos: int) -> ExactEASE:
        """The model with its weights memory-mapped. Raises CorruptModelError."""
        weights = load_array(folder, "exact_ease_weights", np.float32, (n_photos, n_photos))
        return cls(weights, float(parameters["dismissal"]), float(parameters["user_exponent"]))
