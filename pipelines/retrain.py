"""When to train again: decided by how much data is new, how far it has drifted, and how old the champion is.

The scheduler asks now and then, `train --if-due` asks first; why a training was not needed is as much worth knowing as
that it was, so the answer is a sentence with the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from features.errors import CorruptModelError
from features.lake import open_lake
from features.schema import INTERACTIONS
from features.settings import Settings
from training import tracking
from training.bundle import Bundle, load_bundle
from training.drift import DriftProfile, DriftReport, drift, observe
from training.evaluation.holdout import OtherCatalog
from training.from_lake import build_interactions, load_contacts, load_log, with_contacts
from training.interactions import Interactions

PROFILE = "drift_profile"
"""The manifest's entry with the profile of what the model was trained on."""


@dataclass(frozen=True)
class RetrainDecision:
    """Whether to train, and why or why not. drift: what was compared, None where it did not come to that."""

    due: bool
    reason: str
    drift: DriftReport | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "due": self.due,
            "reason": self.reason,
            "drift": None if self.drift is None else self.drift.as_dict(),
        }


def due(settings: Settings, now: datetime) -> RetrainDecision:
    """Whether a training is worth it at `now`. Raises DependencyError when the lake or MLflow can't be read.

    Not by a change of settings: who changes them trains.
    """
    lake = open_lake(settings)
    lake_version = lake.version(INTERACTIONS)
    if lake_version is None:
        return RetrainDecision(False, "the lake holds no interactions yet")
    registered = tracking.list_versions(settings)
    champion = next((version for version in registered if tracking.CHAMPION in version.aliases), None)
    # Minor versions are no trainings: the champion is as old as the training that it extends.
    versions = [version for version in registered if not version.minor_of]
    place, bundle = None, None
    if champion is not None:
        place = next((i for i, version in enumerate(versions) if version.version == champion.trained), None)
        try:
            bundle = load_bundle(tracking.bundle_folder(settings, champion), champion.trained)
        except CorruptModelError as error:
            return RetrainDecision(True, f"the champion is corrupt: {error.message}")
    if (resting := _resting(settings, versions, place, now)) is not None:
        return RetrainDecision(False, resting)
    if bundle is not None and bundle.manifest["lake_versions"].get(INTERACTIONS.name) == lake_version:
        return RetrainDecision(False, f"nothing has come to the lake since version {bundle.version} was trained")
    rows, _ = load_log(lake)
    everything = with_contacts(build_interactions(rows, as_of=now), *load_contacts(lake))
    if len(everything.favorites) == 0:
        return RetrainDecision(False, "the lake holds no favorite to learn from yet")
    if place is None or bundle is None:
        return RetrainDecision(True, "there is no champion")
    return _compared(settings, bundle, (now - versions[place].created_at) / timedelta(days=1), everything)


def drift_since_training(champion: Bundle, everything: Interactions) -> DriftReport | None:
    """How far these interactions are from those that the champion was trained on, its scores included; None for a
    bundle that keeps no profile."""
    content = champion.manifest.get(PROFILE)
    if content is None:
        return None
    now = observe(everything, OtherCatalog.of(champion, everything))
    return drift(DriftProfile.from_dict(content), now)


def _resting(
    settings: Settings, versions: Sequence[tracking.RegisteredVersion], place: int | None, now: datetime
) -> str | None:
    """Why it is too early after the last training; None if it is not. versions: newest first, the champion at `place`.

    What the gate has refused would mostly be refused again: the pause doubles with each refusal since the champion.
    """
    if not versions:
        return None
    refusals = sum(version.gate == "failed" for version in versions[:place])
    hours = min(settings.retrain_min_hours * 2.0**refusals, 24 * settings.retrain_max_days)
    since = (now - versions[0].created_at) / timedelta(hours=1)
    if since >= hours:
        return None
    refused = f", as the gate refused {refusals} since the champion" if refusals else ""
    return f"version {versions[0].version} was trained {since:.1f} hours ago; the next not before {hours:g}{refused}"


def _compared(settings: Settings, champion: Bundle, age_days: float, everything: Interactions) -> RetrainDecision:
    n_then, n_now = int(champion.manifest["n_favorites"]), len(everything.favorites)
    growth = n_now / max(n_then, 1) - 1
    report = drift_since_training(champion, everything)
    moved = [] if report is None else report.beyond(settings.retrain_drift)
    facts = {
        f"{growth:+.1%} favorites (limit {settings.retrain_growth:.0%})": abs(growth) >= settings.retrain_growth,
        f"{age_days:.1f} days old (limit {settings.retrain_max_days:g})": age_days >= settings.retrain_max_days,
        _drifted(settings, report): bool(moved),
    }
    reasons = [fact for fact, speaks in facts.items() if speaks] or list(facts)
    verdict = "a training is due" if any(facts.values()) else "no training is needed"
    return RetrainDecision(
        any(facts.values()), f"{verdict} since version {champion.version}: {', '.join(reasons)}", report
    )


def _drifted(settings: Settings, report: DriftReport | None) -> str:
    if report is None:
        return "drift unknown, as the champion keeps no profile of its data"
    limit = settings.retrain_drift
    shown = report.beyond(limit) or report.features[:1]
    moved = ", ".join(f"{one.name} {one.psi:.2f}" for one in shown)
    chance = ", as chance may have it" if shown and limit < shown[0].psi <= shown[0].chance else ""
    return f"drift of {moved}{chance} (PSI, limit {limit:g})"
