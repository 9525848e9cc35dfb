"""A champion is loaded when nothing is left to do once: its first request is as any other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from features.errors import CorruptModelError
from serving.champion.loading import load_champion
from tests.serving.conftest import World, of_style, state_of
from training.models.blend import Blend


@pytest.mark.parametrize("kind", ["als", "blend", "neighbor_score", "popularity"])
def test_a_request_finds_everything_computed_that_is_computed_once(world: World, kind: str) -> None:
    champion = load_champion("7", world.bundles[kind])
    bundle = champion.bundle
    parts = [one.model for one in bundle.model.components] if isinstance(bundle.model, Blend) else []
    held: list[object] = [champion, bundle.catalog, bundle.catalog.photos, bundle.catalog.owners, bundle.model, *parts]
    if bundle.followed is not None:
        held.append(bundle.followed)
    before = [sorted(vars(one)) for one in held]
    history = bundle.history(
        state_of("12@N01", of_style(0, 5), dismissed_people=("03@N01",), dismissed_people_times=(0,))
    )
    rows, _ = bundle.top(history, 30)
    bundle.reasons(history, rows)
    bundle.similar(int(rows[0]), 10)
    assert (champion.facts is None) == (kind in ("neighbor_score", "popularity"))
    assert [sorted(vars(one)) for one in held] == before


@pytest.mark.parametrize("missing", ["manifest.json", "photos.arrow", "gram.npy"])
def test_a_bundle_that_lacks_a_file_is_corrupt_and_named(world: World, tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(world.bundles["als"], folder)
    (folder / missing).unlink()
    with pytest.raises(CorruptModelError, match=missing):
        load_champion("1", folder)
