"""Where a build of the feature tables lies: `<lake>/features/<version>/<table>/`, and which one is current.

A build is written into a folder of its own and becomes current by one atomic switch of `current.json`, so a kill at any
moment leaves the previous build in place, and a reader never sees half of one.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from features.errors import DependencyError, StorageFullError, is_storage_full

POINTER = "current.json"
KEPT_BUILDS = 2
READERS_GRACE = timedelta(hours=1)
_VERSION = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True)
class Build:
    """A complete build: what it was made from, and how many rows each table got."""

    version: str
    built_at: datetime
    lake_versions: dict[str, int]
    parameters: dict[str, int]
    rows: dict[str, int] = field(default_factory=dict)


def new_version(now: datetime) -> str:
    """A name that sorts by time and that no two builds share."""
    return f"{now.astimezone(UTC).strftime(_VERSION)}-{uuid.uuid4().hex[:8]}"


def filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    """The file system of a folder or an `s3://` prefix, and the path in it."""
    if not uri.startswith("s3://"):
        return fs.LocalFileSystem(), str(Path(uri).absolute())
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return fs.S3FileSystem(endpoint_override=endpoint, region=region), uri.removeprefix("s3://").rstrip("/")


@contextmanager
def _storage_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_storage_full(error):
            raise StorageFullError(
                f"no space left for features below {uri}: free some, then run the same command again"
            ) from error
        raise DependencyError(f"features below {uri} can't be read or written: {error}") from error


class Builds:
    """The builds below one lake URI. Holds no state; cheap to open, safe to share."""

    def __init__(self, lake_uri: str) -> None:
        self.uri = f"{lake_uri.rstrip('/')}/features"
        self._fs, self._path = filesystem(self.uri)

    def current(self) -> Build | None:
        """The current build, None when nothing was ever built."""
        with _storage_errors(self.uri):
            try:
                with self._fs.open_input_stream(f"{self._path}/{POINTER}") as stream:
                    content = orjson.loads(stream.read())
            except FileNotFoundError:
                return None
        return Build(**{**content, "built_at": datetime.fromisoformat(content["built_at"])})

    def write(self, version: str, name: str, rows: pa.Table) -> None:
        """Write one table of a build that is not current yet."""
        with self.writing(version, name, rows.schema) as append:
            append(rows)

    @contextmanager
    def writing(self, version: str, name: str, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
        """Write one table of a build that is not current yet by appending tables of this schema."""
        folder = f"{self._path}/{version}/{name}"
        with _storage_errors(self.uri):
            self._fs.create_dir(folder, recursive=True)
            # Feast knows lists by the element name "item"; Parquet's own name for it ("element") is unknown to it.
            writer = pq.ParquetWriter(
                f"{folder}/part-0.parquet", schema, filesystem=self._fs, use_compliant_nested_type=False
            )

        def append(rows: pa.Table) -> None:
            with _storage_errors(self.uri):
                writer.write_table(rows)

        try:
            yield append
        finally:
            with _storage_errors(self.uri):
                writer.close()

    def publish(self, build: Build) -> None:
        """Make a completely written build the current one."""
        content = orjson.dumps({**asdict(build), "built_at": build.built_at.isoformat()})
        target = f"{self._path}/{POINTER}"
        with _storage_errors(self.uri):
            if not isinstance(self._fs, fs.LocalFileSystem):
                with self._fs.open_output_stream(target) as stream:  # an object appears whole or not at all
                    stream.write(content)
                return
            temporary = Path(f"{target}.{uuid.uuid4().hex}")
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)

    def read(self, name: str, schema: pa.Schema, version: str | None = None) -> ds.Dataset:
        """A table of a build (default: of the current one), read as far as it is used; empty when nothing was built."""
        if version is None:
            build = self.current()
            if build is None:
                return ds.dataset(schema.empty_table())
            version = build.version
        with _storage_errors(self.uri):
            return ds.dataset(f"{self._path}/{version}/{name}", schema=schema, filesystem=self._fs, format="parquet")

    def prune(self, now: datetime) -> list[str]:
        """Remove builds that nobody reads any more, and what killed builds left behind; their versions.

        The current build, the `KEPT_BUILDS` newest and whatever is younger than `READERS_GRACE` stay.
        """
        current = self.current()
        if current is None:
            return []
        with _storage_errors(self.uri):
            found = self._fs.get_file_info(fs.FileSelector(self._path))
            versions = sorted(info.base_name for info in found if info.type == fs.FileType.Directory)
            newest_to_go = new_version(now - READERS_GRACE)
            gone = [v for v in versions[:-KEPT_BUILDS] if v < newest_to_go and v != current.version]
            for version in gone:
                self._fs.delete_dir(f"{self._path}/{version}")
            cutoff = now - READERS_GRACE
            for info in found:
                if info.base_name.startswith(f"{POINTER}.") and info.mtime is not None and info.mtime < cutoff:
                    self._fs.delete_file(info.path)
        return gone

    def retire(self, build: Build, now: datetime) -> list[str]:
        """Remove a build that is no longer current at once, for what it holds; and those before it; their versions.

        Whoever reads it in this moment fails and has to begin again. What is younger than `READERS_GRACE` and older
        than it stays for `prune`: it may be a build that is still being written.
        """
        cutoff = new_version(now - READERS_GRACE)
        with _storage_errors(self.uri):
            found = self._fs.get_file_info(fs.FileSelector(self._path))
            versions = [info.base_name for info in found if info.type == fs.FileType.Directory]
            gone = sorted(v for v in versions if v == build.version or v < min(build.version, cutoff))
            for version in gone:
                self._fs.delete_dir(f"{self._path}/{version}")
        return gone
