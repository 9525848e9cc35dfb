"""What a training survives: an MLflow that fails, a corrupt champion, interruptions and kills."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from features.lake import Lake
from features.settings import Settings
from pipelines.train.job import UNREGISTERED
from tests.pipelines.train.conftest import (
    WORLD,
    aliases,
    at_stage,
    champion,
    changed,
    trained,
    unregistered,
    until,
)
from tests.training.conftest import append_to
from training import tracking
from training.bundle import load_bundle

# MLflow fails


def test_a_training_survives_an_mlflow_that_does_not_answer(unreachable: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    report = trained(unreachable)
    assert (report.version, report.run_id, report.passed) == (None, None, False)
    assert report.problems
    assert all("can't be used" in problem for problem in report.problems)
    assert report.metrics["als"]["ndcg_at_20"] > report.metrics["popularity"]["ndcg_at_20"]
    assert report.bundle is not None
    assert load_bundle(report.bundle).kind == "als"
    assert unregistered(unreachable) == [Path(report.bundle)]


def test_nobody_is_replaced_unseen_when_there_is_nothing_to_measure(unreachable: Settings, lake: Lake) -> None:
    append_to(lake, until(5))
    assert not trained(unreachable).passed


def break_registry(settings: Settings, statement: str) -> Callable[[], None]:
    """A function that runs a statement on MLflow's database."""

    def run() -> None:
        with sqlite3.connect(settings.mlflow_uri.removeprefix("sqlite:///")) as database:
            database.execute(statement)
        database.close()

    return run


REFUSE = "CREATE TRIGGER refuse BEFORE {} BEGIN SELECT RAISE(FAIL, 'refused'); END"


@pytest.mark.parametrize(
    ("stage", "table", "versions"),
    [
        ("report", "INSERT ON metrics", 0),
        ("save", "INSERT ON model_versions", 0),
        ("save", "INSERT ON registered_model_aliases", 1),
    ],
)
def test_a_registry_that_breaks_in_the_middle_is_reported_and_the_next_training_registers(
    small: Settings, lake: Lake, stage: str, table: str, versions: int
) -> None:
    append_to(lake, WORLD)
    report = trained(small, at_stage(stage, break_registry(small, REFUSE.format(table))))
    assert (report.version, len(report.problems)) == (None, 1)
    assert report.bundle is not None
    assert load_bundle(report.bundle).kind == "als"
    break_registry(small, "DROP TRIGGER refuse")()
    half = tracking.list_versions(small)
    assert len(half) == versions
    assert all(version.aliases == () for version in half)
    again = trained(small)
    assert (again.skipped, again.version) == (False, str(versions + 1))
    assert aliases(small) == {"champion": again.version}


def test_a_champion_that_can_not_be_fetched_is_not_replaced(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    artifacts, hidden = Path(small.mlflow_artifacts), small.home / "hidden"

    def hide_and_bring_back(stage: str, made: int, _total: int) -> None:
        if (stage, made) == ("train: champion", 0):
            artifacts.rename(hidden)
        if (stage, made) == ("train: evaluate", 0):
            hidden.rename(artifacts)

    again = trained(changed(small, seed=1), hide_and_bring_back)
    assert (again.passed, again.version) == (False, "2")
    assert "MLflow failed" in again.reason
    assert len(again.problems) == 1
    assert "champion" not in again.metrics
    assert aliases(small) == {"champion": "1", "challenger": "2"}


# A corrupt champion


@pytest.mark.parametrize("settings_change", [{}, {"seed": 1}], ids=["unchanged data", "another configuration"])
def test_training_again_replaces_a_corrupt_champion(
    small: Settings, lake: Lake, settings_change: dict[str, object]
) -> None:
    append_to(lake, WORLD)
    trained(small)
    _, folder = tracking.champion_folder(small) or ("", Path())
    (folder / "photo_factors.npy").write_bytes(b"not what was saved")
    report = trained(changed(small, **settings_change))
    assert (report.skipped, report.passed, report.version) == (False, True, "2")
    assert len(report.problems) == 1
    assert str(folder / "photo_factors.npy") in report.problems[0]
    assert champion(small).version == "2"


# Interrupted


def test_a_training_that_is_interrupted_ends_its_run_as_failed(small: Settings, lake: Lake) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    append_to(lake, WORLD)
    with pytest.raises(KeyboardInterrupt):
        trained(small, at_stage("evaluate", interrupt))
    client = MlflowClient(small.mlflow_uri)
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments() if e.name == small.model_name])
    assert run.info.status == "FAILED"
    assert tracking.list_versions(small) == []


def test_a_training_killed_while_it_registers_leaves_the_old_champion_and_can_be_run_again(
    small: Settings, lake: Lake
) -> None:
    append_to(lake, WORLD)
    trained(small)
    program = textwrap.dedent("""
        import os, signal
        from mlflow import MlflowClient
        from features.settings import get_settings
        from pipelines.train.job import train

        def killed(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)

        MlflowClient.set_registered_model_alias = killed
        train(get_settings())
    """)
    root = Path(__file__).parents[3]
    environment = {**os.environ, **changed(small, seed=1).environment(), "PYTHONPATH": str(root)}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, cwd=small.home, check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    assert aliases(small) == {"champion": "1"}
    assert tracking.list_versions(small)[0].version == "2"
    assert len(unregistered(small)) == 1
    report = trained(changed(small, seed=1))
    assert (report.skipped, report.version) == (False, "3")


def test_what_killed_trainings_left_is_swept_away_a_day_later(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    models = small.home / "models"
    ages = {f"{UNREGISTERED}old": 25, "3-abc.partial": 25, f"{UNREGISTERED}new": 23, "2-abc": 1000}
    for name, hours in ages.items():
        (models / name).mkdir(parents=True)
        then = time.time() - hours * 3600
        os.utime(models / name, (then, then))
    trained(small)
    assert {path.name for path in models.iterdir()} == {f"{UNREGISTERED}new", "2-abc"}
