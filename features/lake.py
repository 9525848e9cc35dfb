"""The lake: append-only Delta tables of Parquet below one folder or one `s3://` prefix; the durable memory.

Many processes append at once; an append under marks of applications happens exactly once, whoever retries it.
What a row must look like is said in `features/schema.py`; what the rows mean together, in `features/state.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from threading import Lock, RLock

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from prometheus_client import Counter

from features.builds import filesystem
from features.errors import DependencyError, StorageFullError, is_storage_full
from features.schema import TABLES, LakeTable, conform
from features.settings import Settings
from features.table_log import Marks, read_marks
from features.table_view import TableView, data_files

COMMIT_ATTEMPTS = 20

COMMITS = Counter("photo_recommender_lake_commits_total", "Commits to the lake.", ["table"])
CONFLICTS = Counter("photo_recommender_lake_commit_conflicts_total", "Commits lost to another writer.", ["table"])
ROWS = Counter("photo_recommender_lake_rows_total", "Rows appended to the lake.", ["table"])


def storage_options(uri: str) -> dict[str, str]:
    """What `deltalake` needs beside the AWS variables of the environment: an emulator's endpoint, and safe commits."""
    if not uri.startswith("s3://"):
        return {}
    options = {"aws_conditional_put": "etag"}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        options["aws_endpoint_url"] = endpoint
        options["aws_allow_http"] = str(endpoint.startswith("http://")).lower()
    return options


@contextmanager
def storage_errors(uri: str) -> Iterator[None]:
    """What goes wrong with storage or `deltalake`, as errors of ours. Raises StorageFullError, DependencyError."""
    try:
        yield
    except (OSError, DeltaError) as error:
        if is_storage_full(error):
            raise StorageFullError(
                f"no space left for the lake at {uri}: free some, then run the same command again"
            ) from error
        raise DependencyError(f"the lake at {uri} can't be used: {error}") from error


@dataclass
class _Open:
    """A table as this process last saw it: opening it anew costs ten times as much as bringing it up to date."""

    lock: RLock = field(default_factory=RLock)
    delta: DeltaTable | None = None
    marks: Marks | None = None


