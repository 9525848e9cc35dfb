"""The photos that a model knows and the users it learned from, by number: a row here is that row of every array.

A catalog is saved with what finds its rows, in a file that is memory-mapped: all processes of a machine share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.arrays import flat
from training.keys import Rows, ranges
from training.storage import corrupt
from training.stored_ids import Ids, Lookup, StoredIds

__all__ = ["Catalog", "Ids", "UserIds", "load_catalog", "load_users", "row_of_each", "save_catalog", "save_users"]

PHOTOS = "photos.parquet"
"""Which photo each row is, for everybody to read."""

USERS = "users.parquet"
"""Which user each row is, where a model has rows of users."""

MAPPED = "photos.arrow"
"""The same with what finds rows, for serving to map. Columns: photo_id; owner_id, a dictionary; `by_owner`, the rows of
the first owner of the dictionary, then of the second…; `hash` and `place`, the `Lookup` of the photos."""


@dataclass(frozen=True)
class Owners:
    """The m owners of n photos. codes: int32 (n,), each photo's owner, a place in `ids`, which are distinct.

    by_owner: int32 (n,), the rows of the first owner, ascending, then of the second…; offsets: int64 (m + 1,), where
    each owner's begin there.
    """

    ids: Ids
    codes: NDArray[np.int32]
    by_owner: NDArray[np.int32]
    offsets: Rows

    @classmethod
    def of(cls, owner_ids: Ids) -> Owners:
        codes, ids = pd.factorize(np.asarray(owner_ids, dtype=object))
        return cls.with_codes(np.asarray(ids, dtype=object), codes.astype(np.int32))

    @classmethod
    def with_codes(cls, ids: Ids, codes: NDArray[np.int32], by_owner: NDArray[np.int32] | None = None) -> Owners:
        if by_owner is None:
            by_owner = np.argsort(codes, kind="stable").astype(np.int32)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))])
        return cls(ids, codes, by_owner, offsets)

    @cached_property
    def lookup(self) -> Lookup:
        return Lookup.of(self.ids)


@dataclass(frozen=True)
class Catalog:
    """The photos a model knows, most favorited first (ties by id): a photo's row here is its row in every array.

    photo_ids, owner_ids: str, (n_photos,); photo_ids are distinct.
    """

    photo_ids: Ids
    owner_ids: Ids

    def __len__(self) -> int:
        return len(self.photo_ids)

    @cached_property
    def photos(self) -> Lookup:
        """What finds rows by photo."""
        return Lookup.of(self.photo_ids)

    @cached_property
    def owners(self) -> Owners:
        """Which rows are whose."""
        return Owners.of(self.owner_ids)

    def rows(self, photo_ids: Sequence[str] | Ids) -> Rows:
        """Each photo's row, −1 for a photo that the catalog does not hold."""
        return self.photos.rows(photo_ids)

    def rows_of_owners(self, owner_ids: Sequence[str] | Ids) -> tuple[Rows, Rows]:
        """All photos of these owners: (rows, positions), `positions[i]` being the place in `owner_ids` of row i's."""
        codes = self.owners.lookup.rows(owner_ids)
        positions = np.flatnonzero(codes >= 0)
        starts, stops = self.owners.offsets[codes[positions]], self.owners.offsets[codes[positions] + 1]
        rows = self.owners.by_owner[ranges(starts, stops)].astype(np.int64)
        return rows, np.repeat(positions, stops - starts)


@dataclass(frozen=True)
class UserIds:
    """Users by number: str, (n_users,), distinct."""

    ids: Ids

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup.of(self.ids)

    def rows(self, user_ids: Sequence[str] | Ids) -> Rows:
        """Each user's row, −1 for somebody unknown."""
        return self._lookup.rows(user_ids)


def row_of_each(ids: Ids, wanted: Sequence[str] | Ids) -> Rows:
    """Each wanted id's place in `ids` (distinct), −1 where it is not there."""
    return Lookup.of(ids).rows(wanted)


def save_catalog(catalog: Catalog, folder: Path) -> None:
    """Write its two files into the folder."""
    columns = {"photo_id": catalog.photo_ids, "owner_id": catalog.owner_ids}
    pq.write_table(pa.table({name: pa.array(ids, pa.string()) for name, ids in columns.items()}), folder / PHOTOS)
    owners, photos = catalog.owners, catalog.photos
    table = pa.table(
        {
            "photo_id": pa.array(catalog.photo_ids, pa.string()),
            "owner_id": pa.DictionaryArray.from_arrays(pa.array(owners.codes), pa.array(owners.ids, pa.string())),
            "by_owner": pa.array(owners.by_owner),
            "hash": pa.array(photos.hashes),
            "place": pa.array(photos.places),
        }
    )
    with pa.ipc.new_file(folder / MAPPED, table.schema) as file:
        file.write_table(table)


def load_catalog(folder: Path, n_photos: int) -> Catalog:
    """The catalog that was saved in the folder, memory-mapped. Raises CorruptModelError.

    A bundle from before there was a file to map has its photos in memory instead.
    """
    path = folder / MAPPED
    is_mapped = path.exists()
    try:
        if is_mapped:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        else:
            path = folder / PHOTOS
            table = pq.read_table(path, columns=["photo_id", "owner_id"], read_dictionary=["owner_id"])
        photo_column, owner_column = (_whole(table, name) for name in ("photo_id", "owner_id"))
    except (OSError, KeyError, pa.ArrowException) as error:
        raise corrupt(path, f"not readable ({error})") from None
    if table.num_rows != n_photos:
        raise corrupt(path, f"{table.num_rows} photos instead of {n_photos}")
    photo_ids, owners = StoredIds(photo_column), StoredIds(owner_column.dictionary)
    codes = owner_column.indices.to_numpy()
    catalog = Catalog(photo_ids, StoredIds(owner_column.dictionary, codes))
    if is_mapped:
        by_owner, hashes, places = (_whole(table, name).to_numpy() for name in ("by_owner", "hash", "place"))
        # In the place of what these would compute.
        vars(catalog)["photos"] = Lookup(photo_ids, hashes, places)
        vars(catalog)["owners"] = Owners.with_codes(owners, codes, by_owner)
    return catalog


def save_users(user_ids: Ids, folder: Path) -> None:
    """Write which user each row is into the folder."""
    pq.write_table(pa.table({"user_id": pa.array(user_ids, pa.string())}), folder / USERS)


def load_users(folder: Path) -> StoredIds:
    """The users that were saved in the folder. Raises CorruptModelError."""
    path = folder / USERS
    try:
        return StoredIds(flat(pq.read_table(path, columns=["user_id"]).column("user_id")))
    except (OSError, pa.ArrowException) as error:
        raise corrupt(path, f"not readable as Parquet ({error})") from None


def _whole(table: pa.Table, name: str) -> pa.Array:
    """The column in one piece, not copied where it is one."""
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else flat(column)
