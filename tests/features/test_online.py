"""Online features, the same suite on SQLite and on a real Redis: what is written is read, and the newest row wins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from features.batch import build_features
from features.errors import ConfigurationError, DependencyError
from features.lake import Lake
from features.online import NeighborCandidates, OnlineFeatures, PhotoCard, UserCard, materialize
from features.settings import Settings
from features.snapshots import user_states
from features.user_state import UserState

NOW = datetime(2026, 3, 31, 12, 0, 0, 123456, tzinfo=UTC)

STATE = UserState(
    user_id="12037949754@N01",
    favorite_ids=("1", "2"),
    favorite_owners=("a", "b"),
    favorite_times=(1_700_000_000, 1_700_000_001),
    dismissed_ids=("3",),
    dismissed_owners=("c",),
    dismissed_times=(1_700_000_002,),
    dismissed_people=("d",),
    dismissed_people_times=(1_700_000_003,),
    contacts=("e", "f"),
    watermark=17,
    updated_at=NOW,
)
CANDIDATES = NeighborCandidates("u", ("p", "q"), ("a", "b"), (2.5, 1.25), ("n",), (3.75,), (4,), 0.5, NOW)
CARD = PhotoCard(
    photo_id="p",
    owner_id="a",
    owner_name="Ansel Ä. ☼",
    title="",
    image_url="https://pictures.example/p.jpg",
    sizes={"m": {"url": "https://pictures.example/m.jpg", "width": 240, "height": 160}},
    page_url="https://flickr.example/p",
    width=1024,
    height=683,
    tags="sea",
    safety_level=0,
    uploaded_at=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
    gone_at=None,
)


@pytest.fixture
def online(online_settings: Settings) -> OnlineFeatures:
    return OnlineFeatures(online_settings)


def test_before_anything_is_written_nobody_has_a_row(online: OnlineFeatures) -> None:
    assert online.user_state("u") == UserState.empty("u")
    assert online.neighbor_candidates("u") is None
    assert online.photo_cards(["p"]) == {}
    assert online.photo_cards([]) == {}
    assert online.user_cards(["u"]) == {}


def test_a_snapshot_comes_back_whole(online: OnlineFeatures) -> None:
    assert online.write_user_states([STATE]) == 1
    assert online.user_state(STATE.user_id) == STATE


def test_a_snapshot_with_nothing_in_it_is_still_a_snapshot(online: OnlineFeatures) -> None:
    empty = UserState(user_id="u", watermark=-1, updated_at=NOW)
    online.write_user_states([empty])
    assert online.user_state("u") == empty


def test_candidates_come_back_whole(online: OnlineFeatures) -> None:
    online.write_neighbor_candidates([CANDIDATES])
    assert online.neighbor_candidates("u") == CANDIDATES


def test_cards_come_back_whole_and_only_those_that_exist(online: OnlineFeatures) -> None:
    bare = PhotoCard(photo_id="bare", owner_id="a", owner_name="a", title="t", image_url="i")
    assert online.write_photo_cards([CARD, bare]) == 2
    assert online.photo_cards(["p", "none", "bare", "p"]) == {"p": CARD, "bare": bare}
    user = UserCard("u", "User", None, "https://pictures.example/u.jpg")
    online.write_user_cards([user])
    assert online.user_cards(["u", "v"]) == {"u": user}


def test_an_older_row_changes_nothing_and_a_newer_one_replaces_all(online: OnlineFeatures) -> None:
    online.write_user_states([STATE])
    online.write_user_states([UserState(user_id=STATE.user_id, updated_at=NOW - timedelta(microseconds=1))])
    assert online.user_state(STATE.user_id) == STATE
    newer = UserState(user_id=STATE.user_id, updated_at=NOW + timedelta(microseconds=1))
    online.write_user_states([newer])
    found = online.user_state(STATE.user_id)
    assert found.favorite_ids == ()
    assert found.watermark == -1


def test_thousands_of_favorites_and_hundreds_of_cards_fit(online: OnlineFeatures) -> None:
    many = tuple(str(i) for i in range(20_000))
    state = replace(STATE, favorite_ids=many, favorite_owners=many, favorite_times=tuple(range(20_000)))
    online.write_user_states([state])
    assert online.user_state(STATE.user_id) == state
    cards = [replace(CARD, photo_id=str(i)) for i in range(1_200)]
    assert online.write_photo_cards(cards) == 1_200
    assert online.photo_cards([card.photo_id for card in cards]) == {card.photo_id: card for card in cards}


def test_threads_read_and_write_at_once(online: OnlineFeatures) -> None:
    failures: list[Exception] = []

    def work(name: str) -> None:
        try:
            for i in range(20):
                moment = NOW + timedelta(seconds=i)
                online.write_user_states([replace(STATE, user_id=name, watermark=i, updated_at=moment)])
                assert online.user_state(name).watermark == i
        except Exception as error:  # noqa: BLE001  (told to the main thread)
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"u{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_materialize_puts_the_build_online_as_the_lake_says_it(online_settings: Settings, small_lake: Lake) -> None:
    built = build_features(small_lake, online_settings)
    told: dict[str, tuple[int, int]] = {}
    rows = materialize(online_settings, built, lambda view, done, total: told.update({view: (done, total)}))
    assert rows["user_snapshot"] == 3
    assert rows["photo_popularity"] == 6  # the newest row of each photo, of all the days that were built
    assert told == {view: (count, count) for view, count in rows.items()}
    online = OnlineFeatures(online_settings)
    for fresh in user_states(small_lake, ["a", "b", "c"]):
        assert online.user_state(fresh.user_id) == replace(fresh, updated_at=built.built_at)
    candidates = online.neighbor_candidates("a")
    assert candidates is not None
    assert candidates.photo_ids == ("x1", "c2")
    assert online.photo_cards(["b1"])["b1"].owner_name == "user b"
    assert materialize(online_settings, built) == rows


def test_materialize_leaves_what_a_worker_wrote_after_the_build(online_settings: Settings, small_lake: Lake) -> None:
    built = build_features(small_lake, online_settings)
    online = OnlineFeatures(online_settings)
    newer = replace(STATE, user_id="a", updated_at=built.built_at + timedelta(microseconds=1))
    online.write_user_states([newer])
    materialize(online_settings, built)
    assert online.user_state("a") == newer


def test_feast_reads_the_same_rows(online_settings: Settings, small_lake: Lake) -> None:
    from features.feast_registry import open_store

    materialize(online_settings, build_features(small_lake, online_settings))
    store = open_store(online_settings)
    wall = store.get_online_features(
        features=store.get_feature_service("wall"), entity_rows=[{"user_id": "a"}, {"user_id": "nobody"}]
    ).to_dict()
    online = OnlineFeatures(online_settings)
    assert tuple(wall["favorite_ids"][0]) == online.user_state("a").favorite_ids
    assert wall["watermark"] == [-1, None]
    candidates = online.neighbor_candidates("a")
    assert candidates is not None
    assert tuple(wall["photo_scores"][0]) == candidates.photo_scores
    card = store.get_online_features(
        features=store.get_feature_service("card"), entity_rows=[{"photo_id": "b1"}]
    ).to_dict()
    assert card["title"] == ["photo b1"]


def test_the_registry_knows_what_time_the_online_rows_are_of(online_settings: Settings, small_lake: Lake) -> None:
    from features.feast_registry import open_store

    built = build_features(small_lake, online_settings)
    materialize(online_settings, built)
    materialize(online_settings, built)
    for view in open_store(online_settings).list_feature_views():
        assert [end for _, end in view.materialization_intervals] == [built.built_at]


def test_a_redis_that_does_not_answer_is_one_clear_error(settings: Settings, free_port: Callable[[], int]) -> None:
    away = settings.model_copy(update={"online_store": f"redis://:secret@127.0.0.1:{free_port()}/0"})
    with pytest.raises(DependencyError, match="online store") as raised:
        OnlineFeatures(away).user_state("u")
    assert "secret" not in raised.value.message


@pytest.mark.parametrize("address", ["postgres://x", "memcached://h", "redis://:a%2Cb@h"])
def test_an_address_that_is_no_online_store_is_refused(settings: Settings, address: str) -> None:
    with pytest.raises(ConfigurationError, match="PHOTO_RECOMMENDER_ONLINE_STORE"):
        OnlineFeatures(settings.model_copy(update={"online_store": address}))


def test_the_address_of_redis_reaches_feast_whole(settings: Settings) -> None:
    from features.online_store import online_store_config

    address = "rediss://user:p%40ss@cache.example:6390/3?socket_timeout=2"
    config = online_store_config(settings.model_copy(update={"online_store": address}))
    options = "db=3,retry=null,socket_timeout=2,socket_connect_timeout=2,username=user,password=p@ss,ssl=true"
    assert config.connection_string == f"cache.example:6390,{options}"


def test_a_database_that_is_no_database_is_one_clear_error(settings: Settings) -> None:
    path = settings.home / "feast" / "online.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(DependencyError, match="online store"):
        OnlineFeatures(settings)
