"""`photo-recommender budget`, as people and programs see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from features.settings import Settings
from pipelines.budget.windows import Budget, Purpose, open_budget

Run = Callable[..., str]


@pytest.fixture
def run(settings: Settings, command_line: Any) -> Run:
    """What `photo-recommender budget` prints with the arguments given."""

    def command(*arguments: str) -> str:
        ended = command_line(settings, "budget", *arguments)
        assert ended.status == 0, ended.stderr
        return str(ended.stdout)

    return command


@pytest.fixture
def budget(settings: Settings) -> Budget:
    return open_budget(settings)


def test_it_shows_what_was_spent_on_what_and_what_is_left(run: Run, budget: Budget) -> None:
    for method in ("flickr.favorites.getPublicList", "flickr.favorites.getPublicList", "flickr.people.getInfo"):
        budget.take(Purpose.REFRESH, method)
    shown = json.loads(run("--json"))
    assert (shown["calls_per_hour"], shown["spent"], shown["paused"]) == (3_600, 3, None)
    assert shown["purposes"]["refresh"] == {
        "spent": 3,
        "limit": 2_880,
        "left": 2_877,
        "methods": {"flickr.favorites.getPublicList": 2, "flickr.people.getInfo": 1},
    }
    assert shown["purposes"]["anonymous"] == {"spent": 0, "limit": 360, "left": 360, "methods": {}}
    table = run()
    assert "3 of 3,600 allowed" in table
    assert "favorites.getPublicList" in table
    assert "2,877" in table
    assert "paused" not in table


def test_it_says_that_calls_are_held_back_until_when_and_why(run: Run, budget: Budget) -> None:
    budget.pause(120)
    paused = json.loads(run("--json"))["paused"]
    assert paused["reason"] == "throttled"
    left = datetime.fromisoformat(paused["until"]) - datetime.now(UTC)
    assert timedelta(seconds=110) < left <= timedelta(seconds=120)
    assert "Flickr asked to wait" in run()


def test_it_says_what_to_do_about_a_key_that_flickr_refuses(run: Run, budget: Budget) -> None:
    budget.failed(0.0, key_invalid=True)
    assert json.loads(run("--json"))["key_invalid"] is True
    assert "PHOTO_RECOMMENDER_FLICKR_KEY" in run()
