"""How far each application has come, read from a table's log in one pass and kept up to date commit by commit.

`DeltaTable.transaction_version` reads the log anew for every application: with 64 of them that was 1,200 requests on S3
for each commit. Delta's own conflict check still has the last word, so a mistake here could cost a retry, never a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson
import pyarrow.fs as pafs
import pyarrow.parquet as pq

LOG = "_delta_log"
CATCH_UP = 200


@dataclass(frozen=True)
class Marks:
    """The newest version of every application, as of a version of the table."""

    version: int
    newest: dict[str, int]


def read_marks(filesystem: pafs.FileSystem, version: int, known: Marks | None) -> Marks | None:
    """The marks at `version`, from those `known` or else from the last checkpoint on; `filesystem` is the table's root.

    None when the log does not tell: its last checkpoint lies behind `version`, or is not a single file.
    """
    cached = known is not None and version - known.version <= CATCH_UP
    if not cached:
        known = _checkpointed(filesystem)
    if known is None or known.version > version:
        return None
    newest = dict(known.newest)
    try:
        for commit in range(known.version + 1, version + 1):
            with filesystem.open_input_stream(f"{LOG}/{commit:020}.json") as stream:
                newest |= _transactions(stream.read())
    except FileNotFoundError:
        # Expired and removed, which happens only behind a checkpoint.
        return read_marks(filesystem, version, None) if cached else None
    return Marks(version, newest)


def _transactions(commit: bytes) -> dict[str, int]:
    # Only lines that may be one are parsed: the statistics of a file are long.
    actions = (orjson.loads(line) for line in commit.splitlines() if b'"txn"' in line)
    found = (action["txn"] for action in actions if "txn" in action)
    return {transaction["appId"]: int(transaction["version"]) for transaction in found}


def _checkpointed(filesystem: pafs.FileSystem) -> Marks | None:
    try:
        with filesystem.open_input_stream(f"{LOG}/_last_checkpoint") as stream:
            checkpoint = orjson.loads(stream.read())
    except FileNotFoundError:
        return Marks(-1, {})
    version = int(checkpoint["version"])
    if checkpoint.get("parts") or checkpoint.get("v2Checkpoint"):
        return None
    try:
        with filesystem.open_input_file(f"{LOG}/{version:020}.checkpoint.parquet") as file:
            rows = pq.read_table(file, columns=["txn"]).column("txn").drop_null().to_pylist()
    except FileNotFoundError:
        return None
    return Marks(version, {row["appId"]: int(row["version"]) for row in rows})
