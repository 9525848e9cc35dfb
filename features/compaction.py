"""What keeps the lake small and quick to read: compaction, vacuum, and the deletion of rows that must go.

All of it runs beside writers, who are never refused for it. Rewriting removes rows only where reading would not have
seen them: repeats by natural key, and in keyed tables rows that a newer one replaced.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from features.errors import DependencyError
from features.lake import COMMIT_ATTEMPTS, CONFLICTS, Lake, storage_errors
from features.rewrite import ROW_GROUP, SORTED, swap_files, write_file
from features.schema import LakeTable
from features.state import newest
from features.table_view import DataFile, TableView

TARGET_BYTES = 128 * 2**20
REWRITE_SHARE = 0.2
DELETE_ATTEMPTS = 20
SAMPLE = 64


@dataclass(frozen=True)
class Compacted:
    """What one compaction of a table did. `partitions`: those rewritten; `rows_…` count their rows alone."""

    files_before: int = 0
    files_after: int = 0
    rows_before: int = 0
    rows_after: int = 0
    partitions: int = 0

    @property
    def repeats_removed(self) -> int:
        return self.rows_before - self.rows_after


def compact(lake: Lake, table: LakeTable, *, now: datetime, target_bytes: int = TARGET_BYTES) -> Compacted:
    """Make each partition's small files few, sorted by the table's key and free of repeats.

    A partition without a new file since the last time is left alone. A checkpoint follows, and log entries older than
    the log's retention go. `now` dates what leaves the table. Of two compactions at once, the later one of a
    partition leaves it to the other. Raises StorageFullError, DependencyError.
    """
    view = lake.at(table)
    rows_before = rows_after = added = removed = partitions = 0
    for files in _partitions(view):
        due = files_due(files, target_bytes)
        if not due:
            continue
        with storage_errors(lake.uri):
            written = [
                (write_file(lake, table, rows, dict(due[0].partition), SORTED), rows.num_rows)
                for rows in _sorted_ranges(view, due, target_bytes)
            ]
        if swap_files(lake, table, due, [file for file, _ in written], now=now):
            rows_before += sum(file.rows for file in due)
            rows_after += sum(rows for _, rows in written)
            added, removed, partitions = added + len(written), removed + len(due), partitions + 1
    if partitions:
        with storage_errors(lake.uri):
            delta = lake.delta_table(table)
            if delta is not None:
                delta.create_checkpoint()
                delta.cleanup_metadata()
    return Compacted(len(view.files), len(view.files) - removed + added, rows_before, rows_after, partitions)


def files_due(files: Sequence[DataFile], target_bytes: int) -> list[DataFile]:
    """The files of a partition that are to be rewritten together: none unless one is not sorted yet.

    Small ones only, so that a large table isn't rewritten for each batch; all of them once the small ones amount to
    `REWRITE_SHARE` of the rest.
    """
    if all(is_sorted(file) for file in files):
        return []
    settled = [file for file in files if is_sorted(file) and file.size >= target_bytes / 2]
    loose = [file for file in files if file not in settled]
    if sum(file.size for file in loose) >= REWRITE_SHARE * sum(file.size for file in settled):
        return list(files)
    return loose


def is_sorted(file: DataFile) -> bool:
    """Whether a compaction wrote it."""
    return file.path.rpartition("/")[2].startswith(SORTED)


def vacuum(lake: Lake, table: LakeTable, retention_days: float) -> int:
    """Delete the files that no version younger than `retention_days` needs; how many.

    What left the table within that time stays, so whoever reads an older version still can. Files that a killed
    writer left behind go by the same age. Raises DependencyError.
    """
    hours = math.ceil(retention_days * 24)
    with storage_errors(lake.uri):
        listed = lake.folder(table).get_file_info(pafs.FileSelector("", allow_not_found=True, recursive=True))
        for _ in range(COMMIT_ATTEMPTS):
            delta = lake.delta_table(table)
            if delta is None:
                return 0
            try:
                _remember(delta, hours)
                gone = delta.vacuum(retention_hours=hours, dry_run=False, enforce_retention_duration=False, full=True)
            except CommitFailedError:
                CONFLICTS.labels(table.name).inc()
                continue
            # It names again what an earlier vacuum deleted, until a checkpoint forgets it.
            return len({info.path for info in listed} & set(gone))
    raise DependencyError(f"the lake's table {table.name} at {lake.uri} is too busy for a vacuum; run again")


def _remember(delta: DeltaTable, hours: int) -> None:
    """Have checkpoints remember for as long as vacuum asks what left the table; else it goes by the files' age."""
    # The log keeps a day at least, as writers who are in the middle of a commit read what came before it.
    properties = {
        "delta.deletedFileRetentionDuration": f"interval {hours} hours",
        "delta.logRetentionDuration": f"interval {max(hours, 24)} hours",
    }
    if not properties.items() <= delta.metadata().configuration.items():
        delta.alter.set_table_properties(properties)


