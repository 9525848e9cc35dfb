"""Comments: written by who may, kept as they were written, and shown as text."""

from __future__ import annotations

from collections.abc import Callable

import flickrapi
import httpx
import pytest

MARKUP = '<script>alert(1)</script> <b onclick="x()">fine</b> & \u202egnirts\nsecond line'


def code_of(call: Callable[[], object]) -> int:
    with pytest.raises(flickrapi.FlickrError) as raised:
        call()
    return int(raised.value.code)


def page_of(sandbox, world, photo: int) -> str:
    owner = world.user_ids[world.photo_owner[photo]]
    return httpx.get(f"{sandbox.url}/photos/{owner}/{world.photo_ids[photo]}/").text


def kept(sandbox, photo_id: str):
    return sandbox.get(f"/sandbox/comments?photo_id={photo_id}")


def test_a_comment_is_kept_with_who_wrote_what_on_which_photo(sandbox, world):
    photo_id, me = world.photo_ids[0], world.user_ids[4]
    answer = sandbox.sign_in(me).photos.comments.addComment(photo_id=photo_id, comment_text=MARKUP)
    (comment,) = kept(sandbox, photo_id)
    assert (comment["comment_id"], comment["user_id"], comment["text"]) == (answer["comment"]["id"], me, MARKUP)
    assert abs(comment["created_at"] - sandbox.get("/sandbox/clock")["now"]) < 10
    assert comment in sandbox.get("/sandbox/comments")


def test_the_same_words_twice_are_two_comments(sandbox, world):
    photo_id, client = world.photo_ids[1], sandbox.sign_in(world.user_ids[4])
    ids = {
        client.photos.comments.addComment(photo_id=photo_id, comment_text="Fine.")["comment"]["id"] for _ in range(2)
    }
    assert {comment["comment_id"] for comment in kept(sandbox, photo_id)} == ids
    assert len(ids) == 2


def test_a_photos_page_shows_comments_as_text_at_their_own_address(sandbox, world):
    client = sandbox.sign_in(world.user_ids[4])
    answer = client.photos.comments.addComment(photo_id=world.photo_ids[2], comment_text=MARKUP)
    page = page_of(sandbox, world, 2)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert f'id="comment{answer["comment"]["id"].rpartition("-")[2]}"' in page
    assert "alert(1)" not in page_of(sandbox, world, 3)


def test_who_may_not_write_can_not_comment(sandbox, world):
    photo_id = world.photo_ids[4]
    for client in (sandbox.flickr(), sandbox.sign_in(world.user_ids[4], "read")):
        assert code_of(lambda: client.photos.comments.addComment(photo_id=photo_id, comment_text="x")) == 99  # noqa: B023
    assert kept(sandbox, photo_id) == []


@pytest.mark.parametrize("text", ["", "   \n"])
def test_a_comment_says_something(sandbox, world, text):
    client = sandbox.sign_in(world.user_ids[4])
    assert code_of(lambda: client.photos.comments.addComment(photo_id=world.photo_ids[5], comment_text=text)) == 8
    assert kept(sandbox, world.photo_ids[5]) == []


@pytest.mark.parametrize("how", ["photos", "private"])
def test_what_is_not_there_to_see_can_not_be_commented(sandbox, world, how):
    photo_id, client = world.photo_ids[6], sandbox.sign_in(world.user_ids[4])
    assert code_of(lambda: client.photos.comments.addComment(photo_id="1", comment_text="x")) == 1
    sandbox.put("/sandbox/gone", {how: [photo_id]}).raise_for_status()
    try:
        assert code_of(lambda: client.photos.comments.addComment(photo_id=photo_id, comment_text="x")) == 1
    finally:
        sandbox.put("/sandbox/gone", {}).raise_for_status()
    assert kept(sandbox, photo_id) == []


def test_comments_survive_a_restart(start_sandbox, world, tmp_path):
    with start_sandbox(tmp_path) as sandbox:
        sandbox.sign_in(world.user_ids[4]).photos.comments.addComment(photo_id=world.photo_ids[0], comment_text="Stay.")
        before = kept(sandbox, world.photo_ids[0])
    with start_sandbox(tmp_path) as sandbox:
        assert kept(sandbox, world.photo_ids[0]) == before
        assert [comment["text"] for comment in before] == ["Stay."]
