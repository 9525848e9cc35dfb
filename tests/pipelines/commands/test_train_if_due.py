"""`train --if-due`: trains when it is worth it, and says why not when it isn't."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from features.lake import Lake
from features.settings import Settings
from tests.pipelines.commands.conftest import Ended
from tests.training.conftest import append_to, give_mlflow, world_rows
from training.tracking import list_versions


@pytest.fixture
def if_due(
    command_line: Callable[..., Ended], settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Ended]:
    give_mlflow(settings, tmp_path_factory.getbasetemp())
    small = settings.model_copy(update={"als_factors": 8, "als_iterations": 3})
    return lambda *options: command_line(small, "train", "--if-due", *options)


def test_without_a_champion_it_trains_and_says_why_and_then_it_rests(
    if_due: Callable[..., Ended], settings: Settings, lake: Lake
) -> None:
    append_to(lake, world_rows())
    first = if_due("--json")
    assert (first.status, json.loads(first.stdout)["skipped"]) == (0, False)
    assert "there is no champion" in first.stderr
    second = if_due()
    assert second.status == 0
    assert second.stdout.startswith("skipped: version 1 was trained 0.0 hours ago; the next not before 6")
    assert len(list_versions(settings)) == 1


def test_json_of_what_was_not_due_is_the_decision(if_due: Callable[..., Ended]) -> None:
    ended = if_due("--json")
    assert ended.status == 0
    assert json.loads(ended.stdout) == {
        "skipped": True,
        "due": False,
        "reason": "the lake holds no interactions yet",
        "drift": None,
    }
