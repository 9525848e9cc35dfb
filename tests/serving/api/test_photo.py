"""A photo by itself, for whoever has a link to it, and the photos that the same people like."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from pipelines.privacy.tombstones import Reason, bury_photos
from serving.cards import photo_fields
from serving.ranking.recommender import Recommender
from tests.serving.conftest import (
    PHOTOS,
    Browser,
    Sandbox,
    World,
    card_of,
    is_gone,
    is_unsafe,
    of_style,
    owner_of,
    showable,
    state_of,
)


def test_a_photo_is_there_for_whoever_has_a_link_to_it(browser: Browser) -> None:
    photo_id = of_style(0, 1)[0]
    answer = browser.get(f"/api/photos/{photo_id}")
    assert answer.status_code == 200
    assert answer.json() == photo_fields(card_of(photo_id))


@pytest.mark.parametrize("why", ["unknown", "gone", "unsafe", "taken down"])
def test_a_photo_that_no_wall_may_show_is_not(browser: Browser, engine: sa.Engine, why: str) -> None:
    choose = {"unknown": lambda _: False, "gone": is_gone, "unsafe": is_unsafe, "taken down": showable}[why]
    photo_id = next(filter(choose, PHOTOS), "99999999")
    if why == "taken down":
        bury_photos(engine, [photo_id], Reason.TAKEDOWN)
    answer = browser.get(f"/api/photos/{photo_id}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (404, "photo_id")


def similar(browser: Browser, photo_id: str, limit: int) -> list[str]:
    answer = browser.get(f"/api/photos/{photo_id}/similar", params={"limit": limit})
    assert answer.status_code == 200, answer.text
    return [photo["photo_id"] for photo in answer.json()["photos"]]


def test_similar_photos_are_those_of_the_service_to_whoever_is_not_signed_in(
    browser: Browser, recommender: Callable[..., Recommender]
) -> None:
    photo_id = of_style(1, 1)[0]
    found = similar(browser, photo_id, 12)
    assert found == [photo.photo_id for photo in recommender("als").similar(photo_id, 12).photos]
    assert len(found) == 12
    assert photo_id not in found


def test_nothing_that_the_signed_in_person_dismissed_or_faved_is_among_similar_photos(
    visitor: Browser, sandbox: Sandbox, world: World
) -> None:
    visitor.sign_in(sandbox, sandbox.people[2])
    photo_id = of_style(2, 1)[0]
    before = similar(visitor, photo_id, 12)
    user_id = visitor.session()["user"]["user_id"]
    world.online.write_user_states([state_of(user_id, before[:3])])
    for dismissed in before[3:5]:
        assert visitor.change("PUT", f"/api/me/dismissals/photos/{dismissed}").status_code == 200
    assert visitor.change("PUT", f"/api/me/dismissals/people/{owner_of(before[5])}").status_code == 200
    after = similar(visitor, photo_id, 12)
    assert set(after).isdisjoint(before[:5])
    assert owner_of(before[5]) not in set(map(owner_of, after))
    assert len(after) == 12
    world.online.write_user_states([state_of(user_id, [])])


def test_similar_photos_of_one_that_no_model_knows_are_none(browser: Browser) -> None:
    answer = browser.get("/api/photos/99999999/similar")
    assert (answer.status_code, answer.json()["error"]["field"]) == (404, "photo_id")


def test_no_more_than_flickrs_terms_allow_are_similar(browser: Browser) -> None:
    answer = browser.get("/api/photos/1000/similar", params={"limit": 31})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "limit")
