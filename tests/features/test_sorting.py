"""Numbers come out sorted, each with the place where it stood, whether or not number and place fit into one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.sorting import ascending

HIGHEST = np.iinfo(np.int64).max


@given(st.lists(st.integers(-3, 3) | st.integers(0, 2**60) | st.integers(-(2**63), HIGHEST), max_size=30))
def test_keys_ascend_and_every_place_is_named_once(keys: list[int]) -> None:
    given_keys = np.array(keys, dtype=np.int64)
    found, places = ascending(given_keys)
    assert found.tolist() == sorted(keys)
    assert given_keys[places].tolist() == sorted(keys)
    assert sorted(places.tolist()) == list(range(len(keys)))


@pytest.mark.parametrize("largest", [2**61 - 1, 2**61, HIGHEST])
def test_the_largest_key_that_leaves_room_for_the_places_and_the_next_are_sorted_alike(largest: int) -> None:
    found, places = ascending(np.array([largest, 0, largest - 1], dtype=np.int64))
    assert (found.tolist(), places.tolist()) == ([0, largest - 1, largest], [1, 2, 0])


def test_the_keys_given_are_left_as_they_were() -> None:
    keys = np.array([3, 1, 2], dtype=np.int64)
    ascending(keys)
    assert keys.tolist() == [3, 1, 2]
