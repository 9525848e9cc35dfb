"""Bundles of each kind, whole and to be spoiled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.user_state import UserState
from tests.training.conftest import START, recipe_of
from training.bundle import CHECKSUM, MANIFEST, save_bundle
from training.interactions import Interactions
from training.models.interface import Model
from training.models.recipes import MODELS, Recipe, fit
from training.storage import checksums, digest

METRICS = {"als": {"ndcg_at_20": 0.25}}


@pytest.fixture(scope="module", params=[*MODELS, "blend"])
def recipe_of_kind(request: pytest.FixtureRequest, recipe: Recipe) -> Recipe:
    return recipe_of(request.param)


@pytest.fixture(scope="module")
def model(recipe_of_kind: Recipe, world: Interactions) -> Model:
    return fit(recipe_of_kind, world)


@pytest.fixture(scope="module")
def saved(recipe_of_kind: Recipe, model: Model, world: Interactions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of each kind; not to be changed."""
    folder = tmp_path_factory.mktemp("bundle") / recipe_of_kind.kind
    save_bundle(folder, recipe_of_kind, model, world, METRICS)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, to be spoiled."""
    return Path(shutil.copytree(saved, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def als(recipe: Recipe, world: Interactions) -> Model:
    return fit(recipe, world)


@pytest.fixture
def als_folder(als: Model, recipe: Recipe, world: Interactions, tmp_path: Path) -> Path:
    save_bundle(tmp_path / "als", recipe, als, world, METRICS)
    return tmp_path / "als"


def state_of(favorites: list[str], dismissed: list[str] | None = None) -> UserState:
    refused = tuple(dismissed or ())
    return UserState(
        user_id="somebody",
        favorite_ids=tuple(favorites),
        favorite_owners=("",) * len(favorites),
        favorite_times=(START,) * len(favorites),
        dismissed_ids=refused,
        dismissed_owners=("",) * len(refused),
        dismissed_times=(START,) * len(refused),
    )


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest, and sign it as a program that means it would."""
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest[CHECKSUM]
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps({**manifest, CHECKSUM: digest(manifest)}))


def replace_file(folder: Path, name: str, write: Callable[[Path], object]) -> None:
    """Replace a file by another whose checksum is in the manifest."""
    write(folder / name)
    rewrite(folder, lambda manifest: manifest["files"].update({name: checksums(folder)[name]}))


def each_file(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
