"""What Flickr's records and error codes mean, also where the real one differs from the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from features.errors import FlickrError
from pipelines.flickr.answers import Person, Places, read_person, read_photo, read_photo_info
from pipelines.flickr.errors import (
    FlickrRefusedError,
    FlickrUnavailableError,
    KeyInvalidError,
    PhotoNotFoundError,
    TokenInvalidError,
    UserNotFoundError,
    error_of,
)

FLICKR = Places("https://www.flickr.com")
SANDBOX = Places("http://127.0.0.1:3001", "http://127.0.0.1:3001")
BARE = {"id": "52", "owner": "7@N01", "secret": "abc", "server": "65535"}


def test_a_photo_without_extras_still_can_be_shown():
    photo = read_photo(BARE, FLICKR)
    assert photo.owner == Person("7@N01", "7@N01")
    assert photo.image_url == "https://live.staticflickr.com/65535/52_abc_z.jpg"
    assert photo.page_url == "https://www.flickr.com/photos/7@N01/52/"
    assert (photo.title, photo.sizes) == ("", {})
    assert (photo.width, photo.height, photo.tags, photo.safety_level, photo.uploaded_at) == (None,) * 5


def test_numbers_may_come_as_words():
    words = {"url_m": "m.jpg", "width_m": "240", "height_m": "160", "safety_level": "2", "dateupload": "86400"}
    photo = read_photo({**BARE, **words}, FLICKR)
    assert photo.sizes == {"m": {"url": "m.jpg", "width": 240, "height": 160}}
    assert photo.safety_level == 2
    assert photo.uploaded_at == datetime(1970, 1, 2, tzinfo=UTC)


def test_the_shape_is_the_originals_or_else_the_largest_pictures():
    sizes = {"url_m": "m.jpg", "width_m": 240, "height_m": 160, "url_l": "l.jpg", "width_l": 1024, "height_l": 683}
    assert (read_photo({**BARE, **sizes}, FLICKR).width, read_photo({**BARE, **sizes}, FLICKR).height) == (1024, 683)
    original = read_photo({**BARE, **sizes, "o_width": "6000", "o_height": "4000"}, FLICKR)
    assert (original.width, original.height) == (6000, 4000)


@pytest.mark.parametrize(
    ("offered", "shown"),
    [("sq m z l", "z"), ("sq m c l", "c"), ("sq m n l", "n"), ("sq m l", "l"), ("sq m", "m"), ("sq", "sq")],
)
def test_the_picture_shown_is_the_640_pixel_one_or_the_nearest_there_is(offered, shown):
    photo = read_photo({**BARE, **{f"url_{suffix}": f"{suffix}.jpg" for suffix in offered.split()}}, FLICKR)
    assert photo.image_url == f"{shown}.jpg"


def test_an_alias_leads_to_the_page():
    assert read_photo({**BARE, "pathalias": "mara"}, FLICKR).page_url == "https://www.flickr.com/photos/mara/52/"
    assert read_photo({**BARE, "pathalias": ""}, FLICKR).owner.path_alias is None


def test_a_photo_asked_for_alone_has_its_owner_title_and_tags_as_records():
    photo = read_photo_info(
        {
            **BARE,
            "owner": {"nsid": "7@N01", "username": "Mara", "path_alias": "mara", "iconserver": "12", "iconfarm": 3},
            "title": {"_content": "Sea"},
            "tags": {"tag": [{"_content": "sea"}, {"_content": "dusk"}]},
            "dateuploaded": "86400",
        },
        FLICKR,
    )
    avatar = "https://farm3.staticflickr.com/12/buddyicons/7@N01.jpg"
    assert photo.owner == Person("7@N01", "Mara", "mara", avatar)
    assert (photo.title, photo.tags) == ("Sea", "sea dusk")
    assert photo.uploaded_at == datetime(1970, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("entry", "avatar"),
    [
        ({"iconserver": "12", "iconfarm": 3}, "https://farm3.staticflickr.com/12/buddyicons/7@N01.jpg"),
        ({"iconserver": "0", "iconfarm": 0}, "https://www.flickr.com/images/buddyicon.gif"),
        ({}, None),
    ],
)
def test_an_avatar_is_where_flickrs_documentation_says(entry, avatar):
    assert read_person({"nsid": "7@N01", "username": "Mara", **entry}, FLICKR).avatar_url == avatar


def test_avatars_and_pictures_of_the_sandbox_are_at_the_sandbox():
    assert read_person({"nsid": "7@N01"}, SANDBOX).avatar_url == "http://127.0.0.1:3001/avatars/7@N01.svg"
    assert read_photo(BARE, SANDBOX).image_url == "http://127.0.0.1:3001/pictures/52_z.svg"


@pytest.mark.parametrize("username", ["Mara", {"_content": "Mara"}])
def test_a_name_is_text_or_a_record_with_the_text(username):
    assert read_person({"id": "7@N01", "username": username}, FLICKR).name == "Mara"


def test_a_person_without_a_name_is_called_by_the_id():
    assert read_person({"nsid": "7@N01", "username": {"_content": ""}}, FLICKR).name == "7@N01"


@pytest.mark.parametrize(
    ("method", "code", "kind"),
    [
        ("flickr.favorites.getPublicList", 1, UserNotFoundError),
        ("flickr.contacts.getPublicList", 1, UserNotFoundError),
        ("flickr.people.getInfo", 1, UserNotFoundError),
        ("flickr.people.getInfo", 5, UserNotFoundError),
        ("flickr.people.findByUsername", 1, UserNotFoundError),
        ("flickr.urls.lookupUser", 1, UserNotFoundError),
        ("flickr.photos.getInfo", 1, PhotoNotFoundError),
        ("flickr.photos.getInfo", 2, PhotoNotFoundError),
        ("flickr.favorites.add", 1, PhotoNotFoundError),
        ("flickr.favorites.add", 4, PhotoNotFoundError),
        ("flickr.favorites.add", 2, FlickrRefusedError),
        ("flickr.favorites.remove", 1, FlickrRefusedError),
        ("flickr.people.getInfo", 96, KeyInvalidError),
        ("flickr.people.getInfo", 98, TokenInvalidError),
        ("flickr.favorites.add", 99, TokenInvalidError),
        ("flickr.people.getInfo", 100, KeyInvalidError),
        ("flickr.people.getInfo", 105, FlickrUnavailableError),
        ("flickr.people.getInfo", 106, FlickrUnavailableError),
        ("flickr.people.getInfo", 0, FlickrUnavailableError),
        ("flickr.people.getInfo", 112, FlickrRefusedError),
    ],
)
def test_each_code_is_the_error_that_says_what_to_do(method, code, kind):
    error = error_of(method, code, "Flickr's words")
    assert type(error) is kind
    assert isinstance(error, FlickrError)
    assert f"Flickr: Flickr's words (code {code}, {method})" in error.message


@pytest.mark.parametrize(
    ("method", "code", "private"),
    [
        ("flickr.photos.getInfo", 1, False),
        ("flickr.photos.getInfo", 2, True),
        ("flickr.favorites.add", 1, False),
        ("flickr.favorites.add", 4, True),
    ],
)
def test_a_photo_that_is_not_shown_is_told_from_one_that_is_not_there(method, code, private):
    error = error_of(method, code, "Flickr's words")
    assert isinstance(error, PhotoNotFoundError)
    assert error.private is private
