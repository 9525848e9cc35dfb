"""The command `sandbox`: it describes its world, says when it is ready, and refuses a bad value in one line."""

from __future__ import annotations

import signal

import httpx
import pytest
import typer
from typer.testing import CliRunner

from features.errors import PhotoRecommenderError
from pipelines.sandbox import commands

TINY = ["--users", "60", "--photos", "600", "--favorites", "3000", "--seed", "3"]


@pytest.fixture
def run():
    app = typer.Typer(pretty_exceptions_enable=False)
    commands.register(app)
    return lambda *options: CliRunner().invoke(app, [*TINY, *options])


def test_describe_prints_the_statistics_and_ends(run):
    result = run("--describe")
    assert result.exit_code == 0
    lines = result.output.strip().splitlines()
    assert lines[0].startswith("users, photos with a favorite, favorites   60 / ")
    labels = [line.split("  ")[0] for line in lines]
    for label in (
        "favorites a user",
        "favorites a photo",
        "contacts a user",
        "followers a user",
        "days from upload to favorite",
        "contacts that are mutual",
        "pairs that share a favorite",
        "favorites ever taken back",
    ):
        assert label in labels


def test_the_same_world_is_described_alike_and_another_differently(run):
    assert run("--describe").output == run("--describe").output
    assert run("--describe").output != run("--seed", "4", "--describe").output


def test_a_sparse_world_takes_sizes_too(run):
    assert run("--sparse", "--describe").output == run("--describe").output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--users", "5"], "users=5: must be at least 10"),
        (["--photos", "10"], "photos=10: must be at least 100"),
        (["--favorites", "1"], "favorites=1: 60 users and 600 photos make between 240 and 3600"),
        (["--seed", "-1"], "seed=-1: must be at least 0"),
        (["--clock", "yesterday"], "clock='yesterday': give 'live' or an ISO time"),
        (["--folder", "/dev/null"], "/dev/null is no folder: choose another with --folder"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_that_names_it(run, tmp_path, options, words):
    result = run("--port", "0", "--folder", str(tmp_path), *options)
    assert isinstance(result.exception, PhotoRecommenderError)
    assert words in result.exception.message
    assert "\n" not in result.exception.message
    assert result.exception.exit_status == 2


@pytest.mark.parametrize("options", [["--port", "70000"], ["--calls-per-hour", "0"], ["--users", "many"]])
def test_what_is_no_such_number_is_a_usage_error_that_names_the_option(run, options):
    result = run(*options)
    assert result.exit_code == 2
    assert options[0] in result.output


def test_a_used_port_is_said_with_what_to_do(sandbox, run, tmp_path):
    port = sandbox.url.rsplit(":", 1)[1]
    result = run("--port", port, "--folder", str(tmp_path))
    assert f"127.0.0.1:{port} can't be listened on" in result.exception.message
    assert "choose another with --port" in result.exception.message


def test_a_stopped_clock_is_set_from_the_start_and_a_signal_ends_the_server(start_sandbox, tmp_path):
    with start_sandbox(tmp_path, "--clock", "2026-11-24T12:00:00") as sandbox:
        assert sandbox.get("/sandbox/health")["clock"] == "2026-11-24T12:00:00+00:00"
        sandbox.process.send_signal(signal.SIGTERM)
        sandbox.process.wait(10)
        with pytest.raises(httpx.ConnectError):
            httpx.get(sandbox.url)
