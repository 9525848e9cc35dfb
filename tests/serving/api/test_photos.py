"""A picture that did not load: Flickr alone decides whether everybody loses the photo, and is asked once a day.

And what was taken down, or whose owner was erased, a moment ago: no page shows it, though every store still holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from features.database import photo_checks
from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import Reason, bury_photos, bury_users, gone_photos
from serving.api import photos as api_photos
from serving.ranking.recommender import Recommender
from serving.runtime import Runtime
from tests.serving.conftest import (
    Browser,
    Sandbox,
    World,
    candidates_of,
    card_of,
    client_of,
    of_style,
    owner_of,
    state_of,
)

GET_INFO = "flickr.photos.getInfo"


@pytest.fixture(autouse=True)
def fresh_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reports of other tests do not count."""
    monkeypatch.setattr(api_photos, "_window", MovingWindowRateLimiter(MemoryStorage()))


@pytest.fixture
def photo(world: World, sandbox: Sandbox) -> Iterator[str]:
    """A photo of the sandbox's that has a card here."""
    ((photo_id, owner_id),) = sandbox.photos_for(sandbox.people[0], 1)
    world.online.write_photo_cards([replace(card_of("1000"), photo_id=photo_id, owner_id=owner_id, safety_level=0)])
    yield photo_id
    vanish(sandbox)


def vanish(sandbox: Sandbox, *photo_ids: str) -> None:
    gone = {"photos": list(photo_ids), "users": []}
    httpx.put(f"{sandbox.url}/sandbox/gone", json=gone).raise_for_status()


def calls(sandbox: Sandbox) -> int:
    methods = httpx.get(f"{sandbox.url}/sandbox/calls").json()["methods"]
    return sum(methods.get(GET_INFO, {}).values())


def report(browser: Browser, photo_id: str) -> int:
    return browser.change("POST", f"/api/photos/{photo_id}/broken").status_code


def checks(engine: sa.Engine) -> dict[str, tuple[datetime | None, datetime | None]]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(photo_checks)).all()
    return {row.photo_id: (row.reported_at, row.checked_at) for row in rows}


# Reports


def test_a_photo_that_flickr_no_longer_has_is_gone_for_everybody_after_one_report(
    visitor: Browser, photo: str, sandbox: Sandbox, engine: sa.Engine
) -> None:
    vanish(sandbox, photo)
    assert report(visitor, photo) == 204
    assert gone_photos(engine, [photo]) == {photo}
    # The lake is not told by the service: the next verification asks once more, and tells it.
    reported, checked = checks(engine)[photo]
    assert reported is not None
    assert checked is None


def test_a_photo_that_flickr_still_has_stays_however_many_sessions_report_it(
    photo: str, sandbox: Sandbox, engine: sa.Engine, flickr_runtime: Runtime
) -> None:
    before = calls(sandbox)
    for _ in range(5):
        assert report(Browser(client_of(flickr_runtime)), photo) == 204
    assert gone_photos(engine, [photo]) == set()
    assert calls(sandbox) == before + 1


def test_after_a_day_flickr_is_asked_again(visitor: Browser, photo: str, sandbox: Sandbox, engine: sa.Engine) -> None:
    report(visitor, photo)
    with engine.begin() as connection:
        long_ago = datetime.now(UTC) - timedelta(hours=25)
        connection.execute(sa.update(photo_checks).values(reported_at=long_ago, checked_at=long_ago))
    vanish(sandbox, photo)
    assert report(visitor, photo) == 204
    assert gone_photos(engine, [photo]) == {photo}


def test_while_flickr_does_not_answer_the_report_is_kept_for_the_next_verification(
    visitor: Browser, photo: str, sandbox: Sandbox, engine: sa.Engine
) -> None:
    sandbox.faults({"kind": "bad_gateway"})
    assert report(visitor, photo) == 204
    assert gone_photos(engine, [photo]) == set()
    before = calls(sandbox)
    assert report(visitor, photo) == 204
    assert calls(sandbox) == before
    assert checks(engine)[photo][1] is None


def test_without_a_key_of_flickrs_the_report_is_kept_all_the_same(browser: Browser, engine: sa.Engine) -> None:
    photo_id = of_style(0, 1)[0]
    assert report(browser, photo_id) == 204
    assert set(checks(engine)) == {photo_id}


def test_only_photos_that_a_wall_may_show_can_be_reported(browser: Browser, engine: sa.Engine) -> None:
    answer = browser.change("POST", "/api/photos/99999999/broken")
    assert (answer.status_code, answer.json()["error"]["field"]) == (404, "photo_id")
    bury_photos(engine, ["1000"], Reason.TAKEDOWN)
    assert report(browser, "1000") == 204
    assert checks(engine) == {}


def test_no_more_than_so_many_are_taken_an_hour_and_nobody_is_told(
    browser: Browser, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_photos, "REPORTS_AN_HOUR", 3)
    photos = of_style(0, 5)
    assert [report(browser, photo_id) for photo_id in photos] == [204] * 5
    assert set(checks(engine)) == set(photos[:3])


