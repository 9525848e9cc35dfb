"""Walls while the online store is gone, does not answer, or is slow; and while SQL is.

The store is a real redis-server of this module's own, which is stopped, killed and started again.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest
import sqlalchemy as sa

from features.actions import record_action
from features.builds import Build, Builds, new_version
from features.errors import DependencyError
from features.feature_tables import PHOTO_CARD
from features.online import OnlineFeatures
from features.online_store import impatient, online_store_config
from features.schema import Kind
from features.settings import Settings
from pipelines.privacy.tombstones import Reason, bury_photos
from serving.answers import Recommendation
from serving.champion.served import Served
from serving.last_known import ROW_VALUES, VALUES_PER_MB, LastKnown
from serving.ranking.recommender import Recommender
from serving.runtime import Runtime
from tests.serving.conftest import PHOTOS, World, candidates_of, card_of, client_of, of_style, state_of
from tests.serving.unsteady_redis import RedisServer, slow_way_to, until

LONGEST = 0.3
"""Seconds that 99 of 100 walls may take while the store is in trouble; on a machine that has too much else to do, four
times as long as whole walls take."""
HEALED_SECONDS = 10.0
KNOWN, UNKNOWN = "11@N05", "12@N05"


@pytest.fixture(scope="module", autouse=True)
def as_in_the_service() -> Iterator[None]:
    """No collection of garbage looks at what was loaded before."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def server(free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(free_port(), tmp_path_factory.mktemp("redis"))
    online = OnlineFeatures(settings_of(server.url, server.folder))
    online.write_photo_cards(card_of(p) for p in PHOTOS)
    online.write_user_states([state_of(KNOWN, of_style(0, 8))])
    online.write_neighbor_candidates([candidates_of(KNOWN, of_style(1, 20))])
    yield server
    server.thaw()
    server.kill()


def settings_of(address: str, home: Path, **more: object) -> Settings:
    return Settings(home=home, online_store=address, model_poll_seconds=0.2, _env_file=None, **more)  # type: ignore[call-arg,arg-type]


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisServer]:
    """The server, which is well before and after."""
    yield server
    server.thaw()
    if server.process.poll() is not None:
        server.start()


@pytest.fixture
def served(world: World) -> Served:
    return Served(world.champions["als"], world.popular)


@pytest.fixture
def last_known(store: RedisServer, served: Served, tmp_path: Path) -> Iterator[LastKnown]:
    last_known = LastKnown(settings_of(store.url, tmp_path), lambda: served)
    last_known.start()
    yield last_known
    last_known.stop()


@pytest.fixture
def recommender(last_known: LastKnown, served: Served, engine: sa.Engine) -> Recommender:
    return Recommender(engine, last_known, lambda: served)


@dataclass
class Walls:
    """Walls that were asked for, and how long each took."""

    answers: list[Recommendation]
    seconds: list[float]

    @property
    def p99(self) -> float:
        return float(np.quantile(self.seconds, 0.99))


def ask(recommender: Recommender, user_id: str, times: int = 150, at_once: int = 1) -> Walls:
    def one(_: int) -> tuple[Recommendation, float]:
        began = time.perf_counter()
        return recommender.recommend(user_id), time.perf_counter() - began

    with ThreadPoolExecutor(at_once) as pool:
        answers, seconds = zip(*pool.map(one, range(times)), strict=True)
    return Walls(list(answers), list(seconds))


def shown(answer: Recommendation) -> set[str]:
    return {photo.photo_id for photo in answer.photos}


TROUBLES = [RedisServer.kill, RedisServer.freeze]


# Going on


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("at_once", [1, 8])
def test_somebody_who_was_here_keeps_a_wall_made_from_what_was_known(
    recommender: Recommender, store: RedisServer, trouble: Callable[[RedisServer], None], at_once: int
) -> None:
    before = recommender.recommend(KNOWN)
    assert (before.strategy, before.degraded) == ("personalized", False)
    whole = ask(recommender, KNOWN, at_once=at_once)
    trouble(store)
    walls = ask(recommender, KNOWN, at_once=at_once)
    assert walls.p99 <= max(LONGEST, 4 * whole.p99)
    for wall in walls.answers:
        assert (wall.strategy, wall.degraded, wall.coverage) == ("personalized", True, before.coverage)
        assert shown(wall) == shown(before)
        assert wall.reason_photos == before.reason_photos


