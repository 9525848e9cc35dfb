"""What a signed-in person does on the wall: on Flickr first, committed before the answer, in the next wall at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.actions import Action, actions_after
from features.batch import PopularPhotos
from features.database import accounts, actions
from pipelines.queue.requests import Kind as PullKind
from pipelines.queue.requests import Priority, PullRequest
from serving.accounts.sessions import open_session
from serving.champion.served import Served
from serving.ranking.recommender import Recommender
from serving.runtime import Runtime
from tests.serving.conftest import Browser, Sandbox, World, card_of, client_of, of_style, owner_of, state_of

FAVORITES, DISMISSALS = "/api/me/favorites", "/api/me/dismissals"


@pytest.fixture
def me(visitor: Browser, sandbox: Sandbox) -> str:
    """The NSID of the person who is signed in in `visitor`."""
    user_id = sandbox.people[2]
    assert visitor.sign_in(sandbox, user_id).status_code == 303
    return user_id


@pytest.fixture
def small_wall(visitor: Browser, me: str, sandbox: Sandbox, world: World, flickr_runtime: Runtime) -> Browser:
    """The browser of `me` where a dozen of the sandbox's photos are popular, and there is no model."""
    photos = sandbox.photos_for(me, 12)
    world.online.write_photo_cards(replace(card_of("1000"), photo_id=p, owner_id=o, safety_level=0) for p, o in photos)
    world.online.write_user_states([state_of(me, [])])
    served = Served(None, PopularPhotos(*zip(*photos, strict=True), scores=(1.0,) * len(photos)))
    recommender = Recommender(flickr_runtime.engine, world.online, lambda: served)
    browser = Browser(client_of(replace(flickr_runtime, recommender=recommender)))
    browser.cookie = visitor.cookie
    return browser


@pytest.fixture
def recorded(engine: sa.Engine) -> Callable[[str], list[tuple[str, str, str]]]:
    """A function that tells (kind, photo, owner) of each action of a user, in order."""

    def read(user_id: str) -> list[tuple[str, str, str]]:
        found: list[Action] = actions_after(engine, user_id, 0)
        return [(action.kind, action.photo_id, action.owner_id) for action in found]

    return read


Recorded = Callable[[str], list[tuple[str, str, str]]]


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["field"]


def wall(browser: Browser, user_id: str) -> Any:
    return browser.get(f"/api/users/{user_id}/recommendations").json()


def photo_ids(wall: Any) -> list[str]:
    return [photo["photo_id"] for photo in wall["photos"]]


# Favorites


def test_a_favorite_is_made_on_flickr_and_recorded_here(
    visitor: Browser, me: str, sandbox: Sandbox, recorded: Recorded
) -> None:
    ((photo_id, owner_id),) = sandbox.photos_for(me, 1)
    answer = visitor.change("PUT", f"{FAVORITES}/{photo_id}")
    assert answer.status_code == 200
    assert photo_id in sandbox.favorites(me)
    assert recorded(me) == [("favorite", photo_id, owner_id)]
    body = answer.json()
    assert (body["kind"], body["photo_id"], body["owner_id"]) == ("favorite", photo_id, owner_id)
    assert body["action_id"]


def test_a_favorite_is_taken_back_on_flickr_and_here(
    visitor: Browser, me: str, sandbox: Sandbox, recorded: Recorded
) -> None:
    ((photo_id, owner_id),) = sandbox.photos_for(me, 1)
    visitor.change("PUT", f"{FAVORITES}/{photo_id}")
    assert visitor.change("DELETE", f"{FAVORITES}/{photo_id}").status_code == 200
    assert photo_id not in sandbox.favorites(me)
    assert recorded(me) == [("favorite", photo_id, owner_id), ("unfavorite", photo_id, owner_id)]


def test_what_is_a_favorite_on_flickr_already_is_recorded_all_the_same(
    visitor: Browser, me: str, sandbox: Sandbox, recorded: Recorded
) -> None:
    photo_id = sandbox.favorites(me)[0]
    assert visitor.change("PUT", f"{FAVORITES}/{photo_id}").status_code == 200
    assert [action[:2] for action in recorded(me)] == [("favorite", photo_id)]