def test_a_report_comes_from_our_own_page_only(browser: Browser, engine: sa.Engine) -> None:
    path = "/api/photos/1000/broken"
    browser.session()
    assert browser.client.post(path).status_code == 403
    token = browser.session()["csrf_token"]
    headers = {"X-CSRF-Token": token, "Sec-Fetch-Site": "cross-site"}
    assert browser.client.post(path, headers=headers).status_code == 403
    browser.client.cookies.clear()
    assert browser.client.post(path, headers={"X-CSRF-Token": token}).status_code == 401
    assert checks(engine) == {}


# What was taken away a moment ago


USER = "91@N09"


@pytest.fixture
def person(world: World) -> str:
    """Somebody with favorites and neighbors."""
    world.online.write_user_states([state_of(USER, of_style(0, 6))])
    world.online.write_neighbor_candidates([candidates_of(USER, of_style(1, 20))])
    return USER


def wall_of(recommender: Recommender, user_id: str) -> tuple[set[str], set[str], set[str], set[str]]:
    """(photos, their owners, photos of the reasons, people) of the first page."""
    answer = recommender.recommend(user_id, limit=30, people=5)
    photos, people = {photo.photo_id for photo in answer.photos}, {person.user_id for person in answer.people}
    assert len(photos) == 30
    assert {reason.photo_id for photo in answer.photos for reason in photo.reasons} <= answer.reason_photos.keys()
    return photos, {photo.owner_id for photo in answer.photos}, set(answer.reason_photos), people


@pytest.mark.parametrize("kind", ["als", "neighbor_score", "popularity", None])
def test_a_buried_photo_is_gone_from_the_next_page_which_is_full_all_the_same(
    recommender: Callable[..., Recommender], person: str, engine: sa.Engine, kind: str | None
) -> None:
    ranking = recommender(kind)
    photos, _, _, _ = wall_of(ranking, person)
    buried = sorted(photos)[:20]
    bury_photos(engine, buried, Reason.TAKEDOWN)
    assert wall_of(ranking, person)[0].isdisjoint(buried)


def test_a_buried_favorite_is_no_reason_any_more(
    recommender: Callable[..., Recommender], person: str, engine: sa.Engine
) -> None:
    ranking = recommender("als")
    reasons = wall_of(ranking, person)[2]
    assert reasons
    bury_photos(engine, sorted(reasons)[:2], Reason.VANISHED)
    assert wall_of(ranking, person)[2].isdisjoint(sorted(reasons)[:2])


def erase(engine: sa.Engine, world: World, user_ids: list[str]) -> Suppression:
    suppression = Suppression(world.settings, engine)
    for user_id in user_ids:
        suppression.suppress(user_id)
    return suppression


@pytest.mark.parametrize("how", ["buried", "erased"])
def test_neither_photos_nor_reasons_nor_the_person_are_left_of_somebody_who_is_gone(
    recommender: Callable[..., Recommender], world: World, person: str, engine: sa.Engine, how: str
) -> None:
    served = recommender("als")._served
    _, owners, reasons, people = wall_of(recommender("als"), person)
    gone = sorted(people)[:2] + sorted(owners)[:3] + [owner_of(sorted(reasons)[0])]
    suppression = None
    if how == "buried":
        bury_users(engine, gone, Reason.DELETED)
    else:
        suppression = erase(engine, world, gone)
    ranking = Recommender(engine, world.online, served, suppression)
    _, owners, reasons, people = wall_of(ranking, person)
    assert owners.isdisjoint(gone)
    assert people.isdisjoint(gone)
    assert {owner_of(photo_id) for photo_id in reasons}.isdisjoint(gone)
    assert len(people) == 5


def test_similar_photos_leave_out_what_is_gone(recommender: Callable[..., Recommender], engine: sa.Engine) -> None:
    ranking, photo_id = recommender("als"), of_style(0, 1)[0]
    before = [photo.photo_id for photo in ranking.similar(photo_id, 10).photos]
    bury_photos(engine, before[:3], Reason.TAKEDOWN)
    bury_users(engine, [owner_of(before[3])], Reason.DELETED)
    after = [photo.photo_id for photo in ranking.similar(photo_id, 10).photos]
    assert set(after).isdisjoint(before[:3])
    assert owner_of(before[3]) not in set(map(owner_of, after))
    assert len(after) == 10


def test_a_dismissed_photo_that_was_taken_down_is_not_listed_to_who_dismissed_it(
    visitor: Browser, sandbox: Sandbox, engine: sa.Engine
) -> None:
    visitor.sign_in(sandbox, sandbox.people[4])
    for photo_id in of_style(0, 2):
        assert visitor.change("PUT", f"/api/me/dismissals/photos/{photo_id}").status_code == 200
    bury_photos(engine, of_style(0, 1), Reason.TAKEDOWN)
    held: dict[str, Any] = visitor.get("/api/me").json()
    assert [photo["photo_id"] for photo in held["dismissed_photos"]] == of_style(0, 2)[1:]
