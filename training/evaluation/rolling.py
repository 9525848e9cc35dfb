"""Backtesting: the same recipes, fit and asked at several moments of the past, each with what was known then.

One hold-out is one fortnight with its own weather; successive ones show whether a model is better or was lucky.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import InvalidInputError
from training.catalog import Ids
from training.evaluation.holdout import evaluate
from training.evaluation.measures import with_intervals
from training.from_lake import Split, temporal_split, utc
from training.models.recipes import Recipe, fit

K = 20

Interval = dict[str, float]
"""mean, low, high: 95 % by bootstrap over the users."""

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SplitResult:
    """One moment: what was known at `cut` (ISO 8601) and asked of the days after it. ndcg: by model, NDCG@20; empty
    when no user has favorites before and after."""

    cut: str
    until: str
    users: int
    favorites: int
    reachable: float
    ndcg: dict[str, Interval]


@dataclass(frozen=True)
class Backtest:
    """overall: each model's mean over users, a user of several splits counting once, by the mean of theirs; ahead: the
    best model's NDCG less each other's, paired; users: how many there are in all splits together."""

    splits: list[SplitResult]
    overall: dict[str, Interval]
    best: str
    ahead: dict[str, Interval]
    users: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def rolling_splits(rows: pa.Table, until: datetime, days: float, n: int) -> Iterator[Split]:
    """The n temporal splits whose test periods follow each other up to `until`, oldest first, `days` long each.

    rows: of the log, as `temporal_split` takes them. Each split knows only what came up to its cut, and its test
    favorites are those that hold at the end of its own period.
    """
    for left in range(n, 0, -1):
        cut = until - timedelta(days=days * left)
        yield temporal_split(rows, cut, until=until - timedelta(days=days * (left - 1)))


def backtest(
    rows: pa.Table,
    recipes: Mapping[str, Recipe],
    *,
    until: datetime,
    days: float,
    n: int,
    seed: int = 0,
    progress: Report | None = None,
) -> Backtest:
    """Every recipe, fit at each of the n cuts and asked for the `days` after it. `progress` gets (stage, done, total).

    Raises InvalidInputError when no split has a user with favorites before and after its cut.
    """
    splits: list[SplitResult] = []
    tested: list[tuple[Ids, dict[str, NDArray[np.float64]]]] = []
    for number, split in enumerate(rolling_splits(rows, until, days, n)):
        ndcg: dict[str, NDArray[np.float64]] = {}
        if len(split.test_users):
            fitted = {name: fit(recipe, split.train) for name, recipe in recipes.items()}
            ndcg = {name: found.ndcg for name, found in evaluate(fitted, split, K).items()}
            tested.append((split.train.user_ids[split.test_users], ndcg))
        splits.append(_result(split, utc(split.cut) + timedelta(days=days), ndcg, seed))
        if progress is not None:
            progress("backtest: splits", number + 1, n)
    if not tested:
        raise InvalidInputError(
            f"no user has favorites both before and after any of the {n} cuts before {until:%Y-%m-%d}: give longer "
            f"periods than {days:g} days, or more of them",
            field="days",
        )
    means, users = _user_means(tested, list(recipes))
    overall = with_intervals(means, seed)
    best = max(overall, key=lambda name: overall[name]["mean"])
    ahead = {name: means[best] - values for name, values in means.items() if name != best}
    return Backtest(splits, overall, best, with_intervals(ahead, seed) if ahead else {}, users)


def _result(split: Split, until: datetime, ndcg: Mapping[str, NDArray[np.float64]], seed: int) -> SplitResult:
    return SplitResult(
        cut=utc(split.cut).isoformat(),
        until=until.isoformat(timespec="seconds"),
        users=len(split.test_users),
        favorites=sum(len(photos) for photos in split.test_photos),
        reachable=split.reachable,
        ndcg=with_intervals(dict(ndcg), seed) if ndcg else {},
    )


def _user_means(
    tested: Sequence[tuple[Ids, dict[str, NDArray[np.float64]]]], names: Sequence[str]
) -> tuple[dict[str, NDArray[np.float64]], int]:
    """{model: float64 (n,)}: for each user the mean over the splits, since a user's own results are alike."""
    users, whose = np.unique(np.concatenate([ids for ids, _ in tested]), return_inverse=True)
    counts = np.bincount(whose)
    columns = {name: np.concatenate([ndcg[name] for _, ndcg in tested]) for name in names}
    return {name: np.bincount(whose, weights=values) / counts for name, values in columns.items()}, len(users)
