"""Files of favorites: how they are written, imported, and looked for in the lake."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from features.database import open_database
from features.lake import Lake
from features.schema import INTERACTIONS, PHOTOS, QUARANTINE, USERS, LakeTable
from features.settings import Settings
from features.state import STATE_COLUMNS, interaction_state
from pipelines.sources.import_file import ImportReport, import_file

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
Row = Mapping[str, Any]
Import = Callable[..., ImportReport]
Favorites = dict[tuple[str, str], datetime]


def write(path: Path, rows: Sequence[Row]) -> Path:
    """The rows as a file of the kind that its ending says."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)
    else:
        path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return path


def favorites(lake: Lake) -> Favorites:
    held = interaction_state(lake.scan(INTERACTIONS, columns=STATE_COLUMNS)).favorites.to_pylist()
    return {(row["user_id"], row["photo_id"]): row["faved_at"] for row in held}


def quarantined(lake: Lake) -> list[tuple[str, str]]:
    """(subject_id, reason), sorted."""
    return sorted((row["subject_id"], row["reason"]) for row in lake.scan(QUARANTINE).to_pylist())


def everything(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """All rows of the lake, but for when they were ingested."""

    def rows(table: LakeTable) -> list[dict[str, Any]]:
        ingested = {"created_timestamp", "ingest_date"}
        kept = [name for name in table.schema.names if name not in ingested]
        return sorted(lake.scan(table).select(kept).to_pylist(), key=str)

    return {table.name: rows(table) for table in (INTERACTIONS, PHOTOS, USERS, QUARANTINE)}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """One database for all: nothing is written there."""
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('sql') / 'import.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def bring(settings: Settings, lake: Lake, engine: sa.Engine) -> Import:
    """`bring(path, …)`: import into the lake of this test."""
    return lambda path, **options: import_file(settings, lake, engine, path, **options)


def a_row(**changes: Any) -> dict[str, Any]:
    return {"user_id": "u1", "photo_id": "p1", "owner_id": "o1", "faved_at": "2024-05-01T12:00:00Z", **changes}
