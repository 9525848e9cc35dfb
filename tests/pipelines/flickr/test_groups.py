"""Groups through the client: what they are called, their pools, and descriptions without markup."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.flickr import client as flickr_module
from pipelines.flickr.answers import ListPage, Places
from pipelines.flickr.client import GroupNotFoundError
from pipelines.flickr.groups import plain_text, read_group, read_pool
from pipelines.sandbox.groups import group_ids

GROUP = group_ids(3)[0]
FLICKR = Places("https://www.flickr.com")


def test_a_group_has_a_name_an_icon_and_a_description_without_markup(sandbox, flickr):
    group = flickr.group(GROUP)
    raw = sandbox.call("flickr.groups.getInfo", group_id=GROUP).json()["group"]
    assert (group.group_id, group.name) == (GROUP, raw["name"]["_content"])
    assert group.icon_url == f"{sandbox.url}/avatars/{GROUP}.svg"
    assert group.members == raw["members"]["_content"]
    assert re.fullmatch(
        r"A pool of [\w ]+: the good ones & no others\.\n\nOne photo a day, please\.", group.description
    )


@pytest.mark.parametrize("per_page", [7, 300])
def test_all_pages_of_a_pool_hold_all_its_photos_in_order(sandbox, flickr, monkeypatch, per_page):
    monkeypatch.setattr(flickr_module, "POOL_PER_PAGE", per_page)
    expected = sandbox.call("flickr.groups.pools.getPhotos", group_id=GROUP, per_page=500).json()["photos"]["photo"]
    read, page = [], 0
    while True:
        page += 1
        answer = flickr.group_photos(GROUP, page)
        read += [photo.photo_id for photo in answer.photos]
        if not answer.more:
            break
    assert read == [photo["id"] for photo in expected]
    assert page == -(-len(expected) // per_page)


def test_a_photo_of_a_pool_has_what_a_page_needs_to_show_it(sandbox, flickr, world):
    photo = flickr.group_photos(GROUP, 1).photos[0]
    row = world.photo_ids.index(photo.photo_id)
    owner = int(world.photo_owner[row])
    assert (photo.owner.user_id, photo.owner.name) == (world.user_ids[owner], world.user_names[owner])
    assert (photo.width, photo.height) == (world.photo_width[row], world.photo_height[row])
    assert photo.safety_level == world.photo_safety[row]
    assert photo.image_url == photo.sizes["z"]["url"]
    assert photo.page_url.startswith(f"{sandbox.url}/photos/")


@pytest.mark.parametrize("call", ["group", "group_photos"])
def test_a_group_that_is_not_there_is_not_found(flickr, call):
    with pytest.raises(GroupNotFoundError, match="Group not found"):
        getattr(flickr, call)("1@N20")


def test_a_private_group_is_not_found(sandbox, flickr):
    sandbox.faults({"kind": "fail", "code": 2})
    for call in (flickr.group, flickr.group_photos):
        with pytest.raises(GroupNotFoundError):
            call(GROUP)


def test_an_entry_that_is_no_photo_takes_nothing_with_it():
    good = {"id": "7", "owner": "12@N01", "title": "Fog"}
    entries = ["no photo", {"id": "8"}, good, None]
    (photo,) = read_pool(ListPage(4, 2, entries), 1, FLICKR).photos
    assert photo.photo_id == "7"


def test_a_group_that_tells_little_is_called_by_its_id():
    group = read_group({"id": "34427469792@N01"}, FLICKR)
    assert (group.name, group.description, group.icon_url, group.members) == ("34427469792@N01", "", None, None)


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("plain", "plain"),
        ("<b>bold</b> and <a href='x'>a link</a>", "bold and a link"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("fish &amp; chips &lt;3", "fish & chips <3"),
        ("<script>alert(1)</script>after", "after"),
        ("<style>p { color: red }</style>after", "after"),
        ("  much \t room  ", "much room"),
        ("one\n\ntwo", "one\n\ntwo"),
    ],
)
def test_markup_becomes_the_text_that_a_browser_would_show(markup, shown):
    assert plain_text(markup) == shown


@given(st.text(alphabet=st.sampled_from("<>/ab=\"'&;! \nscript"), max_size=60))
def test_no_tag_survives_unless_it_was_written_as_text(markup):
    if "&" not in markup:
        assert not re.search(r"<[a-z][^>]*>", plain_text(markup))
