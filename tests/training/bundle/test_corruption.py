"""Every kind of corruption of a bundle is found before anything is served, and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from features.errors import CorruptModelError
from tests.training.bundle.conftest import each_file, replace_file, rewrite
from training.bundle import CHECKSUM, MANIFEST, load_bundle
from training.storage import WHAT_TO_DO, digest


def corruption(folder: Path, file: str) -> CorruptModelError:
    """The error of loading; it must name the file and say what to do."""
    with pytest.raises(CorruptModelError) as caught:
        load_bundle(folder)
    assert caught.value.field == Path(file).name
    assert str(folder / file) in caught.value.message
    assert WHAT_TO_DO in caught.value.message
    return caught.value


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


def write_arrow(photos: pa.Table, path: Path) -> None:
    with pa.ipc.new_file(path, photos.schema) as file:
        file.write_table(photos)


def without_map(folder: Path) -> Path:
    """The bundle as it was saved before there was a file to map."""
    (folder / "photos.arrow").unlink()
    rewrite(folder, lambda manifest: manifest["files"].pop("photos.arrow"))
    return folder


CATALOGS = {
    "too few photos": pa.table({"photo_id": ["a"], "owner_id": pa.array(["b"]).dictionary_encode()}),
    "no owners": pa.table({"photo_id": [str(n) for n in range(120)]}),
}


@pytest.mark.parametrize("photos", CATALOGS.values(), ids=CATALOGS.keys())
def test_a_catalog_that_does_not_fit_is_named(als_folder: Path, photos: pa.Table) -> None:
    replace_file(als_folder, "photos.arrow", lambda path: write_arrow(photos, path))
    corruption(als_folder, "photos.arrow")
    replace_file(without_map(als_folder), "photos.parquet", lambda path: pq.write_table(photos, path))
    corruption(als_folder, "photos.parquet")


def test_a_catalog_that_is_no_table_is_named(als_folder: Path) -> None:
    replace_file(als_folder, "photos.arrow", lambda path: path.write_bytes(b"ARROW1 or so"))
    assert "not readable" in corruption(als_folder, "photos.arrow").message
    replace_file(without_map(als_folder), "photos.parquet", lambda path: path.write_bytes(b"PAR1 or so"))
    assert "not readable" in corruption(als_folder, "photos.parquet").message


def test_a_bundle_from_before_there_was_a_file_to_map_is_served_alike(als_folder: Path) -> None:
    mapped = load_bundle(als_folder)
    older = load_bundle(without_map(als_folder))
    assert older.photo_ids.tolist() == mapped.photo_ids.tolist()
    assert older.owner_ids.tolist() == mapped.owner_ids.tolist()
    owners = sorted(set(mapped.owner_ids.tolist()))
    for ours, theirs in zip(mapped.catalog.rows_of_owners(owners), older.catalog.rows_of_owners(owners), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(older.photo_rows(mapped.photo_ids), np.arange(len(mapped.photo_ids)))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    corruption(tmp_path / "nowhere", MANIFEST)
