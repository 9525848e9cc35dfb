"""Negatives of sampled metrics: drawn for each user, or read from a file that names them for each test pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import InvalidInputError
from training.evaluation.files import Pairs
from training.evaluation.negatives import Cases, read_negatives, sampled_cases, sampled_negatives
from training.evaluation.numbering import Holdout, holdout_of, interactions_of


def holdout_from(train: Sequence[tuple[object, object]], test: Sequence[tuple[object, object]]) -> Holdout:
    fit, held_out = (Pairs(pa.array([u for u, _ in rows]), pa.array([i for _, i in rows])) for rows in (train, test))
    return holdout_of(interactions_of(fit), held_out)


@pytest.fixture
def holdout() -> Holdout:
    """User 1 is to find items 13 and 99, which the catalog does not hold; user 2 item 12."""
    train = [(1, 10), (1, 11), (2, 10), (2, 11), (3, 10), (3, 12), (3, 13)]
    return holdout_from(train, [(1, 13), (1, 99), (2, 12)])


PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), min_size=1)


@given(PAIRS, PAIRS, st.integers(1, 15), st.integers(0, 3))
@settings(max_examples=60)
def test_drawn_negatives_are_distinct_and_none_of_the_users_test_items(
    train: list[tuple[int, int]], test: list[tuple[int, int]], count: int, seed: int
) -> None:
    holdout = holdout_from(train, test)
    drawn = sampled_negatives(holdout, count, seed)
    assert len(drawn) == len(holdout)
    for negatives, positives in zip(drawn, holdout.relevant_rows, strict=True):
        others = set(range(holdout.n_photos)) - set(positives.tolist())
        assert negatives.dtype == np.int32
        assert set(negatives.tolist()) <= others
        assert len(set(negatives.tolist())) == len(negatives) == min(count, len(others))
    again = sampled_negatives(holdout, count, seed)
    assert all((one == other).all() for one, other in zip(drawn, again, strict=True))


def test_every_item_but_the_test_items_is_drawn_equally_often_the_history_too() -> None:
    train = [(user, item) for user in range(2000) for item in (0, 1)] + [(2000, item) for item in range(10)]
    holdout = holdout_from(train, [(user, item) for user in range(2000) for item in (4, 7)])
    counts = np.bincount(np.concatenate(sampled_negatives(holdout, 3, 0)), minlength=10)
    rows = holdout.train.catalog.rows([4, 7])  # type: ignore[list-item]
    assert counts[rows].tolist() == [0, 0]
    others = np.delete(counts, rows)
    assert (np.abs(others - 2000 * 3 / 8) < 5 * np.sqrt(2000 * 3 / 8)).all()


def test_another_seed_draws_others() -> None:
    holdout = holdout_from([(1, item) for item in range(500)] + [(2, 0)], [(2, 1)])
    one, other = (sampled_negatives(holdout, 20, seed)[0].tolist() for seed in (0, 1))
    assert one != other


def test_drawn_cases_rank_all_test_items_of_a_user_at_once(holdout: Holdout) -> None:
    cases = sampled_cases(holdout, 2, 0)
    assert cases.users.tolist() == [0, 1]
    assert cases.relevant.tolist() == [2, 1]
    assert [holdout.train.catalog.photo_ids[rows].tolist() for rows in cases.positives] == [[13], [12]]
    assert [len(rows) for rows in cases.negatives] == [2, 2]


def told(cases: Cases, holdout: Holdout) -> list[tuple[object, list[object], list[object]]]:
    """Each case by ids: user, positives, negatives (sorted, None for one that the catalog does not hold)."""
    ids = [*holdout.train.catalog.photo_ids.tolist(), None]
    return [
        (holdout.user_ids[user], [ids[row] for row in held], sorted((ids[row] for row in others), key=str))
        for user, held, others in zip(cases.users, cases.positives, cases.negatives, strict=True)
    ]


LISTS = {"user_id": [2, 1, 1], "item_id": [12, 99, 13], "negatives": [[10, 13], [11, 12], [10, 77, 78]]}
WIDE = {"user": [2, 1, 1], "item": [12, 99, 13], "a": [10, 11, 10], "b": [13, 12, 77], "c": [None, None, 78]}
EXPECTED = [(2, [12], [10, 13]), (1, [], [11, 12]), (1, [13], [10, None, None])]
RAGGED = "rows have from 2 to 3 negatives"


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.int64()), pa.large_list(pa.int16()), pa.list_(pa.float64())], ids=lambda kind: str(kind)
)
def test_a_list_column_names_the_negatives_of_each_pair(tmp_path: Path, holdout: Holdout, kind: pa.DataType) -> None:
    path = tmp_path / "n.parquet"
    pq.write_table(pa.table({**LISTS, "negatives": pa.array(LISTS["negatives"], kind)}), path)
    cases = read_negatives(path, holdout)
    assert told(cases, holdout) == EXPECTED
    assert cases.relevant.tolist() == [1, 1, 1]
    assert cases.notes == (RAGGED,)


@pytest.mark.parametrize("name", ["n.parquet", "n.csv", "n.tsv"])
def test_wide_columns_name_the_negatives_of_each_pair(tmp_path: Path, holdout: Holdout, name: str) -> None:
    path, table = tmp_path / name, pa.table(WIDE)
    if name == "n.parquet":
        pq.write_table(table, path)
    else:
        pv.write_csv(table, path, pv.WriteOptions(delimiter="," if name == "n.csv" else "\t"))
    assert told(read_negatives(path, holdout), holdout) == EXPECTED


def test_negatives_may_be_text_and_numbers_of_text_files_are_text_too(tmp_path: Path) -> None:
    holdout = holdout_from([("a", "1"), ("a", "x"), ("b", "2"), ("b", "1")], [("a", "2")])
    path = tmp_path / "n.csv"
    path.write_text("user_id,item_id,n1,n2\na,2,1,x\n")
    assert told(read_negatives(path, holdout), holdout) == [("a", ["2"], ["1", "x"])]
    path.write_text("user_id,item_id,n1,n2\na,2,1,5\n")
    assert told(read_negatives(path, holdout), holdout) == [("a", ["2"], ["1", None])]


def test_what_the_file_repeats_or_names_in_vain_is_noted(tmp_path: Path, holdout: Holdout) -> None:
    path = tmp_path / "n.csv"
    rows = ["2,12,10,10,13", "2,12,11,13,10", "8,12,10,11,13", "1,10,11,12,13", "1,13,10,13,12"]
    path.write_text("user_id,item_id,a,b,c\n" + "\n".join(rows) + "\n")
    cases = read_negatives(path, holdout)
    assert told(cases, holdout) == [(2, [12], [10, 13]), (1, [13], [10, 12])]
    assert cases.notes == (
        "2 negatives are their row's own item, or named twice in it",
        "rows have from 2 to 3 negatives",
        "2 rows were left out: their pair is not to be found in the test part",
        "1 rows were left out: their pair has a row before",
        "1 test pairs have no row: sampled metrics leave them out",
    )


BAD: Mapping[str, Mapping[str, object]] = {
    "has no columns of negatives; it has user_id, item_id": {"user_id": [1], "item_id": [13]},
    "names no negatives in row 2": {"user_id": [1, 2], "item_id": [13, 12], "negatives": [[10], []]},
    "names no negatives in row 1": {"user_id": [1], "item_id": [13], "n": [13]},
    "has no value in column 'user_id', row 1": {"user_id": pa.array([None], pa.int64()), "item_id": [13], "n": [1]},
    "has 1.5 in column 'negatives', row 2": {"user_id": [1, 2], "item_id": [13, 12], "negatives": [[1.0, 2.0], [1.5]]},
    "(items) holds text (large_string), but the data set (items) whole numbers": {
        "user_id": [1],
        "item_id": [13],
        "n": ["10"],
    },
    "(users) holds text (string), but the data set (users) whole numbers": {
        "user_id": ["1"],
        "item_id": [13],
        "n": [10],
    },
    "has no row whose pair is to be found in the test part": {"user_id": [1], "item_id": [10], "n": [12]},
    "has no column 'photo_id' or 'item_id' or 'item'": {"user_id": [1]},
}


@pytest.mark.parametrize(("message", "columns"), BAD.items(), ids=list(BAD))
def test_a_file_that_names_no_negatives_is_refused(
    tmp_path: Path, holdout: Holdout, message: str, columns: dict[str, Sequence[object]]
) -> None:
    path = tmp_path / "n.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(InvalidInputError) as refused:
        read_negatives(path, holdout)
    assert message in refused.value.message
    assert refused.value.field == "negatives"


def test_a_row_that_is_too_short_is_refused(tmp_path: Path, holdout: Holdout) -> None:
    path = tmp_path / "n.csv"
    path.write_text("user_id,item_id,a,b\n2,12,10,13\n1,13,10\n")
    with pytest.raises(InvalidInputError, match="Expected 4 columns, got 3"):
        read_negatives(path, holdout)
