"""A training as a run of MLflow: its inputs, what was measured on the way, what came out, and its children.

Any method raises DependencyError when MLflow can't be used; who trains decides whether to go on without.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import structlog

from features.errors import DependencyError
from features.settings import Settings
from training.gate import Decision
from training.tracking.client import artifact_location, mlflow_client, prepare_mlflow
from training.tracking.inputs import GIT_COMMIT, INPUTS, TrainingInputs
from training.tracking.mlmodel import write_mlmodel
from training.tracking.registry import register

ARTIFACT = "bundle"
CARD = "model_card.md"

COMPARED_WITH = "champion_version"
"""Tag of a run: the version that its metrics `champion/…` are of."""

SECONDS_BETWEEN_SAMPLES = 5.0
SAMPLES_LOGGED_AS_ONE = 2
LINES_OF_DESCRIPTION = 12

# What MLflow takes at once.
METRICS_AT_ONCE = 1_000
PARAMETERS_AT_ONCE = 100
PARAMETER_LENGTH = 6_000

T = TypeVar("T")
log = structlog.get_logger(__name__)


def run_name(now: datetime, lake_version: int, what: str = "train") -> str:
    """How a training is called: `train 11-25 07:38 lake v17`, short enough for a column of MLflow's."""
    return f"{what} {now:%m-%d %H:%M} lake v{lake_version}"


