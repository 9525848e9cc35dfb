"""One id follows a request: from the header, or made; into every line of the log; back to whoever asked."""

from __future__ import annotations

import logging
import string
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient

from features.logs import correlation_id
from serving.runtime import Runtime
from serving.web.correlation import HEADER, Correlation
from tests.serving.conftest import application_of

logger = structlog.get_logger(__name__)


def small_application() -> FastAPI:
    """An endpoint of each kind that we have, which answers the id that it sees and logs."""
    app = FastAPI()

    @app.get("/plain")
    def plain() -> str:
        logger.info("seen")
        return correlation_id()

    @app.get("/waiting")
    async def waiting() -> list[str]:
        return [correlation_id(), await run_in_threadpool(correlation_id)]

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def events() -> Any:
            for _ in range(2):
                yield f"data: {await run_in_threadpool(correlation_id)}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    return app


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(Correlation(small_application())) as client:
        yield client


def is_made(request_id: str) -> bool:
    return uuid.UUID(hex=request_id).hex == request_id


def test_the_id_that_a_proxy_sends_is_the_requests_and_comes_back(client: TestClient) -> None:
    answer = client.get("/plain", headers={HEADER: "Edge_42-a"})
    assert answer.json() == answer.headers[HEADER] == "Edge_42-a"


def test_without_one_an_id_is_made_for_each_request(client: TestClient) -> None:
    first, second = client.get("/plain"), client.get("/plain")
    assert first.json() == first.headers[HEADER] != second.headers[HEADER]
    assert is_made(first.headers[HEADER])
    assert is_made(second.headers[HEADER])


@given(st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_every_sane_id_is_taken(client: TestClient, request_id: str) -> None:
    assert client.get("/plain", headers={HEADER: request_id}).headers[HEADER] == request_id


@pytest.mark.parametrize(
    "request_id", ["", "a b", "x" * 65, "é", "1;2", 'a"b', "a,b", "<script>", "12@N01", "a\\n", "٣"]
)
def test_what_could_forge_or_fill_the_log_is_replaced(client: TestClient, request_id: str) -> None:
    answered = client.get("/plain", headers=[(HEADER.encode(), request_id.encode())]).headers[HEADER]
    assert answered != request_id
    assert is_made(answered)


def test_threads_and_streams_of_a_request_see_its_id(client: TestClient) -> None:
    headers = {HEADER: "edge-1"}
    assert client.get("/waiting", headers=headers).json() == ["edge-1", "edge-1"]
    assert client.get("/stream", headers=headers).text == "data: edge-1\n\n" * 2


def test_what_a_request_logs_carries_its_id_and_the_next_one_has_another(client: TestClient) -> None:
    # The suite's own capturing would leave out what is bound to the context.
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as entries:
        client.get("/plain", headers={HEADER: "edge-1"})
        client.get("/plain", headers={HEADER: "edge-2"})
    assert [entry["correlation_id"] for entry in entries] == ["edge-1", "edge-2"]


def test_refusals_and_failures_of_the_application_carry_it_too(runtime: Runtime) -> None:
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    client = TestClient(Correlation(application_of(runtime)), raise_server_exceptions=False)
    assert client.get("/api/nothing/here", headers={HEADER: "edge-1"}).status_code == 404
    for path in ("/api/nothing/here", "/api/status", "/api/users/12@N01/recommendations"):
        assert client.get(path, headers={HEADER: "edge-1"}).headers[HEADER] == "edge-1"
