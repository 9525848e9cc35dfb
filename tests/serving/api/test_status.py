"""How fresh things are, and whom one can try in the demo."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.builds import Build, Builds, new_version
from features.settings import Settings
from pipelines.budget.windows import Purpose, open_budget
from pipelines.operation.presence import present
from pipelines.queue.requests import Kind, Priority, PullRequest
from serving.champion.watch import ChampionWatch
from serving.runtime import Runtime
from tests.serving.conftest import PHOTOS, Browser, Registry, Sandbox, World, client_of


def test_a_service_with_nothing_yet_says_so(runtime: Runtime, settings: Settings, world: World) -> None:
    watch = ChampionWatch(settings, Registry().find, lambda _: world.popular)
    watch.refresh()
    answer = client_of(replace(runtime, watch=watch)).get("/api/status")
    share = {"spent": 0, "limit": 3600, "left": 3600}
    assert answer.json() == {
        "model": None,
        "challenger": None,
        "model_error": None,
        "features": {"version": None, "built_at": None},
        "queue": {"waiting": 0, "leased": 0, "dead": 0},
        "budget": {
            "calls_per_hour": 3600,
            "spent": 0,
            "paused_seconds": 0.0,
            "shares": {
                "person": share,
                "refresh": share | {"limit": 2880, "left": 2880},
                "anonymous": share | {"limit": 360, "left": 360},
            },
        },
        "workers": {"worker": 0, "scheduler": 0},
        "details": None,
    }


def test_a_challenger_that_ranks_walls_is_named_with_its_share(
    runtime: Runtime, settings: Settings, world: World
) -> None:
    shared = settings.model_copy(update={"challenger_share": 5.0})
    find, challenger = Registry(("7", world.bundles["als"])).find, Registry(("8", world.bundles["popularity"])).find
    watch = ChampionWatch(shared, find, lambda _: world.popular, challenger)
    watch.refresh()
    status = client_of(replace(runtime, watch=watch)).get("/api/status").json()
    assert (status["challenger"]["version"], status["challenger"]["share"]) == ("8", 5.0)
    assert status["model"]["version"] == "7"


def test_the_model_that_is_served_is_named(browser: Browser, runtime: Runtime) -> None:
    status = browser.get("/api/status").json()
    champion = runtime.watch.served.champion
    assert champion is not None
    assert (status["model"]["version"], status["model"]["kind"]) == ("7", "als")
    assert status["model"]["photos"] == len(PHOTOS)
    assert status["model"]["retrieval"] == "exact"
    assert datetime.fromisoformat(status["model"]["loaded_at"]) == champion.loaded_at
    assert status["model"]["trained_at"].startswith(champion.bundle.manifest["created_at"][:19])
    assert datetime.fromisoformat(status["model"]["data_until"]).timestamp() == champion.bundle.manifest["data_until"]
    assert status["model_error"] is None


def test_why_a_newer_model_is_not_served_is_told(
    runtime: Runtime, settings: Settings, world: World, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(world.bundles["als"], broken)
    (broken / "gram.npy").unlink()
    registry = Registry(("1", world.bundles["als"]))
    watch = ChampionWatch(settings, registry.find, lambda _: world.popular)
    watch.refresh()
    registry.found = ("2", broken)
    watch.refresh()
    status = client_of(replace(runtime, watch=watch)).get("/api/status").json()
    assert status["model"]["version"] == "1"
    assert "could not be loaded" in status["model_error"]
    assert "gram.npy" not in str(status)
    shown = replace(runtime, watch=watch, settings=settings.model_copy(update={"status_details": True}))
    assert "gram.npy" in client_of(shown).get("/api/status").json()["model_error"]


def test_operators_may_have_dead_letters_and_pauses_told_without_whose_they_are(
    runtime: Runtime, settings: Settings
) -> None:
    request = PullRequest(user_id="77@N01", kind=Kind.FAVORITES, reason="due", priority=Priority.REFRESH)
    runtime.queue.put([request])
    (message,) = runtime.queue.receive(1, 0.0)
    runtime.queue.bury(message, "Flickr refuses it")
    open_budget(settings).pause(60)
    shown = replace(runtime, settings=settings.model_copy(update={"status_details": True}))
    status = client_of(shown).get("/api/status").json()
    assert [letter["reason"] for letter in status["details"]["dead_letters"]] == ["Flickr refuses it"]
    assert status["details"]["paused_because"] == "Flickr asked to wait"
    assert 50 < status["budget"]["paused_seconds"] <= 60
    assert "77@N01" not in str(status)


def test_workers_at_work_and_calls_spent_are_counted(browser: Browser, runtime: Runtime, settings: Settings) -> None:
    open_budget(settings).take(Purpose.ANONYMOUS, "flickr.people.getInfo")
    with present(runtime.engine, "worker"), present(runtime.engine, "scheduler"):
        status = browser.get("/api/status").json()
    assert status["workers"] == {"worker": 1, "scheduler": 1}
    assert (status["budget"]["spent"], status["budget"]["shares"]["anonymous"]["left"]) == (1, 359)


def test_a_budget_that_can_not_be_read_is_left_out(
    runtime: Runtime, settings: Settings, free_port: Callable[[], int]
) -> None:
    nowhere = settings.model_copy(update={"budget_url": f"redis://127.0.0.1:{free_port()}/0"})
    answer = client_of(replace(runtime, settings=nowhere)).get("/api/status")
    assert (answer.status_code, answer.json()["budget"]) == (200, None)


def test_the_build_of_the_features_is_told(browser: Browser, settings: Settings) -> None:
    built_at = datetime(2026, 11, 1, 12, tzinfo=UTC)
    build = Build(new_version(built_at), built_at, {}, {})
    Path(settings.lake_uri, "features").mkdir(parents=True)
    Builds(settings.lake_uri).publish(build)
    features = browser.get("/api/status").json()["features"]
    assert features["version"] == build.version
    assert datetime.fromisoformat(features["built_at"]) == built_at


def test_what_waits_to_be_pulled_is_counted_by_state(browser: Browser, runtime: Runtime) -> None:
    names = [f"{number}@N01" for number in range(5)]
    asked = [PullRequest(user_id=name, kind=Kind.FAVORITES, reason="due", priority=Priority.REFRESH) for name in names]
    runtime.queue.put(asked)
    done, dead, _ = runtime.queue.receive(3, 0.0)
    runtime.queue.done([done])
    runtime.queue.bury(dead, "Flickr refuses it")
    assert browser.get("/api/status").json()["queue"] == {"waiting": 2, "leased": 1, "dead": 1}


def test_people_of_the_sandbox_are_offered_the_visitors_first(visitor: Browser, sandbox: Sandbox) -> None:
    people = visitor.get("/api/sandbox/people", params={"limit": 10}).json()["people"]
    assert [person["user_id"] for person in people] == sandbox.people[:10]
    assert all(set(person) == {"user_id", "name", "avatar_url", "favorites", "visitor"} for person in people)
    visits = [person["visitor"] for person in people]
    assert visits == sorted(visits, reverse=True)


def test_without_a_limit_two_dozen_people_of_the_sandbox_are_offered(visitor: Browser) -> None:
    assert len(visitor.get("/api/sandbox/people").json()["people"]) == 24


@pytest.mark.parametrize("limit", ["0", "201", "x"])
def test_the_number_of_people_has_bounds(visitor: Browser, limit: str) -> None:
    answer = visitor.get("/api/sandbox/people", params={"limit": limit})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "limit")


def test_where_real_flickr_is_served_there_is_no_sandbox(browser: Browser) -> None:
    answer = browser.get("/api/sandbox/people")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_sandbox_that_is_down_is_said(flickr_runtime: Runtime, free_port: Callable[[], int]) -> None:
    settings = flickr_runtime.settings.model_copy(update={"sandbox_url": f"http://127.0.0.1:{free_port()}"})
    answer = client_of(replace(flickr_runtime, settings=settings)).get("/api/sandbox/people")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "dependency_failed")
