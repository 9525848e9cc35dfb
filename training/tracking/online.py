"""What came of the walls that a version ranked, as metrics of its training's run: written daily, read for comparisons.

A training and its minor versions have the same taste, and one run: they are measured together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from features.settings import Settings
from training.tracking.client import mlflow_client
from training.tracking.registry import RegisteredVersion

ONLINE = "online/"
"""What the metrics' names begin with in MLflow."""


def trainings_of(versions: Sequence[RegisteredVersion]) -> dict[str, str]:
    """{version: the version of its training}, of all that are registered or ever were minor versions of those."""
    of = {version.version: version.trained for version in versions}
    return of | {minor: version.version for version in versions for minor in version.minors}


def log_online(settings: Settings, run_id: str, metrics: Mapping[str, float]) -> None:
    """Add them to the run, as of now; what was measured before stays in MLflow's chart. Raises DependencyError."""
    from mlflow.entities import Metric

    now = int(datetime.now(UTC).timestamp() * 1000)
    with mlflow_client(settings) as client:
        client.log_batch(run_id, metrics=[Metric(f"{ONLINE}{name}", value, now, 0) for name, value in metrics.items()])


def online_of(logged: Mapping[str, float]) -> dict[str, float]:
    """Of a run's metrics the newest that `log_online` wrote, by their names there; {} where it was never called."""
    return {name.removeprefix(ONLINE): value for name, value in logged.items() if name.startswith(ONLINE)}
