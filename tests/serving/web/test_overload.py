"""How many requests a process has at once, and what it says to one more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from serving.web.overload import STREAMS, Overload

WALL, LOOKUP = "/api/users/12@N01/recommendations", "/api/users/lookup?q=ann"
STREAM = "/api/users/12@N01/progress"
LIMIT = 4


class Busy:
    """An application that holds every request until it is let go."""

    def __init__(self) -> None:
        self.held = 0
        self.free = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.held += 1
        await self.free.wait()
        await PlainTextResponse("done")(scope, receive, send)


class Callers:
    """Requests that are under way at a process with that limit."""

    def __init__(self, busy: Busy, client: httpx.AsyncClient) -> None:
        self.busy, self._client = busy, client
        self._under_way: list[asyncio.Task[httpx.Response]] = []

    async def get(self, path: str, accept: str = "*/*") -> httpx.Response:
        return await self._client.get(path, headers={"Accept": accept})

    async def begin(self, count: int, path: str, accept: str = "*/*") -> None:
        """So many requests that reach the application, and stay there."""
        before = self.busy.held
        self._under_way += [asyncio.create_task(self.get(path, accept)) for _ in range(count)]
        while self.busy.held < before + count:
            await asyncio.sleep(0)

    async def end(self) -> list[int]:
        self.busy.free.set()
        return [answer.status_code for answer in await asyncio.gather(*self._under_way)]


@asynccontextmanager
async def callers_of(limit: int):  # type: ignore[no-untyped-def]
    busy = Busy()
    transport = httpx.ASGITransport(Overload(busy, limit))
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://test"))
        yield Callers(busy, client)


def with_callers(scenario: Callable[[Callers], Awaitable[None]]) -> None:
    async def run() -> None:
        async with callers_of(LIMIT) as callers:
            await asyncio.wait_for(scenario(callers), 20)

    asyncio.run(run())


@pytest.mark.parametrize("path", [WALL, "/recommend", "/similar", "/api/status"])
def test_one_more_than_the_limit_is_refused_at_once_and_told_when_to_come_again(path: str) -> None:
    async def scenario(callers: Callers) -> None:
        await callers.begin(LIMIT, WALL)
        refused = await callers.get(path)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "1"
        assert refused.json()["error"]["code"] == "overloaded"
        assert await callers.end() == [200] * LIMIT

    with_callers(scenario)


def test_who_comes_when_others_are_done_is_served() -> None:
    async def scenario(callers: Callers) -> None:
        await callers.begin(LIMIT, WALL)
        await callers.end()
        assert [(await callers.get(WALL)).status_code for _ in range(3 * LIMIT)] == [200] * 3 * LIMIT

    with_callers(scenario)


def test_a_request_that_breaks_off_leaves_its_place() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConnectionError

    async def run() -> None:
        transport = httpx.ASGITransport(Overload(broken, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for _ in range(3):
                with pytest.raises(ConnectionError):
                    await client.get(WALL)

    asyncio.run(run())


@pytest.mark.parametrize("path", ["/readyz", "/livez", "/metrics", "/", "/wall/12@N01", "/assets/index.js"])
def test_health_metrics_and_the_site_are_always_answered(path: str) -> None:
    async def scenario(callers: Callers) -> None:
        await callers.begin(LIMIT, WALL)
        await callers.begin(1, path)
        assert await callers.end() == [200] * (LIMIT + 1)

    with_callers(scenario)


def test_requests_that_wait_for_flickr_leave_half_of_the_places_to_walls() -> None:
    async def scenario(callers: Callers) -> None:
        await callers.begin(LIMIT // 2, LOOKUP)
        assert (await callers.get("/api/me/favorites/1000")).status_code == 429
        await callers.begin(LIMIT // 2, WALL)
        assert (await callers.get(WALL)).status_code == 429

    with_callers(scenario)


def test_streams_of_progress_take_no_place_of_others_and_have_a_limit_of_their_own() -> None:
    async def scenario(callers: Callers) -> None:
        await callers.begin(STREAMS * LIMIT, STREAM, "text/event-stream")
        assert (await callers.get(STREAM, "text/event-stream")).status_code == 429
        await callers.begin(LIMIT, WALL)

    with_callers(scenario)


def test_a_wall_is_work_whatever_answer_is_accepted() -> None:
    async def scenario(callers: Callers) -> None:
        await callers.begin(LIMIT, WALL)
        assert (await callers.get(WALL, "text/event-stream")).status_code == 429

    with_callers(scenario)
