"""What is let through to the Bento APIs, and how the rest is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from serving.web.door import MAX_BODY, Door

KEY = "a-long-key-of-the-service"
ASKED = {"user_id": "12037949754@N01", "limit": 10}


async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


def behind_the_door() -> TestClient:
    routes = [Route(path, echo, methods=["GET", "POST", "PUT"]) for path in ("/recommend", "/similar", "/api/session")]
    return TestClient(Door(Starlette(routes=routes)))


@pytest.fixture
def door(environment: Callable[..., None]) -> TestClient:
    """The door without a key."""
    return behind_the_door()


@pytest.fixture
def locked(environment: Callable[..., None]) -> TestClient:
    """The door with a key."""
    environment(api_key=KEY)
    return behind_the_door()


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "field"}
    assert error["message"]
    return answer.status_code, error["code"], error["field"]


@pytest.mark.parametrize(
    ("path", "body"), [("/recommend", ASKED), ("/similar", {"photo_id": "53412345678"}), ("/api/session", [1, None])]
)
def test_what_is_well_formed_gets_through_unchanged(door: TestClient, path: str, body: Any) -> None:
    sent = json.dumps(body, indent=3).encode()
    assert door.post(path, content=sent, headers={"Content-Type": "application/json; charset=utf-8"}).content == sent


def test_without_a_content_type_json_is_assumed(door: TestClient) -> None:
    assert door.post("/recommend", content=json.dumps(ASKED)).json() == ASKED


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_another_content_type_is_refused(door: TestClient, content_type: str) -> None:
    answer = door.post("/recommend", content=json.dumps(ASKED), headers={"Content-Type": content_type})
    assert refusal(answer) == (422, "invalid_input", "Content-Type")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/recommend", {}, "user_id"),
        ("/recommend", {"user_id": "Ansel Adams"}, "user_id"),
        ("/recommend", {"user_id": 5}, "user_id"),
        ("/recommend", {"user_id": "1@N٠١"}, "user_id"),
        ("/recommend", {**ASKED, "limit": 0}, "limit"),
        ("/recommend", {**ASKED, "limit": 501}, "limit"),
        ("/recommend", {**ASKED, "limit": "many"}, "limit"),
        ("/recommend", {**ASKED, "people": -1}, "people"),
        ("/recommend", {**ASKED, "explain": "perhaps"}, "explain"),
        ("/similar", {}, "photo_id"),
        ("/similar", {"photo_id": "x"}, "photo_id"),
        ("/similar", {"photo_id": "1", "limit": None}, "limit"),
        ("/recommend", [], "body"),
        ("/recommend", "1@N01", "body"),
    ],
)
def test_what_has_not_the_right_shape_is_refused_with_the_field(
    door: TestClient, path: str, body: Any, field: str
) -> None:
    assert refusal(door.post(path, json=body)) == (422, "invalid_input", field)


@pytest.mark.parametrize("body", [b"", b"{", b'{"user_id": "1@N01"} extra', b"\xff\xfe", b'{"limit": 01}'])
def test_what_is_no_json_is_refused(door: TestClient, body: bytes) -> None:
    assert refusal(door.post("/recommend", content=body)) == (422, "invalid_input", "body")


def test_a_refusal_shows_little_of_what_was_sent(door: TestClient) -> None:
    message = door.post("/recommend", json={"user_id": "x" * 5000}).json()["error"]["message"]
    assert message.startswith("user_id='xxx")
    assert len(message) < 250


def padded(length: int) -> bytes:
    body = json.dumps(ASKED).encode()
    return body + b" " * (length - len(body))


def in_parts(body: bytes) -> Iterator[bytes]:
    """A body whose length is not announced."""
    for start in range(0, len(body), 1000):
        yield body[start : start + 1000]


def test_the_longest_body_gets_through(door: TestClient) -> None:
    assert door.post("/recommend", content=padded(MAX_BODY)).content == padded(MAX_BODY)
    assert door.post("/recommend", content=in_parts(padded(MAX_BODY))).content == padded(MAX_BODY)


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("path", ["/recommend", "/api/session"])
def test_a_longer_body_is_refused_wherever_it_goes(door: TestClient, method: str, path: str) -> None:
    too_long = padded(MAX_BODY + 1)
    assert refusal(door.request(method, path, content=too_long)) == (413, "too_large", "body")
    assert refusal(door.request(method, path, content=in_parts(too_long))) == (413, "too_large", "body")


@pytest.mark.parametrize("path", ["/recommend", "/similar"])
@pytest.mark.parametrize(
    "authorization", [None, "", KEY, f"Basic {KEY}", "Bearer ", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Bearer é"]
)
def test_without_the_right_key_nothing_gets_through(locked: TestClient, path: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode()}
    answer = locked.post(path, json={**ASKED, "photo_id": "1"}, headers=headers)
    assert refusal(answer) == (401, "wrong_key", None)
    assert KEY not in answer.text


def test_without_the_key_nobody_learns_what_the_apis_take(locked: TestClient) -> None:
    assert refusal(locked.post("/recommend", content=b"{"))[:2] == (401, "wrong_key")


def test_with_the_key_it_gets_through(locked: TestClient) -> None:
    assert locked.post("/recommend", json=ASKED, headers={"Authorization": f"Bearer {KEY}"}).json() == ASKED


def test_the_website_needs_no_key(locked: TestClient) -> None:
    assert locked.post("/api/session", json=ASKED).json() == ASKED
    assert locked.get("/recommend").status_code == 200
