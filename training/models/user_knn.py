"""User-kNN: the seeds' neighbor score where nobody knows whose photos these are.

Everybody who favorited what the user favorited is a neighbor, scored by the formula of `neighbor_score`: there the
neighbors are the owners of the user's favorites, which data sets without owners cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from training.interactions import Histories, History, Interactions
from training.models.interface import Contributions, Scores
from training.models.item_item import Sparse, strongest_of_rows
from training.storage import corrupt, load_array, save_array


@dataclass(frozen=True)
class UserKNN:
    """strength(v) = 150·√(common / (favorites of v + 250)) for each training user v who shares favorites with the user;
    common = |favorites of the user ∩ favorites of v|; score(i) = Σ strength(v) over the neighbors v who favorited i.
    A dismissal changes no score: a dismissed photo is merely not shown.

    A training user without a favorite beyond the user's is no neighbor: that is the user, as they were at training, and
    others who can say nothing of a photo that is new to the user.

    The favorites as CSR: indptr int64 (n_users + 1,), indices int32 (n_favorites,). neighbors: only that many of the
    strongest count (of equals, the lower rows); None for all.
    """

    kind: ClassVar[str] = "user_knn"

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    n_photos: int
    neighbors: int | None = None

    @classmethod
    def fit(cls, interactions: Interactions, *, neighbors: int | None = None) -> UserKNN:
        favorites = interactions.favorites
        return cls(favorites.offsets(interactions.n_users), favorites.photos, interactions.n_photos, neighbors)

    @cached_property
    def _favorites(self) -> Sparse:
        ones = np.ones(len(self.indices), dtype=np.float32)
        shape = (len(self.indptr) - 1, self.n_photos)
        return scipy.sparse.csr_matrix((ones, self.indices, self.indptr), shape=shape)

    @cached_property
    def _favoriters(self) -> Sparse:
        return scipy.sparse.csr_matrix(self._favorites.T)

    def _strengths(self, histories: Histories) -> tuple[Sparse, Sparse]:
        """(histories, training users): how many favorites they have in common, and the strength of the neighbors."""
        mine = histories.matrix(histories.positive.astype(np.float32), self.n_photos)
        common = scipy.sparse.csr_matrix(mine @ self._favoriters)
        sizes = np.diff(self.indptr)[common.indices]
        strengths = common.copy()
        strengths.data = np.where(common.data < sizes, 150.0 * np.sqrt(common.data / (sizes + 250.0)), 0.0)
        return common, strongest_of_rows(strengths, strengths.shape[1] if self.neighbors is None else self.neighbors)

    def scores(self, histories: Histories) -> Scores:
        """(n, n_photos), 0 where no neighbor favorited the photo."""
        _, strengths = self._strengths(histories)
        result: Scores = (strengths.astype(np.float32) @ self._favorites).toarray()
        return result

    def contributions(self, history: History, rows: NDArray[np.integer]) -> Contributions:
        """What each favorite adds to each row's score, (rows, favorites).

        The favorites that make v a neighbor share v's strength in equal parts: favorite j contributes Σ strength(v) /
        common(v) over the neighbors v who have both, and so the contributions to a photo add up to its score.
        """
        common, strengths = self._strengths(Histories.of([history]))
        neighbors = strengths.indices
        shares = strengths.data / common[:, neighbors].toarray()[0]
        theirs = self._favorites[neighbors]
        both = theirs[:, history.favorites].T @ theirs[:, rows].multiply(shares[:, None]).tocsr()
        result: Contributions = both.toarray().T
        return result

    def similarities(self, row: int) -> Scores:
        """(n_photos,): cosine of the photos' sets of favoriters; −inf for photos that share none with `row`."""
        common = (self._favoriters[row] @ self._favorites).tocoo()
        degrees = np.diff(self._favoriters.indptr).astype(np.float64)
        result = np.full(self.n_photos, -np.inf, dtype=np.float32)
        result[common.col] = common.data / np.sqrt(degrees[common.col] * degrees[row])
        return result

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the favorites; the returned parameters belong into the manifest."""
        save_array(folder, "user_knn_indptr", self.indptr)
        save_array(folder, "user_knn_indices", self.indices)
        return {"neighbors": self.neighbors}

    @classmethod
    def load(cls, folder: Path, parameters: dict[str, Any], n_photos: int) -> UserKNN:
        """The model with its arrays memory-mapped. Raises CorruptModelError."""
        indptr = load_array(folder, "user_knn_indptr", np.int64, (None,))
        indices = load_array(folder, "user_knn_indices", np.int32, (None,))
        if len(indptr) == 0 or indptr[0] != 0 or indptr[-1] != len(indices) or (np.diff(indptr) < 0).any():
            raise corrupt(folder / "user_knn_indptr.npy", "does not fit user_knn_indices.npy")
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < n_photos:
            raise corrupt(folder / "user_knn_indices.npy", f"names rows that {n_photos} photos do not have")
        neighbors = parameters["neighbors"]
        return cls(indptr, indices, n_photos, None if neighbors is None else int(neighbors))
