"""Commenting from the site: once, as text, in the person's name, and refused in words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from features.database import accounts
from serving.accounts.sessions import open_session
from tests.serving.api.conftest import refusal, refused_field
from tests.serving.conftest import Browser, Sandbox

ADD = "flickr.photos.comments.addComment"
MARKUP = '<script>alert(1)</script> <b onclick="x()">fine</b> &amp; \u202egnirts\nsecond line'


@pytest.fixture
def photo_id(sandbox: Sandbox, me: str, request: pytest.FixtureRequest) -> str:
    """A photo that `me` may comment; another one for each test, as what was written a moment ago is remembered."""
    photos = sandbox.photos_for(me, 60)
    return photos[sum(map(ord, request.node.name)) % len(photos)][0]


@pytest.fixture
def written(sandbox: Sandbox, photo_id: str) -> Callable[[], list[dict[str, Any]]]:
    """A function that tells the comments of the photo that came since the test began."""

    def read() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{sandbox.url}/sandbox/comments?photo_id={photo_id}").json()
        return found

    before = len(read())
    return lambda: read()[before:]


Written = Callable[[], list[dict[str, Any]]]


def say(browser: Browser, photo_id: str, text: object) -> httpx.Response:
    return browser.change("POST", f"/api/me/photos/{photo_id}/comments", json={"text": text})


def test_a_comment_is_written_on_flickr_in_the_name_of_who_is_signed_in(
    visitor: Browser, me: str, photo_id: str, written: Written
) -> None:
    answer = say(visitor, photo_id, "  The light!\n")
    (comment,) = written()
    assert answer.status_code == 201
    assert answer.json() == {"comment_id": comment["comment_id"], "photo_id": photo_id}
    assert (comment["user_id"], comment["text"]) == (me, "The light!")


def test_markup_arrives_as_it_was_typed_and_is_text_on_flickrs_page(
    visitor: Browser, me: str, photo_id: str, written: Written, sandbox: Sandbox
) -> None:
    assert say(visitor, photo_id, MARKUP).status_code == 201
    assert [comment["text"] for comment in written()] == [MARKUP]
    owner = sandbox.call("flickr.photos.getInfo", photo_id=photo_id)["photo"]["owner"]["nsid"]
    page = httpx.get(f"{sandbox.url}/photos/{owner}/{photo_id}/").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page


@pytest.mark.parametrize("text", ["", "  \n\t ", "x" * 2_001, None, 7, ["a"], "\ud800"])
def test_what_is_no_comment_is_refused_before_flickr_hears_of_it(
    visitor: Browser, me: str, photo_id: str, written: Written, text: object
) -> None:
    body = '{"text": "\\ud800"}' if text == "\ud800" else None
    path = f"/api/me/photos/{photo_id}/comments"
    headers = {"X-CSRF-Token": visitor.session()["csrf_token"], "Content-Type": "application/json"}
    answer = visitor.client.post(path, content=body, headers=headers) if body else say(visitor, photo_id, text)
    assert refused_field(answer) == (422, "invalid_input", "text")
    assert written() == []


def test_the_longest_comment_is_taken_whatever_blanks_are_around_it(
    visitor: Browser, me: str, photo_id: str, written: Written
) -> None:
    assert say(visitor, photo_id, " " * 50 + "é" * 2_000 + " " * 50).status_code == 201
    assert [comment["text"] for comment in written()] == ["é" * 2_000]


def test_the_same_words_sent_again_are_the_same_comment(
    visitor: Browser, me: str, photo_id: str, written: Written
) -> None:
    answers = [say(visitor, photo_id, text).json() for text in ("Twice.", "Twice. ", "Other words.")]
    assert answers[0] == answers[1] != answers[2]
    assert [comment["text"] for comment in written()] == ["Twice.", "Other words."]


def test_sent_twice_at_once_it_is_written_once_and_both_are_told(
    visitor: Browser, me: str, photo_id: str, written: Written, sandbox: Sandbox
) -> None:
    sandbox.faults({"kind": "hang", "seconds": 0.5, "method": ADD})
    ready = threading.Barrier(4)
    token = visitor.session()["csrf_token"]

    def send(_: int) -> httpx.Response:
        ready.wait()
        path, headers = f"/api/me/photos/{photo_id}/comments", {"X-CSRF-Token": token}
        return visitor.client.post(path, json={"text": "At once."}, headers=headers)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(4)))
    assert {(answer.status_code, answer.json()["comment_id"]) for answer in answers} == {
        (201, written()[0]["comment_id"])
    }
    assert len(written()) == 1


def test_another_person_may_say_the_same(
    visitor: Browser, me: str, photo_id: str, written: Written, other_browser: Browser, sandbox: Sandbox
) -> None:
    other_browser.sign_in(sandbox, sandbox.people[3])
    for browser in (visitor, other_browser):
        assert say(browser, photo_id, "So do I.").status_code == 201
    assert [comment["user_id"] for comment in written()] == [me, sandbox.people[3]]


@pytest.mark.parametrize("code", [8, 9])
def test_what_flickr_has_against_it_is_told_in_its_words_and_may_be_sent_again(
    visitor: Browser, me: str, photo_id: str, written: Written, sandbox: Sandbox, code: int
) -> None:
    sandbox.faults({"kind": "fail", "code": code, "method": ADD, "times": 1})
    answer = say(visitor, photo_id, "Please.")
    assert refusal(answer) == (502, "flickr_refused")
    assert f"Fault on request: code {code}" in answer.json()["error"]["message"]
    assert written() == []
    assert say(visitor, photo_id, "Please.").status_code == 201


@pytest.mark.parametrize("how", ["photos", "private"])
def test_a_photo_that_is_gone_from_flickr_is_not_found(
    visitor: Browser, me: str, photo_id: str, written: Written, sandbox: Sandbox, how: str
) -> None:
    httpx.put(f"{sandbox.url}/sandbox/gone", json={how: [photo_id]}).raise_for_status()
    try:
        answer = say(visitor, photo_id, "Where is it?")
    finally:
        httpx.put(f"{sandbox.url}/sandbox/gone", json={}).raise_for_status()
    assert refusal(answer) == (404, "not_found")
    assert "not found" in answer.json()["error"]["message"]
    assert written() == []


@pytest.mark.parametrize(("kind", "there"), [("bad_gateway", 0), ("truncated_json", 1)])
def test_where_nobody_knows_whether_it_was_written_the_person_is_told_to_look(
    visitor: Browser, me: str, photo_id: str, written: Written, sandbox: Sandbox, kind: str, there: int
) -> None:
    sandbox.faults({"kind": kind, "method": ADD, "times": 1})
    answer = say(visitor, photo_id, "Perhaps.")
    assert refusal(answer) == (502, "flickr_unavailable")
    assert "look at the photo's page before sending it again" in answer.json()["error"]["message"]
    assert len(written()) == there
    assert visitor.session()["user"]["user_id"] == me


def test_where_flickr_has_too_many_calls_it_was_not_written_and_nothing_else_is_claimed(
    visitor: Browser, me: str, photo_id: str, written: Written, sandbox: Sandbox
) -> None:
    sandbox.faults({"kind": "too_many_requests", "method": ADD, "times": 1, "retry_after": 0})
    answer = say(visitor, photo_id, "Too soon.")
    assert refusal(answer) == (502, "flickr_unavailable")
    assert "may be there" not in answer.json()["error"]["message"]
    assert written() == []


def test_when_flickr_no_longer_takes_the_token_the_person_is_asked_to_sign_in_again(
    visitor: Browser, me: str, photo_id: str, written: Written, sandbox: Sandbox
) -> None:
    sandbox.faults({"kind": "expired_token"})
    assert refusal(say(visitor, photo_id, "It is me.")) == (401, "not_signed_in")
    assert visitor.session()["user"] is None
    assert written() == []


def test_nobody_comments_for_somebody_else(
    browser: Browser, visitor: Browser, me: str, photo_id: str, written: Written, engine: sa.Engine
) -> None:
    assert refusal(say(browser, photo_id, "I am nobody.")) == (401, "not_signed_in")
    path = f"/api/me/photos/{photo_id}/comments"
    body = {"json": {"text": "Not from the site's page."}}
    assert refusal(visitor.client.post(path, **body)) == (403, "cross_site")
    token = {"X-CSRF-Token": visitor.session()["csrf_token"], "Sec-Fetch-Site": "cross-site"}
    assert refusal(visitor.client.post(path, headers=token, **body)) == (403, "cross_site")
    with engine.begin() as connection:
        connection.execute(sa.update(accounts).values(token_ciphertext=None))
    visitor.cookie, _ = open_session(engine, user_id=me)
    assert refusal(say(visitor, photo_id, "Without a token.")) == (401, "not_signed_in")
    assert written() == []