def delete_rows(lake: Lake, table: LakeTable, where: pc.Expression, *, now: datetime) -> int:
    """Delete the rows for which `where` holds; how many. They are gone from every read that begins after it returns.

    Rows that others append meanwhile are deleted, too: it looks again until there are none. Old files hold the rows
    until vacuum takes them. Raises StorageFullError, DependencyError.
    """
    deleted = 0
    for _ in range(DELETE_ATTEMPTS):
        view = lake.at(table)
        with storage_errors(lake.uri):
            counts = {f.path: f.count_rows(filter=where) for f in view.dataset.get_fragments(filter=where)}
            hit = [file for file in view.files if counts.get(file.path)]
            if not hit:
                return deleted
            written = []
            for file in hit:
                # A row where the condition is null does not meet it.
                kept = view.dataset_of([file]).to_table(filter=~pc.coalesce(where, pc.scalar(False)), use_threads=False)
                if kept.num_rows:
                    name = SORTED if is_sorted(file) else "part-"
                    written.append(write_file(lake, table, kept, dict(file.partition), name))
        if swap_files(lake, table, hit, written, now=now):
            deleted += sum(counts.values())
    raise DependencyError(f"the lake's table {table.name} keeps getting rows that are to be deleted; run again")


def _partitions(view: TableView) -> Iterator[list[DataFile]]:
    def partition(file: DataFile) -> str:
        return str(file.partition)

    for _, files in groupby(sorted(view.files, key=partition), key=partition):
        yield list(files)


def _sorted_ranges(view: TableView, files: Sequence[DataFile], target_bytes: int) -> Iterator[pa.Table]:
    """The files' rows without repeats, in order: one table for each range of the key's first column.

    A range is about `target_bytes` of what lies in the files, so memory holds no more than that, unpacked, at once.
    """
    dataset = view.dataset_of(files)
    key = view.table.key
    if not key:
        yield dataset.to_table().sort_by("created_timestamp")
        return
    first, anything = pc.field(key[0]), pc.scalar(True)
    cuts = [None, *_cuts(view, files, math.ceil(sum(file.size for file in files) / target_bytes)), None]
    for low, high in pairwise(cuts):
        within = (anything if low is None else first >= low) & (anything if high is None else first < high)
        rows = newest(dataset.to_table(filter=within), key, ("created_timestamp",))
        if rows.num_rows:
            yield rows.sort_by([(name, "ascending") for name in key])


def _cuts(view: TableView, files: Sequence[DataFile], ranges: int) -> list[str]:
    """Where to cut the key's first column into so many ranges of about as many rows; fewer where values repeat."""
    if ranges < 2:
        return []
    scanner = view.dataset_of(files).scanner(columns=[view.table.key[0]], batch_size=ROW_GROUP)
    sample = sorted(value for batch in scanner.to_batches() for value in batch.column(0)[::SAMPLE].to_pylist())
    return sorted({sample[len(sample) * n // ranges] for n in range(1, ranges)} - {sample[0]})
