"""MLflow: one run for each training, one registered version for each bundle, and which version is champion.

Every call into MLflow passes through `_mlflow`, which turns whatever it raises into a DependencyError, so that a
training can outlive a registry that is down. Bundles are plain folders; no pickle, no MLmodel.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from features.errors import (
    DependencyError,
    InvalidInputError,
    NotFoundError,
    PhotoRecommenderError,
    StorageFullError,
    is_storage_full,
)
from features.settings import Settings
from training.gate import Decision

CHAMPION = "champion"
CHALLENGER = "challenger"
ARTIFACT = "bundle"

# Tags of a version. FINGERPRINT is the last thing that a registration writes: a version without it is not finished.
FINGERPRINT = "fingerprint"
PROMOTED_AT = "promoted_at"
KIND = "kind"
GATE = "gate"
GATE_REASON = "gate_reason"


@dataclass(frozen=True)
class RegisteredVersion:
    """A registered bundle. `aliases`: champion, challenger or none; `gate`: "passed" or "failed"."""

    version: str
    kind: str
    aliases: tuple[str, ...]
    gate: str
    gate_reason: str
    created_at: datetime
    promoted_at: str
    run_id: str
    source: str
    fingerprint: str


@contextmanager
def _mlflow(settings: Settings) -> Iterator[Any]:
    """An MlflowClient; whatever goes wrong with it is raised as DependencyError (StorageFullError on a full disk)."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    }.items():
        os.environ.setdefault(name, value)
    # Of MLflow's own making, and nothing that a reader of our output could act upon.
    warnings.filterwarnings("ignore", message="The ``noload`` loader strategy is deprecated")
    try:
        from mlflow import MlflowClient

        # Its import sets these to INFO.
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        yield MlflowClient(tracking_uri=settings.mlflow_uri, registry_uri=settings.mlflow_uri)
    except PhotoRecommenderError:
        raise
    except Exception as error:
        where = settings.mlflow_uri.rsplit("@", 1)[-1]  # a URL may carry a password
        if is_storage_full(error):
            raise StorageFullError(f"no space left for MLflow at {where}: free some, then run again") from error
        first_line = str(error).strip().split("\n")[0][:300]
        raise DependencyError(f"MLflow at {where} can't be used: {type(error).__name__}: {first_line}") from error


def _database_file(settings: Settings) -> Path | None:
    """The file of an SQLite backend, None for every other."""
    prefix = "sqlite:///"
    return Path(settings.mlflow_uri.removeprefix(prefix)) if settings.mlflow_uri.startswith(prefix) else None


def prepare_mlflow(settings: Settings) -> None:
    """Create MLflow's SQLite database if it is not there yet, whole or not at all; other backends prepare themselves.

    MLflow takes seconds to build its tables, and a database that a kill left half built never heals.
    """
    database = _database_file(settings)
    if database is None or database.exists():
        return
    with _mlflow(settings):
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        database.parent.mkdir(parents=True, exist_ok=True)
        partial = database.with_name(f"{database.name}.{uuid.uuid4().hex[:8]}.partial")
        try:
            store: Any = SqlAlchemyStore  # untyped in MLflow
            store(f"sqlite:///{partial}", settings.mlflow_artifacts)._dispose_engine()
            # Link, not rename: should another process have been faster, its database stays.
            os.link(partial, database)
        except FileExistsError:
            return
        finally:
            partial.unlink(missing_ok=True)


