"""The wall by hand and by keyboard, in a real Chromium: one photo large, the keys, a long wall, and learning."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from features.database import accounts
from features.settings import Settings
from serving.accounts.sessions import COOKIE, open_session
from tests.chromium import running_chromium
from tests.serving.conftest import World, make_runtime, of_style, state_of
from tests.serving.real_browser import draw_pictures, served_site, wait_for

pytestmark = pytest.mark.browser

OWN, SOMEBODY = "97@N09", "98@N09"
RECOMMENDATIONS = re.compile(r"/api/users/[^/]+/recommendations")

PLACES = """cards => cards.map(card => {
    const { left, top, width } = card.getBoundingClientRect();
    return [card.dataset.photoId, Math.round(left), Math.round(top), Math.round(width)];
}).filter(([, , top]) => top < innerHeight)"""
"""(photo, left, top, width) of each card that begins on the screen or above it."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def site(world: World, engine: sa.Engine, settings: Settings, free_port: Callable[[], int]) -> Iterator[str]:
    world.online.write_user_states([state_of(user_id, of_style(0, 6)) for user_id in (OWN, SOMEBODY)])
    with served_site(make_runtime(world, engine, settings), free_port()) as address:
        yield address


@pytest.fixture
def page(chromium: Browser, site: str, engine: sa.Engine) -> Iterator[Page]:
    """`OWN`, signed in, at their wall."""
    context = chromium.new_context(base_url=site, viewport={"width": 1000, "height": 900}, reduced_motion="reduce")
    with engine.begin() as connection:
        connection.execute(sa.insert(accounts).values(user_id=OWN, name="Ansel", created_at=datetime.now(UTC)))
    cookie, _ = open_session(engine, user_id=OWN)
    address = site.replace("http:", "https:")  # a secure cookie's, though the browser sends it to localhost without
    context.add_cookies([{"name": COOKIE, "value": cookie, "url": address, "secure": True, "httpOnly": True}])
    page = context.new_page()
    draw_pictures(page)
    page.goto(f"/wall/{OWN}")
    expect(page.get_by_test_id("photo-card").nth(8)).to_be_visible()
    expect(page.get_by_test_id("progress")).to_be_visible()  # it moves the wall down
    yield page
    context.close()


def photo_ids(page: Page) -> list[str]:
    found: list[str] = page.get_by_test_id("photo-card").evaluate_all("cards => cards.map(c => c.dataset.photoId)")
    return found


def focused(page: Page) -> str | None:
    """The photo whose card has the keyboard."""
    found: str | None = page.evaluate("document.activeElement.closest('[data-photo-id]')?.dataset.photoId ?? null")
    return found


def opened(page: Page) -> str | None:
    lightbox = page.get_by_test_id("lightbox")
    return lightbox.get_attribute("data-photo") if lightbox.count() else None


# One photo, large


def test_a_photo_opens_large_and_the_way_back_closes_it_where_the_person_was(page: Page) -> None:
    first, second, third = photo_ids(page)[:3]
    page.get_by_test_id("photo-link").nth(1).click()
    expect(page.get_by_test_id("large")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"\?photo={second}$"))
    expect(page.get_by_test_id("similar-photo").nth(11)).to_be_attached()
    page.get_by_test_id("next").click()
    expect(page.get_by_test_id("lightbox-title")).to_have_text(f"Photo {third}")
    page.go_back()
    expect(page.get_by_test_id("lightbox")).to_have_count(0)
    assert focused(page) == third
    page.keyboard.press("k")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("lightbox-title")).to_have_text(f"Photo {first}")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(rf"/wall/{OWN}$"))
    assert focused(page) == first


def test_a_link_to_a_photo_opens_it_for_somebody_else_though_no_wall_of_theirs_shows_it(
    chromium: Browser, site: str
) -> None:
    liked = of_style(0, 1)[0]  # what a person favorited is on no wall of theirs
    page = chromium.new_page(base_url=site)
    draw_pictures(page)
    page.goto(f"/wall/{SOMEBODY}?photo={liked}")
    expect(page.get_by_test_id("lightbox-title")).to_have_text(f"Photo {liked}")
    expect(page.get_by_test_id("lightbox-fave")).to_have_count(0)
    page.get_by_test_id("close-lightbox").click()
    expect(page).to_have_url(re.compile(rf"/wall/{SOMEBODY}$"))
    page.close()


def test_a_click_with_ctrl_opens_a_tab_of_its_own_and_nothing_here(page: Page) -> None:
    with page.context.expect_page() as tab:
        page.get_by_test_id("photo-link").first.click(modifiers=["Control"])
    assert tab.value != page
    assert opened(page) is None


