"""What a person does around the site: who there is to be, consent on Flickr's page, and what Flickr knows of it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import httpx
from playwright.sync_api import Page


def visitors(demo: Any) -> list[dict[str, Any]]:
    """The sandbox's people whom nobody has pulled yet."""
    return [person for person in demo.get("/sandbox/people", "sandbox") if person["visitor"]]


def favorites_on_flickr(demo: Any, user_id: str) -> set[str]:
    answer = httpx.get(
        f"{demo.url('sandbox')}/services/rest/",
        params={
            "method": "flickr.favorites.getPublicList",
            "api_key": "sandbox-key",
            "user_id": user_id,
            "per_page": 500,
            "format": "json",
            "nojsoncallback": 1,
        },
    )
    return {photo["id"] for photo in answer.json()["photos"]["photo"]}


def sign_in(page: Page, name: str) -> None:
    """From a page of the site, by Flickr's page of consent, to one's own wall."""
    page.get_by_test_id("sign-in").first.click()
    consent(page, name)


def consent(page: Page, name: str) -> None:
    """On Flickr's page: be that person, and allow it."""
    page.wait_for_url(re.compile("/services/oauth/authorize"))
    if page.locator("label.person", has_text=name).count() == 0:  # it lists a few, and finds the others
        page.goto(f"{page.url}&{urlencode({'q': name})}")
    page.locator("label.person", has_text=name).first.click()
    page.locator("button.go").click()
    page.wait_for_url(re.compile("/wall"))
