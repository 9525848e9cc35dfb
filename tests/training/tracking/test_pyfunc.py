"""A registered bundle opens in MLflow's own way, and answers as the bundle does."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import pyfunc
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from features.settings import Settings
from features.user_state import UserState
from tests.training.conftest import give_mlflow, recipe_of, style_of
from tests.training.tracking.conftest import PASSED, client, register
from training.bundle import Bundle, load_bundle, save_bundle
from training.interactions import Interactions
from training.models.recipes import Recipe, fit
from training.tracking import TrainingRun

FAVORITES = ["0-0000", "0-0003", "0-0006"]


@pytest.fixture(scope="module")
def registered(world: Interactions, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    """A registered ALS as it lies in MLflow, and its bundle: to be looked at only."""
    home = tmp_path_factory.mktemp("pyfunc")
    settings = Settings(home=home, _env_file=None)  # type: ignore[call-arg]
    give_mlflow(settings, tmp_path_factory.getbasetemp())
    recipe = recipe_of("als")
    save_bundle(home / "bundle", recipe, fit(recipe, world), world, {})
    run = TrainingRun(settings, "train")
    run.register(home / "bundle", PASSED, "f", example=FAVORITES)
    folder = Path(client(settings).download_artifacts(run.run_id, "bundle"))
    return folder, load_bundle(folder)


@pytest.fixture(scope="module")
def model(registered: tuple[Path, Bundle]) -> Any:
    return pyfunc.load_model(str(registered[0]))


def test_the_model_ranks_as_the_bundle_does(model: Any, registered: tuple[Path, Bundle]) -> None:
    bundle = registered[1]
    (answer,) = model.predict(pd.DataFrame({"favorites": [FAVORITES]}), params={"limit": 5}).to_dict("records")
    until = bundle.manifest["data_until"]
    state = UserState("anybody", favorite_ids=tuple(FAVORITES), favorite_times=(until,) * 3)
    history = bundle.history(state)
    rows, scores = bundle.top(history, 5, exclude=history.photo_rows)
    assert answer["photo_ids"] == bundle.photo_ids[rows].tolist()
    assert answer["scores"] == pytest.approx(scores.tolist())
    assert all(style_of(photo) == 0 for photo in answer["photo_ids"])


def test_neither_favorites_nor_dismissed_photos_are_answered(model: Any) -> None:
    everything = {"favorites": [FAVORITES], "dismissed": [["1-0001"]]}
    (answer,) = model.predict(pd.DataFrame(everything), params={"limit": 1_000}).to_dict("records")
    assert not {*FAVORITES, "1-0001"} & set(answer["photo_ids"])
    assert len(answer["photo_ids"]) == 116
    assert answer["scores"] == sorted(answer["scores"], reverse=True)


def test_a_dismissal_lowers_what_resembles_it(model: Any) -> None:
    people = {"favorites": [FAVORITES, FAVORITES], "dismissed": [[], ["0-0009", "0-0012", "0-0015"]]}
    without, beside = model.predict(pd.DataFrame(people), params={"limit": 1_000}).to_dict("records")
    before, after = (dict(zip(one["photo_ids"], one["scores"], strict=True)) for one in (without, beside))
    same_style = [photo for photo in after if style_of(photo) == 0]
    assert sum(after[photo] for photo in same_style) < sum(before[photo] for photo in same_style)


def test_photos_that_the_model_does_not_know_are_ignored(model: Any) -> None:
    people = pd.DataFrame({"favorites": [[*FAVORITES, "unknown"], FAVORITES]})
    first, second = model.predict(people).to_dict("records")
    assert first == second
    assert len(first["photo_ids"]) == 30


def test_the_signature_refuses_what_does_not_fit(model: Any) -> None:
    with pytest.raises(MlflowException, match="favorites"):
        model.predict(pd.DataFrame({"user_id": ["1@N01"]}))


def test_the_input_example_can_be_asked(model: Any, registered: tuple[Path, Bundle]) -> None:
    described = Model.load(str(registered[0] / "MLmodel"))
    example = described.load_input_example(str(registered[0]))
    assert example["favorites"].tolist() == [FAVORITES]
    assert len(model.predict(example)) == 1
    assert described.metadata == {"kind": "als"}


def test_the_requirements_are_the_versions_that_trained(registered: tuple[Path, Bundle]) -> None:
    lines = (registered[0] / "requirements.txt").read_text().splitlines()
    assert f"implicit=={metadata.version('implicit')}" in lines
    assert f"mlflow=={metadata.version('mlflow')}" in lines
    assert pyfunc.get_model_dependencies(str(registered[0])).endswith("requirements.txt")


def test_the_champion_opens_by_its_alias(
    mlflow: Settings, recipe: Recipe, world: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_bundle(tmp_path / "bundle", recipe, fit(recipe, world), world, {})
    register(mlflow, tmp_path / "bundle")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.mlflow_uri)
    opened = pyfunc.load_model(f"models:/{mlflow.model_name}@champion")
    assert opened.metadata.signature.inputs.input_names() == ["favorites", "dismissed"]
    assert len(opened.predict(pd.DataFrame({"favorites": [FAVORITES]}))["photo_ids"][0]) == 30
