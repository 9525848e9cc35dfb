"""Rows laid aside on disk by user, since a file may list its favorites in any order and be larger than memory.

All rows of a user are read back together, so that a favorite that the file has twice meets itself.
"""

from __future__ import annotations

import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from pipelines.sources.import_rows import GOOD

FILES = 64
PART_ROWS = 250_000


class Spool:
    """Arrow files below a folder, one for each hash of a user; open for writing as a context, for reading after it."""

    def __init__(self, folder: Path) -> None:
        self._files = [folder / f"{number}.arrow" for number in range(FILES)]
        self._rows = np.zeros(FILES, dtype=np.int64)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writers = [
            self._open.enter_context(pa.ipc.new_stream(str(file), GOOD, options=options)) for file in self._files
        ]
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, rows: pa.Table) -> None:
        """Lay rows aside (schema GOOD)."""
        if not rows.num_rows:
            return
        users = rows.column("user_id").combine_chunks().dictionary_encode()
        names = users.dictionary.to_pylist()
        file_of_user = np.fromiter((zlib.crc32(name.encode()) % FILES for name in names), np.int64, len(names))
        file = file_of_user[np.asarray(users.indices)]
        counts = np.bincount(file, minlength=FILES)
        ordered = rows.take(pa.array(np.argsort(file, kind="stable")))
        starts = np.concatenate(([0], np.cumsum(counts)))
        for number in np.flatnonzero(counts):
            self._writers[number].write_table(ordered.slice(int(starts[number]), int(counts[number])))
        self._rows += counts

    def parts(self) -> list[list[Path]]:
        """The files with rows, grouped so that a group has at most PART_ROWS rows, where its files allow that."""
        groups: list[list[Path]] = []
        rows = PART_ROWS
        for file, count in zip(self._files, self._rows.tolist(), strict=True):
            if not count:
                continue
            if rows + count > PART_ROWS:
                groups.append([])
                rows = 0
            groups[-1].append(file)
            rows += count
        return groups

    def read(self, part: list[Path]) -> pa.Table:
        """The rows (schema GOOD) of one of the parts."""
        return pa.concat_tables(pa.ipc.open_stream(str(file)).read_all() for file in part)
