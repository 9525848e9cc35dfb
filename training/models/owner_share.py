"""The owner share: how much of what a user favorites belongs to the owner of a photo.

People come back to the photographers whom they like, whatever these show next; a factorization has no word for one
owner, and the neighbor score asks what owners like, not what they show.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from training.interactions import Histories, History, Interactions
from training.models.interface import Contributions, Scores
from training.models.item_item import signed_values
from training.storage import corrupt, load_array, save_array


@dataclass(frozen=True)
class OwnerShare:
    """score(i) = (favorites of photos by the owner of i − dismissals of them) ÷ favorites of the user. A dismissal
    takes away what a favorite gives, from all of the owner's photos; a dismissed person counts as one dismissed photo.

    A share, as the tenth favorite of one owner says less of a user with a thousand. owners: int32 (n_photos,), photos
    of the same number have the same owner; −1 where the owner is unknown, and the score 0.
    """

    kind: ClassVar[str] = "owner_share"

    owners: NDArray[np.int32]

    @classmethod
    def fit(cls, interactions: Interactions) -> OwnerShare:
        owners = interactions.catalog.owners
        nobody = owners.lookup.rows([""])[0]
        return cls(np.where(owners.codes == nobody, -1, owners.codes).astype(np.int32))

    @cached_property
    def _n_owners(self) -> int:
        return int(self.owners.max(initial=-1)) + 1

    def scores(self, histories: Histories) -> Scores:
        """(n, n_photos), at most 1."""
        result = np.empty((len(histories), len(self.owners)), dtype=np.float32)
        for user in range(len(histories)):
            one = histories[user : user + 1]
            owners, values = self.owners[one.photo_rows], signed_values(one, 1.0, 1.0)
            # The last entry is what −1 finds: nobody's.
            of_owner = np.zeros(self._n_owners + 1, dtype=np.float32)
            np.add.at(of_owner, owners[owners >= 0], values[owners >= 0])
            np.take(of_owner, self.owners, out=result[user], mode="wrap")
        return result

    def contributions(self, history: History, rows: NDArray[np.integer]) -> Contributions:
        """What each favorite adds to each row's score, (rows, favorites): its part of the user's favorites where the
        owner is the same, else 0."""
        owners, liked = self.owners[rows], self.owners[history.favorites]
        same = (owners[:, None] == liked) & (owners[:, None] >= 0)
        result: Contributions = same / max(len(liked), 1)
        return result

    def similarities(self, row: int) -> Scores:
        """−inf throughout: to be of one owner is no likeness of photos."""
        return np.full(len(self.owners), -np.inf, dtype=np.float32)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the owners; the returned parameters belong into the manifest."""
        save_array(folder, "owners", self.owners)
        return {}

    @classmethod
    def load(cls, folder: Path, parameters: dict[str, Any], n_photos: int) -> OwnerShare:
        """The model with its owners memory-mapped. Raises CorruptModelError."""
        owners = load_array(folder, "owners", np.int32, (n_photos,))
        if n_photos and not -1 <= int(owners.min()) <= int(owners.max()) < n_photos:
            raise corrupt(folder / "owners.npy", f"names owners that {n_photos} photos cannot have")
        return cls(owners)
