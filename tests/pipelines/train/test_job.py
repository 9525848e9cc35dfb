"""Training as a job on a small lake: who becomes champion and why, and what survives when something breaks."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from features.errors import NotFoundError
from features.lake import Lake, open_lake
from features.progress import Report
from features.schema import INTERACTIONS, Kind
from features.settings import Settings
from pipelines.train.job import UNREGISTERED, TrainReport, train
from tests.training.conftest import DAY, START, Row, append_to, give_mlflow, log_of, world_rows
from training import tracking
from training.bundle import Bundle, load_bundle
from training.evaluation.holdout import evaluate
from training.from_lake import Split, build_interactions, temporal_split, utc
from training.models.blend import Blend
from training.models.interface import scores_of
from training.models.recipes import MODELS, Recipe, fit

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


def test_a_forced_training_makes_a_champion_of_what_the_gate_refuses_and_keeps_why(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    report = train(changed(small, **BAD), None, NOW, force="to see whether the wall still fills")
    assert (report.passed, report.version) == (True, "2")
    assert "forced: to see whether the wall still fills (it would have failed" in report.reason
    assert aliases(small)["champion"] == "2"


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


# The blend


def test_a_blend_that_is_best_is_registered_with_weights_from_before_the_cut(small: Settings, lake: Lake) -> None:
    """An ALS that can't learn leaves the place to item-item operators, which the blend finds on the days before."""
    append_to(lake, WORLD)
    report = trained(changed(small, **BAD, train_blend=True))
    assert (report.kind, report.version) == ("blend", "1")
    assert report.metrics["blend"]["ndcg_at_20"] > 2 * report.metrics["als"]["ndcg_at_20"]
    bundle = champion(small)
    assert isinstance(bundle.model, Blend)
    learned = {one.name: one.weight for one in bundle.model.components}
    assert max(learned, key=lambda name: learned[name]) in ("item_knn", "popularity")
    recipe = Recipe.from_manifest(bundle.manifest["training"])
    again = fit(recipe, build_interactions(log_of(WORLD)))
    history = build_interactions(log_of(WORLD)).history(3)
    assert bundle.scores(history) == pytest.approx(scores_of(again, history), rel=1e-4)


def test_what_comes_after_the_cut_does_not_change_the_weights(small: Settings, lake: Lake) -> None:
    settings = changed(small, **BAD, train_blend=True)
    append_to(lake, WORLD)
    trained(settings)
    first = champion(small).manifest["training"]
    cut = split_of(WORLD).cut
    append_to(
        lake, [(user, photo, owner, Kind.UNFAVORITE, cut + DAY) for user, photo, owner, _, at in WORLD if at > cut][:9]
    )
    trained(settings)
    assert champion(small).manifest["training"] == first


def test_with_few_people_before_the_cut_there_is_no_blend(small: Settings, lake: Lake) -> None:
    append_to(lake, [row for row in WORLD if row[0] < "u012"])
    assert "blend" not in trained(changed(small, train_blend=True)).metrics


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


# The gate


def test_a_bad_challenger_is_refused_and_the_champion_stays(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    report = trained(changed(small, **BAD))
    assert (report.passed, report.version) == (False, "2")
    assert report.reason.startswith(("worse than the champion", "not better than popularity"))
    assert aliases(small) == {"champion": "1", "challenger": "2"}
    tags = MlflowClient(small.mlflow_uri).get_model_version(small.model_name, "2").tags
    assert (tags["gate"], tags["gate_reason"]) == ("failed", report.reason)


def test_a_refused_challenger_is_kept_as_it_was_measured(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    trained(changed(small, **BAD))
    refused = tracking.list_versions(small)[0]
    bundle = load_bundle(tracking.bundle_folder(small, refused))
    assert bundle.manifest["data_until"] <= split_of(WORLD).cut
    assert bundle.manifest["metrics"]["champion"]["ndcg_at_20"] > bundle.manifest["metrics"]["als"]["ndcg_at_20"]


def test_a_refused_training_is_not_repeated_either(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    bad = changed(small, **BAD)
    trained(bad)
    again = trained(bad)
    assert (again.skipped, again.passed, again.version) == (True, False, "2")


def test_a_good_challenger_replaces_a_bad_champion(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    trained(changed(small, **BAD))
    tracking.promote(small, "2")
    report = trained(small)
    assert (report.passed, report.version) == (True, "3")
    assert report.metrics["als"]["ndcg_at_20"] > report.metrics["champion"]["ndcg_at_20"]
    assert aliases(small) == {"champion": "3"}


def test_a_champion_that_saw_what_came_after_the_cut_is_fit_again_without_it(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    seen, split = champion(small), split_of(WORLD)
    assert seen.manifest["data_until"] > split.cut
    report = trained(changed(small, confidence_alpha=1.0))
    recipe = Recipe.from_settings(small, "als")
    fair = evaluate({"champion": fit(recipe, split.train)}, split)["champion"].summary()
    assert report.metrics["champion"] == pytest.approx(fair)
    assert report.metrics["champion"] != pytest.approx(report.metrics["als"])


def test_a_champion_that_saw_nothing_after_the_cut_is_asked_itself(small: Settings, lake: Lake) -> None:
    append_to(lake, until(80))
    trained(small)
    old = champion(small)
    append_to(lake, after(80))
    split = split_of(WORLD)
    assert old.manifest["data_until"] <= split.cut
    report = trained(changed(small, seed=1))

    class Asked:
        """The champion itself, asked in its own rows photo by photo."""

        def scores(self, histories):  # type: ignore[no-untyped-def]
            return np.stack([self.scores_of_one(history) for history in histories])

        def scores_of_one(self, history):  # type: ignore[no-untyped-def]
            ids = split.train.catalog.photo_ids
            rows = old.photo_rows(ids[history.photo_rows])
            known = rows >= 0
            own = replace(
                history,
                photo_rows=rows[known].astype(np.int32),
                times=history.times[known],
                positive=history.positive[known],
                shares=history.shares[known],
            )
            by_id = dict(zip(old.photo_ids, old.scores(own), strict=True))
            return np.array([by_id.get(photo, -np.inf) for photo in ids], dtype=np.float32)

    assert report.metrics["champion"] == pytest.approx(evaluate({"it": Asked()}, split)["it"].summary())


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
