"""The commands `features` and `lake`: what they print, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from features import commands
from features.errors import NotFoundError
from features.lake import Lake
from features.online import OnlineFeatures
from features.settings import Settings, get_settings


@pytest.fixture
def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[typer.Typer]:
    monkeypatch.setenv("PHOTO_RECOMMENDER_HOME", str(settings.home))
    get_settings.cache_clear()
    app = typer.Typer()
    commands.register(app)
    yield app
    get_settings.cache_clear()


def run(app: typer.Typer, *arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_features_builds_and_materializes(app: typer.Typer, small_lake: Lake, settings: Settings) -> None:
    first = json.loads(run(app, "features", "--json"))
    assert first["fresh"] is True
    assert first["online"]["user_snapshot"] == first["rows"]["user_snapshot"] == 3
    assert OnlineFeatures(settings).user_state("a").favorite_ids == ("b1", "b2", "c1")
    second = json.loads(run(app, "features", "build", "--json"))
    assert (second["fresh"], second["version"], second["online"]) == (False, first["version"], None)


def test_features_says_in_words_what_it_did(app: typer.Typer, small_lake: Lake) -> None:
    assert "new" in run(app, "features")
    assert "nothing changed" in run(app, "features", "build")
    assert "user_snapshot 3" in run(app, "features", "materialize")
    assert "applied" in run(app, "features", "apply")


def test_materialize_without_a_build_says_what_to_run(app: typer.Typer) -> None:
    with pytest.raises(NotFoundError, match="features build"):
        run(app, "features", "materialize")


def test_lake_stats_count_rows_and_what_they_add_up_to(app: typer.Typer, small_lake: Lake) -> None:
    told = json.loads(run(app, "lake", "stats", "--json"))
    assert told["tables"]["interactions"] == {"version": small_lake.versions()["interactions"], "rows": 11}
    assert told["state"] == {"users": 3, "favorites": 9, "dismissed_photos": 1, "dismissed_people": 1}
    assert "interactions" in run(app, "lake", "stats")


def test_an_empty_lake_has_empty_stats(app: typer.Typer, settings: Settings) -> None:
    told = json.loads(run(app, "lake", "stats", "--json"))
    assert told["tables"] == {}
    assert told["state"]["favorites"] == 0
