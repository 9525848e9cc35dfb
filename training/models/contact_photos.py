"""What a user's contacts did, counted photo by photo: favorited it (`contact_favorites`), or own it (`followed_owner`).

Whom a person follows says more of the next favorite than any taste where people look through their contacts' photos;
counts say of each photo what the mean of the contacts' vectors says only of their taste.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from training.catalog import Ids, load_users, row_of_each, save_users
from training.interactions import Histories, History, Interactions
from training.keys import ranges
from training.models.interface import Contributions, Scores
from training.storage import corrupt, load_array, save_array

Pairs = tuple[NDArray[np.integer], NDArray[np.integer]]


@dataclass(frozen=True)
class ContactPhotos:
    """score(i) = how many of the history's contacts have photo i, among their favorites or among their own photos; 0
    for somebody without any contact. A dismissal changes no score: a dismissed photo is merely not shown.

    kind: which photos a user has, as in the recipe. user_ids: (n_users,), whose rows contacts are. Their photos as CSR:
    indptr int64 (n_users + 1,), indices int32.
    """

    kind: str
    user_ids: Ids
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    n_photos: int

    @classmethod
    def fit(cls, interactions: Interactions, *, kind: str, user_ids: Ids | None = None) -> ContactPhotos:
        """user_ids: the users by row, where contacts are rows of another training's."""
        users, photos = PHOTOS_OF[kind](interactions)
        known = users >= 0
        users, photos = users[known], photos[known]
        if user_ids is None:
            user_ids = interactions.user_ids
        else:
            rows = row_of_each(user_ids, interactions.user_ids)[users]
            users, photos = rows[rows >= 0], photos[rows >= 0]
        shape = (len(user_ids), interactions.n_photos)
        matrix = scipy.sparse.csr_matrix((np.ones(len(users), dtype=np.int8), (users, photos)), shape)
        return cls(kind, user_ids, matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), shape[1])

    def of_today(self, interactions: Interactions) -> ContactPhotos:
        """The same users with the photos that they have in other interactions; the rows of contacts stay."""
        return self.fit(interactions, kind=self.kind, user_ids=self.user_ids)

    def scores(self, histories: Histories) -> Scores:
        """(n, n_photos), whole numbers."""
        result = np.empty((len(histories), self.n_photos), dtype=np.float32)
        for user, history in enumerate(histories):
            photos = self.indices[ranges(self.indptr[history.contacts], self.indptr[history.contacts + 1])]
            result[user] = np.bincount(photos, minlength=self.n_photos)
        return result

    def contributions(self, history: History, rows: NDArray[np.integer]) -> Contributions:
        """Zeros (rows, favorites): no favorite is a reason here."""
        return np.zeros((len(rows), len(history.favorites)))

    def similarities(self, row: int) -> Scores:
        """−inf throughout: no photo is likened to another here."""
        return np.full(self.n_photos, -np.inf, dtype=np.float32)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the users and their photos; the returned parameters belong into the manifest."""
        save_users(self.user_ids, folder)
        save_array(folder, "photos_indptr", self.indptr)
        save_array(folder, "photos_indices", self.indices)
        return {"kind": self.kind}

    @classmethod
    def load(cls, folder: Path, parameters: dict[str, Any], n_photos: int) -> ContactPhotos:
        """The model with its arrays memory-mapped. Raises CorruptModelError."""
        user_ids = load_users(folder)
        indptr = load_array(folder, "photos_indptr", np.int64, (len(user_ids) + 1,))
        indices = load_array(folder, "photos_indices", np.int32, (None,))
        if indptr[0] != 0 or indptr[-1] != len(indices) or (np.diff(indptr) < 0).any():
            raise corrupt(folder / "photos_indptr.npy", "does not fit photos_indices.npy")
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < n_photos:
            raise corrupt(folder / "photos_indices.npy", f"names rows that {n_photos} photos do not have")
        return cls(str(parameters["kind"]), user_ids, indptr, indices, n_photos)


def _favorites(interactions: Interactions) -> Pairs:
    return interactions.favorites.users, interactions.favorites.photos


def _own_photos(interactions: Interactions) -> Pairs:
    """Each photo with its owner's row, −1 for one who has favorited nothing: nobody's contacts know such a one."""
    owners = interactions.catalog.owners
    return row_of_each(interactions.user_ids, owners.ids)[owners.codes], np.arange(interactions.n_photos)


PHOTOS_OF: dict[str, Callable[[Interactions], Pairs]] = {
    "contact_favorites": _favorites,
    "followed_owner": _own_photos,
}
"""Of each kind, the pairs of user rows and photos."""
