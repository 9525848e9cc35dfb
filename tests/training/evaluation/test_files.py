"""Interactions and contacts from anybody's files: what is read, in which types, and what is refused."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import InvalidInputError
from training.evaluation.files import Pairs, read_contacts, read_pairs

MOMENT = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())


def parquet(folder: Path, columns: Mapping[str, Sequence[object] | pa.Array]) -> Path:
    path = folder / "pairs.parquet"
    pq.write_table(pa.table(dict(columns)), path)
    return path


def text(folder: Path, content: str, name: str = "pairs.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    return path


def read(path: Path) -> Pairs:
    return read_pairs(path, "train")


@pytest.mark.parametrize("user", ["user_id", "user"])
@pytest.mark.parametrize("item", ["photo_id", "item_id", "item"])
def test_columns_are_found_by_name_in_any_order(tmp_path: Path, user: str, item: str) -> None:
    pairs = read(parquet(tmp_path, {"x": [0, 0], item: ["a", "b"], user: [2, 1]}))
    assert (pairs.users.to_pylist(), pairs.items.to_pylist(), pairs.notes) == ([2, 1], ["a", "b"], ())


def test_without_names_the_first_two_columns_that_mean_nothing_else_are_taken_and_noted(tmp_path: Path) -> None:
    pairs = read(text(tmp_path, "timestamp,who,what,more\n5,1,2,3\n"))
    assert (pairs.users.to_pylist(), pairs.items.to_pylist(), pairs.times.tolist()) == ([1], [2], [5])
    assert pairs.notes == ("column 'who' was taken for the user", "column 'what' was taken for the item")


def test_beside_a_named_column_the_first_other_one_is_taken(tmp_path: Path) -> None:
    pairs = read(text(tmp_path, "business,user_id,value\n7,1,1\n"))
    assert (pairs.users.to_pylist(), pairs.items.to_pylist()) == ([1], [7])


def test_row_numbers_of_a_data_frame_are_no_column(tmp_path: Path) -> None:
    pairs = read(text(tmp_path, ",who,what\n0,1,2\n1,3,4\n"))
    assert (pairs.users.to_pylist(), pairs.items.to_pylist()) == ([1, 3], [2, 4])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "user_id,item_id\n1,2\n3,4\n"),
        ("a.tsv", "user_id\titem_id\n1\t2\n3\t4\n"),
        ("a.csv.gz", "user_id,item_id\n1,2\n3,4\n"),
        ("a.TSV", "user_id\titem_id\n1\t2\n3\t4\n"),
        ("a.csv", '\ufeffuser_id,item_id\r\n"1","2"\r\n"3","4"\r\n'),
    ],
)
def test_text_files_are_read_by_their_ending(tmp_path: Path, name: str, content: str) -> None:
    pairs = read(text(tmp_path, content, name))
    assert (pairs.users.to_pylist(), pairs.items.to_pylist(), pairs.plain) == ([1, 3], [2, 4], True)


def test_a_folder_of_parquet_files_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "T.parquet"
    folder.mkdir()
    for part in (1, 2):
        pq.write_table(pa.table({"user_id": [part], "item_id": [part + 5]}), folder / f"part-{part}.parquet")
    assert sorted(read(folder).items.to_pylist()) == [6, 7]


@pytest.mark.parametrize(
    "ids",
    [
        *(pa.array([3, 1], kind) for kind in (pa.int8(), pa.int32(), pa.uint16(), pa.uint64(), pa.float64())),
        pa.array([2**64 - 1, 1], pa.uint64()),
        *(pa.array(["b", "a"], kind) for kind in (pa.string(), pa.large_string(), pa.string_view())),
        pa.array([b"b", b"\xff"]),
        pa.array([b"bb", b"aa"], pa.binary(2)),
        pa.array(["b", "a"]).dictionary_encode(),
        pa.array([date(2026, 1, 1), date(2025, 1, 1)]),
        pa.array([Decimal("1.5"), Decimal("2.5")]),
    ],
    ids=lambda ids: str(ids.type),
)
def test_ids_of_any_scalar_type_stay_as_they_are(tmp_path: Path, ids: pa.Array) -> None:
    pairs = read(parquet(tmp_path, {"user_id": ids, "item_id": ids}))
    assert pairs.users.type == pairs.items.type
    assert pairs.users.type in (ids.type, pa.dictionary(pa.int32(), pa.string()))
    assert pairs.users.to_pylist() == ids.to_pylist()


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (["1", "-7", "10000000"], pa.int64()),
        ([str(2**64 - 1), "0"], pa.uint64()),
        (["007", "7"], pa.string()),
        (["1.0", "2.0"], pa.string()),
        (["1", "a"], pa.string()),
        (["nan", "null", "x"], pa.string()),
        ([str(2**64)], pa.string()),
    ],
)
def test_ids_in_text_are_numbers_only_if_no_id_changes_by_it(
    tmp_path: Path, written: list[str], read_as: pa.DataType
) -> None:
    pairs = read(text(tmp_path, "user_id,item_id\n" + "".join(f"{value},1\n" for value in written)))
    assert pairs.users.type == read_as
    assert [str(value) for value in pairs.users.to_pylist()] == written


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_text_ids_come_out_of_a_csv_as_they_went_in(tmp_path: Path, ids: list[str]) -> None:
    lines = ['"' + value.replace('"', '""') + '",1\n' for value in ["x", *ids]]
    assert read(text(tmp_path, "user_id,item_id\n" + "".join(lines))).users.to_pylist() == ["x", *ids]


@pytest.mark.parametrize("name", ["timestamp", "event_timestamp", "faved_at"])
@pytest.mark.parametrize(
    "time",
    [
        pa.array([MOMENT]),
        pa.array([MOMENT + 0.9]),
        pa.array([MOMENT], pa.uint32()),
        pa.array([MOMENT * 1000 + 900]),
        pa.array([MOMENT * 10**6], pa.uint64()),
        pa.array([float(MOMENT * 10**9)]),
        pa.array([MOMENT * 1000 + 900], pa.timestamp("ms")),
        pa.array([MOMENT * 10**9], pa.timestamp("ns", tz="America/New_York")),
        pa.array(["2026-03-01T12:00:00"]),
        pa.array(["2026-03-01 14:00:00+02:00"]),
    ],
    ids=lambda time: str(time.type),
)
def test_a_time_becomes_unix_seconds(tmp_path: Path, time: pa.Array, name: str) -> None:
    pairs = read(parquet(tmp_path, {"user_id": [1], "item_id": [2], name: time}))
    assert pairs.times.tolist() == [MOMENT]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("2026-03-01T12:00:00Z", MOMENT), ("2026-03-01", MOMENT - 43_200), ("-0.5", -1), (str(MOMENT), MOMENT)],
)
def test_times_in_text_become_unix_seconds(tmp_path: Path, written: str, seconds: int) -> None:
    assert read(text(tmp_path, f"user_id,item_id,timestamp\n1,2,{written}\n")).times.tolist() == [seconds]


def test_a_date_is_its_midnight_also_before_1970(tmp_path: Path) -> None:
    path = parquet(
        tmp_path, {"user_id": [1, 1], "item_id": [2, 3], "timestamp": [date(1969, 12, 31), date(1970, 1, 2)]}
    )
    assert read(path).times.tolist() == [-86_400, 86_400]


def test_a_unit_finer_than_seconds_is_noted(tmp_path: Path) -> None:
    pairs = read(parquet(tmp_path, {"user_id": [1], "item_id": [2], "timestamp": [MOMENT * 1000]}))
    assert pairs.notes == ("column 'timestamp' was read as milliseconds since 1970, by its size",)


def test_values_say_what_is_a_favorite_a_dismissal_or_neither(tmp_path: Path) -> None:
    pairs = read(text(tmp_path, "user_id,item_id,value\n1,2,5\n1,3,-0.5\n1,4,0\n1,5,1\n"))
    assert pairs.favorites.tolist() == [True, False, False, True]
    assert pairs.dismissals.tolist() == [False, True, False, False]
    assert pairs.notes == (
        "1 rows with the value 0, neither favorite nor dismissal, were left out",
        "every value above 0 counts as one favorite, whatever its size",
    )


def test_without_values_every_row_is_a_favorite(tmp_path: Path) -> None:
    pairs = read(parquet(tmp_path, {"user_id": [1, 2], "item_id": [2, 3]}))
    assert pairs.favorites.tolist() == [True, True]
    assert pairs.dismissals.tolist() == [False, False]


@pytest.mark.parametrize(
    "owners", [pa.array(["o", None, ""]), pa.array([1.0, None, np.nan]), pa.array([1, None, None])]
)
def test_an_owner_may_be_unknown(tmp_path: Path, owners: pa.Array) -> None:
    pairs = read(parquet(tmp_path, {"user_id": [1, 2, 3], "item_id": [2, 3, 4], "owner_id": owners}))
    assert pairs.owners is not None
    assert pairs.owners.is_null().to_pylist() == [False, True, True]


BAD_PARQUET = {
    "has no value in column 'user_id', row 2": {"user_id": [1, None], "item_id": [1, 2]},
    "has no value in column 'item_id', row 1": {"user_id": [1, 2], "item_id": ["", "a"]},
    "has nan in column 'item_id', row 2": {"user_id": [1, 2], "item_id": [1.0, np.nan]},
    "has 1.5 in column 'user_id', row 2": {"user_id": [1.0, 1.5], "item_id": [1, 2]},
    "has 1e+17 in column 'user_id', row 1": {"user_id": [1e17], "item_id": [1]},
    "column 'user_id' is list": {"user_id": [[1]], "item_id": [1]},
    "has no column 'photo_id' or 'item_id' or 'item'; it has user_id": {"user_id": [1]},
    "has no rows": {"user_id": pa.array([], pa.int64()), "item_id": pa.array([], pa.int64())},
    "has no value in column 'timestamp', row 2": {"user_id": [1, 2], "item_id": [1, 2], "timestamp": [1, None]},
    "has inf in column 'timestamp', row 1": {"user_id": [1], "item_id": [1], "timestamp": [np.inf]},
    "column 'timestamp' is text that is not all": {"user_id": [1], "item_id": [1], "timestamp": ["yesterday"]},
    "column 'timestamp' is bool": {"user_id": [1], "item_id": [1], "timestamp": [True]},
    "column 'timestamp' is duration": {"user_id": [1], "item_id": [1], "timestamp": pa.array([1], pa.duration("s"))},
    "has nan in column 'value', row 2": {"user_id": [1, 2], "item_id": [1, 2], "value": [1, np.nan]},
    "has no value in column 'value', row 1": {"user_id": [1, 2], "item_id": [1, 2], "value": [None, 1.0]},
    "column 'value' is string": {"user_id": [1], "item_id": [1], "value": ["good"]},
}


@pytest.mark.parametrize(("message", "columns"), BAD_PARQUET.items(), ids=list(BAD_PARQUET))
def test_what_can_not_be_read_names_file_column_and_row(
    tmp_path: Path, message: str, columns: dict[str, Sequence[object]]
) -> None:
    path = parquet(tmp_path, columns)
    with pytest.raises(InvalidInputError) as refused:
        read(path)
    assert f"{path} {message}" in refused.value.message
    assert refused.value.field == "train"


BAD_TEXT = {
    "has no value in column 'user_id', row 2": "user_id,item_id\n1,1\n,2\n",
    "has no value in column 'item_id', row 1": "user_id,item_id\n1,NaN\n1,2\n",
    "needs a first line with the columns' names; it has 196, 242": "196,242\n186,302\n",
    "has no column 'photo_id'": "user_id;item_id\n1;2\n",
    "has two columns 'item_id'": "user_id,item_id,item_id\n1,2,3\n",
    "is no readable csv file: CSV parse error: Expected 2 columns, got 3: 1,2,3": "user_id,item_id\n1,2\n1,2,3\n",
    "is no readable csv file: Empty": "",
    "has no rows": "user_id,item_id\n",
    "column 'value' is string": "user_id,item_id,value\n1,2,good\n",
    "has no value in column 'timestamp', row 1": "user_id,item_id,timestamp\n1,2,\n1,3,5\n",
}


@pytest.mark.parametrize(("message", "content"), BAD_TEXT.items(), ids=list(BAD_TEXT))
def test_a_text_file_that_can_not_be_read_names_what_is_wrong(tmp_path: Path, message: str, content: str) -> None:
    path = text(tmp_path, content)
    with pytest.raises(InvalidInputError) as refused:
        read(path)
    assert f"{path} {message}" in refused.value.message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"", "not a file of a kind known here (.parquet, .csv, .tsv, .csv.gz, .tsv.gz)"),
        ("a", b"", "not a file of a kind known here"),
        ("a.parquet", b"PAR1 and no more", "is no readable parquet file"),
        ("a.csv.gz", b"no gzip", "is no readable csv.gz file"),
        ("a.csv", b"user_id,item_id\n\xff\xfe,1\n", "is no readable csv file"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidInputError) as refused:
        read(path)
    assert str(path) in refused.value.message
    assert message in refused.value.message


@pytest.mark.parametrize("name", ["none.csv", "none.parquet"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match=name):
        read(tmp_path / name)


def test_contacts_are_read_by_name_or_place(tmp_path: Path) -> None:
    named = read_contacts(parquet(tmp_path, {"contact_id": ["b"], "user_id": ["a"]}))
    placed = read_contacts(text(tmp_path, "from,to\na,b\n"))
    for found in (named, placed):
        assert (found.followers.to_pylist(), found.followed.to_pylist()) == (["a"], ["b"])
    assert (named.notes, len(placed.notes)) == ((), 2)


def test_a_contact_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="has no value in column 'contact_id', row 1") as refused:
        read_contacts(parquet(tmp_path, {"user_id": ["a"], "contact_id": pa.array([None], pa.string())}))
    assert refused.value.field == "contacts"
