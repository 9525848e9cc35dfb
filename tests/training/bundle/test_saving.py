"""A bundle is saved whole or not at all."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from features.errors import CorruptModelError
from tests.training.bundle.conftest import METRICS, each_file
from tests.training.conftest import recipe_of
from training.bundle import Bundle, load_bundle, save_bundle
from training.interactions import Interactions
from training.models.interface import Model
from training.models.recipes import Recipe, fit


@dataclass(frozen=True)
class Dying:
    """A model that ends its process while it is saved, after its arrays or before them."""

    model: Model
    after_arrays: bool
    kind: str = "als"

    def save(self, folder: Path) -> dict[str, Any]:
        parameters = self.model.save(folder) if self.after_arrays else {}
        os.kill(os.getpid(), signal.SIGKILL)
        return parameters


def save_killed(folder: Path, recipe: Recipe, model: Model, world: Interactions, *, after_arrays: bool) -> None:
    """Save in a process of its own that is killed in the middle."""
    dying: Any = Dying(model, after_arrays)
    process = multiprocessing.get_context("fork").Process(
        target=save_bundle, args=(folder, recipe, dying, world, METRICS)
    )
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("after_arrays", [False, True])
def test_a_kill_in_the_middle_of_saving_leaves_no_bundle(
    als: Model, recipe: Recipe, world: Interactions, tmp_path: Path, after_arrays: bool
) -> None:
    folder = tmp_path / "models" / "bundle"
    save_killed(folder, recipe, als, world, after_arrays=after_arrays)
    assert not folder.exists()
    (left,) = folder.parent.iterdir()
    assert left.name.endswith(".partial")
    with pytest.raises(CorruptModelError):
        load_bundle(left)
    save_bundle(folder, recipe, als, world, METRICS)
    assert load_bundle(folder).kind == "als"


def test_a_kill_in_the_middle_of_saving_leaves_the_bundle_that_was_there(
    als: Model, recipe: Recipe, world: Interactions, als_folder: Path
) -> None:
    before = load_bundle(als_folder).version
    save_killed(als_folder, recipe, als, world, after_arrays=True)
    assert load_bundle(als_folder).version == before


def test_saving_that_fails_leaves_nothing_behind(recipe: Recipe, world: Interactions, als_folder: Path) -> None:
    class Failing:
        kind = "als"

        def save(self, folder: Path) -> dict[str, Any]:
            raise OSError("no space left on device")

    before, failing = load_bundle(als_folder).version, Failing()
    with pytest.raises(OSError, match="no space"):
        save_bundle(als_folder, recipe, failing, world, METRICS)  # type: ignore[arg-type]
    assert [path.name for path in als_folder.parent.iterdir()] == [als_folder.name]
    assert load_bundle(als_folder).version == before


def test_saving_replaces_the_bundle_that_was_there(recipe: Recipe, world: Interactions, als_folder: Path) -> None:
    popularity = recipe_of("popularity")
    save_bundle(als_folder, popularity, fit(popularity, world), world, {})
    bundle: Bundle = load_bundle(als_folder)
    assert bundle.kind == "popularity"
    assert "photo_factors.npy" not in each_file(als_folder)


def test_a_loaded_bundle_survives_its_replacement(
    als: Model, recipe: Recipe, world: Interactions, als_folder: Path
) -> None:
    bundle = load_bundle(als_folder)
    before = bundle.scores(world.history(0)).copy()
    other = recipe_of("popularity")
    save_bundle(als_folder, other, fit(other, world), world, {})
    assert (bundle.scores(world.history(0)) == before).all()
