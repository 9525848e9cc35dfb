"""axe-core has nothing to say against any page or state of the site, in light and in dark (WCAG 2.0–2.2, A and AA).

The site's content security policy stays on: axe comes in by the browser's debugger, from frontend/node_modules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, Route, expect

from features.database import accounts
from features.settings import Settings
from serving.accounts.sessions import COOKIE, open_session
from tests.chromium import running_chromium
from tests.serving.conftest import World, make_runtime, of_style, state_of
from tests.serving.real_browser import draw_pictures, served_site

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = f"() => axe.run(document, {{ runOnly: {STANDARDS}, preload: false }})"
STILL = """async () => {
    for (let still = 0; still < 3; still++) {
        await new Promise(requestAnimationFrame);
        if (document.getAnimations().some(animation => animation.playState === "running")) still = 0;
    }
}"""
"""Resolves when nothing has moved for three frames: what is halfway between two colors is neither."""

SOMEBODY, OWN = "95@N09", "96@N09"
RECOMMENDATIONS = re.compile(r"/api/users/[^/]+/recommendations")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def site(world: World, engine: sa.Engine, settings: Settings, free_port: Callable[[], int]) -> Iterator[str]:
    world.online.write_user_states([state_of(user_id, of_style(0, 6)) for user_id in (SOMEBODY, OWN)])
    with served_site(make_runtime(world, engine, settings), free_port()) as address:
        yield address


@pytest.fixture
def page(chromium: Browser, site: str) -> Iterator[Page]:
    """A page that moves as little as it can."""
    context = chromium.new_context(base_url=site, viewport={"width": 1000, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    draw_pictures(page)
    yield page
    context.close()


@pytest.fixture
def signed_in(page: Page, engine: sa.Engine, site: str) -> Page:
    """The same page for `OWN`, signed in."""
    with engine.begin() as connection:
        connection.execute(sa.insert(accounts).values(user_id=OWN, name="Ansel", created_at=datetime.now(UTC)))
    cookie, _ = open_session(engine, user_id=OWN)
    address = site.replace("http:", "https:")  # a secure cookie's, though the browser sends it to localhost without
    page.context.add_cookies([{"name": COOKIE, "value": cookie, "url": address, "secure": True, "httpOnly": True}])
    return page


def violations(page: Page) -> list[str]:
    """What axe finds wrong: the rule, where, and why."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(RUN)
    assert found["passes"]
    return [
        f"{page.url}: {rule['id']} at {node['target']}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def assert_accessible(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.evaluate(STILL)
        assert violations(page) == [], scheme


def answer_with(page: Page, status: int, body: Any, address: re.Pattern[str] = RECOMMENDATIONS) -> None:
    def answer(route: Route) -> None:
        route.fulfill(status=status, body=json.dumps(body), content_type="application/json")

    page.route(address, answer)


def test_the_start_page_is_accessible(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_test_id("sign-in")).to_be_visible()
    assert_accessible(page)


def test_the_start_page_is_accessible_when_the_name_is_wrong(page: Page) -> None:
    error = {"error": {"code": "not_found", "message": "nobody", "field": "q"}}
    answer_with(page, 404, error, re.compile("/api/users/lookup"))
    page.goto("/")
    page.get_by_test_id("start-field").fill("nobody")
    page.get_by_test_id("start-submit").click()
    expect(page.get_by_test_id("start-error")).to_contain_text("nobody")
    assert_accessible(page)


@pytest.mark.parametrize("width", [1000, 360])
def test_somebodys_wall_is_accessible(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"/wall/{SOMEBODY}")
    expect(page.get_by_test_id("photo-card").first).to_be_visible()
    expect(page.get_by_test_id("read-only")).to_be_visible()
    assert_accessible(page)


def test_ones_own_wall_is_accessible_with_a_dismissal_and_a_session_that_ends(signed_in: Page) -> None:
    page = signed_in
    page.goto("/wall")
    cards = page.get_by_test_id("photo-card")
    expect(cards.nth(5)).to_be_visible()
    cards.nth(1).hover()
    assert_accessible(page)
    cards.nth(1).get_by_test_id("dismiss").click()
    expect(page.get_by_test_id("undo")).to_be_visible()
    # There is no consent at Flickr to fave with, and so the person has to sign in again.
    cards.nth(0).hover()
    cards.nth(0).get_by_test_id("fave").click()
    expect(page.get_by_test_id("error-notice")).to_be_visible()
    expect(page.get_by_test_id("read-only")).to_be_visible()
    assert_accessible(page)


def test_a_walls_reasons_are_accessible(page: Page) -> None:
    page.goto(f"/wall/{SOMEBODY}")
    why = page.get_by_test_id("why")
    expect(why.first).to_be_visible()
    why.first.click()
    expect(page.get_by_test_id("reasons")).to_be_visible()
    assert_accessible(page)


@pytest.mark.parametrize("width", [1000, 360])
def test_an_opened_photo_is_accessible(signed_in: Page, width: int) -> None:
    page = signed_in
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/wall")
    page.get_by_test_id("photo-link").nth(1).click()
    expect(page.get_by_test_id("lightbox-fave")).to_be_visible()
    expect(page.get_by_test_id("similar-photo").first).to_be_visible()
    assert_accessible(page)


def test_the_list_of_keys_is_accessible(signed_in: Page) -> None:
    page = signed_in
    page.goto("/wall")
    expect(page.get_by_test_id("photo-card").first).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_test_id("shortcuts")).to_be_visible()
    assert_accessible(page)


