"""How this program speaks to MLflow: one client, whose failures are all errors of ours, and a database made whole.

Every call into MLflow passes through `mlflow_client`, so that a training can outlive a registry that is down.
"""

from __future__ import annotations

import logging
import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from features.errors import DependencyError, PhotoRecommenderError, StorageFullError, is_storage_full
from features.settings import Settings

__all__ = ["artifact_location", "artifact_text", "database_file", "mlflow_client", "prepare_mlflow"]


@contextmanager
def mlflow_client(settings: Settings) -> Iterator[Any]:
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


def database_file(settings: Settings) -> Path | None:
    """The file of an SQLite backend, None for every other."""
    prefix = "sqlite:///"
    return Path(settings.mlflow_uri.removeprefix(prefix)) if settings.mlflow_uri.startswith(prefix) else None


def prepare_mlflow(settings: Settings) -> None:
    """Create MLflow's SQLite database if it is not there yet, whole or not at all; other backends prepare themselves.

    MLflow takes seconds to build its tables, and a database that a kill left half built never heals.
    """
    database = database_file(settings)
    if database is None or database.exists():
        return
    with mlflow_client(settings):
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


def artifact_location(settings: Settings) -> str | None:
    """Where a new experiment keeps its artifacts; None: where MLflow's server was told to."""
    # A server keeps artifacts where it was told to, unless the settings name a place that both can reach.
    served = settings.mlflow_uri.startswith(("http://", "https://"))
    return None if served and "://" not in settings.mlflow_artifacts else settings.mlflow_artifacts


def artifact_text(settings: Settings, uri: str) -> str:
    """The text of one artifact, by its URI. Raises DependencyError."""
    with mlflow_client(settings), tempfile.TemporaryDirectory() as folder:
        from mlflow.artifacts import download_artifacts

        found = download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=settings.mlflow_uri)
        return Path(found).read_text(encoding="utf-8")
