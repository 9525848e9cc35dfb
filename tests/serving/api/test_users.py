"""Finding a Flickr user, asking for a pull, and watching it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
import sqlalchemy as sa

from features.database import accounts, pull_asked, pull_progress
from features.settings import Settings
from pipelines.pull.ask import ask, ask_for_person
from pipelines.pull.parts import finish_parts, replace_parts
from pipelines.pull.progress import begin_progress, update_progress
from pipelines.queue.requests import Kind, Priority, PullRequest
from serving.accounts.sessions import open_session
from serving.answers import ProgressAnswer
from serving.api import users as api_users
from serving.runtime import Runtime
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
            "has_favorites": True,
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


@pytest.fixture
def gone(sandbox: Sandbox) -> Iterator[Callable[..., None]]:
    """A function that lets photos and people vanish from Flickr; all are back in the end."""

    def put(**what: list[str]) -> None:
        httpx.put(f"{sandbox.url}/sandbox/gone", json=what).raise_for_status()

    yield put
    put()


def test_somebody_whose_favorites_nobody_can_see_is_found_and_it_is_said(
    visitor: Browser, sandbox: Sandbox, gone: Callable[..., None]
) -> None:
    user_id = sandbox.people[2]
    gone(private=sandbox.favorites(user_id))
    answer = visitor.get("/api/users/lookup", params={"q": user_id})
    assert (answer.status_code, answer.json()["has_favorites"]) == (200, False)


def test_somebody_who_is_unknown_is_told_with_an_example(visitor: Browser) -> None:
    error = visitor.get("/api/users/lookup", params={"q": "nobody"}).json()["error"]
    assert "knows nobody called “nobody”" in error["message"]
    assert "https://www.flickr.com/photos/12037949754@N01/" in error["message"]
    assert error["field"] == "q"


def test_somebody_who_was_erased_here_is_not_found(visitor: Browser, flickr_runtime: Runtime, sandbox: Sandbox) -> None:
    flickr_runtime.suppression.suppress(sandbox.people[3])
    answer = visitor.get("/api/users/lookup", params={"q": sandbox.people[3]})
    assert refusal(answer) == (404, "not_found", "q")
    assert "asked not to be here" in answer.json()["error"]["message"]


# Pull


def waiting(runtime: Runtime) -> list[PullRequest]:
    """The messages that a worker would receive, in that order."""
    return [PullRequest.parse(message.body) for message in runtime.queue.receive(10, 0.0)]


@pytest.fixture
def signed_in(browser: Browser, engine: sa.Engine) -> Browser:
    with engine.begin() as connection:
        connection.execute(sa.insert(accounts).values(user_id="12@N01", name="Ansel", created_at=datetime.now(UTC)))
    browser.cookie, _ = open_session(engine, user_id="12@N01")
    return browser


def test_a_pull_of_somebody_signed_in_goes_before_everything_that_can_wait(
    signed_in: Browser, runtime: Runtime
) -> None:
    due = PullRequest(user_id="1@N01", kind=Kind.FAVORITES, reason="due", priority=Priority.REFRESH)
    ask(runtime.engine, runtime.queue, [due])
    answer = signed_in.change("POST", f"/api/users/{USER}/pull")
    assert (answer.status_code, answer.json()["stage"]) == (202, "queued")
    first, second, last = waiting(runtime)
    assert (first.user_id, first.priority, second.user_id, last) == (USER, Priority.PERSON, USER, due)
    assert {first.kind, second.kind} == {Kind.FAVORITES, Kind.CONTACTS}
    assert (first.reason, second.reason) == ("visit", "visit")


def test_a_pull_that_a_visitor_asks_for_waits_for_those_of_people_who_signed_in(
    browser: Browser, runtime: Runtime
) -> None:
    answer = browser.change("POST", f"/api/users/{USER}/pull")
    assert (answer.status_code, answer.json()["stage"]) == (202, "queued")
    assert {(asked.user_id, asked.priority) for asked in waiting(runtime)} == {(USER, Priority.ANONYMOUS)}


def test_asking_twice_pulls_once(browser: Browser, runtime: Runtime) -> None:
    for _ in range(2):
        assert browser.change("POST", f"/api/users/{USER}/pull").status_code == 202
    assert sorted(asked.kind for asked in waiting(runtime)) == [Kind.CONTACTS, Kind.FAVORITES]


@pytest.mark.parametrize("user_id", ["x", "12@N0", "12@N01'--", "@N01", "1@N٠١"])
def test_a_pull_of_what_is_no_nsid_is_refused(browser: Browser, runtime: Runtime, user_id: str) -> None:
    assert refusal(browser.change("POST", f"/api/users/{user_id}/pull")) == (422, "invalid_input", "user_id")
    assert waiting(runtime) == []
    with runtime.engine.connect() as connection:
        for table in (pull_asked, pull_progress):
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0


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


@pytest.fixture
def asked(runtime: Runtime) -> None:
    """A pull of the user is asked for."""
    ask_for_person(runtime.engine, runtime.queue, USER, reason="visit")


@pytest.mark.usefixtures("asked")
def test_progress_tells_how_far_the_workers_are(browser: Browser, engine: sa.Engine) -> None:
    assert browser.get(PROGRESS).json()["stage"] == "queued"
    begin_progress(engine, USER)
    assert browser.get(PROGRESS).json()["stage"] == "favorites"
    replace_parts(engine, USER, ["a", "b", "c", "d"])
    update_progress(engine, USER, "neighbors", favorites=25)
    finish_parts(engine, {"a": True})
    now = browser.get(PROGRESS).json()
    assert (now["stage"], now["made"], now["finished"], now["favorites"]) == ("neighbors", 4, 1, 25)
    assert now["coverage"] == 0.25
    assert now["eta_seconds"] >= 0
    update_progress(engine, USER, "failed", error="Flickr has no such user")
    now = browser.get(PROGRESS).json()
    assert (now["stage"], now["error"]) == ("failed", "Flickr has no such user")


@pytest.mark.usefixtures("asked")
def test_the_time_left_takes_what_the_budget_still_allows_into_account(
    runtime: Runtime, engine: sa.Engine, settings: Settings
) -> None:
    replace_parts(engine, USER, [f"{number}" for number in range(101)])
    update_progress(engine, USER, "neighbors")
    finish_parts(engine, {"0": True})
    tight = replace(runtime, settings=settings.model_copy(update={"flickr_calls_per_hour": 10}))
    assert Browser(client_of(tight)).get(PROGRESS).json()["eta_seconds"] >= 9 * 3600
    assert Browser(client_of(runtime)).get(PROGRESS).json()["eta_seconds"] < 3600


@pytest.mark.usefixtures("asked")
def test_a_budget_that_can_not_be_read_keeps_nobody_from_seeing_the_progress(
    runtime: Runtime, settings: Settings, free_port: Callable[[], int]
) -> None:
    nowhere = settings.model_copy(update={"budget_url": f"redis://127.0.0.1:{free_port()}/0"})
    answer = Browser(client_of(replace(runtime, settings=nowhere))).get(PROGRESS)
    assert (answer.status_code, answer.json()["stage"]) == (200, "queued")


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


@pytest.mark.usefixtures("asked")
def test_as_events_each_change_comes_once_and_the_last_one_ends_the_stream(
    browser: Browser, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker takes the next step as soon as the one before is told, and one look later."""
    engine = runtime.engine
    replace_parts(engine, USER, ["a", "b"])
    steps = iter(
        [
            lambda: begin_progress(engine, USER),
            lambda: update_progress(engine, USER, "neighbors"),
            lambda: finish_parts(engine, {"a": True}),
            lambda: finish_parts(engine, {"b": True}),
            lambda: update_progress(engine, USER, "done"),
        ]
    )
    look, looks = api_users._progress, itertools.count(1)

    def look_and_work(runtime: Runtime, user_id: str) -> ProgressAnswer:
        now = look(runtime, user_id)
        if next(looks) % 2 == 0:
            next(steps)()
        return now

    monkeypatch.setattr(api_users, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(api_users, "_progress", look_and_work)
    answer = browser.get(PROGRESS, headers=EVENTS)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    came = events(answer)
    assert all(earlier != later for earlier, later in itertools.pairwise(came))
    steps_told = [step for step, _ in itertools.groupby((event["stage"], event["finished"]) for event in came)]
    assert steps_told == [
        ("queued", 0), ("favorites", 0), ("neighbors", 0), ("neighbors", 1), ("neighbors", 2), ("done", 2)
    ]  # fmt: skip


@pytest.mark.parametrize("stage", ["done", "failed"])
@pytest.mark.usefixtures("asked")
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


@pytest.mark.usefixtures("asked")
def test_no_proxy_may_hold_events_back(browser: Browser, engine: sa.Engine) -> None:
    update_progress(engine, USER, "done")
    assert browser.get(PROGRESS, headers=EVENTS).headers["X-Accel-Buffering"] == "no"
