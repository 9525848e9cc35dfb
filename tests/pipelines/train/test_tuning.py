"""A training that searches ALS's settings first: its trials in MLflow, interruptions, and who trains by them later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from features.errors import InvalidInputError
from features.lake import Lake, open_lake
from features.settings import Settings
from pipelines.train import tuning
from pipelines.train.job import TrainReport, train
from pipelines.train.reproduce import reproduce
from pipelines.train.tuning import FOUND, Budget, Tuned, tuned_before
from tests.pipelines.train.conftest import NOW, SMALL, WORLD, aliases, champion, changed, trained, until
from tests.pipelines.train.test_failures import REFUSE, break_registry
from tests.training.conftest import append_to, give_mlflow
from training import tracking
from training.models.recipes import Recipe
from training.tuning.search import Tried

TRIALS = Budget(3, factors_max=16)


def tuned(settings: Settings, budget: Budget = TRIALS, **options: Any) -> TrainReport:
    return train(settings, None, NOW, tune=budget, **options)


def als_of(settings: Settings, report: TrainReport) -> Recipe:
    """The recipe of ALS that a training's run says it used."""
    assert report.run_id is not None
    return tracking.training_inputs(settings, report.run_id).recipes["als"]


def children_of(settings: Settings, run_id: str) -> list[Run]:
    client = MlflowClient(settings.mlflow_uri)
    experiment = client.get_run(run_id).info.experiment_id
    return list(client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run_id}'"))


def trials_of(settings: Settings, run_id: str) -> list[Run]:
    trials = [run for run in children_of(settings, run_id) if run.info.run_name.startswith("trial ")]
    return sorted(trials, key=lambda run: str(run.info.run_name))


def newest_run(settings: Settings) -> str:
    client = MlflowClient(settings.mlflow_uri)
    (experiment,) = client.search_experiments(filter_string=f"name = '{settings.model_name}'")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
    return str(next(run.info.run_id for run in runs if "mlflow.parentRunId" not in run.data.tags))


