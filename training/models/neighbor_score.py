"""The seeds' neighbor score: what the photographers whom a user favorites have favorited themselves.

Flexplore's formula, kept as it is: it is the baseline that every other model has to beat, and a wall for sites that
are too young for a better one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from training.interactions import Histories, History, Interactions
from training.keys import ranges
from training.models.interface import Contributions, Scores
from training.storage import corrupt, load_array, save_array


@dataclass(frozen=True)
class NeighborScore:
    """score(n) = 150·√(common / (favorites of n + 250)) for each neighbor n, an owner of a photo the user favorited;
    common = |favorites of the user ∩ favorites of n|; a photo's score is the sum over the neighbors who favorited it.
    A dismissal changes no score: a dismissed photo is merely not shown.

    The favorites as CSR: indptr int64 (n_users + 1,), indices int32 (n_favorites,), each user with at least one.
    owner_rows: int32 (n_photos,), the CSR row of each photo's owner, −1 when nothing is known of the owner's favorites.
    """

    kind: ClassVar[str] = "neighbor_score"

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    owner_rows: NDArray[np.int32]

    @classmethod
    def fit(cls, interactions: Interactions) -> NeighborScore:
        row_of = {user_id: row for row, user_id in enumerate(interactions.user_ids)}
        owner_rows = np.array([row_of.get(owner, -1) for owner in interactions.catalog.owner_ids], dtype=np.int32)
        return cls(interactions.favorites.offsets(interactions.n_users), interactions.favorites.photos, owner_rows)

    def scores(self, histories: Histories) -> Scores:
        """(n, n_photos), 0 where no neighbor favorited the photo."""
        result = np.empty((len(histories), len(self.owner_rows)), dtype=np.float32)
        for user, history in enumerate(histories):
            _, strength, photos, sizes = self._neighbors(history)
            result[user] = np.bincount(photos, np.repeat(strength, sizes), len(self.owner_rows))
        return result

    def _neighbors(
        self, history: History
    ) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int32], NDArray[np.int64]]:
        """The neighbors' rows and scores; then all their favorites, one neighbor after the other, and how many each."""
        neighbors = np.unique(self.owner_rows[history.favorites])
        neighbors = neighbors[neighbors >= 0]
        starts, stops = self.indptr[neighbors], self.indptr[neighbors + 1]
        photos = self.indices[ranges(starts, stops)]
        sizes = stops - starts
        liked = np.zeros(len(self.owner_rows), dtype=np.int64)
        liked[history.favorites] = 1
        common = np.add.reduceat(liked[photos], np.cumsum(sizes) - sizes) if len(neighbors) else sizes
        return neighbors, 150.0 * np.sqrt(common / (sizes + 250.0)), photos, sizes

    def contributions(self, history: History, rows: NDArray[np.integer]) -> Contributions:
        """What each favorite adds to each row's score, (rows, favorites).

        A neighbor is one because of the favorites that are the neighbor's photos: they share the neighbor's score in
        equal parts, and so the contributions to a photo add up to its score.
        """
        neighbors, strength, photos, sizes = self._neighbors(history)
        favorites = history.favorites
        owners = self.owner_rows[favorites]
        position = np.searchsorted(neighbors, owners)
        known = owners >= 0
        shares = np.bincount(position[known], minlength=len(neighbors))
        of_photo = np.repeat(np.arange(len(neighbors)), sizes)
        result = np.zeros((len(rows), len(favorites)))
        for place, row in enumerate(rows):
            part = np.zeros(len(neighbors))
            part[of_photo[photos == row]] = 1.0
            part *= strength / np.maximum(shares, 1)
            result[place, known] = part[position[known]]
        return result

    def similarities(self, row: int) -> Scores:
        """(n_photos,): cosine of the photos' sets of favoriters; −inf for photos that share none with `row`."""
        users = np.searchsorted(self.indptr, np.flatnonzero(self.indices == row), side="right") - 1
        common = np.bincount(
            self.indices[ranges(self.indptr[users], self.indptr[users + 1])], minlength=len(self.owner_rows)
        )
        degrees = np.bincount(self.indices, minlength=len(self.owner_rows))
        cosine = common / np.sqrt(np.maximum(degrees, 1) * max(int(degrees[row]), 1))
        return np.where(common > 0, cosine, -np.inf).astype(np.float32)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the arrays; the returned parameters belong into the manifest."""
        save_array(folder, "favorites_indptr", self.indptr)
        save_array(folder, "favorites_indices", self.indices)
        save_array(folder, "owner_rows", self.owner_rows)
        return {}

    @classmethod
    def load(cls, folder: Path, parameters: dict[str, Any], n_photos: int) -> NeighborScore:
        """The model with its arrays memory-mapped. Raises CorruptModelError."""
        indptr = load_array(folder, "favorites_indptr", np.int64, (None,))
        indices = load_array(folder, "favorites_indices", np.int32, (None,))
        if len(indptr) == 0 or indptr[-1] != len(indices):
            raise corrupt(folder / "favorites_indptr.npy", "does not fit favorites_indices.npy")
        return cls(indptr, indices, load_array(folder, "owner_rows", np.int32, (n_photos,)))
