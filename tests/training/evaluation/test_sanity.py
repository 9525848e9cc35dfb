"""Sanity: which numbers of a model are none, and how long one list takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from numpy.typing import NDArray

from tests.training.conftest import recipe_of
from training.evaluation.sanity import PEOPLE, measure_latency, not_finite
from training.interactions import Histories, Interactions
from training.models.blend import Blend, Component
from training.models.recipes import FITS, Recipe, fit


@pytest.fixture(scope="module")
def everybody(world: Interactions) -> Histories:
    return world.histories(np.arange(world.n_users))


PARAMETERS: dict[str, dict[str, Any]] = {
    "item_knn": {"shrink": 0.0},
    "local_ease": {"regularization": 10.0, "shrink": 0.0},
    "low_pass": {"weight": 0.3},
    "exact_ease": {"regularization": 10.0},
    "blend": {"components": [{"name": "popular", **recipe_of("popularity").as_dict(), "weight": 1.0, "unit": 1.0}]},
}


@pytest.mark.parametrize("kind", FITS)
def test_every_kind_of_model_is_finite_and_answers_in_time(
    kind: str, world: Interactions, everybody: Histories
) -> None:
    fitted = fit(Recipe(kind, PARAMETERS.get(kind, recipe_of(kind).parameters)), world)
    assert not_finite(fitted) == []
    assert 0 < measure_latency(fitted, everybody) < 1_000


def test_an_infinite_factor_is_named_even_within_a_blend(world: Interactions, recipe: Recipe) -> None:
    als = fit(recipe, world)
    factors = als.photo_factors.copy()  # type: ignore[attr-defined]
    factors[7, 3] = np.inf
    broken = replace(als, photo_factors=factors)  # type: ignore[type-var]
    assert not_finite(broken) == ["ALS.photo_factors"]
    blend = Blend((Component("one", als, 1.0, 1.0), Component("other", broken, float("nan"), 1.0)))  # type: ignore[arg-type]
    assert not_finite(blend) == ["Blend.components[1].model.photo_factors", "Blend.components[1].weight"]


@dataclass(frozen=True)
class Operator:
    sparse: scipy.sparse.csr_matrix
    shrink: float
    rows: dict[str, tuple[NDArray[np.float32], ...]]


def test_sparse_matrices_numbers_and_what_dictionaries_hold_are_looked_at() -> None:
    sparse = scipy.sparse.csr_matrix(np.array([[0.0, np.nan], [1.0, 0.0]]))
    rows = {"a": (np.ones(2, dtype=np.float32), np.array([np.inf], dtype=np.float32))}
    assert not_finite(Operator(sparse, np.inf, rows)) == [
        "Operator.sparse",
        "Operator.shrink",
        "Operator.rows[a][1]",
    ]


@dataclass
class Slow:
    """Takes a millisecond for each favorite of the history, and 200 for the very first call."""

    n_photos: int
    calls: int = 0

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        assert len(histories) == 1
        time.sleep(0.001 * len(histories.photo_rows) + (0.2 if self.calls == 0 else 0))
        self.calls += 1
        return np.zeros((1, self.n_photos), dtype=np.float32)


def histories_of(lengths: list[int], n_photos: int) -> Histories:
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.concatenate([np.arange(length) for length in lengths]).astype(np.int32)
    events = len(rows)
    nobody = np.zeros(len(lengths) + 1, dtype=np.int64)
    return Histories(
        indptr, rows, np.zeros(events, dtype=np.int64), np.ones(events, dtype=bool), nobody, np.empty(0, dtype=np.int32)
    )


def test_the_latency_is_the_95th_percentile_without_the_first_call() -> None:
    # One user in ten has a history that takes 30 ms: the mean would be 4.
    measured = measure_latency(Slow(50), histories_of([30 if user % 10 == 0 else 1 for user in range(100)], 50))
    assert 30 <= measured < 100


def test_of_many_users_some_are_asked_short_and_long_histories_alike() -> None:
    slow = Slow(50)
    histories = histories_of([1] * 500 + [20] * 50, 50)
    assert 20 <= measure_latency(slow, histories) < 100
    assert slow.calls == PEOPLE + 1


def test_latency_without_anybody_is_no_number() -> None:
    with pytest.raises(ValueError, match="there is none"):
        measure_latency(Slow(50), Histories.of([]))
