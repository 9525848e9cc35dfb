"""The command line, run within the test's own process with settings of the test's choice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

import photo_recommender
from features.errors import PhotoRecommenderError
from features.settings import Settings, get_settings
from pipelines.commands import models as commands_models
from pipelines.commands import train as commands_train
from tests.training.conftest import give_mlflow


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Ended]]:
    """`command_line(settings, "pull", …, NAME=value)`: the settings, and what else is named, are the environment."""

    def run(settings: Settings, *arguments: object, **environment: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["photo-recommender", *map(str, arguments)])
        for name, value in {**settings.environment(), **environment}.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        with pytest.raises(SystemExit) as ended:
            photo_recommender.main()
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    yield run
    get_settings.cache_clear()


# `train` and `models` as one program


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
    commands_models.register(app)
    yield app
    get_settings.cache_clear()


def run(app: typer.Typer, *arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def failed(app: typer.Typer, *arguments: str) -> tuple[PhotoRecommenderError, Result]:
    """How a command ended that had to fail with an error of ours."""
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, PhotoRecommenderError)
    return result.exception, result
