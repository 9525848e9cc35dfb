"""Ids as they are stored: read like an array of strings, and found by their hashes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import stored_ids
from training.stored_ids import BLOCK, Lookup, StoredIds, hashes_of

TEXTS = st.lists(st.text(max_size=20), max_size=40)

HASHES = [1164711027787975651, 17844069049268011392]
"""Of a photo's id and a user's."""


def stored(ids: list[str], coded: bool = False) -> StoredIds:
    array = pa.array(ids, pa.string())
    if not coded:
        return StoredIds(array)
    encoded = array.dictionary_encode()
    return StoredIds(encoded.dictionary, encoded.indices.to_numpy())


@given(TEXTS, st.booleans(), st.data())
def test_they_read_like_an_array_of_strings(ids: list[str], coded: bool, data: st.DataObject) -> None:
    found, plain = stored(ids, coded), np.array(ids, dtype=object)
    assert len(found) == len(ids)
    assert list(found) == found.tolist() == [found[n] for n in range(len(ids))] == ids
    assert np.asarray(found).tolist() == pa.array(found, pa.string()).to_pylist() == ids
    rows = data.draw(st.lists(st.integers(0, len(ids) - 1), max_size=9)) if ids else []
    keys: list[Any] = [
        slice(1, None, 2),
        np.array(rows, dtype=np.int64),
        np.array([row % 2 == 0 for row in range(len(ids))], bool),
    ]
    for key in keys:
        assert found[key].tolist() == plain[key].tolist()
    if ids:
        assert found[-1] == ids[-1]
        assert found[np.int64(0)] == ids[0]


@pytest.mark.parametrize("row", [3, -4])
def test_a_row_that_is_not_there_is_an_index_error(row: int) -> None:
    with pytest.raises(IndexError):
        stored(["a", "b", "c"])[row]


def test_they_may_begin_in_the_middle_of_what_lies_there() -> None:
    found = StoredIds(pa.array(["before", "a", "é", "after"]).slice(1, 2))
    assert (found[0], found[1], found.tolist()) == ("a", "é", ["a", "é"])


@given(st.sets(st.text(max_size=8)), st.lists(st.text(max_size=8)), st.booleans())
def test_a_lookup_finds_each_id_and_nothing_else(known: set[str], others: list[str], are_stored: bool) -> None:
    ids = sorted(known)
    lookup = Lookup.of(stored(ids) if are_stored else np.array(ids, dtype=object))
    wanted = [*reversed(ids), *others]
    place = {one: row for row, one in enumerate(ids)}
    assert lookup.rows(wanted).tolist() == [place.get(one, -1) for one in wanted]


def test_ids_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_ids, "hashes_of", lambda ids: np.array([len(one) for one in ids], dtype=np.uint64))
    lookup = Lookup.of(np.array(["aa", "b", "cc", "dd", "e"], dtype=object))
    assert lookup.rows(["dd", "cc", "aa", "e", "b", "ff", "g", "hhh"]).tolist() == [3, 2, 0, 4, 1, -1, -1, -1]


def test_a_hash_is_the_same_in_every_process() -> None:
    # It is stored with a bundle, which others read.
    assert hashes_of(np.array(["53412345678", "12037949754@N01"], dtype=object)).tolist() == HASHES


def test_a_large_catalog_is_hashed_block_by_block() -> None:
    ids = [str(row) for row in range(BLOCK + 3)]
    lookup = Lookup.of(stored(ids))
    assert lookup.rows([ids[-1], ids[BLOCK], ids[0]]).tolist() == [BLOCK + 2, BLOCK, 0]
    assert lookup.places.dtype == np.int32
