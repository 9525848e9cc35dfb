"""`photo-recommender pull`, as people and programs see it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from features.lake import Lake
from features.schema import CONTACTS, INTERACTIONS
from features.settings import Settings
from features.state import STATE_COLUMNS, interaction_state
from pipelines.pull.worker import Worker
from pipelines.sandbox.world import World

LIST_FAVORITES = "flickr.favorites.getPublicList"


Run = Callable[..., Any]


@pytest.fixture
def run(sandbox: Any, sandbox_settings: Settings, command_line: Any) -> Run:
    """Runs one command of the command line against the sandbox: `run("pull", …, NAME=value)`."""
    return partial(command_line, sandbox_settings)


def only_line(ended: Any) -> str:
    """What a failed command says: one line, and nothing of the inside."""
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


def state(lake: Lake) -> dict[str, set[str]]:
    """The photos of each user's favorites in the lake."""
    found: dict[str, set[str]] = {}
    for row in interaction_state(lake.scan(INTERACTIONS, columns=STATE_COLUMNS)).favorites.to_pylist():
        found.setdefault(row["user_id"], set()).add(row["photo_id"])
    return found


def photos(sandbox: Any, user_id: str) -> set[str]:
    return {photo for photo, _, _ in sandbox.listed(user_id)}


def test_a_pull_of_one_user_brings_favorites_and_contacts_and_says_how_many(
    run: Run, lake: Lake, sandbox: Any, world: World
) -> None:
    visitor, name = world.user_ids[-1], world.user_names[-1]
    ended = run("pull", name)
    assert ended.status == 0, ended.stderr
    favorites = photos(sandbox, visitor)
    assert re.fullmatch(rf"{re.escape(name)} \({visitor}\): {len(favorites)} favorites; \d+\.\d s\n", ended.stdout)
    assert state(lake) == {visitor: favorites}
    followed = {(row["user_id"], row["contact_id"]) for row in lake.scan(CONTACTS).to_pylist()}
    assert followed == {(visitor, world.user_ids[contact]) for contact in world.contacts[[-1]].indices}
    assert followed


def test_a_pull_with_neighbors_makes_a_wall(run: Run, lake: Lake, sandbox: Any, world: World) -> None:
    visitor = world.user_ids[-1]
    ended = run("pull", visitor, "--neighbors")
    assert ended.status == 0, ended.stderr
    owners = {owner for _, owner, _ in sandbox.listed(visitor)} - {visitor}
    assert f" favorites; {len(owners)} neighbors, 100% of their favorites in the lake; " in ended.stdout
    assert state(lake) == {user: photos(sandbox, user) for user in (visitor, *owners) if photos(sandbox, user)}
    recommended = run("recommend", visitor, "--json")
    assert recommended.status == 0, recommended.stderr
    wall = json.loads(recommended.stdout)
    assert (wall["strategy"], wall["coverage"]) == ("neighbors", 1.0)
    assert len(wall["photos"]) == 20


def test_for_programs_it_is_one_json_object_and_a_second_pull_costs_no_favorites_call(
    run: Run, sandbox: Any, world: World
) -> None:
    visitor = world.user_ids[-1]
    favorites = len(photos(sandbox, visitor))
    first = json.loads(run("pull", visitor, "--json").stdout)
    before = sandbox.calls(LIST_FAVORITES)
    second = json.loads(run("pull", visitor, "--json").stdout)
    assert sandbox.calls(LIST_FAVORITES) == before
    for answer in (first, second):
        assert answer.pop("seconds") > 0
        assert answer == {
            "user_id": visitor,
            "stage": "done",
            "made": 0,
            "finished": 0,
            "favorites": favorites,
            "coverage": 0.0,
            "eta_seconds": 0.0,
            "error": None,
        }


def test_watching_leaves_the_work_to_a_worker_elsewhere(
    run: Run, sandbox: Any, sandbox_settings: Settings, lake: Lake, world: World
) -> None:
    visitor = world.user_ids[-1]
    environment = {**os.environ, **sandbox_settings.environment()}
    command = [sys.executable, "-m", "photo_recommender", "worker"]
    worker = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        ended = run("pull", visitor, "--neighbors", "--watch", "--json")
        assert ended.status == 0, ended.stderr
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    finally:
        worker.kill()
        worker.wait()
    answer = json.loads(ended.stdout)
    owners = {owner for _, owner, _ in sandbox.listed(visitor)} - {visitor}
    assert (answer["stage"], answer["made"], answer["finished"], answer["coverage"]) == (
        "done",
        len(owners),
        len(owners),
        1.0,
    )
    assert state(lake)[visitor] == photos(sandbox, visitor)


# What goes wrong.


def test_a_user_whom_flickr_refuses_fails_with_flickrs_words(run: Run, sandbox: Any, world: World) -> None:
    visitor, name = world.user_ids[-1], world.user_names[-1]
    sandbox.faults({"kind": "fail", "code": 7, "method": LIST_FAVORITES})
    ended = run("pull", visitor)
    assert (ended.status, ended.stdout) == (4, "")
    said = ended.stderr.strip().splitlines()[-1]
    assert f"{name} ({visitor}) could not be pulled" in said
    assert "code 7" in said


def test_a_flickr_that_does_not_answer_is_one_clear_line(run: Run, sandbox: Any, world: World) -> None:
    sandbox.faults({"kind": "bad_gateway"})
    ended = run("pull", world.user_ids[-1], PHOTO_RECOMMENDER_FLICKR_ATTEMPTS="1")
    assert ended.status == 4
    assert "HTTP 502" in only_line(ended)


def test_a_worker_that_ends_early_does_not_leave_one_waiting(
    run: Run, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Worker, "run", lambda _self, _concurrency: None)
    ended = run("pull", world.user_ids[-1])
    assert ended.status == 4
    assert "run the same command again" in only_line(ended)


@pytest.mark.parametrize(
    ("user", "status", "words"),
    [
        ("1@N00", 3, "knows no user with the ID 1@N00"),
        ("nobody of that name", 3, "nobody of that name"),
        ("https://example.com/photos/somebody/", 2, "is no address at Flickr"),
        ("https://www.flickr.com/explore", 2, "but no person's"),
        ("", 2, "names no Flickr user"),
    ],
)
def test_a_user_who_can_not_be_found_is_one_clear_line(run: Run, user: str, status: int, words: str) -> None:
    ended = run("pull", user)
    assert ended.status == status
    assert words in only_line(ended)


def test_without_a_key_it_says_where_to_get_one(run: Run) -> None:
    ended = run("pull", "1@N00", PHOTO_RECOMMENDER_FLICKR_KEY="")
    assert ended.status == 2
    assert "PHOTO_RECOMMENDER_FLICKR_KEY" in only_line(ended)


def test_a_wrong_setting_is_one_clear_line(run: Run) -> None:
    ended = run("pull", "1@N00", PHOTO_RECOMMENDER_FLICKR_ATTEMPTS="many")
    assert ended.status == 2
    assert "PHOTO_RECOMMENDER_FLICKR_ATTEMPTS='many'" in only_line(ended)
