"""MLflow on SQLite: runs, registered versions, which one is champion; and what happens when MLflow fails."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from features.errors import DependencyError, InvalidInputError, NotFoundError, StorageFullError
from features.settings import Settings
from tests.training.conftest import give_mlflow
from training import tracking
from training.bundle import load_bundle, save_bundle
from training.gate import Decision
from training.interactions import Interactions
from training.models.recipes import Recipe, fit
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


# A run


def test_a_run_keeps_parameters_and_metrics(mlflow: Settings) -> None:
    run = TrainingRun(mlflow, "train 1")
    run.log_parameters({"factors": 64, "regularization": 0.5, "cut": "2026-01-01T00:00:00+00:00"})
    run.log_metrics({"ndcg_at_20": 0.25, "als/ndcg_at_20": 0.25})
    found = run_of(mlflow, run)
    assert found.info.run_name == "train 1"
    assert found.data.params == {"factors": "64", "regularization": "0.5", "cut": "2026-01-01T00:00:00+00:00"}
    assert found.data.metrics == {"ndcg_at_20": 0.25, "als/ndcg_at_20": 0.25}


def test_runs_belong_to_one_experiment_named_as_the_model(mlflow: Settings) -> None:
    first, second = (run_of(mlflow, TrainingRun(mlflow, "train")) for _ in range(2))
    assert first.info.experiment_id == second.info.experiment_id
    assert client(mlflow).get_experiment(first.info.experiment_id).name == mlflow.model_name


def test_a_run_names_the_table_and_version_that_it_read(mlflow: Settings) -> None:
    run = TrainingRun(mlflow, "train")
    run.log_dataset("interactions", "s3://lake/interactions", 17, {"favorites": 5})
    (found,) = run_of(mlflow, run).inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.source_type) == ("interactions", "delta_table")
    assert found.dataset.digest == "version-17"
    assert '"path": "s3://lake/interactions"' in found.dataset.source
    assert '"delta_table_version": 17' in found.dataset.source
    assert found.dataset.profile == '{"favorites": 5}'
    assert {tag.key: tag.value for tag in found.tags} == {"mlflow.data.context": "training"}


@pytest.mark.parametrize("status", ["FINISHED", "FAILED"])
def test_a_run_ends_with_its_status(mlflow: Settings, status: str) -> None:
    run = TrainingRun(mlflow, "train")
    assert run_of(mlflow, run).info.status == "RUNNING"
    run.finish(status)
    assert run_of(mlflow, run).info.status == status


def test_the_metrics_of_a_run_come_back_by_model(mlflow: Settings) -> None:
    run = TrainingRun(mlflow, "train")
    run.log_metrics({"ndcg_at_20": 0.5, "als/ndcg_at_20": 0.5, "als/map_at_20": 0.25, "popularity/ndcg_at_20": 0.125})
    assert tracking.run_metrics(mlflow, run.run_id) == {
        "als": {"ndcg_at_20": 0.5, "map_at_20": 0.25},
        "popularity": {"ndcg_at_20": 0.125},
    }


# Registered versions


def test_what_passed_is_champion_and_nothing_else(mlflow: Settings, files: Path) -> None:
    version = register(mlflow, files, PASSED, "what it came from")
    (found,) = tracking.list_versions(mlflow)
    assert found.version == version == "1"
    assert found.aliases == ("champion",)
    assert (found.kind, found.gate, found.gate_reason) == ("als", "passed", "better")
    assert found.fingerprint == "what it came from"
    assert found.promoted_at
    assert tracking.champion(mlflow) == found


def test_what_failed_is_challenger_with_the_reason_in_a_tag(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    register(mlflow, files, FAILED)
    assert aliases(mlflow) == {"champion": "1", "challenger": "2"}
    newest = tracking.list_versions(mlflow)[0]
    assert (newest.gate, newest.gate_reason, newest.promoted_at) == ("failed", FAILED.reason, "")
    tags = client(mlflow).get_model_version(mlflow.model_name, "2").tags
    assert (tags["gate"], tags["gate_reason"]) == ("failed", FAILED.reason)


def test_a_new_champion_takes_the_alias_from_the_old_one(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    register(mlflow, files, FAILED)
    register(mlflow, files)
    assert aliases(mlflow) == {"champion": "3"}
    assert [v.promoted_at != "" for v in tracking.list_versions(mlflow)] == [True, False, True]


def test_versions_are_listed_newest_first_by_number(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    for _ in range(10):
        client(mlflow).create_model_version(mlflow.model_name, source=str(files))
    assert [v.version for v in tracking.list_versions(mlflow)] == [str(n) for n in range(11, 0, -1)]


def test_a_version_points_to_its_run(mlflow: Settings, files: Path) -> None:
    run = TrainingRun(mlflow, "train")
    run.register(files, PASSED, "f")
    (found,) = tracking.list_versions(mlflow)
    assert found.run_id == run.run_id
    assert found.created_at.tzinfo is not None


def test_nothing_is_listed_before_anything_was_registered(settings: Settings) -> None:
    assert tracking.list_versions(settings) == []
    assert tracking.champion(settings) is None
    assert tracking.champion_folder(settings) is None
    assert not settings.home.exists()


def test_models_of_another_name_are_not_listed(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    assert tracking.list_versions(mlflow.model_copy(update={"model_name": "another"})) == []


# The champion's bundle


def test_the_champion_is_fetched_as_it_was_registered(
    mlflow: Settings, recipe: Recipe, world: Interactions, tmp_path: Path
) -> None:
    saved = save_bundle(tmp_path / "bundle", recipe, fit(recipe, world), world, {})
    register(mlflow, tmp_path / "bundle")
    found = tracking.champion_folder(mlflow)
    assert found is not None
    version, folder = found
    assert version == "1"
    assert folder.is_relative_to(mlflow.home / "models")
    assert load_bundle(folder, version).manifest == saved
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_the_champion_is_fetched_once(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    first = tracking.champion_folder(mlflow)
    Path(mlflow.mlflow_artifacts).rename(mlflow.home / "gone")
    assert tracking.champion_folder(mlflow) == first


def test_artifacts_that_can_not_be_fetched_leave_nothing_half(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    Path(mlflow.mlflow_artifacts).rename(mlflow.home / "gone")
    with pytest.raises(DependencyError, match=r"MLflow at .* can't be used"):
        tracking.champion_folder(mlflow)
    assert list((mlflow.home / "models").iterdir()) == []


# Promoting and rolling back


def test_any_registered_version_can_be_promoted(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    register(mlflow, files, FAILED)
    promoted = tracking.promote(mlflow, "2")
    assert (promoted.version, promoted.aliases) == ("2", ("champion",))
    assert promoted.promoted_at
    assert aliases(mlflow) == {"champion": "2"}


def test_promoting_an_older_version_leaves_the_challenger(mlflow: Settings, files: Path) -> None:
    for decision in (PASSED, PASSED, FAILED):
        register(mlflow, files, decision)
    tracking.promote(mlflow, "1")
    assert aliases(mlflow) == {"champion": "1", "challenger": "3"}


@pytest.mark.parametrize("version", ["9", "", "latest"])
def test_a_version_that_is_not_registered_can_not_be_promoted(mlflow: Settings, files: Path, version: str) -> None:
    register(mlflow, files)
    with pytest.raises(NotFoundError, match="registered: 1") as caught:
        tracking.promote(mlflow, version)
    assert caught.value.field == "version"
    assert aliases(mlflow) == {"champion": "1"}


def test_promoting_without_any_version_says_that_there_is_none(settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="registered: none"):
        tracking.promote(settings, "1")


def test_rolling_back_makes_the_champion_before_champion_again(mlflow: Settings, files: Path) -> None:
    for decision in (PASSED, PASSED, FAILED, PASSED):
        register(mlflow, files, decision)
    assert tracking.rollback(mlflow).version == "2"  # version 3 never was champion
    assert tracking.rollback(mlflow).version == "1"
    assert aliases(mlflow) == {"champion": "1"}


def test_the_oldest_champion_can_not_be_rolled_back(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    with pytest.raises(InvalidInputError, match="version 1 is the oldest champion"):
        tracking.rollback(mlflow)
    assert aliases(mlflow) == {"champion": "1"}


def test_without_a_champion_there_is_nothing_to_roll_back(mlflow: Settings, files: Path) -> None:
    with pytest.raises(InvalidInputError, match="no champion"):
        tracking.rollback(mlflow)
    register(mlflow, files, FAILED)
    with pytest.raises(InvalidInputError, match="no champion"):
        tracking.rollback(mlflow)


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