class Interrupted(BaseException):
    """As by Control-C or the end of the machine."""


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second trial of a search is the last before an interruption; the next search is let be."""
    search_als = tuning.search_als

    def breaking_off(*args: Any, on_trial: Any, **options: Any) -> Any:
        def stop(one: Tried) -> None:
            on_trial(one)
            if one.number == 1:
                raise Interrupted

        monkeypatch.setattr(tuning, "search_als", search_als)
        return search_als(*args, on_trial=stop, **options)

    monkeypatch.setattr(tuning, "search_als", breaking_off)


# What a search leaves


@dataclass(frozen=True)
class Searched:
    """A training that searched, with a blend: to be looked at only."""

    settings: Settings
    report: TrainReport
    run_id: str
    found: Tuned


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    with_blend = {**SMALL, "train_blend": True}
    settings = Settings(home=tmp_path_factory.mktemp("first"), _env_file=None, **with_blend)  # type: ignore[call-arg]
    give_mlflow(settings, tmp_path_factory.getbasetemp())
    append_to(open_lake(settings), WORLD)
    report = tuned(settings, Budget(8, factors_max=16))
    assert report.run_id is not None and report.tuned is not None
    return Searched(settings, report, report.run_id, report.tuned)


def test_what_is_found_is_trained_with_and_registered(first: Searched) -> None:
    report, found = first.report, first.found
    assert (report.version, report.passed, report.problems) == ("1", True, [])
    assert found.trials == 8
    assert 0 < found.ndcg_at_20[0] <= found.ndcg_at_20[1]
    used = als_of(first.settings, report).parameters
    assert {name: used[name] for name in FOUND} == found.found
    assert (used["seed"], used["alpha_dismissal"]) == (0, first.settings.confidence_alpha_dismissal)
    assert champion(first.settings).manifest["tuned_als"]["found"] == found.found
    assert not (first.settings.home / "tuning").exists()


def test_a_tuned_run_is_made_again_without_a_search(first: Searched) -> None:
    assert reproduce(first.settings, "1").same


def test_every_trial_is_a_nested_run_with_its_values_by_iteration(first: Searched) -> None:
    client, trials = MlflowClient(first.settings.mlflow_uri), trials_of(first.settings, first.run_id)
    assert [run.info.run_name for run in trials] == [f"trial {number:02d}" for number in range(8)]
    assert {run.info.status for run in trials} <= {"FINISHED", "KILLED"}
    for run in trials:
        steps = client.get_metric_history(run.info.run_id, "validation_ndcg_at_20")
        assert [entry.step for entry in steps] == list(range(3, 3 * len(steps) + 1, 3))
        assert run.data.metrics["best_validation_ndcg_at_20"] == max(entry.value for entry in steps)
        assert set(FOUND) <= set(run.data.params)
        assert run.info.start_time <= run.info.end_time


def test_the_run_sums_up_the_search(first: Searched) -> None:
    client = MlflowClient(first.settings.mlflow_uri)
    parent = client.get_run(first.run_id).data
    finished = [run for run in trials_of(first.settings, first.run_id) if run.info.status == "FINISHED"]
    best = max(run.data.metrics["best_validation_ndcg_at_20"] for run in finished)
    assert parent.metrics["tuning/best_validation_ndcg_at_20"] == best == first.found.ndcg_at_20[1]
    assert (parent.metrics["tuning/trials"], parent.metrics["tuning/pruned"]) == (8, 8 - len(finished))
    assert parent.params["tuned.factors"] == parent.params["als.factors"] == str(first.found.found["factors"])
    assert "figures/search.png" in {artifact.path for artifact in client.list_artifacts(first.run_id, "figures")}
    assert set(tracking.run_metrics(first.settings, first.run_id)) == {"als", "blend", "neighbor_score", "popularity"}


def test_any_training_logs_loss_and_seconds_of_each_iteration(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    run_id = trained(small).run_id
    assert run_id is not None
    client = MlflowClient(small.mlflow_uri)
    als = next(run.info.run_id for run in children_of(small, run_id) if run.info.run_name == "als")
    for run, prefix in ((als, ""), (run_id, "refit/als_")):
        loss, seconds = (client.get_metric_history(run, f"{prefix}{name}") for name in ("loss", "seconds"))
        assert [entry.step for entry in loss] == [entry.step for entry in seconds] == [1, 2, 3, 4, 5]
        assert [entry.value for entry in loss] == sorted((entry.value for entry in loss), reverse=True)
        assert all(entry.value > 0 for entry in seconds)
    assert "figures/iterations.png" in {artifact.path for artifact in client.list_artifacts(run_id, "figures")}


# Later trainings


def test_later_trainings_keep_what_was_found_for_the_champion(small: Settings, lake: Lake) -> None:
    append_to(lake, until(90))
    report = tuned(small)
    found = als_of(small, report)
    assert found.parameters["iterations"] != small.als_iterations
    assert trained(small).skipped
    append_to(lake, [row for row in WORLD if row not in until(90)])
    second = train(small, None, NOW, force="in any case")
    assert als_of(small, second) == found
    assert tuned_before(small, tracking.list_versions(small)) == report.tuned, "the second hands on what it has"
    assert not tuned(small, replace(TRIALS, trials=1)).skipped, "whoever asks for a search of the same data gets one"


def test_whoever_does_not_want_it_trains_by_the_settings(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    tuned(small)
    report = train(small, None, NOW, untuned=True, force="by the settings again")
    assert als_of(small, report) == Recipe.from_settings(small, "als")
    assert tuned_before(small, tracking.list_versions(small)) is None


@pytest.mark.parametrize(
    ("update", "kept"),
    [
        ({"seed": 4}, True),
        ({"als_gpu": True}, True),
        ({"confidence_alpha_dismissal": 3.0}, True),
        ({"als_engine": "spark"}, True),
        ({"als_engine": "mllib"}, False),
        ({"als_factors": 6}, False),
        ({"recency_half_life_days": 90.0}, False),
    ],
)
def test_a_setting_that_a_search_decides_holds_again_once_it_changes(
    first: Searched, update: dict[str, Any], kept: bool
) -> None:
    settings = changed(first.settings, **update)
    found = tuned_before(settings, tracking.list_versions(settings))
    assert (found is not None) == kept
    if found is not None:
        assert found.recipe(settings) == Recipe.from_settings(settings, "als").changed(**first.found.found)


def test_what_was_refused_is_not_used_again(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    report = tuned(changed(small, gate_latency_ms=1e-9))
    assert (report.version, report.passed) == ("2", False)
    again = trained(small)
    assert (again.skipped, again.version, again.tuned) == (True, "1", None)
    assert aliases(small) == {"champion": "1", "challenger": "2"}


def test_a_minor_version_has_what_was_found_for_its_training(first: Searched) -> None:
    (training,) = tracking.list_versions(first.settings)
    minor = replace(training, version="2", minor_of="1", tuned="", aliases=(tracking.CHAMPION,))
    assert tuned_before(first.settings, [minor, replace(training, aliases=())]) == first.found


@pytest.mark.parametrize("text", ["by me", "[]", "{}", '{"found": {}}'])
def test_a_tag_that_somebody_wrote_by_hand_is_passed_over(first: Searched, text: str) -> None:
    versions = [replace(version, tuned=text) for version in tracking.list_versions(first.settings)]
    assert tuned_before(first.settings, versions) is None


def test_what_was_found_survives_the_tag() -> None:
    one = Tuned({"factors": 12, "alpha": 0.1 + 0.2}, {"factors": 64, "alpha": 4.0}, 30, (0.1, 0.3), "run")
    assert Tuned.from_tag(one.as_tag()) == one


# Interruptions, and an MLflow that fails


@pytest.mark.usefixtures("interrupted")
def test_an_interrupted_search_goes_on_with_what_it_began_with(small: Settings, lake: Lake) -> None:
    append_to(lake, until(95))
    with pytest.raises(Interrupted):
        tuned(small)
    broken_off = newest_run(small)
    assert len(trials_of(small, broken_off)) == 2
    append_to(lake, [row for row in WORLD if row not in until(95)])
    report = tuned(small)
    assert report.run_id is not None and report.tuned is not None
    before, after = trials_of(small, broken_off), trials_of(small, report.run_id)
    assert len(after) == report.tuned.trials == 3
    for one, again in zip(before, after, strict=False):
        assert (one.data.params, one.data.metrics) == (again.data.params, again.data.metrics)
        assert (one.info.start_time, one.info.end_time) == (again.info.start_time, again.info.end_time)
    assert report.counts["favorites"] == len(WORLD), "the model learns from everything all the same"
    assert not (small.home / "tuning").exists()


@pytest.mark.usefixtures("interrupted")
def test_a_search_that_is_a_week_old_begins_anew(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    with pytest.raises(Interrupted):
        tuned(small)
    report = train(small, None, NOW + timedelta(days=8), tune=replace(TRIALS, trials=1))
    assert report.tuned is not None and report.tuned.trials == 1


def test_a_search_without_mlflow_finds_the_same_and_is_not_lost(unreachable: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    report = tuned(unreachable)
    assert (report.version, report.run_id) == (None, None)
    assert report.tuned is not None and report.tuned.trials == 3
    assert all("can't be used" in problem for problem in report.problems)
    journal = unreachable.home / "tuning" / "als.journal"
    before = journal.read_text()
    assert tuned(unreachable).tuned == report.tuned
    assert journal.read_text().startswith(before), "no trial was made again"


def test_trials_that_mlflow_could_not_take_are_logged_when_it_can(
    small: Settings, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_to(lake, WORLD)
    search_als = tuning.search_als

    def breaking(*args: Any, on_trial: Any, **options: Any) -> Any:
        def refused(one: Tried) -> None:
            break_registry(small, REFUSE.format("INSERT ON metrics"))()
            on_trial(one)
            break_registry(small, "DROP TRIGGER refuse")()

        return search_als(*args, on_trial=refused, **options)

    monkeypatch.setattr(tuning, "search_als", breaking)
    report = tuned(small, replace(TRIALS, trials=2))
    assert report.version == "1"
    assert len(report.problems) == 1 and "can't be used" in report.problems[0]
    assert report.run_id is not None
    with_values = [run for run in trials_of(small, report.run_id) if run.data.metrics]
    assert [run.info.run_name for run in with_values] == ["trial 00", "trial 01"]


def test_too_few_people_to_search_by_are_named_and_nothing_is_kept(small: Settings, lake: Lake) -> None:
    append_to(lake, [row for row in WORLD if row[0] < "u012"])
    with pytest.raises(InvalidInputError, match=r"only \d+ users .* a search needs 20: pull more people"):
        tuned(small)
    assert not (small.home / "tuning").exists()
