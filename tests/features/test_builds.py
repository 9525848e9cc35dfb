"""Builds: a folder each, one switch, nothing half-written is ever seen; on a folder and on S3 alike."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from features.builds import KEPT_BUILDS, READERS_GRACE, Build, Builds, new_version
from features.errors import DependencyError

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
SCHEMA = pa.schema([pa.field("a", pa.int64()), pa.field("names", pa.list_(pa.string()))])
ROWS = pa.table({"a": [1, 2], "names": [["x"], []]}, schema=SCHEMA)


@pytest.fixture(params=["folder", "s3"])
def builds(request: pytest.FixtureRequest, tmp_path: Path) -> Builds:
    uri = str(tmp_path) if request.param == "folder" else f"{request.getfixturevalue('s3')}/{tmp_path.name}"
    return Builds(uri)


def made(builds: Builds, at: datetime) -> Build:
    build = Build(new_version(at), at, {"interactions": 3}, {"photos": 5}, {"t": 2})
    builds.write(build.version, "t", ROWS)
    return build


def test_before_the_first_build_there_is_none_and_tables_are_empty(builds: Builds) -> None:
    assert builds.current() is None
    assert builds.read("t", SCHEMA).to_table() == SCHEMA.empty_table()
    assert builds.prune(NOW) == []


def test_a_build_is_read_back_once_it_is_published(builds: Builds) -> None:
    build = made(builds, NOW)
    assert builds.current() is None
    builds.publish(build)
    assert builds.current() == build
    assert builds.read("t", SCHEMA).to_table() == ROWS


def test_a_table_can_be_written_piece_by_piece(builds: Builds) -> None:
    build = Build(new_version(NOW), NOW, {}, {}, {})
    with builds.writing(build.version, "t", SCHEMA) as append:
        append(ROWS.slice(0, 1))
        append(ROWS.slice(1))
    with builds.writing(build.version, "empty", SCHEMA):
        pass
    builds.publish(build)
    assert builds.read("t", SCHEMA).to_table() == ROWS
    assert builds.read("empty", SCHEMA).to_table() == SCHEMA.empty_table()


def test_an_unpublished_build_leaves_the_current_one_in_place(builds: Builds) -> None:
    build = made(builds, NOW)
    builds.publish(build)
    made(builds, NOW + timedelta(minutes=1))
    assert builds.current() == build


def test_old_builds_and_leftovers_go_but_not_those_that_somebody_may_read(builds: Builds) -> None:
    old = [made(builds, NOW - timedelta(days=day)) for day in (4, 3, 2, 1)]
    builds.publish(old[0])
    young = made(builds, NOW)
    assert builds.prune(NOW) == [build.version for build in old[1:-1]]
    assert builds.current() == old[0]
    builds.publish(young)
    assert builds.prune(NOW + 2 * READERS_GRACE) == [old[0].version]
    assert builds.read("t", SCHEMA, old[-1].version).to_table() == ROWS
    assert KEPT_BUILDS == 2


def test_versions_sort_by_time_and_never_repeat() -> None:
    later = new_version(NOW + timedelta(microseconds=1))
    assert new_version(NOW) < later
    assert new_version(NOW) != new_version(NOW)


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "features").write_text("in the way")
    with pytest.raises(DependencyError, match="features below"):
        Builds(str(tmp_path)).write("v", "t", ROWS)


@pytest.mark.parametrize("at", ["builds.pq.ParquetWriter.write_table", "builds.os.fsync", "builds.Path.replace"])
def test_a_kill_at_any_step_leaves_the_previous_build_current(tmp_path: Path, at: str) -> None:
    builds = Builds(str(tmp_path))
    first = made(builds, NOW)
    builds.publish(first)
    script = f"""
import os, signal
import pyarrow as pa
from datetime import datetime, UTC
from features import builds
def killed(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)
{at} = killed
here = builds.Builds({str(tmp_path)!r})
build = builds.Build("z", datetime.now(UTC), {{}}, {{}}, {{}})
here.write("z", "t", pa.table({{"a": [3]}}))
here.publish(build)
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == -9
    assert builds.current() == first
    assert builds.read("t", SCHEMA).to_table() == ROWS
