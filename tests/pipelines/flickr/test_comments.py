"""Commenting through the client: as it was typed, once at most, and refusals in Flickr's words."""

from __future__ import annotations

import pytest

from pipelines.flickr.client import (
    FlickrRefusedError,
    FlickrUnavailableError,
    PhotoNotFoundError,
    Purpose,
    TokenInvalidError,
    open_flickr,
)

ADD = "flickr.photos.comments.addComment"
MARKUP = '<script>alert("1")</script> <b>fine</b> &amp; 100 % + ünïcode \U0001f4f7\nsecond line'


@pytest.fixture
def visitor(world) -> str:
    return world.user_ids[-1]


@pytest.fixture
def signed(sandbox, sandbox_settings, quick_retries, visitor):
    return open_flickr(sandbox_settings, sandbox.token(visitor))


def written(sandbox, photo_id: str) -> list[str]:
    return [comment["text"] for comment in sandbox.get(f"/sandbox/comments?photo_id={photo_id}")]


def test_a_comment_arrives_as_it_was_typed_in_the_name_of_who_consented(sandbox, signed, world, visitor):
    photo_id = world.photo_ids[20]
    comment_id = signed.add_comment(photo_id, MARKUP)
    (comment,) = sandbox.get(f"/sandbox/comments?photo_id={photo_id}")
    assert (comment["comment_id"], comment["user_id"], comment["text"]) == (comment_id, visitor, MARKUP)


@pytest.mark.parametrize(
    ("rule", "carried_out"),
    [
        ({"kind": "too_many_requests", "retry_after": 0}, 0),
        ({"kind": "bad_gateway"}, 0),
        ({"kind": "fail", "code": 105}, 0),
        ({"kind": "truncated_json"}, 1),
        ({"kind": "html"}, 0),
    ],
)
def test_whatever_goes_wrong_it_is_tried_once(sandbox, signed, world, rule, carried_out):
    photo_id = world.photo_ids[21]
    sandbox.faults({**rule, "method": ADD, "times": 1})
    before, calls = len(written(sandbox, photo_id)), sandbox.calls(ADD)
    with pytest.raises(FlickrUnavailableError):
        signed.add_comment(photo_id, "Once.")
    assert sandbox.calls(ADD) == calls + 1
    assert len(written(sandbox, photo_id)) == before + carried_out


def test_an_answer_that_does_not_come_is_not_asked_for_again(sandbox, sandbox_settings, world, visitor):
    client = open_flickr(sandbox_settings.model_copy(update={"flickr_timeout": 0.2}), sandbox.token(visitor))
    sandbox.faults({"kind": "hang", "seconds": 1.0, "method": ADD})
    with pytest.raises(FlickrUnavailableError, match="does not answer"):
        client.add_comment(world.photo_ids[22], "Late.")
    assert written(sandbox, world.photo_ids[22]) == ["Late."]


def test_what_flickr_has_against_it_is_said_in_its_words(sandbox, signed, world):
    with pytest.raises(FlickrRefusedError, match="Blank comment") as raised:
        signed.add_comment(world.photo_ids[23], "  ")
    assert raised.value.flickr_code == 8
    sandbox.faults({"kind": "fail", "code": 9, "method": ADD})
    with pytest.raises(FlickrRefusedError) as raised:
        signed.add_comment(world.photo_ids[23], "Again.")
    assert raised.value.flickr_code == 9
    assert written(sandbox, world.photo_ids[23]) == []


def test_a_photo_that_is_not_there_is_not_found(signed):
    with pytest.raises(PhotoNotFoundError, match="not found"):
        signed.add_comment("1", "Where?")


def test_it_needs_a_token_that_allows_it(sandbox, sandbox_settings, flickr, visitor, world):
    reader = open_flickr(sandbox_settings, sandbox.token(visitor, "read"))
    for client in (flickr, reader):
        with pytest.raises(TokenInvalidError, match="sign in again"):
            client.add_comment(world.photo_ids[24], "May I?")
    assert written(sandbox, world.photo_ids[24]) == []


def test_it_is_counted_as_spent_on_a_person(signed, world):
    budget = signed._caller._budget
    before = budget.spent().get(Purpose.PERSON, {}).get(ADD, 0)
    signed.add_comment(world.photo_ids[25], "Counted.")
    assert budget.spent()[Purpose.PERSON][ADD] == before + 1
