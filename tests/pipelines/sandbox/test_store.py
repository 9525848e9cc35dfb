"""What people change survives a kill of the server, and a folder keeps the world that it was made for."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import flickrapi
import pytest
import requests

from features.errors import ConfigurationError
from pipelines.sandbox.store import world_config
from pipelines.sandbox.world import WorldConfig

CONFIG = WorldConfig(users=60, photos=600, favorites=3_000, seed=3, end=datetime(2026, 11, 1, tzinfo=UTC))


@dataclass(frozen=True)
class Restarted:
    """A server that was killed while a person added favorites one after the other, and started again."""

    sandbox: Any
    user_id: str
    token: flickrapi.auth.FlickrAccessToken
    before: set[str]  # favorites at the beginning
    removed: str  # one of them, taken back
    acknowledged: set[str]  # additions that were answered with ok
    health: dict[str, Any]  # of the server that was killed


@pytest.fixture(scope="module")
def restarted(start_sandbox, world, tmp_path_factory):
    folder, user = tmp_path_factory.mktemp("killed"), 4
    user_id = world.user_ids[user]
    with start_sandbox(folder) as sandbox:
        client = sandbox.sign_in(user_id)
        before = [photo for photo, _, _ in sandbox.listed(user_id)]
        health = sandbox.get("/sandbox/health")
        client.favorites.remove(photo_id=before[0])
        addable = [
            photo
            for photo, owner, uploaded_at in zip(
                world.photo_ids, world.photo_owner, world.photo_uploaded_at, strict=True
            )
            if owner != user and photo not in before and uploaded_at < world.config.end.timestamp()
        ]
        acknowledged = set()
        kill = threading.Timer(0.03, sandbox.process.send_signal, [signal.SIGKILL])
        with pytest.raises(requests.RequestException):
            for photo_id in addable:
                client.favorites.add(photo_id=photo_id)
                acknowledged.add(photo_id)
                if len(acknowledged) == 20:
                    kill.start()
        kill.join()
    with start_sandbox(folder) as sandbox:
        token = client.token_cache.token
        yield Restarted(sandbox, user_id, token, set(before), before[0], acknowledged, health)


def test_a_kill_loses_no_favorite_that_was_acknowledged(restarted):
    held = {photo for photo, _, _ in restarted.sandbox.listed(restarted.user_id)}
    assert len(restarted.acknowledged) >= 20
    assert restarted.acknowledged <= held
    assert restarted.before - {restarted.removed} <= held
    unanswered = held - restarted.acknowledged - restarted.before
    assert len(unanswered) <= 1  # the one whose answer the kill cut off


def test_a_favorite_that_was_taken_back_does_not_return(restarted, world):
    for days in (0, 59):
        restarted.sandbox.clock((world.config.end + timedelta(days=days)).isoformat())
        held = [photo for photo, _, _ in restarted.sandbox.listed(restarted.user_id)]
        assert restarted.removed not in held
        people = {person["user_id"]: person["favorites"] for person in restarted.sandbox.get("/sandbox/people")}
        assert people[restarted.user_id] == len(held)


def test_an_access_token_survives(restarted):
    user = restarted.sandbox.flickr(restarted.token).test.login()["user"]
    assert user["id"] == restarted.user_id


def test_the_world_is_the_same_after_a_restart(restarted, world):
    assert restarted.sandbox.get("/sandbox/health")["world"] == restarted.health["world"]
    other = world.user_ids[11]
    restarted.sandbox.clock(world.config.end.isoformat())
    faves = world.favorites_at(world.config.end)
    mine = {world.photo_ids[photo] for photo in world.favorites.photo[faves[world.favorites.user[faves] == 11]]}
    assert {photo for photo, _, _ in restarted.sandbox.listed(other)} == mine


def test_a_folder_keeps_the_end_of_its_world(tmp_path):
    assert world_config(tmp_path / "new", CONFIG) == CONFIG
    tomorrow = replace(CONFIG, end=CONFIG.end + timedelta(days=1))
    assert world_config(tmp_path / "new", tomorrow) == CONFIG


@pytest.mark.parametrize(
    ("name", "value"),
    [("users", 61), ("visitors", 3), ("photos", 601), ("favorites", 3_001), ("styles", 5), ("seed", 4), ("days", 60)],
)
def test_a_folder_of_another_world_is_refused_with_what_differs(tmp_path, name, value):
    world_config(tmp_path, CONFIG)
    with pytest.raises(ConfigurationError, match=f"holds another world .{name} ") as refused:
        world_config(tmp_path, replace(CONFIG, **{name: value}))
    assert refused.value.field == name
    assert world_config(tmp_path, CONFIG) == CONFIG


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"end": 5}', '{"end": "someday"}'])
def test_an_unreadable_world_is_refused_with_what_to_do(tmp_path, content):
    (tmp_path / "world.json").write_text(content)
    with pytest.raises(ConfigurationError, match=f"unreadable .*remove {tmp_path} for a new world"):
        world_config(tmp_path, CONFIG)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match="is no folder") as refused:
            world_config(folder, CONFIG)
        assert refused.value.field == "folder"