class TrainingRun:
    """One MLflow run. Raises DependencyError from any method when MLflow can't be used."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        prepare_mlflow(settings)
        with _mlflow(settings) as client:
            experiment = client.get_experiment_by_name(settings.model_name)
            experiment_id = (
                experiment.experiment_id
                if experiment is not None
                else client.create_experiment(settings.model_name, artifact_location=_artifact_location(settings))
            )
            tags = {"mlflow.source.name": "photo-recommender train", "mlflow.source.type": "JOB"}
            info = client.create_run(experiment_id, run_name=name, tags=tags).info
        self.run_id: str = info.run_id
        self._artifacts: str = info.artifact_uri

    def log_parameters(self, parameters: dict[str, Any]) -> None:
        with _mlflow(self._settings) as client:
            from mlflow.entities import Param

            client.log_batch(self.run_id, params=[Param(name, str(value)) for name, value in parameters.items()])

    def log_metrics(self, metrics: dict[str, float]) -> None:
        with _mlflow(self._settings) as client:
            from mlflow.entities import Metric

            now = int(datetime.now(UTC).timestamp() * 1000)
            client.log_batch(self.run_id, metrics=[Metric(name, value, now, 0) for name, value in metrics.items()])

    def log_dataset(self, table: str, uri: str, version: int, profile: dict[str, int]) -> None:
        """A table of the lake, at the version that was read, as an input of the run."""
        with _mlflow(self._settings) as client:
            from mlflow.entities import Dataset, DatasetInput, InputTag

            source = json.dumps({"path": uri, "delta_table_version": version})
            dataset = Dataset(table, f"version-{version}", "delta_table", source, profile=json.dumps(profile))
            client.log_inputs(self.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def register(self, folder: Path, decision: Decision, fingerprint: str) -> str:
        """Upload the bundle and register it; the alias moves last, so that a kill leaves the old champion. → version"""
        with _mlflow(self._settings) as client:
            name = self._settings.model_name
            client.log_artifacts(self.run_id, str(folder), ARTIFACT)
            _ensure_registered_model(client, name)
            tags = {
                KIND: decision.kind,
                GATE: "passed" if decision.passed else "failed",
                GATE_REASON: decision.reason,
            }
            registered = client.create_model_version(
                name, source=f"{self._artifacts}/{ARTIFACT}", run_id=self.run_id, tags=tags, description=decision.reason
            )
            version = str(registered.version)
            client.set_registered_model_alias(name, CHALLENGER, version)
            if decision.passed:
                _make_champion(client, name, version)
            client.set_model_version_tag(name, version, FINGERPRINT, fingerprint)
            return version

    def finish(self, status: str) -> None:
        """status: FINISHED or FAILED."""
        with _mlflow(self._settings) as client:
            client.set_terminated(self.run_id, status)


def _artifact_location(settings: Settings) -> str | None:
    # A server keeps artifacts where it was told to, unless the settings name a place that both can reach.
    served = settings.mlflow_uri.startswith(("http://", "https://"))
    return None if served and "://" not in settings.mlflow_artifacts else settings.mlflow_artifacts


def _ensure_registered_model(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description="Photos for a person, from Flickr favorites.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _make_champion(client: Any, name: str, version: str) -> None:
    client.set_model_version_tag(name, version, PROMOTED_AT, datetime.now(UTC).isoformat(timespec="seconds"))
    client.set_registered_model_alias(name, CHAMPION, version)
    if str(client.get_registered_model(name).aliases.get(CHALLENGER)) == version:  # a number from some backends
        client.delete_registered_model_alias(name, CHALLENGER)


def list_versions(settings: Settings) -> list[RegisteredVersion]:
    """All registered versions, newest first; none when nothing was ever registered. Raises DependencyError."""
    database = _database_file(settings)
    if database is not None and not database.exists():
        return []
    with _mlflow(settings) as client:
        from mlflow.exceptions import MlflowException

        name = settings.model_name
        try:
            aliases = client.get_registered_model(name).aliases
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return []
            raise
        found, token = [], None
        while True:
            page = client.search_model_versions(f"name = '{name}'", max_results=200, page_token=token)
            found += [_registered(version, aliases) for version in page]
            token = page.token
            if not token:
                return sorted(found, key=lambda version: int(version.version), reverse=True)


def _registered(found: Any, aliases: dict[str, Any]) -> RegisteredVersion:
    return RegisteredVersion(
        version=str(found.version),
        kind=found.tags.get(KIND, ""),
        aliases=tuple(sorted(alias for alias, version in aliases.items() if str(version) == str(found.version))),
        gate=found.tags.get(GATE, ""),
        gate_reason=found.tags.get(GATE_REASON, ""),
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, tz=UTC),
        promoted_at=found.tags.get(PROMOTED_AT, ""),
        run_id=found.run_id or "",
        source=found.source,
        fingerprint=found.tags.get(FINGERPRINT, ""),
    )


def run_metrics(settings: Settings, run_id: str) -> dict[str, dict[str, float]]:
    """{model: {metric: value}} of a training's run. Raises DependencyError."""
    with _mlflow(settings) as client:
        logged = client.get_run(run_id).data.metrics
    result: dict[str, dict[str, float]] = {}
    for name, value in sorted(logged.items()):
        model, separator, metric = name.partition("/")
        if separator:
            result.setdefault(model, {})[metric] = value
    return result


def champion(settings: Settings) -> RegisteredVersion | None:
    """The version that is champion now. Raises DependencyError."""
    return next((version for version in list_versions(settings) if CHAMPION in version.aliases), None)


def champion_folder(settings: Settings) -> tuple[str, Path] | None:
    """The champion's version and its bundle on this machine, fetched when it is not here yet; None without a champion.

    Raises DependencyError when the registry or the artifacts can't be read.
    """
    current = champion(settings)
    return None if current is None else (current.version, bundle_folder(settings, current))


def bundle_folder(settings: Settings, version: RegisteredVersion) -> Path:
    """The version's bundle below `home/models`, downloaded once; a download appears whole or not at all."""
    folder = settings.home / "models" / f"{version.version}-{version.run_id[:12]}"
    if folder.exists():
        return folder
    with _mlflow(settings):
        from mlflow.artifacts import download_artifacts

        partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.partial")
        partial.mkdir(parents=True)
        try:
            found = download_artifacts(
                artifact_uri=version.source, dst_path=str(partial), tracking_uri=settings.mlflow_uri
            )
            Path(found).rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster: its copy is as good
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def promote(settings: Settings, version: str) -> RegisteredVersion:
    """Make that version champion. Raises NotFoundError when it is not registered."""
    registered = [known.version for known in list_versions(settings)]
    if version not in registered:
        known = ", ".join(registered) or "none"
        raise NotFoundError(f"no version {version!r} of {settings.model_name}; registered: {known}", field="version")
    with _mlflow(settings) as client:
        _make_champion(client, settings.model_name, version)
    return next(known for known in list_versions(settings) if known.version == version)


def rollback(settings: Settings) -> RegisteredVersion:
    """Make the newest version before the champion that once was champion it again.

    Raises InvalidInputError when there is none.
    """
    versions = list_versions(settings)
    current = next((version for version in versions if CHAMPION in version.aliases), None)
    if current is None:
        raise InvalidInputError(f"{settings.model_name} has no champion to roll back from: train first")
    earlier = [v for v in versions if v.promoted_at and int(v.version) < int(current.version)]
    if not earlier:
        raise InvalidInputError(f"version {current.version} is the oldest champion: there is none to roll back to")
    return promote(settings, earlier[0].version)
