"""A page reports what was visible: who may say what, what is recorded of it, and how much of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from prometheus_client import REGISTRY

from features.database import accounts, shown
from features.lake import Lake
from features.schema import IMPRESSIONS
from features.settings import Settings
from pipelines.privacy.verify import photos_due
from serving.accounts.sessions import open_session
from serving.api import impressions as api_impressions
from serving.runtime import Runtime
from tests.serving.conftest import Browser, client_of, of_style

PATH = "/api/me/impressions"
ANNA, BEN = "12@N01", "13@N01"
PHOTOS = of_style(0, 5)


@pytest.fixture(autouse=True)
def fresh_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reports of other tests do not count."""
    monkeypatch.setattr(api_impressions, "_window", FixedWindowRateLimiter(MemoryStorage()))


@pytest.fixture
def sign_in(runtime: Runtime, engine: sa.Engine) -> Callable[[str], Browser]:
    """A function that makes a browser in which that user has signed in."""

    def sign_in(user_id: str) -> Browser:
        with engine.begin() as connection:
            row = {"user_id": user_id, "name": "N", "created_at": datetime.now(UTC)}
            connection.execute(sa.insert(accounts).prefix_with("OR IGNORE").values(row))
        browser = Browser(client_of(runtime))
        browser.cookie, _ = open_session(engine, user_id=user_id)
        return browser

    return sign_in


def report(browser: Browser, *photo_ids: str, **more: Any) -> httpx.Response:
    shown = [{"photo_id": photo_id, "rank": rank} for rank, photo_id in enumerate(photo_ids)]
    return browser.change("POST", PATH, json={"model_version": "7", "shown": shown, **more})


@pytest.fixture
def recorded(runtime: Runtime, lake: Lake) -> Callable[[], list[tuple[str, str, int]]]:
    """A function that commits what waits: (user, photo, rank) of every row of the lake."""

    def look() -> list[tuple[str, str, int]]:
        runtime.impressions.flush()
        rows = lake.scan(IMPRESSIONS).to_pylist()
        return sorted((row["user_id"], row["photo_id"], row["rank"]) for row in rows)

    return look


Recorded = Callable[[], list[tuple[str, str, int]]]


def test_what_the_signed_in_person_saw_is_recorded_as_theirs(
    sign_in: Callable[[str], Browser], recorded: Recorded, lake: Lake
) -> None:
    began = datetime.now(UTC)
    answer = report(sign_in(ANNA), *PHOTOS[:2], variant="calm")
    assert (answer.status_code, answer.content) == (204, b"")
    assert recorded() == [(ANNA, PHOTOS[0], 0), (ANNA, PHOTOS[1], 1)]
    row = lake.scan(IMPRESSIONS).to_pylist()[0]
    assert (row["model_version"], row["variant"]) == ("7", "calm")
    assert began <= row["shown_at"] <= datetime.now(UTC)


def test_what_a_visitor_saw_is_recorded_as_seen_by_nobody(browser: Browser, recorded: Recorded) -> None:
    assert report(browser, PHOTOS[0]).status_code == 204
    assert recorded() == [("", PHOTOS[0], 0)]


def test_of_all_visitors_together_a_photo_counts_once_in_a_batch(runtime: Runtime, recorded: Recorded) -> None:
    for _ in range(3):
        report(Browser(client_of(runtime)), *PHOTOS)
    assert [photo_id for _, photo_id, _ in recorded()] == sorted(PHOTOS)


def test_photos_that_no_wall_shows_are_left_out_and_the_others_recorded(browser: Browser, recorded: Recorded) -> None:
    assert report(browser, "99999999", PHOTOS[0], "88888888").status_code == 204
    assert recorded() == [("", PHOTOS[0], 1)]
    assert report(browser, "99999999").status_code == 204
    assert len(recorded()) == 1


def test_as_many_photos_as_a_page_may_report_are_recorded(
    browser: Browser, runtime: Runtime, recorded: Recorded
) -> None:
    (card,) = runtime.online.photo_cards(PHOTOS[:1]).values()
    many = [str(7_000_000 + number) for number in range(200)]
    runtime.online.write_photo_cards([replace(card, photo_id=photo_id) for photo_id in many])
    assert report(browser, *many).status_code == 204
    assert [photo_id for _, photo_id, _ in recorded()] == many


def test_a_wall_without_a_model_is_reported_without_a_version(browser: Browser, recorded: Recorded, lake: Lake) -> None:
    assert report(browser, PHOTOS[0], model_version="").status_code == 204
    recorded()
    assert lake.scan(IMPRESSIONS).column("model_version").to_pylist() == [""]


# Bad input


