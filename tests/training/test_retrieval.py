"""The best of many: the same rows as a full sort gives, and none that must not be there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from training import retrieval
from training.retrieval import best_of_products, strongest, top_rows

NEVER = float("-inf")

# Few different values: ties are the hard part.
some_scores = arrays.arrays(
    np.float32, st.integers(0, 30), elements=st.sampled_from([NEVER, -3.5, -1.0, 0.0, 0.25, 0.5, 1.0, 7.0])
)


def sorted_rows(scores: NDArray[np.float32], n: int, excluded: set[int]) -> list[int]:
    """What `top_rows` must answer, by a full stable sort."""
    order = np.argsort(-scores, kind="stable").tolist()
    return [row for row in order if scores[row] > NEVER and row not in excluded][:n]


@given(some_scores, st.integers(0, 35))
def test_the_best_are_those_of_a_full_sort(scores: NDArray[np.float32], n: int) -> None:
    rows, found = top_rows(scores, n)
    assert rows.tolist() == sorted_rows(scores, n, set())
    assert found.tolist() == scores[rows].tolist()
    assert (rows.dtype, found.dtype) == (np.int64, np.float32)


@given(
    arrays.arrays(np.float32, st.integers(1, 60), elements=st.floats(-(2**20), 2**20, width=32, allow_subnormal=False)),
    st.integers(1, 60),
)
def test_the_best_are_those_of_a_full_sort_for_any_scores(scores: NDArray[np.float32], n: int) -> None:
    assert top_rows(scores, n)[0].tolist() == sorted_rows(scores, n, set())


@given(st.integers(1, 6_000), st.integers(1, 40), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_best_of_a_large_catalog_are_those_of_a_full_sort(n_photos: int, n: int, kinds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Many equal scores, the popular photos first, some that are never shown.
    scores = (rng.integers(0, kinds, n_photos) - np.arange(n_photos) // 500).astype(np.float32)
    scores[rng.random(n_photos) < 0.1] = NEVER
    left_out = rng.choice(n_photos, n_photos // 3)
    rows, found = top_rows(scores, n, left_out)
    assert rows.tolist() == sorted_rows(scores, n, set(left_out.tolist()))
    assert found.tolist() == scores[rows].tolist()


@pytest.mark.parametrize("chunk", [16, 48, 10**6])
@given(
    arrays.arrays(np.float32, st.tuples(st.integers(0, 90), st.just(2)), elements=st.integers(-3, 3)),
    arrays.arrays(np.float32, st.tuples(st.integers(0, 4), st.just(2)), elements=st.integers(-2, 2)),
    st.integers(0, 30),
    st.data(),
)
def test_lists_for_many_are_the_lists_of_each(
    chunk: int, factors: NDArray[np.float32], vectors: NDArray[np.float32], n: int, data: st.DataObject
) -> None:
    some = st.lists(st.integers(0, len(factors) - 1), unique=True) if len(factors) else st.just([])
    exclude = [np.array(data.draw(some), dtype=np.int64) for _ in vectors]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "CHUNK_ROWS", chunk)
        patch.setattr(retrieval, "CHUNK_BLOCKS", 8)
        lists = best_of_products(factors, vectors, n, exclude)
    assert len(lists) == len(vectors)
    for (rows, scores), vector, left_out in zip(lists, vectors, exclude, strict=True):
        expected = top_rows(factors @ vector, n, left_out)
        assert rows.tolist() == expected[0].tolist()
        assert scores.tolist() == expected[1].tolist()


@given(some_scores, st.integers(0, 35), st.data())
def test_excluded_rows_never_appear(scores: NDArray[np.float32], n: int, data: st.DataObject) -> None:
    mask = data.draw(arrays.arrays(np.bool_, len(scores)))
    before, expected = scores.copy(), sorted_rows(scores, n, set(np.flatnonzero(mask).tolist()))
    assert top_rows(scores, n, mask)[0].tolist() == expected
    assert top_rows(scores, n, np.flatnonzero(mask))[0].tolist() == expected
    assert (scores == before).all()


def test_equal_scores_come_in_row_order() -> None:
    assert top_rows(np.array([1, 2, 1, 2, 1], dtype=np.float32), 4)[0].tolist() == [1, 3, 0, 2]


def test_a_memory_map_is_not_written_to(tmp_path: Path) -> None:
    np.save(tmp_path / "scores.npy", np.arange(5, dtype=np.float32))
    scores = np.load(tmp_path / "scores.npy", mmap_mode="r")
    assert top_rows(scores, 2, np.array([4]))[0].tolist() == [3, 2]


@given(
    arrays.arrays(np.float64, st.integers(0, 20), elements=st.sampled_from([-2.0, -0.5, 0.0, 0.5, 1.0, 3.0])),
    st.integers(0, 20),
)
def test_the_strongest_are_the_greatest_above_zero(contributions: NDArray[np.float64], n: int) -> None:
    rows = np.arange(len(contributions)) + 100
    found = strongest(rows, contributions, n)
    pairs = zip(rows.tolist(), contributions.tolist(), strict=True)
    assert found == sorted((pair for pair in pairs if pair[1] > 0), key=lambda pair: (-pair[1], pair[0]))[:n]


def test_nothing_is_the_strongest_of_nothing() -> None:
    assert strongest(np.array([], dtype=np.int32), np.array([]), 3) == []


@pytest.mark.parametrize("n", [0, -1])
def test_asked_for_none_gives_none(n: int) -> None:
    rows, scores = top_rows(np.ones(3, dtype=np.float32), n)
    assert (len(rows), len(scores)) == (0, 0)
