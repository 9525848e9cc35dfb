"""What a service begins with while the registry can't say what is champion: a copy on this machine, or the floor."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from features.batch import PopularPhotos
from features.settings import Settings
from serving.champion import watch as watching
from serving.champion.watch import ChampionWatch
from tests.serving.champion.conftest import DOWN, served
from tests.serving.conftest import Registry, World

POPULAR = PopularPhotos(("1",), ("12@N01",), (1.0,))


@pytest.fixture
def copies(settings: Settings, world: World) -> Settings:
    """Settings whose machine has copies of the versions 3, 4 and 5; 4 was champion last, 5 is the newest and broken."""
    models = settings.home / "models"
    for version, kind in (("3", "als"), ("4", "neighbor_score"), ("5", "popularity")):
        shutil.copytree(world.bundles[kind], models / f"{version}-abc")
    (models / "5-abc" / "photos.arrow").write_bytes(b"ARROW1")
    (settings.home / "last-champion").write_text("4-abc")
    return settings


def stand_in() -> float | None:
    return REGISTRY.get_sample_value("photo_recommender_model_stand_in")


def test_a_service_that_starts_without_the_registry_begins_with_the_last_champion(
    copies: Settings, registry: Registry, world: World
) -> None:
    registry.error = DOWN
    watch = ChampionWatch(copies, registry.find, lambda _: world.popular)
    watch.refresh()
    assert served(watch) == ("4", "neighbor_score", DOWN.message)
    assert stand_in() == 1
    registry.error, registry.found = None, ("6", world.bundles["als"])
    watch.refresh()
    assert served(watch) == ("6", "als", None)
    assert stand_in() == 0


def test_what_stood_in_is_the_champion_once_the_registry_says_so(
    copies: Settings, registry: Registry, world: World
) -> None:
    registry.error = DOWN
    watch = ChampionWatch(copies, registry.find, lambda _: world.popular)
    watch.refresh()
    before = watch.served.champion
    registry.error, registry.found = None, ("4", Path("/nowhere"))
    watch.refresh()
    assert watch.served.champion is before
    assert (served(watch), stand_in()) == (("4", "neighbor_score", None), 0)


def test_without_a_last_champion_the_newest_copy_that_is_whole_stands_in(
    copies: Settings, registry: Registry, world: World
) -> None:
    (copies.home / "last-champion").unlink()
    shutil.rmtree(copies.home / "models" / "3-abc")
    registry.error = DOWN
    watch = ChampionWatch(copies, registry.find, lambda _: world.popular)
    watch.refresh()
    assert served(watch) == ("4", "neighbor_score", DOWN.message)


def test_a_champion_that_was_taken_back_does_not_come_again_as_a_stand_in(
    copies: Settings, registry: Registry, world: World
) -> None:
    registry.found = None
    watch = ChampionWatch(copies, registry.find, lambda _: world.popular)
    watch.refresh()
    registry.error = DOWN
    watch.refresh()
    assert served(watch) == (None, None, DOWN.message)


def test_without_any_copy_the_floor_stands_in(settings: Settings, registry: Registry, world: World) -> None:
    floor = settings.model_copy(update={"model_floor": str(world.bundles["popularity"])})
    registry.error = DOWN
    watch = ChampionWatch(floor, registry.find, lambda _: world.popular)
    watch.refresh()
    version, kind, error = served(watch)
    assert watch.served.champion is not None
    assert version == watch.served.champion.bundle.manifest["bundle_id"]
    assert (kind, error, stand_in()) == ("popularity", DOWN.message, 1)


def test_the_floor_is_served_where_there_is_no_champion_at_all(
    settings: Settings, registry: Registry, world: World
) -> None:
    floor = settings.model_copy(update={"model_floor": str(world.bundles["popularity"])})
    watch = ChampionWatch(floor, registry.find, lambda _: world.popular)
    registry.found = None
    for _ in range(2):
        watch.refresh()
        assert served(watch)[1:] == ("popularity", None)
    registry.found = ("1", world.bundles["als"])
    watch.refresh()
    assert served(watch) == ("1", "als", None)


def test_a_broken_floor_leaves_what_is_popular(settings: Settings, registry: Registry, broken: Path) -> None:
    registry.error = DOWN
    watch = ChampionWatch(settings.model_copy(update={"model_floor": str(broken)}), registry.find, lambda _: POPULAR)
    watch.refresh()
    assert (served(watch), watch.served.popular) == ((None, None, DOWN.message), POPULAR)


def test_a_registry_that_hangs_delays_the_start_a_little_and_no_request(
    copies: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "FIRST_LOOK_SECONDS_WITH_STAND_IN", 0.2)
    goes_on = threading.Event()

    def hang(_: Settings) -> tuple[str, Path]:
        goes_on.wait(60)
        return "6", world.bundles["als"]

    often = copies.model_copy(update={"model_poll_seconds": 0.01})
    watch = ChampionWatch(often, hang, lambda _: world.popular)
    began = time.monotonic()
    watch.start()
    assert time.monotonic() - began < 10
    version, _, error = served(watch)
    assert (version, stand_in(), watch.served.popular) == ("4", 1, world.popular)
    assert error is not None
    assert "has not named its champion" in error
    goes_on.set()
    deadline = time.monotonic() + 20
    while served(watch) != ("6", "als", None):
        assert time.monotonic() < deadline, served(watch)
        time.sleep(0.01)
    watch.stop()
