"""The lake, on a folder and on the S3 emulator alike: schema enforced, many writers, exactly once."""

from __future__ import annotations

import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import SchemaError
from features.lake import Lake, one_of
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
    assert lake.append(USERS, users("a"), marks={"shard-0": 3})
    assert not lake.append(USERS, users("a"), marks={"shard-0": 3})
    assert not Lake(uri).append(USERS, users("a"), marks={"shard-0": 2})
    assert lake.append(USERS, users("b"), marks={"shard-1": 0})
    assert names(lake) == ["a", "b"]
    assert lake.applied(USERS, "shard-0") == 3


def test_a_writer_that_is_not_where_it_thinks_it_is_writes_nothing(uri: str) -> None:
    lake = Lake(uri)
    assert lake.append(USERS, users("a"), marks={"relay": 5}, after={"relay": -1})
    assert not lake.append(USERS, users("a", "b"), marks={"relay": 9}, after={"relay": -1})
    assert lake.append(USERS, users("b"), marks={"relay": 9}, after={"relay": 5})
    assert names(lake) == ["a", "b"]


def test_one_commit_moves_several_applications_or_none(uri: str) -> None:
    lake = Lake(uri)
    assert lake.append(USERS, users("a"), marks={"shard-0": 1, "shard-1": 7}, after={"shard-0": -1, "shard-1": -1})
    assert not lake.append(USERS, users("b"), marks={"shard-1": 8, "shard-2": 1}, after={"shard-1": 6, "shard-2": -1})
    assert not lake.append(USERS, users("b"), marks={"shard-2": 1, "shard-0": 1})
    assert Lake(uri).marks(USERS, ["shard-0", "shard-1", "shard-2"]) == {"shard-0": 1, "shard-1": 7, "shard-2": -1}
    assert names(lake) == ["a"]


def test_what_a_commit_comes_after_must_be_guarded_by_a_mark(uri: str) -> None:
    with pytest.raises(ValueError, match="shard-1"):
        Lake(uri).append(USERS, users("a"), marks={"shard-0": 1}, after={"shard-0": -1, "shard-1": -1})


def test_a_view_stays_as_it_was_opened(uri: str) -> None:
    lake = Lake(uri)
    nothing = lake.at(USERS)
    lake.append(USERS, users("a"), marks={"shard-0": 1})
    view = lake.at(USERS)
    lake.append(USERS, users("b"), marks={"shard-0": 2})
    assert (nothing.version, nothing.scan().num_rows, nothing.marks(["shard-0"])) == (None, 0, {"shard-0": -1})
    assert view.scan(["user_id"]).to_pydict() == {"user_id": ["a"]}
    assert (view.marks(["shard-0", "x"]), view.rows) == ({"shard-0": 1, "x": -1}, 1)
    assert lake.at(USERS).marks(["shard-0"]) == {"shard-0": 2}


