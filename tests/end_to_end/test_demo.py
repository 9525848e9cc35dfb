"""The whole path as one command, and the page that comes out of it, in a real Chromium."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from features.lake import Lake
from features.schema import INTERACTIONS
from features.state import STATE_COLUMNS, interaction_state
from tests.chromium import running_chromium
from tests.end_to_end.visitors import favorites_on_flickr, sign_in, visitors

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, demo: Any) -> Iterator[Page]:
    """A visitor's page at the start; whatever the browser complains of fails the test."""
    context = chromium.new_context(base_url=demo.url(), viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/")
    yield page
    context.close()
    # A 404 or 422 that the page asked for and tells of is logged by the browser all the same.
    assert [text for text in complaints if "404" not in text and "422" not in text] == []


def test_every_printed_address_answers(demo: Any) -> None:
    for name in ("website:", "MLflow:", "API docs:", "Flickr sandbox:"):
        address = re.search(rf"^{name}\s+(\S+)$", demo.output, re.MULTILINE)
        assert address, demo.output
        assert httpx.get(address[1], follow_redirects=True, timeout=20).status_code == 200


def test_it_prints_a_wall_with_reasons_and_the_evaluation_beside_the_baselines(demo: Any) -> None:
    assert re.search(r"│ +20 │", demo.output)
    for words in ("because of", "NDCG@20", "als", "neighbor_score", "popularity", "Flickr's is 3,600"):
        assert words in demo.output
    assert "Traceback" not in demo.output


def test_the_champion_is_registered_with_its_run_and_the_lakes_version(demo: Any) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"http://127.0.0.1:{demo.ports['mlflow']}")
    version = client.get_model_version_by_alias("photo-recommender", "champion")
    run = client.get_run(version.run_id)
    assert {"als/ndcg_at_20", "popularity/ndcg_at_20", "neighbor_score/ndcg_at_20"} <= set(run.data.metrics)
    datasets = {entry.dataset.name: entry.dataset for entry in run.inputs.dataset_inputs}
    assert set(datasets) == {"interactions", "contacts"}
    assert all('"delta_table_version"' in dataset.source for dataset in datasets.values())
    assert demo.get("/api/status")["model"]["version"] == version.version


def test_a_visitor_enters_a_name_watches_the_pull_and_gets_a_wall(demo: Any, page: Page) -> None:
    person = visitors(demo)[0]
    page.get_by_test_id("start-field").fill(person["name"])
    page.get_by_test_id("start-submit").click()
    page.wait_for_url(re.compile("/wall/"))
    expect(page.get_by_test_id("wall-heading")).to_contain_text(person["name"])
    expect(page.get_by_test_id("progress")).to_be_visible()
    expect(page.get_by_test_id("progress")).to_have_count(0, timeout=60_000)
    expect(page.get_by_test_id("strategy")).not_to_have_attribute("data-strategy", "popular", timeout=20_000)
    cards = page.get_by_test_id("photo-card")
    assert cards.count() >= 15
    loaded = "element => element.querySelector('img').decode().then(() => true)"
    assert cards.first.evaluate(loaded)
    expect(page.get_by_test_id("read-only")).to_be_visible()
    expect(page.get_by_test_id("fave")).to_have_count(0)
    shown = {card.get_attribute("data-photo-id") for card in cards.all()}
    assert not shown & favorites_on_flickr(demo, person["user_id"])


def test_signed_in_one_faves_dismisses_and_undoes(demo: Any, page: Page) -> None:
    person = visitors(demo)[1]
    user_id = person["user_id"]
    sign_in(page, person["name"])
    expect(page.get_by_test_id("wall-heading")).to_have_text("Photos for you")
    expect(page.get_by_test_id("progress")).to_have_count(0, timeout=60_000)
    cards = page.get_by_test_id("photo-card")
    expect(cards.nth(5)).to_be_visible()
    faved, dismissed = (str(cards.nth(place).get_attribute("data-photo-id")) for place in (0, 3))

    fave = page.locator(f"[data-photo-id='{faved}']").get_by_test_id("fave")
    page.locator(f"[data-photo-id='{faved}']").hover()
    fave.click()
    expect(fave).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(500)
    assert faved in favorites_on_flickr(demo, user_id)
    fave.click()
    expect(fave).to_have_attribute("aria-pressed", "false")
    page.wait_for_timeout(500)
    assert faved not in favorites_on_flickr(demo, user_id)

    card = page.locator(f"[data-photo-id='{dismissed}']")
    card.hover()
    card.get_by_test_id("dismiss").click()
    expect(card).to_have_count(0)
    page.get_by_test_id("undo").click()
    expect(card).to_have_count(1)
    card.hover()
    card.get_by_test_id("dismiss").click()
    expect(card).to_have_count(0)
    page.reload()
    expect(cards.nth(5)).to_be_visible()
    expect(page.locator(f"[data-photo-id='{dismissed}']")).to_have_count(0)

    lake = Lake(str(demo.home / "lake"))
    deadline = time.monotonic() + 30
    while True:
        state = interaction_state(lake.scan(INTERACTIONS, columns=STATE_COLUMNS))
        if dismissed in state.dismissed_photos.column("photo_id").to_pylist():
            break
        assert time.monotonic() < deadline, "the dismissal did not reach the lake"
        time.sleep(0.5)


def test_what_can_not_be_found_is_said_beside_the_field(demo: Any, page: Page) -> None:
    for text, words in (
        ("nobody of this name", "knows nobody"),
        ("https://example.com/photos/me/", "is no address at Flickr"),
        ("", "Enter a Flickr address"),
    ):
        page.get_by_test_id("start-field").fill(text)
        page.get_by_test_id("start-submit").click()
        expect(page.get_by_test_id("start-error")).to_contain_text(words)
        assert page.url.rstrip("/") == demo.url()


def test_the_api_docs_show_both_faces(demo: Any, chromium: Browser) -> None:
    page = chromium.new_page()
    page.goto(f"{demo.url()}/docs")
    expect(page.get_by_role("heading", name="photo-recommender: for services")).to_be_visible()
    expect(page.get_by_text("/recommend", exact=True)).to_be_visible()
    assert "BentoML Team" not in page.content()
    page.get_by_role("combobox").first.select_option(label="for the website")
    expect(page.get_by_text("/api/session", exact=True).first).to_be_visible()
    page.close()


def test_a_second_demo_in_the_same_folder_is_refused_in_one_line(demo: Any, start_demo: Callable[..., Any]) -> None:
    second = start_demo(demo.home)
    assert second.process.wait(60) == 2
    time.sleep(0.2)
    assert "another demo runs in" in second.output
    assert len(second.lines) == 1


def test_other_commands_work_on_it_by_its_env_file(demo: Any) -> None:
    person = visitors(demo)[1]["user_id"]
    command = [sys.executable, "-m", "photo_recommender", "recommend", person, "--limit", "5"]
    ended = subprocess.run(
        ["bash", "-c", f"set -a; . {demo.home / 'demo.env'}; exec {' '.join(command)}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert f"Wall of {person}" in ended.stdout


def test_ctrl_c_stops_everything(demo: Any, processes_in: Callable[[Path], list[str]]) -> None:
    assert len(processes_in(demo.home)) >= 4
    assert demo.interrupt() == 130
    time.sleep(0.5)
    assert processes_in(demo.home) == []
    assert "Traceback" not in demo.output
