"""Groups and their pools, called by the real `flickrapi`, against the world that the server has."""

from __future__ import annotations

from collections.abc import Callable

import flickrapi
import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipelines.sandbox.groups import MOST_GROUPS, group_ids

SEED, NO_GROUP = 3, "12037949754@N01"


def code_of(call: Callable[[], object]) -> int:
    with pytest.raises(flickrapi.FlickrError) as raised:
        call()
    return int(raised.value.code)


def pool(sandbox, group_id, **parameters):
    return sandbox.flickr().groups.pools.getPhotos(group_id=group_id, **parameters)["photos"]


@pytest.fixture(params=group_ids(SEED))
def group_id(request) -> str:
    return request.param


def test_the_ids_are_known_from_the_seed_alone_and_no_users(world):
    ids = group_ids(SEED)
    assert len(set(ids)) == MOST_GROUPS
    assert not set(ids) & set(world.user_ids)
    assert set(group_ids(SEED + 1)).isdisjoint(ids)
    assert len(group_ids(SEED, styles=3)) == 3


def test_a_group_tells_its_name_and_describes_itself_with_markup(sandbox, group_id):
    group = sandbox.flickr().groups.getInfo(group_id=group_id)["group"]
    assert (group["id"], group["pool_count"]["_content"]) == (group_id, pool(sandbox, group_id)["total"])
    assert group["name"]["_content"]
    assert "<b>" in group["description"]["_content"]


def test_groups_have_names_of_their_own(sandbox):
    names = [sandbox.flickr().groups.getInfo(group_id=group)["group"]["name"]["_content"] for group in group_ids(SEED)]
    assert len(set(names)) == len(names)


def test_a_pool_is_of_one_style_and_of_the_better_photos_of_it(sandbox, world, group_id):
    listed = pool(sandbox, group_id, per_page=500)
    rows = [world.photo_ids.index(photo["id"]) for photo in listed["photo"]]
    assert len(rows) == listed["total"] >= 10
    (style,) = set(world.photo_style[rows].tolist())
    quality = world.truth.log_quality
    assert quality[rows].min() >= np.median(quality[world.photo_style == style])


def test_a_pool_is_listed_newest_first_and_nothing_is_added_before_its_upload(sandbox, world, group_id):
    listed = pool(sandbox, group_id, per_page=500, extras="date_upload")["photo"]
    added = [int(photo["dateadded"]) for photo in listed]
    assert added == sorted(added, reverse=True)
    assert max(added) <= sandbox.get("/sandbox/clock")["now"]
    assert all(int(photo["dateupload"]) <= at for photo, at in zip(listed, added, strict=True))


@hypothesis_settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(per_page=st.integers(1, 700))
def test_any_page_size_lists_the_same_pool(sandbox, per_page):
    group_id = group_ids(SEED)[0]
    first = pool(sandbox, group_id, per_page=per_page)
    assert first["perpage"] == min(per_page, 500)
    pages = [pool(sandbox, group_id, per_page=per_page, page=n + 1)["photo"] for n in range(first["pages"])]
    assert [photo for page in pages for photo in page] == pool(sandbox, group_id, per_page=500)["photo"]
    assert pool(sandbox, group_id, per_page=per_page, page=first["pages"] + 1)["photo"] == []


def test_a_listed_photo_carries_its_owners_name_and_the_extras_that_were_asked_for(sandbox, world, group_id):
    photo = pool(sandbox, group_id, per_page=1, extras="url_m, o_dims")["photo"][0]
    owner = int(world.photo_owner[world.photo_ids.index(photo["id"])])
    assert (photo["owner"], photo["ownername"]) == (world.user_ids[owner], world.user_names[owner])
    assert {"url_m", "width_m", "height_m", "o_width", "dateadded"} <= photo.keys()
    assert "url_z" not in photo


def test_what_is_gone_or_private_is_in_no_pool(sandbox, group_id):
    listed = [photo["id"] for photo in pool(sandbox, group_id, per_page=500)["photo"]]
    sandbox.put("/sandbox/gone", {"photos": listed[:1], "private": listed[1:2]}).raise_for_status()
    try:
        assert [photo["id"] for photo in pool(sandbox, group_id, per_page=500)["photo"]] == listed[2:]
    finally:
        sandbox.put("/sandbox/gone", {}).raise_for_status()


def test_a_group_that_does_not_exist_is_code_1(sandbox):
    for call in (sandbox.flickr().groups.getInfo, sandbox.flickr().groups.pools.getPhotos):
        for group_id in (NO_GROUP, ""):
            assert code_of(lambda: call(group_id=group_id)) == 1  # noqa: B023 (called at once)


def test_a_group_has_an_icon(sandbox, group_id):
    icon = httpx.get(f"{sandbox.url}/avatars/{group_id}.svg")
    assert (icon.status_code, icon.headers["content-type"].partition(";")[0]) == (200, "image/svg+xml")
