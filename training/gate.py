"""The gate: whether a challenger may become champion. One decision, from paired results on the same users.

The reason is a sentence for people; it is kept in the registry with the version that it decided on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

SIGNIFICANCE = 0.05

PerUser = NDArray[np.float64]


@dataclass(frozen=True)
class Decision:
    """`kind` is the kind of model decided on: the one that becomes champion when `passed`."""

    passed: bool
    kind: str
    reason: str


def decide(challenger: PerUser, champion: PerUser | None, popularity: PerUser, kind: str) -> Decision:
    """Whether a challenger of that kind passes, given NDCG of the same users (n,) for all three.

    It must be better than popularity on the mean, and not significantly worse than the champion: a one-sided paired
    t-test at 5 %.
    """
    mean, popular = float(challenger.mean()), float(popularity.mean())
    if mean <= popular:
        return Decision(False, kind, f"not better than popularity: NDCG {mean:.4f} against {popular:.4f}")
    better = f"NDCG {mean:.4f} against popularity's {popular:.4f}"
    if champion is None:
        return Decision(True, kind, f"better than popularity, and there is no champion to compare with: {better}")
    current = float(champion.mean())
    probability = p_not_worse(challenger, champion)
    if probability < SIGNIFICANCE:
        return Decision(
            False, kind, f"worse than the champion: NDCG {mean:.4f} against {current:.4f} (p = {probability:.3g})"
        )
    return Decision(True, kind, f"{better} and the champion's {current:.4f} (p = {probability:.3g} of being no worse)")


def first_champion(candidates: Mapping[str, PerUser]) -> Decision:
    """With no champion to compare with: the best of the candidates by mean NDCG, whichever it is; {kind: (n,)}."""
    means = {kind: float(values.mean()) for kind, values in candidates.items()}
    best = max(means, key=lambda kind: means[kind])
    table = ", ".join(f"{kind} {mean:.4f}" for kind, mean in means.items())
    return Decision(True, best, f"no champion to compare with: {best} is the best of NDCG {table}")


def undecided(has_champion: bool) -> Decision:
    """Nobody's later favorites are known, so that nothing can be measured: popularity to begin with, else no change."""
    if has_champion:
        return Decision(False, "als", "nothing to measure with: no user has favorites before and after the cut")
    reason = "no champion yet, and no user has favorites before and after the cut to measure with: popularity"
    return Decision(True, "popularity", reason)


def p_not_worse(challenger: PerUser, champion: PerUser) -> float:
    """The probability of a difference at least this bad if the challenger were as good (paired, one-sided t-test)."""
    difference = challenger - champion
    if np.ptp(difference) == 0:  # the test is undefined without variance, as for a single user or for equal models
        return 1.0 if len(difference) < 2 or difference[0] >= 0 else 0.0
    return float(stats.ttest_1samp(difference, 0.0, alternative="less").pvalue)