def test_the_account_is_accessible_with_and_without_somebody_signed_in(signed_in: Page) -> None:
    page = signed_in
    page.goto("/account")
    expect(page.get_by_test_id("account")).to_be_visible()
    assert_accessible(page)
    page.get_by_test_id("erase-me").click()
    expect(page.get_by_test_id("erase-dialog")).to_be_visible()
    assert_accessible(page)
    page.context.clear_cookies()
    page.reload()
    expect(page.get_by_test_id("account-signed-out")).to_be_visible()
    assert_accessible(page)


def test_the_page_to_begin_with_is_accessible(page: Page) -> None:
    page.goto("/begin")
    expect(page.get_by_test_id("begin-signed-out")).to_be_visible()
    assert_accessible(page)


def test_a_wall_that_is_being_loaded_is_accessible(page: Page) -> None:
    page.route(RECOMMENDATIONS, lambda _route: None)  # never answered
    page.goto(f"/wall/{SOMEBODY}")
    expect(page.get_by_text("Loading the wall")).to_be_attached()
    assert_accessible(page)


def test_a_wall_without_photos_is_accessible(page: Page) -> None:
    def emptied(route: Route) -> None:
        body = route.fetch().json()
        route.fulfill(json={**body, "photos": [], "people": [], "next_cursor": None})

    page.route(RECOMMENDATIONS, emptied)
    page.goto(f"/wall/{SOMEBODY}")
    expect(page.get_by_test_id("wall-empty")).to_be_visible()
    assert_accessible(page)


def test_a_wall_that_can_not_be_shown_is_accessible(page: Page) -> None:
    answer_with(page, 503, {"error": {"code": "dependency", "message": "the database is away", "field": None}})
    page.goto(f"/wall/{SOMEBODY}")
    expect(page.get_by_test_id("wall-error")).to_be_visible()
    assert_accessible(page)


def test_an_address_that_is_no_page_is_accessible(page: Page) -> None:
    page.goto("/no/such/page")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    assert_accessible(page)


def test_what_is_wrong_is_found_in_spite_of_the_content_security_policy(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_test_id("sign-in")).to_be_visible()
    page.evaluate("() => { document.querySelector('label[for=who]').remove(); document.title = ''; }")
    found = " ".join(violations(page))
    assert "label at" in found
    assert "document-title at" in found
