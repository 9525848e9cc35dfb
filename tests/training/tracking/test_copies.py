"""Bundles on this machine: fetched once, whole or not at all, few of them, and which was champion last."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from features.errors import DependencyError
from features.settings import Settings
from tests.training.tracking.conftest import FAILED, PASSED, register
from training import tracking
from training.bundle import load_bundle, save_bundle
from training.interactions import Interactions
from training.models.recipes import Recipe, fit
from training.tracking.copies import LAST_CHAMPION, SECONDS_KEPT


def copies(settings: Settings) -> list[str]:
    """The versions of which there are copies."""
    return sorted(path.name.partition("-")[0] for path in (settings.home / "models").iterdir())


def fetch(settings: Settings, *versions: str) -> list[Path]:
    return [tracking.bundle_folder(settings, tracking.version_named(settings, version)) for version in versions]


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


FETCH = """
import sys
from training import tracking
from features.settings import Settings
from training.bundle import load_bundle
settings = Settings(home=sys.argv[1], _env_file=None)
version, folder = tracking.champion_folder(settings)
load_bundle(folder, version)
"""


def test_processes_that_want_it_at_once_get_one_copy_that_is_whole(
    mlflow: Settings, recipe: Recipe, world: Interactions, tmp_path: Path
) -> None:
    save_bundle(tmp_path / "bundle", recipe, fit(recipe, world), world, {})
    register(mlflow, tmp_path / "bundle")
    started = [subprocess.Popen([sys.executable, "-c", FETCH, str(mlflow.home)]) for _ in range(3)]
    assert [process.wait(120) for process in started] == [0, 0, 0]
    assert copies(mlflow) == ["1"]


def test_the_challengers_bundle_is_fetched_only_once_somebody_chose_it(mlflow: Settings, files: Path) -> None:
    for decision in (PASSED, FAILED):
        register(mlflow, files, decision)
    assert tracking.challenger_folder(mlflow) is None
    tracking.challenge(mlflow, "2")
    found = tracking.challenger_folder(mlflow)
    assert found is not None
    assert (found[0], copies(mlflow)) == ("2", ["2"])


def test_copies_are_kept_of_what_is_served_or_may_be_soon_and_of_nothing_else(mlflow: Settings, files: Path) -> None:
    for _ in range(4):
        register(mlflow, files)
    for _ in range(4):
        register(mlflow, files, FAILED)
    tracking.promote(mlflow, "4")
    tracking.challenge(mlflow, "6")
    old = time.time() - SECONDS_KEPT - 60
    for folder in fetch(mlflow, *"12345678"):
        os.utime(folder, (old, old))
    tracking.champion_folder(mlflow)
    # The champion, what a rollback goes to, the challenger, the newest two.
    assert copies(mlflow) == ["3", "4", "6", "7", "8"]


def test_a_machine_that_only_trains_keeps_few_copies_too(mlflow: Settings, files: Path) -> None:
    for _ in range(5):
        register(mlflow, files)
    old = time.time() - SECONDS_KEPT - 60
    for folder in fetch(mlflow, "1", "2"):
        os.utime(folder, (old, old))
    fetch(mlflow, "5")
    assert copies(mlflow) == ["5"]


def test_what_was_champion_last_is_known_without_asking(mlflow: Settings, files: Path) -> None:
    assert tracking.copies_here(mlflow) == []
    for _ in range(3):
        register(mlflow, files)
    folders = fetch(mlflow, *"123")
    assert tracking.copies_here(mlflow) == [("3", folders[2]), ("2", folders[1]), ("1", folders[0])]
    tracking.promote(mlflow, "2")
    tracking.champion_folder(mlflow)
    Path(mlflow.mlflow_uri.removeprefix("sqlite:///")).unlink()
    assert [version for version, _ in tracking.copies_here(mlflow)] == ["2", "3", "1"]


def test_a_champion_taken_back_is_remembered_no_longer(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    tracking.champion_folder(mlflow)
    assert (mlflow.home / LAST_CHAMPION).exists()
    other = mlflow.model_copy(update={"model_name": "another"})
    assert tracking.champion_folder(other) is None
    assert not (mlflow.home / LAST_CHAMPION).exists()


def test_a_discarded_copy_is_fetched_anew_and_nothing_else_is_ever_removed(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    (folder,) = fetch(mlflow, "1")
    (folder / "manifest.json").write_text("spoiled")
    tracking.discard_copy(mlflow, folder)
    assert not folder.exists()
    assert (fetch(mlflow, "1")[0] / "manifest.json").read_text() == "{}"
    tracking.discard_copy(mlflow, files)
    assert files.exists()
