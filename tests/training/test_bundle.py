"""The bundle: whole or not at all on disk, memory-mapped when loaded, and every kind of corruption named."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from features.errors import CorruptModelError
from features.user_state import UserState
from tests.training.conftest import START, recipe_of, style_of
from training.bundle import CHECKSUM, MANIFEST, Bundle, load_bundle, save_bundle
from training.interactions import Interactions
from training.models.blend import Blend
from training.models.interface import Model, reasons_of, scores_of
from training.models.recipes import MODELS, Recipe, fit
from training.storage import WHAT_TO_DO, checksums, digest

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


# What was saved is what is loaded


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
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable


def test_factors_are_stored_for_reading_row_by_row(als_folder: Path) -> None:
    factors = np.load(als_folder / "photo_factors.npy", mmap_mode="r")
    assert factors.dtype == np.float32
    assert factors.flags.c_contiguous


def test_a_bundle_is_json_arrays_and_parquet(saved: Path) -> None:
    assert {Path(name).suffix for name in each_file(saved)} == {".json", ".npy", ".parquet"}
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


# Corruption is found before anything is served, and named


def corruption(folder: Path, file: str) -> CorruptModelError:
    """The error of loading; it must name the file and say what to do."""
    with pytest.raises(CorruptModelError) as caught:
        load_bundle(folder)
    assert caught.value.field == Path(file).name
    assert str(folder / file) in caught.value.message
    assert WHAT_TO_DO in caught.value.message
    return caught.value


def each_file(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_missing_file_is_named(folder: Path) -> None:
    for name in each_file(folder):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        assert "missing" in corruption(folder, name).message
        (folder / name).write_bytes(content)
    load_bundle(folder)


@pytest.mark.parametrize("part", [0, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_named(folder: Path, part: float) -> None:
    for name in each_file(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * part)])
        corruption(folder, name)
        (folder / name).write_bytes(content)
    load_bundle(folder)


def test_a_flipped_byte_is_named_wherever_it_is(folder: Path) -> None:
    for name in set(each_file(folder)) - {MANIFEST}:
        content = (folder / name).read_bytes()
        for position in (0, len(content) // 2, len(content) - 1):
            flipped = bytearray(content)
            flipped[position] ^= 0x10
            (folder / name).write_bytes(flipped)
            assert "checksum" in corruption(folder, name).message
        (folder / name).write_bytes(content)
    load_bundle(folder)


def test_a_flipped_byte_of_the_manifest_is_found_unless_it_says_the_same(als_folder: Path) -> None:
    content, manifest = (als_folder / MANIFEST).read_bytes(), load_bundle(als_folder).manifest
    found = 0
    for position in range(0, len(content), 29):
        flipped = bytearray(content)
        flipped[position] ^= 0x01
        (als_folder / MANIFEST).write_bytes(flipped)
        try:
            assert load_bundle(als_folder).manifest == manifest
        except CorruptModelError as error:
            assert error.field == MANIFEST
            found += 1
    assert found > len(content) / 29 / 2


def test_a_digit_changed_in_the_manifest_is_found(als_folder: Path) -> None:
    text = (als_folder / MANIFEST).read_text()
    assert '"regularization": 1.0' in text
    (als_folder / MANIFEST).write_text(text.replace('"regularization": 1.0', '"regularization": 9.0'))
    assert "checksum" in corruption(als_folder, MANIFEST).message


def test_a_folder_in_place_of_a_file_is_named(folder: Path) -> None:
    for name in each_file(folder):
        kept = (folder / name).rename(folder.with_name("kept"))
        (folder / name).mkdir()
        corruption(folder, name)
        (folder / name).rmdir()
        kept.rename(folder / name)


@pytest.mark.parametrize("text", ["", "{", "not JSON", "\x00", '{"format": 1'])
def test_a_manifest_that_is_no_json_is_named(als_folder: Path, text: str) -> None:
    (als_folder / MANIFEST).write_text(text)
    assert "not readable as JSON" in corruption(als_folder, MANIFEST).message


@pytest.mark.parametrize("text", ["[]", "1", '"manifest"', "null"])
def test_a_manifest_that_is_no_object_is_named(als_folder: Path, text: str) -> None:
    (als_folder / MANIFEST).write_text(text)
    assert "instead of an object" in corruption(als_folder, MANIFEST).message


def test_a_manifest_of_another_format_is_refused(als_folder: Path) -> None:
    rewrite(als_folder, lambda manifest: manifest.update(format=2))
    assert "format 2, this program reads 1" in corruption(als_folder, MANIFEST).message


@pytest.mark.parametrize(
    "change",
    [
        {"components": []},
        {"components": [{"kind": "oracle", "weight": 1.0, "parameters": {}}]},
        {"components": [{"kind": "als", "weight": 1.0, "parameters": {}}]},
        {"components": [{"kind": "als", "weight": 1.0, "parameters": {"factors": 8, "regularization": 1}}]},
        {"components": "als"},
        {"files": ["photos.parquet"]},
        {"files": {"photos.parquet": "sha256"}},
        {"n_photos": None},
    ],
    ids=str,
)
def test_a_manifest_with_something_else_than_is_expected_is_named(als_folder: Path, change: dict[str, Any]) -> None:
    rewrite(als_folder, lambda manifest: manifest.update(change))
    assert "not a manifest of this program" in corruption(als_folder, MANIFEST).message


@pytest.mark.parametrize("name", ["format", "files", "n_photos", "components", "bundle_id", CHECKSUM])
def test_a_manifest_without_an_entry_is_named(als_folder: Path, name: str) -> None:
    manifest = json.loads((als_folder / MANIFEST).read_text())
    del manifest[name]
    signed = {key: value for key, value in manifest.items() if key != CHECKSUM}
    if name != CHECKSUM:
        signed[CHECKSUM] = digest(signed)
    (als_folder / MANIFEST).write_text(json.dumps(signed))
    assert name in corruption(als_folder, MANIFEST).message


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("photo_factors.npy", np.zeros((119, 8), dtype=np.float32)),
        ("photo_factors.npy", np.zeros((120, 9), dtype=np.float32)),
        ("photo_factors.npy", np.zeros((120, 8), dtype=np.float64)),
        ("photo_factors.npy", np.zeros(120 * 8, dtype=np.float32)),
        ("gram.npy", np.zeros((7, 8), dtype=np.float32)),
        ("photo_degrees.npy", np.zeros(121, dtype=np.float32)),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.dtype}{value.shape}",
)
def test_an_array_of_another_shape_or_type_is_named(als_folder: Path, name: str, array: NDArray[Any]) -> None:
    replace_file(als_folder, name, lambda path: np.save(path, array))
    assert f"{array.dtype} {array.shape} instead of float32" in corruption(als_folder, name).message


class Pickled:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.trace,)


def test_a_pickle_in_place_of_an_array_is_refused_and_not_run(als_folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "unpickled"
    objects = np.array([Pickled(trace)] * 120, dtype=object)
    replace_file(als_folder, "photo_degrees.npy", lambda path: np.save(path, objects, allow_pickle=True))
    corruption(als_folder, "photo_degrees.npy")
    assert not trace.exists()
    np.load(als_folder / "photo_degrees.npy", allow_pickle=True)
    assert trace.exists()


def test_a_file_that_is_no_array_is_named(als_folder: Path) -> None:
    replace_file(als_folder, "gram.npy", lambda path: path.write_bytes(b"no array"))
    assert "not a whole array" in corruption(als_folder, "gram.npy").message


@pytest.mark.parametrize(
    "photos",
    [
        pa.table({"photo_id": ["a"], "owner_id": ["b"]}),
        pa.table({"photo_id": [str(n) for n in range(120)]}),
    ],
    ids=["too few photos", "no owners"],
)
def test_a_catalog_that_does_not_fit_is_named(als_folder: Path, photos: pa.Table) -> None:
    replace_file(als_folder, "photos.parquet", lambda path: pq.write_table(photos, path))
    corruption(als_folder, "photos.parquet")


def test_a_catalog_that_is_no_parquet_is_named(als_folder: Path) -> None:
    replace_file(als_folder, "photos.parquet", lambda path: path.write_bytes(b"PAR1 or so"))
    assert "not readable as Parquet" in corruption(als_folder, "photos.parquet").message


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    corruption(tmp_path / "nowhere", MANIFEST)


# Whole or not at all


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
