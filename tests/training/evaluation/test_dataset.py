"""A data set from files, its ids written back as they were read, and the files that can't be one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import InvalidInputError
from training.evaluation.dataset import Dataset, Holdout, load_dataset

Columns = Mapping[str, Sequence[object] | pa.Array]

TRAIN: Columns = {"user_id": [1, 1, 1, 2, 2, 3, 3], "item_id": [10, 11, 12, 10, 11, 12, 13]}
TEST: Columns = {"user_id": [1, 2], "item_id": [13, 12]}


def write(path: Path, content: Columns | str) -> Path:
    if isinstance(content, str):
        path = path.with_suffix(".csv")
        path.write_text(content)
    else:
        path = path.with_suffix(".parquet")
        pq.write_table(pa.table(dict(content)), path)
    return path


def load(
    folder: Path,
    train: Columns | str = TRAIN,
    test: Columns | str = TEST,
    validation: Columns | str | None = None,
    contacts: Columns | str | None = None,
) -> Dataset:
    return load_dataset(
        write(folder / "T", train),
        write(folder / "S", test),
        None if validation is None else write(folder / "V", validation),
        None if contacts is None else write(folder / "C", contacts),
    )


def pairs(holdout: Holdout) -> set[tuple[object, object]]:
    """What is to be found, by ids."""
    ids = holdout.train.catalog.photo_ids
    listed = {
        (user, item)
        for user, rows in zip(holdout.user_ids, holdout.relevant_rows, strict=True)
        for item in ids[rows].tolist()
    }
    return listed | set(zip(holdout.user_ids[holdout.absent_users], holdout.absent_items, strict=True))


def fitted(holdout: Holdout) -> set[tuple[object, object]]:
    train = holdout.train
    events = train.favorites
    return set(zip(train.user_ids[events.users], train.catalog.photo_ids[events.photos], strict=True))


def zipped(columns: Columns) -> set[tuple[object, object]]:
    return set(zip(columns["user_id"], columns["item_id"], strict=True))


def test_validation_pairs_join_the_training_for_the_final_fit(tmp_path: Path) -> None:
    validation: Columns = {"user_id": [1, 3], "item_id": [20, 10]}
    data = load(tmp_path, validation=validation)
    assert (fitted(data.tuning), pairs(data.tuning)) == (zipped(TRAIN), zipped(validation))
    assert (fitted(data.final), pairs(data.final)) == (zipped(TRAIN) | zipped(validation), zipped(TEST))


def test_without_a_validation_file_a_part_of_training_is_held_out_and_no_test_pair_is_seen(tmp_path: Path) -> None:
    data = load(tmp_path)
    assert fitted(data.tuning) | pairs(data.tuning) == zipped(TRAIN)
    assert fitted(data.tuning).isdisjoint(pairs(data.tuning))
    assert (fitted(data.final), pairs(data.final)) == (zipped(TRAIN), zipped(TEST))
    assert data.notes[0].startswith("validation: ")


IDS = [
    *(pa.array([3, 1, 2, 7], kind) for kind in (pa.int8(), pa.int32(), pa.uint64(), pa.float32(), pa.float64())),
    pa.array([2**64 - 1, 1, 2, 7], pa.uint64()),
    *(pa.array(["b", "a", "c", "é"], kind) for kind in (pa.string(), pa.large_string(), pa.string_view())),
    pa.array([b"b", b"a", b"c", b"\xff"]),
    pa.array([b"bb", b"aa", b"cc", b"dd"], pa.binary(2)),
    pa.array(["b", "a", "c", "d"]).dictionary_encode(),
    pa.array([date(2026, 1, day) for day in range(1, 5)]),
    pa.array([Decimal(f"{n}.5") for n in range(4)], pa.decimal128(9, 1)),
]


@pytest.mark.parametrize("ids", IDS, ids=lambda ids: str(ids.type))
def test_ids_are_written_back_in_the_type_read(tmp_path: Path, ids: pa.Array) -> None:
    def some(*places: int) -> pa.Array:
        return pa.array([ids[place].as_py() for place in places], ids.type)

    train = {"user_id": some(0, 0, 0, 1, 1, 2), "item_id": some(0, 1, 2, 0, 2, 0)}
    test = {"user_id": some(2, 2), "item_id": some(1, 3)}
    data = load(tmp_path, train, test, validation={"user_id": some(1), "item_id": some(1)})
    users = data.original_ids("user", data.final.user_ids)
    items = data.original_ids("item", data.final.train.catalog.photo_ids)
    assert users.type == items.type == ids.type
    assert users.to_pylist() == some(2).to_pylist()
    assert set(items.to_pylist()) == set(some(0, 1, 2).to_pylist())
    assert data.final.relevant.tolist() == [2]
    assert data.original_ids("item", data.final.absent_items).to_pylist() == some(3).to_pylist()


@given(
    st.sampled_from([pa.int64(), pa.uint64(), pa.int32(), pa.string(), pa.large_binary()]),
    st.sets(st.integers(0, 2**31 - 1), min_size=3, max_size=8),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_the_ids_written_back_are_the_ids_read(tmp_path: Path, kind: pa.DataType, numbers: set[int]) -> None:
    ids = pa.array(sorted(numbers)).cast(pa.string()).cast(kind)
    n = len(ids)
    every = {"user_id": ids.take(pa.array([u for u in range(n) for _ in range(n - 1)]))}
    every["item_id"] = ids.take(pa.array([(u + i) % n for u in range(n) for i in range(n - 1)]))
    last = {"user_id": ids, "item_id": ids.take(pa.array([(u + n - 1) % n for u in range(n)]))}
    final = (data := load(tmp_path, every, last)).final
    assert data.original_ids("user", final.user_ids).equals(ids.take(pc.sort_indices(ids)))
    found = [final.train.catalog.photo_ids[rows[0]] for rows in final.relevant_rows]
    back = pa.table({"user_id": data.original_ids("user", final.user_ids), "item_id": data.original_ids("item", found)})
    assert back.sort_by("user_id").equals(pa.table(last).sort_by("user_id"))


def test_numbers_of_other_widths_are_the_same_ids(tmp_path: Path) -> None:
    test = {"user_id": pa.array([1, 2], pa.int16()), "item_id": pa.array([13.0, 12.0])}
    data = load(tmp_path, test=test, contacts={"user_id": pa.array([1], pa.uint8()), "contact_id": [2]})
    assert pairs(data.final) == zipped(TEST)
    assert data.original_ids("user", data.final.user_ids).type == pa.int64()
    assert data.final.histories[0:1].contacts.tolist() == [1]


def test_whole_numbers_in_text_files_are_text_where_another_file_has_text(tmp_path: Path) -> None:
    train = "user_id,item_id\na,1\na,x2\nb,1\nb,3\n7,3\n7,1\n"
    data = load(tmp_path, train, "user_id,item_id\n7,2\na,3\n", contacts="user_id,contact_id\n7,8\n")
    assert pairs(data.final) == {("7", "2"), ("a", "3")}
    assert data.original_ids("user", data.final.user_ids).type == pa.string()


def test_contacts_may_be_what_says_that_numbers_are_text(tmp_path: Path) -> None:
    train = "user_id,item_id\n1,1\n1,2\n2,1\n2,3\n3,3\n3,1\n"
    data = load(tmp_path, train, "user_id,item_id\n1,3\n", contacts="user_id,contact_id\n1,2\n1,nobody\n")
    assert data.original_ids("user", data.final.user_ids).to_pylist() == ["1"]
    assert data.final.histories.contacts.tolist() == [1]


def test_a_number_is_just_an_id_however_large(tmp_path: Path) -> None:
    train = {"user_id": [1, 1, 10**12, 2], "item_id": [10**7, 5, 10**7, 5]}
    data = load(tmp_path, train, {"user_id": [2], "item_id": [10**7]})
    assert data.final.n_photos == 2
    assert pairs(data.final) == {(2, 10**7)}


def test_repairs_are_told_by_file(tmp_path: Path) -> None:
    train = "who,what,value\n1,10,1\n1,10,1\n1,11,1\n2,10,1\n2,12,-1\n2,11,0\n3,12,1\n3,10,1\n"
    test = {"user_id": [1, 1, 3], "item_id": [10, 12, 11]}
    data = load(tmp_path, train, test, contacts="user_id,contact_id\n1,1\n1,2\n")
    for note in (
        "train: column 'who' was taken for the user",
        "train: 1 rows with the value 0, neither favorite nor dismissal, were left out",
        "train: 7 rows became 5 favorites and 1 dismissals: repeats are one, a favorite beats a dismissal, and a "
        "dismissal needs a favorite of its user and one of its item",
        "test: 1 pairs are also in the training part, and were left out",
        "contacts: 1 users who follow themselves were left out",
    ):
        assert note in data.notes
    assert data.final.histories[0:1].contacts.tolist() == [1]


def test_times_count_only_if_all_that_is_learned_from_has_them(tmp_path: Path) -> None:
    timed = {**TRAIN, "timestamp": [5, 6, 7, 1, 2, 3, 4]}
    validation = {"user_id": [3], "item_id": [11]}
    assert load(tmp_path, timed).has_times
    assert not load(tmp_path).has_times
    assert not load(tmp_path, {**TRAIN, "timestamp": [5] * 7}).has_times
    assert load(tmp_path, timed, validation={**validation, "timestamp": [9]}).final.train.data_until == 9
    mixed = load(tmp_path, timed, validation=validation)
    assert not mixed.has_times
    assert "train: times were not used, since only one of the training and validation files has them" in mixed.notes


def test_values_and_owners_may_be_in_one_file_only(tmp_path: Path) -> None:
    train = {**TRAIN, "value": [1, 1, 1, 1, -1, 1, 1]}
    validation = {"user_id": [3, 1], "item_id": [11, 20], "owner_id": [2, None]}
    final = load(tmp_path, train, validation=validation).final
    assert len(final.train.dismissals) == 1
    assert dict(zip(final.train.catalog.photo_ids, final.train.catalog.owner_ids, strict=True)) == {
        10: "", 11: 2, 12: "", 13: "", 20: "",
    }  # fmt: skip


def test_owners_that_are_no_users_are_left_out_and_noted(tmp_path: Path) -> None:
    data = load(tmp_path, {**TRAIN, "owner_id": list("abcabca")})
    assert not data.final.train.has_owners
    assert any(note.startswith("owners were left out") for note in data.notes)


BAD = {
    "one user": (
        {"train": {"user_id": [1, 1], "item_id": [1, 2]}, "test": {"user_id": [1], "item_id": [1]}},
        "train", "T.parquet has favorites of 1 users on 2 items; a model needs two of each",
    ),
    "one item": (
        {"train": {"user_id": [1, 2], "item_id": [1, 1]}, "test": {"user_id": [1], "item_id": [1]}},
        "train", "T.parquet has favorites of 2 users on 1 items; a model needs two of each",
    ),
    "no favorite": (
        {"train": {**TRAIN, "value": [-1] * 7}}, "train", "T.parquet has favorites of 0 users on 0 items",
    ),
    "items without overlap": (
        {"test": {"user_id": [1], "item_id": [99]}}, "test", "no item to be found in",
    ),
    "users without overlap": (
        {"test": {"user_id": [99], "item_id": [10]}}, "test", "S.parquet is in",
    ),
    "nothing to test": (
        {"test": {"user_id": [1], "item_id": [10]}}, "test", "S.parquet has no favorite to be found that",
    ),
    "dismissals only to test": (
        {"test": {**TEST, "value": [-1, -1]}}, "test", "S.parquet has no favorite to be found that",
    ),
    "nothing to validate": (
        {"validation": {"user_id": [1], "item_id": [10]}}, "validation", "V.parquet has no favorite to be found that",
    ),
    "a split without overlap": (
        {"train": {"user_id": [1, 1, 2], "item_id": [10, 11, 12]}, "test": {"user_id": [2], "item_id": [10]}},
        "train", "to validate on (or give a validation file) is among those of",
    ),
    "nothing to split off": (
        {"train": {"user_id": [1, 2, 3], "item_id": [10, 11, 12]}},
        "train", "T.parquet to validate on, as nobody has two",
    ),
    "ids of two types": (
        {"test": {"user_id": ["1"], "item_id": [13]}}, "test",
        "S.parquet (users) holds text (string), but",
    ),
    "items of two types": (
        {"test": {"user_id": [1], "item_id": ["13"]}}, "test", "T.parquet (items) whole numbers (int64)",
    ),
    "contacts of another type": (
        {"contacts": {"user_id": ["1"], "contact_id": ["2"]}}, "contacts", "C.parquet (users) holds text (string)",
    ),
    "no type for both": (
        {"test": {"user_id": [1], "item_id": pa.array([2**63], pa.uint64())}, "train": {**TRAIN, "item_id": [-1] * 7}},
        "train", "no type has both",
    ),
    "a missing column": ({"validation": {"user_id": [1]}}, "validation", "V.parquet has no column 'photo_id'"),
    "a missing id": ({"test": "user_id,item_id\n1,\n"}, "test", "S.csv has no value in column 'item_id', row 1"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "field", "message"), BAD.values(), ids=list(BAD))
def test_files_that_are_no_data_set_are_refused(
    tmp_path: Path, files: dict[str, Columns | str], field: str, message: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        load(tmp_path, **files)
    assert message in refused.value.message
    assert refused.value.field == field


def test_users_without_overlap_can_be_asked_if_they_have_contacts(tmp_path: Path) -> None:
    data = load(tmp_path, test={"user_id": [99], "item_id": [10]}, contacts={"user_id": [99], "contact_id": [2]})
    assert data.final.histories.contacts.tolist() == [1]
    assert "test: 1 users are not in the training part: nothing is known of them" in data.notes


@pytest.mark.skipif("PHOTO_RECOMMENDER_DATA" not in os.environ, reason="needs the sample sets (PHOTO_RECOMMENDER_DATA)")
def test_a_published_split_is_read_as_it_is() -> None:
    folder = Path(os.environ["PHOTO_RECOMMENDER_DATA"]) / "yelp"
    train, test, validation, contacts = (folder / f"{part}.parquet" for part in ("train", "test", "val", "contacts"))
    data = load_dataset(train, test, validation, contacts)
    assert len(data.final.train.favorites) == 185_869 + 3_497
    assert (data.final.relevant.sum(), data.tuning.relevant.sum()) == (18_579, 3_497)
    assert data.final.train.contacts is not None
    assert data.original_ids("item", data.final.train.catalog.photo_ids).type == pa.int32()
    assert all("left out" not in note for note in data.notes)
