"""MLflow on SQLite, prepared and empty, and what is registered in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from features.settings import Settings
from tests.training.conftest import give_mlflow
from training.gate import Decision
from training.tracking import TrainingRun

PASSED = Decision(True, "als", "better")
FAILED = Decision(False, "als", "worse than the champion: NDCG 0.1 against 0.2")


@pytest.fixture
def mlflow(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose MLflow is prepared and empty."""
    give_mlflow(settings, tmp_path_factory.getbasetemp())
    return settings


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder to register where it does not matter what is in it."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    return folder


@pytest.fixture
def unreachable(settings: Settings, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that name an MLflow server that does not answer, by a URL with a password."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return settings.model_copy(update={"mlflow_uri": f"http://me:secret@127.0.0.1:{free_port()}"})


def register(settings: Settings, folder: Path, decision: Decision = PASSED, fingerprint: str = "f") -> str:
    run = TrainingRun(settings, "train")
    version = run.register(folder, decision, fingerprint)
    run.finish("FINISHED")
    return version


def client(settings: Settings) -> MlflowClient:
    return MlflowClient(tracking_uri=settings.mlflow_uri, registry_uri=settings.mlflow_uri)


def run_of(settings: Settings, run: TrainingRun) -> Run:
    return client(settings).get_run(run.run_id)
