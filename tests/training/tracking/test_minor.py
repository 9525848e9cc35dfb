"""Minor versions in MLflow: whose they are, when they become champion, and how many are kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from features.errors import InvalidInputError
from features.settings import Settings
from tests.training.tracking.conftest import FAILED, PASSED, client, register
from training import tracking
from training.tracking.copies import SECONDS_KEPT
from training.tracking.minor import KEPT, forget_minors, register_minor
from training.tracking.registry import RegisteredVersion


def minor(settings: Settings, files: Path, trained: str) -> str | None:
    version = tracking.version_named(settings, trained)
    return register_minor(settings, version, files, f"minor version of {trained}: 37 new photos", ["a"])


def champion(settings: Settings) -> RegisteredVersion:
    found = tracking.champion(settings)
    assert found is not None
    return found


def listed(settings: Settings) -> list[str]:
    return [version.version for version in tracking.list_versions(settings)]


def test_a_minor_version_takes_the_alias_of_the_training_that_it_extends(mlflow: Settings, files: Path) -> None:
    register(mlflow, files, fingerprint="what it came from")
    assert minor(mlflow, files, "1") == "2"
    found = champion(mlflow)
    assert (found.version, found.minor_of, found.trained) == ("2", "1", "1")
    assert (found.kind, found.gate, found.gate_reason) == ("als", "passed", "minor version of 1: 37 new photos")
    assert found.fingerprint == "what it came from"
    assert found.promoted_at
    assert tracking.version_named(mlflow, "1").trained == "1"


def test_it_belongs_to_the_run_of_the_training_and_makes_none_of_its_own(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    experiment = client(mlflow).get_experiment_by_name(mlflow.model_name)
    assert experiment is not None
    minor(mlflow, files, "1")
    assert champion(mlflow).run_id == tracking.version_named(mlflow, "1").run_id
    assert len(client(mlflow).search_runs([experiment.experiment_id])) == 1


def test_its_bundle_is_its_own(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    (files / "manifest.json").write_text('{"n_photos": 38}')
    minor(mlflow, files, "1")
    assert tracking.manifest_of(mlflow, champion(mlflow)) == {"n_photos": 38}
    assert tracking.manifest_of(mlflow, tracking.version_named(mlflow, "1")) == {}
    folder = tracking.bundle_folder(mlflow, champion(mlflow))
    assert (folder / "MLmodel").exists()
    assert folder != tracking.bundle_folder(mlflow, tracking.version_named(mlflow, "1"))


def test_another_minor_version_follows_it(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    minor(mlflow, files, "1")
    assert minor(mlflow, files, "1") == "3"
    assert (champion(mlflow).version, champion(mlflow).minor_of) == ("3", "1")


def test_where_another_training_has_become_champion_nothing_is_left(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    register(mlflow, files)
    before = sorted(Path(mlflow.mlflow_artifacts).rglob("manifest.json"))
    assert minor(mlflow, files, "1") is None
    assert (champion(mlflow).version, listed(mlflow)) == ("2", ["2", "1"])
    assert sorted(Path(mlflow.mlflow_artifacts).rglob("manifest.json")) == before


def test_the_challenger_stays_the_challenger(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    register(mlflow, files, FAILED)
    minor(mlflow, files, "1")
    aliases = {alias: v.version for v in tracking.list_versions(mlflow) for alias in v.aliases}
    assert aliases == {"champion": "3", "challenger": "2"}


# Keeping few


def test_the_last_few_are_kept_and_their_trainings(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    for _ in range(KEPT + 3):
        minor(mlflow, files, "1")
    bundles = len(list(Path(mlflow.mlflow_artifacts).rglob("manifest.json")))
    assert forget_minors(mlflow) == ["3", "2"]
    assert listed(mlflow) == ["7", "6", "5", "4", "1"]
    assert len(list(Path(mlflow.mlflow_artifacts).rglob("manifest.json"))) == bundles - 2
    assert forget_minors(mlflow) == []


def test_one_that_is_champion_stays_however_old(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    for _ in range(3):
        minor(mlflow, files, "1")
    tracking.promote(mlflow, "2")
    assert forget_minors(mlflow, keep=0) == ["4", "3"]
    assert listed(mlflow) == ["2", "1"]


def test_copies_of_what_is_no_longer_registered_leave_this_machine_but_not_at_once(
    mlflow: Settings, files: Path
) -> None:
    register(mlflow, files)
    for _ in range(2):
        minor(mlflow, files, "1")
        tracking.champion_folder(mlflow)
    training = mlflow.home / "models" / "unregistered-1234abcd"
    training.mkdir()
    forget_minors(mlflow, keep=0)
    old = time.time() - SECONDS_KEPT - 60
    copies = sorted((mlflow.home / "models").glob("[0-9]-*"))
    assert [copy.name[0] for copy in copies] == ["2", "3"]
    tracking.champion_folder(mlflow)
    assert all(copy.exists() for copy in copies)
    for folder in (*copies, training):
        os.utime(folder, (old, old))
    tracking.champion_folder(mlflow)
    assert [copy.exists() for copy in copies] == [False, True]
    assert training.exists()


# Rolling back


def test_rolling_back_from_a_minor_version_leaves_its_training_too(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    register(mlflow, files)
    minor(mlflow, files, "2")
    assert tracking.rollback(mlflow).version == "1"


def test_and_goes_to_the_newest_that_was_champion_before_be_it_a_minor_version(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    minor(mlflow, files, "1")
    register(mlflow, files)
    minor(mlflow, files, "3")
    assert tracking.rollback(mlflow).version == "2"
    with pytest.raises(InvalidInputError, match="version 1 is the oldest champion"):
        tracking.rollback(mlflow)


def test_beside_another_it_has_the_numbers_of_its_training(mlflow: Settings, files: Path) -> None:
    run = tracking.TrainingRun(mlflow, "train")
    run.log_metrics({"als/ndcg_at_20": 0.5})
    run.register(files, PASSED, "f")
    minor(mlflow, files, "1")
    compared = tracking.compare_versions(mlflow, "1", "champion")
    assert compared.metrics == {"ndcg_at_20": (0.5, 0.5, 0.0)}
