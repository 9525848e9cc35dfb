"""The photos that a model knows and the users it learned from, by number: a row here is that row of every array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.keys import Rows, ranges

Ids = NDArray[np.object_]


@dataclass(frozen=True)
class Catalog:
    """The photos a model knows, most favorited first (ties by id): a photo's row here is its row in every array.

    photo_ids, owner_ids: str objects, (n_photos,); photo_ids are distinct.
    """

    photo_ids: Ids
    owner_ids: Ids

    def __len__(self) -> int:
        return len(self.photo_ids)

    @cached_property
    def _photos(self) -> pd.Index[str]:
        return _index(self.photo_ids)

    @cached_property
    def _owners(self) -> tuple[pd.Index[str], Rows, Rows]:
        codes, owners = pd.factorize(self.owner_ids)
        by_owner = np.argsort(codes, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(owners)))])
        return _index(np.asarray(owners)), by_owner, offsets

    def rows(self, photo_ids: Sequence[str] | Ids) -> Rows:
        """Each photo's row, −1 for a photo that the catalog does not hold."""
        return _places(self._photos, photo_ids)

    def rows_of_owners(self, owner_ids: Sequence[str] | Ids) -> tuple[Rows, Rows]:
        """All photos of these owners: (rows, positions), `positions[i]` being the place in `owner_ids` of row i's."""
        owners, by_owner, offsets = self._owners
        codes = _places(owners, owner_ids)
        positions = np.flatnonzero(codes >= 0)
        starts, stops = offsets[codes[positions]], offsets[codes[positions] + 1]
        return by_owner[ranges(starts, stops)], np.repeat(positions, stops - starts)


@dataclass(frozen=True)
class UserIds:
    """Users by number: str objects, (n_users,), distinct."""

    ids: Ids

    @cached_property
    def _rows(self) -> pd.Index[str]:
        return _index(self.ids)

    def rows(self, user_ids: Sequence[str] | Ids) -> Rows:
        """Each user's row, −1 for somebody unknown."""
        return _places(self._rows, user_ids)


def _index(ids: Sequence[str] | Ids) -> pd.Index[str]:
    index: pd.Index[str] = pd.Index(np.asarray(ids, dtype=object), dtype=object)
    return index


def row_of_each(ids: Ids, wanted: Sequence[str] | Ids) -> Rows:
    """Each wanted id's place in `ids` (distinct), −1 where it is not there."""
    return _places(_index(ids), wanted)


def _places(index: pd.Index[str], ids: Sequence[str] | Ids) -> Rows:
    places: Rows = index.get_indexer(_index(ids)).astype(np.int64)
    return places