def test_the_loser_of_a_race_is_told_and_nobody_else_is(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Between the look at the marks and the commit, another writer commits: once of the same shard, once of another.
    lake, other = Lake(uri), Lake(uri)
    lake.append(USERS, users("a"), marks={"shard-0": 1, "shard-1": 1})
    write = Lake._write

    def late(shard: str, mark: int) -> None:
        def write_late(self: Lake, *arguments: Any) -> None:
            monkeypatch.setattr(Lake, "_write", write)
            assert other.append(USERS, users(f"late {shard}"), marks={shard: mark})
            write(self, *arguments)

        monkeypatch.setattr(Lake, "_write", write_late)

    late("shard-1", 2)
    assert not lake.append(USERS, users("b"), marks={"shard-0": 2, "shard-1": 2}, after={"shard-0": 1, "shard-1": 1})
    late("shard-2", 1)
    assert lake.append(USERS, users("c"), marks={"shard-0": 2, "shard-1": 3}, after={"shard-0": 1, "shard-1": 2})
    assert names(lake) == ["a", "c", "late shard-1", "late shard-2"]


def test_marks_are_known_across_checkpoints_and_after_the_log_was_cleaned(tmp_path: Path) -> None:
    def clean() -> None:
        delta = Lake(str(tmp_path)).delta_table(USERS)
        assert delta is not None
        delta.alter.set_table_properties({"delta.logRetentionDuration": "interval 0 seconds"})
        delta.create_checkpoint()
        delta.cleanup_metadata()

    lake, idle = Lake(str(tmp_path)), Lake(str(tmp_path))
    for n in range(60):
        lake.append(USERS, users(f"user-{n:02}"), marks={f"shard-{n % 20}": n})
        if n == 10:
            assert idle.marks(USERS, ["shard-3"]) == {"shard-3": 3}
    held = {f"shard-{n}": 40 + n for n in range(20)}
    assert Lake(str(tmp_path)).marks(USERS, held) == lake.marks(USERS, held) == held
    clean()
    assert not list(tmp_path.glob("users/_delta_log/*30.json"))
    for each in (lake, idle, Lake(str(tmp_path))):
        assert each.marks(USERS, held) == held
        assert each.scan(USERS).num_rows == 60
        assert not each.append(USERS, users("late"), marks={"shard-3": 43})


def test_many_writers_of_shards_of_their_own_all_get_through(uri: str) -> None:
    def write(shard: int) -> bool:
        lake = Lake(uri)
        return all(
            lake.append(USERS, users(f"{shard}-{n}"), marks={f"shard-{shard}": n}, after={f"shard-{shard}": n - 1})
            for n in range(10)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(write, range(4)))
    assert names(Lake(uri)) == sorted(f"{shard}-{n}" for shard in range(4) for n in range(10))


def test_metadata_of_a_commit_is_in_the_tables_history(uri: str) -> None:
    lake = Lake(uri)
    lake.append(USERS, users("a"), marks={"shard-0": 0}, metadata={"correlation_ids": "c1,c2"})
    delta = lake.delta_table(USERS)
    assert delta is not None
    assert delta.history(1)[0]["correlation_ids"] == "c1,c2"


def test_a_table_older_than_the_newest_column_gains_it_with_the_first_rows_that_have_it(uri: str) -> None:
    older = replace(USERS, schema=pa.schema([field for field in USERS.schema if field.name != "avatar_url"]))
    before = Lake(uri)
    before.append(older, users("a"))
    lake = Lake(uri)
    assert lake.scan(USERS).to_pylist()[0]["avatar_url"] is None
    lake.append(USERS, users("b").append_column("avatar_url", [["https://example.org/b.jpg"]]))
    before.append(older, users("c"))  # a process that has not been updated yet
    held = {row["user_id"]: row["avatar_url"] for row in lake.scan(USERS).to_pylist()}
    assert held == {"a": None, "b": "https://example.org/b.jpg", "c": None}
    delta = lake.delta_table(USERS)
    assert delta is not None
    assert "avatar_url" in [field.name for field in delta.schema().fields]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.text(min_size=1, max_size=64), min_size=1, max_size=4), min_size=1, max_size=4), st.data())
def test_a_scan_narrowed_by_statistics_finds_every_row(batches: list[list[str]], data: st.DataObject) -> None:
    # Files are skipped by the range of ids in the log, which for long ids holds only their beginnings.
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        for batch in batches:
            lake.append(USERS, users(*batch))
        everybody = sorted(name for batch in batches for name in batch)
        wanted = data.draw(st.lists(st.sampled_from(everybody), max_size=60))
        found = lake.scan(USERS, columns=["user_id"], where=one_of("user_id", wanted)).column(0).to_pylist()
        assert sorted(found) == [name for name in everybody if name in wanted]


def test_several_writers_at_once_lose_nothing_and_double_nothing(uri: str) -> None:
    # Each of four writers tries all of the same ten batches: every batch is to be there once.
    def write(_: int) -> int:
        lake = Lake(uri)
        return sum(lake.append(USERS, users(f"user-{n}"), marks={f"batch-{n}": 0}) for n in range(10))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, range(4))) == 10
    assert names(Lake(uri)) == sorted(f"user-{n}" for n in range(10))


def test_the_applied_version_is_known_of_an_old_table_version(uri: str) -> None:
    lake = Lake(uri)
    lake.append(USERS, users("a"), marks={"relay": 5})
    version = lake.version(USERS)
    lake.append(USERS, users("b"), marks={"relay": 8})
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
