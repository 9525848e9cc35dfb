"""The commands `train` and `models`: what they print, for people and for programs, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from features.errors import DependencyError, InvalidInputError, NotFoundError, PhotoRecommenderError
from features.lake import Lake
from features.settings import Settings, get_settings
from pipelines.commands import train as commands_train
from tests.training.conftest import append_to, give_mlflow, world_rows
from training import tracking
from training.bundle import load_bundle
from training.gate import Decision

PASSED = Decision(True, "als", "the best there is")
FAILED = Decision(False, "als", "worse than the champion")


@pytest.fixture
def app(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[typer.Typer]:
    """The commands, over an empty lake and an empty MLflow, on a wide terminal."""
    give_mlflow(settings, tmp_path_factory.getbasetemp())
    monkeypatch.setenv("PHOTO_RECOMMENDER_HOME", str(settings.home))
    monkeypatch.setenv("PHOTO_RECOMMENDER_ALS_FACTORS", "8")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    get_settings.cache_clear()
    app = typer.Typer()
    commands_train.register(app)
    yield app
    get_settings.cache_clear()


@pytest.fixture
def versions(app: typer.Typer, settings: Settings, tmp_path: Path) -> list[str]:
    """Registered versions: two champions, then a challenger that was refused."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    decisions = (PASSED, PASSED, FAILED)
    return [tracking.TrainingRun(settings, "train").register(folder, decision, "f") for decision in decisions]


def run(app: typer.Typer, *arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def failed(app: typer.Typer, *arguments: str) -> tuple[PhotoRecommenderError, Result]:
    """How a command ended that had to fail with an error of ours."""
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, PhotoRecommenderError)
    return result.exception, result


# train


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
    assert load_bundle(folder).kind in ("als", "neighbor_score")
    if as_json:
        report = json.loads(result.stdout)
        assert (report["version"], report["bundle"]) == (None, folder)
        assert "can't be used" in report["problems"][0]
    else:
        assert "NDCG@20" in result.stdout
        assert "warning: MLflow at" in result.stderr


# models


def test_models_without_any_say_what_to_run(app: typer.Typer) -> None:
    assert run(app, "models", "list") == "no model is registered yet: `photo-recommender train` makes the first\n"
    assert json.loads(run(app, "models", "list", "--json")) == []


def test_models_list_shows_a_row_for_each_version_newest_first(app: typer.Typer, versions: list[str]) -> None:
    header, *rows = [
        [cell.strip() for cell in line.strip("┃│ ").replace("┃", "│").split("│")]
        for line in run(app, "models", "list").splitlines()
        if line.startswith(("┃", "│"))
    ]
    assert header == ["version", "alias", "kind", "gate", "created", "reason"]
    assert [(row[0], row[1], row[3], row[5]) for row in rows] == [
        ("3", "challenger", "failed", FAILED.reason),
        ("2", "champion", "passed", PASSED.reason),
        ("1", "", "passed", PASSED.reason),
    ]


def test_models_list_json_holds_everything_that_is_known(
    app: typer.Typer, versions: list[str], settings: Settings
) -> None:
    listed = json.loads(run(app, "models", "list", "--json"))
    assert [version["version"] for version in listed] == ["3", "2", "1"]
    known = tracking.list_versions(settings)[0]
    assert listed[0] == {**vars(known), "aliases": ["challenger"], "created_at": known.created_at.isoformat()}


def test_models_promote_makes_a_version_champion_whatever_the_gate_said(
    app: typer.Typer, versions: list[str], settings: Settings
) -> None:
    assert run(app, "models", "promote", "3") == "version 3 (als) is champion\n"
    current = tracking.champion(settings)
    assert current is not None
    assert current.version == "3"


def test_models_promote_json_is_the_version(app: typer.Typer, versions: list[str]) -> None:
    promoted = json.loads(run(app, "models", "promote", "1", "--json"))
    assert (promoted["version"], promoted["aliases"]) == ("1", ["champion"])


def test_models_promote_of_an_unknown_version_ends_with_the_status_of_not_found(
    app: typer.Typer, versions: list[str]
) -> None:
    error, _ = failed(app, "models", "promote", "17")
    assert isinstance(error, NotFoundError)
    assert error.exit_status == 3
    assert "no version '17'" in error.message
    assert "registered: 3, 2, 1" in error.message


def test_models_rollback_makes_the_champion_before_champion_again(app: typer.Typer, versions: list[str]) -> None:
    assert run(app, "models", "rollback") == "version 1 (als) is champion\n"


def test_models_rollback_json_is_the_version(app: typer.Typer, versions: list[str]) -> None:
    assert json.loads(run(app, "models", "rollback", "--json"))["version"] == "1"


def test_models_rollback_without_an_earlier_champion_ends_with_the_status_of_invalid_input(app: typer.Typer) -> None:
    error, _ = failed(app, "models", "rollback")
    assert isinstance(error, InvalidInputError)
    assert error.exit_status == 2
    assert "train first" in error.message


def test_models_alone_shows_what_there_is(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 2
    assert all(command in result.output for command in ("list", "promote", "rollback"))


def test_models_of_an_mlflow_that_fails_end_with_the_status_of_a_dependency(
    app: typer.Typer, settings: Settings
) -> None:
    (settings.home / "mlflow" / "mlflow.db").write_bytes(b"no database at all" * 100)
    error, _ = failed(app, "models", "list")
    assert isinstance(error, DependencyError)
    assert error.exit_status == 4
