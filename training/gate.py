"""The gate: whether a challenger may become champion. One decision, from paired results on the same users.

Every rule is checked and kept with its numbers, for reports; the reason is sentences for people, and stays in the
registry with the version that it decided on. Why these margins: docs/decisions/0018-the-gate.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInputError
from features.settings import Settings
from training.evaluation.measures import SEGMENTS, with_intervals

LEAST_USERS = 10
"""Resampling fewer users than that says nothing of others: their interval comes out much too narrow."""

NOISE = 1e-9
"""Differences of this size come from the order of additions."""

PerUser = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """What the gate has to know of one model; all models on the same users of the same split, in the same order.

    ndcg: NDCG@20, float64 (n,); coverage: share of the photos in any list; n_photos: in the model's catalog.
    not_finite: what of it is infinite or NaN; latency_ms: 95th percentile of one recommendation, None where nobody
    measured it, which a challenger does not pass with (training/evaluation/sanity.py measures). A champion's and
    popularity's numbers may be anything there.
    """

    kind: str
    ndcg: PerUser
    coverage: float
    n_photos: int
    not_finite: Sequence[str] = ()
    latency_ms: float | None = None


@dataclass(frozen=True)
class Margins:
    """How much a challenger may lose. coverage, catalog: shares of the champion's that it needs at least; segment: the
    share of the champion's NDCG that it may lose in a segment; segment_users: the share of the users that makes a
    segment count; latency_ms: the budget. seed: of the resampling."""

    coverage: float = 0.8
    segment: float = 0.1
    segment_users: float = 0.05
    catalog: float = 0.5
    latency_ms: float = 25.0
    seed: int = 0

    @classmethod
    def from_settings(cls, settings: Settings) -> Margins:
        return cls(
            coverage=settings.gate_coverage,
            segment=settings.gate_segment_loss,
            catalog=settings.gate_catalog,
            latency_ms=settings.gate_latency_ms,
            seed=settings.seed,
        )


@dataclass(frozen=True)
class Check:
    """One rule, whether it holds, and a sentence with its numbers."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Decision:
    """`kind` is the kind of model decided on: the one that becomes champion when `passed`. `reason`: what failed, or
    why it passed. `checks`: every rule that was looked at; `forced`: it passed by somebody's word, not by them."""

    passed: bool
    kind: str
    reason: str
    checks: tuple[Check, ...] = ()
    forced: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def decide(
    challenger: Measured,
    champion: Measured | None,
    popularity: Measured,
    degrees: NDArray[np.integer],
    margins: Margins | None = None,
) -> Decision:
    """Whether the challenger passes: every rule of this module must hold.

    degrees: int (n,), how many favorites each of the users had in training. With few users (`LEAST_USERS`), where
    nothing is significant, the champion stays unless the challenger's mean is as high.
    """
    margins = margins or Margins()
    checks = [_popularity(challenger, popularity)]
    if champion is not None:
        checks.append(_ndcg(challenger, champion, margins))
        checks.append(_coverage(challenger, champion, margins))
        checks += _segments(challenger, champion, degrees, margins)
        checks.append(_catalog(challenger, champion, margins))
    checks += _sanity(challenger, margins)
    failed = [check.detail for check in checks if not check.passed]
    compared = checks[:1] if champion is None else checks[:2]
    without = ["there is no champion to compare with"] if champion is None else []
    reason = "; ".join(failed or [*without, *(check.detail for check in compared)])
    return Decision(not failed, challenger.kind, reason, tuple(checks))


def first_champion(candidates: Mapping[str, Measured], margins: Margins | None = None) -> Decision:
    """With no champion to compare with: the best by mean NDCG of the candidates that are sane, whichever it is."""
    margins = margins or Margins()
    ordered = sorted(candidates, key=lambda kind: -float(candidates[kind].ndcg.mean()))
    checks = {kind: _sanity(candidates[kind], margins) for kind in ordered}
    sane = [kind for kind in ordered if all(check.passed for check in checks[kind])]
    best = (sane or ordered)[0]
    table = ", ".join(f"{kind} {float(measured.ndcg.mean()):.4f}" for kind, measured in candidates.items())
    unfit = [f"{kind} is unfit: {check.detail}" for kind in ordered for check in checks[kind] if not check.passed]
    found = f"{best} is the best of NDCG {table}" if sane else f"none of NDCG {table} can be served"
    reason = "; ".join([f"no champion to compare with: {found}", *unfit])
    return Decision(bool(sane), best, reason, tuple(checks[best]))


def undecided(has_champion: bool) -> Decision:
    """Nobody's later favorites are known, so that nothing can be measured: popularity to begin with, else no change."""
    if has_champion:
        return Decision(False, "als", "nothing to measure with: no user has favorites before and after the cut")
    reason = "no champion yet, and no user has favorites before and after the cut to measure with: popularity"
    return Decision(True, "popularity", reason)