def test_what_is_no_favorite_on_flickr_any_more_is_taken_back_all_the_same(
    visitor: Browser, me: str, sandbox: Sandbox, recorded: Recorded
) -> None:
    ((photo_id, owner_id),) = sandbox.photos_for(me, 1)
    assert visitor.change("DELETE", f"{FAVORITES}/{photo_id}").status_code == 200
    assert recorded(me) == [("unfavorite", photo_id, owner_id)]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"kind": "bad_gateway"}, "flickr_unavailable"),
        ({"kind": "too_many_requests"}, "flickr_unavailable"),
        ({"kind": "html"}, "flickr_unavailable"),
        ({"kind": "truncated_json"}, "flickr_unavailable"),
        ({"kind": "fail", "code": 105}, "flickr_unavailable"),
        ({"kind": "fail", "code": 2}, "flickr_refused"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else value,
)
def test_when_flickr_fails_nothing_is_recorded(
    visitor: Browser, me: str, sandbox: Sandbox, recorded: Recorded, method: str, rule: dict[str, Any], code: str
) -> None:
    ((photo_id, _),) = sandbox.photos_for(me, 1)
    change = {"PUT": "flickr.favorites.add", "DELETE": "flickr.favorites.remove"}[method]
    sandbox.faults({**rule, "method": change})
    assert refusal(visitor.change(method, f"{FAVORITES}/{photo_id}")) == (502, code, None)
    assert recorded(me) == []
    assert visitor.session()["user"]["user_id"] == me


def test_after_a_failure_the_same_request_succeeds(
    visitor: Browser, me: str, sandbox: Sandbox, recorded: Recorded
) -> None:
    ((photo_id, owner_id),) = sandbox.photos_for(me, 1)
    # Flickr carried the call out, but its answer never arrived.
    sandbox.faults({"kind": "truncated_json", "method": "flickr.favorites.add", "times": 1})
    assert visitor.change("PUT", f"{FAVORITES}/{photo_id}").status_code == 502
    assert visitor.change("PUT", f"{FAVORITES}/{photo_id}").status_code == 200
    assert recorded(me) == [("favorite", photo_id, owner_id)]
    assert sandbox.favorites(me).count(photo_id) == 1


@pytest.mark.parametrize("path", [f"{FAVORITES}/99999999", f"{DISMISSALS}/photos/99999999"])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_photo_that_nobody_knows_is_not_found(
    visitor: Browser, me: str, recorded: Recorded, method: str, path: str
) -> None:
    assert refusal(visitor.change(method, path)) == (404, "not_found", "photo_id")
    assert recorded(me) == []


def test_a_photo_that_is_known_here_but_gone_from_flickr_is_not_found(
    visitor: Browser, me: str, recorded: Recorded
) -> None:
    assert refusal(visitor.change("PUT", f"{FAVORITES}/{of_style(0, 1)[0]}"))[:2] == (404, "not_found")
    assert recorded(me) == []


def asked_for(runtime: Runtime) -> list[tuple[str, PullKind, Priority]]:
    requests = [PullRequest.parse(message.body) for message in runtime.queue.receive(100, 0.0)]
    return [(request.user_id, request.kind, request.priority) for request in requests]


def test_a_new_favorite_asks_for_its_owners_favorites_ahead_of_refreshes(
    visitor: Browser, me: str, sandbox: Sandbox, flickr_runtime: Runtime
) -> None:
    ((photo_id, owner_id),) = sandbox.photos_for(me, 1)
    for method in ("PUT", "DELETE", "PUT", "DELETE"):
        assert visitor.change(method, f"{FAVORITES}/{photo_id}").status_code == 200
    visitor.change("PUT", f"{DISMISSALS}/photos/{of_style(0, 1)[0]}")
    assert asked_for(flickr_runtime) == [(owner_id, PullKind.FAVORITES, Priority.NEIGHBOR)]


