"""The lake, on a folder and on the S3 emulator alike: schema enforced, many writers, exactly once."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from features.errors import SchemaError
from features.lake import Lake
from features.schema import INTERACTIONS, PHOTOS, USERS

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(params=["folder", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "lake")
    bucket: str = request.getfixturevalue("s3")
    return f"{bucket}/{uuid.uuid4()}"


def users(*names: str) -> pa.Table:
    return pa.table({"user_id": list(names), "name": list(names), "created_timestamp": [NOW] * len(names)})


def names(lake: Lake, version: int | None = None) -> list[str]:
    return sorted(lake.scan(USERS, columns=["user_id"], version=version).column(0).to_pylist())


def test_what_was_appended_is_read_back_in_the_tables_schema(uri: str) -> None:
    lake = Lake(uri)
    assert lake.append(USERS, users("a", "ü" * 64))
    assert lake.scan(USERS).schema == USERS.schema
    assert names(Lake(uri)) == ["a", "ü" * 64]


def test_a_table_that_does_not_exist_reads_as_empty(uri: str) -> None:
    lake = Lake(uri)
    assert lake.scan(PHOTOS, columns=["photo_id"]).to_pydict() == {"photo_id": []}
    assert lake.version(PHOTOS) is None
    assert lake.versions() == {}
    assert lake.applied(PHOTOS, "relay") == -1


def test_an_old_version_reads_as_it_was(uri: str) -> None:
    lake = Lake(uri)
    lake.append(USERS, users("a"))
    version = lake.version(USERS)
    lake.append(USERS, users("b"))
    assert names(lake, version) == ["a"]
    assert names(lake) == ["a", "b"]


def test_rows_are_filtered_while_reading(uri: str) -> None:
    lake = Lake(uri)
    lake.append(USERS, users("a", "b"))
    assert lake.scan(USERS, columns=["name"], where=pc.field("user_id") == "b").to_pydict() == {"name": ["b"]}


def test_an_application_version_is_committed_once(uri: str) -> None:
    lake = Lake(uri)
    assert lake.append(USERS, users("a"), application=("shard-0", 3))
    assert not lake.append(USERS, users("a"), application=("shard-0", 3))
    assert not Lake(uri).append(USERS, users("a"), application=("shard-0", 2))
    assert lake.append(USERS, users("b"), application=("shard-1", 0))
    assert names(lake) == ["a", "b"]
    assert lake.applied(USERS, "shard-0") == 3


def test_a_writer_that_is_not_where_it_thinks_it_is_writes_nothing(uri: str) -> None:
    lake = Lake(uri)
    assert lake.append(USERS, users("a"), application=("relay", 5), after=-1)
    assert not lake.append(USERS, users("a", "b"), application=("relay", 9), after=-1)
    assert lake.append(USERS, users("b"), application=("relay", 9), after=5)
    assert names(lake) == ["a", "b"]


def test_several_writers_at_once_lose_nothing_and_double_nothing(uri: str) -> None:
    # Each of four writers tries all of the same ten batches: every batch is to be there once.
    def write(_: int) -> int:
        lake = Lake(uri)
        return sum(lake.append(USERS, users(f"user-{n}"), application=(f"batch-{n}", 0)) for n in range(10))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, range(4))) == 10
    assert names(Lake(uri)) == sorted(f"user-{n}" for n in range(10))


def test_the_applied_version_is_known_of_an_old_table_version(uri: str) -> None:
    lake = Lake(uri)
    lake.append(USERS, users("a"), application=("relay", 5))
    version = lake.version(USERS)
    lake.append(USERS, users("b"), application=("relay", 8))
    assert (lake.applied(USERS, "relay", version), lake.applied(USERS, "relay")) == (5, 8)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda t: t.drop_columns(["name"]), "name"),
        (lambda t: t.append_column("extra", [["x"]]), "extra"),
        (lambda t: t.set_column(1, "name", [[None]]), "name"),
        (lambda t: t.set_column(2, "created_timestamp", [["yesterday"]]), "created_timestamp"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path: Path, change, field: str) -> None:  # type: ignore[no-untyped-def]
    lake = Lake(str(tmp_path))
    with pytest.raises(SchemaError, match=field) as error:
        lake.append(USERS, change(users("a")))
    assert error.value.field == field
    assert lake.version(USERS) is None


def test_an_unknown_kind_of_interaction_is_refused(tmp_path: Path) -> None:
    rows = pa.Table.from_pylist(
        [
            {
                "user_id": "u",
                "photo_id": "p",
                "owner_id": "o",
                "kind": "like",
                "source": "flickr",
                "event_timestamp": NOW,
                "created_timestamp": NOW,
                "ingest_date": NOW.date(),
            }
        ],
    )
    with pytest.raises(SchemaError, match="'like' is not one of favorite"):
        Lake(str(tmp_path)).append(INTERACTIONS, rows)
