"""An old training made again: the same from the same rows, and plain words where it can't be."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from features.compaction import compact, vacuum
from features.errors import DependencyError, InvalidInputError, NotFoundError
from features.lake import Lake
from features.schema import INTERACTIONS, Kind
from features.settings import Settings, get_settings
from photo_recommender import app
from pipelines.train.job import train
from pipelines.train.reproduce import reproduce
from tests.training.conftest import DAY, START, append_to, give_mlflow, world_rows
from training import tracking

WORLD = world_rows()
NOW = datetime.fromtimestamp(START + 120 * DAY, UTC)


@pytest.fixture
def trained(settings: Settings, lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A blend as version 1; what has come to the lake since is of later."""
    give_mlflow(settings, tmp_path_factory.getbasetemp())
    small = settings.model_copy(update={"als_factors": 8, "als_iterations": 5, "als_regularization": 1.0})
    append_to(lake, WORLD)
    assert train(small, None, NOW).version == "1"
    append_to(lake, [(user, photo, owner, Kind.UNFAVORITE, at + DAY) for user, photo, owner, _, at in WORLD[:400]])
    return small


def test_a_run_comes_out_the_same_whatever_has_come_to_the_lake_and_the_settings_since(trained: Settings) -> None:
    made = reproduce(trained.model_copy(update={"als_factors": 3, "holdout_days": 2.0, "seed": 9}), "1")
    assert made.same
    assert made.same_rows == {"interactions": True}
    assert (made.metrics_apart, made.scores_apart) == (0.0, 0.0)
    assert set(made.metrics) == {"als", "blend", "neighbor_score", "popularity"}
    assert reproduce(trained, "champion").run_id == reproduce(trained, made.run_id).run_id


def test_the_command_prints_every_model_then_and_now(trained: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in trained.environment().items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    found = CliRunner().invoke(app, ["train", "--reproduce", "1"], catch_exceptions=False)
    assert found.exit_code == 0
    assert "came out the same" in found.stdout
    assert "neighbor_score" in found.stdout
    get_settings.cache_clear()


def test_rows_that_the_lake_keeps_no_longer_are_named(trained: Settings, lake: Lake) -> None:
    compact(lake, INTERACTIONS, now=datetime.now(UTC))
    assert vacuum(lake, INTERACTIONS, 0) > 0
    with pytest.raises(DependencyError, match="of interactions can't be read from the lake"):
        reproduce(trained, "1")


def test_a_run_that_is_none_or_says_nothing_is_refused(trained: Settings) -> None:
    with pytest.raises(NotFoundError, match="no run '7'"):
        reproduce(trained, "7")
    run = tracking.TrainingRun(trained, "by hand")
    with pytest.raises(InvalidInputError, match="can't be made again"):
        reproduce(trained, run.run_id)
