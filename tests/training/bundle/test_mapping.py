"""What of a loaded bundle lies in files that all processes of a machine share, and not in each one's own memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training.bundle import load_bundle
from training.models.als import ALS
from training.models.blend import Blend
from training.models.item_item import ItemItem


def file_of(array: NDArray[np.generic]) -> str:
    """The name of the file that the array's memory is a mapping of; "" for memory of this process, `[heap]` too."""
    address = array.__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, *_, path = f"{line} ".split(" ", maxsplit=5)
        begin, end = (int(part, 16) for part in span.split("-"))
        if begin <= address < end:
            return Path(path.strip()).name if path.strip().startswith("/") else ""
    return ""


def test_memory_of_this_process_is_told_from_a_file() -> None:
    assert file_of(np.zeros(1_000_000)) == ""


def test_photos_owners_and_what_finds_them_are_mapped(saved: Path) -> None:
    catalog = load_bundle(saved).catalog
    ids = np.frombuffer(catalog.photo_ids.__arrow_array__().buffers()[2], dtype=np.uint8)  # type: ignore[union-attr]
    for array in (
        *(ids, catalog.photos.hashes, catalog.photos.places),
        *(catalog.owners.codes, catalog.owners.by_owner),
    ):
        assert file_of(array) == "photos.arrow"


@pytest.mark.parametrize("recipe_of_kind", ["blend"], indirect=True)
def test_factors_and_neighbors_are_mapped(saved: Path) -> None:
    model = load_bundle(saved).model
    assert isinstance(model, Blend)
    for one in model.components:
        if isinstance(one.model, ALS):
            assert file_of(one.model.photo_factors) == "photo_factors.npy"
        if isinstance(one.model, ItemItem):
            assert file_of(one.model.data).endswith("_data.npy")