def test_the_keyboard_stays_in_the_lightbox_and_its_notices(page: Page) -> None:
    page.get_by_test_id("photo-link").first.click()
    expect(page.get_by_test_id("similar-photo").first).to_be_visible()
    page.keyboard.press("d")
    expect(page.get_by_test_id("undo")).to_be_visible()
    inside = "document.activeElement.closest('[data-testid=lightbox], [data-notices], body > :not(#app)') !== null"
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        at_body = page.evaluate("document.activeElement === document.body")  # the browser's own bars
        assert at_body or page.evaluate(inside)
        reached.add(page.evaluate("document.activeElement.dataset.testid"))
    assert {"undo", "dismiss-person", "close-lightbox", "lightbox-fave"} <= reached


# Keys


def test_dismissing_and_undoing_by_keyboard_on_the_wall_and_in_the_lightbox(page: Page) -> None:
    ids = photo_ids(page)
    for _ in range(3):
        page.keyboard.press("j")
    assert focused(page) == ids[2]
    page.keyboard.press("d")
    expect(page.locator(f"[data-photo-id='{ids[2]}']")).to_have_count(0)
    assert focused(page) == ids[3]
    page.keyboard.press("u")
    expect(page.locator(f"[data-photo-id='{ids[2]}']")).to_have_count(1)
    assert focused(page) == ids[2]
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("large")).to_be_visible()
    page.keyboard.press("d")
    expect(page.get_by_test_id("lightbox-title")).to_have_text(f"Photo {ids[3]}")
    page.keyboard.press("u")
    expect(page.get_by_test_id("lightbox-title")).to_have_text(f"Photo {ids[2]}")


def test_letters_are_text_in_a_field_and_nothing_once_they_are_turned_off(page: Page) -> None:
    page.get_by_test_id("photo-link").first.click()
    field = page.get_by_test_id("lightbox").locator("textarea")
    field.click()
    page.keyboard.type("dfj?")
    expect(field).to_have_value("dfj?")
    expect(page.get_by_test_id("notice")).to_have_count(0)
    page.get_by_test_id("close-lightbox").click()
    page.keyboard.press("?")
    page.get_by_test_id("shortcuts-on").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    expect(page.get_by_test_id("photo-card").first).to_be_visible()
    page.keyboard.press("j")
    assert focused(page) is None
    page.keyboard.press("?")
    expect(page.get_by_test_id("shortcuts")).not_to_be_visible()


# A long wall


def test_the_wall_goes_on_by_itself_and_only_what_is_near_the_screen_is_in_the_page(page: Page) -> None:
    page.keyboard.press("j")
    first = focused(page)
    for _ in range(60):
        page.mouse.wheel(0, 1_500)
        if page.locator("[data-testid=photo-card][aria-posinset='100']").count():
            break
        page.wait_for_timeout(50)
    places = page.get_by_test_id("photo-card").evaluate_all("cards => cards.map(card => +card.ariaPosInSet)")
    assert 100 in places
    assert len(places) < 60
    assert places == sorted(places)
    # The keyboard is where it was, and leads back.
    assert focused(page) == first
    page.keyboard.press("j")
    expect(page.get_by_test_id("photo-card").nth(1)).to_be_in_viewport()


def test_nothing_on_the_screen_moves_as_the_wall_learns_from_a_dismissal(page: Page) -> None:
    page.get_by_test_id("photo-card").nth(4).evaluate("card => card.scrollIntoView({ behavior: 'instant' })")
    page.wait_for_timeout(300)
    cards = page.get_by_test_id("photo-card")
    dismissed = cards.nth(7).get_attribute("data-photo-id")
    with page.expect_response(RECOMMENDATIONS, timeout=2_000) as learned:
        page.locator(f"[data-photo-id='{dismissed}']").get_by_test_id("dismiss").click()
        expect(page.locator(f"[data-photo-id='{dismissed}']")).to_have_count(0)
        page.wait_for_timeout(100)
        before, scrolled = cards.evaluate_all(PLACES), page.evaluate("scrollY")
    answer: Any = learned.value.json()
    kept = {photo_id for photo_id, *_ in before}
    new = [photo["photo_id"] for photo in answer["photos"] if photo["photo_id"] not in kept]
    # One photo more stays, as where a row ends depends on it.
    wait_for(lambda: photo_ids(page)[len(kept) + 1 :][:5] == [p for p in new if p != photo_ids(page)[len(kept)]][:5])
    assert cards.evaluate_all(PLACES) == before
    assert page.evaluate("scrollY") == scrolled
    expect(page.get_by_test_id("new-ranking")).to_have_count(0)
