"""What a browser gets: the start page, people, photos and the consent page, without scripts and closed to others."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx
import numpy as np
import pytest


class Markup(HTMLParser):
    """Tags with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def consent_address(sandbox):
    """Where the browser is sent to sign in."""
    client = sandbox.flickr()
    client.get_request_token(oauth_callback="http://localhost/callback")
    return client.auth_url(perms="write")


@pytest.fixture(params=["start", "person", "photo", "consent", "not found"])
def page(request, sandbox, world, consent_address):
    owner = world.user_ids[world.photo_owner[0]]
    address = {
        "start": f"{sandbox.url}/",
        "person": f"{sandbox.url}/people/{owner}/",
        "photo": f"{sandbox.url}/photos/{owner}/{world.photo_ids[0]}/",
        "consent": consent_address,
        "not found": f"{sandbox.url}/people/nobody/",
    }[request.param]
    return httpx.get(address)


def test_a_page_has_no_script_of_any_kind(page):
    markup = Markup(page.text)
    assert not markup.all("script")
    for _, attributes in markup.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert not [value for value in attributes.values() if value and value.strip().lower().startswith("javascript:")]


def test_a_page_forbids_scripts_frames_and_foreign_pictures(page):
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert "script-src" not in policy
    assert policy["img-src"] == "'self'"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"


def test_a_page_refers_to_nothing_elsewhere(page, sandbox):
    for _, attributes in Markup(page.text).tags:
        for name in ("src", "href", "action"):
            assert attributes.get(name, sandbox.url).startswith(sandbox.url)


def test_the_start_page_shows_the_visitors_and_how_large_the_world_is(sandbox, world):
    sandbox.clock(world.config.end.isoformat())
    page = httpx.get(f"{sandbox.url}/").text
    for row in np.flatnonzero(world.visitor):
        assert f'href="{sandbox.url}/people/{world.user_aliases[row] or world.user_ids[row]}/"' in page
    photos = int((world.photo_uploaded_at <= world.config.end.timestamp()).sum())
    assert f"{len(world.user_ids)} people, {photos} photos," in page


def test_a_person_page_shows_photos_and_favorites(sandbox, world, favorites_at, most_active):
    sandbox.clock(world.config.end.isoformat())
    page = httpx.get(f"{sandbox.url}/people/{world.user_ids[most_active]}/").text
    favorites = favorites_at(most_active, world.config.end.timestamp())
    assert f"{len(favorites)} favorites" in page
    assert f"/pictures/{favorites[0][0]}_n.svg" in page
    owner = int(world.photo_owner[0])
    uploaded = (world.photo_owner == owner) & (world.photo_uploaded_at <= world.config.end.timestamp())
    newest = world.photo_ids[int(np.flatnonzero(uploaded)[-1])]
    assert f"/pictures/{newest}_n.svg" in httpx.get(f"{sandbox.url}/people/{world.user_ids[owner]}/").text


def test_pictures_avatars_and_pages_are_where_the_answers_say(sandbox, world):
    answer = sandbox.call("flickr.favorites.getPublicList", user_id=world.user_ids[0], extras="url_m,url_sq,path_alias")
    photo = answer.json()["photos"]["photo"][0]
    for suffix in ("m", "sq"):
        picture = httpx.get(photo[f"url_{suffix}"])
        assert picture.headers["content-type"].startswith("image/svg+xml")
        assert picture.text.lstrip().startswith("<svg")
        assert f'width="{photo[f"width_{suffix}"]}"' in picture.text
    for path in {photo["owner"], photo["pathalias"] or photo["owner"]}:
        page = httpx.get(f"{sandbox.url}/photos/{path}/{photo['id']}/")
        assert page.status_code == 200
        assert f"/pictures/{photo['id']}_l.svg" in page.text
        assert httpx.get(f"{sandbox.url}/people/{path}/").status_code == 200
    person = sandbox.get("/sandbox/people?limit=1")[0]
    assert httpx.get(person["avatar_url"]).headers["content-type"].startswith("image/svg+xml")


def test_a_picture_runs_nothing_and_other_sites_may_show_it(sandbox, world):
    for path in (f"/pictures/{world.photo_ids[0]}_m.svg", f"/avatars/{world.user_ids[0]}.svg"):
        headers = httpx.get(f"{sandbox.url}{path}").headers
        assert headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
        assert headers["cross-origin-resource-policy"] == "cross-origin"


def test_every_reference_of_a_person_page_is_there(sandbox, world):
    page = Markup(httpx.get(f"{sandbox.url}/people/{world.user_ids[world.photo_owner[0]]}/").text)
    references = [a["src"] for a in page.all("img")][:6] + [a["href"] for a in page.all("a")][:6]
    assert len(references) > 4
    for reference in references:
        assert httpx.get(reference).status_code == 200


def test_the_consent_page_says_what_is_asked_and_offers_the_visitors_first(consent_address, world):
    page = httpx.get(consent_address)
    assert "add and remove favorites for you" in page.text
    people = [a["value"] for a in Markup(page.text).all("input") if a.get("type") == "radio"]
    visitors = {world.user_ids[row] for row in np.flatnonzero(world.visitor)}
    assert set(people[: len(visitors)]) == visitors


def test_on_the_consent_page_anybody_is_found_by_name_or_nsid(consent_address, world):
    for search in (world.user_names[9].upper(), world.user_ids[9]):
        page = httpx.get(consent_address, params={**httpx.URL(consent_address).params, "q": search}).text
        assert world.user_ids[9] in [a["value"] for a in Markup(page).all("input") if a.get("type") == "radio"]


def test_what_is_searched_for_is_shown_as_text(consent_address):
    attack = '"><script>alert(1)</script>'
    page = httpx.get(consent_address, params={**httpx.URL(consent_address).params, "q": attack}).text
    markup = Markup(page)
    assert not markup.all("script")
    assert [a["value"] for a in markup.all("input") if a["name"] == "q"] == [attack]
    assert "Nobody is called that" in page


@pytest.mark.parametrize(
    "path",
    [
        "/pictures/1_m.svg",
        "/pictures/52000000000.svg",
        "/avatars/1@N00.svg",
        "/people/nobody/",
        "/photos/nobody/52000000000/",
    ],
)
def test_what_is_not_there_is_404(sandbox, path):
    assert httpx.get(f"{sandbox.url}{path}").status_code == 404


def test_a_photo_is_not_found_under_another_owner_or_before_its_upload(sandbox, world):
    other = next(row for row in range(len(world.user_ids)) if row != world.photo_owner[0])
    assert httpx.get(f"{sandbox.url}/photos/{world.user_ids[other]}/{world.photo_ids[0]}/").status_code == 404
    owner = world.user_ids[world.photo_owner[-1]]
    sandbox.clock(world.config.end.isoformat())
    assert httpx.get(f"{sandbox.url}/photos/{owner}/{world.photo_ids[-1]}/").status_code == 404


def test_the_pages_say_that_nothing_here_is_real(page):
    assert re.search(r"Nobody here is real; no picture is a photograph", page.text)
