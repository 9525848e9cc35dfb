"""Where somebody without favorites begins: photos of groups, without what is not for them, at few calls of Flickr."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from features.settings import Settings
from pipelines.flickr import client as flickr_client
from pipelines.privacy.tombstones import bury_photos, bury_users
from pipelines.sandbox.groups import group_ids
from serving import groups as groups_module
from serving.api import groups as groups_api
from serving.runtime import Runtime
from tests.serving.api.conftest import photo_ids, refusal, refused_field
from tests.serving.conftest import Browser, Sandbox, World, client_of, state_of

GROUPS = group_ids(3)
GROUP, NO_GROUP = GROUPS[0], "34427469792@N01"
INFO, POOL = "flickr.groups.getInfo", "flickr.groups.pools.getPhotos"


@pytest.fixture
def flickr_settings(flickr_settings: Settings) -> Settings:
    return flickr_settings.model_copy(update={"onboarding_groups": GROUPS})


def pool(sandbox: Sandbox, group_id: str = GROUP) -> list[dict[str, Any]]:
    """The safe photos of the group's pool as Flickr lists them."""
    listed = sandbox.call(POOL, group_id=group_id, per_page="500", extras="safety_level")["photos"]["photo"]
    return [photo for photo in listed if photo["safety_level"] == "0"]


