"""Finding a Flickr user, asking for a pull, and watching it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
import sqlalchemy as sa

from features.database import accounts, pull_requests
from pipelines import queue
from pipelines.progress import start_progress, update_progress
from serving import api_users
from serving.runtime import Runtime
from serving.session import open_session
from tests.serving.conftest import Browser, Sandbox, client_of

USER = "12037949754@N01"
PROGRESS = f"/api/users/{USER}/progress"
EVENTS = {"Accept": "text/event-stream"}


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["field"]


# Lookup


def test_a_user_is_found_by_nsid_name_and_address(visitor: Browser, sandbox: Sandbox) -> None:
    user_id = sandbox.people[0]
    profile = sandbox.call("flickr.people.getInfo", user_id=user_id)["person"]
    name = profile["username"]["_content"]
    for text in (user_id, name, f"{sandbox.url}/photos/{user_id}/", f"  {user_id} "):
        answer = visitor.get("/api/users/lookup", params={"q": text})
        assert answer.status_code == 200, text
        assert answer.json() == {
            "user_id": user_id,
            "name": name,
            "path_alias": profile.get("path_alias") or None,
            "avatar_url": f"{sandbox.url}/avatars/{user_id}.svg",
        }


@pytest.mark.parametrize("text", ["99999999@N99", "nobody of that name"])
def test_a_user_whom_flickr_does_not_know_is_not_found(visitor: Browser, text: str) -> None:
    assert refusal(visitor.get("/api/users/lookup", params={"q": text}))[:2] == (404, "not_found")


@pytest.mark.parametrize("text", ["", "   ", "https://example.com/photos/x", "a\x00b"])
def test_what_names_no_flickr_user_is_refused(visitor: Browser, text: str) -> None:
    assert refusal(visitor.get("/api/users/lookup", params={"q": text})) == (422, "invalid_input", "q")


def test_a_flickr_that_does_not_answer_is_said(visitor: Browser, sandbox: Sandbox) -> None:
    sandbox.faults({"kind": "bad_gateway"})
    answer = visitor.get("/api/users/lookup", params={"q": sandbox.people[0]})
    assert refusal(answer) == (502, "flickr_unavailable", None)


@pytest.mark.parametrize(("failures", "status"), [(1, 200), (2, 502)])
def test_for_a_person_who_waits_flickr_is_asked_twice_at_most(
    flickr_runtime: Runtime, sandbox: Sandbox, failures: int, status: int
) -> None:
    patient = flickr_runtime.settings.model_copy(update={"flickr_attempts": 6})
    browser = Browser(client_of(replace(flickr_runtime, settings=patient)))
    sandbox.faults({"kind": "bad_gateway", "times": failures})
    assert browser.get("/api/users/lookup", params={"q": sandbox.people[0]}).status_code == status


# Pull


def test_a_pull_of_somebody_signed_in_goes_before_everything_that_can_wait(browser: Browser, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(accounts).values(user_id="12@N01", name="Ansel", created_at=datetime.now(UTC)))
    browser.cookie, _ = open_session(engine, user_id="12@N01")
    queue.put(engine, "1@N01", reason="refresh", priority=queue.PRIORITY_REFRESH)
    answer = browser.change("POST", f"/api/users/{USER}/pull")
    assert (answer.status_code, answer.json()["stage"]) == (202, "queued")
    leased = queue.lease(engine, 60)
    assert leased is not None
    assert leased.user_id == USER


def test_a_visitor_can_ask_for_a_pull_too(browser: Browser, engine: sa.Engine) -> None:
    answer = browser.change("POST", f"/api/users/{USER}/pull")
    assert (answer.status_code, answer.json()["stage"]) == (202, "queued")
    leased = queue.lease(engine, 60)
    assert leased is not None
    assert leased.user_id == USER


def test_asking_twice_pulls_once(browser: Browser, engine: sa.Engine) -> None:
    for _ in range(2):
        assert browser.change("POST", f"/api/users/{USER}/pull").status_code == 202
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(pull_requests)) == 1


@pytest.mark.parametrize("user_id", ["x", "12@N0", "12@N01'--", "@N01", "1@N٠١"])
def test_a_pull_of_what_is_no_nsid_is_refused(browser: Browser, engine: sa.Engine, user_id: str) -> None:
    assert refusal(browser.change("POST", f"/api/users/{user_id}/pull")) == (422, "invalid_input", "user_id")
    assert queue.counts(engine) == {}


# Progress


def test_progress_of_somebody_never_asked_for_is_unknown(browser: Browser) -> None:
    assert browser.get(PROGRESS).json() == {
        "user_id": USER,
        "stage": "unknown",
        "made": 0,
        "finished": 0,
        "favorites": 0,
        "coverage": 0.0,
        "eta_seconds": None,
        "error": None,
    }


def test_progress_tells_how_far_the_worker_is(browser: Browser, engine: sa.Engine) -> None:
    queue.put(engine, USER)
    assert browser.get(PROGRESS).json()["stage"] == "queued"
    leased = queue.lease(engine, 60)
    assert leased is not None
    start_progress(engine, USER)
    update_progress(engine, USER, "neighbors", made=40, finished=10, favorites=25, coverage=0.25)
    now = browser.get(PROGRESS).json()
    assert (now["stage"], now["made"], now["finished"], now["favorites"]) == ("neighbors", 40, 10, 25)
    assert now["coverage"] == 0.25
    assert now["eta_seconds"] >= 0
    update_progress(engine, USER, "failed", error="Flickr has no such user")
    queue.done(engine, leased)
    now = browser.get(PROGRESS).json()
    assert (now["stage"], now["error"]) == ("failed", "Flickr has no such user")


def events(answer: httpx.Response) -> list[Any]:
    """The data of each event; anything that is neither an event nor a comment is an error."""
    found = []
    for block in answer.text.split("\n\n")[:-1]:
        if block.startswith(":"):
            continue
        name, data = block.split("\n")
        assert name == "event: progress"
        found.append(orjson.loads(data.removeprefix("data: ")))
    return found


def test_as_events_each_change_comes_once_and_the_last_one_ends_the_stream(
    browser: Browser, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_users, "LOOK_SECONDS", 0.01)
    start_progress(engine, USER)

    def work() -> None:
        for finished in (1, 2, 3):
            time.sleep(0.4)
            update_progress(engine, USER, "contacts", made=3, finished=finished)
        time.sleep(0.4)
        update_progress(engine, USER, "done", coverage=1.0)

    worker = threading.Thread(target=work)
    worker.start()
    answer = browser.get(PROGRESS, headers=EVENTS)
    worker.join()
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    told = [(event["stage"], event["finished"]) for event in events(answer)]
    assert told == [("favorites", 0), ("contacts", 1), ("contacts", 2), ("contacts", 3), ("done", 3)]


@pytest.mark.parametrize("stage", ["done", "failed"])
def test_a_pull_that_is_over_is_one_event(browser: Browser, engine: sa.Engine, stage: str) -> None:
    update_progress(engine, USER, stage)  # type: ignore[arg-type]
    assert [event["stage"] for event in events(browser.get(PROGRESS, headers=EVENTS))] == [stage]


def test_a_stream_in_which_nothing_happens_shows_signs_of_life_and_ends_before_long(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_users, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(api_users, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(api_users, "LONGEST_STREAM_SECONDS", 0.5)
    answer = browser.get(PROGRESS, headers=EVENTS)
    assert [event["stage"] for event in events(answer)] == ["unknown"]
    assert ": still here\n\n" in answer.text


def test_no_proxy_may_hold_events_back(browser: Browser, engine: sa.Engine) -> None:
    update_progress(engine, USER, "done")
    assert browser.get(PROGRESS, headers=EVENTS).headers["X-Accel-Buffering"] == "no"
