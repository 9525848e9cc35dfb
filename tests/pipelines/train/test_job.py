"""Training as a job on a small lake: what the first leaves behind, and when another is not worth it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from mlflow import MlflowClient

from features.errors import NotFoundError
from features.lake import Lake, open_lake
from features.schema import INTERACTIONS, Kind
from features.settings import Settings
from pipelines.train.job import TrainReport
from tests.pipelines.train.conftest import (
    SMALL,
    WORLD,
    after,
    aliases,
    champion,
    changed,
    split_of,
    trained,
    unregistered,
    until,
)
from tests.training.conftest import DAY, START, append_to, give_mlflow
from training import tracking
from training.evaluation.holdout import evaluate
from training.from_lake import utc
from training.models.recipes import MODELS, Recipe, fit

# The first champion


@dataclass(frozen=True)
class First:
    """The first training on the world: to be looked at only."""

    settings: Settings
    lake: Lake
    report: TrainReport
    progress: list[tuple[str, int, int]]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    with_blend = {**SMALL, "train_blend": True}
    settings = Settings(home=tmp_path_factory.mktemp("first"), _env_file=None, **with_blend)  # type: ignore[call-arg]
    give_mlflow(settings, tmp_path_factory.getbasetemp())
    lake, progress = open_lake(settings), list[tuple[str, int, int]]()
    append_to(lake, WORLD)
    return First(settings, lake, trained(settings, lambda *call: progress.append(call)), progress)


def test_the_first_training_registers_the_best_of_all(first: First) -> None:
    report = first.report
    best = max(report.metrics, key=lambda kind: report.metrics[kind]["ndcg_at_20"])
    assert (report.skipped, report.passed, report.kind, report.version) == (False, True, best, "1")
    assert f"{best} is the best of" in report.reason
    assert set(report.metrics) == {"als", "blend", "neighbor_score", "popularity"}
    assert report.problems == []
    assert aliases(first.settings) == {"champion": "1"}
    bundle = champion(first.settings)
    assert (bundle.version, bundle.kind) == ("1", best)
    assert bundle.manifest["metrics"] == report.metrics


def test_what_passes_is_fit_again_on_everything(first: First) -> None:
    manifest = champion(first.settings).manifest
    assert manifest["n_favorites"] == first.report.counts["favorites"] == len(WORLD)
    assert manifest["data_until"] == max(row[4] for row in WORLD)


def test_the_run_says_what_it_was_made_of(first: First) -> None:
    assert first.report.run_id is not None
    run = MlflowClient(first.settings.mlflow_uri).get_run(first.report.run_id)
    assert run.info.status == "FINISHED"
    parameters = run.data.params
    assert (parameters["als.factors"], parameters["holdout_days"]) == ("8", "14.0")
    assert parameters["cut"] == utc(split_of(WORLD).cut).isoformat()
    weights = [name for name in parameters if name.startswith("blend.components.") and name.endswith(".weight")]
    assert weights
    assert all(float(parameters[name]) > 0 for name in weights)
    kind = first.report.kind
    ndcg = first.report.metrics[kind]["ndcg_at_20"]
    assert run.data.metrics["ndcg_at_20"] == run.data.metrics[f"{kind}/ndcg_at_20"] == ndcg
    assert run.data.metrics["test_reachable"] == split_of(WORLD).reachable
    (found,) = run.inputs.dataset_inputs
    version = first.lake.version(INTERACTIONS)
    assert found.dataset.digest.startswith(f"v{version}-")
    assert champion(first.settings).manifest["lake_versions"] == {"interactions": version}


def test_the_run_holds_what_a_person_compares_it_by(first: First) -> None:
    assert first.report.run_id is not None
    client = MlflowClient(first.settings.mlflow_uri)
    experiment = client.get_run(first.report.run_id).info.experiment_id
    children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{first.report.run_id}'")
    assert {run.info.run_name for run in children} == {"als", "blend", "neighbor_score", "popularity"}
    held = {artifact.path for artifact in client.list_artifacts(first.report.run_id)}
    assert {"report.html", "model_card.md", "figures", "training_inputs.json", "bundle"} <= held
    assert tracking.training_inputs(first.settings, "champion").lake_versions == {
        "interactions": first.lake.version(INTERACTIONS)
    }


def test_the_drift_since_the_champion_is_in_the_next_run(small: Settings, lake: Lake) -> None:
    append_to(lake, until(90))
    trained(small)
    append_to(lake, [row for row in WORLD if row not in until(90)])
    run_id = trained(small).run_id
    assert run_id is not None
    client = MlflowClient(small.mlflow_uri)
    assert "drift/favorites_a_user" in client.get_run(run_id).data.metrics
    assert {artifact.path for artifact in client.list_artifacts(run_id, "drift")} == {
        "drift/drift.json",
        "drift/drift.md",
    }


def test_the_bundle_goes_to_the_registry_and_nowhere_else(first: First) -> None:
    assert first.report.bundle is None
    assert unregistered(first.settings) == []


def test_every_stage_reports_that_it_begins_and_ends(first: First) -> None:
    assert set(first.report.seconds) >= {
        "read",
        "split",
        "learn the blend",
        "fit",
        "evaluate",
        "refit",
        "graph",
        "save",
        "register",
    }
    for stage in first.report.seconds:
        assert (f"train: {stage}", 0, 1) in first.progress
        assert (f"train: {stage}", 1, 1) in first.progress


def test_all_models_are_measured_by_fold_in_from_the_histories_before_the_cut(first: First) -> None:
    split = split_of(WORLD)
    models = {kind: fit(Recipe.from_settings(first.settings, kind), split.train) for kind in MODELS}
    for kind, evaluation in evaluate(models, split).items():
        assert first.report.metrics[kind] == pytest.approx(evaluation.summary())


def test_events_after_now_do_not_count(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    assert trained(small, now=utc(START + 80 * DAY)).counts["favorites"] == len(until(80))


# What is known leads to the same model, and is not trained on again


def test_training_again_on_unchanged_data_is_skipped(first: First) -> None:
    again = trained(first.settings)
    assert again.skipped
    assert again.reason == "neither the lake nor the configuration changed since version 1"
    assert (again.version, again.passed) == ("1", True)
    assert (again.kind, again.run_id) == (first.report.kind, first.report.run_id)
    assert again.metrics == first.report.metrics
    assert len(tracking.list_versions(first.settings)) == 1


def test_another_configuration_is_trained(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    assert not trained(changed(small, seed=1)).skipped


def test_new_data_makes_a_new_version(small: Settings, lake: Lake) -> None:
    append_to(lake, until(80))
    first = trained(small)
    append_to(lake, after(80))
    second = trained(small)
    assert (first.version, second.version, second.skipped) == ("1", "2", False)
    assert second.passed
    assert aliases(small) == {"champion": "2"}
    assert second.counts["favorites"] == len(WORLD) > first.counts["favorites"]


# Nothing to learn from, or nothing to measure with


def test_a_lake_without_favorites_says_what_to_do(small: Settings, lake: Lake) -> None:
    with pytest.raises(NotFoundError, match="holds no favorite to learn from: `photo-recommender pull USER`"):
        trained(small)
    append_to(lake, [("ann", "a", "ben", Kind.DISMISS_PHOTO, START)])
    with pytest.raises(NotFoundError, match="holds no favorite"):
        trained(small)
    assert tracking.list_versions(small) == []


def test_with_nothing_to_measure_popularity_becomes_the_first_champion(small: Settings, lake: Lake) -> None:
    append_to(lake, until(5))
    report = trained(small)
    assert (report.passed, report.kind, report.metrics) == (True, "popularity", {})
    assert "no user has favorites before and after the cut" in report.reason
    assert champion(small).kind == "popularity"


def test_popularity_gives_way_once_there_is_something_to_measure(small: Settings, lake: Lake) -> None:
    append_to(lake, until(5))
    trained(small)
    append_to(lake, after(5))
    report = trained(small)
    assert (report.passed, report.kind) == (True, "als")
    assert champion(small).kind == "als"


def test_with_nothing_to_measure_a_champion_stays(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    report = trained(changed(small, holdout_days=1000.0))
    assert (report.passed, report.version) == (False, "2")
    assert aliases(small) == {"champion": "1", "challenger": "2"}
