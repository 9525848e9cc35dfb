"""Sets of pairs as sorted whole numbers: distinct ones, the newest of each, those among others, ranges between them.

A pair of rows is one number, `user · n_photos + photo`, and NumPy sorts 20 million of them in a third of a second; its
own `unique` and `isin` hash them, which takes a hundred times as long.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.sorting import ascending

Rows = NDArray[np.int64]


def distinct(keys: Rows) -> Rows:
    """The distinct keys, ascending."""
    keys = np.sort(keys)
    return keys[_first(keys)]


def newest_of_each(keys: Rows, times: Rows) -> tuple[Rows, Rows]:
    """The distinct keys, ascending, each with its newest time."""
    if len(keys) == 0:
        return keys, times
    keys, order = ascending(keys)
    first = _first(keys)
    return keys[first], np.maximum.reduceat(times[order], np.flatnonzero(first))


def among(keys: Rows, ascending: Rows) -> NDArray[np.bool_]:
    """Whether each key is one of the others, which are sorted."""
    if len(ascending) == 0:
        return np.zeros(len(keys), dtype=bool)
    places = np.minimum(np.searchsorted(ascending, keys), len(ascending) - 1)
    found: NDArray[np.bool_] = ascending[places] == keys
    return found


def ranges(starts: Rows, stops: Rows) -> Rows:
    """`concatenate([arange(a, b) for a, b in zip(starts, stops)])` without the loop; no range may be negative."""
    lengths = stops - starts
    total = int(lengths.sum())
    result: Rows = np.arange(total, dtype=np.int64) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return result


def _first(ascending: Rows) -> NDArray[np.bool_]:
    """Whether each number is the first of its equals."""
    first = np.ones(len(ascending), dtype=bool)
    first[1:] = ascending[1:] != ascending[:-1]
    return first
