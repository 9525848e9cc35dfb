"""What a report on a training says, as plain data: nothing here draws, and nothing knows of MLflow or the lake.

Whoever trained fills it; the figures, the model card and the HTML page are made from it alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from training.evaluation.measures import Values, by_segment, with_intervals
from training.reports.wording import favorites_between
from training.tracking.inputs import TrainingInputs


@dataclass(frozen=True)
class Interval:
    """A metric, with its 95 % interval where there is one: of whole lists, as coverage, there is none."""

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        """`0.2971 [0.2868, 0.3074]`."""
        between = "" if self.low is None or self.high is None else f" [{self.low:.4f}, {self.high:.4f}]"
        return f"{self.mean:.4f}{between}"


@dataclass(frozen=True)
class Segment:
    """Users by their favorites in training, both ends included; most None: without end."""

    least: int
    most: int | None
    users: int
    metrics: Mapping[str, Interval]

    @property
    def label(self) -> str:
        return favorites_between(self.least, self.most)


@dataclass(frozen=True)
class PopularityShares:
    """By decile of popularity, the most popular tenth of the photos first: each decile's share, float64 (10,), of all
    favorites and of everything that was recommended."""

    favorites: NDArray[np.float64]
    recommendations: NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Recommendations by decile of their score, lowest first: mean score and share that was favorited, float64 (d,)."""

    scores: NDArray[np.float64]
    hit_rates: NDArray[np.float64]


@dataclass(frozen=True)
class ModelReport:
    """One model as it was measured.

    name: as in the run, "champion" for the current one. steps: {metric: value of each iteration}. milliseconds: of one
    recommendation, 95th percentile; megabytes: of what serving holds in memory; None where nobody measured.
    """

    name: str
    kind: str
    metrics: Mapping[str, Interval]
    segments: Sequence[Segment] = ()
    version: str = ""
    popularity: PopularityShares | None = None
    calibration: Calibration | None = None
    steps: Mapping[str, Sequence[float]] = field(default_factory=dict)
    milliseconds: float | None = None
    megabytes: float | None = None


@dataclass(frozen=True)
class Photo:
    """image_url: "" when the picture may not be shown."""

    photo_id: str
    title: str
    owner: str
    page_url: str = ""
    image_url: str = ""


@dataclass(frozen=True)
class ExampleWall:
    """What models would show one user. lists: {model: best photos first}; hits: ids of photos favorited afterwards.

    consenting: whether the user agreed that pictures appear in reports.
    """

    user: str
    favorites: Sequence[Photo]
    lists: Mapping[str, Sequence[Photo]]
    hits: frozenset[str] = frozenset()
    consenting: bool = False


@dataclass(frozen=True)
class Check:
    """One rule of the gate, whether it held, and with which numbers."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class TrainingReport:
    """Everything about one training. challenger, champion: names among `models`; champion None when there was none.

    metric: the one that decides. counts: of users, photos, favorites, …
    """

    title: str
    created_at: datetime
    models: Sequence[ModelReport]
    challenger: str
    champion: str | None
    passed: bool
    reason: str
    metric: str = "ndcg_at_20"
    checks: Sequence[Check] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    inputs: TrainingInputs | None = None
    walls: Sequence[ExampleWall] = ()

    def model(self, name: str) -> ModelReport:
        """Raises KeyError when no model is called so."""
        return {model.name: model for model in self.models}[name]

    def in_order(self) -> list[ModelReport]:
        """The challenger, the champion, and then the others, best first."""
        ahead = [name for name in (self.challenger, self.champion) if name is not None]
        others = [model for model in self.models if model.name not in ahead]
        others.sort(key=lambda model: model.metrics[self.metric].mean, reverse=True)
        return [*(self.model(name) for name in ahead), *others]


def intervals(values: Values, of_lists: Mapping[str, float], seed: int) -> dict[str, Interval]:
    """Metrics of users, float64 (n,) each, as means with bootstrap intervals; and those of all lists without."""
    of_users = {name: Interval(**found) for name, found in with_intervals(values, seed).items()}
    return {**of_users, **{name: Interval(value) for name, value in of_lists.items()}}


def segments(values: Values, degrees: NDArray[np.int64], seed: int) -> list[Segment]:
    """The metrics by activity; degrees: int64 (n,), each user's favorites in training. Empty segments are left out."""
    return [
        Segment(
            least=entry["favorites_from"],
            most=entry["favorites_to"],
            users=entry["users"],
            metrics={name: Interval(**found) for name, found in entry["metrics"].items()},
        )
        for entry in by_segment(values, degrees, seed)
    ]


def popularity_shares(rows: NDArray[np.integer], degrees: NDArray[np.integer]) -> PopularityShares:
    """rows: int (n_users, k), recommended catalog rows, −1 where a list is shorter; degrees: int (n_photos,)."""
    decile = np.empty(len(degrees), dtype=np.int64)
    decile[np.argsort(-degrees, kind="stable")] = np.arange(len(degrees)) * 10 // max(len(degrees), 1)
    listed = rows[rows >= 0]
    favorites = np.bincount(decile, weights=degrees, minlength=10)
    recommended = np.bincount(decile[listed], minlength=10)
    return PopularityShares(favorites / max(favorites.sum(), 1), recommended / max(recommended.sum(), 1))


def calibration(scores: NDArray[np.floating], hits: NDArray[np.bool_]) -> Calibration:
    """scores, hits: (n_users, k), the score of each recommendation and whether it was favorited; not finite: none."""
    finite = np.isfinite(scores)
    order = np.argsort(scores[finite], kind="stable")
    groups = [group for group in np.array_split(order, 10) if len(group)]
    return Calibration(
        scores=np.array([scores[finite][group].mean() for group in groups], dtype=np.float64),
        hit_rates=np.array([hits[finite][group].mean() for group in groups], dtype=np.float64),
    )
