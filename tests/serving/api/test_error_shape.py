"""One shape for every error, wherever it arises, with nothing of the inside: `{"error": {code, message, field}}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from features import errors as features_errors
from features.database import metadata
from features.errors import InvalidInputError, PhotoRecommenderError
from pipelines.flickr import answers as flickr_answers
from serving import errors as serving_errors
from serving.accounts import signin
from serving.api.app import answer_of
from tests.serving.conftest import USER, Browser, application_routes

ROUTES = [(method, path) for method, path in application_routes() if method != "HEAD"]
INTERNAL = {
    "error": {
        "code": "internal",
        "message": "something went wrong here; the service's log has the details",
        "field": None,
    }
}


def send(browser: Browser, method: str, path: str, **options: Any) -> httpx.Response:
    return browser.get(path, **options) if method == "GET" else browser.change(method, path, **options)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error, after a look at its shape."""
    assert answer.headers["Content-Type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["code", "message", "field"]
    code, message, field = body["error"].values()
    assert re.fullmatch(r"[a-z_]+", code)
    assert isinstance(message, str)
    assert message
    assert field is None or re.fullmatch(r"[A-Za-z_-]+", field)
    return dict(body["error"])


# 404, 405


@pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/users", "/api/me/favorites", "/missing.js"])
def test_what_is_not_there(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "not_found"


@pytest.mark.parametrize("path", sorted({path for _, path in ROUTES} | {"/", "/wall/12@N01", "/api/nothing"}))
def test_a_method_that_is_not_offered(browser: Browser, path: str) -> None:
    answer = browser.client.patch(path)
    assert answer.status_code == 405
    assert error_of(answer)["code"] == "method_not_allowed"
    assert "PATCH" not in answer.headers["Allow"]


# 422


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        (method, path.replace(value, "not~one"), field)
        for method, path in ROUTES
        for value, field in (("12@N01", "user_id"), ("13@N01", "other_id"), ("1000", "photo_id"))
        if value in path
    ],
)
def test_a_malformed_id_is_named(signed_in: Browser, method: str, path: str, field: str) -> None:
    answer = send(signed_in, method, path)
    assert answer.status_code == 422
    error = error_of(answer)
    assert (error["code"], error["field"]) == ("invalid_input", field)
    assert "not~one" in error["message"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/users/lookup", "q"),
        (f"/api/users/lookup?q={'x' * 501}", "q"),
        (f"/api/users/{USER}/recommendations?limit=1.5", "limit"),
        (f"/api/users/{USER}/recommendations?cursor=%ff", "cursor"),
        ("/api/sandbox/people?limit=-1", "limit"),
        (f"/api/session/callback?oauth_verifier={'x' * 501}", "oauth_verifier"),
    ],
)
def test_a_malformed_parameter_is_named(browser: Browser, path: str, field: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 422
    assert error_of(answer)["field"] == field


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 422, "body"),
        (b"{", 422, "body"),
        (b"[]", 422, "body"),
        (b'{"return_to": 5}', 422, "return_to"),
        (b'{"return_to": "/' + b"x" * 2001 + b'"}', 422, "return_to"),
        (b'{"return_to": "\\ud800"}', 422, "return_to"),
        (b'{"return_to": "\xff"}', 400, None),
    ],
)
def test_a_malformed_body_is_refused(browser: Browser, body: bytes, status: int, field: str | None) -> None:
    headers = {"X-CSRF-Token": browser.session()["csrf_token"], "Content-Type": "application/json"}
    answer = browser.client.post("/api/session/login", content=body, headers=headers)
    assert answer.status_code == status
    error = error_of(answer)
    assert error["field"] == field
    assert len(error["message"]) < 300


# 500


WITHOUT_DATABASE = {
    *("/api/openapi.json", "/api/no/such/thing", "/docs", "/docs/start.js", "/api/users/lookup", "/api/sandbox/people"),
    "/api/groups",
    "/metrics",  # says so of each part
}


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route[1] not in WITHOUT_DATABASE])
def test_a_database_that_lost_its_tables_shows_nothing_of_the_inside(
    signed_in: Browser, engine: sa.Engine, logs: list[Any], method: str, path: str
) -> None:
    headers = {"X-CSRF-Token": signed_in.session()["csrf_token"]}
    with engine.begin() as connection:
        connection.execute(sa.text("PRAGMA foreign_keys=OFF"))
        metadata.drop_all(connection)
    answer = signed_in.client.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()) == (500, INTERNAL)
    assert [entry["code"] for entry in logs if entry["event"] == "request_failed"] == ["internal"]


def test_the_log_has_the_traceback_that_the_answer_lacks(browser: Browser, engine: sa.Engine, logs: list[Any]) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE sessions"))
    assert browser.get("/api/session").json() == INTERNAL
    (failure,) = (entry for entry in logs if entry["event"] == "request_failed")
    assert "no such table: sessions" in str(failure["exc_info"])


@pytest.fixture
def full_disk(engine: sa.Engine) -> Iterator[None]:
    """SQLite is allowed no more room than it has."""

    def keep_small(connection: Any, _: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")

    engine.dispose()
    sa.event.listen(engine, "connect", keep_small)
    yield
    sa.event.remove(engine, "connect", keep_small)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_told_as_such_and_what_was_answered_before_is_kept(
    signed_in: Browser, engine: sa.Engine
) -> None:
    headers = {"X-CSRF-Token": signed_in.session()["csrf_token"]}
    for recorded in range(10_000):
        answer = signed_in.client.put(f"/api/me/dismissals/people/{recorded}@N01", headers=headers)
        if answer.status_code != 200:
            break
    assert answer.status_code == 503
    error = error_of(answer)
    assert error["code"] == "storage_full"
    assert "disk is full" in error["message"]
    assert len(signed_in.get("/api/me").json()["dismissed_people"]) == recorded > 0


# The tree of errors


def every_error(root: type[PhotoRecommenderError]) -> Iterator[type[PhotoRecommenderError]]:
    yield root
    for below in root.__subclasses__():
        yield from every_error(below)


@pytest.mark.parametrize("kind", sorted(set(every_error(PhotoRecommenderError)), key=lambda kind: kind.__name__))
def test_every_error_has_a_code_of_its_own_words_and_a_status(kind: type[PhotoRecommenderError]) -> None:
    assert re.fullmatch(r"[a-z_]+", kind.code)
    assert 400 <= kind.http_status < 600


def test_errors_of_all_packages_are_looked_at() -> None:
    seen = set(every_error(PhotoRecommenderError))
    for module in (features_errors, flickr_answers, serving_errors, signin):
        mine = {value for value in vars(module).values() if isinstance(value, type)}
        assert {kind for kind in mine if issubclass(kind, PhotoRecommenderError)} <= seen


def test_an_error_is_answered_with_its_status_message_and_field() -> None:
    answer = answer_of(InvalidInputError("limit=0: too small", field="limit"))
    assert answer.status_code == 422
    assert bytes(answer.body) == b'{"error":{"code":"invalid_input","message":"limit=0: too small","field":"limit"}}'