@pytest.mark.parametrize("trouble", TROUBLES)
def test_somebody_who_was_not_here_gets_what_is_popular(
    recommender: Recommender, store: RedisServer, trouble: Callable[[RedisServer], None]
) -> None:
    whole = ask(recommender, UNKNOWN)
    trouble(store)
    walls = ask(recommender, UNKNOWN)
    assert walls.p99 <= max(LONGEST, 4 * whole.p99)
    assert {(wall.strategy, wall.degraded, len(wall.photos)) for wall in walls.answers} == {("popular", True, 30)}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_walls_are_whole_again_within_seconds_of_the_stores_return(
    recommender: Recommender, store: RedisServer, trouble: Callable[[RedisServer], None]
) -> None:
    trouble(store)
    assert recommender.recommend(KNOWN).degraded
    store.thaw() if trouble is RedisServer.freeze else store.start()
    until(lambda: not recommender.recommend(KNOWN).degraded, HEALED_SECONDS)
    assert recommender.recommend(KNOWN).strategy == "personalized"


def test_nobody_asks_the_store_again_but_the_one_who_looks_for_it(
    recommender: Recommender, store: RedisServer, last_known: LastKnown
) -> None:
    store.freeze()
    recommender.recommend(KNOWN)
    slow = [seconds for seconds in ask(recommender, KNOWN).seconds if seconds >= 0.1]
    assert len(slow) <= 2


@pytest.mark.parametrize("delay", [0.035, 0.07], ids=["within what a read may take", "beyond it"])
def test_a_store_that_answers_slowly_is_not_waited_for_again_and_again(
    recommender: Recommender, store: RedisServer, served: Served, engine: sa.Engine, tmp_path: Path, delay: float
) -> None:
    whole = ask(recommender, KNOWN, times=40)
    with slow_way_to(store.port, delay) as port:
        last_known = LastKnown(settings_of(f"redis://127.0.0.1:{port}/0", tmp_path), lambda: served)
        last_known.start()
        walls = ask(Recommender(engine, last_known, lambda: served), KNOWN, times=40)
        last_known.stop()
    assert walls.p99 <= max(LONGEST, 4 * whole.p99)
    assert all(wall.degraded for wall in walls.answers)


# What must not leak


def test_what_was_dismissed_or_faved_in_the_meantime_stays_away(
    recommender: Recommender, store: RedisServer, engine: sa.Engine
) -> None:
    first = recommender.recommend(KNOWN).photos
    store.freeze()
    for photo, kind in zip(first[:3], (Kind.DISMISS_PHOTO, Kind.FAVORITE, Kind.DISMISS_USER), strict=True):
        named = "" if kind is Kind.DISMISS_USER else photo.photo_id
        record_action(engine, user_id=KNOWN, kind=kind, owner_id=photo.owner_id, photo_id=named)
    wall = recommender.recommend(KNOWN)
    assert wall.degraded
    assert not shown(wall) & {photo.photo_id for photo in first[:2]}
    assert first[2].owner_id not in {photo.owner_id for photo in wall.photos}


def test_what_somebody_unknown_here_dismissed_stays_away(
    recommender: Recommender, store: RedisServer, engine: sa.Engine
) -> None:
    popular = recommender.recommend(UNKNOWN).photos
    record_action(
        engine, user_id=UNKNOWN, kind=Kind.DISMISS_PHOTO, owner_id=popular[0].owner_id, photo_id=popular[0].photo_id
    )
    store.kill()
    wall = recommender.recommend(UNKNOWN)
    assert wall.degraded
    assert popular[0].photo_id not in shown(wall)


def test_what_is_taken_down_in_the_meantime_stays_away(
    recommender: Recommender, store: RedisServer, engine: sa.Engine
) -> None:
    first = recommender.recommend(KNOWN).photos[0].photo_id
    store.kill()
    bury_photos(engine, [first], Reason.TAKEDOWN)
    assert first not in shown(recommender.recommend(KNOWN))


