"""Keys are what NumPy's own sets would make of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.keys import among, distinct, newest_of_each, ranges

numbers = st.lists(st.integers(-5, 20), max_size=40)


@given(numbers)
def test_distinct_keys_are_those_of_a_set_ascending(keys: list[int]) -> None:
    assert distinct(np.array(keys, dtype=np.int64)).tolist() == sorted(set(keys))


@given(numbers, numbers)
def test_a_key_is_among_others_when_it_is_one_of_them(keys: list[int], others: list[int]) -> None:
    found = among(np.array(keys, dtype=np.int64), np.array(sorted(others), dtype=np.int64))
    assert found.tolist() == [key in others for key in keys]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(-3, 9)), max_size=40))
def test_each_key_keeps_its_newest_time(events: list[tuple[int, int]]) -> None:
    keys, times = (np.array([event[place] for event in events], dtype=np.int64) for place in (0, 1))
    found, newest = newest_of_each(keys, times)
    assert found.tolist() == sorted(set(keys.tolist()))
    assert dict(zip(found.tolist(), newest.tolist(), strict=True)) == dict(sorted(events))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=9))
def test_ranges_are_those_of_a_loop(pairs: list[tuple[int, int]]) -> None:
    starts, lengths = (np.array([pair[place] for pair in pairs], dtype=np.int64) for place in (0, 1))
    expected = [number for start, length in pairs for number in range(start, start + length)]
    assert ranges(starts, starts + lengths).tolist() == expected
