"""Journeys through the site over everything that a demo starts: sandbox, worker, service, and a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.chromium import running_chromium
from tests.end_to_end.visitors import consent, favorites_on_flickr, sign_in, visitors

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

TINY = ("--users", "120", "--photos", "800", "--favorites", "8000")
PULL_MS = 60_000


@pytest.fixture(scope="module")
def demo(start_demo: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    running = start_demo(tmp_path_factory.mktemp("site") / "home", *TINY)
    try:
        running.wait_until("Ctrl-C stops everything", 240)
        yield running
    finally:
        running.process.terminate()
        running.process.wait(60)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, demo: Any) -> Iterator[Page]:
    """A visitor's page at the start; what its scripts throw, or try against the content policy, fails the test."""
    context = chromium.new_context(base_url=demo.url(), viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    page.goto("/")
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def flickr(demo: Any) -> Iterator[Callable[..., None]]:
    """A function that lets Flickr misbehave by that rule; afterwards it behaves."""

    def misbehave(**rule: Any) -> None:
        httpx.put(f"{demo.url('sandbox')}/sandbox/faults", json={"seed": 0, "rules": [rule]}).raise_for_status()

    yield misbehave
    httpx.put(f"{demo.url('sandbox')}/sandbox/faults", json={"seed": 0, "rules": []}).raise_for_status()


@pytest.fixture(scope="module")
def people(demo: Any) -> dict[str, dict[str, Any]]:
    """Who each journey is made by: nobody in two."""
    found = sorted(visitors(demo), key=lambda person: -person["favorites"])
    named = dict(zip(("newcomer", "learner", "refused", "expired", "writer", "leaver"), found[1:], strict=False))
    everybody = demo.get("/sandbox/people?limit=500", "sandbox")
    return {**named, "beginner": min(everybody, key=lambda person: person["favorites"])}


def wall_of(page: Page) -> Locator:
    """The photos of a wall that is there, and is not being made any more."""
    cards = page.get_by_test_id("photo-card")
    expect(cards.nth(5)).to_be_visible(timeout=PULL_MS)
    expect(page.get_by_test_id("progress")).to_have_count(0, timeout=PULL_MS)
    return cards


def ids(cards: Locator) -> list[str]:
    found: list[str] = cards.evaluate_all("cards => cards.map(card => card.dataset.photoId)")
    return found


def press(card: Locator, button: str) -> None:
    card.hover()
    card.get_by_test_id(button).click()


def card_of(page: Page, photo_id: str) -> Locator:
    return page.locator(f"[data-testid=photo-card][data-photo-id='{photo_id}']")


def ranked(page: Page, user_id: str) -> list[str]:
    """The photos of that wall's first page, as the service ranks them now."""
    address = f"/api/users/{user_id}/recommendations?limit=30"
    answer = page.evaluate("address => fetch(address).then(answer => answer.json())", address)
    return [photo["photo_id"] for photo in answer["photos"]]


def scroll_to(page: Page, photo_id: str) -> None:
    """Down the wall until the photo is there; it fails when it is not among the first few screens."""
    for _ in range(20):
        if card_of(page, photo_id).count() > 0:
            break
        page.mouse.wheel(0, 400)
        page.wait_for_timeout(100)
    expect(card_of(page, photo_id)).to_be_attached()


def test_a_first_visit_shows_progress_and_then_a_wall_that_anybody_may_read(
    demo: Any, page: Page, people: dict[str, Any]
) -> None:
    person = people["newcomer"]
    page.get_by_test_id("start-field").fill(f"  {person['page'].replace('http://', '')}?from=a-link ")
    page.get_by_test_id("start-submit").click()
    page.wait_for_url(re.compile(f"/wall/{person['user_id']}"))
    expect(page.get_by_test_id("progress")).to_be_visible()
    cards = wall_of(page)
    expect(page.get_by_test_id("wall-heading")).to_contain_text(person["name"])
    expect(page.get_by_test_id("strategy")).not_to_have_attribute("data-strategy", "popular")
    assert not set(ids(cards)) & favorites_on_flickr(demo, person["user_id"])
    cards.first.scroll_into_view_if_needed()
    assert cards.first.evaluate("card => card.querySelector('img').decode().then(() => true)")
    expect(page.get_by_test_id("read-only")).to_be_visible()
    expect(page.get_by_test_id("fave")).to_have_count(0)
    # A wall has an address: whoever has it reads the same wall.
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_test_id("wall-heading")).to_contain_text(person["name"])
    expect(card_of(other, ids(cards)[0])).to_be_visible()


def test_signed_in_a_wall_learns_from_a_fave_and_forgets_what_was_dismissed_until_it_is_undone(
    demo: Any, page: Page, people: dict[str, Any]
) -> None:
    person = people["learner"]
    sign_in(page, person["name"])
    expect(page.get_by_test_id("signed-in-as")).to_have_text(person["name"])
    cards = wall_of(page)
    faved, before = ids(cards)[0], ranked(page, person["user_id"])

    fave = card_of(page, faved).get_by_test_id("fave")
    with page.expect_response(re.compile("/recommendations")) as answer:
        press(card_of(page, faved), "fave")
        expect(fave).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_test_id("announcement")).to_contain_text("Faved")
    assert faved in favorites_on_flickr(demo, person["user_id"])
    # What is on the screen stays, and what comes after it is ranked anew.
    expect(fave).to_have_attribute("aria-pressed", "true")
    learned = [photo["photo_id"] for photo in answer.value.json()["photos"]]
    fresh = next(photo_id for photo_id in reversed(learned) if photo_id not in before)
    scroll_to(page, fresh)
    page.evaluate("() => window.scrollTo(0, 0)")

    dismissed = ids(cards)[2]
    press(card_of(page, dismissed), "dismiss")
    expect(card_of(page, dismissed)).to_have_count(0)
    page.get_by_test_id("undo").click()
    expect(card_of(page, dismissed)).to_have_count(1)

    owner = card_of(page, dismissed).get_attribute("data-owner-id")
    theirs = page.locator(f"[data-testid=photo-card][data-owner-id='{owner}']")
    press(card_of(page, dismissed), "dismiss")
    page.get_by_test_id("dismiss-person").click()
    expect(theirs).to_have_count(0)
    page.reload()
    wall_of(page)
    expect(theirs).to_have_count(0)
    expect(card_of(page, faved)).to_have_count(0)

    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("sign-in").first).to_be_visible()
    expect(page.get_by_test_id("fave")).to_have_count(0)
    session = page.evaluate("() => fetch('/api/session').then(answer => answer.json())")
    assert session["user"] is None


