"""What a person really saw on the page, in a real Chromium, is what the lake holds; what they did not see, it doesn't.

The page's timers stand still, and move when a test says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from features.lake import Lake
from features.schema import IMPRESSIONS
from features.settings import Settings
from tests.chromium import running_chromium
from tests.serving.conftest import World, make_runtime, of_style, state_of
from tests.serving.real_browser import draw_pictures, served_site, wait_for

pytestmark = pytest.mark.browser

USER = "95@N09"

VISIBLE = """cards => cards.map(card => {
    const { top, bottom, height } = card.getBoundingClientRect();
    const share = (Math.min(bottom, innerHeight) - Math.max(top, 0)) / height;
    return [card.dataset.photoId, share];
})"""
"""(photo, share of its height that is on the screen) of each card."""

FRAME = 17
"""Milliseconds until cards that came near the screen are drawn."""

LOOKED = "() => new Promise(looked => new IntersectionObserver(() => looked()).observe(document.body))"
"""Resolves when whoever watches what is on the screen has been told."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def site(world: World, engine: sa.Engine, settings: Settings, free_port: Callable[[], int]) -> Iterator[str]:
    """The application and the built site on a port, which write impressions at once."""
    world.online.write_user_states([state_of(USER, of_style(0, 6))])
    runtime = make_runtime(world, engine, settings.model_copy(update={"impressions_seconds": 0.1}))
    runtime.impressions.start()
    try:
        with served_site(runtime, free_port()) as address:
            yield address
    finally:
        runtime.impressions.stop()


@pytest.fixture
def page(chromium: Chromium, site: str) -> Iterator[Page]:
    """A visitor at somebody's wall, of which nothing moves any more."""
    context = chromium.new_context(base_url=site, viewport={"width": 1000, "height": 900})
    page = context.new_page()
    now = datetime.now(UTC)
    page.clock.install(time=now)
    page.clock.pause_at(now + timedelta(seconds=1))
    draw_pictures(page)
    page.goto(f"/wall/{USER}")
    expect(page.get_by_test_id("photo-card").nth(12)).to_be_attached()
    for above in ("progress", "read-only"):  # they move the wall down
        expect(page.get_by_test_id(above)).to_be_visible()
    read_to_the_end(page)
    yield page
    context.close()


def read_to_the_end(page: Page) -> None:
    """Have the whole wall read, as what comes later would move what is on the screen; then go back to the top."""
    heights = [0, 0]
    while len(set(heights[-4:])) > 1 or len(heights) < 5:
        page.evaluate("() => window.scrollTo({ top: document.body.scrollHeight, behavior: 'instant' })")
        page.clock.run_for(FRAME)
        page.evaluate(LOOKED)
        time.sleep(0.1)  # for the next page's answer
        heights.append(page.evaluate("() => document.body.scrollHeight"))
    page.evaluate("() => window.scrollTo({ top: 0, behavior: 'instant' })")
    page.clock.run_for(FRAME)
    page.evaluate(LOOKED)


def on_screen(page: Page) -> tuple[set[str], set[str]]:
    """Photos of which half or more is on the screen, and those of which less is."""
    shares: list[Any] = page.get_by_test_id("photo-card").evaluate_all(VISIBLE)
    assert all(abs(share - 0.5) > 0.02 for _, share in shares), "too close to call"
    visible = {photo_id for photo_id, share in shares if share >= 0.5}
    return visible, {photo_id for photo_id, _ in shares} - visible


def places(page: Page) -> dict[str, int]:
    """The place on the wall of each photo that is near the screen."""
    find = "cards => cards.map(card => [card.dataset.photoId, card.ariaPosInSet - 1])"
    return dict(page.get_by_test_id("photo-card").evaluate_all(find))


def held(lake: Lake) -> dict[str, dict[str, Any]]:
    rows = lake.scan(IMPRESSIONS).to_pylist()
    assert len({row["photo_id"] for row in rows}) == len(rows)
    return {row["photo_id"]: row for row in rows}


def scroll(page: Page, place: int) -> tuple[set[str], set[str]]:
    """What `on_screen` says with that photo of the wall at the top of the screen, and the page has noticed."""
    page.get_by_test_id("photo-card").nth(place).evaluate("card => card.scrollIntoView({ behavior: 'instant' })")
    page.clock.run_for(FRAME)
    page.evaluate(LOOKED)
    return on_screen(page)


def test_what_scrolled_into_view_arrives_in_the_lake_and_what_did_not_does_not(page: Page, lake: Lake) -> None:
    first, below = scroll(page, 0)
    place = places(page)
    assert first
    assert below
    page.clock.run_for(1_000)
    # Past what lies between, too quickly to see it, to the end.
    between, _ = scroll(page, 12)
    page.clock.run_for(900)
    last, _ = scroll(page, -1)
    assert between - first - last
    assert last - first
    page.clock.run_for(1_000)
    assert held(lake) == {}
    page.clock.run_for(5_000)
    wait_for(lambda: bool(held(lake)))
    rows, place = held(lake), place | places(page)
    assert set(rows) == first | last
    assert {photo_id: row["rank"] for photo_id, row in rows.items()} == {p: place[p] for p in first | last}
    assert {(row["user_id"], row["model_version"], row["variant"]) for row in rows.values()} == {("", "7", "champion")}
    assert {row["own_wall"] for row in rows.values()} == {False}  # the page said whose wall it was


def test_what_was_seen_a_moment_before_the_page_is_left_arrives_too(page: Page, lake: Lake) -> None:
    first, _ = scroll(page, 0)
    page.clock.run_for(1_000)
    page.goto("about:blank")
    wait_for(lambda: set(held(lake)) == first)
