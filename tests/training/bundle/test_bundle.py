"""The bundle: what was saved is what is loaded, memory-mapped, and taste works through it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.training.bundle.conftest import METRICS, each_file, state_of
from tests.training.conftest import is_mapped, style_of
from training.bundle import MANIFEST, load_bundle, save_bundle
from training.interactions import Interactions
from training.models.blend import Blend
from training.models.interface import Model, reasons_of, scores_of
from training.models.recipes import Recipe


def test_a_loaded_bundle_answers_as_the_model_did(saved: Path, model: Model, world: Interactions) -> None:
    bundle, history, rows = load_bundle(saved, "7"), world.history(4), np.array([0, 9, 30])
    assert (bundle.version, bundle.kind) == ("7", model.kind)
    assert bundle.photo_ids.tolist() == world.catalog.photo_ids.tolist()
    assert bundle.owner_ids.tolist() == world.catalog.owner_ids.tolist()
    assert (bundle.scores(history) == scores_of(model, history)).all()
    assert bundle.reasons(history, rows) == reasons_of(model, history, rows, 3)
    top, scores = bundle.top(history, 10, history.photo_rows)
    assert len(top) == 10
    assert not set(top.tolist()) & set(history.photo_rows.tolist())
    assert (np.diff(scores) <= 0).all()


def test_the_manifest_says_what_the_bundle_is(saved: Path, recipe_of_kind: Recipe, world: Interactions) -> None:
    manifest = load_bundle(saved).manifest
    assert manifest["components"][0]["kind"] == recipe_of_kind.kind
    assert Recipe.from_manifest(manifest["training"]) == recipe_of_kind
    assert manifest["metrics"] == METRICS
    assert manifest["data_until"] == world.data_until
    counts = {name: manifest[name] for name in ("n_users", "n_photos", "n_favorites", "n_dismissals")}
    assert counts == {"n_users": 60, "n_photos": 120, "n_favorites": len(world.favorites), "n_dismissals": 0}
    assert set(manifest["files"]) == set(each_file(saved)) - {MANIFEST}


def test_saving_returns_the_manifest_that_is_loaded(
    als: Model, recipe: Recipe, world: Interactions, tmp_path: Path
) -> None:
    assert save_bundle(tmp_path / "b", recipe, als, world, METRICS) == load_bundle(tmp_path / "b").manifest


def test_a_bundle_without_a_registered_version_is_called_by_its_own_id(saved: Path) -> None:
    bundle = load_bundle(saved)
    assert bundle.version == bundle.manifest["bundle_id"]


def test_photos_are_found_by_id(saved: Path, world: Interactions) -> None:
    bundle = load_bundle(saved)
    assert bundle.photo_row(str(world.catalog.photo_ids[17])) == 17
    assert bundle.photo_row("never seen") is None
    assert bundle.photo_rows(["never seen", str(world.catalog.photo_ids[3])]).tolist() == [-1, 3]


def test_a_photo_is_not_similar_to_itself(saved: Path) -> None:
    assert 5 not in load_bundle(saved).similar(5, 20)[0].tolist()


def test_arrays_are_memory_mapped_and_read_only(saved: Path) -> None:
    model = load_bundle(saved).model
    parts = [one.model for one in model.components] if isinstance(model, Blend) else [model]
    arrays = [value for part in parts for value in vars(part).values() if isinstance(value, np.ndarray)]
    arrays = [array for array in arrays if array.dtype != object]
    assert arrays
    for array in arrays:
        assert is_mapped(array)
        assert not array.flags.writeable


def test_factors_are_stored_for_reading_row_by_row(als_folder: Path) -> None:
    factors = np.load(als_folder / "photo_factors.npy", mmap_mode="r")
    assert factors.dtype == np.float32
    assert factors.flags.c_contiguous


def test_a_bundle_is_json_arrays_and_tables(saved: Path) -> None:
    assert {Path(name).suffix for name in each_file(saved)} == {".json", ".npy", ".parquet", ".arrow"}
    for path in saved.rglob("*.npy"):
        assert not np.load(path, allow_pickle=False).dtype.hasobject


# What taste does, through the bundle that is served


def test_a_favorite_of_a_style_raises_that_style(als_folder: Path) -> None:
    bundle = load_bundle(als_folder)
    styles = np.array([style_of(photo_id) for photo_id in bundle.photo_ids])
    for style in range(3):
        other = [str(p) for p in bundle.photo_ids if style_of(p) != style][:4]
        more = [*other, str(bundle.photo_ids[np.flatnonzero(styles == style)[0]])]
        before, after = (bundle.scores(bundle.history(state_of(favorites))) for favorites in (other, more))
        assert after[styles == style].mean() > before[styles == style].mean()


def test_a_dismissal_of_a_style_lowers_that_style(als_folder: Path) -> None:
    bundle = load_bundle(als_folder)
    of_style = [str(p) for p in bundle.photo_ids if style_of(p) == 1]
    rows = bundle.photo_rows(of_style[4:])
    before, after = (bundle.scores(bundle.history(state_of(of_style[:3], refused))) for refused in ([], [of_style[3]]))
    assert after[rows].mean() < before[rows].mean()
