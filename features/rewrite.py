"""Swapping files of a table for others that hold the same rows, or fewer, while writers append.

Compaction and deletion are made of it. `deltalake`'s own conflict check can let two such swaps through at once, which
doubles every row. So a swap is committed as the very next version or not at all, after looking whether each file that
goes is still there.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import CommitProperties
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from features.errors import DependencyError
from features.lake import COMMITS, CONFLICTS, Lake, storage_errors
from features.schema import LakeTable
from features.table_view import DataFile

SWAP_ATTEMPTS = 200
ROW_GROUP = 32_768
SORTED = "sorted-"
"""How the name of a file begins whose rows are in the order of the key."""


def write_file(lake: Lake, table: LakeTable, rows: pa.Table, partition: Mapping[str, object], name: str) -> AddAction:
    """Write `rows`, all of one partition, as a file that no version of the table knows yet.

    `name` begins the file's name. Small row groups and their ranges let a read of few users skip most of a file.
    """
    folder = "".join(f"{column}={value}/" for column, value in partition.items())
    path = f"{folder}{name}{uuid.uuid4()}.parquet"
    filesystem = lake.folder(table)
    with filesystem.open_output_stream(path) as stream:
        pq.write_table(rows.drop_columns(list(partition)), stream, row_group_size=ROW_GROUP, compression="zstd")
    return AddAction(
        path=path,
        size=filesystem.get_file_info(path).size,
        partition_values={column: str(value) for column, value in partition.items()},
        modification_time=_milliseconds(datetime.now(UTC)),
        data_change=True,
        stats=orjson.dumps(_statistics(table, rows)).decode(),
    )


def swap_files(
    lake: Lake,
    table: LakeTable,
    gone: Sequence[DataFile],
    added: Sequence[AddAction],
    *,
    now: datetime,
    metadata: Mapping[str, str] | None = None,
) -> bool:
    """One commit that puts `added` in the place of `gone`, beside whatever others append.

    False when one of `gone` is no longer in the table: somebody else rewrote it, so what was read is outdated. `now` is
    when the files left the table, from which vacuum counts. Raises StorageFullError, DependencyError.
    """
    removals = [
        RemoveAction(
            path=file.path,
            data_change=True,
            deletion_timestamp=_milliseconds(now),
            size=file.size,
            partition_values={name: str(value) for name, value in file.partition},
        )
        for file in gone
    ]
    properties = CommitProperties(custom_metadata=dict(metadata or {}), max_commit_retries=0)
    leaving, coming = {file.path for file in gone}, {file.path for file in added}
    with storage_errors(lake.uri):
        delta = lake.delta_table(table)
        for attempt in range(SWAP_ATTEMPTS):
            present = set() if delta is None else set(pa.table(delta.get_add_actions()).column("path").to_pylist())
            if delta is None or not leaving <= present:
                # An attempt whose answer got lost may have been the one that took them away.
                if attempt == 0:
                    _discard(lake.folder(table), added)
                return bool(coming) and coming <= present
            try:
                delta.create_write_transaction(
                    [*added, *removals],
                    mode="append",
                    schema=delta.schema(),
                    partition_by=list(table.partition_by),
                    commit_properties=properties,
                )
            except CommitFailedError:
                CONFLICTS.labels(table.name).inc()
                delta.update_incremental()
                continue
            COMMITS.labels(table.name).inc()
            return True
    raise DependencyError(
        f"the lake's table {table.name} at {lake.uri} is too busy: a rewrite lost {SWAP_ATTEMPTS} times to other "
        "writers; run again"
    )


def _discard(filesystem: pafs.FileSystem, files: Sequence[AddAction]) -> None:
    for file in files:
        filesystem.delete_file(file.path)


def _statistics(table: LakeTable, rows: pa.Table) -> dict[str, object]:
    """Delta's statistics of the columns that reads are narrowed by: the key's and the times."""
    columns = [f.name for f in table.schema if f.name in table.key or pa.types.is_timestamp(f.type)]
    columns = [name for name in columns if rows.column(name).null_count < rows.num_rows]
    ranges = {name: pc.min_max(rows.column(name)).as_py() for name in columns}
    return {
        "numRecords": rows.num_rows,
        "minValues": {name: _bound(found["min"]) for name, found in ranges.items()},
        # Delta keeps milliseconds: the largest is rounded up, so that the range still holds it.
        "maxValues": {name: _bound(found["max"], up=True) for name, found in ranges.items()},
        "nullCount": {name: rows.column(name).null_count for name in columns},
    }


def _bound(value: object, up: bool = False) -> object:
    if not isinstance(value, datetime):
        return value
    return datetime.fromtimestamp((_milliseconds(value) + up) / 1000, UTC).isoformat(timespec="milliseconds")


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
