"""Only our own page changes anything, and every answer carries the headers that keep a browser on our side."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from features.database import actions, oauth_requests, pull_asked, pull_progress, pull_requests, sessions
from features.settings import Settings
from serving.accounts.sessions import open_session
from serving.runtime import Runtime
from serving.web.door import MAX_BODY, Door
from serving.web.security import SAFE_METHODS, SecurityHeaders, headers_of
from tests.serving.conftest import USER, Browser, application_of, application_routes

CHANGES = [(method, path) for method, path in application_routes() if method not in SAFE_METHODS]
READS = sorted({path for method, path in application_routes() if method == "GET"})

every_change = pytest.mark.parametrize(("method", "path"), CHANGES)


def nothing_was_done(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        for table in (actions, pull_asked, pull_progress, pull_requests, oauth_requests):
            if connection.scalar(sa.select(sa.func.count()).select_from(table)):
                return False
        return connection.scalar(sa.select(sa.func.count()).where(sessions.c.revoked_at.is_not(None))) == 0


def send(browser: Browser, method: str, path: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return browser.client.request(method, path, headers=named, **({"json": {}} if method == "POST" else {}))


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_these_are_the_routes_that_change_something() -> None:
    assert ("PUT", "/api/me/favorites/1000") in CHANGES
    assert ("POST", f"/api/users/{USER}/pull") in CHANGES
    assert len(CHANGES) >= 9


# Where a change comes from


@every_change
def test_a_change_that_the_browser_says_comes_from_elsewhere_is_refused(
    signed_in: Browser, engine: sa.Engine, method: str, path: str
) -> None:
    token = signed_in.session()["csrf_token"]
    for site in ("cross-site", "same-site", "something-new", ""):
        answer = send(signed_in, method, path, X_CSRF_Token=token, Sec_Fetch_Site=site)
        assert refusal(answer) == (403, "cross_site"), site
    assert nothing_was_done(engine)


FOREIGN = (
    *("https://evil.example", "https://testserver.evil.example", "https://testserver:8443"),
    *("null", "testserver", "http://[", ""),
)


@every_change
def test_where_the_browser_names_the_origin_only_ours_is_taken(
    signed_in: Browser, engine: sa.Engine, method: str, path: str
) -> None:
    token = signed_in.session()["csrf_token"]
    for origin in FOREIGN:
        answer = send(signed_in, method, path, X_CSRF_Token=token, Origin=origin)
        assert refusal(answer) == (403, "cross_site"), origin
    assert nothing_was_done(engine)


@every_change
def test_what_the_browser_says_of_the_site_counts_more_than_the_origin(
    signed_in: Browser, engine: sa.Engine, method: str, path: str
) -> None:
    headers = {"X_CSRF_Token": signed_in.session()["csrf_token"], "Sec_Fetch_Site": "cross-site"}
    assert refusal(send(signed_in, method, path, Origin="https://testserver", **headers)) == (403, "cross_site")
    assert nothing_was_done(engine)


# The token


@every_change
def test_a_change_without_the_sessions_own_token_is_refused(
    signed_in: Browser, engine: sa.Engine, method: str, path: str
) -> None:
    _, other = open_session(engine, user_id=USER)
    for token in (None, "", "wrong", "é", other.csrf_token):
        headers = {"Sec-Fetch-Site": b"same-origin"} | ({} if token is None else {"X-CSRF-Token": token.encode()})
        answer = signed_in.client.request(method, path, headers=headers)
        assert refusal(answer) == (403, "cross_site"), token
    assert nothing_was_done(engine)


@every_change
def test_a_token_in_the_address_is_not_taken(signed_in: Browser, engine: sa.Engine, method: str, path: str) -> None:
    token = signed_in.session()["csrf_token"]
    assert refusal(send(signed_in, method, f"{path}?csrf_token={token}&X-CSRF-Token={token}")) == (403, "cross_site")
    assert nothing_was_done(engine)


@every_change
def test_a_change_without_a_session_is_refused(browser: Browser, engine: sa.Engine, method: str, path: str) -> None:
    _, other = open_session(engine)
    answer = send(browser, method, path, X_CSRF_Token=other.csrf_token, Sec_Fetch_Site="same-origin")
    assert refusal(answer) == (401, "not_signed_in")
    assert nothing_was_done(engine)


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "https://testserver"}, {}]
)
def test_our_own_page_is_let_through(signed_in: Browser, engine: sa.Engine, headers: dict[str, str]) -> None:
    token = {"X-CSRF-Token": signed_in.session()["csrf_token"]}
    path = "/api/me/dismissals/people/13@N01"
    assert signed_in.client.put(path, headers=headers | token).status_code == 200
    assert not nothing_was_done(engine)


def test_no_other_site_is_told_that_it_may_read_or_send(signed_in: Browser) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    for answer in (
        signed_in.client.options("/api/me/favorites/1000", headers=asked),
        signed_in.client.get("/api/session", headers={"Origin": "https://evil.example"}),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


# Headers


@pytest.fixture
def outermost(environment: Callable[..., None], runtime: Runtime) -> TestClient:
    """The application behind both middlewares, as serving/service.py puts them."""
    application = SecurityHeaders(Door(application_of(runtime)))
    return TestClient(application, base_url="https://testserver", raise_server_exceptions=False, follow_redirects=False)


def carries_the_headers(answer: httpx.Response) -> bool:
    expected = {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    return (
        expected.items() <= {name: answer.headers.get(name) for name in expected}.items()
        and "default-src 'none'" in answer.headers["Content-Security-Policy"]
        and "camera=()" in answer.headers["Permissions-Policy"]
    )


@pytest.mark.parametrize("path", [*READS, "/", "/wall/12@N01", "/assets/none.js", "/api/users/x/progress"])
def test_every_answer_carries_the_headers(outermost: TestClient, path: str) -> None:
    assert carries_the_headers(outermost.get(path))


@every_change
def test_every_refusal_carries_the_headers(outermost: TestClient, method: str, path: str) -> None:
    answer = outermost.request(method, path)
    assert answer.status_code >= 400
    assert carries_the_headers(answer)


def test_what_the_door_refuses_carries_the_headers(outermost: TestClient) -> None:
    assert carries_the_headers(outermost.post("/recommend", content=b"{"))
    too_large = outermost.post("/api/session/login", content=b" " * (MAX_BODY + 1))
    assert too_large.status_code == 413
    assert carries_the_headers(too_large)


def test_a_failure_of_ours_carries_the_headers(outermost: TestClient, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE sessions"))
    answer = outermost.get("/api/session")
    assert answer.status_code == 500
    assert carries_the_headers(answer)


@pytest.mark.parametrize("path", [path for path in READS if path.startswith("/api/")])
def test_nothing_that_the_api_says_is_kept_by_caches(outermost: TestClient, path: str) -> None:
    assert outermost.get(path).headers["Cache-Control"] == "no-store"


def test_scripts_and_styles_come_from_here_alone_and_nobody_may_frame_the_page(settings: Settings) -> None:
    policy = dict(part.split(" ", 1) for part in headers_of(settings)["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "form-action")} == {"'self'"}
    assert {policy[name] for name in ("frame-ancestors", "base-uri")} == {"'none'"}
    assert "unsafe" not in headers_of(settings)["Content-Security-Policy"]


def test_a_script_of_analytics_may_load_and_report_and_nothing_else_changes(settings: Settings) -> None:
    def policy(settings: Settings) -> dict[str, str]:
        return dict(part.split(" ", 1) for part in headers_of(settings)["Content-Security-Policy"].split("; "))

    named = settings.model_copy(update={"analytics_script": "https://analytics.example:8443/s.js?site=1"})
    allowed = "'self' https://analytics.example:8443"
    assert policy(named) == policy(settings) | {"script-src": allowed, "connect-src": allowed}


def test_pictures_may_come_from_flickr_and_in_the_demo_from_the_sandbox(settings: Settings) -> None:
    def pictures(settings: Settings) -> list[str]:
        policy = dict(part.split(" ", 1) for part in headers_of(settings)["Content-Security-Policy"].split("; "))
        return policy["img-src"].split()

    flickr = ["'self'", "data:", "https://live.staticflickr.com", "https://*.staticflickr.com"]
    assert pictures(settings) == flickr
    sandbox = settings.model_copy(update={"sandbox_url": "http://127.0.0.1:3001/"})
    assert pictures(sandbox) == [*flickr, "http://127.0.0.1:3001"]


@pytest.mark.parametrize(("public_url", "strict"), [("https://photos.example", True), ("http://localhost:3000", False)])
def test_only_a_site_on_https_asks_to_be_reached_by_https_for_good(
    settings: Settings, public_url: str, strict: bool
) -> None:
    headers = headers_of(settings.model_copy(update={"public_url": public_url}))
    assert ("Strict-Transport-Security" in headers) is strict
