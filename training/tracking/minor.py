"""Minor versions: the bundle of a training with rows for photos that came later, registered beside it.

They belong to the run of the training, whose parameters and metrics are theirs, so that an hourly job leaves no runs.
Only the last few are kept.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from features.settings import Settings
from training.tracking.client import mlflow_client
from training.tracking.mlmodel import write_mlmodel
from training.tracking.registry import (
    CHAMPION,
    FINGERPRINT,
    GATE,
    GATE_REASON,
    KIND,
    MINOR_OF,
    MINORS,
    RegisteredVersion,
    list_versions,
    make_champion,
)

KEPT = 3
"""Minor versions that stay registered beside the one that is champion."""

ARTIFACTS = "minor"
"""Folder of the training's run below which the bundles lie."""


def register_minor(
    settings: Settings, trained: RegisteredVersion, folder: Path, reason: str, example: Sequence[str] = ()
) -> str | None:
    """Upload the bundle, register it and make it champion; its version. None, and nothing is left, where neither
    `trained` nor a minor version of it is champion any more.

    reason: what it is, in a sentence. example: as in `TrainingRun.register`. The alias moves before the version is
    finished by its fingerprint, which is that of the training: of the same lake the same training would come.
    Raises DependencyError.
    """
    with mlflow_client(settings) as client:
        name, path = settings.model_name, f"{ARTIFACTS}/{uuid.uuid4().hex[:12]}"
        run = client.get_run(trained.run_id)
        client.log_artifacts(trained.run_id, str(folder), path)
        with tempfile.TemporaryDirectory() as beside:
            write_mlmodel(Path(beside), trained.run_id, trained.kind, example)
            client.log_artifacts(trained.run_id, beside, path)
        source = f"{run.info.artifact_uri}/{path}"
        tags = {MINOR_OF: trained.version, KIND: trained.kind, GATE: "passed", GATE_REASON: reason}
        registered = client.create_model_version(
            name, source=source, run_id=trained.run_id, tags=tags, description=reason
        )
        version = str(registered.version)
        current = client.get_model_version_by_alias(name, CHAMPION)
        if trained.version not in (str(current.version), current.tags.get(MINOR_OF)):
            _forget(settings, client, version, source)
            return None
        _name_in_training(client, name, trained.version, version)
        make_champion(client, name, version)
        client.set_model_version_tag(name, version, FINGERPRINT, trained.fingerprint)
    return version


def _name_in_training(client: Any, name: str, trained: str, version: str) -> None:
    named = client.get_model_version(name, trained).tags.get(MINORS, "").split()
    client.set_model_version_tag(name, trained, MINORS, " ".join([*named, version]))


def forget_minors(settings: Settings, keep: int = KEPT) -> list[str]:
    """Remove all but the newest minor versions and their bundles, those with an alias excepted; which. Raises
    DependencyError."""
    minors = [version for version in list_versions(settings) if version.minor_of and not version.aliases]
    with mlflow_client(settings) as client:
        for version in minors[keep:]:
            _forget(settings, client, version.version, version.source)
    return [version.version for version in minors[keep:]]


def _forget(settings: Settings, client: Any, version: str, source: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client.delete_model_version(settings.model_name, version)
    artifacts: Any = get_artifact_repository(source, tracking_uri=settings.mlflow_uri)  # untyped in MLflow
    artifacts.delete_artifacts()
