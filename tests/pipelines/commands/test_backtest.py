"""The command `backtest`: how good the settings' models were at several moments of the lake's past."""

from __future__ import annotations

import json
from collections.abc import Callable

from features.lake import Lake
from features.schema import INTERACTIONS
from features.settings import Settings
from tests.pipelines.commands.conftest import Ended
from tests.training.conftest import append_to, world_rows
from training.models.recipes import MODELS

SMALL = {"PHOTO_RECOMMENDER_ALS_FACTORS": "8", "PHOTO_RECOMMENDER_ALS_ITERATIONS": "3", "COLUMNS": "200"}


def test_json_holds_each_split_the_whole_and_where_the_data_came_from(
    command_line: Callable[..., Ended], settings: Settings, lake: Lake
) -> None:
    append_to(lake, world_rows())
    ended = command_line(settings, "backtest", "--splits", 2, "--days", 10, "--json", **SMALL)
    assert ended.status == 0
    found = json.loads(ended.stdout)
    assert (len(found["splits"]), found["days"], found["lake_version"]) == (2, 10.0, lake.version(INTERACTIONS))
    assert set(found["overall"]) == set(found["splits"][0]["ndcg"]) == set(MODELS)
    assert found["best"] in MODELS
    assert found["splits"][0]["until"] == found["splits"][1]["cut"]


def test_a_person_gets_a_row_for_each_split_and_who_is_ahead(
    command_line: Callable[..., Ended], settings: Settings, lake: Lake
) -> None:
    append_to(lake, world_rows())
    shown = command_line(settings, "backtest", "--splits", 3, "--days", 10, **SMALL).stdout
    assert "NDCG@20 on 10 days after each cut" in shown
    assert sum("2026-" in line for line in shown.splitlines()) == 3
    assert "ahead of popularity" in shown


def test_a_lake_without_favorites_says_what_to_do(command_line: Callable[..., Ended], settings: Settings) -> None:
    ended = command_line(settings, "backtest")
    assert ended.status == 3
    assert "photo-recommender pull" in ended.stderr