def test_a_fave_that_flickr_refuses_is_taken_back_with_its_reason(
    demo: Any, page: Page, people: dict[str, Any], flickr: Callable[..., None]
) -> None:
    person = people["refused"]
    sign_in(page, person["name"])
    first = card_of(page, ids(wall_of(page))[0])
    flickr(kind="fail", code=105, method="flickr.favorites.add")
    press(first, "fave")
    expect(page.get_by_test_id("error-notice")).to_contain_text("Flickr")
    expect(first.get_by_test_id("fave")).to_have_attribute("aria-pressed", "false")
    assert first.get_attribute("data-photo-id") not in favorites_on_flickr(demo, person["user_id"])
    flickr(kind="fail", code=105, method="flickr.favorites.add", times=0)
    press(first, "fave")
    expect(first.get_by_test_id("fave")).to_have_attribute("aria-pressed", "true")


def test_when_flickr_takes_the_consent_no_longer_one_is_asked_to_sign_in_and_comes_back(
    page: Page, people: dict[str, Any], flickr: Callable[..., None]
) -> None:
    person = people["expired"]
    sign_in(page, person["name"])
    first = card_of(page, ids(wall_of(page))[0])
    flickr(kind="expired_token", method="flickr.favorites.add", times=1)
    press(first, "fave")
    expect(page.get_by_test_id("error-notice")).to_contain_text("sign in")
    expect(page.get_by_test_id("read-only")).to_be_visible()
    expect(page.get_by_test_id("fave")).to_have_count(0)
    page.get_by_test_id("notice-sign-in").click()
    consent(page, person["name"])
    wall_of(page)
    press(first, "fave")
    expect(first.get_by_test_id("fave")).to_have_attribute("aria-pressed", "true")


def test_a_comment_is_on_flickr_once(demo: Any, page: Page, people: dict[str, Any]) -> None:
    sign_in(page, people["writer"]["name"])
    wall_of(page)
    page.get_by_test_id("photo-link").first.click()
    expect(page.get_by_test_id("lightbox")).to_be_visible()
    page.get_by_test_id("comment-text").fill("The light on the <b>left</b>!")
    page.get_by_test_id("comment-send").click()
    expect(page.get_by_test_id("comment-written")).to_be_visible()
    on_flickr = page.context.new_page()
    on_flickr.goto(str(page.get_by_test_id("lightbox-flickr").get_attribute("href")))
    expect(on_flickr.get_by_text("The light on the <b>left</b>!")).to_have_count(1)


def test_whoever_has_few_favorites_faves_some_from_groups_and_then_has_a_wall(
    demo: Any, page: Page, people: dict[str, Any]
) -> None:
    person = people["beginner"]
    assert person["favorites"] < 5
    sign_in(page, person["name"])
    expect(page.get_by_test_id("beginning-offer")).to_be_visible(timeout=PULL_MS)
    page.get_by_test_id("beginning-offer").get_by_role("link").click()
    photos = page.get_by_test_id("group-photo")
    expect(photos.nth(5)).to_be_visible()
    expect(page.get_by_test_id("to-wall")).to_have_count(0)
    for place in range(5):
        press(photos.nth(place), "group-fave")
        expect(photos.nth(place).get_by_test_id("group-fave")).to_have_attribute("aria-pressed", "true")
    page.get_by_test_id("to-wall").click()
    page.wait_for_url(re.compile(f"/wall/{person['user_id']}"))
    wall_of(page)
    assert len(favorites_on_flickr(demo, person["user_id"])) >= 5


def test_whoever_asks_to_be_erased_is(demo: Any, page: Page, people: dict[str, Any]) -> None:
    person = people["leaver"]
    sign_in(page, person["name"])
    wall_of(page)
    page.goto("/account")
    expect(page.get_by_test_id("favorites")).to_contain_text("favorites")
    page.get_by_test_id("erase-me").click()
    expect(page.get_by_test_id("erase-for-good")).to_be_disabled()
    page.get_by_test_id("erase-name").fill(person["name"])
    page.get_by_test_id("erase-for-good").click()
    expect(page.get_by_test_id("erased")).to_be_visible(timeout=PULL_MS)  # it goes through every table of the lake
    page.goto("/")
    expect(page.get_by_test_id("sign-in").first).to_be_visible()
    # Whoever was erased is read again only when they sign in again.
    asked = page.evaluate(
        "user => fetch('/api/session').then(a => a.json()).then(({ csrf_token }) => fetch(`/api/users/${user}/pull`,"
        " { method: 'POST', headers: { 'X-CSRF-Token': csrf_token } })).then(answer => answer.status)",
        person["user_id"],
    )
    assert asked == 404