class TrainingRun:
    """One MLflow run, with the program's git revision among its tags."""

    def __init__(self, settings: Settings, name: str, tags: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._monitor: Any = None
        prepare_mlflow(settings)
        with mlflow_client(settings) as client:
            self._experiment_id = _experiment(client, settings)
            commit = git_commit()
            source = {"mlflow.source.name": "photo-recommender train", "mlflow.source.type": "JOB"}
            revision = {GIT_COMMIT: commit} if commit else {}
            info = client.create_run(
                self._experiment_id, run_name=name, tags={**source, **revision, **(tags or {})}
            ).info
        self.run_id: str = info.run_id
        self._artifacts: str = info.artifact_uri

    def tag(self, name: str, value: str) -> None:
        with mlflow_client(self._settings) as client:
            client.set_tag(self.run_id, name, value)

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        with mlflow_client(self._settings) as client:
            _log(client, self.run_id, parameters, {}, {})

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        with mlflow_client(self._settings) as client:
            _log(client, self.run_id, {}, metrics, {})

    def log_steps(self, name: str, values: Mapping[int, float]) -> None:
        """A metric by step: of iterations or epochs, counted from 1."""
        with mlflow_client(self._settings) as client:
            _log(client, self.run_id, {}, {}, {name: values})

    def log_inputs(self, inputs: TrainingInputs) -> None:
        """Everything that is needed to make the run again: as parameters, as dataset inputs, and whole, as JSON."""
        self.log_parameters(inputs.parameters())
        for table in inputs.tables:
            self.log_dataset(table.table, table.uri, table.version, table.profile, table.digest)
        self.log_text(json.dumps(inputs.as_dict(), indent=2), INPUTS)

    def log_dataset(self, table: str, uri: str, version: int, profile: Mapping[str, int], digest: str = "") -> None:
        """A table of the lake, at the version that was read, as an input of the run."""
        with mlflow_client(self._settings) as client:
            from mlflow.entities import Dataset, DatasetInput, InputTag

            source = json.dumps({"path": uri, "delta_table_version": version})
            about = json.dumps(dict(profile))
            dataset = Dataset(table, digest or f"version-{version}", "delta_table", source, profile=about)
            client.log_inputs(self.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def log_text(self, text: str, artifact: str) -> None:
        """An artifact of that path: `report.html`, `model_card.md`."""
        with mlflow_client(self._settings) as client:
            client.log_text(self.run_id, text, artifact)

    def log_figure(self, figure: Any, artifact: str) -> None:
        """A figure of Matplotlib, in the format that the path ends with: `figures/loss.png`."""
        with mlflow_client(self._settings) as client:
            client.log_figure(self.run_id, figure, artifact)

    def log_folder(self, folder: Path, artifact: str) -> None:
        """All files of a folder, below that path."""
        with mlflow_client(self._settings) as client:
            client.log_artifacts(self.run_id, str(folder), artifact)

    def nested(
        self,
        name: str,
        parameters: Mapping[str, Any],
        metrics: Mapping[str, float],
        steps: Mapping[str, Mapping[int, float]] | None = None,
        *,
        status: str = "FINISHED",
        began: datetime | None = None,
        ended: datetime | None = None,
    ) -> str:
        """A whole child run at once: a trial of a search, or one of the models compared. Returns its id.

        steps: {metric: {step: value}}. status: KILLED for a pruned trial. began, ended: default to now.
        """
        with mlflow_client(self._settings) as client:
            tags = {"mlflow.parentRunId": self.run_id}
            child = client.create_run(self._experiment_id, _milliseconds(began), tags, name)
            run_id: str = child.info.run_id
            _log(client, run_id, parameters, metrics, steps or {})
            client.set_terminated(run_id, status, _milliseconds(ended))
        return run_id

    def watch_system(self) -> None:
        """Log processor, memory, disk and network as `system/…` until `finish`; a failure is only noted."""
        try:
            with mlflow_client(self._settings):
                from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

                untyped: Any = SystemMetricsMonitor
                monitor = untyped(
                    self.run_id,
                    sampling_interval=SECONDS_BETWEEN_SAMPLES,
                    samples_before_logging=SAMPLES_LOGGED_AS_ONE,
                    tracking_uri=self._settings.mlflow_uri,
                )
                monitor.start()
                self._monitor = monitor
        except DependencyError as error:
            log.warning("no system metrics", error=error.message)

    def register(
        self,
        folder: Path,
        decision: Decision,
        fingerprint: str,
        *,
        card: str = "",
        example: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Upload the bundle and register it; the alias moves last, so that a kill leaves the old champion. → version

        card: Markdown, whose first lines describe the version. example: photo ids of a person's favorites, for the
        input example. tags: more tags of the version.
        """
        with mlflow_client(self._settings) as client:
            client.log_artifacts(self.run_id, str(folder), ARTIFACT)
            with tempfile.TemporaryDirectory() as beside:
                write_mlmodel(Path(beside), self.run_id, decision.kind, example)
                if card:
                    (Path(beside) / CARD).write_text(card, encoding="utf-8")
                client.log_artifacts(self.run_id, beside, ARTIFACT)
        description = "\n".join(card.splitlines()[:LINES_OF_DESCRIPTION]).strip() or decision.reason
        source = f"{self._artifacts}/{ARTIFACT}"
        return register(self._settings, self.run_id, source, decision, fingerprint, description, tags or {})

    def finish(self, status: str) -> None:
        """status: FINISHED or FAILED."""
        self._stop_watching()
        with mlflow_client(self._settings) as client:
            client.set_terminated(self.run_id, status)

    def _stop_watching(self) -> None:
        monitor, self._monitor = self._monitor, None
        if monitor is None:
            return
        try:
            with mlflow_client(self._settings):
                monitor.finish()
                # What was sampled since it last logged: of a short training, everything.
                rest = monitor.aggregate_metrics()
                if rest:
                    monitor.publish_metrics(rest)
                    monitor.mlflow_logger.flush()
        except DependencyError as error:
            log.warning("the last system metrics are missing", error=error.message)


def git_commit() -> str:
    """The revision of the checkout that this program runs from; "" when it runs from none."""
    from mlflow.utils.git_utils import get_git_commit

    return get_git_commit(str(Path(__file__).parent)) or ""


def _experiment(client: Any, settings: Settings) -> str:
    found = client.get_experiment_by_name(settings.model_name)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(settings.model_name, artifact_location=artifact_location(settings)))


def _log(
    client: Any,
    run_id: str,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    steps: Mapping[str, Mapping[int, float]],
) -> None:
    from mlflow.entities import Metric, Param

    now = int(datetime.now(UTC).timestamp() * 1000)
    measured = [Metric(name, float(value), now, 0) for name, value in metrics.items()]
    for name, values in steps.items():
        measured += [Metric(name, float(value), now, step) for step, value in values.items()]
    set_to = [Param(name, str(value)[:PARAMETER_LENGTH]) for name, value in parameters.items()]
    for parameters_at_once in _in_parts(set_to, PARAMETERS_AT_ONCE):
        client.log_batch(run_id, params=parameters_at_once)
    for metrics_at_once in _in_parts(measured, METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=metrics_at_once)


def _in_parts(entries: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


def _milliseconds(moment: datetime | None) -> int | None:
    """Unix milliseconds; None stays None, which MLflow reads as now."""
    return None if moment is None else int(moment.timestamp() * 1000)
