"""Favorites: on Flickr first, committed before the answer, and of the owner more is asked for."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from features.database import accounts
from pipelines.queue.requests import Kind as PullKind
from pipelines.queue.requests import Priority, PullRequest
from serving.accounts.sessions import open_session
from serving.runtime import Runtime
from tests.serving.api.conftest import Recorded, refused_field
from tests.serving.conftest import Browser, Sandbox, of_style

FAVORITES, DISMISSALS = "/api/me/favorites", "/api/me/dismissals"


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
    assert refused_field(visitor.change(method, f"{FAVORITES}/{photo_id}")) == (502, code, None)
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
    assert refused_field(visitor.change(method, path)) == (404, "not_found", "photo_id")
    assert recorded(me) == []


def test_a_photo_that_is_known_here_but_gone_from_flickr_is_not_found(
    visitor: Browser, me: str, recorded: Recorded
) -> None:
    assert refused_field(visitor.change("PUT", f"{FAVORITES}/{of_style(0, 1)[0]}"))[:2] == (404, "not_found")
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


def test_the_account_without_a_token_asks_to_sign_in_again(
    visitor: Browser, me: str, sandbox: Sandbox, engine: sa.Engine, recorded: Recorded
) -> None:
    ((photo_id, _),) = sandbox.photos_for(me, 1)
    with engine.begin() as connection:
        connection.execute(sa.update(accounts).values(token_ciphertext=None))
    visitor.cookie, _ = open_session(engine, user_id=me)
    assert refused_field(visitor.change("PUT", f"{FAVORITES}/{photo_id}"))[:2] == (401, "not_signed_in")
    assert recorded(me) == []
