"""The client against a Flickr that behaves: everything is read once, and calls are signed for whom they should be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydantic import SecretStr

from pipelines.flickr import client as flickr_module
from pipelines.flickr.client import (
    FlickrRefusedError,
    KeyInvalidError,
    PhotoNotFoundError,
    TokenInvalidError,
    UserNotFoundError,
    open_flickr,
)

LIST_FAVORITES = "flickr.favorites.getPublicList"
NOBODY = "1@N00"


def read(pages) -> list[tuple[str, str, int]]:
    """(photo, owner, unix seconds) of all pages, in their order."""
    return [row for page in pages for row in zip(page.photo_ids, page.owner_ids, page.faved_at, strict=True)]


@pytest.fixture
def visitor(world) -> str:
    return world.user_ids[-1]


def some_photo(sandbox, world, user_id: str) -> str:
    """A photo that the user neither took nor favored, nor will."""
    row = world.user_ids.index(user_id)
    faved = set(world.favorites.photo[world.favorites.user == row].tolist())
    uploaded = np.flatnonzero(world.photo_uploaded_at < world.config.end.timestamp())
    return next(world.photo_ids[photo] for photo in uploaded if photo not in faved and world.photo_owner[photo] != row)


@pytest.mark.parametrize("per_page", [7, 50, 500])
def test_all_favorites_are_read_once_and_newest_first(sandbox, flickr, avid, monkeypatch, per_page):
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", per_page)
    expected = sandbox.listed(avid)
    assert len(expected) > 100
    assert read(flickr.favorites(avid)) == expected
    assert {page.total for page in flickr.favorites(avid)} == {len(expected)}


def test_a_user_whose_favorites_fit_a_page_costs_one_call(sandbox, flickr, avid):
    before = sandbox.calls(LIST_FAVORITES)
    read(flickr.favorites(avid))
    assert sandbox.calls(LIST_FAVORITES) == before + 1


def test_pages_are_asked_for_only_as_they_are_read(sandbox, flickr, avid, monkeypatch):
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", 10)
    before = sandbox.calls(LIST_FAVORITES)
    pages = flickr.favorites(avid)
    next(pages)
    next(pages)
    pages.close()
    assert sandbox.calls(LIST_FAVORITES) == before + 2


def test_since_lists_what_was_favored_at_or_after_it(sandbox, flickr, avid):
    everything = sandbox.listed(avid)
    since = everything[20][2]
    expected = [row for row in everything if row[2] >= since]
    assert read(flickr.favorites(avid, since=datetime.fromtimestamp(since, UTC))) == expected


def test_a_user_without_favorites_has_no_page(flickr, avid):
    assert list(flickr.favorites(avid, since=datetime.now(UTC) + timedelta(days=900))) == []


def test_a_listed_photo_has_what_a_page_needs_to_show_it(sandbox, flickr, world, avid):
    (page,) = flickr.favorites(avid)
    for place, favorite in enumerate(page.favorites):
        photo = favorite.photo
        row = world.photo_ids.index(photo.photo_id)
        owner = int(world.photo_owner[row])
        assert favorite.faved_at == datetime.fromtimestamp(page.faved_at[place], UTC)
        assert (photo.owner.user_id, photo.owner.name) == (world.user_ids[owner], world.user_names[owner])
        assert photo.owner.path_alias == (world.user_aliases[owner] or None)
        assert photo.uploaded_at == datetime.fromtimestamp(int(world.photo_uploaded_at[row]), UTC)
        assert (photo.width, photo.height) == (world.photo_width[row], world.photo_height[row])
        assert photo.safety_level == world.photo_safety[row]
        assert list(photo.sizes) == ["sq", "m", "n", "z", "c", "l"]
        assert photo.image_url == photo.sizes["z"]["url"]
        path = photo.owner.path_alias or photo.owner.user_id
        assert photo.page_url == f"{sandbox.url}/photos/{path}/{photo.photo_id}/"
        assert photo.title
        assert photo.tags


def test_a_photo_asked_for_alone_is_the_one_that_lists_show(flickr, avid):
    (page,) = flickr.favorites(avid)
    listed = page.photo(0)
    alone = flickr.photo(listed.photo_id)
    for name in ("photo_id", "owner", "title", "page_url", "tags", "safety_level", "uploaded_at"):
        assert getattr(alone, name) == getattr(listed, name), name


@pytest.mark.parametrize("per_page", [3, 1000])
def test_all_contacts_are_read_once(flickr, world, monkeypatch, per_page):
    monkeypatch.setattr(flickr_module, "CONTACTS_PER_PAGE", per_page)
    row = int(np.argmax(np.diff(world.contacts.indptr)))
    followed = world.contacts.indices[world.contacts.indptr[row] : world.contacts.indptr[row + 1]]
    contacts = flickr.contacts(world.user_ids[row])
    assert sorted((c.user_id, c.name, c.path_alias) for c in contacts) == sorted(
        (world.user_ids[n], world.user_names[n], world.user_aliases[n] or None) for n in followed
    )


def test_a_person_has_name_alias_and_avatar(sandbox, flickr, world):
    for row in (0, world.user_aliases.index("")):
        person = flickr.person(world.user_ids[row])
        assert (person.user_id, person.name) == (world.user_ids[row], world.user_names[row])
        assert person.path_alias == (world.user_aliases[row] or None)
        assert person.avatar_url == f"{sandbox.url}/avatars/{world.user_ids[row]}.svg"


@pytest.mark.parametrize(
    "call",
    [
        lambda flickr: list(flickr.favorites(NOBODY)),
        lambda flickr: flickr.contacts(NOBODY),
        lambda flickr: flickr.person(NOBODY),
    ],
)
def test_an_unknown_user_is_not_found(flickr, call):
    with pytest.raises(UserNotFoundError, match="User not found"):
        call(flickr)


def test_an_unknown_photo_is_not_found(flickr):
    with pytest.raises(PhotoNotFoundError):
        flickr.photo("1")


def test_signed_calls_are_the_persons_who_consented(sandbox, sandbox_settings, visitor):
    signed = open_flickr(sandbox_settings, sandbox.token(visitor, "read"))
    assert signed.login().user_id == visitor


def test_a_favorite_is_added_and_taken_back_however_often_it_is_asked(sandbox, sandbox_settings, world, visitor):
    signed = open_flickr(sandbox_settings, sandbox.token(visitor))
    photo_id = some_photo(sandbox, world, visitor)
    before = sandbox.listed(visitor)
    signed.add_favorite(photo_id)
    after = sandbox.listed(visitor)
    assert {row[0] for row in after} == {photo_id, *(row[0] for row in before)}
    signed.add_favorite(photo_id)
    assert sandbox.listed(visitor) == after
    signed.remove_favorite(photo_id)
    assert sandbox.listed(visitor) == before
    signed.remove_favorite(photo_id)
    assert sandbox.listed(visitor) == before


def test_a_photo_that_does_not_exist_cannot_be_favored(sandbox, sandbox_settings, visitor):
    signed = open_flickr(sandbox_settings, sandbox.token(visitor))
    with pytest.raises(PhotoNotFoundError):
        signed.add_favorite("1")
    signed.remove_favorite("1")


def test_ones_own_photo_is_refused_with_flickrs_words(sandbox, sandbox_settings, world):
    signed = open_flickr(sandbox_settings, sandbox.token(world.user_ids[world.photo_owner[0]]))
    with pytest.raises(FlickrRefusedError, match="Photo is owned by you") as raised:
        signed.add_favorite(world.photo_ids[0])
    assert raised.value.flickr_code == 2


def test_a_change_needs_a_token_that_allows_it(sandbox, sandbox_settings, flickr, world, visitor):
    photo_id = some_photo(sandbox, world, visitor)
    reader = open_flickr(sandbox_settings, sandbox.token(visitor, "read"))
    before = sandbox.listed(visitor)
    for client in (flickr, reader):
        with pytest.raises(TokenInvalidError, match="sign in again"):
            client.add_favorite(photo_id)
    assert sandbox.listed(visitor) == before


def test_a_key_that_is_not_set_is_said_before_any_call(sandbox_settings):
    with pytest.raises(KeyInvalidError, match="PHOTO_RECOMMENDER_FLICKR_KEY is not set") as raised:
        open_flickr(sandbox_settings.model_copy(update={"flickr_key": ""}))
    assert raised.value.field == "flickr_key"


@pytest.mark.parametrize("wrong", [{"flickr_key": "another"}, {"flickr_secret": SecretStr("another")}])
def test_a_key_or_secret_that_flickr_does_not_accept_is_said_with_the_settings_name(sandbox_settings, world, wrong):
    client = open_flickr(sandbox_settings.model_copy(update=wrong))
    with pytest.raises(KeyInvalidError, match="PHOTO_RECOMMENDER_FLICKR_KEY"):
        client.person(world.user_ids[0])


def test_one_client_serves_many_threads(sandbox, flickr, world, monkeypatch):
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", 20)
    users = world.user_ids[:24]
    with ThreadPoolExecutor(6) as pool:
        lists = list(pool.map(lambda user_id: read(flickr.favorites(user_id)), users))
    assert lists == [sandbox.listed(user_id) for user_id in users]
