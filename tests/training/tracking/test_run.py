"""What a run of MLflow keeps of a training, its children among it."""

from __future__ import annotations

import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from mlflow.system_metrics import system_metrics_monitor

from features.settings import Settings
from tests.training.tracking.conftest import PASSED, client, run_of
from training import tracking
from training.tracking import TrainingRun, run_name


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


def test_a_name_says_when_and_from_which_lake() -> None:
    assert run_name(datetime(2026, 11, 25, 7, 38, tzinfo=UTC), 17) == "train 11-25 07:38 lake v17"


def test_a_run_names_the_revision_of_the_program(mlflow: Settings) -> None:
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    revision = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    assert run_of(mlflow, TrainingRun(mlflow, "train")).data.tags["mlflow.source.git.commit"] == revision


def test_more_parameters_and_steps_than_mlflow_takes_at_once_are_all_kept(mlflow: Settings) -> None:
    run = TrainingRun(mlflow, "train")
    run.log_parameters({f"parameter {number}": number for number in range(150)})
    run.log_steps("loss", {step: 1 / step for step in range(1, 1_200)})
    assert len(run_of(mlflow, run).data.params) == 150
    history = client(mlflow).get_metric_history(run.run_id, "loss")
    assert [(entry.step, entry.value) for entry in history] == [(step, 1 / step) for step in range(1, 1_200)]


def test_children_belong_to_their_parent_and_are_whole(mlflow: Settings) -> None:
    run = TrainingRun(mlflow, "train")
    began, ended = datetime(2026, 1, 1, 0, 0, tzinfo=UTC), datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    trial = run.nested(
        "trial 3",
        {"factors": 64},
        {"ndcg_at_20": 0.25},
        {"loss": {3: 3.0, 6: 2.0, 9: 1.0}},
        began=began,
        ended=ended,
        status="KILLED",
    )
    run.nested("als", {}, {"ndcg_at_20": 0.5})
    children = client(mlflow).search_runs(
        [run_of(mlflow, run).info.experiment_id], f"tags.mlflow.parentRunId = '{run.run_id}'"
    )
    assert {child.info.run_name: child.info.status for child in children} == {"trial 3": "KILLED", "als": "FINISHED"}
    found = client(mlflow).get_run(trial)
    assert found.data.params == {"factors": "64"}
    assert found.data.metrics == {"ndcg_at_20": 0.25, "loss": 1}
    assert [entry.step for entry in client(mlflow).get_metric_history(trial, "loss")] == [3, 6, 9]
    assert found.info.end_time - found.info.start_time == 60_000


def test_figures_texts_and_folders_are_artifacts(mlflow: Settings, files: Path) -> None:
    run = TrainingRun(mlflow, "train")
    run.log_text("<h1>Report</h1>", "report.html")
    run.log_figure(Figure(), "figures/pareto.png")
    run.log_folder(files, "drift")
    folder = Path(client(mlflow).download_artifacts(run.run_id, ""))
    assert (folder / "report.html").read_text() == "<h1>Report</h1>"
    assert (folder / "figures" / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "drift" / "manifest.json").read_text() == "{}"


def test_the_system_is_watched_however_short_the_training(mlflow: Settings) -> None:
    run = TrainingRun(mlflow, "train")
    run.watch_system()
    run.log_metrics({"als/ndcg_at_20": 0.5})
    run.finish("FINISHED")
    logged = run_of(mlflow, run).data.metrics
    assert 0 < logged["system/system_memory_usage_percentage"] <= 100
    assert not any(thread.name == "SystemMetricsMonitor" for thread in threading.enumerate())
    assert tracking.run_metrics(mlflow, run.run_id) == {"als": {"ndcg_at_20": 0.5}}


def test_a_system_that_can_not_be_watched_does_not_stop_a_training(
    mlflow: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ImportError("psutil is missing")

    monkeypatch.setattr(system_metrics_monitor.SystemMetricsMonitor, "__init__", fail)
    run = TrainingRun(mlflow, "train")
    run.watch_system()
    run.finish("FINISHED")
    assert run_of(mlflow, run).info.status == "FINISHED"


def test_the_first_lines_of_the_card_describe_the_version(mlflow: Settings, files: Path) -> None:
    run = TrainingRun(mlflow, "train")
    card = "# A model\n\nGood.\n" + "\nmore" * 50
    run.register(files, PASSED, "f", card=card, tags={"data_until": "2026-01-01"})
    version = client(mlflow).get_model_version(mlflow.model_name, "1")
    assert version.description.startswith("# A model\n\nGood.")
    assert len(version.description.splitlines()) <= 12
    assert (version.tags["data_until"], version.tags["gate"]) == ("2026-01-01", "passed")
    kept = client(mlflow).download_artifacts(run.run_id, "bundle/model_card.md")
    assert Path(kept).read_text() == card


def test_the_registered_model_says_what_it_is(mlflow: Settings, files: Path) -> None:
    TrainingRun(mlflow, "train").register(files, PASSED, "f")
    model = client(mlflow).get_registered_model(mlflow.model_name)
    assert "`champion` is served" in model.description
    assert model.tags["task"] == "recommendation"
