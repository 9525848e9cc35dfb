"""A registry that says what a test sets, a bundle that is broken, and what a watch serves in short."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from features.errors import DependencyError
from serving.champion.watch import ChampionWatch
from tests.serving.conftest import Registry, World

DOWN = DependencyError("MLflow at http://mlflow:5000 can't be used: ConnectionError")


@pytest.fixture
def registry(world: World) -> Registry:
    return Registry(("1", world.bundles["als"]))


@pytest.fixture
def broken(world: World, tmp_path: Path) -> Path:
    """A bundle of which one byte was changed on the way."""
    folder = tmp_path / "broken"
    shutil.copytree(world.bundles["als"], folder)
    factors = folder / "photo_factors.npy"
    content = bytearray(factors.read_bytes())
    content[-1] ^= 1
    factors.write_bytes(content)
    return folder


def served(watch: ChampionWatch) -> tuple[str | None, str | None, str | None]:
    """(version, kind, error) of what is served."""
    champion = watch.served.champion
    if champion is None:
        return None, None, watch.served.error
    return champion.version, champion.bundle.kind, watch.served.error
