"""Who the tests of the website's API are about, and how they look at what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from features.actions import Action, actions_after
from features.batch import PopularPhotos
from serving.accounts.sessions import COOKIE
from serving.champion.served import Served
from serving.ranking.recommender import Recommender
from serving.runtime import Runtime
from tests.serving.conftest import Browser, Sandbox, World, card_of, client_of, state_of

Recorded = Callable[[str], list[tuple[str, str, str]]]


def cookie_of(answer: httpx.Response) -> tuple[str, dict[str, str]]:
    """The value and the attributes of the session's cookie in an answer."""
    (morsel,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
    assert morsel.key == COOKIE
    return morsel.value, {name: str(value) for name, value in morsel.items() if value}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of an error."""
    assert set(answer.json()["error"]) == {"code", "message", "field"}
    return answer.status_code, answer.json()["error"]["code"]


def refused_field(answer: httpx.Response) -> tuple[int, str, str | None]:
    """The same, and which field is to blame."""
    return *refusal(answer), answer.json()["error"]["field"]


def rows(engine: sa.Engine, table: sa.Table) -> list[sa.RowMapping]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(table)).mappings())


def in_the_past(engine: sa.Engine, table: sa.Table) -> None:
    """Let the time of every row run out."""
    with engine.begin() as connection:
        connection.execute(sa.update(table).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))


def wall(browser: Browser, user_id: str) -> Any:
    return browser.get(f"/api/users/{user_id}/recommendations").json()


def photo_ids(wall: Any) -> list[str]:
    return [photo["photo_id"] for photo in wall["photos"]]


@pytest.fixture
def somebody(sandbox: Sandbox) -> str:
    return sandbox.people[0]


@pytest.fixture
def other_browser(flickr_runtime: Runtime) -> Browser:
    return Browser(client_of(flickr_runtime))


@pytest.fixture
def me(visitor: Browser, sandbox: Sandbox) -> str:
    """The NSID of the person who is signed in in `visitor`."""
    user_id = sandbox.people[2]
    assert visitor.sign_in(sandbox, user_id).status_code == 303
    return user_id


@pytest.fixture
def small_wall(visitor: Browser, me: str, sandbox: Sandbox, world: World, flickr_runtime: Runtime) -> Browser:
    """The browser of `me` where a dozen of the sandbox's photos are popular, and there is no model."""
    # Each of another photographer: so that nothing but what a test does decides on the order.
    by_owner = {owner: (photo, owner) for photo, owner in reversed(sandbox.photos_for(me, 60))}
    photos = list(reversed(by_owner.values()))[:12]
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
