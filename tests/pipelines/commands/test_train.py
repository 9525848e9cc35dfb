"""The command `train`: what it prints, for people and for programs, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import typer

from features.errors import DependencyError, InvalidInputError, NotFoundError
from features.lake import Lake
from features.settings import Settings, get_settings
from tests.pipelines.commands.conftest import failed, run
from tests.training.conftest import append_to, world_rows
from training import tracking
from training.bundle import load_bundle


def test_train_shows_the_measures_of_all_models_and_says_who_is_champion(app: typer.Typer, lake: Lake) -> None:
    append_to(lake, world_rows())
    shown = run(app, "train")
    assert all(kind in shown for kind in ("als", "neighbor_score", "popularity"))
    assert "NDCG@20" in shown
    assert "version 1 (" in shown
    assert "is champion: no champion to compare with" in shown
    assert "skipped: neither the lake nor the configuration changed since version 1" in run(app, "train")


def test_train_json_is_the_report(app: typer.Typer, lake: Lake, settings: Settings) -> None:
    append_to(lake, world_rows())
    report = json.loads(run(app, "train", "--json"))
    assert (report["skipped"], report["passed"], report["version"], report["problems"]) == (False, True, "1", [])
    assert report["counts"]["users"] == 60
    assert report["metrics"]["als"]["ndcg_at_20"] > 0
    current = tracking.champion(settings)
    assert current is not None
    assert (current.version, current.run_id, current.kind) == ("1", report["run_id"], report["kind"])


def test_train_says_that_a_challenger_was_refused(
    app: typer.Typer, lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_to(lake, world_rows())
    run(app, "train")
    monkeypatch.setenv("PHOTO_RECOMMENDER_HOLDOUT_DAYS", "1000")
    get_settings.cache_clear()
    assert "version 2 (als) is challenger: nothing to measure with" in run(app, "train")


def test_train_without_favorites_ends_with_the_status_of_not_found(app: typer.Typer) -> None:
    error, result = failed(app, "train")
    assert isinstance(error, NotFoundError)
    assert error.exit_status == 3
    assert "photo-recommender pull" in error.message
    assert result.stdout == ""


@pytest.mark.parametrize("as_json", [False, True])
def test_train_without_mlflow_says_where_the_bundle_lies_and_ends_with_the_status_of_a_dependency(
    app: typer.Typer,
    lake: Lake,
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    as_json: bool,
) -> None:
    append_to(lake, world_rows())
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("PHOTO_RECOMMENDER_MLFLOW_URI", f"http://127.0.0.1:{free_port()}")
    get_settings.cache_clear()
    error, result = failed(app, "train", *(["--json"] if as_json else []))
    assert isinstance(error, DependencyError)
    assert error.exit_status == 4
    folder = error.message.removeprefix("the model was not registered and lies in ").split(": ")[0]
    assert load_bundle(folder).kind != "popularity"
    if as_json:
        report = json.loads(result.stdout)
        assert (report["version"], report["bundle"]) == (None, folder)
        assert "can't be used" in report["problems"][0]
    else:
        assert "NDCG@20" in result.stdout
        assert "warning: MLflow at" in result.stderr


def test_train_tune_says_what_was_found_and_the_next_training_what_it_goes_by(app: typer.Typer, lake: Lake) -> None:
    append_to(lake, world_rows())
    found = "ALS as tuned by 1 trials, NDCG@20 on validation"
    shown = run(app, "train", "--tune", "2", "--minutes", "0", "--factors-max", "8")
    assert found in shown and "factors 8, alpha 4," in shown
    again = run(app, "train")
    assert found in again and "skipped" in again
    report = json.loads(run(app, "train", "--untuned", "--json"))
    assert (report["skipped"], report["tuned"]) == (False, None)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--minutes", "5"], "minutes"),
        (["--tune", "3", "--untuned"], "untuned"),
        (["--tune", "3", "--reproduce", "1"], "tune"),
    ],
)
def test_train_refuses_options_that_say_different_things(app: typer.Typer, arguments: list[str], field: str) -> None:
    error, _ = failed(app, "train", *arguments)
    assert isinstance(error, InvalidInputError)
    assert error.field == field
