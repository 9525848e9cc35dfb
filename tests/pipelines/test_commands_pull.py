"""`photo-recommender pull`, as people and programs see it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import photo_recommender
from features.settings import Settings, get_settings
from pipelines.sandbox.world import World


@dataclass(frozen=True)
class Ended:
    status: int
    stdout: str
    stderr: str


Run = Callable[..., Ended]


@pytest.fixture
def run(
    sandbox: Any, sandbox_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs one command of the command line against the sandbox: `run("pull", …, NAME=value)`."""

    def command(*arguments: str, **environment: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["photo-recommender", *arguments])
        for name, value in {**sandbox_settings.environment(), **environment}.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        with pytest.raises(SystemExit) as ended:
            photo_recommender.main()
        get_settings.cache_clear()
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    return command


def only_line(ended: Ended) -> str:
    """What a failed command says: one line, and nothing of the inside."""
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


def test_a_pull_says_what_it_did_and_a_second_one_finds_nothing_new(run: Run, world: World) -> None:
    visitor, name = world.user_ids[-1], world.user_names[-1]
    first = run("pull", name, "--neighbors")
    assert first.status == 0, first.stderr
    assert f"{name} ({visitor})" in first.stdout
    second = run("pull", visitor, "--json")
    assert second.status == 0, second.stderr
    answer = json.loads(second.stdout)
    assert answer["user_id"] == visitor
    assert answer["added"] == {"interactions": 0, "photos": 0, "users": 0, "contacts": 0}
    recommended = run("recommend", visitor, "--json")
    assert recommended.status == 0, recommended.stderr
    wall = json.loads(recommended.stdout)
    assert (wall["strategy"], wall["coverage"]) == ("neighbors", 1.0)
    assert len(wall["photos"]) == 20


@pytest.mark.parametrize(
    ("user", "status", "words"),
    [
        ("1@N00", 3, "User not found"),
        ("nobody of that name", 3, "nobody of that name"),
        ("https://example.com/photos/somebody/", 2, "is no Flickr user's address"),
        ("https://www.flickr.com/explore", 2, "is no Flickr user's address"),
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