def first_page(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Those of them that are among the first thirty of the pool, which are a page."""
    listed = sandbox.call(POOL, group_id=GROUP, per_page="30")["photos"]["photo"]
    ids = {photo["id"] for photo in listed}
    return [photo for photo in pool(sandbox) if photo["id"] in ids]


def page_of(browser: Browser, group_id: str = GROUP, page: int = 1) -> Any:
    return browser.get(f"/api/groups/{group_id}/photos?page={page}").json()


@pytest.fixture
def calls(sandbox: Sandbox) -> Callable[[str], int]:
    """A function that tells how often Flickr was called since the test began."""

    def count(method: str) -> int:
        methods = httpx.get(f"{sandbox.url}/sandbox/calls").json()["methods"]
        return sum(methods.get(method, {}).values())

    before = {method: count(method) for method in (INFO, POOL)}
    return lambda method: count(method) - before[method]


Calls = Callable[[str], int]


def test_the_groups_of_the_setting_are_listed_in_its_order_and_described_without_markup(
    visitor: Browser, sandbox: Sandbox
) -> None:
    groups = visitor.get("/api/groups").json()["groups"]
    assert [group["group_id"] for group in groups] == GROUPS
    for group in groups:
        raw = sandbox.call(INFO, group_id=group["group_id"])["group"]
        assert (group["name"], group["members"]) == (raw["name"]["_content"], raw["members"]["_content"])
        assert "<b>" in raw["description"]["_content"]
        assert "&amp;" not in group["description"] and "<" not in group["description"]
        assert group["icon_url"] == f"{sandbox.url}/avatars/{group['group_id']}.svg"


def test_there_are_none_unless_some_are_configured(browser: Browser) -> None:
    assert browser.get("/api/groups").json() == {"groups": []}


def test_a_group_that_flickr_does_not_know_is_left_out(flickr_runtime: Runtime, logs: list[Any]) -> None:
    settings = flickr_runtime.settings.model_copy(update={"onboarding_groups": [NO_GROUP, GROUP]})
    browser = Browser(client_of(replace(flickr_runtime, settings=settings)))
    assert [group["group_id"] for group in browser.get("/api/groups").json()["groups"]] == [GROUP]
    assert [log["group_id"] for log in logs if log["event"] == "onboarding_group_left_out"] == [NO_GROUP]
    assert refusal(browser.get(f"/api/groups/{NO_GROUP}/photos")) == (404, "not_found")


def test_a_groups_photos_are_shown_to_anybody_with_all_that_a_page_needs(visitor: Browser, sandbox: Sandbox) -> None:
    answer = page_of(visitor)
    assert photo_ids(answer) == [photo["id"] for photo in first_page(sandbox)]
    assert (answer["group_id"], answer["next_page"]) == (GROUP, 2)
    for photo in answer["photos"]:
        assert photo["owner_name"] and photo["title"] and photo["width"] and photo["height"]
        assert photo["image_url"] == photo["sizes"]["z"]["url"]
        assert photo["page_url"].startswith(f"{sandbox.url}/photos/")


def test_no_other_group_is_told_of_though_flickr_has_it(flickr_runtime: Runtime, calls: Calls) -> None:
    settings = flickr_runtime.settings.model_copy(update={"onboarding_groups": [GROUP]})
    browser = Browser(client_of(replace(flickr_runtime, settings=settings)))
    for group_id in (GROUPS[1], NO_GROUP, "x" * 300, "%2e%2e"):
        assert refused_field(browser.get(f"/api/groups/{group_id}/photos")) == (404, "not_found", "group_id")
    assert calls(POOL) == 0


@pytest.mark.parametrize("page", ["0", "-1", "41", "x"])
def test_a_page_that_can_not_be_is_refused(visitor: Browser, page: str) -> None:
    assert refused_field(visitor.get(f"/api/groups/{GROUP}/photos?page={page}")) == (422, "invalid_input", "page")


def test_unsafe_photos_are_never_shown(visitor: Browser, sandbox: Sandbox) -> None:
    unsafe = set()
    for group_id in GROUPS:
        listed = sandbox.call(POOL, group_id=group_id, per_page="500", extras="safety_level")["photos"]["photo"]
        unsafe |= {photo["id"] for photo in listed if photo["safety_level"] != "0"}
        assert unsafe.isdisjoint(photo_ids(page_of(visitor, group_id)))
    assert unsafe, "the sandbox's pools hold no unsafe photo: nothing was tested"


def test_what_was_taken_down_is_gone_at_once_and_so_is_all_of_somebody_who_is(
    visitor: Browser, sandbox: Sandbox, flickr_runtime: Runtime
) -> None:
    before = page_of(visitor)["photos"]
    bury_photos(flickr_runtime.engine, [before[0]["photo_id"]], "takedown")
    bury_users(flickr_runtime.engine, [before[1]["owner_id"]], "takedown")
    after = page_of(visitor)
    assert before[0]["photo_id"] not in photo_ids(after)
    assert before[1]["owner_id"] not in {photo["owner_id"] for photo in after["photos"]}


def test_a_person_is_shown_what_is_neither_faved_nor_dismissed_nor_theirs(
    visitor: Browser, me: str, world: World, sandbox: Sandbox
) -> None:
    world.online.write_user_states([state_of(me, [])])
    photos = [photo for photo in first_page(sandbox) if photo["owner"] != me]
    assert photo_ids(page_of(visitor)) == [photo["id"] for photo in photos]
    faved, dismissed, by_somebody = photos[0], photos[1], photos[2]
    # No wall knows any of them: Flickr is asked whose they are.
    changes = (
        f"/api/me/favorites/{faved['id']}",
        f"/api/me/dismissals/photos/{dismissed['id']}",
        f"/api/me/dismissals/people/{by_somebody['owner']}",
    )
    for path in changes:
        assert visitor.change("PUT", path).status_code == 200
    left = {photo["id"] for photo in photos if photo["owner"] != by_somebody["owner"]}
    assert set(photo_ids(page_of(visitor))) == left - {faved["id"], dismissed["id"]}
    for path in changes:
        assert visitor.change("DELETE", path).status_code == 200
    assert photo_ids(page_of(visitor)) == [photo["id"] for photo in photos]


def test_faves_of_a_groups_photos_count_with_their_photographers(
    visitor: Browser, me: str, world: World, sandbox: Sandbox
) -> None:
    world.online.write_user_states([state_of(me, [])])
    photos = page_of(visitor)["photos"][:3]
    for photo in photos:
        assert visitor.change("PUT", f"/api/me/favorites/{photo['photo_id']}").status_code == 200
    held = visitor.get("/api/me").json()
    assert (held["favorites"], held["favorite_owners"]) == (3, len({photo["owner_id"] for photo in photos}))
    for photo in photos:
        visitor.change("DELETE", f"/api/me/favorites/{photo['photo_id']}")


# What it costs


def test_however_many_look_flickr_is_asked_once(visitor: Browser, flickr_runtime: Runtime, calls: Calls) -> None:
    def look(_: int) -> list[int]:
        paths = ("/api/groups", f"/api/groups/{GROUP}/photos", f"/api/groups/{GROUPS[1]}/photos")
        return [Browser(client_of(flickr_runtime)).get(path).status_code for path in paths]

    with ThreadPoolExecutor(6) as threads:
        assert {status for answers in threads.map(look, range(12)) for status in answers} == {200}
    assert (calls(INFO), calls(POOL)) == (len(GROUPS), 2)


def test_pages_hold_all_of_a_pool_once_and_several_cost_one_call(
    visitor: Browser, sandbox: Sandbox, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in (
        (groups_api, "MAX_PAGE", 2),
        (groups_module, "POOL_PER_PAGE", 6),
        (flickr_client, "POOL_PER_PAGE", 6),
    ):
        monkeypatch.setattr(module, name, value)
    expected = pool(sandbox)
    asked, found, page = calls(POOL), [], 1
    while page is not None:
        answer = page_of(visitor, page=page)
        assert len(answer["photos"]) <= 2
        found += photo_ids(answer)
        page = answer["next_page"]
    assert found == [photo["id"] for photo in expected]
    assert calls(POOL) - asked <= -(-(len(expected) + 3) // 6)


def test_what_failed_is_said_and_asked_for_again(visitor: Browser, sandbox: Sandbox) -> None:
    for path in ("/api/groups", f"/api/groups/{GROUP}/photos"):
        sandbox.faults({"kind": "bad_gateway", "times": 1})
        assert refusal(visitor.get(path)) == (502, "flickr_unavailable")
        assert visitor.get(path).status_code == 200
