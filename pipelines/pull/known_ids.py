"""Which ids a table of the lake may hold, as one process remembers it: each file's ids are read once, not every time.

Eight bytes an id. A commit asks of thousands of photos which ones the lake has; without a memory each commit would read
the ids of the whole table.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.lake import Lake, one_of
from features.schema import LakeTable
from features.table_view import TableView

Hashes = NDArray[np.uint64]

LEAST_MERGED = 100_000
"""Ids read since the last merge, below which a merge is not worth its copy of everything."""

_memory: WeakKeyDictionary[Lake, dict[str, KnownIds]] = WeakKeyDictionary()
_lock = threading.Lock()


class KnownIds:
    """The ids (the key's first column) of one table. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: frozenset[str] = frozenset()
        self._many = self._few = np.zeros(0, dtype=np.uint64)  # sorted

    def among(self, view: TableView, ids: Sequence[str]) -> list[str]:
        """Those of the ids that the view may hold: all that it does, and hardly another. Raises OSError."""
        asked = _hash(ids)
        with self._lock:
            self._read(view)
            held = _is_in(asked, self._many) | _is_in(asked, self._few)
        return [ids[place] for place in np.flatnonzero(held).tolist()]

    def _read(self, view: TableView) -> None:
        fresh = [file for file in view.files if file.path not in self._files]
        if not fresh:
            return
        batches = view.dataset_of(fresh).to_batches(columns=[view.table.key[0]])
        read = [_hash(batch.column(0).to_numpy(zero_copy_only=False)) for batch in batches]
        self._few = np.sort(np.concatenate([self._few, *read]))
        if len(self._few) > max(LEAST_MERGED, len(self._many) // 8):
            self._many = np.union1d(self._many, self._few)
            self._few = np.zeros(0, dtype=np.uint64)
        self._files = frozenset(file.path for file in view.files)


def held_rows(lake: Lake, table: LakeTable, ids: Sequence[str]) -> pa.Table:
    """The rows of these ids that the table holds. Raises OSError, DependencyError."""
    with _lock:
        known = _memory.setdefault(lake, {}).setdefault(table.name, KnownIds())
    view = lake.at(table)
    found = known.among(view, ids)
    return view.scan(where=one_of(table.key[0], found)) if found else table.schema.empty_table()


def _hash(ids: Sequence[str] | NDArray[np.object_]) -> Hashes:
    return pd.util.hash_array(np.asarray(ids, dtype=object), categorize=False)


def _is_in(asked: Hashes, known: Hashes) -> NDArray[np.bool_]:
    if not len(known):
        return np.zeros(len(asked), dtype=bool)
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return np.asarray(known[place] == asked)
