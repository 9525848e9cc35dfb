"""Which model is served, and what becomes of requests while it is replaced, broken or out of reach."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY

from features.batch import PopularPhotos
from features.errors import CorruptModelError, DependencyError
from features.settings import Settings
from serving.champion import watch as watching
from serving.champion.loading import load_champion
from serving.champion.served import Served
from serving.champion.watch import ChampionWatch
from serving.ranking.recommender import Recommender
from tests.serving.conftest import Registry, World, of_style, state_of

POPULAR = PopularPhotos(("1",), ("12@N01",), (1.0,))
DOWN = DependencyError("MLflow at http://mlflow:5000 can't be used: ConnectionError")


@pytest.fixture
def registry(world: World) -> Registry:
    return Registry(("1", world.bundles["als"]))


@pytest.fixture
def watch(settings: Settings, registry: Registry, world: World) -> ChampionWatch:
    """A watch that has looked once."""
    watch = ChampionWatch(settings, registry.find, lambda _: world.popular)
    watch.refresh()
    return watch


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


def test_the_champion_is_served(watch: ChampionWatch) -> None:
    assert served(watch) == ("1", "als", None)


def test_a_new_champion_takes_the_place_of_the_one_before(
    watch: ChampionWatch, registry: Registry, world: World, logs: list[Any]
) -> None:
    registry.found = ("2", world.bundles["neighbor_score"])
    watch.refresh()
    assert served(watch) == ("2", "neighbor_score", None)
    changed = [entry for entry in logs if entry["event"] == "champion_changed"]
    assert [(entry["before"], entry["version"]) for entry in changed] == [(None, "1"), ("1", "2")]


def test_the_same_champion_is_not_loaded_again(watch: ChampionWatch) -> None:
    before = watch.served.champion
    watch.refresh()
    assert watch.served.champion is before


def test_a_request_keeps_the_model_that_it_began_with(watch: ChampionWatch, registry: Registry, world: World) -> None:
    began_with = watch.served
    registry.found = ("2", world.bundles["popularity"])
    watch.refresh()
    assert began_with.champion is not None
    assert began_with.champion.version == "1"


def test_a_broken_bundle_leaves_the_champion_in_place_and_says_why(
    watch: ChampionWatch, registry: Registry, broken: Path
) -> None:
    registry.found = ("2", broken)
    watch.refresh()
    version, kind, error = served(watch)
    assert (version, kind) == ("1", "als")
    assert error is not None
    assert "photo_factors.npy" in error


def test_a_broken_bundle_is_logged_once_and_not_at_every_look(
    watch: ChampionWatch, registry: Registry, broken: Path, logs: list[Any]
) -> None:
    registry.found = ("2", broken)
    for _ in range(3):
        watch.refresh()
    failures = [entry for entry in logs if entry["event"] == "champion_not_loaded"]
    assert [entry["kept"] for entry in failures] == ["1"]


def test_after_a_broken_bundle_the_next_good_one_is_served(
    watch: ChampionWatch, registry: Registry, broken: Path, world: World
) -> None:
    registry.found = ("2", broken)
    watch.refresh()
    registry.found = ("3", world.bundles["popularity"])
    watch.refresh()
    assert served(watch) == ("3", "popularity", None)


@pytest.mark.parametrize("error", [DOWN, OSError(5, "Input/output error"), KeyError("version")])
def test_a_registry_in_trouble_keeps_the_champion_serving(
    watch: ChampionWatch, registry: Registry, error: Exception
) -> None:
    registry.error = error
    watch.refresh()
    version, kind, reason = served(watch)
    assert (version, kind) == ("1", "als")
    assert reason
    registry.error = None
    watch.refresh()
    assert served(watch) == ("1", "als", None)


def test_popular_photos_that_cannot_be_read_are_kept_as_they_were(
    settings: Settings, registry: Registry, world: World
) -> None:
    answers = iter([world.popular])

    def popular(_: Settings) -> PopularPhotos:
        try:
            return next(answers)
        except StopIteration:
            raise DependencyError("features below s3://lake can't be read") from None

    watch = ChampionWatch(settings, registry.find, popular)
    watch.refresh()
    watch.refresh()
    assert watch.served.popular == world.popular
    assert served(watch) == ("1", "als", "features below s3://lake can't be read")


def test_a_service_that_starts_while_popular_photos_cannot_be_read_has_its_champion(
    settings: Settings, registry: Registry
) -> None:
    def popular(_: Settings) -> PopularPhotos:
        raise DependencyError("features below s3://lake can't be read")

    watch = ChampionWatch(settings, registry.find, popular)
    watch.refresh()
    assert served(watch) == ("1", "als", "features below s3://lake can't be read")


def test_a_champion_taken_back_is_no_longer_served(watch: ChampionWatch, registry: Registry) -> None:
    registry.found = None
    watch.refresh()
    assert served(watch) == (None, None, None)


def test_without_a_champion_the_wall_is_what_is_popular(settings: Settings, world: World, engine: sa.Engine) -> None:
    watch = ChampionWatch(settings, Registry().find, lambda _: world.popular)
    watch.refresh()
    answer = Recommender(engine, world.online, lambda: watch.served).recommend("81@N09")
    assert (answer.strategy, answer.model_version, len(answer.photos)) == ("popular", None, 30)


def test_a_champion_that_was_never_loaded_makes_the_wall_degraded(
    settings: Settings, world: World, engine: sa.Engine, broken: Path
) -> None:
    watch = ChampionWatch(settings, Registry(("1", broken)).find, lambda _: world.popular)
    watch.refresh()
    answer = Recommender(engine, world.online, lambda: watch.served).recommend("82@N09")
    assert (answer.strategy, answer.degraded) == ("popular", True)


def test_starting_waits_for_the_first_look_and_new_champions_are_found_from_then_on(
    settings: Settings, registry: Registry, world: World
) -> None:
    looked = threading.Semaphore(0)

    def popular(_: Settings) -> PopularPhotos:
        looked.release()
        return world.popular

    watch = ChampionWatch(settings.model_copy(update={"model_poll_seconds": 0.01}), registry.find, popular)
    watch.start()
    assert served(watch) == ("1", "als", None)
    registry.found = ("2", world.bundles["popularity"])
    for _ in range(3):  # the look that may be under way, and one from its beginning to its end
        assert looked.acquire(timeout=10)
    watch.stop()
    assert served(watch) == ("2", "popularity", None)


def test_requests_go_on_while_champions_change(
    settings: Settings, registry: Registry, world: World, engine: sa.Engine
) -> None:
    watch = ChampionWatch(settings, registry.find, lambda _: world.popular)
    watch.refresh()
    recommender = Recommender(engine, world.online, lambda: watch.served)
    world.online.write_user_states([state_of("83@N09", of_style(0, 8))])
    stop = threading.Event()

    def change() -> None:
        for version in range(2, 1000):
            registry.found = (str(version), world.bundles["als" if version % 2 else "neighbor_score"])
            watch.refresh()
            if stop.wait(0.001):
                return

    changing = threading.Thread(target=change)
    changing.start()
    try:
        answers = [recommender.recommend("83@N09", limit=10) for _ in range(60)]
    finally:
        stop.set()
        changing.join()
    assert all(len(answer.photos) == 10 for answer in answers)
    assert len({answer.model_version for answer in answers}) > 1


@pytest.mark.parametrize("missing", ["manifest.json", "photos.arrow", "gram.npy"])
def test_a_bundle_that_lacks_a_file_is_corrupt_and_named(world: World, tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(world.bundles["als"], folder)
    (folder / missing).unlink()
    with pytest.raises(CorruptModelError, match=missing):
        load_champion("1", folder)


@pytest.mark.parametrize("kind", ["als", "neighbor_score", "popularity"])
def test_every_kind_of_model_can_be_champion(world: World, engine: sa.Engine, kind: str) -> None:
    champion = load_champion("5", world.bundles[kind])
    recommender = Recommender(engine, world.online, lambda: Served(champion, world.popular))
    world.online.write_user_states([state_of("84@N09", of_style(0, 8))])
    answer = recommender.recommend("84@N09")
    assert (answer.model_version, len(answer.photos)) == ("5", 30)


# Beginning without the registry


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


# The challenger


def test_a_challenger_is_loaded_only_where_it_gets_a_share(
    settings: Settings, registry: Registry, world: World
) -> None:
    challenger = Registry(("8", world.bundles["neighbor_score"]))
    without = ChampionWatch(settings, registry.find, lambda _: world.popular, challenger.find)
    without.refresh()
    assert without.served.challenger is None
    shared = settings.model_copy(update={"challenger_share": 20.0})
    watch = ChampionWatch(shared, registry.find, lambda _: world.popular, challenger.find)
    watch.refresh()
    assert watch.served.challenger is not None
    assert (watch.served.challenger.version, watch.served.challenger_share) == ("8", 20.0)
    challenger.found = None
    watch.refresh()
    assert watch.served.challenger is None


def test_a_challenger_that_can_not_be_loaded_leaves_all_walls_to_the_champion(
    settings: Settings, registry: Registry, world: World, broken: Path
) -> None:
    shared = settings.model_copy(update={"challenger_share": 20.0})
    watch = ChampionWatch(shared, registry.find, lambda _: world.popular, Registry(("8", broken)).find)
    watch.refresh()
    version, _, error = served(watch)
    assert (version, watch.served.challenger) == ("1", None)
    assert error is not None
    assert error.startswith("challenger: ")
