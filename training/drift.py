"""Drift: how far the data has moved since the champion was trained, so that a retrain is decided by it.

A profile of the training's data, small enough for the manifest, keeps each distribution as bins; later data falls into
the same bins, and the population stability index says how different it is. A profile names nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.evaluation.ranking import rank
from training.interactions import Interactions
from training.keys import Rows
from training.models.interface import Scorer

BINS = 10
RECENT_DAYS = 30
LISTED = 20
SAMPLED_USERS = 500
DAY = 86_400

MODERATE = 0.1
SIGNIFICANT = 0.25
"""Below the first nothing happened, above the second the population is another one (Siddiqi 2006, "Credit Risk
Scorecards", chapter 9)."""

CHANCE = 0.99

Level = Literal["stable", "moderate", "significant"]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Values of one kind. units: how many of them are independent of each other (a user's favorites are not)."""

    values: Values
    units: int


@dataclass(frozen=True)
class Distribution:
    """A sample in bins. edges: ascending, bin i holds values in (edges[i − 1], edges[i]], the first and last are open;
    shares: of each bin, (len(edges) + 1,), adding up to 1."""

    edges: list[float]
    shares: list[float]
    units: int
    mean: float


@dataclass(frozen=True)
class DriftProfile:
    """What a model was trained on. `as_dict` and `from_dict` are inverse, and what is between them is JSON."""

    data_until: int
    counts: dict[str, int]
    distributions: dict[str, Distribution]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> DriftProfile:
        """Raises KeyError or TypeError for what is no profile."""
        distributions = {name: Distribution(**found) for name, found in content["distributions"].items()}
        return cls(int(content["data_until"]), dict(content["counts"]), distributions)


@dataclass(frozen=True)
class Observed:
    """What the data is like: profiled at training time, compared with a profile later."""

    data_until: int
    counts: dict[str, int]
    samples: dict[str, Sample]


@dataclass(frozen=True)
class FeatureDrift:
    """One distribution then and now. chance: the index that samples of one population stay below in 99 % of cases."""

    name: str
    psi: float
    chance: float
    level: Level
    then_mean: float
    now_mean: float


@dataclass(frozen=True)
class DriftReport:
    """What moved, the most first. counts: {name: (then, now)}."""

    features: list[FeatureDrift]
    counts: dict[str, tuple[int, int]]
    then_until: int
    now_until: int

    def beyond(self, threshold: float) -> list[FeatureDrift]:
        """What moved further than the threshold, and further than by chance."""
        return [feature for feature in self.features if feature.psi > max(threshold, feature.chance)]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def markdown(self) -> str:
        """Two tables: the distributions, and what was counted."""
        lines = ["| distribution | PSI | by chance up to | | mean then | mean now |", "|---|--:|--:|---|--:|--:|"]
        lines += [
            f"| {one.name} | {one.psi:.3f} | {one.chance:.3f} | {one.level} | {one.then_mean:.4g} "
            f"| {one.now_mean:.4g} |"
            for one in self.features
        ]
        lines += ["", "| | then | now |", "|---|--:|--:|"]
        lines += [f"| {name} | {then:,} | {now:,} |" for name, (then, now) in self.counts.items()]
        return "\n".join(lines) + "\n"


def observe(interactions: Interactions, scorer: Scorer | None = None) -> Observed:
    """The distributions of these interactions, and of a model's scores on them.

    scorer: a model in the rows of these interactions: the one trained on them, or (`OtherCatalog`) the champion asked
    anew. Its scores are those of the `LISTED` best photos of a fixed sample of users, the mean of each, from their own
    history alone. Without any favorite there is no distribution.
    """
    favorites, until = interactions.favorites, interactions.data_until
    counts = {"users": interactions.n_users, "photos": interactions.n_photos, "favorites": len(favorites)}
    if len(favorites) == 0:
        return Observed(until, counts, {})
    ages = (until - favorites.times) / DAY
    samples = {
        "favorites a user": _of_all(interactions.user_degrees),
        "favorites a photo": _of_all(interactions.photo_degrees),
        "age of favorites in days": Sample(ages.astype(np.float64), interactions.n_users),
    }
    recent = ages <= RECENT_DAYS
    for name, rows, n in (
        ("share of new users", favorites.users, interactions.n_users),
        ("share of new photos", favorites.photos, interactions.n_photos),
    ):
        samples[name] = _newcomers(rows, ages, recent, n)
    if scorer is not None:
        samples["scores of the best photos"] = _scores(interactions, scorer)
    return Observed(until, counts, samples)


def profile(observed: Observed) -> DriftProfile:
    """Each sample in at most `BINS` bins of about equally many values; fewer where values repeat."""
    distributions = {}
    for name, sample in observed.samples.items():
        edges = _edges(sample.values)
        shares, mean = _shares(sample.values, edges), float(sample.values.mean())
        distributions[name] = Distribution(edges.tolist(), shares.tolist(), sample.units, mean)
    return DriftProfile(observed.data_until, observed.counts, distributions)


def drift(then: DriftProfile, now: Observed) -> DriftReport:
    """How far each distribution that both have has moved: the index, and what it would be by chance alone."""
    features = []
    for name in then.distributions.keys() & now.samples.keys():
        before, sample = then.distributions[name], now.samples[name]
        index = _psi(before, sample)
        chance = _by_chance(before, sample)
        mean = float(sample.values.mean()) if len(sample.values) else float("nan")
        features.append(FeatureDrift(name, index, chance, _level(index, chance), before.mean, mean))
    features.sort(key=lambda feature: (-feature.psi, feature.name))
    counts = {name: (then.counts[name], now.counts[name]) for name in then.counts if name in now.counts}
    return DriftReport(features, counts, then.data_until, now.data_until)


def _psi(before: Distribution, sample: Sample) -> float:
    """PSI = Σ_bins (q − p) ln(q ÷ p), p then and q now; half a unit is added to each bin, so that none is empty."""
    then, now = (
        (np.asarray(shares) * units + 0.5) / (units + 0.5 * len(before.shares))
        for shares, units in (
            (before.shares, before.units),
            (_shares(sample.values, np.asarray(before.edges)), sample.units),
        )
    )
    return float(((now - then) * np.log(now / then)).sum())


def _by_chance(before: Distribution, sample: Sample) -> float:
    """Two samples of one population have an index distributed as (1/n + 1/m) χ² with bins − 1 degrees of freedom.

    Yurdakul 2018, "Statistical Properties of Population Stability Index", theorem 3.1.
    """
    scale = 1 / max(before.units, 1) + 1 / max(sample.units, 1)
    return float(scale * stats.chi2.ppf(CHANCE, len(before.edges)))


def _level(index: float, chance: float) -> Level:
    if index <= max(MODERATE, chance):
        return "stable"
    return "significant" if index > SIGNIFICANT else "moderate"


def _edges(values: Values) -> Values:
    least, greatest = float(values.min()), float(values.max())
    if least == greatest:
        return np.array([np.nextafter(least, -np.inf), least])  # below it, it, above it
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    result: Values = edges[edges < greatest]
    return result if len(result) else np.array([least])


def _shares(values: Values, edges: Values) -> Values:
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    result: Values = counts / max(len(values), 1)
    return result


def _of_all(counts: Rows) -> Sample:
    return Sample(counts.astype(np.float64), len(counts))


def _newcomers(rows: NDArray[np.int32], ages: Values, recent: NDArray[np.bool_], n: int) -> Sample:
    """Of those with a favorite in the newest days: 1 for whom it was the first of all, 0 for the others."""
    oldest = np.zeros(n)
    np.maximum.at(oldest, rows, ages)
    active = np.unique(rows[recent])
    return Sample((oldest[active] <= RECENT_DAYS).astype(np.float64), len(active))


def _scores(interactions: Interactions, scorer: Scorer) -> Sample:
    users = _sampled(interactions)
    # Without contacts, as rows of people in one training mean nothing in another: a model is compared by favorites.
    known = interactions.histories(users)
    histories = replace(known, contact_indptr=np.zeros_like(known.contact_indptr), contacts=known.contacts[:0])
    hidden = [history.photo_rows for history in histories]
    scores = rank(scorer, histories, interactions.n_photos, hidden, LISTED).scores
    listed = np.isfinite(scores)
    some = listed.any(axis=1)
    means = np.where(listed, scores, 0).sum(axis=1, dtype=np.float64)[some] / listed.sum(axis=1)[some]
    return Sample(means, len(means))


def _sampled(interactions: Interactions) -> Rows:
    """Rows of the users whose hashes are smallest: the same people every time, as far as they are still there."""
    digests = (hashlib.blake2b(str(user).encode(), digest_size=8).digest() for user in interactions.user_ids)
    hashes = np.array([int.from_bytes(digest) for digest in digests], dtype=np.uint64)
    return np.sort(np.argsort(hashes, kind="stable")[:SAMPLED_USERS]).astype(np.int64)
