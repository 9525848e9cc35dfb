"""Two registered versions side by side, from what their runs and their bundles say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from features.errors import NotFoundError
from features.settings import Settings
from tests.training.tracking.conftest import FAILED, PASSED, client
from tests.training.tracking.test_inputs import inputs_of
from training.bundle import save_bundle
from training.gate import Decision
from training.interactions import Interactions
from training.models.recipes import Recipe, fit
from training.tracking import TrainingInputs, TrainingRun, compare_versions


def register(
    settings: Settings,
    folder: Path,
    decision: Decision,
    inputs: TrainingInputs,
    metrics: dict[str, float],
    champion: str = "",
) -> str:
    run = TrainingRun(settings, "train")
    run.log_inputs(inputs)
    run.log_metrics(metrics)
    if champion:
        run.tag("champion_version", champion)
    return run.register(folder, decision, "f")


@pytest.fixture
def bundle(recipe: Recipe, world: Interactions, tmp_path: Path) -> Path:
    save_bundle(tmp_path / "bundle", recipe, fit(recipe, world), world, {})
    return tmp_path / "bundle"


def test_a_comparison_names_what_differs(mlflow: Settings, bundle: Path, recipe: Recipe) -> None:
    early = inputs_of(mlflow, recipes={"als": recipe})
    late = inputs_of(mlflow, recipes={"als": recipe.changed(seed=1)}, holdout_days=7.0, tables=early.tables[:1])
    register(mlflow, bundle, PASSED, early, {"als/ndcg_at_20": 0.2, "als/map_at_20": 0.1})
    register(mlflow, bundle, FAILED, late, {"als/ndcg_at_20": 0.25, "popularity/ndcg_at_20": 0.5})
    found = compare_versions(mlflow, "champion", "2")
    assert (found.a.version, found.a.gate, found.b.version, found.b.gate_reason) == ("1", "passed", "2", FAILED.reason)
    # als.seed is the bundle's: the same bundle was registered twice
    assert found.parameters == {"holdout_days": ("14.0", "7.0")}
    assert found.metrics == {
        "map_at_20": (0.1, None, None),
        "ndcg_at_20": (0.2, 0.25, pytest.approx(0.05)),
    }
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert found.a.counts["n_favorites"] == manifest["n_favorites"]
    assert found.a.data_until is not None
    assert int(found.a.data_until.timestamp()) == manifest["data_until"]
    assert not found.same_split


def test_the_champion_is_shown_as_it_was_measured_beside_the_challenger(mlflow: Settings, files: Path) -> None:
    inputs = inputs_of(mlflow)
    register(mlflow, files, PASSED, inputs, {"als/ndcg_at_20": 0.2})
    later = replace(inputs, cut=inputs.as_of)
    register(mlflow, files, FAILED, later, {"als/ndcg_at_20": 0.3, "champion/ndcg_at_20": 0.4}, champion="1")
    for a, b, expected in (("1", "2", (0.4, 0.3)), ("2", "1", (0.3, 0.4))):
        found = compare_versions(mlflow, a, b)
        assert found.metrics["ndcg_at_20"][:2] == expected
        assert found.same_split


def test_metrics_of_another_champion_are_not_taken_for_this_ones(mlflow: Settings, files: Path) -> None:
    inputs = inputs_of(mlflow)
    for version in range(3):
        later = replace(inputs, holdout_days=1.0 + version, cut=inputs.cut.replace(day=1 + version))
        register(mlflow, files, PASSED, later, {"als/ndcg_at_20": 0.1 * version, "champion/ndcg_at_20": 0.9}, "2")
    found = compare_versions(mlflow, "1", "3")
    assert found.metrics["ndcg_at_20"][:2] == (0.0, 0.2)
    assert not found.same_split


def test_two_trainings_from_the_same_rows_and_cut_are_comparable(mlflow: Settings, files: Path) -> None:
    for metric in (0.2, 0.3):
        register(mlflow, files, PASSED, inputs_of(mlflow), {"als/ndcg_at_20": metric})
    assert compare_versions(mlflow, "1", "2").same_split


def test_a_version_that_no_training_registered_is_compared_by_what_there_is(mlflow: Settings, files: Path) -> None:
    register(mlflow, files, PASSED, inputs_of(mlflow), {"als/ndcg_at_20": 0.2})
    client(mlflow).create_model_version(mlflow.model_name, source=str(files))
    found = compare_versions(mlflow, "1", "2")
    assert found.metrics == {"ndcg_at_20": (0.2, None, None)}
    assert found.b.kind == found.b.git_commit == ""


def test_a_comparison_is_json(mlflow: Settings, bundle: Path) -> None:
    register(mlflow, bundle, PASSED, inputs_of(mlflow), {"als/ndcg_at_20": 0.2})
    content = json.loads(json.dumps(compare_versions(mlflow, "1", "champion").as_dict()))
    assert content["metrics"] == {"ndcg_at_20": [0.2, 0.2, 0.0]}
    assert content["parameters"] == {}
    assert content["a"]["created_at"].endswith("+00:00")
    assert content["same_split"] is True


@pytest.mark.parametrize(("a", "b"), [("9", "1"), ("1", "challenger")])
def test_what_is_not_registered_can_not_be_compared(mlflow: Settings, files: Path, a: str, b: str) -> None:
    register(mlflow, files, PASSED, inputs_of(mlflow), {})
    with pytest.raises(NotFoundError, match="registered: 1"):
        compare_versions(mlflow, a, b)
