"""MLflow's database, and what happens when MLflow fails."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient

from features.errors import DependencyError, StorageFullError
from features.settings import Settings
from tests.training.tracking.conftest import PASSED, register
from training import tracking
from training.tracking import TrainingRun


def aliases(settings: Settings) -> dict[str, str]:
    """{alias: version}"""
    return {alias: v.version for v in tracking.list_versions(settings) for alias in v.aliases}


@contextmanager
def refused(settings: Settings, table: str) -> Iterator[None]:
    """MLflow's database takes no new row of that table, so that a registration breaks off right there."""
    with sqlite3.connect(settings.mlflow_uri.removeprefix("sqlite:///")) as database:
        database.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON {table} BEGIN SELECT RAISE(FAIL, 'refused'); END")
        database.commit()
        yield
        database.execute("DROP TRIGGER refuse")
    database.close()


# The database


def test_preparing_creates_the_database_and_nothing_else(mlflow: Settings) -> None:
    assert [path.name for path in (mlflow.home / "mlflow").iterdir()] == ["mlflow.db"]
    tracking.prepare_mlflow(mlflow)
    assert tracking.list_versions(mlflow) == []


def test_preparing_leaves_a_database_that_is_there_alone(settings: Settings) -> None:
    database = settings.home / "mlflow" / "mlflow.db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"somebody's")
    tracking.prepare_mlflow(settings)
    assert database.read_bytes() == b"somebody's"


def test_a_server_prepares_itself(unreachable: Settings) -> None:
    tracking.prepare_mlflow(unreachable)
    assert not unreachable.home.exists()


# When MLflow fails


@pytest.mark.parametrize(
    "call",
    [
        tracking.list_versions,
        tracking.champion,
        tracking.champion_folder,
        tracking.rollback,
        lambda settings: tracking.promote(settings, "1"),
        lambda settings: tracking.run_metrics(settings, "abc"),
        lambda settings: TrainingRun(settings, "train"),
    ],
    ids=["list_versions", "champion", "champion_folder", "rollback", "promote", "run_metrics", "TrainingRun"],
)
def test_a_server_that_does_not_answer_is_a_dependency_error(
    unreachable: Settings, call: Callable[[Settings], object]
) -> None:
    with pytest.raises(DependencyError, match=r"MLflow at 127\.0\.0\.1:\d+ can't be used") as caught:
        call(unreachable)
    assert "\n" not in caught.value.message


def test_a_database_that_is_none_is_a_dependency_error(settings: Settings) -> None:
    database = settings.home / "mlflow" / "mlflow.db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"no database at all" * 100)
    with pytest.raises(DependencyError, match="can't be used"):
        tracking.list_versions(settings)


def test_a_full_disk_is_said_to_be_one(mlflow: Settings, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = TrainingRun(mlflow, "train")
    monkeypatch.setattr(MlflowClient, "log_artifacts", fail)
    with pytest.raises(StorageFullError, match="no space left for MLflow"):
        run.register(files, PASSED, "f")
    assert tracking.list_versions(mlflow) == []


def test_a_registration_that_broke_off_leaves_the_old_champion_and_no_fingerprint(
    mlflow: Settings, files: Path
) -> None:
    register(mlflow, files, PASSED, "first")
    run = TrainingRun(mlflow, "train")
    with refused(mlflow, "registered_model_aliases"), pytest.raises(DependencyError):
        run.register(files, PASSED, "second")
    half, whole = tracking.list_versions(mlflow)
    assert (half.version, half.fingerprint, half.aliases) == ("2", "", ())
    assert (whole.version, whole.fingerprint, whole.aliases) == ("1", "first", ("champion",))


def test_registering_goes_on_after_one_that_broke_off(mlflow: Settings, files: Path) -> None:
    run = TrainingRun(mlflow, "train")
    with refused(mlflow, "model_versions"), pytest.raises(DependencyError):
        run.register(files, PASSED, "first")
    assert register(mlflow, files, PASSED, "again") == "1"
    assert aliases(mlflow) == {"champion": "1"}
