"""What requests are counted by."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from serving.web.counting import Counted, Endpoints

TEMPLATES = ("/api/users/lookup", "/api/users/{user_id}/pull", "/api/me/favorites/{photo_id}", "/recommend")


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/api/users/12@N01/pull", "/api/users/{user_id}/pull"),
        ("/api/users/lookup", "/api/users/lookup"),
        ("/api/me/favorites/1000", "/api/me/favorites/{photo_id}"),
        ("/recommend", "/recommend"),
        ("/api/users/12@N01/pull/more", "/api/…"),
        ("/api/users//pull", "/api/…"),
        ("/wall/12@N01", "site"),
        ("/recommend/12@N01", "site"),
        ("/", "site"),
    ],
)
def test_a_path_is_counted_by_its_route(path: str, endpoint: str) -> None:
    assert Endpoints(TEMPLATES).of(path) == endpoint


@given(st.text())
def test_whatever_is_asked_for_there_are_only_so_many_endpoints(path: str) -> None:
    assert Endpoints(TEMPLATES).of(path) in {*TEMPLATES, "/api/…", "site"}


def test_an_answer_is_counted_by_route_method_and_status_and_nothing_else_of_it_is_kept() -> None:
    async def answer(request: Request) -> Response:
        return PlainTextResponse("", 404 if request.path_params["user_id"] == "2@N01" else 202)

    routes = [Route("/api/users/{user_id}/pull", answer, methods=["POST"])]
    client = TestClient(Counted(Starlette(routes=routes), TEMPLATES))
    labels = {"endpoint": "/api/users/{user_id}/pull", "method": "POST"}

    def counted(status: str) -> float:
        return REGISTRY.get_sample_value("photo_recommender_requests_total", {**labels, "status": status}) or 0.0

    before = counted("202"), counted("404")
    for user_id in ("1@N01", "2@N01", "3@N01"):
        client.post(f"/api/users/{user_id}/pull")
    client.request("BREW", "/wall/4@N01")
    assert (counted("202") - before[0], counted("404") - before[1]) == (2, 1)
    kept = [sample.labels for family in REGISTRY.collect() for sample in family.samples if "request" in sample.name]
    assert not re.search(r"@N\d|BREW", str(kept))
