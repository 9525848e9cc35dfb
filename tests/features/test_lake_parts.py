"""A table in parts: nothing lost, nothing doubled, every key in one part, order kept, and full disks said so."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features import lake_parts
from features.errors import DependencyError, StorageFullError
from features.lake import Lake
from features.lake_parts import bounds_of, in_parts
from features.schema import INTERACTIONS
from features.table_view import TableView

InteractionRows = Callable[[Sequence[tuple[str, str, str, str, datetime]]], pa.Table]
COLUMNS = ("photo_id", "user_id", "event_timestamp")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Parts of about five rows; the directory in which they are kept."""
    monkeypatch.setattr(lake_parts, "ROWS_A_PART", 5)
    monkeypatch.setattr(lake_parts, "ROWS_AT_ONCE", 4)
    (tmp_path / "parts").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "parts"))
    return tmp_path / "parts"


def appended(lake: Lake, ids: Sequence[str], interaction_rows: InteractionRows) -> TableView:
    rows = [(user, f"photo {place}", "owner", "favorite", NOON) for place, user in enumerate(ids)]
    lake.append(INTERACTIONS, interaction_rows(rows))
    return lake.at(INTERACTIONS)


@given(
    ids=st.lists(st.text("ab0üß-", min_size=1, max_size=3), min_size=1, max_size=60),
    more_bounds=st.lists(st.text("abü", min_size=1), max_size=6),
)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parts_are_the_rows_apart_by_ranges_of_the_key(
    small_parts: Path,
    tmp_path_factory: pytest.TempPathFactory,
    interaction_rows: InteractionRows,
    ids: list[str],
    more_bounds: list[str],
) -> None:
    view = appended(Lake(str(tmp_path_factory.mktemp("lake"))), ids, interaction_rows)
    for bounds in (bounds_of([view], "user_id"), sorted(set(more_bounds), key=str.encode)):
        with in_parts(view, "user_id", bounds, COLUMNS) as parts:
            tables = list(parts)
            assert list(small_parts.iterdir()) == []  # no name, so nothing is left when the process is killed
        assert len(tables) == len(bounds) + 1
        for table, low, high in zip(tables, ["", *bounds], [*bounds, None], strict=True):
            users = [user.encode() for user in table.column("user_id").to_pylist()]
            assert all(low.encode() <= user for user in users)
            assert high is None or all(user < high.encode() for user in users)
        scanned = view.scan(COLUMNS)
        together = pa.concat_tables(tables)
        assert together.schema == scanned.schema
        for user in set(ids):
            ours, all_rows = (t.filter(pc.equal(t.column("user_id"), user)).to_pylist() for t in (together, scanned))
            assert ours == all_rows
        assert together.num_rows == len(ids)


def test_bounds_make_parts_of_about_equal_size(
    small_parts: Path, lake: Lake, interaction_rows: InteractionRows
) -> None:
    view = appended(lake, [f"{n:03}" for n in range(50)], interaction_rows)
    bounds = bounds_of([view], "user_id")
    with in_parts(view, "user_id", bounds, COLUMNS) as parts:
        assert [table.num_rows for table in parts] == [5] * 10
    assert len(bounds_of([view, view], "user_id")) == 19


def test_a_key_with_most_rows_gets_a_part_and_no_more(
    small_parts: Path, lake: Lake, interaction_rows: InteractionRows
) -> None:
    view = appended(lake, ["m"] * 30 + ["a", "z"], interaction_rows)
    bounds = bounds_of([view], "user_id")
    assert bounds == ["m"]


def test_what_fits_into_a_part_is_read_without_the_disk(
    lake: Lake, interaction_rows: InteractionRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    view = appended(lake, ["b", "a"], interaction_rows)
    assert bounds_of([view], "user_id") == []
    with in_parts(view, "user_id", [], COLUMNS, pc.field("user_id") == "a") as parts:
        assert [table.num_rows for table in parts] == [1]


@pytest.mark.parametrize(("code", "error"), [(errno.ENOSPC, StorageFullError), (errno.EIO, DependencyError)])
def test_a_disk_that_takes_no_more_is_said_so(
    code: int,
    error: type[DependencyError],
    small_parts: Path,
    lake: Lake,
    interaction_rows: InteractionRows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(code, "no")

    view = appended(lake, ["b", "a"], interaction_rows)
    monkeypatch.setattr(pa.ipc, "new_file", full)
    with pytest.raises(error, match="parts of a feature build"), in_parts(view, "user_id", ["b"], COLUMNS):
        pass
    assert list(small_parts.iterdir()) == []
