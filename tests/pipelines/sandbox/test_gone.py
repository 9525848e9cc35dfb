"""Who and what vanished on request: accounts and photos that Flickr knew yesterday."""

from __future__ import annotations

import flickrapi
import httpx
import numpy as np
import pytest

LIST = "flickr.favorites.getPublicList"


@pytest.fixture
def gone(sandbox):
    """`gone(photos=[…], users=[…])` lets them vanish; all are back in the end."""

    def vanish(**what):
        return sandbox.put("/sandbox/gone", what)

    yield vanish
    vanish()


def code(answer):
    document = answer.json()
    return document.get("code") if document["stat"] == "fail" else None


def test_a_photo_that_is_gone_is_not_found_and_in_no_list_of_favorites(sandbox, avid, gone):
    listed = sandbox.listed(avid)
    photo_id = listed[3][0]
    gone(photos=[photo_id])
    assert code(sandbox.call("flickr.photos.getInfo", photo_id=photo_id)) == 1
    assert code(sandbox.call("flickr.photos.getSizes", photo_id=photo_id)) == 1
    assert sandbox.listed(avid) == [row for row in listed if row[0] != photo_id]
    gone()
    assert code(sandbox.call("flickr.photos.getInfo", photo_id=photo_id)) is None
    assert sandbox.listed(avid) == listed


def test_a_photo_that_is_private_is_refused_and_in_no_list_of_favorites(sandbox, avid, gone):
    listed = sandbox.listed(avid)
    photo_id = listed[3][0]
    gone(private=[photo_id])
    assert code(sandbox.call("flickr.photos.getInfo", photo_id=photo_id)) == 2
    assert code(sandbox.call("flickr.photos.getSizes", photo_id=photo_id)) == 2
    assert sandbox.listed(avid) == [row for row in listed if row[0] != photo_id]
    gone(private=[photo_id], photos=[photo_id])
    assert code(sandbox.call("flickr.photos.getInfo", photo_id=photo_id)) == 1
    gone()
    assert code(sandbox.call("flickr.photos.getInfo", photo_id=photo_id)) is None
    assert sandbox.listed(avid) == listed


def test_nobody_can_add_a_photo_that_is_private_to_their_favorites(sandbox, world, avid, gone):
    photo_id, owner, _ = sandbox.listed(avid)[3]
    gone(private=[photo_id])
    for user_id in (world.user_ids[-3], owner):
        with pytest.raises(flickrapi.FlickrError) as raised:
            sandbox.sign_in(user_id).favorites.add(photo_id=photo_id)
        assert raised.value.code == 4


@pytest.mark.parametrize("method", [LIST, "flickr.contacts.getPublicList", "flickr.people.getInfo"])
def test_a_user_who_is_gone_is_not_found(sandbox, world, gone, method):
    user_id = world.user_ids[4]
    assert code(sandbox.call(method, user_id=user_id)) is None
    gone(users=[user_id])
    assert code(sandbox.call(method, user_id=user_id)) == 1
    assert code(sandbox.call(method, user_id=world.user_ids[5])) is None


def test_nor_by_name_or_address(sandbox, world, gone):
    user_id, name = world.user_ids[4], world.user_names[4]
    gone(users=[user_id])
    assert code(sandbox.call("flickr.people.findByUsername", username=name)) == 1
    assert code(sandbox.call("flickr.urls.lookupUser", url=f"{sandbox.url}/photos/{user_id}/")) == 1


def test_a_user_who_is_gone_takes_their_photos_along_and_is_no_contact(sandbox, world, avid, gone):
    listed = sandbox.listed(avid)
    owner = listed[0][1]
    gone(users=[owner])
    assert sandbox.listed(avid) == [row for row in listed if row[1] != owner]
    assert code(sandbox.call("flickr.photos.getInfo", photo_id=listed[0][0])) == 1
    row = int(np.argmax(np.diff(world.contacts.indptr)))
    followed = world.user_ids[world.contacts.indices[world.contacts.indptr[row]]]
    gone(users=[followed])
    contacts = sandbox.call("flickr.contacts.getPublicList", user_id=world.user_ids[row]).json()["contacts"]
    assert followed not in {contact["nsid"] for contact in contacts["contact"]}
    assert contacts["total"] == world.contacts.indptr[row + 1] - world.contacts.indptr[row] - 1


def test_it_tells_what_is_gone(sandbox, world, gone):
    gone(photos=[world.photo_ids[0]], private=[world.photo_ids[1]])
    told = {"photos": [world.photo_ids[0]], "private": [world.photo_ids[1]], "users": []}
    assert sandbox.get("/sandbox/gone") == told


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "photos"),
        (b"[]", "photos"),
        (b'{"people": []}', "photos"),
        (b'{"photos": "1"}', "photos"),
        (b'{"photos": ["1"]}', "photos"),
        (b'{"private": ["1"]}', "private"),
        (b'{"users": [4]}', "users"),
        (b'{"users": ["1@N00"]}', "users"),
    ],
)
def test_what_can_not_vanish_is_refused_with_the_field_and_what_is_gone_stays_so(sandbox, world, gone, body, field):
    gone(users=[world.user_ids[4]])
    refused = httpx.put(f"{sandbox.url}/sandbox/gone", content=body)
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, field)
    assert sandbox.get("/sandbox/gone") == {"photos": [], "private": [], "users": [world.user_ids[4]]}