def test_a_row_that_went_away_is_not_remembered(last_known: LastKnown, store: RedisServer) -> None:
    last_known.write_user_states([state_of("13@N05", of_style(0, 3))])
    assert last_known.user_state("13@N05").favorite_ids
    last_known.forget_user("13@N05")
    assert not last_known.user_state("13@N05").favorite_ids
    store.kill()
    assert not last_known.user_state("13@N05").favorite_ids


# What is kept


def test_a_service_that_starts_while_the_store_is_gone_shows_the_popular_photos_of_the_build(
    store: RedisServer, served: Served, engine: sa.Engine, tmp_path: Path
) -> None:
    settings = settings_of(store.url, tmp_path)
    builds, now = Builds(settings.lake_uri), datetime.now(UTC)
    build = Build(new_version(now), now, {}, {})
    builds.write(build.version, PHOTO_CARD.name, cards_table(now))
    builds.publish(build)
    store.kill()
    last_known = LastKnown(settings, lambda: served)
    last_known.start()
    wall = Recommender(engine, last_known, lambda: served).recommend(UNKNOWN)
    last_known.stop()
    assert (wall.strategy, wall.degraded, len(wall.photos)) == ("popular", True, 30)
    assert wall.photos[0].sizes == card_of(wall.photos[0].photo_id).sizes


def test_what_is_remembered_keeps_within_its_memory(store: RedisServer, served: Served, tmp_path: Path) -> None:
    last_known = LastKnown(settings_of(store.url, tmp_path, last_known_mb=1), lambda: served)
    people = [f"{number}@N06" for number in range(40)]
    last_known.write_user_states(state_of(user, PHOTOS * 2) for user in people)
    last_known.write_user_states([state_of("99@N06", PHOTOS * 40)])
    last_known.start()
    for user in [*people, "99@N06"]:
        assert last_known.user_state(user).favorite_ids
    store.kill()
    remembered = [user for user in people if last_known.user_state(user).favorite_ids]
    last_known.stop()
    # The newest ones; a row that is larger than all that may be kept pushes nobody out.
    assert remembered == people[-(VALUES_PER_MB // (6 * len(PHOTOS) + ROW_VALUES)) :]


def test_until_it_is_started_a_store_that_is_gone_is_an_error(
    store: RedisServer, served: Served, tmp_path: Path
) -> None:
    last_known = LastKnown(settings_of(store.url, tmp_path), lambda: served)
    store.kill()
    with pytest.raises(DependencyError, match="the online store can't be used"):
        last_known.user_state(KNOWN)


def test_the_wait_for_redis_is_as_long_as_its_address_says_where_it_says_so(tmp_path: Path) -> None:
    said = impatient(settings_of("redis://host:6379/1?socket_timeout=3", tmp_path), 0.1)
    assert "socket_timeout=3," in online_store_config(said).connection_string + ","
    assert "socket_connect_timeout=0.1" in online_store_config(said).connection_string
    embedded = Settings(home=tmp_path, _env_file=None)  # type: ignore[call-arg]
    assert impatient(embedded, 0.1) == embedded


# SQL


def test_without_sql_a_wall_is_refused_rather_than_shown_without_the_newest_dismissals(runtime: Runtime) -> None:
    with client_of(runtime) as client:
        path = f"/api/users/{UNKNOWN}/recommendations"
        assert client.get(path).status_code == 200
        lose_database(runtime)
        refused = client.get(path)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "database_gone")
    assert int(refused.headers["Retry-After"]) > 0


def lose_database(runtime: Runtime) -> None:
    runtime.engine.dispose()
    path = runtime.settings.home / "photo_recommender.db"
    path.rename(path.with_suffix(".away"))
    path.mkdir()


def cards_table(now: datetime) -> pa.Table:
    rows = [
        {
            **vars(card_of(photo)),
            "sizes": orjson.dumps(card_of(photo).sizes).decode(),
            "event_timestamp": now,
            "created_timestamp": now,
        }
        for photo in PHOTOS
    ]
    return pa.Table.from_pylist(rows, schema=PHOTO_CARD.schema)
