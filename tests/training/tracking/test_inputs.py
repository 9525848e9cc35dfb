"""What a run keeps so that it can be made again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.errors import InvalidInputError, NotFoundError
from features.settings import Settings
from tests.training.tracking.conftest import PASSED, run_of
from training.models.recipes import MODELS, Recipe
from training.tracking import LakeInput, TrainingInputs, TrainingRun, training_inputs

UNKNOWN = "0" * 32


def inputs_of(settings: Settings, **changed: object) -> TrainingInputs:
    kept = {
        "recipes": {kind: Recipe.from_settings(settings, kind) for kind in MODELS},
        "lake_uri": settings.lake_uri,
        "tables": (
            LakeInput("interactions", f"{settings.lake_uri}/interactions", 17, 50, "v17-ab", {"favorites": 5}),
            LakeInput("contacts", f"{settings.lake_uri}/contacts", 3, 7, "v3-cd"),
        ),
        "as_of": datetime(2026, 11, 25, 7, 38, 12, 345678, tzinfo=UTC),
        "cut": datetime(2026, 11, 11, tzinfo=UTC),
        "holdout_days": 14.0,
        "seed": 7,
        "engine": "implicit",
        "git_commit": "8493b77",
    }
    return TrainingInputs(**{**kept, **changed})  # type: ignore[arg-type]


def run_with(settings: Settings, inputs: TrainingInputs) -> TrainingRun:
    run = TrainingRun(settings, "train")
    run.log_inputs(inputs)
    return run


def test_what_was_logged_comes_back_by_run_version_and_alias(mlflow: Settings, files: Path) -> None:
    inputs = inputs_of(mlflow)
    run = run_with(mlflow, inputs)
    version = run.register(files, PASSED, "f")
    for name in (run.run_id, version, "champion"):
        assert training_inputs(mlflow, name) == inputs
    assert inputs.lake_versions == {"interactions": 17, "contacts": 3}


def test_every_parameter_of_every_recipe_is_a_parameter_of_the_run(mlflow: Settings) -> None:
    inputs = inputs_of(mlflow)
    logged = run_of(mlflow, run_with(mlflow, inputs)).data.params
    for kind, recipe in inputs.recipes.items():
        for name, value in recipe.parameters.items():
            assert logged[f"{kind}.{name}"] == str(value)
    assert (logged["seed"], logged["holdout_days"], logged["cut"]) == ("7", "14.0", "2026-11-11T00:00:00+00:00")


def test_the_parts_of_a_blend_go_by_their_names(mlflow: Settings) -> None:
    parts = [{"name": "als", "kind": "als", "parameters": {"factors": 64}, "weight": 3.25}, {"name": "near", "unit": 2}]
    inputs = inputs_of(mlflow, recipes={"blend": Recipe("blend", {"components": parts})})
    run = run_with(mlflow, inputs)
    logged = run_of(mlflow, run).data.params
    assert logged["blend.components.als.parameters.factors"] == "64"
    assert logged["blend.components.als.weight"] == "3.25"
    assert logged["blend.components.near.unit"] == "2"
    assert training_inputs(mlflow, run.run_id) == inputs


def test_a_parameter_longer_than_mlflow_takes_is_cut_there_and_whole_in_the_inputs(mlflow: Settings) -> None:
    inputs = inputs_of(mlflow, recipes={"als": Recipe("als", {"names": ["x" * 100] * 100})})
    run = run_with(mlflow, inputs)
    assert len(run_of(mlflow, run).data.params["als.names"]) == 6_000
    assert training_inputs(mlflow, run.run_id) == inputs


def test_every_table_is_a_dataset_with_its_digest(mlflow: Settings) -> None:
    found = run_of(mlflow, run_with(mlflow, inputs_of(mlflow))).inputs.dataset_inputs
    assert {one.dataset.name: one.dataset.digest for one in found} == {"interactions": "v17-ab", "contacts": "v3-cd"}
    assert {json.loads(one.dataset.source)["delta_table_version"] for one in found} == {17, 3}


def test_the_digest_of_the_lake_is_of_all_tables_in_any_order(mlflow: Settings) -> None:
    inputs = inputs_of(mlflow)
    turned = inputs_of(mlflow, tables=inputs.tables[::-1])
    fewer = inputs_of(mlflow, tables=inputs.tables[:1])
    assert turned.lake_digest == inputs.lake_digest != fewer.lake_digest


@pytest.mark.parametrize("name", [UNKNOWN, "17", "challenger", "", "../etc"])
def test_a_run_that_there_is_not_is_not_found(mlflow: Settings, name: str) -> None:
    with pytest.raises(NotFoundError, match="models list") as caught:
        training_inputs(mlflow, name)
    assert caught.value.field == "run"


def test_a_run_that_does_not_say_from_what_it_was_made_says_so(mlflow: Settings) -> None:
    run = TrainingRun(mlflow, "train")
    with pytest.raises(InvalidInputError, match=r"holds no training_inputs\.json"):
        training_inputs(mlflow, run.run_id)


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"recipes": {}, "tables": 5}'])
def test_inputs_of_another_program_are_refused(mlflow: Settings, content: str) -> None:
    run = TrainingRun(mlflow, "train")
    run.log_text(content, "training_inputs.json")
    with pytest.raises(InvalidInputError, match="is not of this program"):
        training_inputs(mlflow, run.run_id)
