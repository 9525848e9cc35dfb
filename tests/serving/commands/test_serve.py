"""The commands `recommend` and `serve`: what they print, for people and for programs, and what they refuse."""

from __future__ import annotations

import json
import multiprocessing
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer
from typer.testing import CliRunner

from features.errors import ConfigurationError, NotFoundError, PhotoRecommenderError
from features.settings import Settings
from pipelines.sandbox.oauth import CONSUMER_KEY, CONSUMER_SECRET
from serving.answers import Recommendation
from serving.commands import serve as commands
from tests.serving.conftest import Sandbox, World, candidates_of, of_style, owner_of, state_of

USER = "95@N09"


@pytest.fixture
def app(environment: Callable[..., None], world: World, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """The commands over the world, where nothing was trained yet and one person's neighbors are known."""
    environment(home=str(world.settings.home))
    monkeypatch.setattr("features.logs.configure_logging", lambda *_, **__: None)  # it would replace that of the tests
    monkeypatch.setenv("COLUMNS", "200")
    world.online.write_user_states([state_of(USER, of_style(0, 4))])
    world.online.write_neighbor_candidates([candidates_of(USER, of_style(1, 25))])
    app = typer.Typer()
    commands.register(app)
    return app


def run(app: typer.Typer, *arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def refusal(app: typer.Typer, *arguments: str) -> PhotoRecommenderError:
    with pytest.raises(PhotoRecommenderError) as raised:
        run(app, *arguments)
    return raised.value


def test_recommend_prints_the_wall_as_a_table(app: typer.Typer) -> None:
    table = run(app, "recommend", USER, "--limit", "5")
    assert f"Wall of {USER} (neighbors" in table
    rows = [line for line in table.splitlines() if "Photo " in line]
    assert len(rows) == 5
    for rank, (row, photo_id) in enumerate(zip(rows, of_style(1, 5), strict=True), start=1):
        assert str(rank) in row
        assert f"Photo {photo_id}" in row
        assert f"Owner {owner_of(photo_id)}" in row


def test_recommend_prints_what_the_service_answers_for_programs(app: typer.Typer) -> None:
    printed = run(app, "recommend", USER, "--json", "--limit", "7")
    answer = Recommendation.model_validate_json(printed)
    assert [photo.photo_id for photo in answer.photos] == of_style(1, 7)
    assert (answer.user_id, answer.strategy, len(answer.people)) == (USER, "neighbors", 5)
    assert set(json.loads(printed)) == set(Recommendation.model_fields)


def test_twenty_photos_are_printed_unless_asked_otherwise(app: typer.Typer) -> None:
    assert len(json.loads(run(app, "recommend", USER, "--json"))["photos"]) == 20


def test_somebody_nobody_knows_gets_an_empty_wall_before_anything_was_built(app: typer.Typer) -> None:
    answer = json.loads(run(app, "recommend", "404@N04", "--json"))
    assert (answer["strategy"], answer["photos"]) == ("popular", [])
    assert "Wall of 404@N04 (popular" in run(app, "recommend", "404@N04")


def test_standard_output_holds_the_wall_alone_and_standard_error_why_there_is_no_model(
    environment: Callable[..., None], world: World, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    # In a process of its own, as the command decides where this process logs to.
    (Path(settings.lake_uri) / "features").mkdir(parents=True)
    (Path(settings.lake_uri) / "features" / "current.json").write_text("{")
    environment(home=str(world.settings.home), lake_uri=settings.lake_uri)

    def recommend() -> None:
        structlog.reset_defaults()  # as in a fresh process
        commands.recommend(USER, limit=5, as_json=True)

    command = multiprocessing.get_context("fork").Process(target=recommend)
    command.start()
    command.join(60)
    printed, said = capfd.readouterr()
    assert command.exitcode == 0
    assert said.startswith("warning: ranked without a model: ")
    assert json.loads(printed)["user_id"] == USER


@pytest.mark.parametrize("limit", ["0", "501", "all"])
def test_recommend_refuses_a_limit_out_of_bounds(app: typer.Typer, limit: str) -> None:
    result = CliRunner().invoke(app, ["recommend", USER, "--limit", limit])
    assert result.exit_code == 2
    assert "--limit" in result.output


def test_recommend_by_name_without_a_flickr_key_says_which_setting_is_missing(app: typer.Typer) -> None:
    error = refusal(app, "recommend", "Ansel Adams")
    assert isinstance(error, ConfigurationError)
    assert "PHOTO_RECOMMENDER_FLICKR_KEY" in error.message


@pytest.fixture
def with_flickr(app: typer.Typer, environment: Callable[..., None], sandbox: Sandbox) -> typer.Typer:
    """The same, with the sandbox for Flickr."""
    environment(
        flickr_key=CONSUMER_KEY,
        flickr_secret=CONSUMER_SECRET,
        flickr_rest_url=f"{sandbox.url}/services/rest/",
        flickr_site_url=sandbox.url,
        flickr_attempts="1",
    )
    return app


def test_recommend_finds_people_by_name_and_by_address(with_flickr: typer.Typer, sandbox: Sandbox) -> None:
    user_id = sandbox.people[1]
    profile: Any = sandbox.call("flickr.people.getInfo", user_id=user_id)["person"]
    for text in (profile["username"]["_content"], f"{sandbox.url}/photos/{user_id}/"):
        assert json.loads(run(with_flickr, "recommend", text, "--json"))["user_id"] == user_id


def test_recommend_says_when_flickr_knows_nobody_of_that_name(with_flickr: typer.Typer) -> None:
    error = refusal(with_flickr, "recommend", "nobody of that name")
    assert isinstance(error, NotFoundError)
    assert error.exit_status == 3


def test_serve_refuses_a_port_that_somebody_uses(app: typer.Typer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        error = refusal(app, "serve", "--port", str(port))
    assert isinstance(error, ConfigurationError)
    assert error.field == "--port"
    assert str(port) in error.message
