"""The kinds of models that a bundle may hold by themselves or as a part of a blend, by the name in its manifest."""

from __future__ import annotations

from training.models.als import ALS
from training.models.contact_photos import ContactPhotos
from training.models.exact_ease import ExactEASE
from training.models.interface import Model
from training.models.item_item import ItemItem
from training.models.neighbor_score import NeighborScore
from training.models.owner_share import OwnerShare
from training.models.popularity import Popularity
from training.models.user_knn import UserKNN

KINDS: dict[str, type[Model]] = {
    "als": ALS,
    "user_knn": UserKNN,
    "item_knn": ItemItem,
    "local_ease": ItemItem,
    "low_pass": ItemItem,
    "exact_ease": ExactEASE,
    "neighbor_score": NeighborScore,
    "popularity": Popularity,
    "owner_share": OwnerShare,
    "contact_favorites": ContactPhotos,
    "followed_owner": ContactPhotos,
}