def forced(decision: Decision, message: str) -> Decision:
    """The decision, passed whatever the rules say; the message goes into the reason, before what they say.

    Raises InvalidInputError (field `message`) for an empty one.
    """
    if not message.strip():
        raise InvalidInputError('a forced promotion needs a message that says why: --force "…"', field="message")
    verdict = "it would have passed" if decision.passed else "it would have failed"
    return replace(
        decision, passed=True, forced=True, reason=f"forced: {message.strip()} ({verdict}: {decision.reason})"
    )


@dataclass(frozen=True)
class _Difference:
    """Challenger − champion on the same users: the mean with its 95 % interval (NaN for few users)."""

    users: int
    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, challenger: PerUser, champion: PerUser, seed: int) -> _Difference:
        """The users' differences are resampled, so what makes a user easy for both cancels out (paired bootstrap)."""
        difference = challenger - champion
        if len(difference) < LEAST_USERS:
            return cls(len(difference), float(difference.mean()), float("nan"), float("nan"))
        found = with_intervals({"difference": difference}, seed)["difference"]
        return cls(len(difference), found["mean"], found["low"], found["high"])

    @property
    def judged(self) -> bool:
        return self.users >= LEAST_USERS

    @property
    def worse(self) -> bool:
        """Whether the whole interval is a loss."""
        return self.judged and self.high < -NOISE

    def __str__(self) -> str:
        if not self.judged:
            return f"{self.mean:+.4f}, by {self.users} users, too few for an interval"
        return f"{self.mean:+.4f}, 95 % interval {self.low:+.4f} to {self.high:+.4f}"


def _popularity(challenger: Measured, popularity: Measured) -> Check:
    mean, popular = float(challenger.ndcg.mean()), float(popularity.ndcg.mean())
    better = mean > popular
    verdict = "better" if better else "not better"
    return Check("popularity", better, f"{verdict} than popularity: NDCG {mean:.4f} against {popular:.4f}")


def _ndcg(challenger: Measured, champion: Measured, margins: Margins) -> Check:
    found = _Difference.of(challenger.ndcg, champion.ndcg, margins.seed)
    worse = found.worse if found.judged else found.mean < -NOISE
    means = f"NDCG {challenger.ndcg.mean():.4f} against {champion.ndcg.mean():.4f} ({found})"
    return Check("ndcg", not worse, f"{'worse' if worse else 'not worse'} than the champion: {means}")


def _coverage(challenger: Measured, champion: Measured, margins: Margins) -> Check:
    enough = challenger.coverage >= margins.coverage * champion.coverage
    numbers = f"{challenger.coverage:.1%} of the photos against the champion's {champion.coverage:.1%}"
    verdict = "covers enough" if enough else "covers too little"
    return Check("coverage", enough, f"{verdict}: {numbers}, of which {margins.coverage:.0%} are asked for")


def _segments(
    challenger: Measured, champion: Measured, degrees: NDArray[np.integer], margins: Margins
) -> Iterator[Check]:
    """A segment is lost only if the loss is large and more than chance: each has few users, and there are several."""
    for least, most in SEGMENTS:
        inside = (degrees >= least) & (degrees <= (np.inf if most is None else most))
        users = int(inside.sum())
        if users < LEAST_USERS or users < margins.segment_users * len(degrees):
            continue
        current = champion.ndcg[inside]
        found = _Difference.of(challenger.ndcg[inside], current, margins.seed)
        lost = found.worse and -found.mean > margins.segment * float(current.mean())
        whom = f"{users:,} users with {_range(least, most)} favorites"
        means = f"NDCG {challenger.ndcg[inside].mean():.4f} against {current.mean():.4f} ({found})"
        verdict = f"loses more than {margins.segment:.0%}" if lost else "holds"
        yield Check(f"segment {_range(least, most)}", not lost, f"{verdict} for {whom}: {means}")


def _range(least: int, most: int | None) -> str:
    if most is None:
        return f"{least}+"
    return str(least) if least == most else f"{least}–{most}"


def _catalog(challenger: Measured, champion: Measured, margins: Margins) -> Check:
    enough = challenger.n_photos >= margins.catalog * champion.n_photos
    numbers = f"{challenger.n_photos:,} photos against the champion's {champion.n_photos:,}"
    verdict = "knows enough" if enough else "knows too few"
    return Check("catalog", enough, f"{verdict}: {numbers}, of which {margins.catalog:.0%} are asked for")


def _sanity(measured: Measured, margins: Margins) -> list[Check]:
    names = ", ".join(measured.not_finite)
    finite = Check("finite", not names, f"not finite: {names}" if names else "all numbers are finite")
    if measured.latency_ms is None:
        return [finite, Check("latency", False, "nobody measured how long one recommendation takes")]
    in_time = measured.latency_ms <= margins.latency_ms
    numbers = f"{measured.latency_ms:.1f} ms for one recommendation (p95) of {margins.latency_ms:g} ms allowed"
    return [finite, Check("latency", in_time, f"{'in time' if in_time else 'too slow'}: {numbers}")]