class Lake:
    """The tables below one URI. Safe to share between threads, which read and append one at a time per table."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._options = storage_options(uri)
        self._root, self._path = filesystem(self.uri)
        self._open: dict[str, _Open] = {}
        self._lock = Lock()

    def append(
        self,
        table: LakeTable,
        rows: pa.Table,
        *,
        marks: Mapping[str, int] | None = None,
        after: Mapping[str, int] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> bool:
        """Commit `rows` (conformed to the table's schema) as one version of the table.

        `marks` gives applications the version that they reach with this commit, which happens exactly once: False
        means that nothing was written, as one of them had come as far before. With `after`, each application named
        there must be exactly so far (-1: nowhere yet); False, too, when somebody moved one on. `metadata` is kept in
        the commit's entry in the log. Raises ValueError when `after` names an application that `marks` doesn't;
        SchemaError, StorageFullError, DependencyError.
        """
        rows = conform(table, rows)
        marks = dict(marks or {})
        if after and not after.keys() <= marks.keys():
            raise ValueError(f"after: {sorted(after.keys() - marks.keys())} have no mark, so nothing guards them")
        opened = self._opened(table)
        with opened.lock, storage_errors(self.uri):
            for _ in range(COMMIT_ATTEMPTS):
                delta = self._newest(opened, table) or self._create(opened, table)
                if marks and _came_further(self._marks(opened, table, marks, delta.version()), marks, after or {}):
                    return False
                try:
                    self._write(delta, table, rows, marks, metadata)
                except CommitFailedError:
                    CONFLICTS.labels(table.name).inc()
                    continue  # somebody else committed first: look again whether it concerns these applications
                COMMITS.labels(table.name).inc()
                ROWS.labels(table.name).inc(rows.num_rows)
                return True
        raise DependencyError(
            f"the lake's table {table.name} at {self.uri} is too busy: "
            f"{COMMIT_ATTEMPTS} commits lost to other writers; run again"
        )

    def at(self, table: LakeTable, version: int | None = None) -> TableView:
        """The table at a version (the newest when None): rows and marks read from it belong together."""
        opened = self._opened(table)
        with opened.lock, storage_errors(self.uri):
            delta = self._newest(opened, table) if version is None else self.delta_table(table, version)
            if delta is None:
                return TableView(table, None)
            # Everything needed is copied out here: the open table moves on with the next commit.
            files = data_files(table, pa.table(delta.get_add_actions(flatten=True)))
            seen = int(delta.version())
        return TableView(
            table,
            seen,
            files,
            self.folder(table),
            guarded=partial(storage_errors, self.uri),
            marks_of=partial(self.marks, table, version=seen),
        )

    def scan(
        self,
        table: LakeTable,
        *,
        columns: Sequence[str] | None = None,
        where: pc.Expression | None = None,
        version: int | None = None,
    ) -> pa.Table:
        """The raw rows, in no order: `columns` of those for which `where` holds, as of `version`.

        An empty table with the same schema when the table does not exist yet.
        """
        return self.at(table, version).scan(columns, where)

    def version(self, table: LakeTable) -> int | None:
        """The newest version of the table, None when it does not exist yet."""
        opened = self._opened(table)
        with opened.lock, storage_errors(self.uri):
            delta = self._newest(opened, table)
            return None if delta is None else int(delta.version())

    def versions(self) -> dict[str, int]:
        """The newest version of every table that exists."""
        found = {name: self.version(table) for name, table in TABLES.items()}
        return {name: version for name, version in found.items() if version is not None}

    def marks(self, table: LakeTable, app_ids: Iterable[str], version: int | None = None) -> dict[str, int]:
        """The newest committed version of each application, as of a version of the table; -1 where there is none."""
        opened = self._opened(table)
        with opened.lock, storage_errors(self.uri):
            if version is None:
                delta = self._newest(opened, table)
                if delta is None:
                    return dict.fromkeys(app_ids, -1)
                version = int(delta.version())
            return self._marks(opened, table, app_ids, version)

    def applied(self, table: LakeTable, app_id: str, version: int | None = None) -> int:
        """The same of one application."""
        return self.marks(table, [app_id], version)[app_id]

    def table_uri(self, table: LakeTable) -> str:
        return f"{self.uri}/{table.name}"

    def delta_table(self, table: LakeTable, version: int | None = None) -> DeltaTable | None:
        """The table as an object of the caller's own; None when it does not exist. Raises what `deltalake` raises."""
        try:
            return DeltaTable(self.table_uri(table), version=version, storage_options=self._options)
        except TableNotFoundError:
            return None

    def folder(self, table: LakeTable) -> pafs.FileSystem:
        """The table's folder, with its own files' paths."""
        return pafs.SubTreeFileSystem(f"{self._path}/{table.name}", self._root)

    def _opened(self, table: LakeTable) -> _Open:
        with self._lock:
            return self._open.setdefault(table.name, _Open())

    def _newest(self, opened: _Open, table: LakeTable) -> DeltaTable | None:
        if opened.delta is None:
            opened.delta = self.delta_table(table)
        else:
            opened.delta.update_incremental()
        return opened.delta

    def _marks(self, opened: _Open, table: LakeTable, app_ids: Iterable[str], version: int) -> dict[str, int]:
        read = read_marks(self.folder(table), version, opened.marks)
        if read is None:
            delta = DeltaTable(self.table_uri(table), version=version, storage_options=self._options)
            found = {app_id: delta.transaction_version(app_id) for app_id in app_ids}
            return {app_id: -1 if mark is None else int(mark) for app_id, mark in found.items()}
        opened.marks = read
        return {app_id: read.newest.get(app_id, -1) for app_id in app_ids}

    def _create(self, opened: _Open, table: LakeTable) -> DeltaTable:
        if not self.uri.startswith("s3://"):
            Path(self.table_uri(table)).mkdir(parents=True, exist_ok=True)
        try:
            opened.delta = DeltaTable.create(
                self.table_uri(table),
                table.schema,
                mode="ignore",
                partition_by=list(table.partition_by) or None,
                configuration={"delta.checkpointInterval": "50"},
                storage_options=self._options,
            )
        except CommitFailedError:
            # Somebody else created it in the same moment.
            opened.delta = DeltaTable(self.table_uri(table), storage_options=self._options)
        return opened.delta

    def _write(
        self,
        delta: DeltaTable,
        table: LakeTable,
        rows: pa.Table,
        marks: Mapping[str, int],
        metadata: Mapping[str, str] | None,
    ) -> None:
        # Additive evolution both ways: a table older than the schema gains its columns, and rows of a process older
        # than the table read as null in the columns that it does not know.
        same = {column.name for column in delta.schema().fields} == set(table.schema.names)
        write_deltalake(
            delta,
            rows,
            mode="append",
            schema_mode=None if same else "merge",
            partition_by=list(table.partition_by) or None,
            writer_properties=_writer_properties(table),
            commit_properties=CommitProperties(
                custom_metadata=dict(metadata) if metadata else None,
                app_transactions=[Transaction(app_id, version) for app_id, version in marks.items()] or None,
            ),
        )


@cache
def _writer_properties(table: LakeTable) -> WriterProperties:
    plain = ColumnProperties(dictionary_enabled=False)
    return WriterProperties(compression="SNAPPY", column_properties=dict.fromkeys(table.diverse, plain))


def _came_further(held: Mapping[str, int], marks: Mapping[str, int], after: Mapping[str, int]) -> bool:
    return any(held[app] >= mark or held[app] != after.get(app, held[app]) for app, mark in marks.items())


def one_of(column: str, values: Iterable[str]) -> pc.Expression:
    """`where` the column holds one of these strings; of none of them, no row is one.

    Up to 50 values narrow what a scan reads, by the ranges of files and row groups (Arrow's own limit).
    """
    return pc.field(column).isin(pa.array(list(values), pa.string()))


def open_lake(settings: Settings) -> Lake:
    """The lake that the settings name."""
    return Lake(settings.lake_uri)
