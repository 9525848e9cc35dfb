"""The gate: who may become champion, and the sentence that says why."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from training.gate import decide, first_champion, p_not_worse, undecided

USERS = 50
POPULAR = np.full(USERS, 0.1)


def around(mean: float, seed: int = 0) -> NDArray[np.float64]:
    """NDCG of fifty users with this mean."""
    noise = np.random.default_rng(seed).normal(0, 0.05, USERS)
    return mean + noise - noise.mean()


def test_a_better_challenger_passes() -> None:
    decision = decide(around(0.5, 1), around(0.4, 2), POPULAR, "als")
    assert (decision.passed, decision.kind) == (True, "als")
    assert "NDCG 0.5000" in decision.reason
    assert "popularity's 0.1000" in decision.reason
    assert "champion's 0.4000" in decision.reason


def test_a_significantly_worse_challenger_is_refused() -> None:
    decision = decide(around(0.3, 1), around(0.4, 2), POPULAR, "als")
    assert not decision.passed
    assert decision.reason.startswith("worse than the champion: NDCG 0.3000 against 0.4000 (p = ")


def test_a_challenger_that_is_worse_by_chance_only_passes() -> None:
    challenger, champion = around(0.399, 1), around(0.4, 2)
    assert challenger.mean() < champion.mean()
    assert decide(challenger, champion, POPULAR, "als").passed


def test_the_same_model_again_passes() -> None:
    assert decide(around(0.4), around(0.4), POPULAR, "als").passed


@pytest.mark.parametrize("mean", [0.1, 0.05])
def test_who_is_not_better_than_popularity_is_refused_even_without_a_champion(mean: float) -> None:
    decision = decide(np.full(USERS, mean), None, POPULAR, "als")
    assert not decision.passed
    assert decision.reason == f"not better than popularity: NDCG {mean:.4f} against 0.1000"


def test_better_than_a_champion_that_fell_below_popularity_is_not_enough() -> None:
    assert not decide(around(0.08), around(0.02), POPULAR, "als").passed


def test_without_a_champion_better_than_popularity_is_enough() -> None:
    decision = decide(around(0.2), None, POPULAR, "als")
    assert decision.passed
    assert "there is no champion" in decision.reason


@pytest.mark.parametrize("best", ["als", "neighbor_score", "popularity"])
def test_the_first_champion_is_the_best_of_all_whichever_it_is(best: str) -> None:
    candidates = {kind: around(0.3 if kind == best else 0.2) for kind in ("als", "neighbor_score", "popularity")}
    decision = first_champion(candidates)
    assert (decision.passed, decision.kind) == (True, best)
    assert f"{best} is the best" in decision.reason
    assert all(f"{kind} 0." in decision.reason for kind in candidates)


def test_with_nothing_to_measure_popularity_begins() -> None:
    decision = undecided(has_champion=False)
    assert (decision.passed, decision.kind) == (True, "popularity")


def test_with_nothing_to_measure_a_champion_stays() -> None:
    decision = undecided(has_champion=True)
    assert not decision.passed
    assert "nothing to measure with" in decision.reason


def test_the_probability_is_that_of_the_paired_t_test() -> None:
    challenger, champion = around(0.395, 1), around(0.4, 2)
    expected = stats.ttest_rel(challenger, champion, alternative="less").pvalue
    assert p_not_worse(challenger, champion) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("challenger", "champion", "probability"),
    [
        ([0.4], [0.5], 1.0),  # one user proves nothing
        ([0.4, 0.4], [0.4, 0.4], 1.0),
        ([0.5, 0.5], [0.4, 0.4], 1.0),
        ([0.25, 0.25], [0.5, 0.5], 0.0),  # worse for everybody by the same
    ],
)
def test_without_variance_the_sign_decides(challenger: list[float], champion: list[float], probability: float) -> None:
    assert p_not_worse(np.array(challenger), np.array(champion)) == probability


@given(st.integers(0, 10**6), st.floats(0, 0.2))
def test_who_is_no_worse_on_the_mean_passes(seed: int, difference: float) -> None:
    assert decide(around(0.5 + difference, seed), around(0.5, seed + 1), POPULAR, "als").passed