def test_a_favorite_is_made_though_its_owner_can_not_be_asked_for(
    visitor: Browser, me: str, sandbox: Sandbox, recorded: Recorded, engine: sa.Engine, logs: list[Any]
) -> None:
    ((photo_id, owner_id),) = sandbox.photos_for(me, 1)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE pull_requests")
    assert visitor.change("PUT", f"{FAVORITES}/{photo_id}").status_code == 200
    assert recorded(me) == [("favorite", photo_id, owner_id)]
    assert [entry["owner_id"] for entry in logs if entry["event"] == "owner_not_asked_for"] == [owner_id]
    visitor.change("DELETE", f"{FAVORITES}/{photo_id}")


# Dismissals


def test_a_dismissal_and_its_undo_are_recorded_and_flickr_learns_nothing(
    visitor: Browser, me: str, sandbox: Sandbox, recorded: Recorded
) -> None:
    photo_id = of_style(0, 1)[0]
    owner_id = owner_of(photo_id)
    sandbox.faults({"kind": "bad_gateway"})
    for path in (f"{DISMISSALS}/photos/{photo_id}", f"{DISMISSALS}/people/{owner_id}"):
        for method in ("PUT", "DELETE"):
            assert visitor.change(method, path).status_code == 200
    assert recorded(me) == [
        ("dismiss_photo", photo_id, owner_id),
        ("undismiss_photo", photo_id, owner_id),
        ("dismiss_user", "", owner_id),
        ("undismiss_user", "", owner_id),
    ]


def test_a_photo_is_dismissed_though_only_flickr_knows_whose_it_is(
    visitor: Browser, me: str, sandbox: Sandbox, recorded: Recorded
) -> None:
    ((photo_id, owner_id),) = sandbox.photos_for(me, 1)
    assert visitor.change("PUT", f"{DISMISSALS}/photos/{photo_id}").status_code == 200
    assert recorded(me) == [("dismiss_photo", photo_id, owner_id)]


def test_the_next_wall_lacks_what_was_dismissed_and_undoing_brings_back_exactly_that(
    visitor: Browser, me: str, world: World
) -> None:
    world.online.write_user_states([state_of(me, of_style(0, 6))])
    before = wall(visitor, me)
    photo = before["photos"][0]
    person = before["photos"][1]["owner_id"]
    changes = [f"{DISMISSALS}/photos/{photo['photo_id']}", f"{DISMISSALS}/people/{person}"]
    for path in changes:
        visitor.change("PUT", path)
    after = wall(visitor, me)
    assert photo["photo_id"] not in photo_ids(after)
    assert person not in {entry["owner_id"] for entry in after["photos"]}
    assert len(after["photos"]) == len(before["photos"])
    for path in reversed(changes):
        visitor.change("DELETE", path)
    assert photo_ids(wall(visitor, me)) == photo_ids(before)


def test_the_next_wall_lacks_a_new_favorite_and_undoing_brings_it_back(small_wall: Browser, me: str) -> None:
    before = photo_ids(wall(small_wall, me))
    small_wall.change("PUT", f"{FAVORITES}/{before[0]}")
    assert photo_ids(wall(small_wall, me)) == before[1:]
    small_wall.change("DELETE", f"{FAVORITES}/{before[0]}")
    assert photo_ids(wall(small_wall, me)) == before


def test_taking_a_favorite_back_takes_no_dismissal_back(small_wall: Browser, me: str) -> None:
    before = photo_ids(wall(small_wall, me))
    for method, path in (("PUT", f"{DISMISSALS}/photos"), ("PUT", FAVORITES), ("DELETE", FAVORITES)):
        assert small_wall.change(method, f"{path}/{before[0]}").status_code == 200
    assert photo_ids(wall(small_wall, me)) == before[1:]


# Undo

CHANGES = st.tuples(
    st.sampled_from([FAVORITES, f"{DISMISSALS}/photos", f"{DISMISSALS}/people"]),
    st.integers(0, 3),
    st.sampled_from(["PUT", "DELETE"]),
)
INVERSE = {"PUT": "DELETE", "DELETE": "PUT"}


def held(runtime: Runtime, user_id: str) -> dict[str, set[str]]:
    """What is true of the person now, by the address of what changes it."""
    state = runtime.recommender.state(user_id)
    kinds = (state.favorite_ids, state.dismissed_ids, state.dismissed_people)
    paths = (FAVORITES, f"{DISMISSALS}/photos", f"{DISMISSALS}/people")
    return {path: set(ids) for path, ids in zip(paths, kinds, strict=True)}


