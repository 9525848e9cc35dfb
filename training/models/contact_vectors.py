"""What a user's contacts like, as one vector: the mean of their ALS vectors, scored as if it were a user's own.

It knows something of a person who has favorited nothing yet, and of people with few favorites more than these say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from training.interactions import Histories, History
from training.models.als import ALS, Factors
from training.models.interface import Contributions, Scores


@dataclass(frozen=True)
class ContactVectors:
    """score(i) = y_iᵀ · mean of x_c over the contacts c, x as trained; 0 for somebody without any.

    Neither favorites nor dismissals of the user change a score: they enter by the ALS beside it.
    """

    kind: ClassVar[str] = "contact_vectors"

    als: ALS

    def scores(self, histories: Histories) -> Scores:
        """(n, n_photos). Raises ValueError when the ALS came without user factors."""
        result: Scores = self.vectors(histories) @ self.als.photo_factors.T
        return result

    def vectors(self, histories: Histories) -> Factors:
        """The means of the contacts' vectors, float32 (n, factors); zeros for somebody without any contact.

        Raises ValueError when the ALS came without user factors.
        """
        users = self.als.user_factors
        if users is None:
            raise ValueError("contacts' vectors need the user factors of training")
        counts = np.diff(histories.contact_indptr)
        if len(histories) == 1:  # a sparse product would touch the factors of all users
            mine: Factors = users[histories.contacts].sum(axis=0, keepdims=True) / np.float32(max(counts[0], 1))
            return mine
        shares = np.repeat(1.0 / np.maximum(counts, 1), counts).astype(np.float32)
        indptr = histories.contact_indptr.astype(np.int32)
        means: Factors = (
            scipy.sparse.csr_matrix((shares, histories.contacts, indptr), (len(histories), len(users))) @ users
        )
        return means

    def contributions(self, history: History, rows: NDArray[np.integer]) -> Contributions:
        """Zeros (rows, favorites): no favorite is a reason here."""
        return np.zeros((len(rows), len(history.favorites)))

    def similarities(self, row: int) -> Scores:
        """(n_photos,): as the ALS has them."""
        return self.als.similarities(row)
