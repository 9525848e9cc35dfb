"""Two registered versions beside each other: what was different in making them, and what came of it.

From MLflow alone: the parameters and metrics of their runs, and the manifests of their bundles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from features.settings import Settings
from training.tracking.client import mlflow_client
from training.tracking.copies import manifest_of
from training.tracking.inputs import GIT_COMMIT, flat
from training.tracking.online import online_of
from training.tracking.registry import CHAMPION, RegisteredVersion, run_metrics, version_named
from training.tracking.run import COMPARED_WITH

COUNTS = ("n_users", "n_photos", "n_favorites", "n_dismissals")
DAY_SECONDS = 86_400
SPLIT = ("cut", "lake_digest")
"""Parameters that decide what was held out."""
OCCASION = (*SPLIT, "as_of")
"""Parameters that differ between any two trainings, and are shown by other means."""


@dataclass(frozen=True)
class ModelFacts:
    """What is known of one version. data_until: the newest event that it learned from, None when it does not say.

    parameters: of its recipe and its training. metrics: its own, on the days that its run held out. online: what came
    of walls that it ranked (pipelines/online_metrics.py), as it was last measured; {} where it never was.
    """

    version: str
    aliases: tuple[str, ...]
    kind: str
    gate: str
    gate_reason: str
    created_at: datetime
    promoted_at: str
    run_id: str
    git_commit: str
    data_until: datetime | None
    lake_versions: dict[str, int]
    counts: dict[str, int]
    parameters: dict[str, str]
    metrics: dict[str, float]
    online: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """parameters: {name: (of a, of b)} where they differ, None where one has none; metrics: (of a, of b, b − a).

    same_split: whether both were measured on the same users and the same held-out days.
    """

    a: ModelFacts
    b: ModelFacts
    parameters: dict[str, tuple[str | None, str | None]]
    metrics: dict[str, tuple[float | None, float | None, float | None]]
    same_split: bool

    @property
    def same_walls(self) -> bool:
        """Whether both ranked walls on the same days, as far as was measured: as champion and challenger do."""
        days = [[one.online.get(name, 0.0) for name in ("first_shown", "last_shown")] for one in (self.a, self.b)]
        return all(abs(one - other) < DAY_SECONDS for one, other in zip(*days, strict=True))

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it, moments in ISO 8601."""
        return {**asdict(self), "a": _facts_as_dict(self.a), "b": _facts_as_dict(self.b)}


@dataclass(frozen=True)
class _Run:
    parameters: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, dict[str, float]]
    online: dict[str, float]


def compare_versions(settings: Settings, a: str, b: str) -> Comparison:
    """Compare two versions, by their numbers or aliases.

    Where one was the champion that the other was measured against, its metrics are those of that measurement, so that
    both are of the same held-out days. Raises NotFoundError when one is not registered; DependencyError.
    """
    versions = [version_named(settings, name) for name in (a, b)]
    runs = [_run(settings, version) for version in versions]
    facts = [_facts(settings, version, run) for version, run in zip(versions, runs, strict=True)]
    measured = [one.metrics for one in facts]
    same_split = versions[0].version == versions[1].version or _same_split(runs)
    for this, other in ((0, 1), (1, 0)):
        beside = runs[this].metrics.get(CHAMPION)
        if beside and runs[this].tags.get(COMPARED_WITH) == versions[other].trained:
            measured[other], same_split = beside, True
            break
    return Comparison(facts[0], facts[1], _differing(*facts), _metrics(*measured), same_split)


def _run(settings: Settings, version: RegisteredVersion) -> _Run:
    if not version.run_id:  # registered by other means than a training
        return _Run({}, {}, {}, {})
    with mlflow_client(settings) as client:
        data = client.get_run(version.run_id).data
    return _Run(dict(data.params), dict(data.tags), run_metrics(settings, version.run_id), online_of(data.metrics))


def _facts(settings: Settings, version: RegisteredVersion, run: _Run) -> ModelFacts:
    manifest = manifest_of(settings, version)
    recipe = manifest.get("training", {})
    learned = {name: str(value) for name, value in flat({version.kind: recipe.get("parameters", {})})}
    until = manifest.get("data_until")
    return ModelFacts(
        version=version.version,
        aliases=version.aliases,
        kind=version.kind,
        gate=version.gate,
        gate_reason=version.gate_reason,
        created_at=version.created_at,
        promoted_at=version.promoted_at,
        run_id=version.run_id,
        git_commit=run.tags.get(GIT_COMMIT, ""),
        data_until=None if until is None else datetime.fromtimestamp(until, tz=UTC),
        lake_versions=manifest.get("lake_versions", {}),
        counts={name: manifest[name] for name in COUNTS if name in manifest},
        parameters={**run.parameters, **learned},
        metrics=run.metrics.get(version.kind, {}),
        online=run.online,
    )


def _same_split(runs: list[_Run]) -> bool:
    """Whether the two runs held out the same days of the same lake. Their parameters say so, if they say anything."""
    a, b = ([run.parameters.get(name) for name in SPLIT] for run in runs)
    return a == b and None not in a


def _differing(a: ModelFacts, b: ModelFacts) -> dict[str, tuple[str | None, str | None]]:
    names = sorted({*a.parameters, *b.parameters} - set(OCCASION))
    both = {name: (a.parameters.get(name), b.parameters.get(name)) for name in names}
    return {name: values for name, values in both.items() if values[0] != values[1]}


def _metrics(
    a: Mapping[str, float], b: Mapping[str, float]
) -> dict[str, tuple[float | None, float | None, float | None]]:
    result = {}
    for name in sorted({*a, *b}):
        first, second = a.get(name), b.get(name)
        result[name] = (first, second, None if first is None or second is None else second - first)
    return result


def _facts_as_dict(facts: ModelFacts) -> dict[str, Any]:
    until = facts.data_until
    moments = {"created_at": facts.created_at.isoformat(), "data_until": None if until is None else until.isoformat()}
    return {**asdict(facts), **moments}
