"""What is known of a champion's photos and owners beside their scores: directions of taste, favoriters, uploads.

Computed once when a champion is loaded, from its factors; the days of the uploads alone come from photos' cards, when a
photo is first a candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from features.online import PhotoCard
from training.bundle import Bundle
from training.catalog import Ids
from training.interactions import History
from training.models.als import ALS
from training.models.blend import Blend
from training.stored_ids import Lookup

UNREAD, UNKNOWN = -2, -1
DAY_SECONDS = 86_400

FEW_PHOTOS = 2.0
"""An owner's mean is taken as if there were so many photos more, which nobody likes: of one photo little follows."""

Floats = NDArray[np.float32]
ReadCards = Callable[[Sequence[str]], Mapping[str, PhotoCard]]


@dataclass(frozen=True)
class Facts:
    """Of n photos and m owners, by number.

    owners: int32 (n,), each photo's owner. owner_lookup: the m owners' numbers by their ids.
    owner_factors: float32 (m, factors): the sum of the owner's photos' factors ÷ (photos + FEW_PHOTOS).
    upload_days: int32 (n,), days since 1970, UNKNOWN or UNREAD; filled as they are asked for.
    """

    als: ALS
    owners: NDArray[np.int32]
    owner_lookup: Lookup
    owner_factors: Floats
    upload_days: NDArray[np.int32]
    photo_ids: Ids

    def directions(self, rows: NDArray[np.int64]) -> Floats:
        """Unit vectors of the photos' factors, (len(rows), factors); zeros for a photo without any."""
        return _unit(self.als.photo_factors[rows])

    def favoriters(self, rows: NDArray[np.int64]) -> Floats:
        """How many favorited each photo in training, float32 (len(rows),)."""
        return self.als.weighting.photo_degrees[rows]

    def ages(self, rows: NDArray[np.int64], today: int, read_cards: ReadCards) -> NDArray[np.float64]:
        """Days since each photo's upload until the day `today` (since 1970), inf where unknown; float64 (len(rows),).

        A card is read once for each photo and champion: an upload's day never changes, and cards are dear.
        """
        unread = rows[self.upload_days[rows] == UNREAD]
        if len(unread):
            ids = list(self.photo_ids[unread])
            found = read_cards(ids)
            for row, photo_id in zip(unread.tolist(), ids, strict=True):
                card = found.get(photo_id)
                if card is not None:  # one without a card may get it later
                    uploaded = card.uploaded_at
                    self.upload_days[row] = UNKNOWN if uploaded is None else int(uploaded.timestamp()) // DAY_SECONDS
        days = self.upload_days[rows]
        return np.where(days < 0, np.inf, np.maximum(today - days, 0).astype(np.float64))

    def owner_scores(self, history: History, owner_ids: Sequence[str]) -> NDArray[np.float64]:
        """The mean of ALS's scores of each owner's photos for that history, lower for owners of few photos
        (FEW_PHOTOS); 0 for owners of none that are known. float64 (n,)."""
        person = self.als.fold_in(history.alone)[0]
        numbers = self.owner_lookup.rows(owner_ids)
        return np.where(numbers >= 0, self.owner_factors[numbers] @ person, 0.0).astype(np.float64)


def facts_of(bundle: Bundle) -> Facts | None:
    """None for a champion without factors. Of a blend's ALS the weightiest speaks."""
    als = als_of(bundle)
    if als is None or len(bundle.catalog) == 0:
        return None
    owners = bundle.catalog.owners
    n_photos, n_owners = len(owners.codes), len(owners.ids)
    # A matrix that adds up each owner's photos; the product reads the memory-mapped factors once.
    ones = np.ones(n_photos, dtype=np.float32)
    members = scipy.sparse.csr_matrix((ones, owners.by_owner, owners.offsets), shape=(n_owners, n_photos))
    return Facts(
        als=als,
        owners=owners.codes,
        owner_lookup=owners.lookup,
        owner_factors=(members @ als.photo_factors)
        / (np.diff(owners.offsets) + FEW_PHOTOS).astype(np.float32)[:, None],
        upload_days=np.full(n_photos, UNREAD, dtype=np.int32),
        photo_ids=bundle.photo_ids,
    )


def als_of(bundle: Bundle) -> ALS | None:
    """The champion's ALS, itself or its weightiest in a blend; None where it has none."""
    if isinstance(bundle.model, ALS):
        return bundle.model
    if not isinstance(bundle.model, Blend):
        return None
    found = [(one.weight, one.model) for one in bundle.model.components if isinstance(one.model, ALS)]
    return max(found, key=lambda one: one[0])[1] if found else None


def _unit(vectors: Floats) -> Floats:
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    result: Floats = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return result
