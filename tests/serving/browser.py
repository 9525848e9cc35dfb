"""A browser with our page in it, at the one application of the test run.

Making an application anew would take longer than most tests: it is made once, and handed each test's runtime.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.accounts.sessions import COOKIE
from serving.api.app import create_app
from serving.runtime import Runtime
from tests.serving.flickr_sandbox import Sandbox

APPLICATION = create_app()

USER = "12@N01"
"""Whom `application_routes` names, and who is signed in in `signed_in`."""


def application_of(runtime: Runtime) -> ASGIApp:
    """The one application, over that runtime."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        APPLICATION.state.runtime = runtime
        await APPLICATION(scope, receive, send)

    return application


def client_of(runtime: Runtime) -> TestClient:
    """A client of the application over https, as the session's cookie is `Secure`; it follows no redirect."""
    application = application_of(runtime)
    return TestClient(application, base_url="https://testserver", follow_redirects=False, raise_server_exceptions=False)


def application_routes() -> list[tuple[str, str]]:
    """(method, path) of everything that the web application answers but the site, with something in each `{…}`."""
    values = {"photo_id": "1000", "user_id": USER, "other_id": "13@N01", "group_id": "14@N20"}
    values["rest:path"] = "no/such/thing"

    def filled(path: str) -> str:
        return re.sub(r"\{(.+?)\}", lambda name: values[name[1]], path)

    routes = list(iter_route_contexts(APPLICATION.routes))
    return [(method, filled(str(route.path))) for route in routes for method in sorted(route.methods or ())]


@dataclass
class Browser:
    """A browser with our page in it: it keeps cookies, and sends the session's CSRF token with every change."""

    client: TestClient

    @property
    def cookie(self) -> str:
        return self.client.cookies[COOKIE]

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.cookies.clear()
        self.client.cookies.set(COOKIE, value, domain="testserver.local")

    def session(self) -> Any:
        return self.client.get("/api/session").json()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def change(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"X-CSRF-Token": self.session()["csrf_token"], "Sec-Fetch-Site": "same-origin"}
        return self.client.request(method, path, headers=headers, **options)

    def begin_sign_in(self, return_to: str = "/") -> str:
        """The address where Flickr asks for consent."""
        answer = self.change("POST", "/api/session/login", json={"return_to": return_to})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["authorize_url"])

    def sign_in(self, sandbox: Sandbox, user_id: str, return_to: str = "/") -> httpx.Response:
        """The whole dance; the answer to Flickr's callback."""
        return self.get(sandbox.consent(self.begin_sign_in(return_to), user_id))
