"""What a training read: tables of the lake, each at one version, with a digest of the rows themselves.

A version number says which commit was read; the digest says whether another lake, or a rebuilt one, holds the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

BATCH_ROWS = 1_000_000
DIGEST_LENGTH = 24
"""Of the hexadecimal digits: with the version before them it stays below the 36 characters that MLflow takes."""

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ ÷ golden ratio: Fibonacci hashing (Knuth, volume 3, 6.4)

NULL = np.uint64(0x6E756C6C)

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class LakeInput:
    """A table as it was read. digest: of version and rows; profile: counts that a person wants to see of it."""

    table: str
    uri: str
    version: int
    rows: int
    digest: str
    profile: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, table: str, uri: str, version: int, rows: pa.Table, profile: Mapping[str, int] | None = None
    ) -> LakeInput:
        """The table's input from the rows that were read of it."""
        return cls(table, uri, version, rows.num_rows, f"v{version}-{digest_of_rows(rows)}", profile or {})


def digest_of_rows(rows: pa.Table) -> str:
    """24 hexadecimal digits: the same for the same rows in any order, chunks and encoding, columns in the same order.

    The sum of the rows' 64-bit hashes, with the number of rows and the schema, under SHA-256. About 0.4 s for a million
    rows of the log.
    """
    total = np.uint64(0)
    with np.errstate(over="ignore"):
        for batch in rows.to_batches(max_chunksize=BATCH_ROWS):
            mixed = np.zeros(batch.num_rows, dtype=np.uint64)
            for column in batch.columns:
                # Not linear, or two rows could swap their values unseen.
                mixed = (mixed ^ _hashes(column)) * MULTIPLIER
                mixed ^= mixed >> np.uint64(29)
            total += mixed.sum(dtype=np.uint64)
    types = (c.type.value_type if pa.types.is_dictionary(c.type) else c.type for c in rows.schema)
    schema = ",".join(f"{name}:{of}" for name, of in zip(rows.schema.names, types, strict=True))
    return hashlib.sha256(f"{schema}|{rows.num_rows}|{total}".encode()).hexdigest()[:DIGEST_LENGTH]


def _hashes(column: pa.Array) -> Hashes:
    """Each value's hash, uint64 (n,): by its type alone, whatever else is in the column."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()  # the dictionary may be that of many more rows
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_integer(column.type):
        hashes = pd.util.hash_array(column.fill_null(0).to_numpy(zero_copy_only=False))
    else:
        # Each distinct value once: ids repeat a hundred times over, and hashing text is what takes long.
        encoded = column.dictionary_encode()
        values = [str(value) for value in encoded.dictionary.to_pylist()] or [""]
        of_each = pd.util.hash_array(np.asarray(values, dtype=object), categorize=False)
        hashes = of_each[encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    return np.where(column.is_null(), NULL, hashes)
