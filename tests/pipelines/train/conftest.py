"""A small lake to train on, and what every suite asks of the registry and of the models' folder."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from features.progress import Report
from features.settings import Settings
from pipelines.train.job import UNREGISTERED, TrainReport, train
from tests.training.conftest import DAY, START, Row, give_mlflow, log_of, world_rows
from training import tracking
from training.bundle import Bundle, load_bundle
from training.from_lake import Split, temporal_split, utc

DAYS = 100
NOW = utc(START + DAYS * DAY)
SMALL = {"als_factors": 8, "als_iterations": 5, "als_regularization": 1.0, "train_blend": False}
BAD = {"als_factors": 1, "als_iterations": 1, "als_regularization": 1e6}
"""An ALS that can't learn anything."""


def rows_of_the_world() -> list[Row]:
    """Three groups of taste. The owners of the photos are strangers, of whose favorites nothing is known."""
    return [(user, photo, f"owner {owner}", kind, at) for user, photo, owner, kind, at in world_rows(days=DAYS)]


WORLD = rows_of_the_world()


def until(day: int) -> list[Row]:
    return [row for row in WORLD if row[4] <= START + day * DAY]


def after(day: int) -> list[Row]:
    return [row for row in WORLD if row[4] > START + day * DAY]


@pytest.fixture
def small(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings for small models, with an empty MLflow."""
    give_mlflow(settings, tmp_path_factory.getbasetemp())
    return settings.model_copy(update=SMALL)


@pytest.fixture
def unreachable(small: Settings, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that name an MLflow server that does not answer."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return changed(small, mlflow_uri=f"http://127.0.0.1:{free_port()}")


def changed(settings: Settings, **values: object) -> Settings:
    return settings.model_copy(update=values)


def trained(settings: Settings, progress: Report | None = None, now: datetime = NOW) -> TrainReport:
    return train(settings, progress, now)


def champion(settings: Settings) -> Bundle:
    found = tracking.champion_folder(settings)
    assert found is not None
    version, folder = found
    return load_bundle(folder, version)


def aliases(settings: Settings) -> dict[str, str]:
    """{alias: version}"""
    return {alias: v.version for v in tracking.list_versions(settings) for alias in v.aliases}


def unregistered(settings: Settings) -> list[Path]:
    return list((settings.home / "models").glob(f"{UNREGISTERED}*"))


def at_stage(name: str, act: Callable[[], object]) -> Report:
    """A progress report that acts when the stage begins."""

    def report(stage: str, made: int, _total: int) -> None:
        if stage == f"train: {name}" and made == 0:
            act()

    return report


def split_of(rows: list[Row], holdout_days: float = 14.0) -> Split:
    """The split that a training on these rows makes."""
    newest = max(row[4] for row in rows)
    return temporal_split(log_of(rows), utc(newest - int(holdout_days * DAY)), until=NOW)
