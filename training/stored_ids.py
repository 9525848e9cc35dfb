"""Ids as they lie in a file: some ten bytes each, memory-mapped, where Python's strings take eighty in every process.

They are read like an array of str objects; what is taken out of them is one. `Lookup` finds an id's place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

Objects = NDArray[np.object_]
Places = NDArray[np.int64]

BLOCK = 65_536
"""Ids that are Python strings at a time while all of them are walked through."""


class StoredIds:
    """An immutable sequence of str, over Arrow's arrays. Safe to share between threads.

    values: strings without nulls; codes: int32 (n,), where each of the n ids is in `values`, None: one after the other.
    """

    def __init__(self, values: pa.StringArray, codes: NDArray[np.int32] | None = None) -> None:
        _, offsets, data = values.buffers()
        self._values = values
        self._codes = codes
        self._offsets = np.frombuffer(offsets or bytes(4), dtype=np.int32)[values.offset :]
        self._data = memoryview(data or b"")

    def __len__(self) -> int:
        return len(self._values) if self._codes is None else len(self._codes)

    @overload
    def __getitem__(self, key: slice | list[int] | NDArray[Any]) -> Objects: ...
    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> str: ...
    def __getitem__(self, key: int | np.integer[Any] | slice | list[int] | NDArray[Any]) -> str | Objects:
        if isinstance(key, np.ndarray | list | slice):
            rows = np.arange(len(self))[key] if isinstance(key, slice) else np.asarray(key)
            return self._taken(np.flatnonzero(rows) if rows.dtype == bool else rows)
        place = int(key)
        if not -len(self) <= place < len(self):
            raise IndexError(f"row {place} of {len(self)}")
        place %= len(self)
        if self._codes is not None:
            place = int(self._codes[place])
        return str(self._data[self._offsets[place] : self._offsets[place + 1]], "utf-8")

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BLOCK):
            yield from self._taken(np.arange(start, min(start + BLOCK, len(self))))

    def tolist(self) -> list[str]:
        """All of them."""
        return list(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Objects:
        return self._taken(np.arange(len(self)))

    def __arrow_array__(self, type: pa.DataType | None = None) -> pa.Array:  # noqa: A002  (Arrow's name for it)
        return self._values if self._codes is None else self._values.take(pa.array(self._codes))

    def _taken(self, rows: NDArray[Any]) -> Objects:
        places = rows if self._codes is None else self._codes[rows]
        taken: Objects = self._values.take(pa.array(places, pa.int64())).to_numpy(zero_copy_only=False)
        return taken


Ids = Objects | StoredIds
"""Ids in rows: of an array of str objects, or as they are stored."""


@dataclass(frozen=True)
class Lookup:
    """Where each id is. Twelve bytes an id, where a hash table of strings takes some fifty.

    hashes: uint64 (n,), ascending; places: int32 (n,), the place in `ids` that each is of.
    """

    ids: Ids
    hashes: NDArray[np.uint64]
    places: NDArray[np.int32]

    @classmethod
    def of(cls, ids: Ids) -> Lookup:
        """ids: distinct."""
        parts = [hashes_of(ids[np.arange(start, min(start + BLOCK, len(ids)))]) for start in range(0, len(ids), BLOCK)]
        hashes = np.concatenate([np.empty(0, dtype=np.uint64), *parts])
        order = np.argsort(hashes, kind="stable")
        return cls(ids, hashes[order], order.astype(np.int32))

    def rows(self, wanted: Sequence[str] | Ids) -> Places:
        """Each wanted id's place, −1 where it is not there; int64 (len(wanted),)."""
        asked = np.asarray(wanted, dtype=object)
        rows = np.full(len(asked), -1, dtype=np.int64)
        if len(asked) == 0 or len(self.hashes) == 0:
            return rows
        hashes = hashes_of(asked)
        # Ascending ones are found in half the time: each search begins where the one before it ended.
        order = np.argsort(hashes)
        asked, hashes = asked[order], hashes[order]
        first = np.searchsorted(self.hashes, hashes)
        # Two ids of one hash are neighbors here; that there are any is rarer than once in ten million catalogs.
        for step in range(self._most_of_a_hash):
            at = np.minimum(first + step, len(self.hashes) - 1)
            found = np.flatnonzero(self.hashes[at] == hashes)
            places = self.places[at[found]].astype(np.int64)
            same = self.ids[places] == asked[found]
            rows[order[found[same]]] = places[same]
        return rows

    @cached_property
    def _most_of_a_hash(self) -> int:
        if not (self.hashes[1:] == self.hashes[:-1]).any():
            return 1
        return int(np.unique(self.hashes, return_counts=True)[1].max())


def hashes_of(ids: Objects) -> NDArray[np.uint64]:
    """64 bits of each id, the same in every process: pandas' SipHash with its default key."""
    hashes: NDArray[np.uint64] = pd.util.hash_array(ids, categorize=False)
    return hashes
