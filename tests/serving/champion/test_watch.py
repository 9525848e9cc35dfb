"""Which model is served, and what becomes of requests while it is replaced, broken or out of reach."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from features.batch import PopularPhotos
from features.errors import DependencyError
from features.settings import Settings
from serving.champion.loading import load_champion
from serving.champion.served import Served
from serving.champion.watch import ChampionWatch
from serving.ranking.recommender import Recommender
from tests.serving.champion.conftest import DOWN, served
from tests.serving.conftest import Registry, World, of_style, state_of


@pytest.fixture
def watch(settings: Settings, registry: Registry, world: World) -> ChampionWatch:
    """A watch that has looked once."""
    watch = ChampionWatch(settings, registry.find, lambda _: world.popular)
    watch.refresh()
    return watch


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


@pytest.mark.parametrize("kind", ["als", "neighbor_score", "popularity"])
def test_every_kind_of_model_can_be_champion(world: World, engine: sa.Engine, kind: str) -> None:
    champion = load_champion("5", world.bundles[kind])
    recommender = Recommender(engine, world.online, lambda: Served(champion, world.popular))
    world.online.write_user_states([state_of("84@N09", of_style(0, 8))])
    answer = recommender.recommend("84@N09")
    assert (answer.model_version, len(answer.photos)) == ("5", 30)
