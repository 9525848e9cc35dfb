"""Compaction, vacuum and deletion beside writers, on a folder and on the S3 emulator: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from hypothesis import given, settings
from hypothesis import strategies as st

from features import compaction, rewrite
from features.compaction import Compacted, compact, delete_rows, vacuum
from features.lake import Lake, one_of
from features.schema import CONTACTS, INTERACTIONS, QUARANTINE, TABLES, USERS, LakeTable
from features.state import STATE_COLUMNS, interaction_state
from features.table_view import DataFile

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = date(2026, 11, 1)

WRITER = """
import sys
from datetime import UTC, datetime
import pyarrow as pa
from features.lake import Lake
from features.schema import INTERACTIONS
uri, shard, commits = sys.argv[1], sys.argv[2], int(sys.argv[3])
lake, now = Lake(uri), datetime(2026, 11, 1, tzinfo=UTC)
for n in range(commits):
    photos = [f"{shard}-{n}-{m}" for m in range(5)]
    rows = pa.table({
        "user_id": [f"user {m}" for m in range(5)], "photo_id": photos, "owner_id": photos, "kind": ["favorite"] * 5,
        "source": ["flickr"] * 5, "event_timestamp": [now] * 5, "created_timestamp": [now] * 5,
        "ingest_date": [now.date()] * 5,
    })
    assert lake.append(INTERACTIONS, rows, marks={shard: n}, after={shard: n - 1})
