"""Requests that nobody plans for: people without a history or with a vast one, limits out of bounds, any input at all.

The answer is the right one, or a refusal that names the field; never a failure of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
import schemathesis
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from features.settings import Settings
from pipelines.sandbox.groups import group_ids
from serving.answers import MAX_PAGE
from tests.serving.browser import APPLICATION
from tests.serving.conftest import (
    EPOCH,
    PHOTOS,
    Browser,
    Sandbox,
    World,
    client_of,
    make_runtime,
    of_style,
    owner_of,
    showable,
    state_of,
)

PERSON = "41@N07"
WALL = f"/api/users/{PERSON}/recommendations"
OF_ANYBODY = "/api/users/42@N07/recommendations"
GROUPS = group_ids(3)  # the sandbox's
EXAMPLES = 25
"""Of each operation; all of them together within half a minute."""


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["field"]


# People


def test_somebody_unknown_gets_what_is_popular_and_is_not_called_degraded(browser: Browser) -> None:
    wall = browser.get("/api/users/99999999@N07/recommendations").json()
    assert (wall["strategy"], wall["degraded"], wall["coverage"], len(wall["photos"])) == ("popular", False, 0.0, 30)


def test_somebody_who_is_known_and_has_favorited_nothing_gets_what_is_popular(browser: Browser, world: World) -> None:
    world.online.write_user_states([state_of(PERSON, [])])
    wall = browser.get(WALL).json()
    assert (wall["strategy"], wall["degraded"], len(wall["photos"])) == ("popular", False, 30)


def test_a_hundred_thousand_favorites_make_a_wall_like_any_other(browser: Browser, world: World) -> None:
    liked = of_style(0, 20)
    others = [str(10**9 + number) for number in range(100_000 - len(liked))]
    world.online.write_user_states(
        [
            replace(
                state_of(PERSON, liked),
                favorite_ids=(*liked, *others),
                favorite_owners=(*(owner_of(photo) for photo in liked), *("55@N01",) * len(others)),
                favorite_times=(EPOCH,) * 100_000,
            )
        ]
    )
    wall = browser.get(WALL).json()
    assert (wall["strategy"], wall["degraded"], len(wall["photos"])) == ("personalized", False, 30)
    assert not {photo["photo_id"] for photo in wall["photos"]} & set(liked)


def test_a_wall_of_somebody_who_dismissed_every_photo_is_empty_and_has_an_end(browser: Browser, world: World) -> None:
    everything = tuple(PHOTOS)
    world.online.write_user_states(
        [
            state_of(
                PERSON,
                [],
                dismissed_ids=everything,
                dismissed_owners=tuple(map(owner_of, everything)),
                dismissed_times=(EPOCH,) * len(everything),
            )
        ]
    )
    answer = browser.get(WALL)
    wall = answer.json()
    assert (answer.status_code, wall["photos"], wall["next_cursor"]) == (200, [], None)


def test_all_but_one_photo_dismissed_leaves_that_one(browser: Browser, world: World) -> None:
    left, *others = [photo for photo in PHOTOS if showable(photo)]
    world.online.write_user_states(
        [
            state_of(
                PERSON,
                of_style(0, 3, skip=5),
                dismissed_ids=tuple(others),
                dismissed_owners=tuple(map(owner_of, others)),
                dismissed_times=(EPOCH,) * len(others),
            )
        ]
    )
    assert [photo["photo_id"] for photo in browser.get(WALL).json()["photos"]] == [left]


# Limits


@pytest.mark.parametrize("limit", ["0", "-1", str(MAX_PAGE + 1), "1000000000", "x", "", "1.5", "1e400", "NaN", "٣٠x"])
def test_a_limit_out_of_bounds_is_refused_by_its_name(browser: Browser, limit: str) -> None:
    assert refusal(browser.get(OF_ANYBODY, params={"limit": limit})) == (422, "invalid_input", "limit")


@pytest.mark.parametrize("limit", [1, 2, MAX_PAGE])
def test_a_limit_within_bounds_is_kept_to(browser: Browser, limit: int) -> None:
    assert len(browser.get(OF_ANYBODY, params={"limit": limit}).json()["photos"]) == limit


@pytest.mark.parametrize("user_id", ["x", "1", "@N01", "1@N1", "1@N001", "%00@N01", "a" * 65 + "@N01", "１@N01"])
def test_what_is_no_nsid_is_refused_by_its_name(browser: Browser, user_id: str) -> None:
    assert refusal(browser.get(f"/api/users/{user_id}/recommendations")) == (422, "invalid_input", "user_id")


# Anything at all

SCHEMA = schemathesis.openapi.from_dict(APPLICATION.openapi())
OPERATIONS = {f"{found.ok().method.upper()} {found.ok().path}": found.ok() for found in SCHEMA.get_all_operations()}


@pytest.fixture
def signed_in(world: World, engine: sa.Engine, flickr_settings: Settings, sandbox: Sandbox) -> Iterator[Browser]:
    """The browser of somebody who is signed in; the sandbox takes any number of calls."""
    unhurried = {"flickr_calls_per_hour": 1_000_000, "flickr_calls_per_second": 1_000_000, "onboarding_groups": GROUPS}
    with client_of(make_runtime(world, engine, flickr_settings.model_copy(update=unhurried))) as client:
        browser = Browser(client)
        assert browser.sign_in(sandbox, sandbox.people[3]).status_code == 303
        yield browser


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_no_request_of_whatever_shape_makes_the_service_fail(name: str, signed_in: Browser, sandbox: Sandbox) -> None:
    operation = OPERATIONS[name]
    known = {"user_id": sandbox.people[4], "other_id": sandbox.people[5], "photo_id": "1000", "group_id": GROUPS[0]}
    cookie, csrf_token = signed_in.cookie, signed_in.session()["csrf_token"]
    any_request = st.one_of(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=any_request, of_somebody=st.booleans())
    def ask(case: schemathesis.Case, of_somebody: bool) -> None:
        if of_somebody:
            case.path_parameters = {part: known[part] for part in case.path_parameters or {}}
        request = case.as_transport_kwargs(base_url="https://testserver")
        headers = {**request.pop("headers"), "X-CSRF-Token": csrf_token, "Sec-Fetch-Site": "same-origin"}
        body = {"content": request.pop("data")} if isinstance(request.get("data"), bytes | str) else {}
        signed_in.cookie = cookie
        del request["cookies"]
        answer = signed_in.client.request(**request, **body, headers=headers)
        assert answer.status_code < 500, answer.text
        if answer.status_code == 422:
            assert answer.json()["error"]["field"]

    ask()
