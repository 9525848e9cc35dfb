"""A table of the lake in parts by ranges of one column, so that work on each user or photo never holds all rows.

A table of more than a part is divided once, on local disk: whoever has all rows of a part has all rows of its keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from tempfile import TemporaryFile, gettempdir
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import DependencyError, StorageFullError, is_storage_full
from features.table_view import TableView

ROWS_A_PART = 250_000
"""A part's rows are worked on as strings and sorted numbers: some hundred bytes a row."""
ROWS_AT_ONCE = 65_536
SAMPLED = 100_000
MOST_PARTS = 200
"""Each is an open file, of two tables at a time; above 50 million rows, parts grow instead."""


def bounds_of(views: Sequence[TableView], key: str) -> list[str]:
    """Where to divide tables by `key` (a string column of each), ascending, none when all rows together are one part.

    The bounds of ranges with about the same number of rows: a key that is one of them begins a part. A key with more
    rows than a part is a part for itself, however many they are.
    """
    rows = sum(view.rows for view in views)
    parts = min(-(-rows // ROWS_A_PART), MOST_PARTS)
    if parts <= 1:
        return []
    step = max(1, rows // SAMPLED)
    pieces = [
        batch.column(0).take(pa.array(np.arange(0, batch.num_rows, step)))
        for view in views
        for batch in _batches(view, [key], None)
    ]
    sample = pa.chunked_array(pieces, pa.string())
    ascending = sample.take(pc.sort_indices(sample))
    places = np.arange(1, parts) * len(ascending) // parts
    return list(dict.fromkeys(ascending.take(pa.array(places)).to_pylist()))


@contextmanager
def in_parts(
    view: TableView, key: str, bounds: Sequence[str], columns: Sequence[str], where: pc.Expression | None = None
) -> Iterator[Iterator[pa.Table]]:
    """The rows of a table, `len(bounds) + 1` tables, ascending by `key`; of each key in the order that the scan has.

    Until it is left, it takes half the space that the rows have in memory, in the directory for temporary files, and
    of files without a name: a killed process leaves nothing.
    Raises StorageFullError, DependencyError.
    """
    if not bounds:
        yield iter([view.scan(columns, where)])
        return
    schema = pa.schema([view.table.schema.field(name) for name in columns])
    with ExitStack() as stack:
        with _disk_errors():
            files = [stack.enter_context(TemporaryFile()) for _ in range(len(bounds) + 1)]
            _divide(_batches(view, columns, where), schema, key, bounds, files)
        # What reading and dividing took is as large as a part: the peak need not be that of both.
        pa.default_memory_pool().release_unused()
        yield _parts(files)


def _batches(view: TableView, columns: Sequence[str], where: pc.Expression | None) -> Iterator[pa.RecordBatch]:
    with view.guarded():
        yield from view.dataset.to_batches(
            columns=list(columns), filter=where, batch_size=ROWS_AT_ONCE, batch_readahead=1, fragment_readahead=1
        )


def _divide(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema, key: str, bounds: Sequence[str], files: Sequence[IO[bytes]]
) -> None:
    """Written here and not by Arrow's `write_dataset`, which lets 8 million rows wait for the disk."""
    edges = np.array([bound.encode() for bound in bounds])
    with ExitStack() as stack:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        writers = [stack.enter_context(pa.ipc.new_file(file, schema, options=options)) for file in files]
        for batch in batches:
            ids = batch.column(batch.schema.get_field_index(key)).cast(pa.binary()).to_numpy(zero_copy_only=False)
            part = np.searchsorted(edges, np.asarray(ids, dtype=bytes), side="right")
            order = np.argsort(part, kind="stable")
            rows = batch.take(pa.array(order)).cast(schema)
            ends = np.searchsorted(part[order], np.arange(len(files) + 1))
            for writer, (begin, end) in zip(writers, pairwise(ends), strict=True):
                if end > begin:
                    writer.write_batch(rows.slice(begin, end - begin))


def _parts(files: Sequence[IO[bytes]]) -> Iterator[pa.Table]:
    for file in files:
        with _disk_errors():
            rows = pa.ipc.open_file(file).read_all()
        yield rows


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"the parts of a feature build in {gettempdir()}"
        if is_storage_full(error):
            raise StorageFullError(f"no space left for {where}: free some or set TMPDIR to another disk") from error
        raise DependencyError(f"{where} can't be written or read: {error}") from error
