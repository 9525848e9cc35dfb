"""Where this process and Spark's executors hand tables to one another: a folder that both reach, gone afterwards.

Through files rather than through the driver's JVM, which would have to hold every table twice.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from features.builds import filesystem, new_version
from features.lake import storage_errors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROWS_A_GROUP = 1_000_000
"""Spark parts a file between tasks by its row groups."""

LEFTOVERS_KEPT = timedelta(days=1)


@dataclass(frozen=True)
class Staging:
    """A folder or `s3://` prefix of tables, each a Parquet file or a folder of them."""

    uri: str

    def write(self, name: str, rows: pa.Table) -> str:
        """Write the table for Spark; where it lies, as Spark says it. Raises StorageFullError, DependencyError."""
        folder, path = filesystem(self.uri)
        with storage_errors(self.uri):
            folder.create_dir(path, recursive=True)
            pq.write_table(rows, f"{path}/{name}.parquet", filesystem=folder, row_group_size=ROWS_A_GROUP)
        return spark_path(f"{self.uri}/{name}.parquet")

    def collect(self, name: str, rows: DataFrame, schema: pa.Schema) -> pa.Table:
        """Let the executors write the rows, and read them here, in Spark's order of parts."""
        rows.select(*schema.names).write.mode("overwrite").parquet(spark_path(f"{self.uri}/{name}"))
        folder, path = filesystem(self.uri)
        with storage_errors(self.uri):
            found = folder.get_file_info(pafs.FileSelector(f"{path}/{name}"))
            parts = sorted(info.path for info in found if info.base_name.endswith(".parquet"))
            return ds.dataset(parts, schema=schema, filesystem=folder, format="parquet").to_table()


@contextmanager
def staging(session: SparkSession, lake_uri: str) -> Iterator[Staging]:
    """A place of its own: on this machine where Spark runs on it alone, else below the lake, which all of them reach.

    What killed processes left below the lake a day ago is removed as well.
    """
    if session.sparkContext.master.startswith("local"):
        with tempfile.TemporaryDirectory(prefix="spark-") as temporary:
            yield Staging(temporary)
        return
    root = f"{lake_uri.rstrip('/')}/staging"
    folder, path = filesystem(root)
    with storage_errors(root):
        folder.create_dir(path, recursive=True)
        _sweep(folder, path)
    name = new_version(datetime.now(UTC))
    try:
        yield Staging(f"{root}/{name}")
    finally:
        with storage_errors(root):
            _remove(folder, f"{path}/{name}")


def _sweep(folder: pafs.FileSystem, path: str) -> None:
    oldest_kept = new_version(datetime.now(UTC) - LEFTOVERS_KEPT)
    for info in folder.get_file_info(pafs.FileSelector(path)):
        if info.type == pafs.FileType.Directory and info.base_name < oldest_kept:
            _remove(folder, info.path)


def _remove(folder: pafs.FileSystem, path: str) -> None:
    if isinstance(folder, pafs.LocalFileSystem):
        shutil.rmtree(path, ignore_errors=True)
    elif folder.get_file_info(path).type == pafs.FileType.Directory:
        folder.delete_dir(path)


def spark_path(uri: str) -> str:
    """A folder or `s3://` prefix of ours as Spark takes it: like a URI, but nothing in it is quoted."""
    return uri if uri.startswith("s3://") else f"file://{Path(uri).absolute()}"