print("done")
"""


@pytest.fixture(params=["folder", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "lake")
    bucket: str = request.getfixturevalue("s3")
    return f"{bucket}/{uuid.uuid4()}"


def favorites(
    pairs: Sequence[tuple[str, str]], *, day: date = DAY, created: datetime = NOW, kind: str = "favorite"
) -> pa.Table:
    users, photos = [user for user, _ in pairs], [photo for _, photo in pairs]
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()),
            "photo_id": pa.array(photos, pa.string()),
            "owner_id": pa.array(photos, pa.string()),
            "kind": [kind] * len(pairs),
            "source": ["flickr"] * len(pairs),
            "event_timestamp": [NOW] * len(pairs),
            "created_timestamp": [created] * len(pairs),
            "ingest_date": [day] * len(pairs),
        }
    )


def users(names: Sequence[str], created: datetime = NOW) -> pa.Table:
    return pa.table({"user_id": list(names), "name": list(names), "created_timestamp": [created] * len(names)})


def held(lake: Lake, version: int | None = None) -> list[tuple[str, str]]:
    rows = lake.scan(INTERACTIONS, columns=["user_id", "photo_id"], version=version).to_pylist()
    return sorted((row["user_id"], row["photo_id"]) for row in rows)


def test_small_files_become_one_sorted_file_a_day_without_repeats(uri: str) -> None:
    lake = Lake(uri)
    for n in range(4):
        lake.append(INTERACTIONS, favorites([("b", f"{n}"), ("a", f"{n}"), ("c", "again")]), marks={"shard": n})
    lake.append(INTERACTIONS, favorites([("z", "1")], day=DAY + timedelta(1)))
    done = compact(lake, INTERACTIONS, now=NOW)
    assert done == Compacted(files_before=5, files_after=2, rows_before=13, rows_after=10, partitions=2)
    assert done.repeats_removed == 3
    rows = Lake(uri).scan(INTERACTIONS, where=one_of("user_id", ["a", "b", "c"]))
    assert rows.schema == INTERACTIONS.schema
    in_order = [(row["user_id"], row["photo_id"]) for row in rows.to_pylist()]
    assert in_order == sorted([*((user, f"{n}") for user in "ab" for n in range(4)), ("c", "again")])
    assert Lake(uri).marks(INTERACTIONS, ["shard"]) == {"shard": 3}
    delta = lake.delta_table(INTERACTIONS)
    assert delta is not None
    assert pa.table(delta.scan(predicate="user_id = 'z'")).num_rows == 1  # other readers of Delta agree


def test_a_day_without_new_files_is_left_alone(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.append(INTERACTIONS, favorites([("a", "1")]))
    lake.append(INTERACTIONS, favorites([("a", "1")], day=DAY + timedelta(1)))
    assert compact(lake, INTERACTIONS, now=NOW).partitions == 2
    version = lake.version(INTERACTIONS)
    assert compact(lake, INTERACTIONS, now=NOW) == Compacted(files_before=2, files_after=2)
    assert lake.version(INTERACTIONS) == version
    lake.append(INTERACTIONS, favorites([("a", "2")]))
    assert compact(lake, INTERACTIONS, now=NOW) == Compacted(3, 2, rows_before=2, rows_after=2, partitions=1)


def test_a_large_table_is_cut_into_files_that_share_no_user(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    pairs = [(f"user {n % 300:03}", f"{uuid.uuid4()}") for n in range(30_000)]
    for n in range(5):
        lake.append(INTERACTIONS, favorites(pairs[n::5]))
    assert compact(lake, INTERACTIONS, now=NOW, target_bytes=lake.at(INTERACTIONS).bytes // 4).files_after > 3
    files = sorted(lake.at(INTERACTIONS).files, key=lambda file: str(file.low))
    assert all(str(before.high) < str(after.low) for before, after in pairwise(files))
    read = lake.at(INTERACTIONS).dataset.get_fragments(filter=one_of("user_id", ["user 007", "user 008"]))
    assert len(list(read)) == 1
    assert held(lake) == sorted(pairs)


@pytest.mark.parametrize(
    ("files", "due"),
    [
        ({"sorted-a": 100, "sorted-b": 100}, []),
        ({"part-a": 1}, ["part-a"]),
        ({"sorted-a": 100, "sorted-b": 10, "part-a": 1}, ["part-a", "sorted-b"]),
        ({"sorted-a": 100, "sorted-b": 10, "part-a": 15}, ["part-a", "sorted-a", "sorted-b"]),
    ],
)
def test_large_sorted_files_are_rewritten_only_once_the_new_ones_are_a_fifth(
    files: dict[str, int], due: list[str]
) -> None:
    listed = [DataFile(f"ingest_date=2026-11-01/{name}.parquet", size, 1) for name, size in files.items()]
    names = [file.path.split("/")[1].removesuffix(".parquet") for file in compaction.files_due(listed, 100)]
    assert sorted(names) == due


def test_of_a_keyed_table_the_newest_row_of_each_key_stays(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.append(USERS, users(["a", "b"]))
    lake.append(USERS, users(["a"], NOW + timedelta(hours=1)))
    lake.append(USERS, users(["a"], NOW - timedelta(hours=1)))
    assert compact(lake, USERS, now=NOW).repeats_removed == 2
    rows = {row["user_id"]: row["created_timestamp"] for row in lake.scan(USERS).to_pylist()}
    assert rows == {"a": NOW + timedelta(hours=1), "b": NOW}


events = st.tuples(
    st.sampled_from(["favorite", "unfavorite", "dismiss_photo", "undismiss_photo"]),
    st.sampled_from(["u", "v"]),
    st.sampled_from(["p", "q"]),
    st.integers(0, 2),
    st.integers(0, 3),
)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(events, min_size=1, max_size=5), min_size=1, max_size=4))
def test_the_derived_state_is_the_same_before_and_after(batches: list[list[tuple[str, str, str, int, int]]]) -> None:
    # The events of equal time and key that compaction takes for repeats may differ in when they were ingested.
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        ticks = {}
        for batch in batches:
            rows = []
            for kind, user, photo, event, created in batch:
                # No two rows of one user and photo agree in both times: which of those counts is not defined.
                tick = ticks[user, photo] = ticks.get((user, photo), 0) + 1
                row = favorites([(user, photo)], kind=kind, created=NOW + timedelta(seconds=created, microseconds=tick))
                at = row.schema.get_field_index("event_timestamp")
                rows.append(row.set_column(at, "event_timestamp", [[NOW + timedelta(seconds=event)]]))
            lake.append(INTERACTIONS, pa.concat_tables(rows))

        def state() -> list[list[dict[str, object]]]:
            found = interaction_state(lake.scan(INTERACTIONS, columns=STATE_COLUMNS))
            return [sorted(t.to_pylist(), key=str) for t in (found.favorites, found.dismissed_photos)]

        before = state()
        compact(lake, INTERACTIONS, now=NOW)
        assert state() == before


def test_compaction_vacuum_and_deletion_beside_writing_processes_lose_and_double_nothing(uri: str) -> None:
    # Two processes append and are never refused, while this one rewrites all the time.
    commits = 12 if uri.startswith("s3") else 40
    lake = Lake(uri)
    lake.append(INTERACTIONS, favorites([("gone", "gone")]))
    shards = ["shard-0", "shard-1"]
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, uri, shard, str(commits)], stdout=subprocess.PIPE)
        for shard in shards
    ]
    rewrites = 0
    pinned = lake.version(INTERACTIONS)
    while any(process.poll() is None for process in processes):
        rewrites += compact(lake, INTERACTIONS, now=NOW).partitions
        assert delete_rows(lake, INTERACTIONS, one_of("photo_id", ["gone"]), now=NOW) <= 1
        lake.append(INTERACTIONS, favorites([("gone", "gone")]))
        vacuum(lake, INTERACTIONS, 1)
    assert [process.wait() for process in processes] == [0, 0]
    assert rewrites > 0
    delete_rows(lake, INTERACTIONS, one_of("photo_id", ["gone"]), now=NOW)
    compact(lake, INTERACTIONS, now=NOW)
    everything = [(f"user {m}", f"{shard}-{n}-{m}") for shard in shards for n in range(commits) for m in range(5)]
    assert held(lake) == sorted(everything)
    assert lake.marks(INTERACTIONS, shards) == dict.fromkeys(shards, commits - 1)
    assert held(lake, pinned) == [("gone", "gone")]


def test_of_compactions_at_once_one_wins_and_nothing_is_doubled(uri: str) -> None:
    for n in range(6):
        Lake(uri).append(INTERACTIONS, favorites([("a", f"{n}")]))
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: compact(Lake(uri), INTERACTIONS, now=NOW), range(4)))
    assert sum(each.partitions for each in done) == 1
    assert held(Lake(uri)) == [("a", f"{n}") for n in range(6)]


def test_a_rewrite_of_what_was_deleted_meanwhile_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Else compaction would bring back rows that somebody asked to have erased.
    lake = Lake(str(tmp_path))
    for n in range(3):
        lake.append(INTERACTIONS, favorites([("a", f"{n}"), ("gone", f"{n}")]))

    def swap(*arguments: object, **named: object) -> bool:
        monkeypatch.setattr(compaction, "swap_files", rewrite.swap_files)
        assert delete_rows(Lake(lake.uri), INTERACTIONS, one_of("user_id", ["gone"]), now=NOW) == 3
        return rewrite.swap_files(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(compaction, "swap_files", swap)
    files = len(list(tmp_path.rglob("*.parquet")))
    assert compact(lake, INTERACTIONS, now=NOW) == Compacted(files_before=3, files_after=3)
    assert held(lake) == [("a", f"{n}") for n in range(3)]
    assert len(list(tmp_path.rglob("*.parquet"))) == files + 3  # what was written in vain is gone


def test_a_commit_whose_answer_got_lost_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # S3 may commit and the connection break: tried again, the commit is refused as taken, by nobody but itself.
    lake = Lake(str(tmp_path))
    for n in range(3):
        lake.append(INTERACTIONS, favorites([("a", f"{n}")]))
    commit = DeltaTable.create_write_transaction

    def commit_and_fail(*arguments: Any, **named: Any) -> None:
        commit(*arguments, **named)
        raise CommitFailedError("the version exists already")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", commit_and_fail)
    assert compact(lake, INTERACTIONS, now=NOW).partitions == 1
    assert held(lake) == [("a", f"{n}") for n in range(3)]


def test_vacuum_spares_what_left_the_table_within_the_retention(uri: str) -> None:
    lake = Lake(uri)
    for n in range(3):
        lake.append(INTERACTIONS, favorites([("a", f"{n}")]))
    pinned = lake.at(INTERACTIONS)
    compact(lake, INTERACTIONS, now=datetime.now(UTC) - timedelta(days=6))
    assert vacuum(lake, INTERACTIONS, 7) == 0
    assert pinned.scan().num_rows == lake.scan(INTERACTIONS, version=pinned.version).num_rows == 3
    assert [vacuum(lake, INTERACTIONS, 5), vacuum(lake, INTERACTIONS, 5)] == [3, 0]
    assert held(lake) == [("a", f"{n}") for n in range(3)]
    assert vacuum(lake, USERS, 7) == 0  # a table that is not there


def test_vacuum_takes_what_a_killed_writer_left_once_it_is_old(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.append(INTERACTIONS, favorites([("a", "1")]))
    (kept,) = tmp_path.rglob("*.parquet")
    orphan = kept.with_name("part-orphan.parquet")
    orphan.write_bytes(b"half a file")
    assert vacuum(lake, INTERACTIONS, 7) == 0
    long_ago = (datetime.now(UTC) - timedelta(days=8)).timestamp()
    for file in (kept, orphan):
        os.utime(file, (long_ago, long_ago))
    assert vacuum(lake, INTERACTIONS, 7) == 1
    assert kept.exists()
    assert not orphan.exists()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=64), min_size=1, max_size=8, unique=True),
    st.data(),
)
def test_rows_of_exactly_these_ids_are_deleted_whatever_they_consist_of(ids: list[str], data: st.DataObject) -> None:
    ids += ["o'brien", "' OR '1'='1", "%", "\\", '"', "日本\x00"]
    gone = data.draw(st.lists(st.sampled_from(sorted(set(ids))), unique=True))
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder)
        lake.append(USERS, users(sorted(set(ids))))
        lake.append(USERS, users(sorted(set(ids))))
        assert delete_rows(lake, USERS, one_of("user_id", gone), now=NOW) == 2 * len(gone)
        assert set(lake.scan(USERS).column("user_id").to_pylist()) == set(ids) - set(gone)


def test_rows_without_a_value_are_not_taken_for_one_of_the_ids(uri: str) -> None:
    lake = Lake(uri)
    lake.append(USERS, users(["a", "b"]).append_column("path_alias", [["x", None]]))
    assert delete_rows(lake, USERS, one_of("path_alias", ["x"]), now=NOW) == 1
    assert lake.scan(USERS).column("user_id").to_pylist() == ["b"]
    assert delete_rows(lake, CONTACTS, one_of("user_id", ["a"]), now=NOW) == 0
    delete_rows(lake, USERS, one_of("user_id", ["b"]), now=NOW)
    assert lake.scan(USERS).num_rows == 0


def row_of(table: LakeTable, n: int) -> dict[str, object]:
    values: dict[str, object] = {}
    for field in table.schema:
        if pa.types.is_timestamp(field.type):
            values[field.name] = NOW + timedelta(microseconds=1 + n)
        elif pa.types.is_date(field.type):
            values[field.name] = DAY
        else:
            kinds = {pa.string(): f"{n}", pa.bool_(): n % 2 == 1}
            values[field.name] = kinds.get(field.type, n)
    if table is INTERACTIONS:
        values |= {"kind": "favorite", "source": "file"}
    return values


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_table_reads_the_same_after_it(tmp_path: Path, table: LakeTable) -> None:
    lake = Lake(str(tmp_path))
    rows = [row_of(table, n) for n in range(3)]
    for row in rows:
        lake.append(table, pa.Table.from_pylist([row], schema=table.schema))
    assert compact(lake, table, now=NOW).files_after == 1
    read = lake.scan(table)
    assert read.schema == table.schema
    assert sorted(read.to_pylist(), key=str) == sorted(rows, key=str)


def test_repeats_in_quarantine_stay_as_its_rows_have_no_key(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    for _ in range(2):
        lake.append(QUARANTINE, pa.Table.from_pylist([row_of(QUARANTINE, 0)], schema=QUARANTINE.schema))
    assert compact(lake, QUARANTINE, now=NOW).rows_after == 2
