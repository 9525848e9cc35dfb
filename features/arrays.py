"""Between Arrow columns and NumPy: ids become numbers, sorted columns become groups.

Every feature is computed on whole columns; these few steps are what all of them begin with.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]


def flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The column in one piece."""
    if isinstance(column, pa.ChunkedArray):
        return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column


def codes(column: pa.ChunkedArray | pa.Array) -> Int64:
    """One number per distinct value, (n,), in the order of first appearance; equal values have equal numbers."""
    return np.asarray(flat(column).dictionary_encode().indices, dtype=np.int64)


def starts(*columns: Int64) -> Bool:
    """True where a row differs from the one before it in any of the (sorted) columns; (n,)."""
    changed = np.ones(len(columns[0]), dtype=bool)
    if len(changed) > 1:
        changed[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return changed