ONE = {"photo_id": "1000", "rank": 0}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"shown": [ONE]}, "model_version"),
        ({"model_version": None, "shown": [ONE]}, "model_version"),
        ({"model_version": "7" * 65, "shown": [ONE]}, "model_version"),
        ({"model_version": "7", "variant": 3, "shown": [ONE]}, "variant"),
        ({"model_version": "7", "variant": "v" * 65, "shown": [ONE]}, "variant"),
        ({"model_version": "7"}, "shown"),
        ({"model_version": "7", "shown": []}, "shown"),
        ({"model_version": "7", "shown": [ONE] * 201}, "shown"),
        ({"model_version": "7", "shown": ONE}, "shown"),
        ({"model_version": "7", "shown": ["1000"]}, "shown"),
        ({"model_version": "7", "shown": [ONE, {"photo_id": "not~one", "rank": 0}]}, "photo_id"),
        ({"model_version": "7", "shown": [{"rank": 0}]}, "photo_id"),
        ({"model_version": "7", "shown": [{"photo_id": "1000"}]}, "rank"),
        ({"model_version": "7", "shown": [{"photo_id": "1000", "rank": -1}]}, "rank"),
        ({"model_version": "7", "shown": [{"photo_id": "1000", "rank": 2**31}]}, "rank"),
        ({"model_version": "7", "shown": [{"photo_id": "1000", "rank": 0.5}]}, "rank"),
        ([], "body"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_of_it_recorded(
    browser: Browser, recorded: Recorded, body: object, field: str
) -> None:
    answer = browser.change("POST", PATH, json=body)
    assert answer.status_code == 422
    assert (answer.json()["error"]["code"], answer.json()["error"]["field"]) == ("invalid_input", field)
    assert recorded() == []


def test_only_our_own_page_is_listened_to(browser: Browser, recorded: Recorded) -> None:
    body = {"model_version": "7", "shown": [ONE]}
    token = browser.session()["csrf_token"]
    assert browser.client.post(PATH, json=body).status_code == 403
    headers = {"X-CSRF-Token": token, "Sec-Fetch-Site": "cross-site"}
    assert browser.client.post(PATH, json=body, headers=headers).status_code == 403
    browser.client.cookies.clear()
    assert browser.client.post(PATH, json=body, headers={"X-CSRF-Token": token}).status_code == 401
    assert recorded() == []


# Whose wall it was


@pytest.mark.parametrize(("wall", "own_wall"), [({"wall": ANNA}, True), ({"wall": BEN}, False), ({}, None)])
def test_whether_it_was_ones_own_wall_is_recorded_as_the_page_says_whose_it_was(
    sign_in: Callable[[str], Browser], recorded: Recorded, lake: Lake, wall: dict[str, str], own_wall: bool | None
) -> None:
    assert report(sign_in(ANNA), PHOTOS[0], **wall).status_code == 204
    recorded()
    assert lake.scan(IMPRESSIONS).column("own_wall").to_pylist() == [own_wall]


def test_nobody_who_is_not_signed_in_has_a_wall_of_their_own(
    browser: Browser, recorded: Recorded, lake: Lake, engine: sa.Engine
) -> None:
    assert report(browser, PHOTOS[0], wall=ANNA).status_code == 204
    recorded()
    assert lake.scan(IMPRESSIONS).column("own_wall").to_pylist() == [False]
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(shown)) == 0


def test_the_persons_own_wall_goes_by_what_was_reported_and_others_do_not_see_by_what(
    sign_in: Callable[[str], Browser], browser: Browser, recorded: Recorded, engine: sa.Engine
) -> None:
    anna, path = sign_in(ANNA), f"/api/users/{ANNA}/recommendations"
    photos = [photo["photo_id"] for photo in anna.get(path).json()["photos"]]
    report(anna, *photos[:3], wall=ANNA)
    recorded()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with engine.begin() as connection:
        connection.execute(sa.update(shown).values(first_shown_at=yesterday, last_shown_at=yesterday))

    def told(browser: Browser) -> dict[str, tuple[bool, bool]]:
        found = browser.get(path, params={"limit": 30}).json()["photos"]
        return {photo["photo_id"]: (photo["new"], photo["first_recommended_at"] is not None) for photo in found}

    assert {told(anna).get(photo_id, (False, True)) for photo_id in photos[:3]} == {(False, True)}
    assert set(told(anna).values()) >= {(True, False)}
    for other in (browser, sign_in(BEN)):
        assert set(told(other).values()) == {(False, False)}


# Too much


def over_the_limit() -> float:
    return REGISTRY.get_sample_value("photo_recommender_impressions_dropped_total", {"reason": "limit"}) or 0.0


def test_more_than_so_many_photos_of_a_person_are_dropped_and_counted_and_others_do_not_suffer(
    sign_in: Callable[[str], Browser], browser: Browser, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_impressions, "SHOWN_AN_HOUR", 4)
    before = over_the_limit()
    # A person who signs in twice is one person.
    assert [report(sign_in(ANNA), *photos).status_code for photos in (PHOTOS[:3], PHOTOS[3:5])] == [204, 204]
    assert over_the_limit() - before == 2
    report(sign_in(BEN), *PHOTOS[:4])
    report(browser, *PHOTOS)
    found = recorded()
    assert [sum(user_id == who for user_id, _, _ in found) for who in (ANNA, BEN, "")] == [3, 4, 5]


def test_visitors_share_a_limit_however_many_sessions_they_open(
    runtime: Runtime, sign_in: Callable[[str], Browser], recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_impressions, "SHOWN_TO_VISITORS_AN_HOUR", 3)
    for photo_id in PHOTOS:
        assert report(Browser(client_of(runtime)), photo_id).status_code == 204
    report(sign_in(ANNA), PHOTOS[4])
    assert recorded() == [("", photo_id, 0) for photo_id in PHOTOS[:3]] + [(ANNA, PHOTOS[4], 0)]


# What it is for


def test_what_was_shown_is_verified_at_flickr_within_the_day(
    browser: Browser, recorded: Recorded, engine: sa.Engine, lake: Lake, settings: Settings
) -> None:
    report(browser, *PHOTOS[:2])
    recorded()
    now = datetime.now(UTC)
    assert set(photos_due(engine, lake, now)) == set(PHOTOS[:2])
    assert photos_due(engine, lake, now + timedelta(hours=25)) == []
