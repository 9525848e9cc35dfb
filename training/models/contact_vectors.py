"""What a user's contacts like, as one vector: the mean of their ALS vectors, scored as if it were a user's own.

It knows something of a person who has favorited nothing yet, and of people with few favorites more than these say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from training.interactions import Histories
from training.models.als import ALS
from training.models.interface import Scores


@dataclass(frozen=True)
class ContactVectors:
    """score(i) = y_iᵀ · mean of x_c over the contacts c, x as trained; 0 for somebody without any.

    Neither favorites nor dismissals of the user change a score: they enter by the ALS beside it.
    """

    als: ALS

    def scores(self, histories: Histories) -> Scores:
        """(n, n_photos). Raises ValueError when the ALS came without user factors, as from a bundle."""
        users = self.als.user_factors
        if users is None:
            raise ValueError("contacts' vectors need the user factors of training")
        counts = np.diff(histories.contact_indptr)
        shares = np.repeat(1.0 / np.maximum(counts, 1), counts).astype(np.float32)
        indptr = histories.contact_indptr.astype(np.int32)
        mean = scipy.sparse.csr_matrix((shares, histories.contacts, indptr), shape=(len(histories), len(users)))
        result: Scores = (mean @ users) @ self.als.photo_factors.T
        return result
