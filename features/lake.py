"""The lake: append-only Delta tables of Parquet below one folder or one `s3://` prefix; the durable memory.

Many processes append at once; an append under an application id and version happens exactly once, whoever retries it.
What a row must look like is said in `features/schema.py`; what the rows mean together, in `features/state.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from features.errors import DependencyError, StorageFullError, is_storage_full
from features.schema import TABLES, LakeTable, conform
from features.settings import Settings

COMMIT_ATTEMPTS = 20


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
def _storage_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except (OSError, DeltaError) as error:
        if is_storage_full(error):
            raise StorageFullError(
                f"no space left for the lake at {uri}: free some, then run the same command again"
            ) from error
        if isinstance(error, DeltaError):
            raise DependencyError(f"the lake at {uri} can't be used: {error}") from error
        raise


class Lake:
    """The tables below one URI. Safe to share between threads; open table objects are kept, as opening costs most."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._options = storage_options(uri)
        self._tables: dict[str, DeltaTable] = {}
        self._lock = Lock()

    def append(
        self,
        table: LakeTable,
        rows: pa.Table,
        *,
        application: tuple[str, int] | None = None,
        after: int | None = None,
    ) -> bool:
        """Commit `rows` (conformed to the table's schema) as one version.

        With `application = (app_id, version)`, rising by application, the commit happens exactly once: False means
        that this version, or a later one, was committed before and nothing was written. `after` asks in addition that
        the application's newest version is exactly that one: False, too, when somebody else moved it on.
        Raises SchemaError, StorageFullError, DependencyError.
        """
        rows = conform(table, rows)
        with self._lock, _storage_errors(self.uri):
            if application is None:
                self._write(self._open(table), table, rows, None)
                return True
            for _ in range(COMMIT_ATTEMPTS):
                delta = self._open(table)
                newest = _transaction_version(delta, application[0])
                if newest >= application[1] or (after is not None and newest != after):
                    return False
                try:
                    self._write(delta, table, rows, CommitProperties(app_transactions=[Transaction(*application)]))
                except CommitFailedError:
                    continue  # somebody else committed first: look again whether it was this very version
                return True
        raise DependencyError(
            f"the lake's table {table.name} at {self.uri} is too busy: "
            f"{COMMIT_ATTEMPTS} commits lost to other writers; run again"
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
        with _storage_errors(self.uri):
            delta = self._existing(table, version)
            if delta is None:
                return _select(table, columns).empty_table()
            result = delta.to_pyarrow_dataset().to_table(
                columns=list(columns) if columns is not None else table.schema.names, filter=where
            )
        return result.cast(_select(table, columns))

    def version(self, table: LakeTable) -> int | None:
        """The newest version of the table, None when it does not exist yet."""
        with _storage_errors(self.uri):
            delta = self._existing(table, None)
            return None if delta is None else int(delta.version())

    def versions(self) -> dict[str, int]:
        """The newest version of every table that exists."""
        found = {name: self.version(table) for name, table in TABLES.items()}
        return {name: version for name, version in found.items() if version is not None}

    def applied(self, table: LakeTable, app_id: str, version: int | None = None) -> int:
        """The newest committed version of an application, as of a version of the table; -1 when there is none."""
        with _storage_errors(self.uri):
            delta = self._existing(table, version)
            return -1 if delta is None else _transaction_version(delta, app_id)

    def table_uri(self, table: LakeTable) -> str:
        return f"{self.uri}/{table.name}"

    def _existing(self, table: LakeTable, version: int | None) -> DeltaTable | None:
        # A reader's own object: a shared one would move to a newer version in the middle of somebody's scan.
        try:
            return DeltaTable(self.table_uri(table), version=version, storage_options=self._options)
        except TableNotFoundError:
            return None

    def _open(self, table: LakeTable) -> DeltaTable:
        delta = self._tables.get(table.name)
        if delta is not None:
            delta.update_incremental()
            return delta
        delta = self._existing(table, None) or self._create(table)
        self._tables[table.name] = delta
        return delta

    def _create(self, table: LakeTable) -> DeltaTable:
        if not self.uri.startswith("s3://"):
            Path(self.table_uri(table)).mkdir(parents=True, exist_ok=True)
        try:
            return DeltaTable.create(
                self.table_uri(table),
                table.schema,
                mode="ignore",
                partition_by=list(table.partition_by) or None,
                configuration={"delta.checkpointInterval": "50"},
                storage_options=self._options,
            )
        except CommitFailedError:
            # Somebody else created it in the same moment.
            return DeltaTable(self.table_uri(table), storage_options=self._options)

    def _write(
        self, delta: DeltaTable, table: LakeTable, rows: pa.Table, commit_properties: CommitProperties | None
    ) -> None:
        write_deltalake(
            delta,
            rows,
            mode="append",
            partition_by=list(table.partition_by) or None,
            commit_properties=commit_properties,
        )


def one_of(column: str, values: Iterable[str]) -> pc.Expression:
    """`where` the column holds one of these strings; of none of them, no row is one."""
    return pc.field(column).isin(pa.array(list(values), pa.string()))


def _transaction_version(delta: DeltaTable, app_id: str) -> int:
    version = delta.transaction_version(app_id)
    return -1 if version is None else int(version)


def _select(table: LakeTable, columns: Sequence[str] | None) -> pa.Schema:
    return table.schema if columns is None else pa.schema([table.schema.field(name) for name in columns])


def open_lake(settings: Settings) -> Lake:
    """The lake that the settings name."""
    return Lake(settings.lake_uri)
