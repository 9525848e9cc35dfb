"""Ranking metrics: each formula by hand, and against a second implementation in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.evaluation import metrics

Metric = Callable[[NDArray[np.bool_], NDArray[np.integer]], NDArray[np.float64]]

HITS = np.array([[True, False, True]])
NONE = np.zeros((1, 3), dtype=bool)
ALL = np.ones((1, 3), dtype=bool)


def test_ndcg_by_hand() -> None:
    # hits at ranks 1 and 3 give 1/log2(2) + 1/log2(4); two relevant photos at best give 1/log2(2) + 1/log2(3).
    assert metrics.ndcg(HITS, np.array([2])) == pytest.approx((1 + 0.5) / (1 + 0.6309298))
    # With more relevant photos than ranks, at best every rank is a hit.
    assert metrics.ndcg(HITS, np.array([9])) == pytest.approx((1 + 0.5) / (1 + 0.6309298 + 0.5))


def test_recall_by_hand() -> None:
    assert metrics.recall(HITS, np.array([2])) == pytest.approx(1.0)
    assert metrics.recall(HITS, np.array([8])) == pytest.approx(2 / 8)


def test_average_precision_by_hand() -> None:
    # Precision is 1/1 at the first hit and 2/3 at the second.
    assert metrics.average_precision(HITS, np.array([2])) == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.average_precision(HITS, np.array([9])) == pytest.approx((1 + 2 / 3) / 3)


def test_coverage_by_hand() -> None:
    assert metrics.coverage(np.array([[0, 1, -1], [1, 2, 0]]), 6) == 3 / 6
    assert metrics.coverage(np.array([[-1, -1]]), 6) == 0


def test_novelty_by_hand() -> None:
    # Of four users all, half and a quarter favorited photos 0, 1 and 2: 0, 1 and 2 bits.
    assert metrics.novelty(np.array([[0, 1], [2, -1]]), np.array([4, 2, 1]), 4) == pytest.approx((0 + 1 + 2) / 3)
    assert metrics.novelty(np.array([[-1, -1]]), np.array([4, 2, 1]), 4) == 0


@pytest.mark.parametrize("metric", [metrics.ndcg, metrics.recall, metrics.average_precision])
def test_a_list_without_hits_is_worth_nothing_and_a_perfect_one_everything(metric: Metric) -> None:
    assert metric(NONE, np.array([3])) == [0]
    assert metric(ALL, np.array([3])) == pytest.approx([1])


@pytest.mark.parametrize("metric", [metrics.ndcg, metrics.average_precision])
def test_an_earlier_hit_is_worth_more(metric: Metric) -> None:
    early, late = np.array([[True, False, False]]), np.array([[False, False, True]])
    assert metric(early, np.array([1])) > metric(late, np.array([1]))


def plain_ndcg(hits: Sequence[bool], relevant: int) -> float:
    gained = sum(1 / math.log2(rank + 1) for rank, hit in enumerate(hits, start=1) if hit)
    return gained / sum(1 / math.log2(rank + 1) for rank in range(1, min(relevant, len(hits)) + 1))


def plain_recall(hits: Sequence[bool], relevant: int) -> float:
    return sum(hits) / relevant


def plain_average_precision(hits: Sequence[bool], relevant: int) -> float:
    precisions = [sum(hits[:rank]) / rank for rank in range(1, len(hits) + 1) if hits[rank - 1]]
    return sum(precisions) / min(relevant, len(hits))


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[list[bool]], list[int]]:
    """Hits of some users at k ranks, and how many photos are relevant to each: never fewer than were hit, nor none."""
    k = draw(st.integers(1, 12))
    hits = draw(st.lists(st.lists(st.booleans(), min_size=k, max_size=k), min_size=1, max_size=6))
    return hits, [max(sum(row), 1) + draw(st.integers(0, 15)) for row in hits]


@given(lists())
def test_the_metrics_of_users_equal_plain_python(drawn: tuple[list[list[bool]], list[int]]) -> None:
    hits, relevant = drawn
    for metric, plain in (
        (metrics.ndcg, plain_ndcg),
        (metrics.recall, plain_recall),
        (metrics.average_precision, plain_average_precision),
    ):
        found = metric(np.array(hits), np.array(relevant))
        assert found == pytest.approx([plain(row, n) for row, n in zip(hits, relevant, strict=True)])
        assert ((found >= 0) & (found <= 1 + 1e-12)).all()


@given(
    st.lists(st.lists(st.integers(-1, 7), min_size=3, max_size=3), min_size=1, max_size=6),
    st.lists(st.integers(1, 10), min_size=8, max_size=8),
)
def test_the_metrics_of_whole_lists_equal_plain_python(ranked: list[list[int]], degrees: list[int]) -> None:
    listed = [photo for row in ranked for photo in row if photo >= 0]
    assert metrics.coverage(np.array(ranked), 8) == len(set(listed)) / 8
    bits = [-math.log2(degrees[photo] / 10) for photo in listed]
    expected = sum(bits) / len(bits) if bits else 0.0
    assert metrics.novelty(np.array(ranked), np.array(degrees), 10) == pytest.approx(expected)
