"""The HTML report: whole in one file, pictures only where they may be shown, and readable in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.training.reports.examples import example, wall
from training.reports.content import ExampleWall
from training.reports.html_report import html_report

REPORT = example()
FLICKR = "https://live.staticflickr.com"
SANDBOX = "http://127.0.0.1:8123"


@pytest.fixture(scope="module")
def html() -> str:
    return html_report(REPORT)


def pictures(wall: ExampleWall, allow_pictures: bool | None = None) -> set[str]:
    """The hosts that the report's pictures come from."""
    text = html_report(replace(REPORT, walls=[wall]), {}, allow_pictures=allow_pictures)
    return set(re.findall(r'<img src="(https?://[^/"]+)', text))


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    assert "<script" not in html
    assert re.findall(r"<link|@import|url\(", html) == []
    without_pictures = html_report(replace(REPORT, walls=[]))
    assert set(re.findall(r'src="(\w+):', without_pictures)) == {"data"}


def test_pictures_of_the_sandbox_are_shown_and_of_others_not() -> None:
    assert pictures(wall(1, SANDBOX)) == {SANDBOX}
    assert pictures(wall(1, "http://localhost:8123")) == {"http://localhost:8123"}
    assert pictures(wall(1, "http://[::1]:8123")) == {"http://[::1]:8123"}
    assert pictures(wall(1, FLICKR)) == set()
    assert pictures(wall(1, "http://localhost.evil.example")) == set()


def test_pictures_of_users_who_agreed_are_shown() -> None:
    assert pictures(replace(wall(1, FLICKR), consenting=True)) == {FLICKR}


def test_who_asks_decides_about_pictures() -> None:
    assert pictures(wall(1, FLICKR), allow_pictures=True) == {FLICKR}
    assert pictures(replace(wall(1, SANDBOX), consenting=True), allow_pictures=False) == set()


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", ""])
def test_an_address_that_is_none_of_a_picture_is_never_used(address: str) -> None:
    one = wall(1)
    strange = [replace(photo, image_url=address, page_url=address) for photo in one.favorites]
    text = html_report(replace(REPORT, walls=[replace(one, favorites=strange, lists={})]), {}, allow_pictures=True)
    assert not re.search(r'(src|href)="(javascript|data:text)', text)
    assert "&lt;b&gt;dunes&lt;/b&gt;" in text


def test_titles_are_text(html: str) -> None:
    assert "<b>dunes</b>" not in html


def test_without_a_champion_there_is_nothing_beside_the_challenger() -> None:
    models = [model for model in REPORT.models if model.name != "champion"]
    text = html_report(replace(REPORT, models=models, champion=None, walls=[], inputs=None, checks=()), {})
    assert "there was no champion" in text
    assert "difference" not in text


@pytest.fixture(scope="module")
def page(html: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    file = Path(tmp_path_factory.mktemp("report") / "report.html")
    file.write_text(html, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(file.as_uri())
        yield page
        browser.close()


@pytest.mark.browser
def test_challenger_and_champion_stand_side_by_side(page: Page) -> None:
    row = page.locator("tbody tr", has=page.locator("th", has_text=re.compile("^NDCG@20$")))
    shown = [cell.inner_text().split()[0] for cell in row.locator("td").all() if cell.inner_text().strip()]
    champion, challenger = (REPORT.model(name).metrics["ndcg_at_20"].mean for name in ("champion", "blend"))
    assert shown == [f"{champion:.4f}", f"{challenger:.4f}", f"{challenger - champion:+.4f}"]
    left, right = page.locator(".wall").first.locator(".sides > div").all()
    assert (left.locator("h3").inner_text(), right.locator("h3").inner_text()) == ("champion", "blend")
    boxes = left.bounding_box(), right.bounding_box()
    assert boxes[0] is not None and boxes[1] is not None
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]


@pytest.mark.browser
def test_all_figures_are_drawn(page: Page) -> None:
    page.evaluate("Promise.all([...document.querySelectorAll('figure img')].map(image => image.decode()))")
    widths = page.eval_on_selector_all("figure img", "images => images.map(image => image.naturalWidth)")
    assert len(widths) == 5
    assert min(widths) > 300


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 768, 1280, 2560])
def test_no_page_scrolls_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