@given(changes=st.lists(CHANGES, max_size=12))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_done_the_state_is_what_was_done_last_and_undoing_all_of_it_restores_the_wall(
    small_wall: Browser, me: str, sandbox: Sandbox, flickr_runtime: Runtime, changes: list[tuple[str, int, str]]
) -> None:
    # On Flickr too, everything is undone in the end: the sandbox is the same for all examples.
    photos = sandbox.photos_for(me, 4)
    before, page = held(flickr_runtime, me), wall(small_wall, me)["photos"]
    expected = {path: set(ids) for path, ids in before.items()}
    done: list[tuple[str, str]] = []
    for path, number, method in changes:
        photo_id, owner_id = photos[number]
        subject = owner_id if path.endswith("people") else photo_id
        changed = (subject in expected[path]) == (method == "DELETE")
        assert small_wall.change(method, f"{path}/{subject}").status_code == 200
        (expected[path].add if method == "PUT" else expected[path].discard)(subject)
        if changed:
            done.append((method, f"{path}/{subject}"))
        assert held(flickr_runtime, me) == expected
    ids = {photo["photo_id"] for photo in wall(small_wall, me)["photos"]}
    assert not ids & (expected[FAVORITES] | expected[f"{DISMISSALS}/photos"])
    for method, path in reversed(done):
        assert small_wall.change(INVERSE[method], path).status_code == 200
    assert held(flickr_runtime, me) == before
    assert wall(small_wall, me)["photos"] == page


# What is held


def test_me_tells_who_one_is_and_what_one_dismissed(visitor: Browser, me: str, world: World, sandbox: Sandbox) -> None:
    world.online.write_user_states([state_of(me, of_style(0, 3))])
    photo_id, person = of_style(1, 1)[0], owner_of(of_style(2, 1)[0])
    visitor.change("PUT", f"{DISMISSALS}/photos/{photo_id}")
    visitor.change("PUT", f"{DISMISSALS}/people/{person}")
    held = visitor.get("/api/me").json()
    assert (held["user_id"], held["favorites"]) == (me, 3)
    assert [photo["photo_id"] for photo in held["dismissed_photos"]] == [photo_id]
    assert [entry["user_id"] for entry in held["dismissed_people"]] == [person]
    assert held["dismissed_people"][0]["name"] == f"Owner {person}"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/me"),
        *((method, f"{FAVORITES}/1000") for method in ("PUT", "DELETE")),
        *((method, f"{DISMISSALS}/photos/1000") for method in ("PUT", "DELETE")),
        *((method, f"{DISMISSALS}/people/00@N01") for method in ("PUT", "DELETE")),
    ],
)
def test_without_signing_in_nothing_is_told_or_done(
    browser: Browser, engine: sa.Engine, method: str, path: str
) -> None:
    answer = browser.get(path) if method == "GET" else browser.change(method, path)
    assert refusal(answer) == (401, "not_signed_in", None)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(actions)) == 0


def test_everybody_acts_for_themselves_alone(
    visitor: Browser, me: str, sandbox: Sandbox, recorded: Recorded, flickr_runtime: Runtime
) -> None:
    other = Browser(client_of(flickr_runtime))
    other.sign_in(sandbox, sandbox.people[3])
    visitor.change("PUT", f"{DISMISSALS}/photos/1000")
    assert other.get("/api/me").json()["dismissed_photos"] == []
    assert recorded(sandbox.people[3]) == []


def test_the_account_without_a_token_asks_to_sign_in_again(
    visitor: Browser, me: str, sandbox: Sandbox, engine: sa.Engine, recorded: Recorded
) -> None:
    ((photo_id, _),) = sandbox.photos_for(me, 1)
    with engine.begin() as connection:
        connection.execute(sa.update(accounts).values(token_ciphertext=None))
    visitor.cookie, _ = open_session(engine, user_id=me)
    assert refusal(visitor.change("PUT", f"{FAVORITES}/{photo_id}"))[:2] == (401, "not_signed_in")
    assert recorded(me) == []
