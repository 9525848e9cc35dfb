"""Takes the pictures of the site in docs/images/site: each main state at three widths, in light and in dark.

`make screenshots` runs it over a demo of its own, so that whoever changes the page sees what became of each state.
"""

from __future__ import annotations

import argparse
import io
import re
from collections.abc import Callable
from pathlib import Path

from _running_demo import RunningDemo, demo_options, running_chromium, running_demo
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Route

PORT = 3_360
FOLDER = Path(__file__).parents[1] / "docs" / "images" / "site"
SIZES = {390: 844, 1280: 800, 2560: 1440}
"""Height by width, in CSS pixels."""

MOST_BYTES = 150_000
RECOMMENDATIONS = re.compile(r"/api/users/[^/]+/recommendations")
PULL = re.compile(r"/api/users/[^/]+/pull")
PROGRESS = re.compile(r"/api/users/[^/]+/progress")

DRAWN = """() => [...document.images].every(picture => {
    const { top, bottom } = picture.getBoundingClientRect();
    return bottom <= Math.max(top, 0) || top >= innerHeight || picture.complete;
})"""
"""Whether every picture on the screen is there."""


def start(page: Page, _wall: str) -> None:
    page.goto("/")
    page.get_by_test_id("person-card").first.wait_for()


def start_error(page: Page, wall: str) -> None:
    start(page, wall)
    page.get_by_test_id("start-field").fill("nobody of this name")
    page.get_by_test_id("start-submit").click()
    page.get_by_text("Flickr knows nobody").wait_for()


def loading(page: Page, wall: str) -> None:
    page.route(RECOMMENDATIONS, lambda _route: None)
    page.goto(f"/wall/{wall}")
    page.get_by_text("Loading the wall").wait_for(state="attached")


def reading(page: Page, wall: str) -> None:
    """A pull that is half done, for as long as the picture takes."""
    stage = {"stage": "neighbors", "made": 48, "finished": 21, "favorites": 131, "coverage": 0.4, "eta_seconds": 19.0}
    page.route(PULL, lambda route: route.fulfill(json={"user_id": wall, "error": None, **stage}))
    page.route(PROGRESS, lambda _route: None)
    somebodys(page, wall)
    page.get_by_test_id("progress").wait_for()


def somebodys(page: Page, wall: str) -> None:
    page.goto(f"/wall/{wall}")
    page.get_by_test_id("photo-card").nth(5).wait_for()


def further_down(page: Page, wall: str) -> None:
    """The people worth following, between the first photos and the next."""
    somebodys(page, wall)
    page.get_by_test_id("people").scroll_into_view_if_needed()


def own(page: Page, wall: str) -> None:
    somebodys(page, wall)
    page.get_by_test_id("photo-card").nth(1).hover()


def dismissed(page: Page, wall: str) -> None:
    page.route(re.compile("/api/me/dismissals/"), lambda route: route.fulfill(json={}))
    own(page, wall)
    page.get_by_test_id("photo-card").nth(1).get_by_test_id("dismiss").click()
    page.get_by_test_id("undo").wait_for()


def refused(page: Page, wall: str) -> None:
    body = {"error": {"code": "flickr", "message": "Flickr does not take favorites right now.", "field": None}}
    page.route(re.compile("/api/me/favorites/"), lambda route: route.fulfill(status=502, json=body))
    own(page, wall)
    page.get_by_test_id("photo-card").nth(1).get_by_test_id("fave").click()
    page.get_by_test_id("error-notice").wait_for()


def lightbox(page: Page, wall: str) -> None:
    somebodys(page, wall)
    page.get_by_test_id("photo-link").nth(1).click()
    page.get_by_test_id("lightbox").wait_for()
    page.get_by_test_id("similar-photo").first.wait_for()


def shortcuts(page: Page, wall: str) -> None:
    somebodys(page, wall)
    page.keyboard.press("?")
    page.get_by_test_id("shortcuts").wait_for()


def empty(page: Page, wall: str) -> None:
    def emptied(route: Route) -> None:
        route.fulfill(json={**route.fetch().json(), "photos": [], "people": [], "next_cursor": None})

    page.route(RECOMMENDATIONS, emptied)
    page.goto(f"/wall/{wall}")
    page.get_by_test_id("wall-empty").wait_for()


def broken(page: Page, wall: str) -> None:
    body = {"error": {"code": "database_gone", "message": "The database can't be reached right now.", "field": None}}
    page.route(RECOMMENDATIONS, lambda route: route.fulfill(status=503, json=body))
    page.goto(f"/wall/{wall}")
    page.get_by_test_id("wall-error").wait_for()


def offline(page: Page, wall: str) -> None:
    page.route(re.compile("/api/users/"), lambda route: route.abort())
    page.goto(f"/wall/{wall}")
    page.get_by_test_id("wall-error").wait_for()


def begin(page: Page, _wall: str) -> None:
    page.goto("/begin")
    page.get_by_test_id("group-photo").nth(2).wait_for()


def account(page: Page, _wall: str) -> None:
    page.goto("/account")
    page.get_by_test_id("kept").wait_for()


def erasing(page: Page, wall: str) -> None:
    account(page, wall)
    page.get_by_test_id("erase-me").click()
    page.get_by_test_id("erase-dialog").wait_for()


def status(page: Page, _wall: str) -> None:
    page.goto("/status")
    page.get_by_role("heading", level=1).wait_for()


def not_found(page: Page, _wall: str) -> None:
    page.goto("/no/such/page")
    page.get_by_role("heading", name="There is no such page").wait_for()


State = Callable[[Page, str], None]
VISITORS: tuple[State, ...] = (start, start_error, loading, reading, somebodys, further_down, empty, broken, offline)
VISITORS += (status, not_found)
SIGNED_IN: tuple[State, ...] = (own, dismissed, refused, lightbox, shortcuts, begin, account, erasing)


def sign_in(context: BrowserContext) -> str:
    """The first person on Flickr's page of consent, and the NSID of whose wall it is, which is there then."""
    page = context.new_page()
    page.goto("/")
    page.get_by_test_id("sign-in").first.click()
    page.locator("label.person").first.click()
    page.locator("button.go").click()
    page.get_by_test_id("photo-card").nth(5).wait_for(timeout=120_000)
    page.get_by_test_id("progress").wait_for(state="detached", timeout=120_000)
    wall = page.url.rpartition("/")[2]
    page.close()
    return wall


def take(browser: Browser, demo: RunningDemo, chosen: set[str]) -> list[Path]:
    """Every chosen state, or all, in every size and scheme; the files."""
    first = browser.new_context(base_url=demo.url)
    wall = sign_in(first)
    cookies = first.storage_state()
    first.close()
    taken = []
    for width, height in SIZES.items():
        for scheme in ("light", "dark"):
            for states, signed_in in ((VISITORS, False), (SIGNED_IN, True)):
                context = browser.new_context(
                    base_url=demo.url,
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                    reduced_motion="reduce",
                    has_touch=width < 500,
                    storage_state=cookies if signed_in else None,
                )
                for state in states:
                    if not chosen or state.__name__ in chosen:
                        name = f"{state.__name__.replace('_', '-')}-{width}-{scheme}.webp"
                        taken.append(picture(context, state, wall, FOLDER / name))
                context.close()
    return taken


def picture(context: BrowserContext, state: State, wall: str, file: Path) -> Path:
    """One state on a page of its own, as it is on the screen."""
    page = context.new_page()
    state(page, wall)
    page.wait_for_function(DRAWN, timeout=90_000)
    page.wait_for_timeout(400)
    write(page.screenshot(), file)
    page.close()
    return file


def write(screenshot: bytes, file: Path) -> None:
    """As WebP, as good as `MOST_BYTES` allow."""
    image = Image.open(io.BytesIO(screenshot)).convert("RGB")
    for quality in (86, 78, 68, 56, 44, 30):
        content = io.BytesIO()
        image.save(content, "WEBP", quality=quality, method=6)
        if content.tell() <= MOST_BYTES:
            break
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    demo_options(parser)
    every = {state.__name__ for state in VISITORS + SIGNED_IN}
    parser.add_argument("--only", nargs="*", default=[], choices=sorted(every), help="these states, not all")
    arguments = parser.parse_args()
    with running_demo(arguments, PORT) as demo, running_chromium() as browser:
        taken = take(browser, demo, set(arguments.only))
    print(f"{len(taken)} pictures in {FOLDER}, {sum(file.stat().st_size for file in taken) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
